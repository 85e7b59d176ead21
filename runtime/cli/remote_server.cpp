#include "runtime/cli/remote_server.hpp"

#include <future>
#include <stdexcept>
#include <variant>

namespace caesura::cli {

remote_server::reply remote_server::ask(const std::string& method, const std::string& path, const nlohmann::json& body) {
  http::outgoing request{.method = method, .url = url_ + path, .timeout = std::chrono::seconds{60}};
  if (!body.is_null()) {
    request.body = body.dump();
    request.headers.add("content-type", "application/json");
  }
  if (!hashed_key_.empty()) request.headers.add("authorization", "Bearer " + hashed_key_);
  std::promise<http::outcome> answered;
  client_.send(std::move(request), [&](http::outcome outcome) { answered.set_value(std::move(outcome)); });
  const auto outcome = answered.get_future().get();
  if (const auto* failure = std::get_if<http::failure>(&outcome)) {
    const bool is_there = failure->kind != http::failure_kind::connect;
    throw std::runtime_error{failure->text + (is_there ? "" : ". Is a server running there? Start one with: caesura serve --dir DIRECTORY")};
  }
  const auto& response = std::get<http::response>(outcome);
  reply result{.status = response.status, .headers = response.headers};
  if (!response.body.empty()) result.body = nlohmann::json::parse(response.body, nullptr, false);
  if (response.status >= 300) {
    const auto text = result.body.is_object() ? result.body.value("error", std::string{}) : std::string{};
    throw std::runtime_error{text.empty() ? method + " " + path + " was answered with status " + std::to_string(response.status) : text};
  }
  return result;
}

}  // namespace caesura::cli
