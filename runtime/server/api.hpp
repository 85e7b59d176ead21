#pragma once

#include <functional>
#include <string>
#include <vector>

#include <caesura/runtime.hpp>

#include "runtime/server/app_registry.hpp"
#include "runtime/server/http/message.hpp"

namespace caesura::server {

// What the HTTP API needs of the server.
struct api_parts {
  caesura::runtime& runtime;
  app_registry& apps;
  std::function<void(const app_registration&, const document&)> register_app{};  // durable, and in force, when it returns
  std::vector<std::string> event_keys{};
  std::string hashed_key{};  // empty: the API asks for none
};

// Answers one request; may wait for a commit. Never throws: what goes wrong is a response.
[[nodiscard]] http::response answer(const api_parts& parts, const http::request& request);

}  // namespace caesura::server
