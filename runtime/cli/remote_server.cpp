#include "runtime/cli/remote_server.hpp"

#include <future>
#include <utility>
#include <variant>

namespace caesura::cli {

namespace {

std::string without_last_slash(std::string url) {
  if (url.ends_with('/')) url.pop_back();
  return url;
}

}  // namespace

remote_server::remote_server(std::string url, std::string hashed_key) : url_{without_last_slash(std::move(url))}, hashed_key_{std::move(hashed_key)} {}

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
  reply result{.body = nullptr, .headers = response.headers};
  if (!response.body.empty()) result.body = nlohmann::json::parse(response.body, nullptr, false);
  if (response.status >= 300) {
    std::string text;
    if (result.body.is_object() && result.body.contains("error") && result.body["error"].is_string()) text = result.body["error"];
    throw refused{response.status, text.empty() ? method + " " + path + " was answered with status " + std::to_string(response.status) : text};
  }
  if (result.body.is_discarded()) throw std::runtime_error{method + " " + path + " was answered with what is no JSON: is " + url_ + " a caesura server?"};
  return result;
}

nlohmann::json remote_server::data(const std::string& method, const std::string& path, const nlohmann::json& body) {
  auto answer = ask(method, path, body).body;
  if (!answer.is_object() || !answer.contains("data")) {
    throw std::runtime_error{method + " " + path + " was answered without a member \"data\": is " + url_ + " a caesura server?"};
  }
  return std::move(answer["data"]);
}

}  // namespace caesura::cli
