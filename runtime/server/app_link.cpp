#include "runtime/server/app_link.hpp"

#include <ctime>
#include <utility>

#include "runtime/server/http/json_reader.hpp"
#include "runtime/server/http/json_writer.hpp"
#include "runtime/server/http/signature.hpp"
#include "runtime/server/invocation.hpp"
#include "runtime/server/sdk_protocol.hpp"

namespace caesura::server {

namespace {

std::int64_t unix_seconds() { return static_cast<std::int64_t>(std::time(nullptr)); }

// What is written at once, on the loop: less work than waking a worker. Not what is signed as well.
constexpr std::size_t small_body_bytes = 4'096;
// What is not read on the loop: others would wait for it.
constexpr std::size_t large_body_bytes = 65'536;

bool is_small(const remote::call& value) {
  std::size_t bytes = value.trigger.data.bytes().size();
  for (const auto& one : value.events) bytes += one.data.bytes().size();
  for (const auto& step : value.steps) bytes += step.id.size() + step.result.bytes().size();
  return bytes <= small_body_bytes;
}

http::client_options client_settings() { return {.longest_pause = std::chrono::milliseconds{20}}; }

remote::answer failed(const std::string& why) {
  return {.error = recorded_error{.name = "Error", .message = why}};
}

}  // namespace

app_link::app_link(settings settings, workers& workers, http::loop& loop)
    : settings_{std::move(settings)}, workers_{workers}, client_{std::make_unique<http::client>(client_settings(), loop)} {}

void app_link::make(const std::string& url, remote::call value, std::function<void(remote::answer)> done) {
  if (settings_.called) settings_.called(value);
  const auto began = std::chrono::steady_clock::now();
  auto end = [this, began, done = std::move(done)](remote::answer answer) {
    if (settings_.answered) settings_.answered(answer, std::chrono::steady_clock::now() - began);
    done(std::move(answer));
  };
  const bool is_quick = settings_.signing_keys.empty() && is_small(value);
  auto write_and_send = [this, url, value = std::move(value), end = std::move(end)]() mutable {
    const auto target = url_of_step(url, value.step);
    if (!target) {
      end(failed("the app's URL \"" + url + "\" is neither http:// nor https://"));
      return;
    }
    value.trigger.name = shown_name(value.trigger.name);
    for (auto& one : value.events) one.name = shown_name(one.name);
    http::outgoing request{.url = *target, .timeout = settings_.call_timeout};
    try {
      request.body = body_of(value);
    } catch (const std::exception& e) {  // what is recorded is nested so deep that the body would be deeper than JSON may be here
      end(failed(std::string{"the call cannot be written: "} + e.what()));
      return;
    }
    request.headers.add("content-type", "application/json");
    request.headers.add("user-agent", "Inngest");
    request.headers.add("x-inngest-server-kind", "dev");
    request.headers.add("x-run-id", to_string(value.run));
    request.headers.add("x-inngest-step-id", value.step);
    const auto read = [this, end](const http::response& response) {
      const auto fault = fault_of_signature(response);
      end(fault ? failed(*fault) : read_response(response));
    };
    send_signed(std::move(request), 0, [this, end, read](http::outcome outcome) {
      if (auto* response = std::get_if<http::response>(&outcome); response != nullptr && response->body.size() > large_body_bytes) {
        workers_.post([read, whole = std::move(*response)] { read(whole); });
      } else if (response != nullptr) {
        read(*response);
      } else if (is_closing()) {
        end({.is_given_up = true});
      } else {
        end(failed(std::get<http::failure>(outcome).text));
      }
    });
  };
  is_quick ? write_and_send() : workers_.post(std::move(write_and_send));
}

// An SDK whose framework has parsed the body signs what it makes of it again, in the one canonical form.
std::string app_link::body_of(const remote::call& value) const {
  auto body = call_body(value);
  return settings_.signing_keys.empty() ? body : http::write_json(http::parse_json(body), http::json_form::canonical);
}

void app_link::ask_to_register(const std::string& url, std::function<void(http::outcome)> done) {
  std::string body = "{\"url\":";
  http::append_json_text(body, url);
  http::outgoing request{.method = "PUT", .url = url, .body = body + "}", .timeout = std::chrono::seconds{10}};
  request.headers.add("content-type", "application/json");
  request.headers.add("x-inngest-server-kind", "dev");
  request.headers.add("x-inngest-sync-kind", "in_band");
  send_signed(std::move(request), 0, std::move(done));
}

void app_link::send_signed(http::outgoing request, std::size_t key, std::function<void(http::outcome)> done) {
  const auto& keys = settings_.signing_keys;
  if (keys.empty()) return send(std::move(request), std::move(done));
  request.headers.set("x-inngest-signature", http::sign_request(keys[key], request.body, unix_seconds()));
  if (key + 1 == keys.size()) return send(std::move(request), std::move(done));
  auto again = request;
  send(std::move(request), [this, key, again = std::move(again), done = std::move(done)](http::outcome outcome) mutable {
    const auto* response = std::get_if<http::response>(&outcome);
    if (response != nullptr && (response->status == 401 || response->status == 403)) {
      send_signed(std::move(again), key + 1, std::move(done));
    } else {
      done(std::move(outcome));
    }
  });
}

// An app that is not in cloud mode signs nothing, and a streamed response is signed before its body is known.
std::optional<std::string> app_link::fault_of_signature(const http::response& response) const {
  const auto* signature = response.headers.find("x-inngest-signature");
  constexpr int streamed = 201;
  if (settings_.signing_keys.empty() || signature == nullptr || response.status == streamed) return std::nullopt;
  switch (http::verify_signature(*signature, response.body, settings_.signing_keys, unix_seconds())) {
    case http::signature_check::valid: return std::nullopt;
    case http::signature_check::malformed: return "the signature of the app's response is malformed";
    case http::signature_check::expired: return "the signature of the app's response is more than five minutes away from this server's clock";
    case http::signature_check::wrong: return "the app's response is signed with neither the signing key nor its fallback";
  }
  return std::nullopt;
}

void app_link::send(http::outgoing request, std::function<void(http::outcome)> done) {
  {
    const std::lock_guard lock{mutex_};
    if (client_) {
      client_->send(std::move(request), std::move(done));
      return;
    }
  }
  done(http::failure{.kind = http::failure_kind::closed, .text = "the server stops"});
}

bool app_link::is_closing() {
  const std::lock_guard lock{mutex_};
  return is_closing_;
}

void app_link::close() {
  std::unique_ptr<http::client> client;
  {
    const std::lock_guard lock{mutex_};
    is_closing_ = true;
    client = std::move(client_);
  }
}

}  // namespace caesura::server
