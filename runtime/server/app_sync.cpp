#include "runtime/server/app_sync.hpp"

#include <algorithm>
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

synced_app take_sync(const api_parts& parts, const std::string& url, const http::outcome& outcome, const std::vector<std::string>& asked) try {
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
  for (const auto& known : asked.empty() ? std::vector<app_registration>{} : parts.apps.all()) {
    if (known.name == app.name && known.url != app.url && std::ranges::find(asked, known.url) != asked.end()) {
      throw refusal{409, "app \"" + app.name + "\" is registered at " + known.url + ", which is asked, too: one place is called, so name one"};
    }
  }
  return {.url = url, .is_in_band = true, .app = app.name, .functions = app.functions.size(), .is_new = parts.register_app(app, body)};
} catch (const error&) {
  throw;
} catch (const refusal&) {
  throw;
} catch (const std::exception& e) {
  throw refusal{502, std::string{"the app's answer cannot be read: "} + e.what()};
}

app_watch::app_watch(const api_parts& parts, std::vector<std::string> urls, std::chrono::milliseconds interval, std::function<void(const std::string&)> tell)
    : parts_{parts}, urls_{std::move(urls)}, interval_{interval}, tell_{std::move(tell)} {
  try {
    for (const auto& url : urls_) threads_.emplace_back([this, &url] { watch(url); });
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
  constexpr std::chrono::minutes between{1};
  std::optional<answer> last;
  std::chrono::steady_clock::time_point told_at;
  for (;;) {
    auto came = ask(url);
    std::unique_lock lock{mutex_};
    if (is_stopped_) return;
    const auto now = std::chrono::steady_clock::now();
    const bool is_other = !last || came.is_registered != last->is_registered;
    // What an app answers that fails may be another text each time.
    if (is_other || (came.text != last->text && (came.is_registered || now - told_at >= between))) {
      tell_(came.text);
      told_at = now;
      last = std::move(came);
    }
    changed_.wait_for(lock, interval_, [this] { return is_stopped_; });
    if (is_stopped_) return;
  }
}

app_watch::answer app_watch::ask(const std::string& url) try {
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
  const auto app = take_sync(parts_, url, *came, urls_);
  if (!app.is_in_band) return {true, "the app at " + url + " has registered"};
  return {true, "app \"" + app.app + "\" at " + url + " has registered, with " + std::to_string(app.functions) + (app.functions == 1 ? " function" : " functions")};
} catch (const refusal& no) {
  return {false, "the app at " + url + " has not registered: " + no.text};
} catch (const std::exception& e) {
  return {false, "the app at " + url + " has not registered: " + e.what()};
}

}  // namespace caesura::server
