// The routes of the API with good and bad input.

#include "tests/server/server_world.hpp"

#include "runtime/server/api.hpp"
#include "runtime/server/http/signature.hpp"
#include "runtime/server/invocation.hpp"

#include "tests/http/sockets.hpp"

#include <ctime>

namespace {

using namespace server_test;

// Sleeps for an hour.
json rests(const json&) { return json::array({{{"op", "Sleep"}, {"id", "h1"}, {"name", "1h"}}}); }

// Waits for a signal for an hour.
json asks(const json&) { return json::array({{{"op", "WaitForSignal"}, {"id", "h1"}, {"opts", {{"signal", "approval"}, {"timeout", "1h"}, {"conflict", "fail"}}}}}); }

std::vector<std::string> ids_in(const reply& told) {
  std::vector<std::string> ids;
  for (const auto& one : told.body["data"]) ids.push_back(one["internal_id"]);
  return ids;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(server_api)

BOOST_AUTO_TEST_CASE(only_small_requests_that_wait_for_nothing_stay_on_the_thread_of_sockets) {
  const auto waits = [](const char* method, const char* target, std::size_t bytes) {
    return server::may_wait({.method = method, .target = target, .body = std::string(bytes, ' ')});
  };
  constexpr const char* told = "/v1/checkpoint/01ARZ3NDEKTSV4RRFFQ69G5FAV/async";
  BOOST_TEST(!waits("POST", told, 4'096));
  BOOST_TEST(waits("POST", told, 4'097));
  BOOST_TEST(waits("GET", told, 0));
  BOOST_TEST(!waits("GET", "/health", 0));
  BOOST_TEST(waits("POST", "/e/key", 10));
  BOOST_TEST(waits("DELETE", "/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV", 0));
  BOOST_TEST(waits("GET", "/nothing", 0));
}

BOOST_AUTO_TEST_CASE(a_path_is_taken_segment_by_segment_each_decoded_by_itself) {
  server_world world;
  for (const char* const same : {"/v1/functions", "//v1///functions/", "/%76%31/f%75nctions", "/v1/functions?x=/y"}) BOOST_TEST(world.ask("GET", same).status == 200, same);
  for (const char* const other : {"/v1%2Ffunctions", "/v1/functions/x", "/v1", "/", "/v1/function", "/v1/functionss"}) BOOST_TEST(world.ask("GET", other).status == 404, other);
  BOOST_TEST(world.ask("POST", "/v1/functions/a%2Fb/pause").body["error"].get<std::string>().find("\"a/b\"") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(events_are_listed_page_by_page_and_by_name) {
  server_world world;
  std::vector<std::string> sent;
  for (int i = 0; i < 3; ++i) {
    sent.push_back(world.ask("POST", "/e/key", {{"name", "a"}, {"data", {{"i", i}}}}).body["ids"][0]);
    sent.push_back(world.ask("POST", "/e/key", {{"name", "b"}, {"data", {{"i", i}}}}).body["ids"][0]);
  }
  const auto first = world.ask("GET", "/v1/events?limit=4");
  BOOST_TEST(ids_in(first) == (std::vector{sent[5], sent[4], sent[3], sent[2]}), boost::test_tools::per_element());
  BOOST_TEST(first.body["data"][0]["name"] == "b");
  BOOST_TEST(first.body["data"][0]["data"]["i"] == 2);
  const auto second = world.ask("GET", "/v1/events?limit=4&cursor=" + first.headers.get("x-caesura-next"));
  BOOST_TEST(ids_in(second) == (std::vector{sent[1], sent[0]}), boost::test_tools::per_element());
  BOOST_TEST((second.headers.find("x-caesura-next") == nullptr));
  BOOST_TEST(ids_in(world.ask("GET", "/v1/events?name=a")) == (std::vector{sent[4], sent[2], sent[0]}), boost::test_tools::per_element());
  BOOST_TEST(ids_in(world.ask("GET", "/v1/events?received_before=2020-01-01T00:00:00Z")).empty());
  BOOST_TEST(ids_in(world.ask("GET", "/v1/events?received_after=2020-01-01T00:00:00Z")).size() == 6U);
  for (const char* const bad : {"limit=0", "limit=1001", "limit=many", "cursor=none", "received_after=soon", "received_before=soon",
                                "received_after=2026-01-02T00:00:00Z&received_before=2026-01-01T00:00:00Z"}) {
    BOOST_TEST(world.ask("GET", std::string{"/v1/events?"} + bad).status == 400, bad);
  }
}

BOOST_AUTO_TEST_CASE(an_event_is_shown_with_its_runs) {
  fake_app app{rests};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const std::string id = world.ask("POST", "/e/key", {{"name", "go"}, {"id", "mine"}, {"data", {{"n", 1}}}}).body["ids"][0];
  const auto shown = world.ask("GET", "/v1/events/" + id).body["data"];
  BOOST_TEST(shown["id"] == "mine");
  BOOST_TEST(shown["internal_id"] == id);
  BOOST_TEST(world.ask("GET", "/v1/events/" + id + "/runs").body["data"].at(0)["event_id"] == id);
  for (const std::string path : {"/v1/events/", "/v1/runs/"}) {
    BOOST_TEST(world.ask("GET", path + "none").status == 400);
    BOOST_TEST(world.ask("GET", path + unknown_id).status == 404);
  }
  BOOST_TEST(world.ask("GET", "/v1/events/none/runs").status == 400);
  BOOST_TEST(world.ask("GET", "/v1/events/" + unknown_id + "/runs").status == 404);
}

BOOST_AUTO_TEST_CASE(a_signal_resumes_the_run_that_waits_for_it_and_is_sent_to_nobody_else) {
  fake_app app{[](const json& call) -> json {
    if (!call["steps"].contains("h1")) return asks(call);
    return {{"got", call["steps"]["h1"]}};
  }};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const auto run = world.start({{"n", 1}});
  world.reaches(run, run_status::waiting);
  BOOST_TEST(world.ask("POST", "/v1/signals", {{"signal", "other"}, {"data", 1}}).status == 404);
  const auto conflicting = world.start({{"n", 2}});
  const auto refused = world.ended(conflicting);
  BOOST_TEST(refused["status"] == "Failed");
  BOOST_TEST(refused["output"]["message"].get<std::string>().find("Signal conflict; signal wait already exists for another run") == 0U);
  const auto sent = world.ask("POST", "/v1/signals", {{"signal", "approval"}, {"data", {{"by", "ann"}}}});
  BOOST_TEST(sent.status == 200);
  BOOST_TEST(sent.body["data"]["run_id"] == run);
  BOOST_TEST(world.ended(run)["output"]["got"] == (json{{"data", {{"signal", "approval"}, {"data", {{"by", "ann"}}}}}}));
  const auto again = world.ask("POST", "/v1/signals", {{"signal", "approval"}});
  BOOST_TEST(again.status == 404);
  BOOST_TEST(again.body["error"] == "No signal found");
  BOOST_TEST(world.ask("GET", "/v1/events?name=caesura/signal:approval").body["data"].size() == 1U);
  const auto listed = world.ask("GET", "/v1/events").body["data"];
  for (const auto& one : listed) BOOST_TEST(one["name"] == "go");
}

BOOST_AUTO_TEST_CASE(a_signal_of_a_wrong_form_is_refused_with_the_name_of_the_member) {
  server_world world;
  for (const json& bad : {json::object(), json{{"signal", 5}}, json{{"signal", ""}}, json{{"signal", std::string(241, 's')}}, json::array()}) {
    const auto told = world.ask("POST", "/v1/signals", bad);
    BOOST_TEST(told.status == 400, bad.dump());
    BOOST_TEST((bad.is_array() || told.text.find("signal") != std::string::npos), told.text);
  }
  BOOST_TEST(world.ask("POST", "/v1/signals", "{").status == 400);
  BOOST_TEST(world.ask("POST", "/v1/signals", {{"signal", std::string(240, 's')}}).status == 404);
  BOOST_TEST(world.ask("GET", "/v1/signals").status == 405);
  const auto forged = world.ask("POST", "/e/key", {{"name", "caesura/signal:approval"}});
  BOOST_TEST(forged.status == 400);
  BOOST_TEST(forged.text.find("reserved for signals") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_jobs_of_a_run_are_what_is_planned_for_it) {
  std::promise<void> is_called;
  std::promise<void> may_answer;
  fake_app app{[&, gate = may_answer.get_future().share()](const json& call) {
    is_called.set_value();
    gate.wait();
    return rests(call);
  }};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const auto run = world.start({{"id", "t"}});
  is_called.get_future().wait();
  const auto job = world.ask("GET", "/v1/runs/" + run + "/jobs").body["data"].at(0);
  for (const char* const member : {"JobID", "at", "position", "kind", "attempt", "Raw"}) BOOST_TEST(job.contains(member), member);
  BOOST_TEST(job["attempt"] == 0);
  may_answer.set_value();
  world.ask("DELETE", "/v1/runs/" + run);
  world.ended(run);
  BOOST_TEST(world.ask("GET", "/v1/runs/" + run + "/jobs").body["data"].empty());
  BOOST_TEST(world.ask("GET", "/v1/runs/none/jobs").status == 400);
  BOOST_TEST(world.ask("GET", "/v1/runs/" + unknown_id + "/jobs").status == 404);
}

BOOST_AUTO_TEST_CASE(runs_are_listed_by_function_status_and_time) {
  fake_app app{[](const json&) { return 1; }};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const auto run = world.start({{"id", "t"}});
  world.ended(run);
  const auto count = [&](const std::string& query) { return world.ask("GET", "/v1/runs?" + query).body["data"].size(); };
  BOOST_TEST(count("") == 1U);
  BOOST_TEST(count("function_id=app-f&status=completed") == 1U);
  BOOST_TEST(count("status=Completed&status=Failed") == 1U);
  BOOST_TEST(count("status=Running") == 0U);
  BOOST_TEST(count("function_id=other") == 0U);
  BOOST_TEST(count("started_before=2020-01-01T00:00:00Z") == 0U);
  BOOST_TEST(count("cursor=" + run) == 0U);
  for (const char* const bad : {"limit=0", "limit=1001", "cursor=none", "status=odd", "started_after=soon", "if=event."}) {
    BOOST_TEST(world.ask("GET", std::string{"/v1/runs?"} + bad).status == 400, bad);
  }
}

BOOST_AUTO_TEST_CASE(runs_are_replayed_and_functions_paused_and_resumed) {
  fake_app app{[](const json&) { return 1; }};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const auto run = world.start({{"id", "t"}});
  world.ended(run);
  const std::string again = world.ask("POST", "/v1/runs/" + run + "/replay").body["data"]["run_id"];
  BOOST_TEST(world.ended(again)["original_run_id"] == run);
  BOOST_TEST(world.ask("POST", "/v1/runs/" + run + "/replay", {{"from_step", "none"}}).status == 400);
  BOOST_TEST(world.ask("POST", "/v1/runs/" + run + "/replay", "[]").status == 400);
  BOOST_TEST(world.ask("POST", "/v1/runs/none/replay").status == 400);
  BOOST_TEST(world.ask("POST", "/v1/runs/" + unknown_id + "/replay").status == 404);

  BOOST_TEST(world.ask("POST", "/v1/functions/app-f/pause", {{"reason", "repair"}}).body["data"]["was_paused"] == false);
  BOOST_TEST(world.ask("GET", "/v1/functions").body["data"].at(0)["pause_reason"] == "repair");
  BOOST_TEST(world.ask("POST", "/v1/functions/app-f/pause", {{"running", "odd"}}).status == 400);
  BOOST_TEST(world.ask("POST", "/invoke/app-f", {{"data", json::object()}}).status == 409);
  BOOST_TEST(world.ask("POST", "/v1/functions/app-f/resume", {{"replay_skipped", 5}}).status == 400);
  BOOST_TEST(world.ask("POST", "/v1/functions/app-f/resume").body["data"]["was_paused"] == true);
  BOOST_TEST(world.ask("POST", "/v1/functions/none/resume").status == 404);

  const auto functions = world.ask("GET", "/v1/apps/app/functions").body["data"];
  BOOST_TEST(functions.at(0)["slug"] == "app-f");
  BOOST_TEST(world.ask("GET", "/v1/apps/none/functions").status == 404);
}

BOOST_AUTO_TEST_CASE(an_invoked_function_is_given_the_data_under_the_name_that_sdks_know) {
  fake_app app{[](const json& call) -> json { return {{"name", call["event"]["name"]}, {"data", call["event"]["data"]}}; }};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const auto invoked = world.ask("POST", "/invoke/app-f", {{"data", {{"n", 1}}}});
  BOOST_TEST(invoked.status == 200);
  const auto run = world.ended(invoked.body["run_id"]);
  BOOST_TEST(run["output"]["name"] == "inngest/function.invoked");
  BOOST_TEST(run["output"]["data"]["n"] == 1);
  BOOST_TEST(world.ask("GET", "/v1/events/" + invoked.body["id"].get<std::string>()).body["data"]["name"] == "inngest/function.invoked");
  const auto names = [&](const char* query) {
    json listed = json::array();
    const auto page = world.ask("GET", query);
    for (const auto& one : page.body["data"]) listed.push_back(one["name"]);
    return listed;
  };
  BOOST_TEST(names("/v1/events").empty());
  BOOST_TEST(names("/v1/events?name=caesura/invoke:app-f") == json::array({"inngest/function.invoked"}));
  BOOST_TEST(world.ask("POST", "/invoke/none", json::object()).status == 404);
  BOOST_TEST(world.ask("POST", "/invoke/app-f", {{"data", 5}}).status == 400);
  BOOST_TEST(world.ask("POST", "/invoke/app-f", "[]").status == 400);
}

BOOST_AUTO_TEST_CASE(an_invocation_answers_with_the_run_of_its_function_or_with_why_there_is_none) {
  fake_app app{[](const json&) { return 1; }};
  server_world world;
  auto told = app.registration();
  auto& functions = told["functions"];
  const auto usual = functions[0];
  functions[0]["id"] = "app-all";  // before the other
  functions[0]["triggers"] = {{{"event", "*"}}};
  functions.push_back(usual);
  functions.push_back(usual);
  functions[2]["id"] = "app-full";
  functions[2]["triggers"] = json::array();
  for (int i = 0; i < 10; ++i) functions[2]["triggers"].push_back({{"event", "go/" + std::to_string(i)}});
  functions.push_back(usual);
  functions[3]["id"] = "app-limited";
  functions[3]["rateLimit"] = {{"limit", 1}, {"period", "24h"}};
  BOOST_TEST(world.ask("POST", "/fn/register", told).status == 200);
  BOOST_TEST(world.ended(world.ask("POST", "/invoke/app-f").body["run_id"])["function"] == "app-f");
  const auto full = world.ask("POST", "/invoke/app-full");
  BOOST_TEST(full.status == 409);
  BOOST_TEST(full.text.find("triggers") != std::string::npos);
  BOOST_TEST(world.ended(world.ask("POST", "/invoke/app-limited").body["run_id"])["function"] == "app-limited");
  const auto limited = world.ask("POST", "/invoke/app-limited");
  BOOST_TEST(limited.status == 409);
  BOOST_TEST(limited.text.find("rateLimit") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_batch_is_called_with_all_its_events_and_they_can_be_asked_for) {
  json called;
  fake_app app{[&](const json& call) -> json {
    called = call["events"];
    return 1;
  }};
  server_world world;
  auto told = app.registration();
  auto& function = told["functions"][0];
  function.erase("cancel");
  function["batchEvents"] = {{"maxSize", 3}, {"timeout", "24h"}};
  BOOST_TEST(world.ask("POST", "/fn/register", told).status == 200);
  const auto first = world.ask("POST", "/e/key", {{"name", "go"}, {"data", {{"n", 1}}}}).body["ids"][0];
  const auto second = world.ask("POST", "/invoke/app-f", {{"data", {{"n", 2}}}}).body;
  const auto third = world.ask("POST", "/e/key", {{"name", "go"}, {"data", {{"n", 3}}}}).body["ids"][0];
  const std::string run = second["run_id"];
  world.ended(run);
  const auto asked = world.ask("GET", "/v0/runs/" + run + "/batch").body;
  BOOST_REQUIRE(asked.size() == 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    BOOST_TEST(asked[i]["data"]["n"] == i + 1);
    BOOST_TEST(asked[i]["name"] == (i == 1 ? "inngest/function.invoked" : "go"));
  }
  BOOST_TEST(called == asked);
  const auto shown = world.ask("POST", "/v0/gql", {{"query", "{ run(runID: \"" + run + "\") { isBatch batchCreatedAt triggerIDs } }"}}).body["data"]["run"];
  BOOST_TEST(shown["isBatch"] == true);
  BOOST_TEST(shown["batchCreatedAt"].is_string());
  BOOST_TEST(shown["triggerIDs"] == (json{first, second["id"], third}));
}

BOOST_AUTO_TEST_CASE(many_runs_are_cancelled_in_the_past_only) {
  fake_app app{rests};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const auto run = world.start({{"id", "t"}});
  const json request{{"app_id", "app"}, {"function_id", "f"}, {"started_before", "2020-01-01T00:00:00Z"}};
  auto dry = request;
  dry["dry_run"] = true;
  BOOST_TEST(world.ask("POST", "/v1/cancellations", dry).body["data"]["count"] == 0);
  const auto made = world.ask("POST", "/v1/cancellations", request);
  const std::string id = made.body["data"]["id"];
  BOOST_TEST(world.ask("GET", "/v1/cancellations/" + id).body["data"]["function_id"] == "app-f");
  BOOST_TEST(world.ask("GET", "/v1/cancellations").body["data"].size() == 1U);
  BOOST_TEST(world.ask("DELETE", "/v1/cancellations/" + id).body["data"]["ok"] == true);
  BOOST_TEST(world.ask("GET", "/v1/cancellations/" + unknown_id).status == 404);
  BOOST_TEST(world.ask("DELETE", "/v1/cancellations/none").status == 400);
  const json faults{{"app_id", ""}, {"function_id", 5}, {"started_before", "2200-01-01T00:00:00Z"}, {"if", "event."}, {"started_after", "2021-01-01T00:00:00Z"}};
  for (const auto& [key, value] : faults.items()) {
    auto bad = request;
    bad[key] = value;
    BOOST_TEST(world.ask("POST", "/v1/cancellations", bad).status == 400, key);
  }
  auto other = request;
  other["function_id"] = "none";
  BOOST_TEST(world.ask("POST", "/v1/cancellations", other).status == 404);
  BOOST_TEST(world.ask("GET", "/v1/runs/" + run).body["data"]["ended_at"].is_null());
}

BOOST_AUTO_TEST_CASE(a_cancellation_without_an_end_or_with_a_member_that_is_unknown_cancels_nothing) {
  fake_app app{rests};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const auto run = world.start({{"id", "t"}});
  const json request{{"app_id", "app"}, {"function_id", "f"}, {"started_before", "2020-01-01T00:00:00Z"}};
  for (const char* const name : {"app_id", "function_id", "started_before"}) {
    for (const bool is_null : {true, false}) {
      auto bad = request;
      bad.erase(name);
      if (is_null) bad[name] = nullptr;
      const auto told = world.ask("POST", "/v1/cancellations", bad);
      BOOST_TEST(told.status == 400, name);
      BOOST_TEST(told.body["error"] == std::string{name} + " is required");
    }
  }
  for (const char* const name : {"dryRun", "startedAfter", "expression", "function"}) {
    auto bad = request;
    bad[name] = true;
    const auto told = world.ask("POST", "/v1/cancellations", bad);
    BOOST_TEST(told.status == 400, name);
    BOOST_TEST(told.text.find(name) != std::string::npos, told.text);
    BOOST_TEST(told.text.find("dry_run") != std::string::npos, told.text);  // what there is
  }
  auto open_begin = request;
  open_begin["started_after"] = nullptr;
  BOOST_TEST(world.ask("POST", "/v1/cancellations", open_begin).status == 200);
  BOOST_TEST(world.ask("GET", "/v1/cancellations").body["data"].size() == 1U);
  BOOST_TEST(world.ask("GET", "/v1/runs/" + run).body["data"]["ended_at"].is_null());
}

BOOST_AUTO_TEST_CASE(a_member_that_a_route_does_not_know_is_refused_by_name_before_anything_is_done) {
  fake_app app{[](const json&) { return 1; }};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const auto run = world.start({{"id", "t"}});
  world.ended(run);
  const std::vector<std::pair<std::string, json>> misspelt{{"/v1/runs/" + run + "/replay", {{"fromStep", "h1"}}},
                                                           {"/v1/functions/app-f/pause", {{"under_way", "hold"}}},
                                                           {"/v1/functions/app-f/resume", {{"replaySkipped", true}}},
                                                           {"/v1/signals", {{"signal", "s"}, {"payload", 1}}},
                                                           {"/invoke/app-f", {{"payload", {{"n", 1}}}}}};
  for (const auto& [path, body] : misspelt) {
    const auto told = world.ask("POST", path, body);
    BOOST_TEST(told.status == 400, path);
    BOOST_TEST(told.text.find("is no member of this request") != std::string::npos, told.text);
  }
  BOOST_TEST(world.ask("GET", "/v1/runs").body["data"].size() == 1U);
  BOOST_TEST(world.ask("GET", "/v1/functions").body["data"][0]["is_paused"] == false);
}

// ---- names and members that mean something else upstream, or nothing

BOOST_AUTO_TEST_CASE(an_event_starts_no_function_by_the_name_of_its_invocation) {
  fake_app app{[](const json&) { return 1; }};
  server_world world;
  BOOST_TEST(world.ask("POST", "/fn/register", app.registration()).status == 200);
  const json forged{{"name", server::invoke_event_of("app-f")}};
  for (const json& body : {forged, json::array({{{"name", "go"}}, forged})}) {
    const auto told = world.ask("POST", "/e/key", body);
    BOOST_TEST(told.status == 400);
    BOOST_TEST(told.text.find("reserved for invocations") != std::string::npos, told.text);
  }
  BOOST_TEST(world.ask("GET", "/v1/runs").body["data"].empty());
  auto listens = app.registration();
  listens["appName"] = "other";
  listens["functions"][0]["id"] = "other-f";
  listens["functions"][0]["triggers"] = {{{"event", server::invoke_event_of("app-f")}}};
  const auto refused = world.ask("POST", "/fn/register", listens);
  BOOST_TEST(refused.status == 400);
  BOOST_TEST(refused.text.find("triggers[0]") != std::string::npos, refused.text);
  BOOST_TEST(world.ask("POST", "/invoke/app-f").status == 200);
}

// What SDK v4 registers of triggers: [invoke(…)].
BOOST_AUTO_TEST_CASE(a_function_without_a_trigger_can_be_invoked) {
  fake_app app{[](const json& call) { return call["event"]["data"]["n"]; }};
  server_world world;
  auto registration = app.registration();
  registration["functions"][0]["triggers"] = json::array();
  BOOST_TEST(world.ask("POST", "/fn/register", registration).status == 200);
  const auto invoked = world.ask("POST", "/invoke/app-f", {{"data", {{"n", 5}}}});
  BOOST_TEST(invoked.status == 200, invoked.text);
  BOOST_TEST(world.ended(invoked.body["run_id"])["output"] == 5);
}

// ---- syncs and signatures

BOOST_AUTO_TEST_CASE(an_app_that_answers_a_sync_with_its_functions_is_registered) {
  fake_app app{[](const json&) { return 7; }};
  app.answer_instead = [&](const http::request& request) {
    if (request.method == "PUT") {
      auto told = http::response::json(200, json{{"app_id", "app"}, {"url", json::parse(request.body)["url"]}, {"sdk_language", "js"}, {"sdk_version", "4.18.1"}, {"functions", app.registration()["functions"]}}.dump());
      told.headers.add("x-inngest-sync-kind", "in_band");
      return told;
    }
    auto told = http::response::json(200, "7");
    told.headers.add("x-inngest-sdk", "test");
    return told;
  };
  server_world world;
  const auto made = world.ask("POST", "/v1/syncs", {{"url", app.url()}});
  BOOST_TEST(made.status == 200, made.text);
  BOOST_TEST(made.body["data"]["kind"] == "in_band");
  BOOST_TEST(made.body["data"]["modified"] == true);
  BOOST_TEST(world.ask("POST", "/v1/syncs", {{"url", app.url()}}).body["data"]["modified"] == false);
  BOOST_TEST(world.ended(world.start({{"n", 1}}))["output"] == 7);
}

BOOST_AUTO_TEST_CASE(a_sync_that_fails_says_why) {
  fake_app app{[](const json&) { return 1; }};
  http::response told;
  app.answer_instead = [&](const http::request&) { return told; };
  server_world world;
  const auto synced = [&](http::response answer) {
    told = std::move(answer);
    return world.ask("POST", "/v1/syncs", {{"url", app.url()}});
  };
  const auto in_band = [](const json& body) { return http::response{.status = 200, .headers = {{"x-inngest-sync-kind", "in_band"}}, .body = body.dump()}; };
  BOOST_TEST(synced(http::response::json(500, "{}")).status == 502);
  BOOST_TEST(synced(in_band(5)).status == 400);
  BOOST_TEST(synced(in_band({{"functions", json::array()}})).text.find("app_id") != std::string::npos);
  BOOST_TEST(synced(in_band({{"app_id", "a"}})).text.find("functions") != std::string::npos);
  BOOST_TEST(synced(in_band({{"app_id", "a"}, {"functions", {{{"id", "f"}}}}})).status == 400);
  BOOST_TEST(synced(http::response::json(200, "{}")).body["data"]["kind"] == "out_of_band");
  const auto refused = synced(http::response::json(200, R"({"error":"appName is missing"})"));  // Python's SDK, of a registration that this server refused
  BOOST_TEST(refused.status == 502);
  BOOST_TEST(refused.text.find("appName is missing") != std::string::npos, refused.text);
  BOOST_TEST(world.ask("POST", "/v1/syncs", json::object()).status == 400);
  BOOST_TEST(world.ask("POST", "/v1/syncs", {{"url", app.url()}, {"uri", app.url()}}).status == 400);
  BOOST_TEST(world.ask("POST", "/v1/syncs", {{"url", "ftp://x"}}).status == 502);
  BOOST_TEST(world.ask("POST", "/v1/syncs", {{"url", 5}}).status == 400);
}

// Python's SDK tells its functions only to who signs.
BOOST_AUTO_TEST_CASE(an_app_that_refuses_an_in_band_sync_without_a_signature_registers_by_itself, *boost::unit_test::timeout(60)) {
  std::vector<std::string> kinds;
  fake_app app{[](const json&) { return 7; }};
  app.answer_instead = [&](const http::request& request) {
    kinds.push_back(request.headers.get("x-inngest-sync-kind"));
    return kinds.back() == "in_band" ? http::response::json(401, R"({"code":"header_missing"})") : http::response::json(200, R"({"ok":true})");
  };
  server_world world;
  const auto made = world.ask("POST", "/v1/syncs", {{"url", app.url()}});
  BOOST_TEST(made.status == 200, made.text);
  BOOST_TEST(made.body["data"]["kind"] == "out_of_band");
  BOOST_TEST((kinds == std::vector<std::string>{"in_band", ""}));
}

// Of an answer only the headers are kept that somebody reads.
BOOST_AUTO_TEST_CASE(what_the_headers_of_an_answer_say_is_done) {
  std::atomic<int> calls{0};
  http::response first;
  fake_app app{nullptr};
  app.answer_instead = [&](const http::request&) {
    auto told = ++calls == 1 ? first : http::response::json(200, "7");
    told.headers.add("X-Inngest-SDK", "test");
    told.headers.add("x-other", "of no interest");
    return told;
  };
  server_world world{{.retry_interval = 1ms}};
  world.ask("POST", "/fn/register", app.registration());
  const auto start = [&](http::response answered_first) {
    first = std::move(answered_first);
    calls = 0;
    return world.start({{"n", 1}});
  };
  const json failure{{"name", "Error"}, {"message", "no"}};
  BOOST_TEST(world.ended(start({.status = 500, .headers = {{"X-Inngest-No-Retry", "true"}}, .body = failure.dump()}))["status"] == "Failed");
  BOOST_TEST(calls == 1);

  const auto later = start({.status = 500, .headers = {{"Retry-After", "3600"}}, .body = failure.dump()});
  world.reaches(later, run_status::backing_off);
  const auto at = parse_time(world.ask("GET", "/v1/runs/" + later + "/jobs").body["data"][0]["at"].get<std::string>());
  BOOST_TEST((at.value() > std::chrono::time_point_cast<duration>(std::chrono::system_clock::now()) + 30min));

  const json rests{{{"op", "Sleep"}, {"id", "short"}, {"name", "1ms"}}, {{"op", "Sleep"}, {"id", "long"}, {"name", "1h"}}};
  BOOST_TEST(world.ended(start({.status = 206, .headers = {{"x-inngest-req-version", "1"}}, .body = rests.dump()}))["output"] == 7);  // did not wait for both
}

BOOST_AUTO_TEST_CASE(while_keys_are_replaced_either_is_good_in_both_directions) {
  const std::string key = "signkey-test-00ff";
  const std::string fallback = "signkey-test-0a0b";
  std::atomic<int> refused{0};
  std::string signs_with = fallback;
  fake_app app{[](const json&) { return 1; }};
  // Knows the old key only.
  app.answer_instead = [&](const http::request& request) {
    const std::vector keys{fallback};
    const auto now = static_cast<std::int64_t>(std::time(nullptr));
    if (http::verify_signature(request.headers.get("x-inngest-signature"), request.body, keys, now) != http::signature_check::valid) {
      ++refused;
      return http::response::json(401, "{}");
    }
    auto told = http::response::json(200, request.method == "PUT" ? json{{"app_id", "app"}, {"functions", app.registration()["functions"]}}.dump() : "7");
    told.headers.add("x-inngest-sdk", "test");
    told.headers.add("x-inngest-sync-kind", "in_band");
    told.headers.add("x-inngest-signature", http::sign_request(signs_with, told.body, now));
    return told;
  };
  server_world world{{.signing_key = key, .signing_key_fallback = fallback, .retry_interval = 1ms}};
  world.bearer = http::hashed_key(fallback);
  BOOST_TEST(world.ask("POST", "/v1/syncs", {{"url", app.url()}}).status == 200);
  BOOST_TEST(world.ended(world.start({{"n", 1}}))["output"] == 7);
  BOOST_TEST(refused == 2);
  world.bearer = http::hashed_key(key);
  BOOST_TEST(world.ask("GET", "/v1/functions").status == 200);
  world.bearer = std::string{http::without_prefix(http::hashed_key(key))};  // as Python's SDK sends it
  BOOST_TEST(world.ask("GET", "/v1/functions").status == 200);
  for (const char* const other : {"signkey-test-0c0c", "0c0c"}) {
    world.bearer = http::hashed_key(other);
    BOOST_TEST(world.ask("GET", "/v1/functions").status == 401);
  }

  world.bearer = http::hashed_key(key);
  signs_with = "signkey-test-0c0c";
  BOOST_TEST(world.ask("POST", "/v1/syncs", {{"url", app.url()}}).text.find("not signed") != std::string::npos);
  const auto run = world.ended(world.start({{"n", 2}}));
  BOOST_TEST(run["status"] == "Failed");
  BOOST_TEST(run["output"]["message"].get<std::string>().find("neither the signing key nor its fallback") != std::string::npos);
}

// ---- pages

BOOST_AUTO_TEST_CASE(a_page_of_runs_ends_at_a_number_of_bytes_and_the_next_goes_on) {
  fake_app app{[](const json&) { return json(std::string(4'000'000, 'x')); }};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  std::vector<std::string> started;
  for (int i = 0; i < 6; ++i) started.insert(started.begin(), world.start({{"i", i}}));
  for (const auto& run : started) BOOST_REQUIRE(world.server().runtime().wait(*parse_id<run_id>(run), 60s).has_value());
  std::vector<std::string> listed;
  std::string cursor;
  int pages = 0;
  do {
    const auto page = world.ask("GET", "/v1/runs?limit=1000" + (cursor.empty() ? "" : "&cursor=" + cursor));
    BOOST_REQUIRE(page.status == 200);
    BOOST_TEST(page.text.size() < 21'000'000U);
    for (const auto& one : page.body["data"]) listed.push_back(one["run_id"]);
    cursor = page.headers.get("x-caesura-next");
    ++pages;
  } while (!cursor.empty() && pages < 10);
  BOOST_TEST(pages == 2);
  BOOST_TEST(listed == started, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_page_of_events_ends_at_a_number_of_bytes_and_the_next_goes_on) {
  server_world world;
  std::vector<std::string> sent;
  for (int i = 0; i < 36; ++i) sent.insert(sent.begin(), world.ask("POST", "/e/key", {{"name", "a"}, {"data", {{"text", std::string(500'000, 'x')}}}}).body["ids"][0]);
  std::vector<std::string> listed;
  std::string cursor;
  int pages = 0;
  do {
    const auto page = world.ask("GET", "/v1/events?limit=1000" + (cursor.empty() ? "" : "&cursor=" + cursor));
    BOOST_REQUIRE(page.status == 200);
    BOOST_TEST(page.text.size() < 17'500'000U);
    std::ranges::copy(ids_in(page), std::back_inserter(listed));
    cursor = page.headers.get("x-caesura-next");
    ++pages;
  } while (!cursor.empty() && pages < 10);
  BOOST_TEST(pages == 2);
  BOOST_TEST(listed == sent, boost::test_tools::per_element());
}

// ---- metrics

BOOST_AUTO_TEST_CASE(metrics_tell_what_happened_as_prometheus_reads_it) {
  fake_app app{[](const json&) { return 1; }};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const auto run = world.start({{"id", "t"}});
  world.ended(run);
  world.ask("DELETE", "/v1/runs/" + run);
  const auto told = world.ask("GET", "/metrics");
  BOOST_TEST(told.headers.get("content-type").starts_with("text/plain; version=0.0.4"));
  for (const char* const line : {"caesura_events_accepted_total 1\n", "caesura_runs_started_total 1\n", "caesura_cancel_requests_total{outcome=\"already_completed\"} 1\n",
                                 "caesura_calls_out 0\n", "caesura_calls_total{result=\"answered\"} 1\n", "caesura_call_duration_seconds_count 1\n",
                                 "caesura_call_duration_seconds_bucket{le=\"+Inf\"} 1\n", "caesura_runs_open{status=\"sleeping\"} 0\n", "caesura_stream_clients 0\n",
                                 "# TYPE caesura_call_duration_seconds histogram\n", "caesura_store_bytes ", "caesura_uptime_seconds "}) {
    BOOST_TEST(told.text.find(line) != std::string::npos, line);
  }
  // Each line is a comment, or a name with an optional label and a number.
  std::size_t at = 0;
  while (at < told.text.size()) {
    const auto end = told.text.find('\n', at);
    BOOST_REQUIRE(end != std::string::npos);
    const auto line = told.text.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("# ")) continue;
    const auto space = line.rfind(' ');
    BOOST_REQUIRE(space != std::string::npos);
    BOOST_TEST(line.starts_with("caesura_"));
    std::size_t used = 0;
    BOOST_TEST(std::stod(line.substr(space + 1), &used) >= 0);
    BOOST_TEST(used == line.size() - space - 1);
  }
}

// ---- the stream of runs

BOOST_AUTO_TEST_CASE(a_client_follows_what_becomes_of_runs) {
  fake_app app{[](const json&) { return 1; }};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  auto all = http_test::raw_socket::to(world.port());
  all.send("GET /v1/stream HTTP/1.0\r\n\r\n");
  auto other = http_test::raw_socket::to(world.port());
  other.send("GET /v1/stream?function_id=other HTTP/1.0\r\n\r\n");
  BOOST_TEST(all.read_through("from here on\n\n").find("text/event-stream") != std::string::npos);
  other.read_through("from here on\n\n");
  const auto run = world.start({{"id", "t"}});
  std::string ended;
  std::vector<std::string> seen;
  while (seen.size() < 3) {
    const auto told = all.read_through("\n\n");
    if (told.starts_with("event: run.ended")) ended = told;
    seen.push_back(told.substr(0, told.find('\n')));
  }
  std::ranges::sort(seen);
  BOOST_TEST(seen == (std::vector<std::string>{"event: run.created", "event: run.ended", "event: run.started"}), boost::test_tools::per_element());
  const auto data = json::parse(ended.substr(ended.find("data: ") + 6));
  BOOST_TEST(data["run_id"] == run);
  BOOST_TEST(data["status"] == "Completed");
  BOOST_TEST(data["function"] == "app-f");
  world.server().stop(10s);
  BOOST_TEST(other.read_to_end().find("event:") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_run_that_collects_events_is_told_of_as_created_once) {
  const std::vector<std::pair<std::string, json>> options{{"debounce", {{"period", "1h"}}}, {"batchEvents", {{"maxSize", 9}, {"timeout", "1h"}}}};
  for (const auto& [option, value] : options) {
    fake_app app{[](const json&) { return 1; }};
    server_world world;
    auto told = app.registration();
    told["functions"][0].erase("cancel");
    told["functions"][0][option] = value;
    BOOST_TEST(world.ask("POST", "/fn/register", told).status == 200);
    auto client = http_test::raw_socket::to(world.port());
    client.send("GET /v1/stream HTTP/1.0\r\n\r\n");
    client.read_through("from here on\n\n");
    const auto run = world.start({{"n", 1}});
    BOOST_TEST(world.start({{"n", 2}}) == run);
    world.server().stop(10s);
    const auto seen = client.read_to_end();
    const auto at = seen.find("event: run.created");
    BOOST_TEST(at != std::string::npos, option);
    BOOST_TEST(seen.find("event: run.created", at + 1) == std::string::npos, option);
  }
}

BOOST_AUTO_TEST_CASE(a_stream_shows_that_it_lives_and_has_room_for_so_many) {
  server_world world{{.stream_clients = 1, .stream_heartbeat = 5ms}};
  auto client = http_test::raw_socket::to(world.port());
  client.send("GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  client.read_through(": still here\n\n");
  BOOST_TEST(world.ask("GET", "/v1/stream").status == 503);
  BOOST_TEST(world.ask("GET", "/v1/stream?run_id=none").status == 400);
  client.close();
}

BOOST_AUTO_TEST_SUITE_END()
