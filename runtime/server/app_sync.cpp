#include "runtime/server/app_sync.hpp"

#include <ctime>
#include <memory>
#include <optional>
#include <utility>

#include "runtime/server/api_call.hpp"
#include "runtime/server/http/signature.hpp"
#include "runtime/server/sdk_protocol.hpp"

namespace caesura::server {

namespace {

constexpr std::size_t shown_bytes = 500;  // of what an app answers

using nlohmann::json;

}  // namespace

synced_app take_sync(const api_parts& parts, const std::string& url, const http::outcome& outcome) try {
  const auto* told = std::get_if<http::response>(&outcome);
  if (told == nullptr) throw refusal{502, "the app could not be asked: " + std::get<http::failure>(outcome).text};
  if (told->status != 200) throw refusal{502, "the app at " + url + " answered with status " + std::to_string(told->status) + ": " + told->body.substr(0, shown_bytes)};
  if (told->headers.get("x-inngest-sync-kind") != "in_band") {
    // The Python SDK answers well whatever its registration came to, with what this server answered.
    const auto body = json::parse(told->body, nullptr, false);
    if (body.is_object() && body.contains("error")) throw refusal{502, "the app at " + url + " could not register: " + told->body.substr(0, shown_bytes)};
    return {.url = url};
  }
  if (!parts.signing_keys.empty()) {
    const auto now = static_cast<std::int64_t>(std::time(nullptr));
    if (http::verify_signature(told->headers.get("x-inngest-signature"), told->body, parts.signing_keys, now) != http::signature_check::valid) {
      throw refusal{502, "the app's answer is not signed with this server's signing key or its fallback: an app in dev mode signs nothing"};
    }
  }
  const auto body = registration_in_band(told->body, url);
  const auto app = read_registration(body);
  return {.url = url, .is_in_band = true, .app = app.name, .functions = app.functions.size(), .is_new = parts.register_app(app, body)};
} catch (const error&) {
  throw;
} catch (const refusal&) {
  throw;
} catch (const std::exception& e) {
  throw refusal{502, std::string{"the app's answer cannot be read: "} + e.what()};
}

app_watch::app_watch(const api_parts& parts, std::vector<std::string> urls, std::chrono::milliseconds interval, std::function<void(const std::string&)> tell)
    : parts_{parts}, interval_{interval}, tell_{std::move(tell)} {
  try {
    for (auto& url : urls) threads_.emplace_back([this, url = std::move(url)] { watch(url); });
  } catch (...) {
    stop();  // those that were started are waited for
    throw;
  }
}

app_watch::~app_watch() { stop(); }

void app_watch::stop() {
  {
    const std::lock_guard lock{mutex_};
    is_stopped_ = true;
  }
  changed_.notify_all();
}

void app_watch::watch(const std::string& url) {
  std::string last;
  for (;;) {
    auto said = ask(url);
    std::unique_lock lock{mutex_};
    if (is_stopped_) return;
    if (said != last) tell_(last = std::move(said));
    changed_.wait_for(lock, interval_, [this] { return is_stopped_; });
    if (is_stopped_) return;
  }
}

// A sentence of what it came to.
std::string app_watch::ask(const std::string& url) try {
  std::optional<http::outcome> came;
  parts_.ask_app(url, [&](http::outcome outcome) {
    const std::lock_guard lock{mutex_};
    came.emplace(std::move(outcome));
    changed_.notify_all();
  });
  {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return came.has_value(); });
    if (is_stopped_) return {};
  }
  const auto app = take_sync(parts_, url, *came);
  if (!app.is_in_band) return "the app at " + url + " has registered";
  return "app \"" + app.app + "\" at " + url + " has registered, with " + std::to_string(app.functions) + (app.functions == 1 ? " function" : " functions");
} catch (const refusal& no) {
  return "the app at " + url + " has not registered: " + no.text;
} catch (const std::exception& e) {
  return "the app at " + url + " has not registered: " + e.what();
}

}  // namespace caesura::server
