// What happens to an event: accepted, refused, de-duplicated, routed.

#include <boost/test/unit_test.hpp>

#include "actors/router_state.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::code_of;
using caesura::testing::refusal;
using caesura::testing::world;
using namespace std::chrono_literals;

function counting(const std::string& id, std::vector<trigger> triggers, int& count) {
  return {.id = id, .triggers = std::move(triggers), .body = [&count](context step) -> task<> {
            co_await step.run("count", [&] { ++count; });
          }};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(events)

BOOST_FIXTURE_TEST_CASE(the_same_event_again_changes_nothing_and_answers_as_the_first_time, world) {
  int count = 0;
  open({counting("f", {{.event = "go"}}, count)});
  const event value{.name = "go", .data = {{"n", 1}}, .id = "e-1"};
  const auto first = runtime().send(value);
  run();
  const auto again = runtime().send(value);
  run();
  BOOST_TEST(!first.is_duplicate);
  BOOST_TEST(again.is_duplicate);
  BOOST_TEST(again.id == first.id);
  BOOST_TEST(again.runs == first.runs, boost::test_tools::per_element());
  BOOST_TEST(count == 1);
}

BOOST_FIXTURE_TEST_CASE(a_duplicate_is_known_after_a_restart_and_forgotten_after_24_hours, world) {
  int count = 0;
  const auto functions = [&] { return std::vector{counting("f", {{.event = "go"}}, count)}; };
  open(functions());
  const event value{.name = "go", .id = "e-1"};
  runtime().send(value);
  run();
  close();
  open(functions());
  BOOST_TEST(runtime().send(value).is_duplicate);
  advance(days{1} - 1ms);
  BOOST_TEST(runtime().send(value).is_duplicate);
  advance(1ms);
  BOOST_TEST(!runtime().send(value).is_duplicate);
  run();
  BOOST_TEST(count == 2);
}

BOOST_FIXTURE_TEST_CASE(the_same_id_with_other_data_is_an_error, world) {
  int count = 0;
  open({counting("f", {{.event = "go"}}, count)});
  const event first{.name = "go", .data = {{"n", 1}}, .id = "e-1", .user = {{"id", "u"}}, .version = "1"};
  runtime().send(first);
  const auto refused = [&](const auto& change) {
    auto other = first;
    change(other);
    return code_of([&] { runtime().send(other); });
  };
  BOOST_TEST(refused([](event& e) { e.data = {{"n", 2}}; }) == errc::duplicate_id);
  BOOST_TEST(refused([](event& e) { e.user = {{"id", "v"}}; }) == errc::duplicate_id);
  BOOST_TEST(refused([](event& e) { e.user = {}; }) == errc::duplicate_id);
  BOOST_TEST(refused([](event& e) { e.version = "2"; }) == errc::duplicate_id);
  BOOST_TEST(runtime().send(first).is_duplicate);
  run();
  BOOST_TEST(count == 1);
}

BOOST_FIXTURE_TEST_CASE(the_same_id_under_another_name_is_another_event, world) {
  int count = 0;
  open({counting("f", {{.event = "tasks/*"}}, count)});
  runtime().send({.name = "tasks/created", .id = "t-1"});
  BOOST_TEST(!runtime().send({.name = "tasks/deleted", .id = "t-1"}).is_duplicate);
  run();
  BOOST_TEST(count == 2);
}

BOOST_FIXTURE_TEST_CASE(events_of_names_that_are_not_reserved_are_the_programs_own, world) {
  open({});
  for (const char* const name : {"caesura/demo", "inngested", "go"}) runtime().send({.name = name});
  const auto page = runtime().list_events({.system = system_events::left_out});
  BOOST_TEST(page.events.size() == 3U);
}

BOOST_FIXTURE_TEST_CASE(a_function_without_a_trigger_is_only_invoked, world) {
  int count = 0;
  open({counting("part", {}, count),
        {.id = "whole", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> { co_await step.invoke<>("call", "part", nlohmann::json::object()); }}});
  const auto run_of = start({.name = "go"});
  run();
  BOOST_TEST(status(run_of) == run_status::completed);
  BOOST_TEST(count == 1);
}

BOOST_FIXTURE_TEST_CASE(an_array_is_accepted_or_refused_as_a_whole, world) {
  int count = 0;
  open({counting("f", {{.event = "go"}}, count)});
  const std::vector<event> conflicting{{.name = "go", .data = {{"n", 1}}, .id = "a"}, {.name = "go", .data = {{"n", 2}}, .id = "a"}};
  BOOST_TEST(code_of([&] { runtime().send(conflicting); }) == errc::duplicate_id);
  const std::vector<event> invalid{{.name = "go"}, {.name = ""}};
  BOOST_TEST(refusal([&] { runtime().send(invalid); }).find("events[1]") != std::string::npos);
  run();
  BOOST_TEST(count == 0);
  BOOST_TEST(runtime().list().runs.empty());
  runtime().send(std::vector<event>{{.name = "go"}, {.name = "go"}});
  run();
  BOOST_TEST(count == 2);
}

BOOST_FIXTURE_TEST_CASE(a_malformed_event_is_refused_with_a_clear_error_and_nothing_is_recorded, world) {
  int count = 0;
  open({counting("f", {{.event = "*"}}, count)});
  const auto refused = [&](const event& value, const std::string& part) {
    BOOST_TEST(code_of([&] { runtime().send(value); }) == errc::invalid_event);
    BOOST_TEST_CONTEXT(refusal([&] { runtime().send(value); })) {
      BOOST_TEST(refusal([&] { runtime().send(value); }).find(part) != std::string::npos);
    }
  };
  refused({.name = ""}, "no name");
  refused({.name = "\xff"}, "UTF-8");
  refused({.name = std::string(256, 'n')}, "255");
  refused({.name = "go", .data = document(nlohmann::json::array({1, 2}))}, "object");
  refused({.name = "go", .data = {{"x", std::string(512 * 1024, 'x')}}}, "524288");
  refused({.name = "go", .id = std::string(257, 'i')}, "256");
  refused({.name = "go", .user = document(nlohmann::json::array({1, 2}))}, "user must be an object");
  refused({.name = "go", .user = {{"x", std::string(512 * 1024, 'x')}}}, "524288");
  refused({.name = "go", .version = std::string(256, 'v')}, "255");
  refused({.name = "go", .version = "\xff"}, "the version is not UTF-8");
  refused({.name = "inngest/function.cancelled"}, "reserved");
  refused({.name = "Inngest/x"}, "reserved");
  BOOST_TEST(code_of([&] { runtime().send(std::vector<event>(5001, event{.name = "go"})); }) == errc::invalid_event);
  run();
  BOOST_TEST(count == 0);
  runtime().send({.name = std::string(255, 'n'), .id = std::string(256, 'i')});
  run();
  BOOST_TEST(count == 1);
}

BOOST_FIXTURE_TEST_CASE(an_event_that_matches_several_triggers_starts_one_run, world) {
  int count = 0;
  open({counting("f", {{.event = "tasks/*"}, {.event = "tasks/created"}, {.event = "*"}}, count)});
  BOOST_TEST(runtime().send({.name = "tasks/created"}).runs.size() == 1U);
  BOOST_TEST(runtime().send({.name = "other"}).runs.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_trigger_with_a_condition_starts_only_what_matches, world) {
  int count = 0;
  open({counting("f", {{.event = "go", .when = "event.data.amount > 10"}}, count)});
  BOOST_TEST(runtime().send({.name = "go", .data = {{"amount", 11}}}).runs.size() == 1U);
  BOOST_TEST(runtime().send({.name = "go", .data = {{"amount", 10}}}).runs.empty());
}

BOOST_FIXTURE_TEST_CASE(the_user_and_the_version_of_an_event_are_told_to_whoever_is_told_of_it, world) {
  std::vector<event> seen;
  nlohmann::json cancelled;
  const auto functions = [&] {
    return std::vector<function>{{.id = "f",
                                  .triggers = {{.event = "go", .when = "event.v == '2' && event.user.id == 'u-1'"}},
                                  .cancel_on = {{.event = "stop", .when = "event.user.id == async.user.id"}},
                                  .body = [&](context step, event e) -> task<> {
                                    seen.push_back(e);
                                    if (const auto next = co_await step.wait_for_event("next").when("event.user.id == async.user.id")) seen.push_back(*next);
                                    co_await step.sleep_for("long", days{1});
                                  }},
                                 {.id = "watcher", .triggers = {{.event = "inngest/function.cancelled"}}, .body = [&](context, event e) -> task<> {
                                    cancelled = e.data.json();
                                    co_return;
                                  }}};
  };
  open(functions());
  const document user{{"id", "u-1"}, {"email", "u@example.org"}};
  const auto named = [](const char* name, const char* id) { return event{.name = name, .user = {{"id", id}}, .version = "2"}; };
  BOOST_TEST(runtime().send({.name = "go"}).runs.empty());
  BOOST_TEST(runtime().send(named("go", "u-2")).runs.empty());
  const auto sent = runtime().send({.name = "go", .user = user, .version = "2"});
  BOOST_REQUIRE_EQUAL(sent.runs.size(), 1U);
  run();
  close();
  open(functions());
  run();
  BOOST_REQUIRE(!seen.empty());
  BOOST_TEST((seen.back().user == user));
  BOOST_TEST(seen.back().version == "2");
  BOOST_TEST((runtime().find_event(sent.id).value().event.user == user));
  BOOST_TEST(runtime().find_event(sent.id).value().event.version == "2");

  const auto before = seen.size();
  runtime().send({.name = "next"});
  runtime().send(named("next", "u-2"));
  run();
  BOOST_TEST(seen.size() == before);
  runtime().send(named("next", "u-1"));
  run();
  BOOST_TEST(seen.size() > before);
  BOOST_TEST(seen.back().user.json()["id"] == "u-1");
  BOOST_TEST(seen.back().version == "2");

  for (const char* const other : {"u-2", "u-3"}) runtime().send(named("stop", other));
  runtime().send({.name = "stop", .data = {{"id", "u-1"}}});
  run();
  BOOST_TEST(status(sent.runs[0]) == run_status::sleeping);
  runtime().send(named("stop", "u-1"));
  run();
  BOOST_TEST(status(sent.runs[0]) == run_status::cancelled);
  BOOST_TEST((document(cancelled["event"]["user"]) == user));
  BOOST_TEST(cancelled["event"]["v"] == "2");
}

BOOST_FIXTURE_TEST_CASE(a_condition_that_fails_is_no_match_and_is_told, world) {
  int count = 0;
  open({counting("f", {{.event = "go", .when = "event.data.amount > 10"}}, count)});
  BOOST_TEST(runtime().send({.name = "go", .data = {{"amount", "ten"}}}).runs.empty());
  BOOST_REQUIRE(diagnostics.size() == 1U);
  BOOST_TEST(diagnostics[0].find("triggers[0]") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_star_pattern_does_not_match_system_events, world) {
  int count = 0;
  open({counting("all", {{.event = "*"}}, count)});
  runtime().send({.name = "go"});
  run();
  BOOST_TEST(count == 1);  // the finished event of that run started nothing
}

BOOST_FIXTURE_TEST_CASE(finished_and_failed_events_carry_result_and_error, world) {
  std::vector<nlohmann::json> seen;
  open({{.id = "works", .triggers = {{.event = "go"}}, .body = [](context) -> task<int> { co_return 7; }},
        {.id = "breaks",
         .triggers = {{.event = "go"}},
         .body = [](context) -> task<> {
           throw std::runtime_error{"broken"};
           co_return;
         }},
        {.id = "watcher",
         .triggers = {{.event = "inngest/function.finished", .when = "event.data.function_id == 'works'"},
                      {.event = "inngest/function.failed"}},
         .body = [&](context step, event e) -> task<> {
           co_await step.run("see", [&] { seen.push_back({{"name", e.name}, {"id", e.id}, {"data", e.data.json()}}); });
         }}});
  const auto runs = runtime().send({.name = "go"}).runs;
  run();
  BOOST_REQUIRE(seen.size() == 2U);
  const auto& finished = seen[0]["name"] == "inngest/function.finished" ? seen[0] : seen[1];
  const auto& failed = seen[0]["name"] == "inngest/function.finished" ? seen[1] : seen[0];
  BOOST_TEST(finished["data"]["result"] == 7);
  BOOST_TEST(finished["data"]["_inngest"]["status"] == "Completed");
  BOOST_TEST(failed["id"] == to_string(runs.at(1)));
  BOOST_TEST(failed["data"]["error"]["message"] == "broken");
  BOOST_TEST(failed["data"]["_inngest"]["status"] == "Failed");
}

BOOST_FIXTURE_TEST_CASE(a_finished_event_is_emitted_if_somebody_listens_for_it, world) {
  int heard = 0;
  const function works{.id = "works", .triggers = {{.event = "go"}}, .body = [](context) -> task<> { co_return; }};
  const auto emitted = [&] { return runtime().list_events({.name = "inngest/function.finished"}).events.size(); };
  open({works});
  start({.name = "go"});
  run();
  BOOST_TEST(emitted() == 0U);
  close();
  open({works, counting("listener", {{.event = "inngest/function.finished", .when = "event.data.function_id == 'works'"}}, heard)});
  start({.name = "go"});
  run();
  BOOST_TEST(heard == 1);
}

BOOST_FIXTURE_TEST_CASE(system_events_never_start_the_function_they_are_about, world) {
  int count = 0;
  open({counting("self", {{.event = "go"}, {.event = "inngest/function.finished"}}, count)});
  runtime().send({.name = "go"});
  run();
  BOOST_TEST(count == 1);
}

BOOST_FIXTURE_TEST_CASE(a_chain_of_system_events_ends_at_depth_three, world) {
  int a = 0;
  int b = 0;
  open({counting("a", {{.event = "go"}, {.event = "inngest/function.finished"}}, a),
        counting("b", {{.event = "inngest/function.finished"}}, b)});
  runtime().send({.name = "go"});
  run();
  BOOST_TEST(a == 2);  // go, then finished(b) at depth 2
  BOOST_TEST(b == 2);  // finished(a) at depth 1 and 3
  BOOST_REQUIRE(!diagnostics.empty());
  BOOST_TEST(diagnostics.back().find("in a row") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_system_event_may_cancel_a_run, world) {
  run_id victim;
  open({{.id = "leader", .triggers = {{.event = "lead"}}, .body = [](context step) -> task<> { co_await step.run("s", [] {}); }},
        {.id = "follower",
         .triggers = {{.event = "follow"}},
         .cancel_on = {{.event = "inngest/function.finished", .when = "async.data.function_id == 'leader'"}},
         .body = [](context step) -> task<> { co_await step.sleep_for("s", days{1}); }}});
  victim = start({.name = "follow"});
  run();
  runtime().send({.name = "lead"});
  run();
  BOOST_TEST(status(victim) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(lists_are_paged_newest_first_and_filtered, world) {
  int count = 0;
  open({counting("f", {{.event = "f"}}, count),
        {.id = "g", .triggers = {{.event = "g"}}, .body = [](context step) -> task<> { co_await step.sleep_for("s", days{1}); }}});
  std::vector<run_id> all;
  for (int i = 0; i < 5; ++i) {
    all.push_back(start({.name = "f"}));
    all.push_back(start({.name = "g"}));
  }
  run();
  std::vector<run_id> seen;
  page_request request{.limit = 3};
  for (int pages = 0; pages < 10; ++pages) {
    const auto page = runtime().list({}, request);
    for (const auto& one : page.runs) seen.push_back(one.id);
    if (!page.next) break;
    request.before = page.next;
  }
  std::ranges::reverse(all);
  BOOST_TEST(seen == all, boost::test_tools::per_element());
  BOOST_TEST(runtime().list({.function = "g"}).runs.size() == 5U);
  BOOST_TEST(runtime().list({.status = run_status::sleeping}).runs.size() == 5U);
  BOOST_TEST(runtime().list({.function = "f", .status = run_status::sleeping}).runs.empty());
  BOOST_TEST(code_of([&] { (void)runtime().list({}, {.limit = 5001}); }) == errc::invalid_argument);
}

BOOST_FIXTURE_TEST_CASE(every_fault_of_every_function_is_named, world) {
  const auto body = [](context) -> task<> { co_return; };
  std::vector<function> functions{
      {.id = "", .triggers = {{.event = "x"}}, .body = body},
      {.id = "twice", .triggers = {{.event = "x"}}, .body = body},
      {.id = "twice", .triggers = {{.event = "x"}}, .body = body},
      {.id = "no-event", .triggers = {{}}, .body = body},
      {.id = "bad-expression", .triggers = {{.event = "x", .when = "event.data.id =="}}, .body = body},
      {.id = "bad-rule", .triggers = {{.event = "x"}}, .cancel_on = {{.event = "y*"}, {.event = ""}}, .body = body},
      {.id = "no-body", .triggers = {{.event = "x"}}},
      {.id = "retries", .triggers = {{.event = "x"}}, .retries = {.retries = 21}, .body = body}};
  const auto text = refusal([&] { open(std::move(functions)); });
  for (const auto* part : {"8 faults", "id is empty", "given twice", "triggers[0]", "at byte", "cancel_on[0]", "cancel_on[1]",
                           "body is missing", "retries is 21"}) {
    BOOST_TEST_CONTEXT(part << " in " << text) { BOOST_TEST(text.find(part) != std::string::npos); }
  }
}

BOOST_FIXTURE_TEST_CASE(an_event_is_found_by_its_id_with_the_runs_it_started, testing::world) {
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> { co_await step.run("a", [] {}); }}});
  const auto sent = runtime().send({.name = "go", .data = {{"n", 1}}, .id = "e1"});
  const auto found = runtime().find_event(sent.id);
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(found->event.name == "go");
  BOOST_TEST(found->event.id == "e1");
  BOOST_TEST((found->event.data == document{{"n", 1}}));
  BOOST_TEST((found->runs == sent.runs));
  BOOST_TEST(!runtime().find_event({}).has_value());
}

BOOST_FIXTURE_TEST_CASE(the_memory_of_events_forgets_as_many_as_it_takes, world) {
  std::size_t remembered = 0;
  environment().watch.applied = [&](const auto&, const auto&, const actors::router_state& state) { remembered = state.memory.size(); };
  open({});
  constexpr int a_send = 500;
  const auto send = [&](const std::string& series) {
    std::vector<event> values;
    for (int i = 0; i < a_send; ++i) values.push_back({.name = "go", .id = series + std::to_string(i)});
    runtime().send(values);
  };
  for (const char* const series : {"a", "b", "c"}) send(series);
  BOOST_TEST(remembered == 3U * a_send);
  advance(days{1} + 1h);
  for (const char* const series : {"d", "e", "f"}) send(series);
  BOOST_TEST(remembered == 3U * a_send);
  close();
}

BOOST_AUTO_TEST_SUITE_END()
