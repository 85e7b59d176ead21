#include "runtime/server/app_link.hpp"

#include <ctime>
#include <utility>

#include "runtime/server/http/json_reader.hpp"
#include "runtime/server/http/json_writer.hpp"
#include "runtime/server/http/signature.hpp"
#include "runtime/server/sdk_protocol.hpp"

namespace caesura::server {

namespace {

std::int64_t unix_seconds() { return static_cast<std::int64_t>(std::time(nullptr)); }

remote::answer failed(const std::string& why) {
  return {.error = recorded_error{.name = "Error", .message = why}};
}

}  // namespace

app_link::app_link(settings settings, workers& workers)
    : settings_{std::move(settings)}, workers_{workers}, client_{std::make_unique<http::client>()} {}

void app_link::make(const std::string& url, remote::call value, std::function<void(remote::answer)> done) {
  workers_.post([this, url, value = std::move(value), done = std::move(done)] {
    const auto target = url_of_step(url, value.step);
    if (!target) {
      done(failed("the app's URL \"" + url + "\" is neither http:// nor https://"));
      return;
    }
    http::outgoing request{.url = *target, .body = call_body(value), .timeout = settings_.call_timeout};
    request.headers.add("content-type", "application/json");
    request.headers.add("user-agent", "Inngest");
    request.headers.add("x-inngest-server-kind", "dev");
    request.headers.add("x-run-id", to_string(value.run));
    request.headers.add("x-inngest-step-id", value.step);
    if (!settings_.signing_key.empty()) {
      // An SDK whose framework has parsed the body signs what it makes of it again, in the one canonical form.
      request.body = http::write_json(http::parse_json(request.body), http::json_form::canonical);
      request.headers.add("x-inngest-signature", http::sign_request(settings_.signing_key, request.body, unix_seconds()));
    }
    send(std::move(request), [this, step = value.step, done](http::outcome outcome) {
      if (const auto* response = std::get_if<http::response>(&outcome)) {
        done(read_response(*response, step));
      } else if (is_closing()) {
        done({.is_given_up = true});
      } else {
        done(failed(std::get<http::failure>(outcome).text));
      }
    });
  });
}

void app_link::ask_to_register(const std::string& url, std::function<void(http::outcome)> done) {
  std::string body = "{\"url\":";
  http::append_json_text(body, url);
  http::outgoing request{.method = "PUT", .url = url, .body = body + "}", .timeout = std::chrono::seconds{10}};
  request.headers.add("content-type", "application/json");
  request.headers.add("x-inngest-server-kind", "dev");
  request.headers.add("x-inngest-sync-kind", "out_of_band");
  if (!settings_.signing_key.empty()) {
    request.headers.add("x-inngest-signature", http::sign_request(settings_.signing_key, request.body, unix_seconds()));
  }
  send(std::move(request), std::move(done));
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
