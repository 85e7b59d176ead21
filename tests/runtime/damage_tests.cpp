// What is damaged harms itself alone: it is told, stays where it is unless something else says what it was, and everything else goes on.

#include <boost/test/unit_test.hpp>

#include <set>

#include <caesura/verify.hpp>

#include "tests/support/damage.hpp"
#include "tests/support/sleeping_world.hpp"

namespace {

using namespace caesura;
using caesura::testing::change_rows;
using caesura::testing::count_rows;
using caesura::testing::rows_of;
using caesura::testing::sleeping_world;
using storage::table;
using namespace std::chrono_literals;

struct damaged_world : sleeping_world {
  damaged_world() {
    environment().watch.applied = [this](const actors::command_body& command, const auto&...) {
      const bool is_own = std::holds_alternative<actors::sweep_slice>(command) || std::holds_alternative<actors::route_outbox>(command) ||
                          std::holds_alternative<actors::advance_run>(command);
      if (is_frozen_ && is_own) throw error{errc::storage_failed, "planted"};
    };
  }

  std::vector<std::string> cleaned_up;  // functions of the cancelled runs that "cleanup" was told of

  std::function<void()> during_step;
  function counter() {
    return {.id = "f", .triggers = {{.event = "go"}}, .body = [this](context step) -> task<> {
              co_await step.run("count", [&] {
                if (during_step) during_step();
                ++executed;
              });
            }};
  }
  // Waits nine days for "ping".
  function waiter(const char* cancelled_by = "stop") {
    return {.id = "f",
            .triggers = {{.event = "go"}},
            .cancel_on = {{.event = cancelled_by}},
            .body = [this](context step) -> task<> {
              co_await step.wait_for_event("ping").timeout(days{9});
              ++executed;
            }};
  }
  // A run of the waiter that has been left alone, in a runtime that has its definition again.
  run_id left_alone_waiter() {
    open({waiter()});
    const auto run_of = go();
    run();
    close();
    damage_record(table::definitions);
    open({waiter("halt")});
    run();
    BOOST_REQUIRE(is_left_alone(run_of));
    reopen({waiter()});
    return run_of;
  }
  bool is_left_alone(const run_id& run_of) {
    const auto info = runtime().get(run_of).value();
    return info.status == run_status::held && info.held_because.starts_with("its definition is damaged");
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

BOOST_FIXTURE_TEST_CASE(pages_of_events_and_statistics_pass_over_a_damaged_record, damaged_world) {
  open({waiter()});
  const auto runs = go_many(3);
  run();
  close();
  damage_record(table::events, 1);
  damage_record(table::live_runs, 2);
  reopen({waiter()});
  diagnostics.clear();
  for (const auto& name : {"", "go"}) {
    const auto page = runtime().list_events({.name = name});
    BOOST_REQUIRE(page.events.size() == 2);
    BOOST_TEST(page.events.front().runs == std::vector{runs.at(2)});
    BOOST_TEST(page.events.back().runs == std::vector{runs.at(0)});
    BOOST_TEST(!page.next);
  }
  BOOST_TEST(times_said("table events: the record under key") == 1);
  const auto stats = runtime().stats();
  BOOST_TEST(stats.open_runs == 3);
  BOOST_TEST(stats.counted == 2);
}

BOOST_FIXTURE_TEST_CASE(a_wait_that_looks_back_passes_over_a_damaged_event, damaged_world) {
  std::vector<document> found;
  const auto late = of([&](context step) -> task<> {
    co_await step.sleep_for("an hour", 1h);
    const auto ping = co_await step.wait_for_event("ping").timeout(1h).look_back();
    found.push_back(ping.value().data);
  });
  open({late});
  const auto run_of = go();
  run();
  for (const int n : {1, 2}) runtime().send({.name = "ping", .data = {{"n", n}}});
  close();
  damage_record(table::events, 1);  // the first ping
  reopen({late});
  advance(1h);
  BOOST_TEST(status(run_of) == run_status::completed);
  BOOST_REQUIRE(found.size() == 1);
  BOOST_TEST(found.front().json().at("n") == 2);
  BOOST_TEST(times_said("table events: the record under key") == 1);
}

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

// ---- decisions on system events

BOOST_FIXTURE_TEST_CASE(a_damaged_decision_is_in_the_way_of_none_behind_it_and_stays, damaged_world) {
  const auto functions = [&] { return std::vector<function>{sleeper("f", "go/f"), sleeper("g", "go/g"), cleanup()}; };
  open(functions());
  const auto first = start({.name = "go/f"});
  const auto second = start({.name = "go/g"});
  run();
  freeze();
  BOOST_TEST(runtime().cancel(first) == cancel_outcome::cancelled);
  BOOST_TEST(runtime().cancel(second) == cancel_outcome::cancelled);
  crash();
  damage_record(table::outbox);
  open(functions());
  run();
  BOOST_TEST(cleaned_up == std::vector<std::string>{"g"}, boost::test_tools::per_element());
  BOOST_TEST(times_said("table outbox: the record under key") == 1);
  start({.name = "go/f"});
  advance(days{1} + 1h);
  BOOST_TEST(executed == 1);
  close();
  BOOST_TEST(count_rows(store_directory(), table::outbox) == 1U);
  BOOST_TEST(faults().find("outbox") != std::string::npos);
  reopen(functions());
  BOOST_TEST(times_said("table outbox: the record under key") == 1);
  BOOST_TEST(cleaned_up.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_decision_on_a_run_whose_event_is_damaged_stays, damaged_world) {
  const auto functions = [&] { return std::vector<function>{sleeper("f", "go/f"), sleeper("g", "go/g"), cleanup()}; };
  open(functions());
  const auto broken = start({.name = "go/f", .data = {{"note", "a marked note"}}});
  const auto sound = start({.name = "go/g"});
  run();
  damage("a marked note");
  runtime().cancel(broken);
  runtime().cancel(sound);
  run();
  BOOST_TEST(cleaned_up == std::vector<std::string>{"g"}, boost::test_tools::per_element());
  const auto what = "the system event of run " + to_string(broken) + " is not emitted: table events: the record under key";
  BOOST_TEST(times_said(what) == 1);
  reopen(functions());
  BOOST_TEST(times_said(what) == 1);
  close();
  BOOST_TEST(count_rows(store_directory(), table::outbox) == 1U);
}

// ---- sweeps

BOOST_FIXTURE_TEST_CASE(a_damaged_sweep_of_an_event_goes_on_because_its_place_says_what_it_was, damaged_world) {
  work_in_slices();
  open({sleeper()});
  const auto runs = go_many(10, {{"id", 1}});
  const auto others = go_many(10, {{"id", 2}});
  run();
  freeze();
  runtime().send({.name = "stop", .data = {{"id", 1}}});
  runtime().send({.name = "stop", .data = {{"id", 2}}});
  crash();
  damage_record(table::sweeps);
  open({sleeper()});
  const auto late = go({{"id", 1}});
  run();
  BOOST_TEST(count(runs, run_status::cancelled) == 10);
  BOOST_TEST(count(others, run_status::cancelled) == 10);
  BOOST_TEST(status(late) == run_status::sleeping);
  BOOST_TEST(times_said("table sweeps: the record under key") == 1);
  close();
  BOOST_TEST(faults() == "");
}

BOOST_FIXTURE_TEST_CASE(a_bulk_cancel_whose_sweep_is_damaged_goes_on_to_its_end, damaged_world) {
  work_in_slices();
  open({sleeper()});
  const auto runs = go_many(10);
  run();
  freeze();
  const auto job = runtime().cancel_all({.function = "f"}, {.reason = "wrong"});
  crash();
  damage_record(table::sweeps);
  open({sleeper()});
  BOOST_TEST(has_said("table sweeps: the record under key"));
  run();
  BOOST_TEST(count(runs, run_status::cancelled) == 10);
  BOOST_TEST((runtime().progress(job)->status == bulk_progress::state::done));
  BOOST_TEST(runtime().progress(job)->cancelled == 10U);
  close();
  BOOST_TEST(faults() == "");
}

BOOST_FIXTURE_TEST_CASE(descendants_whose_sweep_is_damaged_are_cancelled_all_the_same, damaged_world) {
  work_in_slices();
  const auto functions = [&] {
    function parent = of([](context step) -> task<> {
      co_await all(step.invoke<>("a", "child", nlohmann::json::object()), step.invoke<>("b", "child", nlohmann::json::object()),
                   step.invoke<>("c", "child", nlohmann::json::object()), step.invoke<>("d", "child", nlohmann::json::object()));
    });
    return std::vector<function>{parent, sleeper("child", "never")};
  };
  open(functions());
  const auto cancelled = go();
  const auto alive = go();
  run();
  const auto children_of = [&](const run_id& parent) {
    std::vector<run_id> children;
    for (const auto& info : runtime().list({.function = "child"}).runs) {
      if (info.parent == parent) children.push_back(info.id);
    }
    return children;
  };
  BOOST_REQUIRE(children_of(cancelled).size() == 4U);
  freeze();
  BOOST_TEST(runtime().cancel(cancelled) == cancel_outcome::cancelled);
  crash();
  damage_record(table::sweeps);
  open(functions());
  run();
  BOOST_TEST(count(children_of(cancelled), run_status::cancelled) == 4);
  BOOST_TEST(count(children_of(alive), run_status::sleeping) == 4);
  BOOST_TEST(times_said("table sweeps: the record under key") == 1);
  close();
  BOOST_TEST(count_rows(store_directory(), table::sweeps) == 1U);  // it may have been another
}

BOOST_FIXTURE_TEST_CASE(a_damaged_bulk_job_stops_no_other_and_is_not_shown_as_done, damaged_world) {
  work_in_slices();
  open({sleeper("f"), sleeper("g", "go/g")});
  const auto first = go_many(6);
  std::vector<run_id> second;
  for (int i = 0; i < 6; ++i) second.push_back(start({.name = "go/g"}));
  run();
  freeze();
  const auto broken = runtime().cancel_all({.function = "f"});
  const auto sound = runtime().cancel_all({.function = "g"});
  crash();
  damage_record(table::bulk_jobs);
  open({sleeper("f"), sleeper("g", "go/g")});
  run();
  BOOST_TEST(times_said("table bulk_jobs: the record under key") == 1);
  BOOST_TEST(count(second, run_status::cancelled) == 6);
  BOOST_TEST(count(first, run_status::cancelled) == 4);  // what the first slices came by, before the crash
  BOOST_REQUIRE(runtime().bulk_jobs().size() == 1U);
  BOOST_TEST(runtime().bulk_jobs()[0].id == sound);
  BOOST_CHECK_THROW((void)runtime().progress(broken), error);
  BOOST_CHECK_THROW((void)runtime().stop(broken), error);
  close();
  BOOST_TEST(count_rows(store_directory(), table::sweeps) == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_sweep_whose_event_is_damaged_waits_and_stops_no_other, damaged_world) {
  work_in_slices();
  open({sleeper()});
  const auto runs = go_many(6, {{"id", 1}});
  const auto others = go_many(6, {{"id", 2}});
  run();
  freeze();
  const auto lost = runtime().send({.name = "stop", .data = {{"id", 1}, {"note", "a marked note"}}}).id;
  runtime().send({.name = "stop", .data = {{"id", 2}}});
  crash();
  caesura::testing::damage_text(store_directory(), "a marked note");
  open({sleeper()});
  run();
  BOOST_TEST(count(runs, run_status::sleeping) == 6);
  BOOST_TEST(count(others, run_status::cancelled) == 6);
  BOOST_TEST(times_said("(of event " + to_string(lost) + ") is not carried on: table events: the record under key") == 1);
  close();
  BOOST_TEST(count_rows(store_directory(), table::sweeps) == 1U);
}

// The counts of a job that is over go on while runs that it cancels finish their steps.
BOOST_FIXTURE_TEST_CASE(a_run_that_a_damaged_bulk_job_cancels_ends_all_the_same, damaged_world) {
  open({counter()});
  const auto run_of = go();
  during_step = [&] {
    (void)runtime().cancel_all({.function = "f", .when = "event.data.id == 'a marked filter' || true"});
    damage("a marked filter");
  };
  run();
  BOOST_TEST(executed == 1);
  BOOST_TEST(status(run_of) == run_status::cancelled);
  BOOST_TEST(times_said("table bulk_jobs: the record under key") == 1);
}

// ---- plans

BOOST_FIXTURE_TEST_CASE(a_replay_whose_plan_is_half_damaged_replays_the_other_half_and_is_not_done, damaged_world) {
  open({counter()});
  runtime().pause("f");
  const auto skipped = go_many(4'100);  // more than a part of a plan holds
  const auto plan = runtime().preview({.function = "f", .status = run_status::skipped});
  BOOST_REQUIRE(plan.count == 4'100U);
  runtime().resume("f");
  freeze();
  const auto job = runtime().replay_all(plan.token, {.rate_per_second = 10});
  crash();
  damage_record(table::plan_ids);
  open({counter()});
  advance(1h);
  BOOST_TEST(times_said("table plan_ids: the record under key") == 1);
  BOOST_TEST(times_said("bulk job " + to_string(job) + " is not done: 4095 of the runs of its plan are not known") == 1);
  BOOST_TEST(executed == 5);  // one before the crash, and four whose part is sound
  auto progress = runtime().progress(job).value();
  BOOST_TEST((progress.status == bulk_progress::state::working));
  BOOST_TEST(progress.replayed == 5U);
  BOOST_TEST(progress.left == 4'095U);
  std::set<run_id> replayed;
  for (const auto& info : runtime().list({.function = "f", .status = run_status::completed}).runs) replayed.insert(info.replay_of);
  BOOST_TEST(replayed == (std::set<run_id>{skipped[0], skipped[4'096], skipped[4'097], skipped[4'098], skipped[4'099]}));
  advance(days{2});  // its plan is kept as long as it is under way
  close();
  diagnostics.clear();
  open({counter()});
  run();
  BOOST_TEST(executed == 5);
  BOOST_TEST(runtime().stop(job));
  progress = runtime().progress(job).value();
  BOOST_TEST((progress.status == bulk_progress::state::stopped));
  close();
  BOOST_TEST(count_rows(store_directory(), table::sweeps) == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_bulk_cancel_whose_plan_is_damaged_stops_no_other, damaged_world) {
  work_in_slices();
  open({sleeper()});
  const auto first = go_many(6);
  const auto second = go_many(6);
  run();
  const auto broken = runtime().preview({.run = first});
  const auto sound = runtime().preview({.run = second});
  freeze();
  const auto job = runtime().cancel_all(broken.token);
  (void)runtime().cancel_all(sound.token);
  crash();
  damage_record(table::plan_ids);
  open({sleeper()});
  run();
  BOOST_TEST(count(first, run_status::cancelled) == 2);
  BOOST_TEST(count(second, run_status::cancelled) == 6);
  BOOST_TEST((runtime().progress(job)->status == bulk_progress::state::working));
  BOOST_CHECK_THROW((void)runtime().cancel_all(broken.token), error);
  BOOST_TEST(runtime().stop(job));
}

BOOST_FIXTURE_TEST_CASE(a_job_that_was_past_the_damaged_part_of_its_plan_ends, damaged_world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.bulk_slice = 4'098; };
  open({counter()});
  runtime().pause("f");
  (void)go_many(4'100);  // more than a part of a plan holds
  const auto plan = runtime().preview({.function = "f", .status = run_status::skipped});
  BOOST_REQUIRE(plan.count == 4'100U);
  freeze();
  const auto job = runtime().cancel_all(plan.token);
  BOOST_REQUIRE(runtime().progress(job)->left == 2U);
  crash();
  damage_record(table::plan_ids);
  open({counter()});
  run();
  BOOST_TEST(has_said("table plan_ids: the record under key"));
  BOOST_TEST((runtime().progress(job)->status == bulk_progress::state::done));
  BOOST_TEST(runtime().progress(job)->left == 0U);
  close();
  BOOST_TEST(count_rows(store_directory(), table::sweeps) == 0U);
}

// ---- paused functions

BOOST_FIXTURE_TEST_CASE(a_function_whose_pause_is_damaged_counts_as_paused_until_it_is_resumed, damaged_world) {
  const auto functions = [&] { return std::vector<function>{counter(), sleeper("g", "go/g")}; };
  open(functions());
  runtime().pause("f", {.reason = "wrong prices"});
  close();
  damage_record(table::functions);
  open(functions());
  run();
  BOOST_TEST(times_said("table functions: the record under key") == 1);
  BOOST_TEST(times_said("function \"f\" counts as paused") == 1);
  const auto skipped = go();
  const auto other = start({.name = "go/g"});
  run();
  BOOST_TEST(status(skipped) == run_status::skipped);
  BOOST_TEST(status(other) == run_status::sleeping);
  BOOST_TEST(executed == 0);
  const auto known = runtime().functions();
  const auto info = std::ranges::find(known, "f", &function_info::id);
  BOOST_REQUIRE(info != known.end());
  BOOST_TEST(info->is_paused);
  BOOST_TEST(info->pause_reason.find("damaged") != std::string::npos);
  BOOST_TEST(info->skipped == 1U);
  BOOST_TEST(runtime().resume("f", {.replay_skipped = true}).was_paused);
  run();
  BOOST_TEST(executed == 1);
  go();
  run();
  BOOST_TEST(executed == 2);
  close();
  BOOST_TEST(faults() == "");
}

BOOST_FIXTURE_TEST_CASE(runs_under_way_of_a_function_whose_pause_is_damaged_are_held, damaged_world) {
  open({sleeper()});
  const auto run_of = go();
  run();
  runtime().pause("f", {.under_way = running_runs::hold});
  close();
  damage_record(table::functions);
  open({sleeper()});
  advance(days{2});
  BOOST_TEST(executed == 0);
  BOOST_TEST(status(run_of) == run_status::held);
  runtime().resume("f");
  run();
  BOOST_TEST(status(run_of) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(while_nobody_knows_whose_pause_is_damaged_each_function_without_a_record_counts_as_paused, damaged_world) {
  const auto functions = [&] { return std::vector<function>{counter(), sleeper("g", "go/g"), sleeper("h", "go/h")}; };
  open(functions());
  runtime().pause("f");
  runtime().pause("g");
  runtime().resume("g");
  close();
  change_rows(store_directory(), [](storage::lmdb_transaction& tx) {  // a bit of its key is not what it was
    const auto value = std::string{tx.get(table::functions, "f").value()};
    tx.remove(table::functions, "f");
    tx.put(table::functions, "e", value);
  });
  open(functions());
  const auto skipped = go();
  BOOST_TEST(status(skipped) == run_status::skipped);
  BOOST_TEST(status(start({.name = "go/g"})) != run_status::skipped);  // it has a record of its own
  BOOST_TEST(status(start({.name = "go/h"})) == run_status::skipped);
  runtime().define({counter(), sleeper("g", "go/g"), sleeper("i", "go/i")});
  BOOST_TEST(status(start({.name = "go/i"})) == run_status::skipped);
  runtime().resume("f");
  runtime().resume("h");
  runtime().resume("i");
  reopen(functions());
  go();
  run();
  BOOST_TEST(executed == 1);
  BOOST_TEST(status(start({.name = "go/h"})) != run_status::skipped);
  BOOST_TEST(times_said("table functions: the record under key") == 1);
}

// ---- definitions

BOOST_FIXTURE_TEST_CASE(the_damaged_definition_of_a_registered_function_is_stored_again, damaged_world) {
  open({sleeper()});
  const auto kept = go({{"id", 1}});
  const auto stopped = go({{"id", 2}});
  run();
  close();
  damage_record(table::definitions);
  open({sleeper()});
  run();
  BOOST_TEST(times_said("table definitions: the record under key") == 1);
  runtime().send({.name = "stop", .data = {{"id", 2}}});
  BOOST_TEST(status(stopped) == run_status::cancelled);
  advance(days{1} + 1h);
  BOOST_TEST(status(kept) == run_status::completed);
  close();
  BOOST_TEST(faults() == "");
}

BOOST_FIXTURE_TEST_CASE(runs_whose_definition_is_damaged_are_held_and_harm_no_other, damaged_world) {
  const auto newer = [&] {
    auto fn = sleeper();
    fn.cancel_on[0].event = "halt";
    return fn;
  };
  open({sleeper()});
  const auto broken = go({{"id", 1}});
  const auto ended = go({{"id", 2}});
  run();
  runtime().cancel(ended);
  run();
  close();
  damage_record(table::definitions);
  int taken_back = 0;
  environment().watch.taken_back = [&] { ++taken_back; };
  open({newer()});
  const auto sound = go({{"id", 1}});
  run();
  BOOST_TEST(times_said("table definitions: the record under key") == 1);
  BOOST_TEST(times_said("run " + to_string(broken) + " is left alone") == 1);
  auto info = runtime().get(broken).value();
  BOOST_TEST(info.status == run_status::held);
  BOOST_TEST(info.held_because.find("its definition is damaged") == 0U, info.held_because);
  BOOST_TEST(runtime().get(ended)->status == run_status::cancelled);
  BOOST_TEST(runtime().list().runs.size() == 3U);
  const auto is_damage = [](const error& e) { return e.code() == errc::store_corrupt; };
  BOOST_CHECK_EXCEPTION((void)runtime().cancel(broken), error, is_damage);
  BOOST_TEST(taken_back == 0);  // what else is in the batch is not recorded again
  BOOST_CHECK_EXCEPTION((void)runtime().wait(broken, 1h), error, is_damage);
  BOOST_CHECK_EXCEPTION((void)runtime().wait(ended, 1h), error, is_damage);
  BOOST_CHECK_EXCEPTION((void)runtime().replay(ended), error, is_damage);
  runtime().pause("f", {.under_way = running_runs::hold});
  runtime().resume("f");
  runtime().send({.name = "stop", .data = {{"id", 1}}});
  const auto bulk = runtime().cancel_all({.created_before = now()});
  run();
  BOOST_TEST((runtime().progress(bulk)->status == bulk_progress::state::done));
  advance(days{1} + 1h);
  BOOST_TEST(status(sound) == run_status::completed);
  BOOST_TEST(runtime().get(broken)->status == run_status::held);
  BOOST_TEST(executed == 1);
  // With its version of the function it can be cancelled; it has missed an event, and does not go on.
  reopen({sleeper()});
  BOOST_TEST(status(broken) == run_status::held);
  advance(days{1});
  BOOST_TEST(status(broken) == run_status::held);
  BOOST_TEST(runtime().cancel(broken) == cancel_outcome::cancelled);
  close();
  BOOST_TEST(faults() == "");
}

// It may have missed the event that cancels it.
BOOST_FIXTURE_TEST_CASE(a_run_that_was_left_alone_does_not_go_on_with_the_event_that_it_waits_for, damaged_world) {
  const auto run_of = left_alone_waiter();
  runtime().send({.name = "ping"});
  run();
  BOOST_TEST(is_left_alone(run_of));
  reopen({waiter()});
  BOOST_TEST(is_left_alone(run_of));
  advance(days{10});
  BOOST_TEST(is_left_alone(run_of));
  BOOST_TEST(executed == 0);
  BOOST_TEST(runtime().cancel(run_of) == cancel_outcome::cancelled);
  close();
  BOOST_TEST(faults() == "");
}

BOOST_FIXTURE_TEST_CASE(a_run_that_was_left_alone_does_not_go_on_with_the_end_of_its_child, damaged_world) {
  const auto functions = [&](const char* cancelled_by) {
    function parent = of([this](context step) -> task<> {
      co_await step.invoke<>("call", "child", nlohmann::json::object());
      executed += 10;
    });
    parent.cancel_on = {{.event = cancelled_by}};
    return std::vector<function>{parent, sleeper("child", "never")};
  };
  open(functions("end"));
  const auto parent = go();
  run();
  close();
  damage_record(table::definitions, 0);
  damage_record(table::definitions, 1);  // that of the child is stored again
  open(functions("halt"));
  run();
  BOOST_TEST(is_left_alone(parent));
  reopen(functions("end"));
  advance(days{1} + 1h);
  BOOST_TEST(executed == 1);
  BOOST_TEST(is_left_alone(parent));
  BOOST_TEST(runtime().cancel(parent) == cancel_outcome::cancelled);
  close();
  BOOST_TEST(faults() == "");
}

BOOST_FIXTURE_TEST_CASE(a_run_that_was_left_alone_does_not_go_on_when_its_function_is_resumed, damaged_world) {
  const auto run_of = left_alone_waiter();
  runtime().pause("f", {.under_way = running_runs::hold});
  runtime().send({.name = "ping"});
  run();
  BOOST_TEST(is_left_alone(run_of));
  runtime().resume("f");
  run();
  BOOST_TEST(is_left_alone(run_of));
  BOOST_TEST(executed == 0);
  BOOST_TEST(runtime().cancel(run_of) == cancel_outcome::cancelled);
}

BOOST_FIXTURE_TEST_CASE(a_run_that_was_left_alone_does_not_go_on_when_its_function_is_registered_again, damaged_world) {
  const auto run_of = left_alone_waiter();
  reopen({sleeper("g", "go/g")});
  runtime().send({.name = "ping"});
  run();
  BOOST_TEST(is_left_alone(run_of));
  reopen({waiter()});
  BOOST_TEST(is_left_alone(run_of));
  BOOST_TEST(executed == 0);
  BOOST_TEST(runtime().cancel(run_of) == cancel_outcome::cancelled);
}

BOOST_FIXTURE_TEST_CASE(a_run_whose_cancel_is_recorded_ends_cancelled_once_its_damaged_definition_is_back, damaged_world) {
  open({counter()});
  const auto run_of = go();
  settle();
  freeze();
  BOOST_TEST(runtime().cancel(run_of) == cancel_outcome::cancelling);
  crash();
  damage_record(table::definitions);
  open({sleeper("g", "go/g")});
  run();
  BOOST_TEST(runtime().cancel(run_of) == cancel_outcome::cancelling);
  reopen({counter()});
  BOOST_TEST(status(run_of) == run_status::cancelled);
  BOOST_TEST(executed == 0);
}

// ---- flow control

BOOST_FIXTURE_TEST_CASE(a_damaged_count_of_a_rate_limit_counts_as_full_and_harms_no_other_key, damaged_world) {
  auto once = counter();
  once.idempotency = "event.data.id";
  open({once});
  const auto starts = [&](int id) { return runtime().send({.name = "go", .data = {{"id", id}}}).runs.size(); };
  BOOST_TEST(starts(1) == 1U);
  run();
  close();
  damage_record(table::flow);
  open({once});
  run();
  BOOST_TEST(times_said("table flow: the record under key") == 1);
  BOOST_TEST(starts(1) == 0U);
  BOOST_TEST(starts(2) == 1U);
  BOOST_TEST(has_said("function \"f\" is not started by event"));
  advance(days{1} - 1h);
  BOOST_TEST(starts(1) == 0U);
  advance(2h);
  BOOST_TEST(starts(1) == 1U);
  run();
  BOOST_TEST(executed == 3);
  close();
  BOOST_TEST(faults() == "");
}

BOOST_FIXTURE_TEST_CASE(a_damaged_throttle_goes_on_from_the_next_run, damaged_world) {
  auto slow = counter();
  slow.throttle = throttle{.limit = 1, .period = 1h};
  open({slow, sleeper("g", "go/g")});
  go();
  run();
  close();
  damage_record(table::flow);
  open({slow, sleeper("g", "go/g")});
  BOOST_TEST(has_said("table flow: the record under key"));
  for (int i = 0; i < 3; ++i) go();
  const auto other = start({.name = "go/g"});
  run();
  BOOST_TEST(status(other) == run_status::sleeping);
  BOOST_TEST(executed == 2);  // one may be too early
  advance(1h - 1min);
  BOOST_TEST(executed == 2);
  advance(2min);
  BOOST_TEST(executed == 3);
  advance(1h);
  BOOST_TEST(executed == 4);
}

BOOST_FIXTURE_TEST_CASE(a_damaged_debounce_finds_its_run_again, damaged_world) {
  auto calm = counter();
  calm.debounce = debounce{.period = 10s, .key = "event.data.id"};
  open({calm});
  const auto first = go({{"id", 1}});
  run();
  close();
  damage_record(table::flow);
  open({calm});
  const auto other = go({{"id", 2}});
  BOOST_TEST(go({{"id", 1}}) == first);
  BOOST_TEST(other != first);
  advance(1min);
  BOOST_TEST(executed == 2);
  close();
  BOOST_TEST(faults() == "");
}

BOOST_FIXTURE_TEST_CASE(a_damaged_batch_finds_its_run_again, damaged_world) {
  auto together = counter();
  together.batch = batch{.max_events = 3, .timeout = 1h};
  together.body = [this](context step, std::vector<event>) -> task<> { co_await step.run("count", [&] { ++executed; }); };
  open({together});
  const auto first = go();
  BOOST_TEST(go() == first);
  run();
  close();
  damage_record(table::flow);
  open({together});
  BOOST_TEST(go() == first);
  run();
  BOOST_TEST(executed == 1);
  BOOST_TEST(runtime().get(first)->events.size() == 3U);
  BOOST_TEST(go() != first);
  close();
  BOOST_TEST(faults() == "");
}

BOOST_FIXTURE_TEST_CASE(a_damaged_singleton_finds_the_run_under_way_again, damaged_world) {
  for (const auto mode : {singleton_mode::skip, singleton_mode::cancel}) {
    auto alone = sleeper();
    alone.singleton = singleton{.mode = mode};
    open({alone});
    const auto first = go();
    run();
    close();
    damage_record(table::flow);
    open({alone});
    const auto second = go();
    run();
    BOOST_TEST(status(first) == (mode == singleton_mode::skip ? run_status::sleeping : run_status::cancelled));
    BOOST_TEST(status(second) == (mode == singleton_mode::skip ? run_status::skipped : run_status::sleeping));
    BOOST_TEST(times_said("table flow: the record under key") == 1);
    close();
    BOOST_TEST(faults() == "");
    open({alone});
    runtime().cancel(first);
    runtime().cancel(second);
    run();
    crash();
  }
}

BOOST_FIXTURE_TEST_CASE(a_debounced_run_that_has_not_decided_is_not_taken_for_the_singletons, damaged_world) {
  auto alone = sleeper();
  alone.singleton = singleton{.mode = singleton_mode::skip};
  alone.debounce = debounce{.period = 10s};
  open({alone});
  const auto first = go();
  advance(1min);
  const auto second = go();
  run();
  close();
  damage_record(table::flow, 0);
  damage_record(table::flow, 1);
  open({alone});
  BOOST_TEST(go() == second);
  advance(1min);
  BOOST_TEST(status(first) == run_status::sleeping);
  BOOST_TEST(status(second) == run_status::skipped);
  close();
  BOOST_TEST(faults() == "");
}

BOOST_FIXTURE_TEST_CASE(a_damaged_cron_goes_on_at_its_next_tick, damaged_world) {
  auto daily = counter();
  daily.triggers = {{.cron = "0 12 * * *"}};  // it is nine
  open({daily});
  advance(days{1});
  BOOST_TEST(executed == 1);
  close();
  damage_record(table::flow);
  open({daily});
  BOOST_TEST(times_said("table flow: the record under key") == 1);
  advance(days{1});
  BOOST_TEST(executed == 2);
  close();
  BOOST_TEST(faults() == "");
}

// While it runs, too.
BOOST_FIXTURE_TEST_CASE(flow_control_that_is_damaged_at_run_time_refuses_no_event, damaged_world) {
  auto slow = counter();
  slow.throttle = throttle{.limit = 1, .period = 1h, .key = "event.data.key"};
  slow.id = "a marked function";
  open({slow, sleeper("g", "go/g")});
  go({{"key", "a"}});
  run();
  go({{"key", "a"}});
  damage("a marked function");  // also its definition, which memory has
  advance(1h);
  BOOST_TEST(executed == 2);
  BOOST_TEST(status(start({.name = "go/g"})) == run_status::sleeping);
  BOOST_TEST(times_said("table flow: the record under key") == 1);
}

BOOST_AUTO_TEST_SUITE_END()
