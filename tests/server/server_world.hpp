#pragma once

// A server, and an app that answers as an SDK would, both on this machine.

#include <boost/test/unit_test.hpp>

#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "runtime/server/http/client.hpp"
#include "runtime/server/http/listener.hpp"
#include "runtime/server/server.hpp"
#include "tests/support/temporary_directory.hpp"

namespace server_test {

using namespace caesura;
using namespace std::chrono_literals;
using nlohmann::json;

inline const std::string unknown_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";  // well formed

// Answers each call with what the test's function makes of its body.
class fake_app {
 public:
  using code = std::function<json(const json& call)>;  // an array: operations; anything else: the result
  explicit fake_app(code code)
      : code_{std::move(code)}, listener_{{.port = 0}, [this](http::request&& request, const http::responder& respond) {
                                            if (answer_instead) return respond(answer_instead(request));
                                            const auto made = code_(json::parse(request.body));
                                            auto response = http::response::json(made.is_array() ? 206 : 200, made.dump());
                                            response.headers.add("x-inngest-sdk", "test");
                                            respond(std::move(response));
                                          }} {}
  // Set before the app is called: answers every request.
  std::function<http::response(const http::request&)> answer_instead{};
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(listener_.port()) + "/api"; }
  [[nodiscard]] json registration() const {
    const auto url = "http://127.0.0.1:" + std::to_string(listener_.port()) + "/api?fnId=app-f&stepId=step";
    return {{"appName", "app"},
            {"url", url},
            {"functions",
             {{{"id", "app-f"},
               {"triggers", {{{"event", "go"}}}},
               {"cancel", {{{"event", "stop"}, {"if", "event.data.id == async.data.id"}}}},
               {"steps", {{"step", {{"runtime", {{"url", url}}}}}}}}}}};
  }

 private:
  code code_;
  http::listener listener_;
};

struct reply {
  int status{0};
  json body{};  // null: there is none, or it is no JSON
  http::header_list headers{};
  std::string text{};
};

class server_world {
 public:
  explicit server_world(server::server_options options = {}) {
    options.directory = directory_.path() + "/store";
    options.port = 0;
    server_ = std::make_unique<server::server>(std::move(options));
  }
  reply ask(const std::string& method, const std::string& path, const json& body = nullptr, http::header_list headers = {}) {
    http::outgoing request{.method = method, .url = "http://127.0.0.1:" + std::to_string(server_->port()) + path, .headers = std::move(headers)};
    if (!bearer.empty()) request.headers.add("authorization", "Bearer " + bearer);
    if (!body.is_null()) request.body = body.is_string() ? body.get<std::string>() : body.dump();
    std::promise<http::outcome> answered;
    client_.send(std::move(request), [&](http::outcome outcome) { answered.set_value(std::move(outcome)); });
    const auto response = std::get<http::response>(answered.get_future().get());
    auto told = json::parse(response.body, nullptr, false);
    return {response.status, told.is_discarded() ? json{} : std::move(told), response.headers, response.body};
  }
  std::string bearer{};  // sent with every request
  std::string start(const json& data) {
    const auto sent = ask("POST", "/e/key", {{"name", "go"}, {"data", data}});
    BOOST_REQUIRE(sent.status == 200);
    return ask("GET", "/v1/events/" + sent.body["ids"][0].get<std::string>() + "/runs").body["data"][0]["run_id"];
  }
  json ended(const std::string& run) {
    BOOST_REQUIRE(server_->runtime().wait(*parse_id<run_id>(run), 60s).has_value());
    return ask("GET", "/v1/runs/" + run).body["data"];
  }
  void reaches(const std::string& run, run_status status) {
    const auto give_up = std::chrono::steady_clock::now() + 60s;
    while (server_->runtime().get(*parse_id<run_id>(run)).value().status != status) {
      if (std::chrono::steady_clock::now() > give_up) throw std::runtime_error{"the run does not come to be as expected"};
      std::this_thread::yield();
    }
  }
  server::server& server() { return *server_; }
  [[nodiscard]] std::string directory() const { return directory_.path() + "/store"; }
  [[nodiscard]] std::uint16_t port() const { return server_->port(); }

 private:
  caesura::testing::temporary_directory directory_;
  http::client client_{{.response_bytes = 64 * 1024 * 1024}};
  std::unique_ptr<server::server> server_;
};

}  // namespace server_test
