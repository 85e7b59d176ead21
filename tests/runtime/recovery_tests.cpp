// What a restart finds: after a stop, after a crash, with another binary.

#include <boost/test/unit_test.hpp>

#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::world;
using namespace std::chrono_literals;

struct recovery_world : world {
  std::vector<std::string> executed;
  bool has_slice = false;

  function two_steps() {
    return {.id = "f",
            .triggers = {{.event = "go"}},
            .cancel_on = {{.event = "stop", .when = "event.data.id == async.data.id"}},
            .body = [this](context step) -> task<int> {
              const int a = co_await step.run("a", [&] {
                executed.push_back("a");
                return 1;
              });
              co_await step.sleep_for("night", 8h);
              co_return a + co_await step.run("b", [&] {
                executed.push_back("b");
                return 2;
              });
            }};
  }
  // Until the crash: what is worked off in slices stays open.
  void fail_slices() {
    environment().watch.applied = [this](const actors::command_body& command, const auto&, const auto&) {
      has_slice = has_slice || std::holds_alternative<actors::sweep_slice>(command);
    };
    before_commit = [this](std::uint64_t) {
      if (std::exchange(has_slice, false)) throw error{errc::storage_failed, "the disk refuses"};
    };
  }
  function step_beside_a_wait() {
    return {.id = "f", .triggers = {{.event = "go"}}, .body = [this](context step) -> task<std::string> {
              try {
                co_await caesura::all(step.run("a", [&] { executed.push_back("a"); }), step.wait_for_event("news"));
              } catch (const step_failed& e) {
                co_return e.cause().name;
              }
              co_return "done";
            }};
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(recovery)

BOOST_FIXTURE_TEST_CASE(a_sleeping_run_goes_on_after_a_crash_and_repeats_no_recorded_step, recovery_world) {
  open({two_steps()});
  const auto run_of = start({.name = "go"});
  run();
  crash();
  open({two_steps()});
  BOOST_TEST(status(run_of) == run_status::sleeping);
  advance(9h);
  BOOST_TEST(runtime().result<int>(run_of) == 3);
  BOOST_TEST(executed == (std::vector<std::string>{"a", "b"}), boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(a_sleep_that_ended_while_the_process_was_away_ends_at_the_start, recovery_world) {
  open({two_steps()});
  const auto run_of = start({.name = "go"});
  run();
  crash();
  set_clock(now() + days{3});
  open({two_steps()});
  run();
  BOOST_TEST(runtime().result<int>(run_of) == 3);
}

BOOST_FIXTURE_TEST_CASE(an_interrupted_step_executes_again, recovery_world) {
  open({two_steps()});
  const auto run_of = start({.name = "go"});
  settle();  // the step waits for a thread
  crash();
  open({two_steps()});
  run();
  BOOST_TEST(executed.size() == 1U);
  BOOST_TEST(status(run_of) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(a_run_whose_cancel_was_recorded_ends_cancelled_at_recovery_and_its_step_is_not_executed_again, recovery_world) {
  run_id run_of;
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
           co_await step.run("only", [&] {
             executed.push_back("only");
             if (executed.size() > 1) return;
             BOOST_TEST(runtime().cancel(run_of, {.reason = "stop it"}) == cancel_outcome::cancelling);
             before_commit = [](std::uint64_t) { throw error{errc::storage_failed, "the machine is gone"}; };
           });
         }}});
  run_of = start({.name = "go"});
  run();
  crash();
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
           co_await step.run("only", [&] { executed.push_back("again"); });
         }}});
  run();
  BOOST_TEST(status(run_of) == run_status::cancelled);
  BOOST_TEST(runtime().get(run_of)->cancelled_by->reason == "stop it");
  BOOST_TEST(executed.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_cancel_event_finds_runs_of_an_earlier_process, recovery_world) {
  open({two_steps()});
  const auto run_of = start({.name = "go", .data = {{"id", 5}}});
  const auto other = start({.name = "go", .data = {{"id", 6}}});
  run();
  close();
  open({two_steps()});
  runtime().send({.name = "stop", .data = {{"id", 5}}});
  BOOST_TEST(status(run_of) == run_status::cancelled);
  BOOST_TEST(status(other) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(a_wait_is_resumed_by_an_event_after_a_restart, world) {
  const auto waiting = [] {
    return function{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<bool> {
                      auto e = co_await step.wait_for_event("ping").when("event.data.id == async.data.id").timeout(days{2});
                      co_return e.has_value();
                    }};
  };
  open({waiting()});
  const auto hit = start({.name = "go", .data = {{"id", 1}}});
  const auto missed = start({.name = "go", .data = {{"id", 2}}});
  run();
  crash();
  open({waiting()});
  runtime().send({.name = "ping", .data = {{"id", 1}}});
  advance(days{3});
  BOOST_TEST(runtime().result<bool>(hit) == true);
  BOOST_TEST(runtime().result<bool>(missed) == false);
}

BOOST_FIXTURE_TEST_CASE(ten_thousand_sleeping_runs_are_not_activated_by_a_start, recovery_world) {
  int bodies = 0;
  const auto sleeper = [&] {
    return function{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
                      ++bodies;
                      co_await step.sleep_for("long", days{30});
                    }};
  };
  open({sleeper()});
  for (int i = 0; i < 10; ++i) {
    runtime().send(std::vector<event>(1000, event{.name = "go"}));
    run();
  }
  BOOST_TEST(bodies == 10'000);
  close();
  open({sleeper()});
  run();
  BOOST_TEST(bodies == 10'000);
  BOOST_TEST(runtime().list({.status = run_status::sleeping}, {.limit = 5000}).runs.size() == 5000U);
}

BOOST_FIXTURE_TEST_CASE(a_step_that_takes_the_process_down_more_than_three_times_fails, recovery_world) {
  run_id run_of;
  const auto fatal = [&] {
    return function{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<std::string> {
                      try {
                        co_await step.run("fatal", [&] { executed.push_back("fatal"); });
                      } catch (const step_failed& e) {
                        co_return e.cause().name;
                      }
                      co_return "survived";
                    }};
  };
  open({fatal()});
  run_of = start({.name = "go"});
  for (int crashes = 0; crashes < 4; ++crashes) {
    settle();
    BOOST_TEST(steps().waiting() == 1U);
    crash();
    open({fatal()});
  }
  run();
  BOOST_TEST(runtime().result<std::string>(run_of) == step_interrupted);
  BOOST_TEST(executed.empty());
}

BOOST_FIXTURE_TEST_CASE(a_step_that_takes_the_process_down_fails_beside_a_wait_as_it_does_alone, recovery_world) {
  for (const bool is_any : {false, true}) {
    std::string caught;
    const auto fatal = [&] {
      return function{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
                        try {
                          if (is_any) {
                            co_await caesura::any(step.run("fatal", [&] { executed.push_back("fatal"); }), step.wait_for_event("never").timeout(1h));
                          } else {
                            co_await caesura::all(step.run("fatal", [&] { executed.push_back("fatal"); }), step.wait_for_event("ready").timeout(1h));
                          }
                        } catch (const step_failed& e) {
                          caught = e.cause().name;
                        }
                      }};
    };
    open({fatal()});
    const auto run_of = start({.name = "go"});
    for (int crashes = 0; crashes < 4; ++crashes) {
      settle();
      BOOST_TEST(steps().waiting() == 1U);
      crash();
      open({fatal()});
    }
    run();
    if (!is_any) runtime().send({.name = "ready"});
    run();
    BOOST_TEST(caught == step_interrupted);
    BOOST_TEST(status(run_of) == run_status::completed);
    BOOST_TEST(executed.empty());
    close();
  }
}

BOOST_FIXTURE_TEST_CASE(a_run_that_cannot_be_read_for_a_moment_goes_on_when_it_can, recovery_world) {
  int executed = 0;
  const std::vector<function> functions{{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
                                           co_await step.sleep_for("nap", 1h);
                                           co_await step.run("s", [&] { ++executed; });
                                         }}};
  open(functions);
  const auto one = start({.name = "go"});
  run();
  crash();
  open(functions);
  int left = 20;
  before_read = [&] {
    if (left > 0 && --left >= 0) throw error{errc::storage_failed, "too many reads at once"};
  };
  advance(2h);
  BOOST_TEST(left == 0);
  BOOST_TEST(executed == 1);
  BOOST_TEST(status(one) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(a_clean_stop_counts_no_interruption, recovery_world) {
  open({two_steps()});
  const auto run_of = start({.name = "go"});
  for (int stops = 0; stops < 6; ++stops) {
    settle();
    close();
    steps().forget();
    open({two_steps()});
  }
  advance(days{1});
  BOOST_TEST(runtime().result<int>(run_of) == 3);
}

BOOST_FIXTURE_TEST_CASE(stop_returns_the_steps_that_execute_and_records_their_results, recovery_world) {
  std::vector<std::string> still_executing;
  run_id run_of;
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
           co_await step.run("slow", [&] { still_executing = runtime().stop(0ms); });
           co_await step.run("next", [&] { executed.push_back("next"); });
         }}});
  run_of = start({.name = "go"});
  run();
  BOOST_REQUIRE(still_executing.size() == 1U);
  BOOST_TEST(still_executing[0] == to_string(run_of) + "/slow");
  BOOST_TEST(executed.empty());
  BOOST_TEST(runtime().steps(run_of).size() == 1U);
  BOOST_TEST(runtime().stop(0ms).empty());
  BOOST_CHECK_THROW(runtime().send({.name = "go"}), error);
}

BOOST_FIXTURE_TEST_CASE(a_new_binary_executes_added_steps_and_ignores_removed_ones, recovery_world) {
  open({two_steps()});
  const auto run_of = start({.name = "go"});
  run();
  close();
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<int> {
           co_await step.run("added", [&] { executed.push_back("added"); });
           co_await step.sleep_for("night", 8h);
           co_return co_await step.run("renamed-b", [&] {
             executed.push_back("renamed-b");
             return 40;
           });
         }}});
  advance(9h);
  BOOST_TEST(executed == (std::vector<std::string>{"a", "added", "renamed-b"}), boost::test_tools::per_element());
  BOOST_TEST(runtime().result<int>(run_of) == 40);
}

BOOST_FIXTURE_TEST_CASE(a_result_that_no_longer_decodes_holds_the_run_until_a_binary_that_reads_it, recovery_world) {
  open({two_steps()});
  const auto run_of = start({.name = "go"});
  run();
  close();
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<int> {
           const auto text = co_await step.run("a", [] { return std::string{"now a text"}; });
           co_await step.sleep_for("night", 8h);
           co_return static_cast<int>(text.size());
         }}});
  advance(9h);
  BOOST_TEST(status(run_of) == run_status::held);
  BOOST_TEST(runtime().get(run_of)->held_because.find("\"a\"") != std::string::npos);
  close();
  open({two_steps()});
  advance(1h);
  BOOST_TEST(runtime().result<int>(run_of) == 3);
}

BOOST_FIXTURE_TEST_CASE(an_any_whose_winner_no_longer_decodes_holds_the_run_and_takes_no_other_branch, recovery_world) {
  const auto first_of = [](auto fast) {
    return function{.id = "f", .triggers = {{.event = "go"}}, .body = [fast](context step) -> task<std::string> {
                      const auto first = co_await caesura::any(step.run("fast", fast), step.run("slow", [] { return 2; }));
                      co_await step.sleep_for("night", 8h);
                      co_return first.index() == 0 ? "fast" : "slow";
                    }};
  };
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<std::string> {  // an earlier binary, which awaited both
           co_await step.run("fast", [] { return 1; });
           co_await step.run("slow", [] { return 2; });
           co_await step.sleep_for("night", 8h);
           co_return "both";
         }}});
  const auto run_of = start({.name = "go"});
  run();
  BOOST_REQUIRE_EQUAL(runtime().steps(run_of).size(), 2U);
  close();
  open({first_of([] { return std::string{"now a text"}; })});
  advance(9h);
  BOOST_TEST(status(run_of) == run_status::held);
  close();
  open({first_of([] { return 1; })});
  advance(9h);
  BOOST_TEST(runtime().result<std::string>(run_of) == "fast");
}

BOOST_FIXTURE_TEST_CASE(runs_of_a_missing_function_are_held_listed_cancellable_and_go_on_when_it_returns, recovery_world) {
  open({two_steps()});
  const auto run_of = start({.name = "go", .data = {{"id", 1}}});
  const auto other = start({.name = "go", .data = {{"id", 2}}});
  const auto third = start({.name = "go", .data = {{"id", 3}}});
  run();
  close();
  open({});
  advance(9h);
  BOOST_TEST(status(run_of) == run_status::held);
  BOOST_TEST(runtime().get(run_of)->held_because.find("not registered") != std::string::npos);
  BOOST_TEST(runtime().get(run_of)->function == "f");
  BOOST_TEST(runtime().list({.status = run_status::held}).runs.size() == 3U);
  BOOST_TEST(runtime().cancel(other) == cancel_outcome::cancelled);
  runtime().send({.name = "stop", .data = {{"id", 3}}});
  BOOST_TEST(status(third) == run_status::cancelled);
  close();
  open({two_steps()});
  run();
  BOOST_TEST(runtime().result<int>(run_of) == 3);
}

BOOST_FIXTURE_TEST_CASE(a_run_keeps_the_cancel_rules_that_it_was_created_with, recovery_world) {
  open({two_steps()});
  const auto old_run = start({.name = "go", .data = {{"id", 1}}});
  run();
  close();
  auto changed = two_steps();
  changed.cancel_on = {{.event = "halt", .when = "event.data.id == async.data.id"}};
  open({changed});
  const auto new_run = start({.name = "go", .data = {{"id", 1}}});
  run();
  runtime().send({.name = "halt", .data = {{"id", 1}}});
  BOOST_TEST(status(old_run) == run_status::sleeping);
  BOOST_TEST(status(new_run) == run_status::cancelled);
  runtime().send({.name = "stop", .data = {{"id", 1}}});
  BOOST_TEST(status(old_run) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(an_open_sweep_goes_on_after_a_crash_with_its_place_in_the_order, world) {
  environment().adjust_limits = [](actors::limits& limits) {
    limits.sweep_threshold = 10;
    limits.sweep_slice = 5;
  };
  const auto sleeper = [] {
    return function{.id = "f", .triggers = {{.event = "go"}}, .cancel_on = {{.event = "stop"}}, .body = [](context step) -> task<> {
                      co_await step.sleep_for("s", days{7});
                    }};
  };
  open({sleeper()});
  std::vector<run_id> before;
  for (int i = 0; i < 40; ++i) before.push_back(start({.name = "go"}));
  run();
  int commits_left = 3;
  before_commit = [&](std::uint64_t) {
    if (--commits_left < 0) throw error{errc::storage_failed, "the machine is gone"};
  };
  try {
    runtime().send({.name = "stop"});
  } catch (const error&) {
    BOOST_TEST_MESSAGE("the answer did not arrive");
  }
  crash();
  open({sleeper()});
  const auto after = start({.name = "go"});
  run();
  for (const auto& one : before) BOOST_TEST(status(one) == run_status::cancelled);
  BOOST_TEST(status(after) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(a_crash_counts_for_a_step_whose_run_an_open_sweep_resumes_afterwards, recovery_world) {
  environment().adjust_limits = [](actors::limits& limits) {
    limits.sweep_threshold = 0;
    limits.interruptions = 0;
  };
  fail_slices();
  open({step_beside_a_wait()});
  const auto run_of = start({.name = "go"});
  settle();
  BOOST_TEST(steps().waiting() == 1U);
  runtime().send({.name = "news"});
  BOOST_TEST(runtime().steps(run_of).empty());  // the sweep has not got to it
  crash();
  open({step_beside_a_wait()});
  run();
  BOOST_TEST(runtime().result<std::string>(run_of) == step_interrupted);
  BOOST_TEST(executed.empty());
}

BOOST_FIXTURE_TEST_CASE(a_crash_makes_no_executing_run_one_that_a_bulk_cancel_of_queued_runs_means, recovery_world) {
  environment().adjust_limits = [](actors::limits& limits) {
    limits.sweep_threshold = 0;
    limits.bulk_slice = 1;
  };
  fail_slices();
  open({step_beside_a_wait()});
  (void)start({.name = "go"});
  const auto run_of = start({.name = "go"});
  settle();
  BOOST_TEST(status(run_of) == run_status::running);
  runtime().send({.name = "news"});
  runtime().cancel_all(run_filter{.status = {run_status::queued}});
  BOOST_TEST(runtime().steps(run_of).empty());  // neither has got to it
  crash();
  open({step_beside_a_wait()});
  run();
  BOOST_TEST(status(run_of) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(ids_grow_although_the_clock_was_set_back, recovery_world) {
  open({two_steps()});
  const auto first = start({.name = "go"});
  run();
  crash();
  set_clock(now() - days{2});
  open({two_steps()});
  const auto second = start({.name = "go"});
  BOOST_TEST(first < second);
}

BOOST_FIXTURE_TEST_CASE(a_second_runtime_over_the_same_directory_is_refused_by_name_of_the_holder, recovery_world) {
  open({two_steps()});
  detail::environment other = environment();
  try {
    caesura::runtime second{options(), {two_steps()}, other};
    BOOST_FAIL("it opened");
  } catch (const error& e) {
    BOOST_TEST(e.code() == errc::store_locked);
    BOOST_TEST(std::string{e.what()}.find(std::to_string(::getpid())) != std::string::npos);
  }
}

BOOST_AUTO_TEST_SUITE_END()
