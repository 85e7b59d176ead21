// Functions whose code is elsewhere, with several things under way at once, as Promise.all of an SDK makes them: planned steps are called
// side by side, and the code is asked again as soon as the first is finished.

#include <boost/test/unit_test.hpp>

#include <caesura/verify.hpp>

#include "tests/support/remote_world.hpp"

namespace {

using namespace caesura;
using namespace caesura::testing;
using namespace std::chrono_literals;
using remote::answer;

answer fails() { return {.error = recorded_error{.name = "Error", .message = "no"}}; }

// A run whose code has planned a and b; both calls are out.
struct two_planned : remote_world {
  two_planned() {
    run = start();
    reply_to(remote::next_call, names_at_first({plans("a"), plans("b")}));
    BOOST_REQUIRE(calls().size() == 2U);
  }
  run_id run;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(remote_functions_in_parallel)

BOOST_FIXTURE_TEST_CASE(a_step_that_failed_is_called_again_when_its_delay_is_over_and_not_when_another_is_finished, two_planned) {
  reply_to("b", fails());  // again in 10 s
  reply_to("a", did("a"));
  BOOST_TEST(calls_of("b") == 0U);
  reply_to(remote::next_call, names({}));
  BOOST_TEST(calls().empty());
  advance(9s);
  BOOST_TEST(calls().empty());
  advance(1s);
  BOOST_REQUIRE(calls_of("b") == 1U);
  BOOST_TEST(calls()[0].call.attempt == 2U);
  reply_to("b", did("b"));
  reply_to(remote::next_call, completes());
  BOOST_TEST(status(run) == run_status::completed);
  BOOST_TEST((recorded(run) == ids{"a", "b"}));
}

BOOST_FIXTURE_TEST_CASE(a_step_that_failed_backs_off_although_another_activation_goes_on_with_it, two_planned) {
  reply_to("b", fails());
  crash();
  open(functions());
  BOOST_TEST(calls_of("b") == 0U);
  reply_to("a", did("a"));
  reply_to(remote::next_call, names({}));
  BOOST_TEST(calls_of("b") == 0U);
  advance(10s);
  BOOST_TEST(calls_of("b") == 1U);
}

BOOST_FIXTURE_TEST_CASE(attempts_of_a_planned_step_are_counted_through_whatever_else_is_recorded, remote_world) {
  const auto run = start();
  reply_to(remote::next_call, names({plans("b"), plans("long"), sleeps("s1", 5s), sleeps("s2", 15s), sleeps("s3", 25s)}));
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    BOOST_REQUIRE(calls_of("b") == 1U);
    const auto call = take("b");
    BOOST_TEST(call.call.attempt == attempt);
    call.done(fails());
    advance(10s);
  }
  BOOST_TEST(calls_of("b") == 0U);
  reply_to("long", did("long"));
  BOOST_REQUIRE(calls().size() == 1U);
  const auto& told = calls()[0].call.steps;
  const auto b = std::ranges::find(told, "b", &step_info::id);
  BOOST_REQUIRE((b != told.end()));
  BOOST_TEST(b->attempts == 3U);
  BOOST_TEST(status(run) == run_status::running);
}

BOOST_FIXTURE_TEST_CASE(what_another_call_recorded_of_a_step_stands_and_its_own_answer_changes_nothing, two_planned) {
  reply_to("a", {.steps = {{.id = "a"}, {.id = "b", .result = 1}}});
  reply_to("b", did("b", 2));
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST((recorded(run) == ids{"a", "b"}));
  BOOST_TEST(runtime().steps(run)[1].result.json() == 1);
  reply_to(remote::next_call, completes());
  BOOST_TEST(status(run) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(what_a_checkpoint_recorded_of_a_step_stands_and_the_answer_of_its_call_changes_nothing, two_planned) {
  const auto activation = calls()[0].call.activation;
  BOOST_TEST((runtime().checkpoint(run, activation, {{.id = "b", .result = 1}}) == remote::checkpoint_outcome::recorded));
  reply_to("b", fails());
  reply_to("a", did("a"));
  advance(1min);
  BOOST_TEST(calls_of("b") == 0U);
  BOOST_TEST((recorded(run) == ids{"b", "a"}));
  BOOST_TEST(status(run) == run_status::running);
}

// A call knows nothing of what is finished while it is out.
BOOST_FIXTURE_TEST_CASE(what_is_finished_while_the_code_is_asked_is_told_by_another_call, two_planned) {
  reply_to("a", did("a"));
  const auto first = take(remote::next_call);
  reply_to("b", did("b"));
  first.done(names_at_first({plans("b")}));  // nothing else is left
  BOOST_REQUIRE(calls_of(remote::next_call) == 1U);
  BOOST_TEST(calls()[0].call.steps.size() == 2U);
  BOOST_TEST(calls()[0].call.attempt == 1U);
  reply_to(remote::next_call, completes());
  BOOST_TEST(status(run) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(what_is_finished_while_the_code_is_asked_waits_for_nothing_else, remote_world) {
  for (const bool is_named_again : {false, true}) {
    const auto run = start();
    reply_to(remote::next_call, names_at_first({plans("a"), plans("b"), sleeps("long", 24h)}));
    reply_to("a", did("a"));
    const auto first = take(remote::next_call);
    reply_to("b", did("b"));
    first.done(is_named_again ? names_at_first({plans("b"), sleeps("long", 24h)}) : names({}));
    BOOST_REQUIRE(calls_of(remote::next_call) == 1U);
    reply_to(remote::next_call, names_at_first({plans("b2")}));
    BOOST_TEST(calls_of("b2") == 1U);
    reply_to("b2", did("b2"));
    reply_to(remote::next_call, names({}));
    BOOST_TEST(calls().empty());  // asked as often as something was finished
    BOOST_TEST((recorded(run) == ids{"a", "b", "b2"}));
  }
}

// The loser of a race stays, and what the code asks for behind the race does not wait for it.
BOOST_FIXTURE_TEST_CASE(behind_a_race_nothing_waits_for_its_loser, remote_world) {
  const auto run = start();
  reply_to(remote::next_call, names_at_first({plans("a"), waits("stop", "never", 24h)}));
  reply_to("a", did("a"));
  reply_to(remote::next_call, names({plans("b")}));
  reply_to("b", did("b"));
  BOOST_REQUIRE(calls_of(remote::next_call) == 1U);
  reply_to(remote::next_call, names({sleeps("nap", 1s)}));
  BOOST_TEST(calls().empty());
  advance(1s);
  BOOST_REQUIRE(calls_of(remote::next_call) == 1U);
  reply_to(remote::next_call, completes());
  BOOST_TEST(status(run) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(where_all_are_waited_for_what_is_finished_while_the_code_is_asked_waits_for_the_others, remote_world) {
  start();
  reply_to(remote::next_call, names({sleeps("long", 24h)}));
  BOOST_TEST(calls().empty());
  const auto other = start();
  reply_to(remote::next_call, names({plans("a"), plans("b")}));
  reply_to("a", did("a"));
  BOOST_TEST(calls_of(remote::next_call) == 0U);
  reply_to("b", did("b"));
  BOOST_TEST(calls_of(remote::next_call) == 1U);
  reply_to(remote::next_call, completes());
  BOOST_TEST(status(other) == run_status::completed);
}

// Of a race that another step has won, and whose loser is tried again: the function returns before the code comes to it.
BOOST_FIXTURE_TEST_CASE(a_planned_step_that_the_code_does_not_come_to_any_more_may_be_answered_with_the_end, two_planned) {
  reply_to("b", fails());
  reply_to("a", did("a"));
  reply_to(remote::next_call, names({}));
  advance(10s);
  reply_to("b", completes(7));
  BOOST_TEST(status(run) == run_status::completed);
  BOOST_TEST(runtime().result<int>(run) == 7);
  BOOST_TEST((recorded(run) == ids{"a"}));
}

BOOST_FIXTURE_TEST_CASE(an_answer_that_came_too_late_is_still_asked_for_what_else_it_executed, two_planned) {
  reply_to("a", {.steps = {{.id = "a"}, {.id = "b"}}});
  reply_to("b", did("c"));
  BOOST_TEST((recorded(run) == ids{"a", "b", "c"}));
}

BOOST_FIXTURE_TEST_CASE(a_run_that_completes_beside_a_call_is_completed_at_once, two_planned) {
  reply_to("a", did("a"));
  reply_to(remote::next_call, completes(7));
  BOOST_TEST(status(run) == run_status::completed);
  reply_to("b", did("b"));
  BOOST_TEST((recorded(run) == ids{"a"}));
  BOOST_TEST(runtime().result<int>(run) == 7);
  runtime().stop(0s);
}

BOOST_FIXTURE_TEST_CASE(a_cancel_that_the_completion_crosses_waits_for_the_call_that_is_out_and_ends_the_run, two_planned) {
  for (const bool b_is_back : {false, true}) {
    const auto id = b_is_back ? start() : run;
    if (b_is_back) reply_to(remote::next_call, names_at_first({plans("a"), plans("b")}));
    reply_to("a", did("a"));
    const auto next = take(remote::next_call);
    const auto b = take("b");
    next.done(completes());                        // on its way
    if (b_is_back) b.done(did("b"));         // and this, too
    BOOST_TEST(runtime().cancel(id) == cancel_outcome::cancelling);  // is at the router before both
    settle();
    if (!b_is_back) {
      BOOST_TEST(status(id) == run_status::running);
      b.done(did("b"));
      settle();
    }
    BOOST_TEST(status(id) == run_status::cancelled);
    BOOST_TEST((recorded(id) == ids{"a", "b"}));
  }
}

BOOST_FIXTURE_TEST_CASE(a_cancel_that_a_final_error_crosses_ends_the_run_cancelled, two_planned) {
  reply_to("a", did("a"));
  take(remote::next_call).done({.error = recorded_error{.name = "Error", .message = "no"}, .is_final = true});
  BOOST_TEST(runtime().cancel(run) == cancel_outcome::cancelling);
  settle();
  BOOST_TEST(status(run) == run_status::running);
  reply_to("b", fails());
  BOOST_TEST(status(run) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(a_pause_that_holds_keeps_what_the_calls_that_are_out_come_to, two_planned) {
  take("a").done(did("a"));  // on its way
  runtime().pause("app-fn", {.under_way = running_runs::hold});
  settle();
  reply_to("b", did("b"));
  BOOST_TEST(status(run) == run_status::held);
  BOOST_TEST((recorded(run) == ids{"a", "b"}));
  runtime().resume("app-fn");
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.step == remote::next_call);
}

BOOST_FIXTURE_TEST_CASE(a_stop_keeps_what_the_calls_that_are_out_come_to, two_planned) {
  take("a").done(did("a"));  // on its way
  runtime().stop(0s);
  settle();
  reply_to("b", did("b"));
  BOOST_TEST((recorded(run) == ids{"a", "b"}));
  close();
  open(functions());
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.step == remote::next_call);
}

BOOST_FIXTURE_TEST_CASE(what_is_finished_when_it_is_named_is_told_at_once, remote_world) {
  const std::vector<std::pair<remote::operation, remote::operation>> cases{
      {sleeps("now", 0s), waits("paid", "order.paid", 48h)},
      {{.kind = remote::operation::what::invoke, .id = "child", .function = "no-such"}, sleeps("long", 48h)},
  };
  for (const auto& [finished, other] : cases) {
    start();
    reply_to(remote::next_call, names_at_first({finished, other}));
    BOOST_REQUIRE(calls().size() == 1U);
    BOOST_TEST(calls()[0].call.steps.at(0).id == finished.id);
    BOOST_TEST(calls()[0].call.plans_only);
    reply_to(remote::next_call, completes());
  }
}

BOOST_FIXTURE_TEST_CASE(a_wait_hears_its_event_although_another_of_the_run_was_over_before, remote_world) {
  const auto run = start();
  const std::string when = "event.data.id == async.data.id && async.data.kind == ";
  reply_to(remote::next_call, names_at_first({waits("A", "other", 48h), waits("B", "reply", 1h, when + "'b'")}));
  runtime().send({.name = "other", .data = {{"id", "t-1"}}});
  reply_to(remote::next_call, names_at_first({waits("C", "reply", 40h, when + "'c'")}));
  BOOST_TEST(calls().empty());
  advance(2h);  // B times out
  reply_to(remote::next_call, names({}));
  BOOST_TEST(status(run) == run_status::waiting);
  runtime().send({.name = "reply", .data = {{"id", "t-1"}, {"kind", "c"}}});
  BOOST_REQUIRE(calls().size() == 1U);
  const auto& told = calls()[0].call.steps;
  BOOST_TEST(told.back().id == "C");
  BOOST_TEST(!told.back().result.is_null());
  code->calls.clear();
  close();
  BOOST_TEST(verify(directory()).is_sound());
}

BOOST_AUTO_TEST_SUITE_END()
