// A server and an app on this machine, over HTTP. The app is a listener that answers as an SDK would; the SDKs themselves are in tests/sdk.

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>

#include "runtime/server/app_registry.hpp"
#include "runtime/server/http/signature.hpp"
#include "runtime/server/sdk_protocol.hpp"
#include "tests/http/sockets.hpp"
#include "tests/server/server_world.hpp"
#include "tests/support/refusal.hpp"

namespace {

using namespace server_test;

}  // namespace

BOOST_AUTO_TEST_SUITE(server_over_http)

BOOST_AUTO_TEST_CASE(a_registered_function_is_called_until_it_completes) {
  fake_app app{[](const json& call) -> json {
    if (!call["steps"].contains("h1")) return json::array({{{"op", "StepRun"}, {"id", "h1"}, {"data", call["event"]["data"]["n"]}}});
    return {{"twice", 2 * call["steps"]["h1"]["data"].get<int>()}};
  }};
  server_world world;
  BOOST_TEST(world.ask("POST", "/fn/register", app.registration()).body["ok"] == true);
  const auto run = world.ended(world.start({{"n", 4}}));
  BOOST_TEST(run["status"] == "Completed");
  BOOST_TEST(run["output"]["twice"] == 8);
}

BOOST_AUTO_TEST_CASE(a_call_that_is_out_completes_and_the_cancelled_run_is_not_called_again) {
  std::promise<void> is_called;
  std::promise<void> may_answer;
  std::atomic<int> calls{0};
  fake_app app{[&, gate = may_answer.get_future().share()](const json&) -> json {
    if (++calls == 1) is_called.set_value();
    gate.wait();
    return json::array({{{"op", "StepRun"}, {"id", "h1"}, {"data", 1}}});
  }};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const auto run = world.start({{"id", "t-1"}});
  is_called.get_future().wait();
  const auto cancelled = world.ask("DELETE", "/v1/runs/" + run + "?reason=asked");
  BOOST_TEST(cancelled.status == 200);
  BOOST_TEST(cancelled.headers.get("x-caesura-outcome") == "cancelling");
  may_answer.set_value();
  const auto ended = world.ended(run);
  BOOST_TEST(ended["status"] == "Cancelled");
  BOOST_TEST(ended["cancelled_by"]["reason"] == "asked");
  BOOST_TEST(world.ask("GET", "/v0/runs/" + run + "/actions").body["h1"]["data"] == 1);
  BOOST_TEST(calls == 1);
  BOOST_TEST(world.ask("DELETE", "/v1/runs/" + run).headers.get("x-caesura-outcome") == "already_cancelled");
}

// As a deployment does it: the old process still ends what it executes.
BOOST_AUTO_TEST_CASE(a_run_that_is_under_way_goes_on_where_its_app_has_moved_to) {
  std::promise<void> is_called;
  std::promise<void> may_answer;
  std::atomic<int> calls = 0;
  fake_app before{[&, gate = may_answer.get_future().share()](const json&) -> json {
    if (++calls == 1) is_called.set_value();
    gate.wait();
    return json::array({{{"op", "StepRun"}, {"id", "h1"}, {"data", 1}}});
  }};
  fake_app after{[](const json& call) { return call["steps"]["h1"]["data"]; }};
  server_world world;
  world.ask("POST", "/fn/register", before.registration());
  const auto run = world.start({{"id", "t-1"}});
  is_called.get_future().wait();
  BOOST_TEST(world.ask("POST", "/fn/register", after.registration()).body["modified"] == true);
  may_answer.set_value();
  BOOST_TEST(world.ended(run)["output"] == 1);
  BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(apps_are_asked_for_their_functions_until_they_are_there_and_again, *boost::unit_test::timeout(60)) {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> told;
  int state = 0;  // 0: the app is not ready, 1: one function, 2: another
  int asked = 0;
  fake_app app{[](const json&) { return 7; }};
  app.answer_instead = [&](const http::request& request) {
    const std::lock_guard lock{mutex};
    if (request.method != "PUT") {
      auto made = http::response::json(200, "7");
      made.headers.add("x-inngest-sdk", "test");
      return made;
    }
    ++asked;
    if (state == 0) return http::response::json(503, R"("not yet")");
    auto functions = app.registration()["functions"];
    if (state == 2) functions[0]["id"] = "app-g";
    auto made = http::response::json(200, json{{"app_id", "app"}, {"functions", functions}}.dump());
    made.headers.add("x-inngest-sync-kind", "in_band");
    return made;
  };
  server::server_options options{.apps = {app.url()}, .app_interval = 5ms};
  options.observer.on_diagnostic = [&](const std::string& text, const run_id&) {
    const std::lock_guard lock{mutex};
    told.push_back(text);
    changed.notify_all();
  };
  {
    server_world world{options};
    const auto is_told = [&](const std::string& part, int next) {
      std::unique_lock lock{mutex};
      changed.wait(lock, [&] { return !told.empty() && told.back().find(part) != std::string::npos; });
      state = next;
    };
    is_told("status 503", 1);
    is_told("app \"app\" at " + app.url() + " has registered, with 1 function", 2);
    BOOST_TEST(world.ended(world.start({{"n", 1}}))["output"] == 7);
    const auto is_known = [&] {
      const auto known = world.server().runtime().functions();
      return std::ranges::any_of(known, [](const function_info& fn) { return fn.id == "app-g" && fn.is_registered; });
    };
    while (!is_known()) std::this_thread::yield();
  }
  BOOST_TEST(asked > 2);
  BOOST_TEST(told.size() == 2U);  // each once
  const testing::temporary_directory directory;
  const auto refusal = [&](std::vector<std::string> apps, duration interval) -> std::string {
    try {
      caesura::server::server{{.directory = directory.path(), .port = 0, .apps = std::move(apps), .app_interval = interval}};
    } catch (const error& e) {
      return e.what();
    }
    return {};
  };
  BOOST_TEST(refusal({"127.0.0.1:3000"}, 5s).find("127.0.0.1:3000") != std::string::npos);
  BOOST_TEST(refusal({app.url()}, 0s).find("app_interval") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(of_two_places_that_are_asked_for_one_app_the_first_is_called, *boost::unit_test::timeout(60)) {
  const auto in_band = [](fake_app& app, int result) {
    app.answer_instead = [&app, result](const http::request& request) {
      auto made = http::response::json(200, request.method == "PUT" ? json{{"app_id", "app"}, {"url", app.url()}, {"functions", app.registration()["functions"]}}.dump() : std::to_string(result));
      made.headers.add(request.method == "PUT" ? "x-inngest-sync-kind" : "x-inngest-sdk", request.method == "PUT" ? "in_band" : "test");
      return made;
    };
  };
  fake_app first{nullptr};
  fake_app second{nullptr};
  in_band(first, 1);
  in_band(second, 2);
  std::promise<std::string> refused;
  std::atomic<bool> is_refused = false;
  server::server_options options{.apps = {first.url(), second.url()}, .app_interval = 5ms};
  options.observer.on_diagnostic = [&](const std::string& text, const run_id&) {
    if (text.find("which is asked, too") != std::string::npos && !is_refused.exchange(true)) refused.set_value(text);
  };
  server_world world{options};
  const auto text = refused.get_future().get();
  const bool is_second_refused = text.starts_with("the app at " + second.url());
  for (int i = 0; i < 3; ++i) BOOST_TEST(world.ended(world.start({{"n", i}}))["output"] == (is_second_refused ? 1 : 2));
}

BOOST_AUTO_TEST_CASE(a_server_that_stops_gives_up_on_an_app_that_does_not_answer, *boost::unit_test::timeout(60)) {
  std::promise<void> is_asked;
  std::promise<void> may_answer;
  std::once_flag once;
  fake_app app{nullptr};
  app.answer_instead = [&, gate = may_answer.get_future().share()](const http::request&) {
    std::call_once(once, [&] { is_asked.set_value(); });
    gate.wait();
    return http::response::json(200, "{}");
  };
  {
    server_world world{{.apps = {app.url()}}};
    is_asked.get_future().wait();
  }
  may_answer.set_value();
}

BOOST_AUTO_TEST_CASE(a_registration_without_functions_takes_none_away) {
  fake_app app{[](const json&) { return 1; }};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const auto refused = world.ask("POST", "/fn/register", {{"appName", "app"}});
  BOOST_TEST(refused.status == 400);
  BOOST_TEST(refused.text.find("functions is missing") != std::string::npos, refused.text);
  BOOST_TEST(world.ended(world.start({{"n", 1}}))["status"] == "Completed");
}

BOOST_AUTO_TEST_CASE(steps_are_known_by_their_names_where_ids_are_hashes) {
  std::atomic<int> calls = 0;
  fake_app app{[&](const json& call) -> json {
    const auto done = call["steps"].size();
    if (done == 3) return ++calls;
    const char* const names[] = {"charge", "twice", "twice"};
    return json::array({{{"op", "StepRun"}, {"id", "h" + std::to_string(done)}, {"displayName", names[done]}, {"data", done}}});
  }};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const auto run = world.start({{"n", 1}});
  world.ended(run);
  BOOST_TEST(world.ask("GET", "/v1/runs/" + run + "/explain").text.find("step \\\"charge\\\" completed") != std::string::npos);
  const auto replay = [&](const json& step) { return world.ask("POST", "/v1/runs/" + run + "/replay", {{"from_step", step}}); };
  const auto again = replay("charge");
  BOOST_REQUIRE_EQUAL(again.status, 200);
  BOOST_TEST(world.ended(again.body["data"]["run_id"])["output"] == 2);
  BOOST_TEST(replay("h1").status == 200);
  BOOST_TEST(replay(nullptr).status == 200);
  const auto ambiguous = replay("twice");
  BOOST_TEST(ambiguous.status == 400);
  BOOST_TEST(ambiguous.text.find("several steps named") != std::string::npos, ambiguous.text);
  const std::string function = world.ask("GET", "/v1/runs/" + run).body["data"]["function_id"];
  BOOST_TEST(world.ask("GET", "/v1/runs?function_id=" + function).body["data"].size() == 4U);
  BOOST_TEST(world.ask("GET", "/v1/runs?function_id=app-f").body["data"].size() == 4U);
}

BOOST_AUTO_TEST_CASE(events_with_one_seed_are_accepted_once_and_an_array_is_accepted_whole_or_not_at_all) {
  server_world world;
  const json events = json::array({{{"name", "a"}, {"data", json::object()}}, {{"name", "b"}, {"data", json::object()}}});
  const auto first = world.ask("POST", "/e/key", events, {{"x-inngest-event-id-seed", "1,AAAA"}});
  const auto again = world.ask("POST", "/e/key", events, {{"x-inngest-event-id-seed", "1,AAAA"}});
  BOOST_TEST(first.status == 200);
  BOOST_TEST(first.body["ids"] == again.body["ids"]);
  const std::string id = first.body["ids"][0];
  BOOST_TEST(world.ask("GET", "/v1/events/" + id).body["data"]["id"] == id);  // functions see it as well: the seed is no id
  const auto bad = world.ask("POST", "/e/key", json::array({{{"name", "c"}, {"id", "c1"}}, {{"name", "inngest/x"}}}));
  BOOST_TEST(bad.status == 400);
  BOOST_TEST(world.ask("POST", "/e/key", {{"name", "c"}, {"id", "c1"}, {"data", {{"other", 1}}}}).status == 200);
  BOOST_TEST(world.ask("POST", "/e/key", {{"name", "c"}, {"id", "c1"}, {"data", {{"other", 2}}}}).status == 409);
}

BOOST_AUTO_TEST_CASE(events_are_listed_by_page_name_and_window) {
  server_world world;
  for (const char* const name : {"a", "b", "a"}) world.ask("POST", "/e/key", {{"name", name}, {"data", json::object()}});
  const auto first = world.ask("GET", "/v1/events?limit=2");
  BOOST_REQUIRE(first.body["data"].size() == 2U);
  BOOST_TEST(first.body["data"][1]["name"] == "b");
  const auto second = world.ask("GET", "/v1/events?limit=2&cursor=" + first.headers.get("x-caesura-next"));
  BOOST_REQUIRE(second.body["data"].size() == 1U);
  BOOST_TEST(world.ask("GET", "/v1/events?name=b").body["data"].size() == 1U);
  BOOST_TEST(world.ask("GET", "/v1/events?received_before=2020-01-01T00:00:00Z").body["data"].empty());
  BOOST_TEST(world.ask("GET", "/v1/events?received_after=soon").status == 400);
  BOOST_TEST(world.ask("GET", "/v1/events?cursor=none").status == 400);
}

BOOST_AUTO_TEST_CASE(malformed_requests_are_answered_with_what_is_wrong) {
  server_world world;
  BOOST_TEST(world.ask("POST", "/e/key", "{").status == 400);
  BOOST_TEST(world.ask("POST", "/fn/register", "[]").status == 400);
  BOOST_TEST(world.ask("POST", "/fn/register", {{"appName", 5}}).status == 400);
  BOOST_TEST(world.ask("POST", "/v1/cancellations", {{"app_id", "a"}, {"function_id", "f"}, {"started_before", "soon"}}).status == 400);
  BOOST_TEST(world.ask("POST", "/v1/checkpoint/01ARZ3NDEKTSV4RRFFQ69G5FAV/async", {{"qi_id", "1"}, {"steps", json::array()}}).status == 404);
  BOOST_TEST(world.ask("POST", "/v1/functions/none/pause").status == 404);
  BOOST_TEST(world.ask("GET", "/v1/cancellations/none").status == 400);
  const auto patched = world.ask("PATCH", "/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV");
  BOOST_TEST(patched.status == 405);
  BOOST_TEST(patched.headers.get("allow") == "GET, DELETE");
  BOOST_TEST(world.ask("GET", "/v1/none").status == 404);
}

BOOST_AUTO_TEST_CASE(with_keys_the_api_asks_for_them) {
  server_world world{{.signing_key = "signkey-test-00ff", .event_keys = {"right"}}};
  BOOST_TEST(world.ask("GET", "/v1/functions").status == 401);
  BOOST_TEST(world.ask("GET", "/v1/functions", nullptr, {{"authorization", "Bearer signkey-test-00ff"}}).status == 401);
  BOOST_TEST(world.ask("POST", "/e/wrong", {{"name", "a"}}).status == 401);
  BOOST_TEST(world.ask("POST", "/e/right", {{"name", "a"}}).status == 200);
  BOOST_TEST(world.ask("GET", "/health").status == 200);
}

BOOST_AUTO_TEST_CASE(who_has_no_key_is_told_of_no_function) {
  fake_app app{[](const json&) { return 1; }};
  server_world open;
  open.ask("POST", "/fn/register", app.registration());
  BOOST_TEST(open.ask("GET", "/dev").body["functions"].size() == 1U);
  server_world locked{{.signing_key = "signkey-test-00ff"}};
  locked.bearer = http::hashed_key("signkey-test-00ff");
  BOOST_TEST(locked.ask("POST", "/fn/register", app.registration()).status == 200);
  locked.bearer.clear();
  const auto told = locked.ask("GET", "/dev");
  BOOST_TEST(told.status == 200);
  BOOST_TEST(told.body["functions"].empty());
}

// Without a key whoever reaches the server may do everything, and every page in a browser on this machine reaches it.
BOOST_AUTO_TEST_CASE(without_a_signing_key_pages_of_other_origins_are_refused) {
  fake_app app{[](const json&) { return 1; }};
  server_world open{{.event_keys = {"right"}}};
  const auto status = [](server_world& world, const char* method, const char* path, const json& body, const std::string& origin) {
    return world.ask(method, path, body, {{"origin", origin}}).status;
  };
  for (const char* const foreign : {"https://evil.example", "http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://192.168.0.1:3000", "null", "http://", "localhost",
                                    "http://localhost@evil.example", ""}) {
    BOOST_TEST(status(open, "POST", "/fn/register", app.registration(), foreign) == 403, foreign);
    BOOST_TEST(status(open, "GET", "/v1/functions", nullptr, foreign) == 403, foreign);
    BOOST_TEST(status(open, "GET", "/dev", nullptr, foreign) == 403, foreign);
    BOOST_TEST(status(open, "POST", "/e/right", {{"name", "a"}}, foreign) == 200, foreign);  // who has an event key may send events
  }
  BOOST_TEST(open.ask("GET", "/v1/functions", nullptr, {{"origin", "https://evil.example"}}).text.find("https://evil.example") != std::string::npos);
  BOOST_TEST(open.ask("GET", "/v1/functions").body["data"].empty());
  for (const char* const own : {"http://localhost:3000", "http://127.0.0.1", "https://[::1]:8288", "http://LOCALHOST"}) {
    BOOST_TEST(status(open, "POST", "/fn/register", app.registration(), own) == 200, own);
  }
  server_world keyless;
  BOOST_TEST(status(keyless, "POST", "/e/any", {{"name", "a"}}, "https://evil.example") == 403);
  server_world locked{{.signing_key = "signkey-test-00ff"}};
  BOOST_TEST(status(locked, "GET", "/v1/functions", nullptr, "https://evil.example") == 401);
  locked.bearer = http::hashed_key("signkey-test-00ff");
  BOOST_TEST(status(locked, "GET", "/v1/functions", nullptr, "https://evil.example") == 200);
}

// A page whose name leads to this machine (DNS rebinding) is of the server's own origin to the browser, which then names no origin with a GET.
BOOST_AUTO_TEST_CASE(without_a_signing_key_the_server_is_not_asked_under_a_name_that_others_control) {
  const auto status = [](server_world& world, const std::string& request, const std::string& host) {
    const auto answer = http_test::raw_socket::to(world.port()).send(request + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n").read_to_end();
    return answer.substr(0, answer.find("\r\n"));
  };
  const std::string ok = "HTTP/1.1 200 OK";
  const std::string forbidden = "HTTP/1.1 403 Forbidden";
  server_world open{{.event_keys = {"right"}, .allowed_hosts = {"Caesura.example"}}};
  for (const char* const foreign : {"evil.example", "evil.example:8288", "localhost.evil.example", "127.0.0.1.evil.example", "internal", "x", "a@localhost", ""}) {
    BOOST_TEST(status(open, "GET /v1/functions", foreign) == forbidden, foreign);
    BOOST_TEST(status(open, "GET /dev", foreign) == forbidden, foreign);
    BOOST_TEST(status(open, "DELETE /v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV", foreign) == forbidden, foreign);
  }
  for (const char* const own : {"localhost", "localhost:8288", "LOCALHOST", "app.localhost:1", "127.0.0.1:8288", "192.168.0.1", "[::1]:8288", "host.docker.internal:8288", "caesura.example:80"}) {
    BOOST_TEST(status(open, "GET /v1/functions", own) == ok, own);
  }
  BOOST_TEST(open.ask("GET", "/v1/functions", nullptr, {{"origin", "https://caesura.example"}}).status == 200);
  server_world locked{{.signing_key = "signkey-test-00ff"}};
  BOOST_TEST(status(locked, "GET /v1/functions", "evil.example") == "HTTP/1.1 401 Unauthorized");
  BOOST_TEST(caesura::testing::refusal([] { server_world{{.allowed_hosts = {"http://a"}}}; }).find("\"http://a\" is no host's name") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_signing_key_alone_leaves_events_to_pages_of_this_machine) {
  server_world world{{.signing_key = "signkey-test-00ff"}};
  BOOST_TEST(world.ask("POST", "/e/any", {{"name", "a"}}, {{"origin", "https://evil.example"}}).status == 403);
  BOOST_TEST(world.ask("POST", "/e/any", {{"name", "a"}}, {{"origin", "http://localhost:3000"}}).status == 200);
  BOOST_TEST(world.ask("POST", "/e/any", {{"name", "a"}}).status == 200);
}

// One that an earlier version took, say.
BOOST_AUTO_TEST_CASE(a_stored_registration_that_is_not_honoured_any_more_leaves_out_its_app_alone) {
  fake_app app{[](const json&) { return 1; }};
  const caesura::testing::temporary_directory directory;
  auto wrong = app.registration();
  wrong["functions"][0]["optimise"] = true;
  wrong["appName"] = "wrong";
  std::ofstream{directory.path() + "/apps.json"} << json{{"app", app.registration()}, {"wrong", wrong}}.dump();
  server::app_registry apps{directory.path()};
  BOOST_REQUIRE(apps.all().size() == 1U);
  BOOST_TEST(apps.all()[0].name == "app");
  BOOST_REQUIRE(apps.left_out().size() == 1U);
  BOOST_TEST(apps.left_out()[0].find("app \"wrong\" is left out until it registers again") == 0U);
  BOOST_TEST(apps.left_out()[0].find("optimise is not supported") != std::string::npos);
  wrong["functions"][0].erase("optimise");
  BOOST_TEST(apps.put(server::read_registration(document(wrong)), document(wrong)));
  BOOST_TEST(server::app_registry{directory.path()}.all().size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_registration_that_could_not_be_written_is_not_confirmed_until_it_is) {
  fake_app app{[](const json&) { return 1; }};
  server_world world;
  const auto in_the_way = world.directory() + "/apps.json.new";
  std::filesystem::create_directory(in_the_way);
  for (int i = 0; i < 2; ++i) BOOST_TEST(world.ask("POST", "/fn/register", app.registration()).status == 500);
  BOOST_TEST(world.ask("GET", "/dev").body["functions"].empty());
  std::filesystem::remove(in_the_way);
  const auto told = world.ask("POST", "/fn/register", app.registration());
  BOOST_TEST(told.status == 200);
  BOOST_TEST(told.body["modified"] == true);
  BOOST_TEST(world.ended(world.start({{"n", 1}}))["status"] == "Completed");
  BOOST_TEST(world.ask("POST", "/fn/register", app.registration()).body["modified"] == false);
  BOOST_TEST(server::app_registry{world.directory()}.all().size() == 1U);
}

BOOST_AUTO_TEST_CASE(half_of_a_surrogate_pair_in_an_answer_or_an_event_is_no_reason_to_refuse_it) {
  fake_app app{nullptr};
  app.answer_instead = [](const http::request&) {
    auto told = http::response::json(200, R"({"cut":"x\ud83d"})");
    told.headers.add("x-inngest-sdk", "test");
    return told;
  };
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  const auto sent = world.ask("POST", "/e/key", R"([{"name":"go","data":{"cut":"\ude00y"}},{"name":"other"}])");
  BOOST_REQUIRE(sent.status == 200);
  const auto event = sent.body["ids"][0].get<std::string>();
  BOOST_TEST(world.ask("GET", "/v1/events/" + event).body["data"]["data"]["cut"] == "\uFFFDy");
  const auto run = world.ask("GET", "/v1/events/" + event + "/runs").body["data"][0]["run_id"].get<std::string>();
  BOOST_TEST(world.ended(run)["output"]["cut"] == "x\uFFFD");
}

BOOST_AUTO_TEST_CASE(a_call_that_cannot_be_written_fails_and_the_server_goes_on) {
  fake_app app{[](const json&) { return 1; }};
  server_world world{{.signing_key = "signkey-test-00ff", .retry_interval = 1ms}};
  world.bearer = http::hashed_key("signkey-test-00ff");
  world.ask("POST", "/fn/register", app.registration());
  const auto sent = world.ask("POST", "/e/key", R"({"name":"go","data":{"deep":)" + std::string(125, '[') + std::string(125, ']') + "}}");
  BOOST_TEST(sent.status == 200, sent.text);
  const std::string run = world.ask("GET", "/v1/events/" + sent.body["ids"][0].get<std::string>() + "/runs").body["data"][0]["run_id"];
  BOOST_TEST(world.ended(run)["output"]["message"].get<std::string>().find("cannot be written") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(large_answers_and_the_large_calls_after_them_arrive_whole) {
  const std::string large(300'000, 'x');
  fake_app app{[&](const json& call) -> json {
    if (call["steps"].empty()) return json::array({{{"op", "StepRun"}, {"id", "h"}, {"displayName", "large"}, {"data", large}}});
    return call["steps"]["h"]["data"].get<std::string>() + "!";
  }};
  server_world world;
  world.ask("POST", "/fn/register", app.registration());
  BOOST_TEST((world.ended(world.start({{"id", 1}}))["output"] == large + "!"));
}

BOOST_AUTO_TEST_CASE(a_server_that_others_can_reach_needs_keys) {
  const testing::temporary_directory directory;
  BOOST_CHECK_EXCEPTION((caesura::server::server{{.directory = directory.path(), .host = "0.0.0.0", .port = 0}}), error,
                        [](const error& e) { return std::string{e.what()}.find("signing key") != std::string::npos; });
}

BOOST_AUTO_TEST_CASE(a_server_that_cannot_listen_says_so_and_starts_no_run) {
  std::atomic<int> calls = 0;
  std::promise<void> is_called;
  std::promise<void> may_answer;
  fake_app app{[&, gate = may_answer.get_future().share()](const json&) -> json {
    if (++calls == 1) is_called.set_value();
    gate.wait();
    return 1;
  }};
  const testing::temporary_directory directory;
  {
    server_world world;
    world.ask("POST", "/fn/register", app.registration());
    world.start({{"id", "t-1"}});
    is_called.get_future().wait();
    world.server().stop(0ms);
    may_answer.set_value();
    std::filesystem::copy(world.directory(), directory.path(), std::filesystem::copy_options::recursive);
  }
  const http::listener other{{.port = 0}, [](http::request&&, const http::responder&) {}};
  const auto taken = [&](std::vector<std::string> hosts) {
    caesura::server::server{{.directory = directory.path(), .port = other.port(), .allowed_hosts = std::move(hosts)}};
  };
  BOOST_CHECK_EXCEPTION(taken({}), error, [&](const error& e) { return std::string{e.what()}.find(std::to_string(other.port())) != std::string::npos; });
  BOOST_CHECK_EXCEPTION(taken({"a host"}), error, [&](const error& e) { return std::string{e.what()}.find("no host's name") != std::string::npos; });
  BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(a_stop_gives_up_the_calls_that_are_out) {
  std::promise<void> is_called;
  std::promise<void> may_answer;
  std::once_flag once;
  fake_app app{[&, gate = may_answer.get_future().share()](const json&) -> json {
    std::call_once(once, [&] { is_called.set_value(); });
    gate.wait();
    return 1;
  }};
  {
    server_world world;
    world.ask("POST", "/fn/register", app.registration());
    world.start({{"id", "t-1"}});
    is_called.get_future().wait();
    world.server().stop(0ms);
  }
  may_answer.set_value();
}

BOOST_AUTO_TEST_SUITE_END()
