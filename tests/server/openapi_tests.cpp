// The OpenAPI document against the running server: every documented operation and status is asked for, and no route is missing.

#include "tests/server/server_world.hpp"

#include <set>

#include "runtime/server/api.hpp"
#include "runtime/server/http/signature.hpp"

namespace {

using namespace server_test;

const json& api_document() {
  static const json parsed = json::parse(server::openapi_text());
  return parsed;
}

const json& resolved(const json& schema) {
  const auto reference = schema.find("$ref");
  if (reference == schema.end()) return schema;
  return api_document().at(json::json_pointer{reference->get<std::string>().substr(1)});
}

bool is_of_type(const json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  return type == "null" && value.is_null();
}

// Why the value is not what the schema says; empty: it is.
std::string fault(const json& value, const json& unresolved, const std::string& where = "body") {
  const auto& schema = resolved(unresolved);
  if (const auto options = schema.find("oneOf"); options != schema.end()) {
    for (const auto& one : *options) {
      if (fault(value, one, where).empty()) return {};
    }
    return where + " is none of what it may be";
  }
  if (const auto type = schema.find("type"); type != schema.end()) {
    const auto types = type->is_array() ? *type : json::array({*type});
    if (std::ranges::none_of(types, [&](const json& one) { return is_of_type(value, one); })) return where + " is no " + types.dump() + ": " + value.dump();
  }
  if (const auto allowed = schema.find("enum"); allowed != schema.end() && std::ranges::find(*allowed, value) == allowed->end()) return where + " is " + value.dump();
  if (value.is_object()) {
    for (const auto& name : schema.value("required", json::array())) {
      if (!value.contains(name.get<std::string>())) return where + " lacks " + name.get<std::string>();
    }
    const auto properties = schema.value("properties", json::object());
    for (const auto& [name, inner] : value.items()) {
      if (!properties.contains(name)) {
        if (!properties.empty()) return where + "." + name + " is not documented";
        continue;
      }
      if (auto wrong = fault(inner, properties[name], where + "." + name); !wrong.empty()) return wrong;
    }
  }
  if (value.is_array() && schema.contains("items")) {
    for (const auto& one : value) {
      if (auto wrong = fault(one, schema["items"], where + "[]"); !wrong.empty()) return wrong;
    }
  }
  return {};
}

std::string lower(std::string text) {
  for (auto& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::set<std::string> documented_operations() {
  std::set<std::string> found;
  for (const auto& [path, operations] : api_document()["paths"].items()) {
    for (const auto& [method, operation] : operations.items()) found.insert(method + " " + path);
  }
  return found;
}

struct walker {
  std::set<std::string> seen;  // "get /path 200"

  void check(const std::string& method, const std::string& path, const reply& told) {
    const auto what = method + " " + path + " " + std::to_string(told.status);
    const auto& operation = api_document()["paths"].at(path).at(method);
    const auto& responses = operation["responses"];
    BOOST_TEST_CONTEXT(what << ": " << told.text.substr(0, 300)) {
      BOOST_REQUIRE(responses.contains(std::to_string(told.status)));
      seen.insert(what);
      const auto& response = responses[std::to_string(told.status)];
      const auto& headers = response.value("headers", json::object());
      if (headers.contains("x-caesura-outcome")) BOOST_TEST(!told.headers.get("x-caesura-outcome").empty());
      const auto content = response.value("content", json::object());
      if (content.contains("application/json")) BOOST_TEST(fault(told.body, content["application/json"]["schema"]) == "");
      if (!content.empty()) BOOST_TEST(told.headers.get("content-type").starts_with(content.begin().key()));
    }
  }
};

struct walked_world {
  fake_app app{nullptr};
  server_world world{{.stream_clients = 0}};
  std::string ended_run, resting_run, event, cancellation;
  walker walk;
  std::promise<std::string> is_called;  // with the call's qi_id
  std::promise<void> may_answer;

  walked_world() {
    app.answer_instead = [this](const http::request& request) {
      const bool is_sync = request.method == "PUT";
      if (!is_sync && json::parse(request.body)["event"]["data"].value("hold", false)) {
        is_called.set_value(json::parse(request.body)["ctx"]["qi_id"]);
        may_answer.get_future().wait();
      }
      auto told = is_sync ? json{{"app_id", "app"}, {"functions", app.registration()["functions"]}} : json(1);
      if (!is_sync && json::parse(request.body)["event"]["data"].value("rest", false)) told = json::array({{{"op", "Sleep"}, {"id", "h1"}, {"name", "1h"}}});
      if (!is_sync && json::parse(request.body)["event"]["data"].value("ask", false) && json::parse(request.body)["steps"].empty()) {
        told = json::array({{{"op", "WaitForSignal"}, {"id", "h1"}, {"opts", {{"signal", "approval"}, {"timeout", "1h"}}}}});
      }
      auto response = http::response::json(told.is_array() ? 206 : 200, told.dump());
      response.headers.add("x-inngest-sdk", "test");
      response.headers.add("x-inngest-sync-kind", "in_band");
      return response;
    };
    world.ask("POST", "/fn/register", app.registration());
    ended_run = world.start({{"n", 1}});
    world.ended(ended_run);
    resting_run = world.start({{"rest", true}});
    event = world.ask("POST", "/e/key", {{"name", "other"}, {"id", "o1"}}).body["ids"][0];
    cancellation = world.ask("POST", "/v1/cancellations", past()).body["data"]["id"];
  }
  static json past() { return {{"app_id", "app"}, {"function_id", "f"}, {"started_before", "2020-01-01T00:00:00Z"}}; }

  // Asks, and holds the answer against the document.
  void ask(const std::string& method, const std::string& path, const std::string& target, const json& body = nullptr) {
    walk.check(lower(method), path, world.ask(method, target, body));
  }
  // For a route with one argument: what it does with a good one, one that is not stored and one that is no id.
  void ask_all(const std::string& method, const std::string& path, const std::string& good, const std::vector<std::string>& others) {
    const auto begin = path.find('{');
    const auto target = [&](const std::string& argument) { return path.substr(0, begin) + argument + path.substr(path.find('}') + 1); };
    ask(method, path, target(good));
    for (const auto& one : others) ask(method, path, target(one));
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(openapi)

BOOST_AUTO_TEST_CASE(the_document_has_every_route_and_no_other) {
  std::set<std::string> served;
  for (const auto& one : server::routes()) served.insert(lower(std::string{one.method}) + " " + std::string{one.path});
  const auto documented = documented_operations();
  BOOST_TEST(served == documented, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_document_is_whole) {
  const auto& all = api_document();
  BOOST_TEST(all["openapi"] == "3.1.0");
  std::set<std::string> names;
  for (const auto& [path, operations] : all["paths"].items()) {
    for (const auto& [method, operation] : operations.items()) {
      BOOST_TEST_CONTEXT(method << " " << path) {
        BOOST_TEST(names.insert(operation.at("operationId")).second);
        BOOST_TEST(!operation.at("summary").get<std::string>().empty());
        std::size_t in_path = 0;
        for (const auto& parameter : operation.value("parameters", json::array())) {
          if (parameter["in"] == "path") {
            ++in_path;
            BOOST_TEST(path.find("{" + parameter["name"].get<std::string>() + "}") != std::string::npos);
          }
        }
        BOOST_TEST(in_path == static_cast<std::size_t>(std::ranges::count(path, '{')));
      }
    }
  }
  // Every reference leads somewhere.
  const auto text = all.dump();
  for (auto at = text.find("\"#/"); at != std::string::npos; at = text.find("\"#/", at + 1)) {
    const auto pointer = text.substr(at + 2, text.find('"', at + 1) - at - 2);
    BOOST_TEST(all.contains(json::json_pointer{pointer}), pointer);
  }
}

BOOST_FIXTURE_TEST_CASE(every_documented_operation_and_status_is_what_the_server_does, walked_world) {
  ask("GET", "/health", "/health");
  ask("GET", "/openapi.json", "/openapi.json");
  ask("GET", "/metrics", "/metrics");
  ask("GET", "/dev", "/dev");
  ask("POST", "/fn/register", "/fn/register", app.registration());
  ask("POST", "/fn/register", "/fn/register", json::object());
  ask("POST", "/v1/syncs", "/v1/syncs", {{"url", app.url()}});
  ask("POST", "/v1/syncs", "/v1/syncs", json::object());
  ask("POST", "/v1/syncs", "/v1/syncs", {{"url", "odd"}});
  const auto asking = world.start({{"ask", true}});
  world.reaches(asking, run_status::waiting);
  ask("POST", "/v1/signals", "/v1/signals", {{"signal", "approval"}, {"data", 7}});
  ask("POST", "/v1/signals", "/v1/signals", {{"signal", "approval"}});
  ask("POST", "/v1/signals", "/v1/signals", json::object());
  world.ended(asking);
  ask("POST", "/e/{event_key}", "/e/key", {{"name", "other"}});
  ask("POST", "/e/{event_key}", "/e/key", {{"name", "inngest/x"}});
  ask("POST", "/e/{event_key}", "/e/key", {{"name", "other"}, {"id", "o1"}, {"data", {{"n", 2}}}});
  ask("POST", "/invoke/{function_id}", "/invoke/app-f", {{"data", {{"n", 1}}}});
  ask("POST", "/invoke/{function_id}", "/invoke/app-f", {{"data", 5}});
  ask("POST", "/invoke/{function_id}", "/invoke/none");
  ask("POST", "/v0/gql", "/v0/gql", {{"query", "{ functions { slug } }"}});
  ask("POST", "/v0/gql", "/v0/gql", {{"query", "{ odd }"}});
  ask("POST", "/v0/gql", "/v0/gql");
  const std::vector<std::string> no_ids{"none", unknown_id};
  ask_all("GET", "/v0/runs/{run_id}/batch", ended_run, no_ids);
  ask_all("GET", "/v0/runs/{run_id}/actions", ended_run, no_ids);
  const json steps{{"qi_id", "1"}, {"steps", json::array()}};
  ask("POST", "/v1/checkpoint/{run_id}/async", "/v1/checkpoint/" + ended_run + "/async", steps);
  ask("POST", "/v1/checkpoint/{run_id}/async", "/v1/checkpoint/" + unknown_id + "/async", steps);
  ask("POST", "/v1/checkpoint/{run_id}/async", "/v1/checkpoint/none/async", steps);
  ask("GET", "/v1/stream", "/v1/stream");
  ask("GET", "/v1/stream", "/v1/stream?run_id=none");
  ask("GET", "/v1/events", "/v1/events?include_internal=true");
  ask("GET", "/v1/events", "/v1/events?limit=0");
  ask_all("GET", "/v1/events/{event_id}", event, no_ids);
  ask_all("GET", "/v1/events/{event_id}/runs", event, no_ids);
  ask("GET", "/v1/runs", "/v1/runs");
  ask("GET", "/v1/runs", "/v1/runs?limit=0");
  ask_all("GET", "/v1/runs/{run_id}", ended_run, no_ids);
  ask("GET", "/v1/runs/{run_id}", "/v1/runs/" + resting_run);
  ask_all("GET", "/v1/runs/{run_id}/jobs", resting_run, no_ids);
  ask_all("GET", "/v1/runs/{run_id}/explain", ended_run, no_ids);
  ask("GET", "/v1/runs/{run_id}/explain", "/v1/runs/" + resting_run + "/explain?event=" + event);
  ask("GET", "/v1/runs/{run_id}/explain", "/v1/runs/" + resting_run + "/explain?event=none");
  ask("GET", "/v1/runs/{run_id}/explain", "/v1/runs/" + resting_run + "/explain?event=" + unknown_id);
  ask_all("POST", "/v1/runs/{run_id}/replay", ended_run, no_ids);
  ask("POST", "/v1/runs/{run_id}/replay", "/v1/runs/" + resting_run + "/replay");
  ask_all("DELETE", "/v1/runs/{run_id}", resting_run, no_ids);
  ask("POST", "/v1/cancellations", "/v1/cancellations", past());
  ask("POST", "/v1/cancellations", "/v1/cancellations", json::object());
  auto other = past();
  other["function_id"] = "none";
  ask("POST", "/v1/cancellations", "/v1/cancellations", other);
  auto dry = past();
  dry["dry_run"] = true;
  ask("POST", "/v1/cancellations", "/v1/cancellations", dry);
  ask("GET", "/v1/cancellations", "/v1/cancellations");
  ask_all("GET", "/v1/cancellations/{cancellation_id}", cancellation, no_ids);
  ask_all("DELETE", "/v1/cancellations/{cancellation_id}", cancellation, no_ids);
  ask("GET", "/v1/functions", "/v1/functions");
  ask("GET", "/v1/apps/{app_name}/functions", "/v1/apps/app/functions");
  ask("GET", "/v1/apps/{app_name}/functions", "/v1/apps/none/functions");
  ask("POST", "/v1/functions/{function_id}/pause", "/v1/functions/app-f/pause", {{"running", "hold"}});
  ask("POST", "/v1/functions/{function_id}/pause", "/v1/functions/app-f/pause", {{"running", "odd"}});
  ask("POST", "/v1/functions/{function_id}/pause", "/v1/functions/none/pause");
  ask("POST", "/invoke/{function_id}", "/invoke/app-f");
  ask("POST", "/v1/functions/{function_id}/resume", "/v1/functions/app-f/resume");
  ask("POST", "/v1/functions/{function_id}/resume", "/v1/functions/app-f/resume", "[]");
  ask("POST", "/v1/functions/{function_id}/resume", "/v1/functions/none/resume");

  const auto held = world.start({{"hold", true}});
  ask("POST", "/v1/checkpoint/{run_id}/async", "/v1/checkpoint/" + held + "/async", {{"qi_id", is_called.get_future().get()}, {"steps", json::array()}});
  may_answer.set_value();
  world.ended(held);

  // Without a key where one is needed.
  server_world locked{{.signing_key = "signkey-test-00ff", .event_keys = {"right"}}};
  std::set<std::string> all;
  for (const auto& [path, operations] : api_document()["paths"].items()) {
    for (const auto& [method, operation] : operations.items()) {
      for (const auto& [status, response] : operation["responses"].items()) all.insert(method + " " + path + " " + status);
      auto upper = method;
      for (auto& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      const auto told = locked.ask(upper, path.substr(0, path.find('{')) + (path.find('{') == std::string::npos ? "" : "x" + path.substr(path.find('}') + 1)));
      if (operation["responses"].contains("401")) {
        BOOST_TEST(told.status == 401, method << " " << path);
        walk.check(method, path, told);
      } else {
        BOOST_TEST(told.status == 200, method << " " << path);
      }
    }
  }
  all.erase("get /v1/stream 200");  // has no end: see the tests of the stream
  BOOST_TEST(walk.seen == all, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
