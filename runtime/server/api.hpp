#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <caesura/runtime.hpp>

#include "runtime/server/app_registry.hpp"
#include "runtime/server/http/client.hpp"
#include "runtime/server/http/message.hpp"
#include "runtime/server/http/responder.hpp"

namespace caesura::server {

class metrics;
class run_feed;

// What the HTTP API needs of the server.
struct api_parts {
  caesura::runtime& runtime;
  app_registry& apps;
  metrics& counts;
  run_feed& feed;
  // Durable, and in force, when it returns. False: nothing about the app is new.
  std::function<bool(const app_registration&, const document&)> register_app{};
  // Asks the app at a URL for its functions; the outcome comes on another thread.
  std::function<void(const std::string& url, std::function<void(http::outcome)>)> ask_app{};
  // Executes work on a thread that may wait.
  std::function<void(std::function<void()>)> post{};
  std::vector<std::string> event_keys{};
  std::vector<std::string> allowed_hosts{};  // in lower case
  std::vector<std::string> signing_keys{};  // the key and its fallback; none: the API asks for none
  std::vector<std::string> hashed_keys{};   // the same as they stand in requests
};

// Answers one request, at once or later; may wait for a commit. Never throws: what goes wrong is a response.
void answer(const api_parts& parts, const http::request& request, const http::responder& respond);

// Whether answer() may wait for this one, so that it belongs on a thread that may: all but small requests of routes that wait for nothing.
[[nodiscard]] bool may_wait(const http::request& request);

// Whether it may look at every run that is stored, in one go.
[[nodiscard]] bool may_take_long(const http::request& request);

// A route of the API; in `path`, {name} stands for one segment.
struct route {
  std::string_view method{};
  std::string_view path{};
};

// All of them: the one table by which requests are answered.
[[nodiscard]] std::vector<route> routes();

// The OpenAPI document that GET /openapi.json answers with.
[[nodiscard]] std::string_view openapi_text() noexcept;

}  // namespace caesura::server
