#include "runtime/server/app_link.hpp"

#include <utility>

#include "runtime/server/http/json_reader.hpp"
#include "runtime/server/http/json_writer.hpp"
#include "runtime/server/http/signature.hpp"
#include "runtime/server/invocation.hpp"
#include "runtime/server/sdk_protocol.hpp"

namespace caesura::server {

namespace {

// A signature is good for five minutes, by the app's clock.
constexpr std::int64_t fresh_seconds = 60;

// What is written at once, on the loop: less work than waking a worker. Not what is signed as well.
constexpr std::size_t small_body_bytes = 4'096;
// What is not read on the loop: others would wait for it.
constexpr std::size_t large_body_bytes = 65'536;

bool is_small(const remote::call& value) {
  std::size_t bytes = value.events.front().content_bytes();  // told twice
  for (const auto& one : value.events) bytes += one.content_bytes();
  for (const auto& step : value.steps) bytes += step.id.size() + step.result.bytes().size();
  return bytes <= small_body_bytes;
}

// Of every call.
constexpr std::string_view fixed_headers = "content-type: application/json\r\nuser-agent: Inngest\r\nx-inngest-server-kind: dev\r\n";

remote::answer failed(const std::string& why) {
  return {.error = recorded_error{.name = "Error", .message = why}};
}

}  // namespace

app_link::app_link(settings settings, workers& workers, http::loop& loop)
    : settings_{std::move(settings)}, workers_{workers}, client_{std::make_unique<http::client>(settings_.client, loop)} {}

app_link::address app_link::address_of(std::string url) {
  address where{.url = std::move(url)};
  if (const auto next = url_of_step(where.url, remote::next_call)) {
    if (auto parsed = http::parse_destination(*next); parsed.index() == 0) where.next_call = std::get<0>(std::move(parsed));
  }
  return where;
}

void app_link::make(std::shared_ptr<const address> where, remote::call value, std::function<void(remote::answer)> done) {
  if (settings_.called) settings_.called(value);
  auto out = std::make_shared<call_out>(call_out{.where = std::move(where), .done = std::move(done)});
  if (settings_.signing_keys.empty() && is_small(value)) {
    write_and_send(out, value);
  } else {
    workers_.post([this, out = std::move(out), value = std::make_shared<remote::call>(std::move(value))] { write_and_send(out, *value); });
  }
}

void app_link::write_and_send(const std::shared_ptr<call_out>& out, remote::call& value) {
  http::outgoing request{.more_headers = fixed_headers, .kept_headers = answer_header::all, .timeout = settings_.call_timeout};
  if (value.step == remote::next_call && out->where->next_call) {
    request.to = out->where->next_call;
  } else if (auto url = url_of_step(out->where->url, value.step)) {
    request.url = std::move(*url);
  } else {
    return end(*out, failed("the app's URL \"" + out->where->url + "\" is neither http:// nor https://"));
  }
  for (auto& one : value.events) {
    if (is_invoke_event(one.name)) one.name = invoked_name;
  }
  try {
    request.body = body_of(value);
  } catch (const std::exception& e) {  // what is recorded is nested so deep that the body would be deeper than JSON may be here
    return end(*out, failed(std::string{"the call cannot be written: "} + e.what()));
  }
  constexpr std::size_t fields = 5;  // with a signature
  request.headers.reserve(fields);
  request.headers.add("x-run-id", to_string(value.run));
  request.headers.add("x-inngest-job-id", job_id_of(value));
  request.headers.add("x-request-id", request_id_of(value));
  request.headers.add("x-inngest-step-id", std::move(value.step));
  send_signed(std::move(request), 0, [this, out](http::outcome outcome) { take(out, std::move(outcome)); });
}

void app_link::take(const std::shared_ptr<call_out>& out, http::outcome outcome) {
  if (auto* response = std::get_if<http::response>(&outcome); response != nullptr && response->body.size() > large_body_bytes) {
    workers_.post([this, out, whole = std::move(*response)] { read(*out, whole); });
  } else if (response != nullptr) {
    read(*out, *response);
  } else if (is_closing()) {
    end(*out, {.is_given_up = true});
  } else {
    end(*out, failed(std::get<http::failure>(outcome).text));
  }
}

void app_link::read(const call_out& out, const http::response& response) {
  const auto fault = fault_of_signature(response);
  end(out, fault ? failed(*fault) : read_response(response));
}

void app_link::end(const call_out& out, remote::answer answer) {
  if (settings_.answered) settings_.answered(answer, std::chrono::steady_clock::now() - out.began);
  out.done(std::move(answer));
}

// An SDK whose framework has parsed the body signs what it makes of it again, in the one canonical form.
std::string app_link::body_of(const remote::call& value) const {
  auto body = call_body(value);
  return settings_.signing_keys.empty() ? body : http::write_json(http::parse_json(body), http::json_form::canonical);
}

void app_link::ask_to_register(const std::string& url, std::function<void(http::outcome)> done) {
  const auto request_of = [&](bool is_in_band) {
    std::string body = "{\"url\":";
    http::append_json_text(body, url);
    http::outgoing request{.method = "PUT", .url = url, .body = body + "}", .timeout = std::chrono::seconds{10}};
    request.headers.add("content-type", "application/json");
    request.headers.add("x-inngest-server-kind", "dev");
    if (is_in_band) request.headers.add("x-inngest-sync-kind", "in_band");
    return request;
  };
  if (!settings_.signing_keys.empty()) {
    send_signed(request_of(true), 0, std::move(done));
    return;
  }
  // The Python SDK tells its functions in its answer to whoever signs, and else registers by itself.
  send(request_of(true), [this, by_itself = request_of(false), done = std::move(done)](http::outcome outcome) mutable {
    constexpr int unauthorized = 401;
    const auto* const told = std::get_if<http::response>(&outcome);
    if (told == nullptr || told->status != unauthorized) return done(std::move(outcome));
    send(std::move(by_itself), std::move(done));
  });
}

void app_link::send_signed(http::outgoing request, std::size_t key, std::function<void(http::outcome)> done) {
  const auto& keys = settings_.signing_keys;
  if (keys.empty()) return send(std::move(request), std::move(done));
  const auto signed_at = settings_.unix_seconds();
  request.headers.set("x-inngest-signature", http::sign_request(keys[key], request.body, signed_at));
  request.before_write = [this, key, signed_at](http::header_list& headers, const std::string& body) {
    const auto now = settings_.unix_seconds();
    if (now - signed_at > fresh_seconds) headers.set("x-inngest-signature", http::sign_request(settings_.signing_keys[key], body, now));
  };
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
  const auto* signature = response.headers.find(answer_header::signature);
  constexpr int streamed = 201;
  if (settings_.signing_keys.empty() || signature == nullptr || response.status == streamed) return std::nullopt;
  switch (http::verify_signature(*signature, response.body, settings_.signing_keys, settings_.unix_seconds())) {
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
