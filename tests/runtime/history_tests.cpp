// Timelines, explanations, and what is forgotten.

#include <boost/test/unit_test.hpp>

#include "runtime/runtime_state.hpp"
#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::world;
using namespace std::chrono_literals;

struct history_world : world {
  int tries = 0;
  std::vector<function> functions() {
    return {{.id = "f",
             .triggers = {{.event = "go"}},
             .cancel_on = {{.event = "stop", .when = "event.data.id == async.data.id"}, {.event = "stop/all"}},
             .retries = {.retries = 3, .delays = {10s}, .jitter = {}},
             .body = [this](context step) -> task<> {
               co_await step.run("flaky", [&] {
                 if (++tries % 3 != 0) throw std::runtime_error{"not yet"};
               });
               co_await step.sleep_for("nap", 1h);
               co_await step.wait_for_event("paid").when("event.data.id == async.data.id").timeout(days{1});
             }}};
  }
  void open_all() { open(functions()); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(history)

BOOST_FIXTURE_TEST_CASE(a_timeline_tells_all_that_happened_to_a_run_in_order, history_world) {
  open_all();
  const auto one = start({.name = "go", .data = {{"id", 1}}});
  advance(2h);
  runtime().cancel(one, {.reason = "asked", .by = "support"});
  const auto timeline = runtime().timeline(one);
  std::vector<std::string> moments;
  for (const auto& entry : timeline) moments.emplace_back(to_string(entry.what));
  const std::vector<std::string> expected{"created", "started",        "attempt_failed", "attempt_failed",
                                          "step_completed", "slept", "cancel_requested", "ended"};
  BOOST_TEST(moments == expected, boost::test_tools::per_element());
  BOOST_TEST(timeline[2].attempt == 1U);
  BOOST_TEST(timeline[3].attempt == 2U);
  BOOST_TEST(timeline[4].attempt == 3U);
  const auto text = to_string(timeline);
  BOOST_TEST(text.find("by call (support): asked") != std::string::npos, text);
  BOOST_TEST(runtime().timeline(run_id{}).empty());
}

BOOST_FIXTURE_TEST_CASE(an_explanation_goes_rule_by_rule_with_the_values_compared, history_world) {
  open_all();
  const auto before = runtime().send({.name = "stop", .data = {{"id", "t-17"}}});
  const auto one = start({.name = "go", .data = {{"id", "t-17"}}});
  run();
  const auto wrong = runtime().send({.name = "stop", .data = {{"id", "t-18"}}});
  const auto lacking = runtime().send({.name = "stop", .data = {{"ID", "t-17"}}});
  const auto right = runtime().send({.name = "stop", .data = {{"id", "t-17"}}});
  const auto early = runtime().explain(before.id, one);
  BOOST_TEST(early.rules[0].why.find("before the run was created") != std::string::npos);
  const auto no = runtime().explain(wrong.id, one);
  BOOST_TEST(!no.cancelled);
  BOOST_REQUIRE(no.rules.size() == 2U);
  BOOST_TEST(!no.rules[0].applies);
  BOOST_REQUIRE(no.rules[0].values.size() == 2U);
  BOOST_TEST(no.rules[0].values[0].first == "event.data.id");
  BOOST_TEST(no.rules[0].values[0].second == "\"t-17\"");
  BOOST_TEST(no.rules[0].values[1].second == "\"t-18\"");
  BOOST_TEST(no.rules[1].why.find("listens for \"stop/all\"") != std::string::npos);
  BOOST_TEST(runtime().explain(lacking.id, one).rules[0].values[1].second == "missing");
  const auto yes = runtime().explain(right.id, one);
  BOOST_TEST(yes.cancelled);
  BOOST_TEST(yes.conclusion.find("cancelled run") != std::string::npos);
  BOOST_TEST(to_string(yes).find("async.data.id = \"t-17\"") != std::string::npos);
  try {
    (void)runtime().explain(event_id{}, one);
    BOOST_FAIL("explained");
  } catch (const error& e) {
    BOOST_TEST(e.code() == errc::unknown_event);
  }
}

BOOST_FIXTURE_TEST_CASE(an_explanation_knows_until_when_a_rule_applied, world) {
  const auto end = now() + 1h;
  open({{.id = "f", .triggers = {{.event = "go"}}, .cancel_on = {{.event = "stop", .until = end}}, .body = [](context step) -> task<> {
           co_await step.sleep_for("long", days{1});
         }}});
  const auto one = start({.name = "go"});
  advance(2h);
  const auto late = runtime().send({.name = "stop"});
  BOOST_TEST(status(one) == run_status::sleeping);
  const auto told = runtime().explain(late.id, one);
  BOOST_TEST(!told.rules.at(0).applies);
  BOOST_TEST(told.rules.at(0).why.find("but the rule applied only until " + to_string(end)) != std::string::npos, told.rules.at(0).why);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(retention)

BOOST_FIXTURE_TEST_CASE(ended_runs_and_events_are_purged_after_their_time_and_what_is_needed_stays, world) {
  options().keep_runs = days{2};
  options().keep_events = days{1};
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> { co_await step.run("s", [] {}); }},
        {.id = "long", .triggers = {{.event = "go/long"}}, .body = [](context step) -> task<> { co_await step.sleep_for("month", days{30}); }}});
  const auto sleeping = start({.name = "go/long"});
  std::vector<run_id> old;
  for (int i = 0; i < 700; ++i) old.push_back(start({.name = "go"}));  // more than one slice
  run();
  advance(days{1});
  const auto replayed = runtime().replay(old[5]);
  run();
  advance(days{1} + 3h);
  BOOST_TEST(!runtime().get(old[0]).has_value());
  BOOST_TEST(!runtime().get(old[699]).has_value());
  BOOST_TEST(runtime().steps(old[0]).empty());
  BOOST_TEST(status(replayed) == run_status::completed);
  BOOST_TEST(status(sleeping) == run_status::sleeping);
  runtime().replay(replayed);  // its event is kept as long as the run
  advance(days{28});
  BOOST_TEST(status(sleeping) == run_status::completed);  // its event, too
}

BOOST_FIXTURE_TEST_CASE(a_program_that_never_lives_long_purges_all_the_same, world) {
  options().keep_runs = days{1};
  options().keep_events = days{1};
  const auto functions = [] { return std::vector<function>{{.id = "f", .triggers = {{.event = "go"}}, .body = [](context) -> task<> { co_return; }}}; };
  open(functions());
  const auto old = start({.name = "go"});
  run();
  for (int start_of_program = 0; start_of_program < 100; ++start_of_program) {
    close();
    set_clock(now() + 20min);
    open(functions());
    advance(10min);
  }
  BOOST_TEST(!runtime().get(old).has_value());
}

// A slice has as much to delete as a batch may hold, however many records that are.
BOOST_FIXTURE_TEST_CASE(what_is_purged_in_a_turn_is_bounded_by_its_size, world) {
  options().keep_runs = days{1};
  options().keep_events = days{1};
  environment().adjust_limits = [](actors::limits& limits) { limits.bytes_per_batch = 1'000; };
  std::vector<std::size_t> left;
  environment().watch.applied = [&](const actors::command_body& what, const storage::snapshot&, const actors::router_state& state) {
    if (std::holds_alternative<actors::purge_slice>(what)) left.push_back(state.purge.is_under_way ? 1 : 0);
  };
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> { co_await step.run("s", [] { return std::string(900, 'x'); }); }}});
  std::vector<run_id> old;
  for (int i = 0; i < 20; ++i) old.push_back(start({.name = "go", .data = {{"text", std::string(900, 'y')}}}));
  run();
  advance(days{1} + 2h);
  for (const auto& run : old) BOOST_TEST(!runtime().get(run).has_value());
  BOOST_TEST(std::ranges::count(left, 1U) > 20);
}

BOOST_FIXTURE_TEST_CASE(the_file_stops_growing, world) {
  options().keep_runs = days{1};
  options().keep_events = days{1};
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> { co_await step.run("s", [] { return std::string(500, 'x'); }); }}});
  const auto a_week_of_work = [&] {
    for (int day = 0; day < 7; ++day) {
      for (int i = 0; i < 100; ++i) start({.name = "go", .data = {{"text", std::string(500, 'y')}}});
      advance(days{1});
    }
    return runtime().internals().store().file_size_bytes();
  };
  a_week_of_work();
  const auto after_two = a_week_of_work();
  const auto after_three = a_week_of_work();
  BOOST_TEST(after_three <= after_two + after_two / 20);
}

BOOST_FIXTURE_TEST_CASE(purging_goes_on_after_the_clock_was_a_year_ahead, world) {
  options().keep_runs = days{1};
  options().keep_events = days{1};
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> { co_await step.run("s", [] {}); }}});
  const auto before = now();
  set_clock(before + days{365});
  const auto ahead = start({.name = "go"});
  advance(2h);
  set_clock(before + 1h);
  runtime().internals().post(actors::clock_jumped{.by = -days{365}});
  const auto sent = runtime().send({.name = "go"});
  run();
  advance(days{3});
  BOOST_TEST(runtime().get(ahead).has_value());
  BOOST_TEST(!runtime().get(sent.runs.at(0)).has_value());
  BOOST_TEST(!runtime().find_event(sent.id).has_value());
}

BOOST_FIXTURE_TEST_CASE(jobs_are_kept_for_ever_with_runs_that_are, world) {
  options().keep_runs = duration::max();
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> { co_await step.sleep_for("day", days{1}); }}});
  const auto one = start({.name = "go"});
  const auto job = runtime().cancel_all({.function = "f"});
  advance(days{1});
  BOOST_TEST(runtime().get(one).has_value());
  BOOST_TEST(runtime().progress(job).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
