// Pausing functions; timeouts; concurrency; handlers.

#include <boost/test/unit_test.hpp>

#include <caesura/verify.hpp>

#include "runtime/runtime_state.hpp"
#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::world;
using namespace std::chrono_literals;

struct pause_world : world {
  int steps_done = 0;

  std::vector<function> functions() {
    return {{.id = "f", .triggers = {{.event = "go"}}, .body = [this](context step) -> task<> {
               co_await step.run("one", [&] { ++steps_done; });
               co_await step.run("two", [&] { ++steps_done; });
               co_await step.sleep_for("nap", 1h);
               co_await step.run("three", [&] { ++steps_done; });
             }}};
  }
  void open_all() { open(functions()); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(pausing)

BOOST_FIXTURE_TEST_CASE(a_paused_function_skips_its_events_and_resume_replays_them, pause_world) {
  open_all();
  BOOST_TEST(!runtime().pause("f", {.reason = "bad deployment"}).was_paused);
  BOOST_TEST(runtime().pause("f", {.reason = "bad deployment"}).was_paused);
  const auto skipped = start({.name = "go", .data = {{"n", 1}}});
  start({.name = "go", .data = {{"n", 2}}});
  crash();  // it survives a restart
  open_all();
  start({.name = "go", .data = {{"n", 3}}});
  advance(2h);
  const auto info = runtime().get(skipped).value();
  BOOST_TEST(info.status == run_status::skipped);
  BOOST_TEST(info.held_because.find("bad deployment") != std::string::npos);
  BOOST_TEST(runtime().cancel(skipped) == cancel_outcome::already_failed);
  BOOST_TEST(steps_done == 0);
  const auto listed = runtime().functions();
  BOOST_REQUIRE(listed.size() == 1U);
  BOOST_TEST(listed[0].is_paused);
  BOOST_TEST(listed[0].skipped == 3U);
  const auto answer = runtime().resume("f", {.replay_skipped = true});
  BOOST_TEST(answer.was_paused);
  BOOST_TEST(answer.skipped == 3U);
  advance(2h);
  BOOST_TEST(runtime().progress(answer.replaying)->replayed == 3U);
  BOOST_TEST(steps_done == 9);
  BOOST_TEST(!runtime().resume("f").was_paused);
  BOOST_TEST(runtime().list({.status = run_status::completed}).runs.size() == 3U);
}

BOOST_FIXTURE_TEST_CASE(runs_under_way_go_on_while_paused, pause_world) {
  open_all();
  const auto one = start({.name = "go"});
  settle();
  runtime().pause("f");
  advance(2h);
  BOOST_TEST(status(one) == run_status::completed);
}

// The pause stands ahead of the report that asks for the operation, in one batch or the one before.
BOOST_FIXTURE_TEST_CASE(nothing_is_sent_and_nobody_invoked_once_a_pause_that_holds_stands_ahead, pause_world) {
  for (const bool invokes : {false, true}) {
    for (const bool is_side_by_side : {false, true}) {
      BOOST_TEST_CONTEXT((invokes ? "invoke" : "send") << (is_side_by_side ? ", beside a sleep" : "")) {
        bool is_paused = false;
        const function parent{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
                                co_await step.run("pause", [&] {
                                  if (!std::exchange(is_paused, true)) {
                                    runtime().internals().admit();
                                    runtime().internals().post(actors::pause_function{.function = "f", .mode = storage::pause_mode::hold});
                                  }
                                });
                                const event note{.name = "note"};
                                if (invokes && is_side_by_side) {
                                  co_await caesura::all(step.invoke<>("call", "child", nlohmann::json::object()), step.sleep_for("nap", 1min));
                                } else if (invokes) {
                                  co_await step.invoke<>("call", "child", nlohmann::json::object());
                                } else if (is_side_by_side) {
                                  co_await caesura::all(step.send_event("tell", note), step.sleep_for("nap", 1min));
                                } else {
                                  co_await step.send_event("tell", note);
                                }
                              }};
        const function child{.id = "child", .triggers = {{.event = "note"}}, .body = [&](context step) -> task<> { co_await step.run("s", [] {}); }};
        const auto all = [&] { return runtime().list({.function = "child"}).runs.size(); };
        open({parent, child});
        const auto before = all();
        const auto one = start({.name = "go"});
        run();
        BOOST_TEST(status(one) == run_status::held);
        BOOST_TEST(all() == before);
        advance(2h);
        BOOST_TEST(all() == before);
        runtime().resume("f");
        advance(2h);
        BOOST_TEST(status(one) == run_status::completed);
        BOOST_TEST(all() == before + 1);
        close();
      }
    }
  }
}

BOOST_FIXTURE_TEST_CASE(a_pause_that_is_changed_to_let_runs_finish_sets_the_held_ones_going, pause_world) {
  open_all();
  const auto one = start({.name = "go"});
  settle();
  runtime().pause("f", {.under_way = running_runs::hold});
  run();
  BOOST_TEST(status(one) == run_status::held);
  runtime().pause("f", {.under_way = running_runs::let_finish});
  const auto two = start({.name = "go"});
  advance(2h);
  BOOST_TEST(status(one) == run_status::completed);
  BOOST_TEST(status(two) == run_status::skipped);
}

BOOST_FIXTURE_TEST_CASE(runs_that_were_held_before_they_started_keep_their_places, pause_world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.sweep_slice = 2; };
  std::vector<int> order;
  function fn{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step, event e) -> task<> {
                co_await step.run("one", [&] { order.push_back(e.data.json()["n"].get<int>()); });
              }};
  fn.concurrency = {{.limit = 1}};
  open({fn});
  const auto send = [&](int n, duration later = duration{0}) { return start({.name = "go", .data = {{"n", n}}, .time = now() + later}); };
  std::vector<run_id> runs;
  for (int n = 0; n < 6; ++n) runs.push_back(send(n));
  runs.push_back(send(6, 1s));
  runtime().pause("f", running_runs::hold);
  run();
  advance(2s);
  for (std::size_t i = 1; i < runs.size(); ++i) BOOST_TEST_CONTEXT(i) { BOOST_TEST(status(runs[i]) == run_status::held); }
  // The resume is worked off slice by slice, and the event comes in between.
  runtime().internals().admit();
  runtime().internals().post(actors::resume_function{.function = "f"});
  send(7);
  run();
  BOOST_TEST((order == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
}

BOOST_FIXTURE_TEST_CASE(a_held_run_that_waits_for_a_place_when_its_function_is_resumed_is_queued_and_no_longer_held, pause_world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.live_runs = 1; };
  auto both = functions();
  both.push_back({.id = "other", .triggers = {{.event = "go/other"}}, .body = [](context step) -> task<> { co_await step.run("s", [] {}); }});
  open(both);
  const auto one = start({.name = "go"});
  settle();
  runtime().pause("f", {.under_way = running_runs::hold, .reason = "wrong prices"});
  settle();
  BOOST_TEST(runtime().get(one)->held_because.find("wrong prices") != std::string::npos);
  start({.name = "go/other"});
  settle();
  runtime().resume("f");
  BOOST_TEST(status(one) == run_status::queued);
  BOOST_TEST(runtime().get(one)->held_because.empty());
  crash();
  BOOST_TEST(verify(directory()).is_sound());
  open(both);
  advance(2h);
  BOOST_TEST(status(one) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(runs_under_way_are_held_between_steps_and_go_on_when_resumed, pause_world) {
  open_all();
  const auto one = start({.name = "go"});
  const auto sleeping = start({.name = "go"});
  run();
  const auto executing = start({.name = "go"});
  settle();
  const int before = steps_done;
  runtime().pause("f", running_runs::hold);
  run();
  BOOST_TEST(steps_done == before);  // withdrawn before it started
  BOOST_TEST(status(executing) == run_status::held);
  BOOST_TEST(status(sleeping) == run_status::sleeping);
  advance(2h);  // the sleep ends meanwhile
  BOOST_TEST(status(sleeping) == run_status::held);
  BOOST_TEST(runtime().get(sleeping)->held_because.find("paused") != std::string::npos);
  BOOST_TEST(steps_done == before);
  crash();
  open_all();
  run();
  BOOST_TEST(status(executing) == run_status::held);
  runtime().resume("f");
  advance(2h);
  for (const auto& run : {one, sleeping, executing}) BOOST_TEST(status(run) == run_status::completed);
  BOOST_TEST(steps_done == 9);
}

// Seed 12427 of the simulation: a retry of what had lost was recorded.
BOOST_FIXTURE_TEST_CASE(what_loses_an_any_while_its_function_is_paused_is_not_tried_again, pause_world) {
  bool has_lost = false;
  open({{.id = "f", .triggers = {{.event = "go"}}, .retries = {.retries = 3, .delays = {1min}}, .body = [&](context step) -> task<> {
           auto slow = step.run("slow", [&] {
             if (!std::exchange(has_lost, true)) execute_step();  // the other one, which is first
             throw std::runtime_error{"too late"};
           });
           auto quick = step.run("quick", [&] {
             ++steps_done;
             runtime().pause("f", running_runs::hold);
           });
           co_await any(std::move(slow), std::move(quick));
           co_await step.run("then", [&] { ++steps_done; });
         }}});
  const auto one = start({.name = "go"});
  run();
  BOOST_TEST(has_lost);
  BOOST_TEST(status(one) == run_status::held);
  BOOST_TEST(runtime().internals().store().begin_read()->find_run(one)->pending.empty());  // no retry
  runtime().resume("f");
  run();
  BOOST_TEST(status(one) == run_status::completed);
  BOOST_TEST(steps_done == 2);
}

BOOST_FIXTURE_TEST_CASE(a_step_that_executes_when_its_function_is_paused_is_recorded_and_then_held, pause_world) {
  bool is_asked = false;
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
           co_await step.run("one", [&] {
             ++steps_done;
             if (!std::exchange(is_asked, true)) BOOST_TEST(!runtime().pause("f", running_runs::hold).was_paused);
           });
           co_await step.run("two", [&] { ++steps_done; });
         }}});
  const auto one = start({.name = "go"});
  run();
  BOOST_TEST(status(one) == run_status::held);
  BOOST_TEST(runtime().steps(one).size() == 1U);
  BOOST_TEST(steps_done == 1);
  BOOST_TEST(runtime().cancel(one) == cancel_outcome::cancelled);
  runtime().resume("f");
  run();
  BOOST_TEST(steps_done == 1);
}

BOOST_FIXTURE_TEST_CASE(runs_under_way_are_cancelled_with_the_pause_as_their_source, pause_world) {
  open_all();
  const auto one = start({.name = "go"});
  run();
  const auto answer = runtime().pause("f", {.under_way = running_runs::cancel, .reason = "wrong prices", .by = "ops"});
  run();
  const auto info = runtime().get(one).value();
  BOOST_TEST(info.status == run_status::cancelled);
  BOOST_TEST(info.cancelled_by->source == cancel_source::pause);
  BOOST_TEST(info.cancelled_by->by == "ops");
  BOOST_TEST(info.cancelled_by->reason.find("wrong prices") != std::string::npos);
  BOOST_TEST(runtime().progress(answer.cancelling)->cancelled == 1U);
  BOOST_TEST(status(start({.name = "go"})) == run_status::skipped);
}

BOOST_FIXTURE_TEST_CASE(an_unknown_function_cannot_be_paused, pause_world) {
  open_all();
  try {
    runtime().pause("g");
    BOOST_FAIL("paused");
  } catch (const error& e) {
    BOOST_TEST(e.code() == errc::unknown_function);
    BOOST_TEST(std::string{e.what()}.find("\"g\"") != std::string::npos);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(timing_out)

BOOST_FIXTURE_TEST_CASE(a_run_that_does_not_start_in_time_is_cancelled, world) {
  options().live_runs = 1;
  open({{.id = "f", .triggers = {{.event = "go"}}, .timeouts = {.start = 1min}, .body = [](context step) -> task<> {
           co_await step.run("s", [] {});
         }}});
  const auto first = start({.name = "go"});
  const auto second = start({.name = "go"});
  settle();  // the first has the only place and its step does not execute yet
  BOOST_TEST(status(second) == run_status::queued);
  BOOST_TEST(runtime().get(second)->place_in_queue.value() == 0U);
  set_clock(now() + 1min);
  environment().fire_timers();
  settle();
  BOOST_TEST(status(second) == run_status::cancelled);
  BOOST_TEST(runtime().get(second)->cancelled_by->source == cancel_source::timeout);
  BOOST_TEST(runtime().get(second)->cancelled_by->reason.find("timeouts.start") != std::string::npos);
  run();
  BOOST_TEST(status(first) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(no_run_goes_on_past_its_timeouts_although_its_timer_stands_behind_others, world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.timers_per_turn = 1; };
  int executed = 0;
  const std::vector<function> functions{{.id = "f",
                                         .triggers = {{.event = "go"}},
                                         .timeouts = {.start = 1min, .finish = 2h},
                                         .body = [&](context step) -> task<> {
                                           co_await step.wait_for_event("ping").timeout(days{1});
                                           co_await step.run("s", [&] { ++executed; });
                                         }}};
  auto with_blocker = functions;
  with_blocker.push_back({.id = "blocker", .triggers = {{.event = "block"}}, .body = [&](context step) -> task<> { co_await step.run("s", [] {}); }});
  open(with_blocker);
  const auto waiting = start({.name = "go"});
  run();
  close();
  options().live_runs = 1;
  open(with_blocker);
  start({.name = "block"});
  settle();  // it has the only place, and its step is not executed
  std::vector<run_id> queued;
  for (int i = 0; i < 4; ++i) queued.push_back(start({.name = "go"}));
  runtime().send({.name = "ping"});
  settle();
  for (const auto& one : queued) BOOST_TEST(status(one) == run_status::queued);
  BOOST_TEST(status(waiting) == run_status::queued);
  crash();
  options().live_runs = 100;
  set_clock(now() + 3h);
  open(with_blocker);
  run();
  for (const auto& one : queued) {
    BOOST_TEST(status(one) == run_status::cancelled);
    BOOST_TEST(runtime().get(one)->cancelled_by->reason.starts_with("timeouts.start"));
  }
  BOOST_TEST(status(waiting) == run_status::cancelled);
  BOOST_TEST(runtime().get(waiting)->cancelled_by->reason.starts_with("timeouts.finish"));
  BOOST_TEST(executed == 0);
}

// Timers of the children come first; each end wakes a parent whose own timer stands further behind.
BOOST_FIXTURE_TEST_CASE(no_parent_goes_on_past_its_timeout_although_its_child_ends_first, world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.timers_per_turn = 1; };
  int executed = 0;
  const std::vector<function> functions{{.id = "parent",
                                         .triggers = {{.event = "go"}},
                                         .timeouts = {.finish = 2h},
                                         .body =
                                             [&](context step) -> task<> {
                                               try {
                                                 co_await step.invoke<>("call", "child", nlohmann::json::object());
                                               } catch (const step_failed&) {
                                               }
                                               co_await step.run("s", [&] { ++executed; });
                                             }},
                                        {.id = "child", .triggers = {{.event = "never"}}, .timeouts = {.finish = 1h}, .body = [&](context step) -> task<> {
                                           co_await step.sleep_for("long", days{1});
                                         }}};
  for (const bool is_restarted : {false, true}) {
    BOOST_TEST_CONTEXT((is_restarted ? "restarted" : "in one process")) {
      open(functions);
      std::vector<run_id> parents;
      for (int i = 0; i < 4; ++i) parents.push_back(start({.name = "go"}));
      run();
      if (is_restarted) crash();
      set_clock(now() + 3h);
      if (is_restarted) open(functions);
      environment().fire_timers();
      run();
      for (const auto& one : parents) {
        BOOST_TEST(status(one) == run_status::cancelled);
        BOOST_TEST(runtime().get(one)->cancelled_by->reason.starts_with("timeouts.finish"));
      }
      BOOST_TEST(executed == 0);
      close();
    }
  }
}

BOOST_FIXTURE_TEST_CASE(a_run_that_does_not_end_in_time_is_cancelled_wherever_it_is, world) {
  int later = 0;
  open({{.id = "f", .triggers = {{.event = "go"}}, .timeouts = {.finish = 1h}, .body = [&](context step) -> task<> {
           co_await step.sleep_for("long", days{1});
           co_await step.run("later", [&] { ++later; });
         }},
        {.id = "quick", .triggers = {{.event = "go/quick"}}, .timeouts = {.finish = 1h}, .body = [&](context step) -> task<> {
           co_await step.sleep_for("short", 1h - 1ms);
         }},
        {.id = "busy", .triggers = {{.event = "go/busy"}}, .timeouts = {.finish = 1h}, .body = [&](context step) -> task<> {
           co_await step.run("slow", [&] { set_clock(now() + 2h); });
           co_await step.run("later", [&] { ++later; });
         }}});
  const auto one = start({.name = "go"});
  const auto quick = start({.name = "go/quick"});
  run();
  crash();
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> { co_await step.sleep_for("long", days{1}); }},
        {.id = "quick", .triggers = {{.event = "go/quick"}}, .body = [](context step) -> task<> { co_await step.sleep_for("short", 1h - 1ms); }},
        {.id = "busy", .triggers = {{.event = "go/busy"}}, .timeouts = {.finish = 1h}, .body = [&](context step) -> task<> {
           co_await step.run("slow", [&] {
             set_clock(now() + 2h);
             environment().fire_timers();
           });
           co_await step.run("later", [&] { ++later; });
         }}});
  advance(2h);
  BOOST_TEST(status(one) == run_status::cancelled);  // it keeps the timeouts it was created with
  BOOST_TEST(runtime().get(one)->cancelled_by->reason.find("timeouts.finish") != std::string::npos);
  BOOST_TEST(status(quick) == run_status::completed);
  const auto busy = start({.name = "go/busy"});
  run();
  BOOST_TEST(status(busy) == run_status::cancelled);
  BOOST_TEST(runtime().steps(busy).size() == 1U);
  BOOST_TEST(later == 0);
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

struct slots_world : world {
  int most = 0;
  std::vector<function> functions(std::vector<concurrency> limits) {
    return {{.id = "f", .triggers = {{.event = "go"}}, .concurrency = std::move(limits), .body = [](context step) -> task<> {
               co_await step.run("one", [] {});
               co_await step.sleep_for("nap", 1h);
               co_await step.run("two", [] {});
             }}};
  }
  function sharing(const char* id, const char* event, std::uint32_t limit, const char* key = "'gpu'", bool counts_resting = false) {
    auto fn = functions({{.limit = limit, .key = key, .counts_resting = counts_resting, .is_shared = true}}).front();
    fn.id = id;
    fn.triggers = {{.event = event}};
    return fn;
  }
  // Who slept may go on, and nothing else happens: advance would execute steps, too.
  void wake_after_an_hour() {
    set_clock(now() + 1h);
    environment().fire_timers();
    settle();
  }
  std::size_t count(run_status status) { return runtime().list({.status = status}, {.limit = 1000}).runs.size(); }
  run_id go(const std::string& user) { return start({.name = "go", .data = {{"user", user}}}); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(concurrency_limits)

BOOST_FIXTURE_TEST_CASE(no_more_runs_than_the_limit_execute_at_once_the_others_wait_in_order, slots_world) {
  open(functions({{.limit = 2}}));
  std::vector<run_id> runs;
  for (int i = 0; i < 5; ++i) runs.push_back(go("a"));
  settle();
  BOOST_TEST(count(run_status::running) == 2U);
  BOOST_TEST(count(run_status::queued) == 3U);
  BOOST_TEST(runtime().get(runs[2])->place_in_queue.value() == 0U);
  BOOST_TEST(runtime().get(runs[4])->place_in_queue.value() == 2U);
  BOOST_TEST(steps().waiting() == 2U);
  execute_step();  // the first goes to sleep and gives its slot on
  BOOST_TEST(status(runs[0]) == run_status::sleeping);
  BOOST_TEST(status(runs[2]) == run_status::running);
  BOOST_TEST(status(runs[3]) == run_status::queued);
  run();
  BOOST_TEST(count(run_status::sleeping) == 5U);
  advance(2h);
  BOOST_TEST(count(run_status::completed) == 5U);
}

BOOST_FIXTURE_TEST_CASE(each_key_is_a_group_of_its_own_and_a_full_one_holds_up_nobody_else, slots_world) {
  open(functions({{.limit = 1, .key = "event.data.user"}}));
  const auto a1 = go("a");
  const auto a2 = go("a");
  const auto b1 = go("b");
  settle();
  BOOST_TEST(status(a1) == run_status::running);
  BOOST_TEST(status(a2) == run_status::queued);
  BOOST_TEST(status(b1) == run_status::running);
}

BOOST_FIXTURE_TEST_CASE(a_run_needs_a_slot_of_each_entry, slots_world) {
  open(functions({{.limit = 3}, {.limit = 1, .key = "event.data.user"}}));
  for (const auto* user : {"a", "a", "b", "c", "d"}) go(user);
  settle();
  BOOST_TEST(count(run_status::running) == 3U);  // a, b, c
  BOOST_TEST(count(run_status::queued) == 2U);
  advance(3h);
  BOOST_TEST(count(run_status::completed) == 5U);
}

BOOST_FIXTURE_TEST_CASE(functions_that_share_a_group_share_its_slots_and_the_lowest_limit_holds, slots_world) {
  const auto all = [&] { return std::vector{sharing("f", "go", 2, "'gpu'"), sharing("g", "went", 3, "'gpu'"), sharing("other", "gone", 1, "'disk'")}; };
  open(all());
  const auto first = start({.name = "go"});
  const auto second = start({.name = "went"});
  const auto third = start({.name = "went"});
  const auto fourth = start({.name = "go"});
  const auto apart = start({.name = "gone"});
  settle();
  BOOST_TEST(status(first) == run_status::running);
  BOOST_TEST(status(second) == run_status::running);
  BOOST_TEST(status(third) == run_status::queued);
  BOOST_TEST(status(apart) == run_status::running);
  BOOST_TEST(runtime().cancel(third) == cancel_outcome::cancelled);
  execute_step();  // the first sleeps, and its slot goes to another function's run
  BOOST_TEST(status(fourth) == run_status::running);
  crash();  // the slots are those of the records
  open(all());
  settle();
  BOOST_TEST(count(run_status::running) == 3U);
  start({.name = "go"});
  settle();
  BOOST_TEST(count(run_status::running) == 3U);
  advance(3h);
  BOOST_TEST(count(run_status::completed) == 5U);
}

BOOST_FIXTURE_TEST_CASE(a_run_of_a_removed_function_counts_in_a_shared_group_and_its_limit_does_not, slots_world) {
  auto stays = sharing("g", "went", 3);
  stays.body = [](context step) -> task<> { co_await step.run("only", [] {}); };
  open({sharing("f", "go", 1, "'gpu'", true), stays});
  const auto removed = start({.name = "go"});
  run();
  crash();
  open({stays});
  const auto first = start({.name = "went"});
  const auto second = start({.name = "went"});
  const auto third = start({.name = "went"});
  wake_after_an_hour();
  BOOST_TEST(status(removed) == run_status::held);  // and keeps its slot
  BOOST_TEST(status(second) == run_status::running);
  BOOST_TEST(status(third) == run_status::queued);
  execute_step();
  BOOST_TEST(status(first) == run_status::completed);
  BOOST_TEST(status(third) == run_status::running);
}

BOOST_FIXTURE_TEST_CASE(the_limit_of_a_removed_function_does_not_hold_up_a_run_that_was_queued_before_a_restart, slots_world) {
  open({sharing("f", "go", 1, "'gpu'", true), sharing("g", "went", 3)});
  const auto waits = start({.name = "went"});
  run();
  const auto removed = start({.name = "go"});
  run();
  BOOST_TEST(status(removed) == run_status::sleeping);
  wake_after_an_hour();
  BOOST_TEST(status(waits) == run_status::queued);
  crash();
  open({sharing("g", "went", 3)});
  settle();
  BOOST_TEST(status(waits) == run_status::running);
}

BOOST_FIXTURE_TEST_CASE(a_run_from_before_its_function_left_a_shared_group_does_not_bring_the_new_limit_there, slots_world) {
  open({sharing("f", "go", 1), sharing("g", "went", 1)});
  const auto old = start({.name = "go"});
  run();
  BOOST_TEST(status(old) == run_status::sleeping);
  auto left = sharing("f", "go", 5);
  left.concurrency[0].is_shared = false;
  crash();
  open({left, sharing("g", "went", 1)});
  const auto has_slot = start({.name = "went"});
  settle();
  BOOST_TEST(status(has_slot) == run_status::running);
  wake_after_an_hour();
  BOOST_TEST(status(old) == run_status::queued);
  const auto fresh = start({.name = "go"});
  settle();
  BOOST_TEST(status(fresh) == run_status::running);
  run();
  BOOST_TEST(status(old) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(runs_that_wait_start_when_the_functions_of_now_on_allow_more, slots_world) {
  auto alone = functions({{.limit = 1}}).front();
  alone.id = "alone";
  alone.triggers = {{.event = "gone"}};
  open({sharing("f", "go", 1), sharing("g", "went", 3), alone});
  std::vector<run_id> runs{start({.name = "go"})};
  for (int i = 0; i < 3; ++i) runs.push_back(start({.name = "went"}));
  for (int i = 0; i < 3; ++i) runs.push_back(start({.name = "gone"}));
  settle();
  BOOST_TEST(count(run_status::running) == 2U);
  alone.concurrency[0].limit = 2;
  before_commit = [](std::uint64_t) { throw error{errc::storage_failed, "the disk refuses"}; };
  BOOST_CHECK_THROW(runtime().define({sharing("g", "went", 3), alone}), error);
  before_commit = {};
  settle();
  BOOST_TEST(count(run_status::running) == 2U);  // the functions are those of before
  runtime().define({sharing("g", "went", 3), alone});
  settle();
  for (const auto at : {0U, 1U, 2U, 4U, 5U}) BOOST_TEST(status(runs[at]) == run_status::running);
  for (const auto at : {3U, 6U}) BOOST_TEST(status(runs[at]) == run_status::queued);
  runtime().define({sharing("f", "go", 1), sharing("g", "went", 3), alone});
  settle();
  execute_step();
  execute_step();
  BOOST_TEST(status(runs[3]) == run_status::queued);  // the lower limit holds again
}

BOOST_FIXTURE_TEST_CASE(cancelling_frees_the_slot_in_the_same_transaction, slots_world) {
  open(functions({{.limit = 1, .counts_resting = true}}));
  const auto first = go("a");
  const auto second = go("a");
  const auto third = go("a");
  run();
  BOOST_TEST(status(first) == run_status::sleeping);
  BOOST_TEST(status(second) == run_status::queued);  // the sleeping one keeps its slot
  BOOST_TEST(runtime().cancel(second) == cancel_outcome::cancelled);
  BOOST_TEST(runtime().cancel(first) == cancel_outcome::cancelled);
  BOOST_TEST(status(third) == run_status::running);
  run();
  BOOST_TEST(status(third) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(runs_under_way_queue_before_new_ones, slots_world) {
  open(functions({{.limit = 1}}));
  const auto first = go("a");
  run();  // sleeps, its slot is free
  const auto second = go("a");
  const auto third = go("a");
  settle();
  BOOST_TEST(status(second) == run_status::running);
  set_clock(now() + 2h);
  environment().fire_timers();
  settle();
  BOOST_TEST(status(first) == run_status::queued);
  BOOST_TEST(runtime().get(first)->place_in_queue.value() == 0U);
  BOOST_TEST(runtime().get(third)->place_in_queue.value() == 1U);
  execute_step();  // the second goes to sleep
  BOOST_TEST(status(first) == run_status::running);
  BOOST_TEST(status(third) == run_status::queued);
}

BOOST_FIXTURE_TEST_CASE(slots_and_places_survive_a_crash_and_limits_are_the_present_ones, slots_world) {
  open(functions({{.limit = 1, .counts_resting = true}}));
  const auto first = go("a");
  const auto second = go("a");
  const auto third = go("a");
  run();
  crash();
  open(functions({{.limit = 2, .counts_resting = true}}));
  run();
  BOOST_TEST(status(first) == run_status::sleeping);
  BOOST_TEST(status(second) == run_status::sleeping);
  BOOST_TEST(status(third) == run_status::queued);
  advance(3h);
  BOOST_TEST(count(run_status::completed) == 3U);
}

BOOST_FIXTURE_TEST_CASE(a_failed_commit_leaves_slots_as_they_were, slots_world) {
  open(functions({{.limit = 1}}));
  std::vector<run_id> runs;
  for (int i = 0; i < 4; ++i) runs.push_back(go("a"));
  int commits = 0;
  before_commit = [&](std::uint64_t) {
    if (++commits % 2 == 1) throw error{errc::storage_failed, "now and then"};
  };
  advance(5h);
  before_commit = {};
  advance(5h);
  for (const auto& run : runs) BOOST_TEST(status(run) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(wrong_limits_are_refused_by_the_constructor, slots_world) {
  try {
    open(functions({{.limit = 0}, {.key = "event.data."}, {}}));
    BOOST_FAIL("opened");
  } catch (const error& e) {
    const std::string text = e.what();
    BOOST_TEST(text.find("concurrency has 3 entries; the limit is 2") != std::string::npos);
    BOOST_TEST(text.find("concurrency[0].limit is 0") != std::string::npos);
    BOOST_TEST(text.find("concurrency[1].key: at byte") != std::string::npos);
  }
  try {
    open(functions({{.is_shared = true}, {.is_shared = true}}));
    BOOST_FAIL("opened");
  } catch (const error& e) {
    const std::string text = e.what();
    BOOST_TEST(text.find("concurrency[0].key is empty") != std::string::npos);
    BOOST_TEST(text.find("concurrency[1] is the same group as concurrency[0]") != std::string::npos);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(handlers)

BOOST_FIXTURE_TEST_CASE(on_cancel_and_on_failure_are_durable_functions_of_their_own, world) {
  std::vector<std::string> told;
  const auto make = [&]() -> std::vector<function> {
    return {{.id = "it's",
             .triggers = {{.event = "go"}},
             .retries = {.retries = 0},
             .body =
                 [](context step, nlohmann::json data) -> task<> {
               co_await step.run("s", [&] {
                 if (data.value("fail", false)) throw std::runtime_error{"broken"};
               });
               co_await step.sleep_for("nap", 1h);
             },
             .on_cancel = [&](context step, event e) -> task<> {
               co_await step.run("note", [&] { told.push_back("cancelled " + e.data.json()["reason"].get<std::string>()); });
             },
             .on_failure = [&](context step, event e) -> task<> {
               co_await step.run("note", [&] { told.push_back("failed " + e.data.json()["error"]["message"].get<std::string>()); });
             }}};
  };
  open(make());
  const auto cancelled = start({.name = "go", .data = {{"fail", false}}});
  start({.name = "go", .data = {{"fail", true}}});
  run();
  runtime().cancel(cancelled, {.reason = "asked"});
  crash();
  open(make());
  run();
  std::ranges::sort(told);
  BOOST_REQUIRE(told.size() == 2U);
  BOOST_TEST(told[0] == "cancelled asked");
  BOOST_TEST(told[1].find("broken") != std::string::npos);
  BOOST_TEST(runtime().list({.function = "it's-cancelled"}).runs.size() == 1U);
  BOOST_TEST(runtime().list({.function = "it's-failed"}).runs.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()
