// What is damaged harms itself alone: it is told, stays where it is unless something else says what it was, and everything else goes on.

#include <boost/test/unit_test.hpp>

#include <set>

#include <caesura/verify.hpp>

#include "tests/support/damage.hpp"
#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::change_rows;
using caesura::testing::count_rows;
using caesura::testing::rows_of;
using caesura::testing::world;
using storage::table;
using namespace std::chrono_literals;

struct damaged_world : world {
  damaged_world() {
    environment().watch.applied = [this](const actors::command_body& command, const auto&...) {
      const bool is_own = std::holds_alternative<actors::sweep_slice>(command) || std::holds_alternative<actors::route_outbox>(command) ||
                          std::holds_alternative<actors::advance_run>(command);
      if (is_frozen_ && is_own) throw error{errc::storage_failed, "planted"};
    };
  }

  int executed = 0;
  std::vector<std::string> cleaned_up;  // functions of the cancelled runs that "cleanup" was told of

  // Sleeps a day; "stop" with its id cancels it.
  function sleeper(const char* id = "f", const char* event = "go") {
    return {.id = id,
            .triggers = {{.event = event}},
            .cancel_on = {{.event = "stop", .when = "event.data.id == async.data.id"}},
            .body = [this](context step) -> task<> {
              co_await step.sleep_for("day", days{1});
              ++executed;
            }};
  }
  std::function<void()> during_step;
  function counter() {
    return {.id = "f", .triggers = {{.event = "go"}}, .body = [this](context step) -> task<> {
              co_await step.run("count", [&] {
                if (during_step) during_step();
                ++executed;
              });
            }};
  }
  function cleanup() {
    return {.id = "cleanup", .triggers = {{.event = "inngest/function.cancelled"}}, .body = [this](context step, event e) -> task<> {
              co_await step.run("note", [&] { cleaned_up.push_back(e.data.json().at("function_id")); });
            }};
  }
  function of(function_body body) { return {.id = "f", .triggers = {{.event = "go"}}, .retries = {.retries = 0}, .body = std::move(body)}; }
  run_id go(document data = {}) { return start({.name = "go", .data = std::move(data)}); }
  std::vector<run_id> go_many(std::size_t count, const document& data = {}) {
    std::vector<run_id> runs;
    for (const auto& sent : runtime().send(std::vector<event>(count, event{.name = "go", .data = data}))) runs.push_back(sent.runs.at(0));
    return runs;
  }
  std::ptrdiff_t count(const std::vector<run_id>& runs, run_status wanted) {
    return std::ranges::count_if(runs, [&](const run_id& run) { return status(run) == wanted; });
  }
  bool has_said(std::string_view text) const { return times_said(text) > 0; }
  std::ptrdiff_t times_said(std::string_view text) const {
    return std::ranges::count_if(diagnostics, [&](const std::string& one) { return one.find(text) != std::string::npos; });
  }
  void damage(const std::string& text) { caesura::testing::damage_text(directory(), text); }
  void damage_record(table where, std::size_t index = 0) { caesura::testing::damage_record(store_directory(), where, index); }
  // Sweeps of more than two runs are worked off two at a time.
  void work_in_slices() {
    environment().adjust_limits = [](actors::limits& limits) {
      limits.sweep_threshold = 2;
      limits.sweep_slice = 2;
      limits.bulk_slice = 2;
    };
  }
  // From now on to the crash nothing of what the router tells itself to do, and of what runs report, is recorded.
  void freeze() { is_frozen_ = true; }
  void crash() {
    is_frozen_ = false;
    world::crash();
  }
  // What verify says, without what it says about pages.
  std::string faults() {
    std::string text;
    for (const auto& fault : verify(store_directory()).faults) text += fault.text + "\n";
    return text;
  }
  void reopen(std::vector<function> functions) {
    close();
    diagnostics.clear();
    open(std::move(functions));
    run();
  }

 private:
  bool is_frozen_ = false;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(damage)

// ---- runs, events, steps

BOOST_FIXTURE_TEST_CASE(a_damaged_run_harms_no_other_and_is_told, damaged_world) {
  const auto marked = [&](const char* id, const char* event, const char* name) -> function {
    return {.id = id, .triggers = {{.event = event}}, .cancel_on = {{.event = "stop"}}, .body = [=, this](context step) -> task<> {
              co_await step.sleep_for(name, 1h);
              ++executed;
            }};
  };
  open({marked("f", "go", "a sound sleep"), marked("g", "go/g", "a marked sleep")});
  start({.name = "go/g"});
  const auto sound = go();
  const auto other = go();
  run();
  damage("a marked sleep");
  advance(2h);  // its timer is dropped
  BOOST_TEST(has_said("table live_runs: the record under key"));
  BOOST_TEST(executed == 2);
  BOOST_TEST(status(sound) == run_status::completed);
  const auto late = go();
  run();
  runtime().send({.name = "stop"});
  BOOST_TEST(status(late) == run_status::cancelled);
  BOOST_TEST(status(other) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(a_damaged_child_does_not_keep_its_parent_from_being_cancelled, damaged_world) {
  open({of([](context step) -> task<> { co_await step.invoke<>("call", "child", nlohmann::json::object()); }),
        {.id = "child", .triggers = {{.event = "never"}}, .body = [](context step) -> task<> { co_await step.sleep_for("a marked sleep", 1h); }}});
  const auto parent = go();
  run();
  damage("a marked sleep");
  BOOST_TEST(runtime().cancel(parent) == cancel_outcome::cancelled);
  BOOST_TEST(status(parent) == run_status::cancelled);
  BOOST_TEST(!diagnostics.empty());
}

BOOST_FIXTURE_TEST_CASE(an_event_passes_over_a_run_whose_trigger_is_damaged, damaged_world) {
  open({sleeper()});
  const auto broken = go({{"id", 1}, {"note", "a marked note"}});
  const auto sound = go({{"id", 1}});
  run();
  damage("a marked note");
  runtime().send({.name = "stop", .data = {{"id", 1}}});
  BOOST_TEST(status(sound) == run_status::cancelled);
  BOOST_TEST(status(broken) == run_status::sleeping);
  BOOST_TEST(!diagnostics.empty());
}

BOOST_FIXTURE_TEST_CASE(a_damaged_run_that_has_ended_keeps_nothing_else_from_being_purged, damaged_world) {
  options().keep_runs = days{1};
  open({of([](context) -> task<> { co_return; }),
        {.id = "g", .triggers = {{.event = "go/g"}}, .body = [](context) -> task<std::string> { co_return "a marked result"; }}});
  const auto broken = start({.name = "go/g"});
  const auto sound = go();
  run();
  damage("a marked result");
  advance(days{1} + 6h);  // several purges
  BOOST_TEST(!runtime().get(sound).has_value());
  BOOST_TEST(times_said("table ended_runs: the record under key") == 1);
  BOOST_CHECK_THROW((void)runtime().get(broken), error);
}

BOOST_FIXTURE_TEST_CASE(a_damaged_event_keeps_nothing_else_from_being_purged, damaged_world) {
  options().keep_runs = days{1};
  options().keep_events = days{1};
  open({of([](context) -> task<> { co_return; })});
  runtime().send({.name = "go", .data = {{"note", "a marked note"}}});
  const auto sound = runtime().send({.name = "go"});
  run();
  damage("a marked note");
  advance(days{1} + 6h);
  BOOST_TEST(!runtime().find_event(sound.id).has_value());
  BOOST_TEST(times_said("table events: the record under key") == 1);
}

BOOST_FIXTURE_TEST_CASE(a_damaged_plan_and_a_damaged_bulk_job_keep_nothing_else_from_being_purged, damaged_world) {
  options().keep_runs = days{1};
  open({sleeper()});
  const auto plan = runtime().preview({.when = "event.data.id == 'a marked plan'"});
  const auto later = runtime().preview({.when = "event.data.id == 'another plan'"});
  const auto job = runtime().cancel_all({.function = "f"}, {.reason = "a marked reason"});
  const auto other = runtime().cancel_all({.function = "f"}, {.reason = "another reason"});
  run();
  damage("a marked plan");
  damage("a marked reason");
  advance(days{1} + 6h);
  BOOST_TEST(!runtime().progress(other).has_value());
  BOOST_CHECK_THROW((void)runtime().progress(job), error);
  BOOST_TEST(times_said("table plans: the record under key") == 1);
  BOOST_TEST(times_said("table bulk_jobs: the record under key") == 1);
  BOOST_CHECK_THROW((void)runtime().cancel_all(later.token), error);
  (void)plan;
}

BOOST_FIXTURE_TEST_CASE(a_bulk_cancel_with_an_expression_passes_over_a_run_whose_event_is_damaged, damaged_world) {
  open({sleeper()});
  const auto broken = go({{"id", 1}, {"note", "a marked note"}});
  const auto sound = go({{"id", 2}});
  const auto second = go({{"id", 3}});
  run();
  damage("a marked note");
  BOOST_TEST(runtime().preview({.when = "event.data.id > 0"}).count == 2U);
  (void)runtime().cancel_all(runtime().preview({.when = "event.data.id == 3"}).token);
  run();
  BOOST_TEST(status(second) == run_status::cancelled);
  (void)runtime().cancel_all(run_filter{.when = "event.data.id > 0"});
  run();
  BOOST_TEST(status(sound) == run_status::cancelled);
  BOOST_TEST(status(broken) == run_status::sleeping);
  BOOST_TEST(has_said("table events: the record under key"));
}

BOOST_FIXTURE_TEST_CASE(a_list_passes_over_a_damaged_run_and_says_so, damaged_world) {
  open({sleeper(), {.id = "g", .triggers = {{.event = "go/g"}}, .body = [](context) -> task<std::string> { co_return "a marked result"; }}});
  const auto broken = start({.name = "go/g"});
  const auto sound = go();
  run();
  const auto plan = runtime().preview({.status = {run_status::completed, run_status::sleeping}});
  damage("a marked result");
  BOOST_REQUIRE(runtime().list().runs.size() == 1U);
  BOOST_TEST(runtime().list().runs[0].id == sound);
  BOOST_TEST(times_said("table ended_runs: the record under key") >= 1);
  BOOST_TEST(plan.count == 2U);
  const auto bulk = runtime().cancel_all(plan.token);
  run();
  BOOST_TEST(status(sound) == run_status::cancelled);
  BOOST_TEST(runtime().progress(bulk)->cancelled == 1U);
  BOOST_CHECK_THROW((void)runtime().get(broken), error);
}

BOOST_FIXTURE_TEST_CASE(a_run_whose_recorded_step_is_damaged_is_held_and_says_so, damaged_world) {
  open({of([](context step) -> task<> {
    co_await step.run("a", [] { return std::string{"a marked result"}; });
    co_await step.sleep_for("day", days{1});
  })});
  const auto broken = go();
  run();
  damage("a marked result");
  advance(days{1} + 1h);
  const auto info = runtime().get(broken).value();
  BOOST_TEST(info.status == run_status::held);
  BOOST_TEST(info.held_because.find("table steps: the record under key") != std::string::npos, info.held_because);
  close();
  open({of([](context) -> task<> { co_return; })});
  run();
  BOOST_TEST(status(broken) == run_status::held);
  BOOST_TEST(runtime().cancel(broken) == cancel_outcome::cancelled);
}

BOOST_FIXTURE_TEST_CASE(a_runtime_starts_with_a_damaged_event_and_a_damaged_run, damaged_world) {
  const auto functions = [&] {
    return std::vector<function>{sleeper(), {.id = "g", .triggers = {{.event = "go/g"}}, .body = [](context step) -> task<> { co_await step.sleep_for("a marked sleep", 1h); }}};
  };
  open(functions());
  runtime().send({.name = "go", .data = {{"note", "a marked note"}}, .id = "e-1"});
  start({.name = "go/g"});
  const auto sound = go();
  run();
  close();
  damage("a marked note");
  damage("a marked sleep");
  open(functions());
  BOOST_TEST(times_said("table events: the record under key") == 1);
  BOOST_TEST(times_said("table live_runs: the record under key") == 1);
  advance(days{1} + 1h);
  BOOST_TEST(status(sound) == run_status::completed);
}

BOOST_AUTO_TEST_SUITE_END()
