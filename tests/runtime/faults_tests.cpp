// What goes wrong around the runtime: commits that fail, disks that are full, commands that poison.

#include <filesystem>

#include <boost/test/unit_test.hpp>

#include "tests/support/refusal.hpp"
#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::code_of;
using caesura::testing::world;
using namespace std::chrono_literals;

struct faulty_world : world {
  int executed = 0;
  bool is_full = false;

  faulty_world() {
    before_commit = [this](std::uint64_t) {
      if (is_full) throw error{errc::storage_full, "no space left on the disk"};
    };
  }
  function two_steps() {
    return {.id = "f",
            .triggers = {{.event = "go"}},
            .cancel_on = {{.event = "stop", .when = "event.data.id == async.data.id"}},
            .body = [this](context step) -> task<int> {
              const int a = co_await step.run("a", [&] { return ++executed; });
              const int b = co_await step.run("b", [&] { return ++executed; });
              co_return a * 10 + b;
            }};
  }
  function two_at_once() {
    return {.id = "f", .triggers = {{.event = "go"}}, .body = [this](context step) -> task<int> {
              const auto [a, b] = co_await caesura::all(step.run("a", [&] { return ++executed; }), step.run("b", [&] { return ++executed; }));
              const int c = co_await step.run("c", [&] { return ++executed; });
              co_return a * 100 + b * 10 + c;
            }};
  }
};

struct defining_world : faulty_world {
  std::vector<std::string> ticked;

  function ticking(const char* id, const char* cron) {
    return {.id = id, .triggers = {{.cron = cron}}, .body = [this, id](context step) -> task<> { co_await step.run("note", [&] { ticked.emplace_back(id); }); }};
  }
  function counting(const char* id, const char* event) {
    return {.id = id, .triggers = {{.event = event}}, .body = [this](context step) -> task<> { co_await step.run("count", [&] { ++executed; }); }};
  }
  std::vector<function> older() { return {counting("f", "go"), ticking("old", "30 * * * *")}; }
  std::vector<function> newer() { return {counting("f", "gone"), counting("g", "went"), ticking("new", "15 * * * *")}; }
  // Opens with `older`; the run that is given waits for "g".
  run_id open_older() {
    open({counting("g", "went")});
    const auto held = start({.name = "went", .time = now() + 1min});
    runtime().define(older());
    advance(2min);
    return held;
  }
  void check(const std::vector<std::string>& functions, const std::vector<std::string>& started_by, const char* ticks) {
    std::vector<std::string> registered;
    for (const auto& info : runtime().functions()) {
      if (info.is_registered) registered.push_back(info.id);
    }
    BOOST_TEST(registered == functions, boost::test_tools::per_element());
    run();
    executed = 0;
    for (const auto* event : {"go", "gone", "went"}) {
      BOOST_TEST(std::ssize(runtime().send({.name = event}).runs) == std::ranges::count(started_by, event));
    }
    ticked.clear();
    advance(1h);
    BOOST_TEST(ticked == std::vector<std::string>{ticks}, boost::test_tools::per_element());
  }
  void check_older(const run_id& held) {
    BOOST_TEST(status(held) == run_status::held);
    check({"f", "old"}, {"go"}, "old");
    BOOST_TEST(executed == 1);
  }
  void check_newer(const run_id& held) {
    check({"f", "g", "new"}, {"gone", "went"}, "new");
    BOOST_TEST(executed == 2);
    BOOST_TEST(status(held) == run_status::completed);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(faults)

BOOST_FIXTURE_TEST_CASE(send_throws_on_a_full_disk_and_records_nothing, faulty_world) {
  open({two_steps()});
  is_full = true;
  BOOST_TEST(code_of([&] { runtime().send({.name = "go", .id = "e-1"}); }) == errc::storage_full);
  is_full = false;
  run();
  BOOST_TEST(runtime().list().runs.empty());
  BOOST_TEST(executed == 0);
  BOOST_TEST(!runtime().send({.name = "go", .id = "e-1"}).is_duplicate);  // it was not accepted before
  run();
  BOOST_TEST(executed == 2);
}

BOOST_FIXTURE_TEST_CASE(an_executing_step_keeps_its_result_until_there_is_room, faulty_world) {
  open({two_steps()});
  const auto run_of = start({.name = "go"});
  settle();
  is_full = true;
  execute_step();
  BOOST_TEST(executed == 1);
  BOOST_TEST(runtime().steps(run_of).empty());
  BOOST_TEST(steps().waiting() == 0U);  // the next step does not start before the record of this one is durable
  advance(5s);
  BOOST_TEST(executed == 1);
  is_full = false;
  advance(5s);
  BOOST_TEST(executed == 2);
  BOOST_TEST(runtime().result<int>(run_of) == 12);
}

BOOST_FIXTURE_TEST_CASE(a_later_report_of_a_run_waits_for_an_earlier_one_that_could_not_be_recorded, faulty_world) {
  open({two_at_once()});
  const auto run_of = start({.name = "go"});
  settle();
  is_full = true;
  execute_step();
  is_full = false;
  execute_step();
  BOOST_TEST(executed == 2);
  BOOST_TEST(runtime().steps(run_of).empty());
  BOOST_TEST(steps().waiting() == 0U);  // the next step does not start before the records of both are durable
  advance(1s);
  BOOST_TEST(executed == 3);
  BOOST_TEST(runtime().steps(run_of).size() == 3U);
  BOOST_TEST(runtime().result<int>(run_of) == 123);
}

BOOST_FIXTURE_TEST_CASE(a_cancelled_run_ends_with_the_results_that_waited_for_room, faulty_world) {
  open({two_at_once()});
  const auto run_of = start({.name = "go"});
  settle();
  is_full = true;
  execute_step();
  is_full = false;
  BOOST_TEST(runtime().cancel(run_of) == cancel_outcome::cancelling);
  advance(1s);
  BOOST_TEST(status(run_of) == run_status::cancelled);
  BOOST_TEST(executed == 1);
  BOOST_TEST(runtime().steps(run_of).size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(an_open_sweep_tries_again_twice_a_second_while_the_disk_is_full, faulty_world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.sweep_threshold = 0; };
  open({two_steps()});
  const auto run_of = start({.name = "go", .data = {{"id", 1}}});
  settle();
  constexpr int too_many = 1000;
  int commits = 0;
  before_commit = [&](std::uint64_t) {
    if (++commits > 1 && commits < too_many) throw error{errc::storage_full, "no space left on the disk"};
  };
  runtime().send({.name = "stop", .data = {{"id", 1}}});
  settle();
  for (int i = 0; i < 10; ++i) {
    set_clock(now() + 500ms);
    environment().fire_timers();
    settle();
  }
  BOOST_TEST(commits > 8);
  BOOST_TEST(commits < 100);
  before_commit = {};
  advance(1s);
  BOOST_TEST(status(run_of) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(a_failed_commit_leaves_listeners_timers_and_queue_as_they_were, faulty_world) {
  open({{.id = "sleeper",
         .triggers = {{.event = "go"}},
         .cancel_on = {{.event = "stop", .when = "event.data.id == async.data.id"}},
         .body = [](context step) -> task<> { co_await step.sleep_for("day", days{1}); }}});
  const auto run_of = start({.name = "go", .data = {{"id", 1}}});
  run();
  is_full = true;
  BOOST_TEST(code_of([&] { runtime().send({.name = "stop", .data = {{"id", 1}}}); }) == errc::storage_full);
  BOOST_TEST(code_of([&] { runtime().cancel(run_of); }) == errc::storage_full);
  is_full = false;
  BOOST_TEST(status(run_of) == run_status::sleeping);
  const auto second = start({.name = "go", .data = {{"id", 2}}});
  advance(1h);
  runtime().send({.name = "stop", .data = {{"id", 2}}});
  BOOST_TEST(status(second) == run_status::cancelled);
  advance(days{1});
  BOOST_TEST(status(run_of) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(timers_wait_for_room, faulty_world) {
  open({{.id = "sleeper", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> {
           co_await step.sleep_for("hour", 1h);
         }}});
  const auto run_of = start({.name = "go"});
  run();
  is_full = true;
  advance(61min);
  BOOST_TEST(status(run_of) == run_status::sleeping);
  is_full = false;
  advance(1min);
  BOOST_TEST(status(run_of) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(every_write_of_a_scenario_may_fail_once_and_nothing_acknowledged_is_lost, world) {
  // The k-th put or delete throws; whatever was answered before or after holds.
  int injected = 0;
  for (int k = 1; k < 200; ++k) {
    world one;
    int executed = 0;
    int countdown = 0;
    bool has_failed = false;
    one.before_write = [&] {
      if (countdown > 0 && --countdown == 0) {
        has_failed = true;
        throw error{errc::storage_failed, "write failed"};
      }
    };
    one.open({{.id = "f",
               .triggers = {{.event = "go"}},
               .cancel_on = {{.event = "stop"}},
               .body =
                   [&](context step) -> task<int> {
                     co_await step.run("a", [&] { ++executed; });
                     co_await step.sleep_for("hour", 1h);
                     co_return co_await step.run("b", [&] { return ++executed; });
                   }},
              {.id = "cleanup", .triggers = {{.event = "inngest/function.cancelled"}}, .body = [&](context step) -> task<> {
                 co_await step.run("clean", [&] {});
               }}});
    countdown = k;
    std::vector<run_id> accepted;
    for (int i = 0; i < 3; ++i) {
      try {
        accepted.push_back(one.start({.name = "go"}));
      } catch (const error& e) {
        BOOST_TEST((e.code() == errc::storage_failed));
      }
    }
    cancel_outcome outcome = cancel_outcome::unknown_run;
    one.run();
    try {
      outcome = one.runtime().cancel(accepted.at(0));
    } catch (const error& e) {
      BOOST_TEST((e.code() == errc::storage_failed));
    }
    one.advance(3h);
    BOOST_TEST_CONTEXT("write " << k << " failed") {
      for (const auto& run : accepted) BOOST_TEST(is_ended(one.status(run)));
      if (outcome == cancel_outcome::cancelled) BOOST_TEST(one.status(accepted[0]) == run_status::cancelled);
      BOOST_TEST(one.runtime().list({.function = "cleanup"}).runs.size() == (outcome == cancel_outcome::cancelled ? 1U : 0U));
    }
    if (!has_failed) break;
    ++injected;
  }
  BOOST_TEST_MESSAGE("writes failed: " << injected);
  BOOST_TEST(injected > 40);
}

BOOST_FIXTURE_TEST_CASE(a_commit_that_failed_half_way_and_is_not_on_disk_is_done_again, faulty_world) {
  open({two_steps()});
  bool fails = true;
  before_commit = [&](std::uint64_t) {
    if (std::exchange(fails, false)) throw error{errc::outcome_unknown, "the meta page could not be written"};
  };
  const auto run_of = start({.name = "go"});
  run();
  BOOST_TEST(runtime().result<int>(run_of) == 12);
  BOOST_TEST(runtime().list().runs.size() == 1U);
  close();
}

BOOST_FIXTURE_TEST_CASE(a_commit_that_failed_half_way_and_is_on_disk_is_not_done_twice, faulty_world) {
  bool fails = false;
  environment().after_commit = [&](std::uint64_t) {
    if (std::exchange(fails, false)) throw error{errc::outcome_unknown, "the meta page could not be synced"};
  };
  open({two_steps()});
  for (int at = 0; at < 3; ++at) {  // at the accept, then at each advance
    executed = 0;
    fails = at == 0;
    const auto run_of = start({.name = "go"});
    for (int step = 1; step < 3; ++step) {
      settle();
      fails = at == step;
      execute_step();
    }
    run();
    BOOST_TEST(!fails);
    BOOST_TEST(executed == 2);
    BOOST_TEST(runtime().result<int>(run_of) == 12);
    BOOST_TEST(runtime().steps(run_of).size() == 2U);
    fails = false;
  }
  close();
}

BOOST_FIXTURE_TEST_CASE(a_map_that_is_full_is_a_clear_error_and_the_store_works_again_in_a_larger_one, world) {
  options().map_size_bytes = std::size_t{1} << 20;
  int executed = 0;
  const auto functions = [&] {
    return std::vector<function>{{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
                                    co_await step.run("s", [&] { ++executed; });
                                  }}};
  };
  open(functions());
  std::vector<run_id> accepted;
  errc code{};
  for (int i = 0; i < 1000 && code == errc{}; ++i) {
    try {
      accepted.push_back(start({.name = "go", .data = {{"x", std::string(20'000, 'x')}}}));
    } catch (const error& e) {
      code = e.code();
      BOOST_TEST(std::string{e.what()}.find("map_size_bytes") != std::string::npos);
    }
  }
  BOOST_TEST(code == errc::storage_full);
  crash();
  options().map_size_bytes = std::size_t{64} << 20;
  open(functions());
  run();
  for (const auto& run : accepted) BOOST_TEST(status(run) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(a_commit_on_disk_that_cannot_be_confirmed_at_once_is_not_forgotten, faulty_world) {
  bool fails = false;
  environment().after_commit = [&](std::uint64_t) {
    if (std::exchange(fails, false)) {
      is_full = true;  // from here on
      throw error{errc::outcome_unknown, "the meta page could not be synced"};
    }
  };
  open({two_steps()});
  fails = true;
  BOOST_TEST(code_of([&] { runtime().send({.name = "go", .data = {{"id", 1}}, .id = "e-1"}); }) == errc::outcome_unknown);
  BOOST_TEST(code_of([&] { runtime().send({.name = "go", .id = "e-2"}); }) == errc::outcome_unknown);  // nobody knows yet what is recorded
  advance(2s);
  BOOST_TEST(executed == 0);
  is_full = false;
  advance(2s);
  BOOST_TEST(executed == 2);
  const auto again = runtime().send({.name = "go", .data = {{"id", 1}}, .id = "e-1"});
  BOOST_TEST(again.is_duplicate);
  BOOST_TEST(runtime().result<int>(again.runs.at(0)) == 12);
  BOOST_TEST(runtime().list().runs.size() == 1U);
  // The same with a report of a run.
  executed = 0;
  const auto second = start({.name = "go"});
  settle();
  fails = true;
  execute_step();
  BOOST_TEST(code_of([&] { runtime().cancel(second); }) == errc::outcome_unknown);
  is_full = false;
  advance(2s);
  BOOST_TEST(runtime().result<int>(second) == 12);
  BOOST_TEST(runtime().steps(second).size() == 2U);
  close();
}

BOOST_FIXTURE_TEST_CASE(reports_that_come_while_a_commit_is_in_doubt_are_recorded_behind_it, faulty_world) {
  bool fails = false;
  environment().before_commit = [&](std::uint64_t) {
    if (!std::exchange(fails, false)) return;
    std::filesystem::rename(directory(), directory() + ".away");  // it cannot be opened anew
    throw error{errc::outcome_unknown, "the meta page could not be written"};
  };
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> {
           co_await caesura::all(step.run("s1", [] {}), step.run("s2", [] {}));
           co_await step.run("s3", [] {});
         }}});
  const auto run_of = start({.name = "go"});
  settle();
  fails = true;
  execute_step();  // s1: its report is in doubt
  execute_step();  // s2
  BOOST_TEST(steps().waiting() == 0U);
  std::filesystem::rename(directory() + ".away", directory());
  advance(2s);
  BOOST_TEST(status(run_of) == run_status::completed);
  std::vector<std::string> recorded;
  for (const auto& row : runtime().steps(run_of)) recorded.push_back(row.id);
  BOOST_TEST((recorded == std::vector<std::string>{"s1", "s2", "s3"}));
  close();
}

BOOST_FIXTURE_TEST_CASE(a_queued_run_may_be_read_while_a_commit_fails_half_way, faulty_world) {
  options().live_runs = 1;
  bool fails = false;
  environment().after_commit = [&](std::uint64_t) {
    if (std::exchange(fails, false)) throw error{errc::outcome_unknown, "the meta page could not be synced"};
  };
  open({two_steps()});
  start({.name = "go"});
  const auto queued = start({.name = "go"});
  settle();
  fails = true;
  runtime().checkpoint({}, 1, {}, [](auto) {});  // a command that is taken once the router is asked
  BOOST_TEST(runtime().get(queued)->place_in_queue.value() == 0U);
  BOOST_TEST(!fails);
  close();
}

// ---- functions that are defined while the storage fails

BOOST_FIXTURE_TEST_CASE(a_define_whose_commit_fails_changes_nothing_and_may_be_asked_for_again, defining_world) {
  const auto held = open_older();
  check_older(held);
  is_full = true;
  BOOST_TEST(code_of([&] { runtime().define(newer()); }) == errc::storage_full);
  is_full = false;
  check_older(held);
  runtime().define(newer());
  check_newer(held);
}

// The failure comes at each write in turn and lasts for as long as the call does.
BOOST_FIXTURE_TEST_CASE(a_define_that_fails_at_any_write_changes_nothing, defining_world) {
  const auto held = open_older();
  int failed = 0;
  bool is_defined = false;
  while (!is_defined) {
    before_write = [left = failed]() mutable {
      if (left-- <= 0) throw error{errc::storage_failed, "planted"};
    };
    try {
      runtime().define(newer());
      is_defined = true;
    } catch (const error& e) {
      BOOST_REQUIRE(e.code() == errc::storage_failed);
      ++failed;
    }
    before_write = {};
    if (!is_defined) check_older(held);
  }
  BOOST_TEST(failed >= 5);  // three definitions, a tick, and what goes with a commit
  check_newer(held);
}

BOOST_AUTO_TEST_SUITE_END()
