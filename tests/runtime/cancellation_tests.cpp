// Every sentence of the cancellation page, through the public API.

#include <boost/test/unit_test.hpp>

#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::world;
using namespace std::chrono_literals;

// The page's example: a step, a week of sleep, a step.
struct reminder_world : world {
  int first_steps = 0;
  int second_steps = 0;
  int cleanups = 0;
  std::vector<nlohmann::json> cancelled_events;
  std::function<void()> during_second = [] {};

  function reminder() {
    return {.id = "schedule-reminder",
            .triggers = {{.event = "tasks/reminder.created"}},
            .cancel_on = {{.event = "tasks/deleted", .when = "event.data.id == async.data.id"}},
            .body = [this](context step) -> task<int> {
              co_await step.run("first", [&] { return ++first_steps; });
              co_await step.sleep_for("a-week", days{7});
              co_await step.run("second", [&] {
                ++second_steps;
                during_second();
                return second_steps;
              });
              co_return co_await step.run("third", [&] { return 3; });
            }};
  }
  function cleanup() {
    return {.id = "cleanup",
            .triggers = {{.event = "inngest/function.cancelled", .when = "event.data.function_id == 'schedule-reminder'"}},
            .body = [this](context step, event e) -> task<> {
              co_await step.run("clean", [&] {
                ++cleanups;
                cancelled_events.push_back(e.data.json());
              });
            }};
  }
  void open_all() { open({reminder(), cleanup()}); }
  event created(const std::string& id) { return {.name = "tasks/reminder.created", .data = {{"id", id}}}; }
  event deleted(const std::string& id) { return {.name = "tasks/deleted", .data = {{"id", id}}}; }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(cancellation)

BOOST_FIXTURE_TEST_CASE(a_run_that_nobody_cancels_completes, reminder_world) {
  open_all();
  const auto run_of = start(created("t-1"));
  advance(days{8});
  BOOST_TEST(status(run_of) == run_status::completed);
  BOOST_TEST(runtime().result<int>(run_of) == 3);
  BOOST_TEST(first_steps == 1);
  BOOST_TEST(second_steps == 1);
  BOOST_TEST(cleanups == 0);
}

BOOST_FIXTURE_TEST_CASE(cancel_during_the_week_long_sleep_skips_the_second_step, reminder_world) {
  open_all();
  const auto run_of = start(created("t-1"));
  advance(days{3});
  BOOST_TEST(status(run_of) == run_status::sleeping);

  runtime().send(deleted("t-1"));
  BOOST_TEST(status(run_of) == run_status::cancelled);
  advance(days{5});

  BOOST_TEST(first_steps == 1);
  BOOST_TEST(second_steps == 0);
  BOOST_TEST(status(run_of) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(cancel_before_the_first_step_executes_nothing, reminder_world) {
  open_all();
  const auto run_of = start(created("t-1"));
  settle();
  BOOST_TEST(steps().waiting() == 1U);  // the step waits for a thread
  runtime().send(deleted("t-1"));
  run();
  BOOST_TEST(first_steps == 0);
  BOOST_TEST(status(run_of) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(cancel_while_a_step_executes_lets_it_complete_and_starts_nothing_further, reminder_world) {
  open_all();
  const auto run_of = start(created("t-1"));
  advance(days{6});
  cancel_outcome answer{};
  during_second = [&] {
    answer = runtime().cancel(run_of, {.reason = "asked by support"});
    BOOST_TEST(status(run_of) == run_status::running);
    BOOST_TEST(runtime().get(run_of)->is_cancelling);
  };
  advance(days{2});
  BOOST_TEST(answer == cancel_outcome::cancelling);
  BOOST_TEST(second_steps == 1);
  BOOST_TEST(status(run_of) == run_status::cancelled);
  const auto rows = runtime().steps(run_of);
  BOOST_REQUIRE(rows.size() == 3U);
  BOOST_TEST(rows[2].id == "second");
  BOOST_TEST(rows[2].result.get<int>() == 1);
  BOOST_TEST(runtime().get(run_of)->cancelled_by->reason == "asked by support");
}

BOOST_FIXTURE_TEST_CASE(an_event_cancels_while_a_step_executes_too, reminder_world) {
  open_all();
  const auto run_of = start(created("t-1"));
  during_second = [&] { runtime().send(deleted("t-1")); };
  advance(days{8});
  BOOST_TEST(second_steps == 1);
  BOOST_TEST(status(run_of) == run_status::cancelled);
  BOOST_TEST(cleanups == 1);
}

BOOST_FIXTURE_TEST_CASE(a_scheduled_run_is_cancelled_before_it_starts, reminder_world) {
  open_all();
  auto later = created("t-1");
  later.time = now() + 2h;
  const auto run_of = start(later);
  BOOST_TEST(status(run_of) == run_status::scheduled);
  runtime().send(deleted("t-1"));
  BOOST_TEST(status(run_of) == run_status::cancelled);
  advance(3h);
  BOOST_TEST(first_steps == 0);
  BOOST_TEST(cleanups == 1);
}

BOOST_FIXTURE_TEST_CASE(a_future_dated_event_starts_its_run_later, reminder_world) {
  open_all();
  auto later = created("t-1");
  later.time = now() + 2h;
  const auto run_of = start(later);
  advance(1h);
  BOOST_TEST(first_steps == 0);
  advance(1h);
  BOOST_TEST(first_steps == 1);
  BOOST_TEST(status(run_of) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(the_cancelled_event_arrives_once_and_drives_a_cleanup_function, reminder_world) {
  open_all();
  const auto run_of = start(created("t-1"));
  advance(days{1});
  const auto cancel_event = runtime().send(deleted("t-1"));
  runtime().cancel(run_of);
  runtime().send(deleted("t-1"));
  advance(days{10});
  BOOST_TEST(cleanups == 1);
  const auto& data = cancelled_events.at(0);
  BOOST_TEST(data["function_id"] == "schedule-reminder");
  BOOST_TEST(data["run_id"] == to_string(run_of));
  BOOST_TEST(data["event"]["name"] == "tasks/reminder.created");
  BOOST_TEST(data["events"].size() == 1U);
  BOOST_TEST(data["event"]["data"]["id"] == "t-1");
  BOOST_TEST(data["error"]["name"] == "Error");
  BOOST_TEST(data["error"]["message"] == "function cancelled");
  BOOST_TEST(data["_inngest"]["status"] == "Cancelled");
  BOOST_TEST(data["source"] == "event");
  BOOST_TEST(data["cancelled_by_event"] == to_string(cancel_event.id));
  BOOST_TEST(data["rule"] == 0);
}

BOOST_FIXTURE_TEST_CASE(new_runs_still_start_after_a_cancel, reminder_world) {
  open_all();
  start(created("t-1"));
  advance(days{1});
  runtime().send(deleted("t-1"));
  const auto second = start(created("t-1"));
  advance(days{8});
  BOOST_TEST(status(second) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(an_event_that_does_not_match_cancels_nothing, reminder_world) {
  open_all();
  const auto run_of = start(created("t-1"));
  advance(days{1});
  runtime().send(deleted("t-2"));
  runtime().send({.name = "tasks/deleted", .data = {{"other", 1}}});
  BOOST_TEST(status(run_of) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(a_field_that_both_sides_lack_is_no_match, reminder_world) {
  open_all();
  const auto run_of = start({.name = "tasks/reminder.created", .data = {{"x", 1}}});
  advance(days{1});
  runtime().send({.name = "tasks/deleted", .data = {{"y", 1}}});
  BOOST_TEST(status(run_of) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(a_cancel_event_that_comes_first_does_not_cancel_a_later_run, reminder_world) {
  open_all();
  runtime().send(deleted("t-1"));
  const auto run_of = start(created("t-1"));
  advance(days{1});
  BOOST_TEST(status(run_of) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(the_order_within_one_array_counts, reminder_world) {
  open_all();
  const auto hit = runtime().send(std::vector{created("t-1"), deleted("t-1")});
  const auto missed = runtime().send(std::vector{deleted("t-2"), created("t-2")});
  run();
  BOOST_TEST(status(hit[0].runs[0]) == run_status::cancelled);
  BOOST_TEST(status(missed[1].runs[0]) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(cancel_answers_what_it_found, reminder_world) {
  open_all();
  const auto sleeping = start(created("t-1"));
  const auto completing = start(created("t-2"));
  advance(days{1});
  BOOST_TEST(runtime().cancel(sleeping) == cancel_outcome::cancelled);
  BOOST_TEST(runtime().cancel(sleeping) == cancel_outcome::already_cancelled);
  advance(days{8});
  BOOST_TEST(runtime().cancel(completing) == cancel_outcome::already_completed);
  BOOST_TEST(runtime().cancel(run_id{}) == cancel_outcome::unknown_run);
}

BOOST_FIXTURE_TEST_CASE(a_cancel_of_what_has_failed_says_so, world) {
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context) -> task<> {
           throw std::runtime_error{"broken"};
           co_return;
         }}});
  const auto failed = start({.name = "go"});
  run();
  BOOST_TEST(runtime().cancel(failed) == cancel_outcome::already_failed);
}

BOOST_FIXTURE_TEST_CASE(the_first_reason_stays, reminder_world) {
  open_all();
  const auto run_of = start(created("t-1"));
  during_second = [&] {
    BOOST_TEST(runtime().cancel(run_of, {.reason = "first"}) == cancel_outcome::cancelling);
    BOOST_TEST(runtime().cancel(run_of, {.reason = "second"}) == cancel_outcome::cancelling);
  };
  advance(days{8});
  BOOST_TEST(runtime().cancel(run_of, {.reason = "third"}) == cancel_outcome::already_cancelled);
  BOOST_TEST(runtime().get(run_of)->cancelled_by->reason == "first");
}

BOOST_FIXTURE_TEST_CASE(cancel_during_the_last_step_still_ends_cancelled, world) {
  run_id run_of;
  open({{.id = "one-step",
         .triggers = {{.event = "go"}},
         .body = [&](context step) -> task<> { co_await step.run("only", [&] { runtime().cancel(run_of); }); }}});
  run_of = start({.name = "go"});
  run();
  BOOST_TEST(status(run_of) == run_status::cancelled);
  BOOST_TEST(runtime().steps(run_of).size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_step_that_throws_after_the_cancel_is_not_tried_again, world) {
  run_id run_of;
  int attempts = 0;
  open({{.id = "throws", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
           co_await step.run("only", [&] {
             ++attempts;
             runtime().cancel(run_of);
             throw std::runtime_error{"no"};
           });
         }}});
  run_of = start({.name = "go"});
  advance(days{1});
  BOOST_TEST(attempts == 1);
  BOOST_TEST(status(run_of) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(a_run_that_backs_off_is_cancelled_at_once, world) {
  int attempts = 0;
  open({{.id = "fails", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
           co_await step.run("only", [&] {
             ++attempts;
             throw std::runtime_error{"no"};
           });
         }}});
  const auto run_of = start({.name = "go"});
  run();
  BOOST_TEST(status(run_of) == run_status::backing_off);
  BOOST_TEST(runtime().cancel(run_of) == cancel_outcome::cancelled);
  advance(days{1});
  BOOST_TEST(attempts == 1);
}

BOOST_FIXTURE_TEST_CASE(a_queued_run_is_cancelled_at_once, reminder_world) {
  options().live_runs = 1;
  open_all();
  const auto first = start(created("t-1"));
  const auto queued = start(created("t-2"));
  settle();
  BOOST_TEST(status(first) == run_status::running);
  BOOST_TEST(status(queued) == run_status::queued);
  BOOST_TEST(runtime().cancel(queued) == cancel_outcome::cancelled);
  run();
  BOOST_TEST(first_steps == 1);
  BOOST_TEST(status(queued) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(a_step_behind_busy_threads_never_starts_once_the_cancel_was_answered, reminder_world) {
  open_all();
  const auto run_of = start(created("t-1"));
  settle();
  BOOST_TEST(runtime().cancel(run_of) == cancel_outcome::cancelling);
  BOOST_TEST(status(run_of) == run_status::cancelled);  // no step was in flight: it has ended, and nobody waits for a thread
  while (execute_step()) continue;
  BOOST_TEST(first_steps == 0);
}

BOOST_FIXTURE_TEST_CASE(a_rule_with_a_timeout_applies_until_then, world) {
  open({{.id = "f",
         .triggers = {{.event = "go"}},
         .cancel_on = {{.event = "stop", .timeout = 1h}},
         .body = [](context step) -> task<> { co_await step.sleep_for("s", days{7}); }}});
  const auto early = start({.name = "go"});
  advance(30min);
  runtime().send({.name = "stop"});
  BOOST_TEST(status(early) == run_status::cancelled);
  const auto late = start({.name = "go"});
  advance(2h);
  runtime().send({.name = "stop"});
  BOOST_TEST(status(late) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(any_of_several_rules_cancels_and_its_index_is_told, world) {
  open({{.id = "f",
         .triggers = {{.event = "go"}},
         .cancel_on = {{.event = "a", .when = "event.data.id == async.data.id"}, {.event = "b", .when = "async.data.all == true"}},
         .body = [](context step) -> task<> { co_await step.sleep_for("s", days{7}); }}});
  const auto run_of = start({.name = "go", .data = {{"id", 1}}});
  run();
  runtime().send({.name = "b", .data = {{"all", true}}});
  BOOST_TEST(status(run_of) == run_status::cancelled);
  BOOST_TEST(runtime().get(run_of)->cancelled_by->rule == 1);
  BOOST_TEST(runtime().get(run_of)->cancelled_by->source == cancel_source::event);
}

BOOST_FIXTURE_TEST_CASE(an_event_that_hits_more_runs_than_one_transaction_should_touch_cancels_them_all, world) {
  environment().adjust_limits = [](actors::limits& limits) {
    limits.sweep_threshold = 10;
    limits.sweep_slice = 3;
  };
  open({{.id = "f",
         .triggers = {{.event = "go"}},
         .cancel_on = {{.event = "stop"}},
         .body = [](context step) -> task<> { co_await step.sleep_for("s", days{7}); }}});
  std::vector<run_id> runs;
  for (int i = 0; i < 50; ++i) runs.push_back(start({.name = "go"}));
  run();
  // Created after the event, while the sweep is open: not hit.
  const auto later = runtime().send(std::vector<event>{{.name = "stop"}, {.name = "go"}}).at(1).runs.at(0);
  run();
  for (const auto& one : runs) BOOST_TEST(status(one) == run_status::cancelled);
  BOOST_TEST(status(later) == run_status::sleeping);
}

// Found by the simulation: the run's record was marked as asked by the sweep that its own event had begun.
BOOST_FIXTURE_TEST_CASE(a_run_cancels_itself_by_an_event_that_is_worked_off_in_slices, world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.sweep_threshold = 0; };
  int after = 0;
  open({{.id = "f", .triggers = {{.event = "go"}}, .cancel_on = {{.event = "stop"}}, .body = [&](context step) -> task<> {
           const event stop{.name = "stop"};
           co_await step.send_event("stop", stop);
           co_await step.run("after", [&] { ++after; });
         }}});
  const auto run_of = start({.name = "go"});
  run();
  BOOST_TEST(status(run_of) == run_status::cancelled);
  BOOST_TEST(after == 0);
}

// Found by the simulation: whether the parent or the later event was told depended on who had touched the child in between.
BOOST_FIXTURE_TEST_CASE(what_starts_a_run_does_not_cancel_it_and_the_next_one_of_its_name_does, world) {
  for (const bool in_slices : {false, true}) {
    BOOST_TEST_CONTEXT((in_slices ? "in slices" : "at once")) {
      environment().adjust_limits = [=](actors::limits& limits) {
        if (in_slices) limits.sweep_threshold = 0;
      };
      open({{.id = "f", .triggers = {{.event = "go"}}, .cancel_on = {{.event = "go"}}, .body = [](context step) -> task<> { co_await step.sleep_for("nap", days{1}); }}});
      const auto first = runtime().send({.name = "go"});
      run();
      BOOST_TEST(status(first.runs.at(0)) == run_status::sleeping);
      BOOST_TEST(!runtime().explain(first.id, first.runs.at(0)).rules.at(0).applies);
      const auto second = start({.name = "go"});
      run();
      BOOST_TEST(status(first.runs.at(0)) == run_status::cancelled);
      BOOST_TEST(status(second) == run_status::sleeping);
      close();
    }
  }
}

BOOST_FIXTURE_TEST_CASE(a_child_is_cancelled_with_its_parent_before_a_later_event_asks_it, world) {
  environment().adjust_limits = [](actors::limits& limits) {
    limits.sweep_threshold = 2;
    limits.sweep_slice = 1;
  };
  const std::vector<cancel_rule> by_key{{.event = "stop", .when = "event.data.key == async.data.key"}};
  open({{.id = "parent", .triggers = {{.event = "go"}}, .cancel_on = by_key, .body = [](context step) -> task<> {
           const nlohmann::json data = {{"key", "child"}};
           co_await step.invoke("child", "child", data);
         }},
        {.id = "child", .triggers = {{.event = "go/child"}}, .cancel_on = by_key, .body = [](context step) -> task<> { co_await step.sleep_for("s", 1h); }}});
  for (int i = 0; i < 3; ++i) start({.name = "go", .data = {{"key", "parent"}}});
  run();
  runtime().send(std::vector<event>{{.name = "stop", .data = {{"key", "parent"}}}, {.name = "stop", .data = {{"key", "child"}}}});
  run();
  const auto children = runtime().list({.function = "child"}).runs;
  BOOST_TEST(children.size() == 3U);
  for (const auto& child : children) BOOST_TEST(child.cancelled_by->source == cancel_source::parent);
}

BOOST_AUTO_TEST_SUITE_END()
