// The router by itself: what it lets out, when, and what becomes of messages that cross.

#include <boost/test/unit_test.hpp>

#include <map>

#include "tests/support/bench.hpp"

namespace {

using namespace caesura;
using namespace caesura::actors;
using caesura::testing::bench;
using namespace std::chrono_literals;

}  // namespace

BOOST_AUTO_TEST_SUITE(routers)

BOOST_FIXTURE_TEST_CASE(nothing_leaves_before_the_commit, bench) {
  bool is_answered = false;
  take(accept_events{.events = {{.name = "go"}}, .reply = [&](auto) {
                       is_answered = true;
                       BOOST_TEST(commits == 2U);  // the first is this fixture's
                     }});
  BOOST_TEST(wants_flush);
  BOOST_TEST(!is_answered);
  BOOST_TEST(spawns.empty());
  core->flush();
  BOOST_TEST(is_answered);
  BOOST_TEST(spawns.size() == 1U);
}

// A loop pauses before what is last: a batch that ended by the time that passes would be cut in two by each pause.
BOOST_FIXTURE_TEST_CASE(a_batch_ends_by_the_time_that_its_commands_take, bench) {
  const auto most = core->state().limits.time_per_batch;
  const auto before = commits;
  send("go", 1);
  real += 10 * most;
  send("go", 2);
  BOOST_TEST(commits == before);
  command_takes = most / 2;
  send("go", 3);
  BOOST_TEST(commits == before);
  send("go", 4);
  BOOST_TEST(commits == before + 1);
  BOOST_TEST(spawns.size() == 4U);
  send("go", 5);  // begins from nothing
  BOOST_TEST(commits == before + 1);
}

BOOST_FIXTURE_TEST_CASE(the_gate_is_closed_before_the_cancel_is_answered, bench) {
  const auto run = started_run();
  bool is_answered = false;
  take(cancel_run{.run = run.order.run, .reply = [&](std::variant<cancel_outcome, error> answer) {
                    is_answered = true;
                    BOOST_TEST((std::get<cancel_outcome>(answer) == cancel_outcome::cancelling));
                    BOOST_TEST(!run.gate->try_pass());
                  }});
  core->flush();
  BOOST_TEST(is_answered);
}

BOOST_AUTO_TEST_CASE(the_gate_of_a_run_that_starts_in_the_batch_that_cancels_it_is_closed_before_the_answer) {
  bench one{{caesura::testing::usual_function()}, [](caesura::actors::limits& l) { l.sweep_threshold = 1'000; }};  // the event cancels at once
  bool is_answered = false;
  one.take(accept_events{.events = {{.name = "go", .data = {{"id", 1}}}, {.name = "stop", .data = {{"id", 1}}}}, .reply = [&](const auto&) {
                           is_answered = true;
                           BOOST_REQUIRE(one.spawns.size() == 1U);
                           BOOST_TEST(!one.spawns[0].gate->try_pass());
                         }});
  one.core->flush();
  BOOST_TEST(is_answered);
}

BOOST_FIXTURE_TEST_CASE(a_completion_that_crosses_the_cancel_ends_cancelled_with_its_result, bench) {
  const auto run = started_run();
  take(cancel_run{.run = run.order.run});
  take(report(run, next_kind::completed));  // sent before the actor heard of the cancel
  core->flush();
  BOOST_TEST((status(run.order.run) == run_status::cancelled));
  BOOST_TEST(store.begin_read()->steps_of(run.order.run).size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_failure_that_crosses_the_cancel_ends_cancelled, bench) {
  const auto run = started_run();
  take(cancel_run{.run = run.order.run});
  take(report(run, next_kind::failed));
  core->flush();
  BOOST_TEST((status(run.order.run) == run_status::cancelled));
}

BOOST_FIXTURE_TEST_CASE(a_next_step_that_crosses_the_cancel_is_not_started, bench) {
  const auto run = started_run();
  send("stop", 1);
  auto next = report(run, next_kind::operations);
  next.operations = {{.kind = step_kind::run, .step = "second"}};
  next.jobs = {std::make_shared<step_job>()};
  next.jobs.front()->gate = run.gate;
  take(std::move(next));
  core->flush();
  BOOST_TEST(started.empty());
  BOOST_TEST((status(run.order.run) == run_status::cancelled));
}

BOOST_FIXTURE_TEST_CASE(a_completion_before_the_cancel_stays_completed, bench) {
  const auto run = started_run();
  cancel_outcome outcome{};
  take(report(run, next_kind::completed));
  take(cancel_run{.run = run.order.run, .reply = [&](std::variant<cancel_outcome, error> a) { outcome = std::get<cancel_outcome>(a); }});
  core->flush();
  BOOST_TEST((outcome == cancel_outcome::already_completed));
  BOOST_TEST((status(run.order.run) == run_status::completed));
}

BOOST_FIXTURE_TEST_CASE(a_report_of_an_earlier_life_is_ignored, bench) {
  const auto run = started_run();
  auto stale = report(run, next_kind::completed);
  stale.activation += 100;
  take(std::move(stale));
  core->flush();
  BOOST_TEST((status(run.order.run) == run_status::running));
}

BOOST_FIXTURE_TEST_CASE(a_wake_up_waits_until_a_parking_run_is_gone, bench) {
  const auto run = started_run();
  auto rest = report(run, next_kind::operations);
  rest.operations = {{.kind = step_kind::wait_for_event, .step = "ping", .delay = 1h, .event = "ping"}};
  take(std::move(rest));
  core->flush();
  BOOST_REQUIRE(orders.size() == 1U);
  BOOST_TEST((orders[0].order == order_kind::park));
  send("ping", 1);
  core->flush();
  work_off();
  BOOST_TEST(spawns.size() == 1U);  // two coroutines of one run never exist at once
  BOOST_TEST((status(run.order.run) == run_status::queued));
  take(parked_run{.run = run.order.run, .activation = run.order.activation});
  core->flush();
  BOOST_REQUIRE(spawns.size() == 2U);
  BOOST_TEST(spawns[1].order.activation != run.order.activation);
}

BOOST_FIXTURE_TEST_CASE(a_run_told_to_leave_while_it_goes_to_rest_does_not_hold_up_the_stop, bench) {
  const auto run = started_run();
  bool has_stopped = false;
  take(stop_runs{.reply = [&](auto) { has_stopped = true; }});
  auto rest = report(run, next_kind::operations);  // on its way when the order to leave was given
  rest.operations = {{.kind = step_kind::sleep, .step = "nap", .delay = 1h}};
  take(std::move(rest));
  take(report(run, next_kind::left));  // after which the actor answers no order to park
  core->flush();
  work_off();
  BOOST_TEST(has_stopped);
  BOOST_TEST((status(run.order.run) == run_status::sleeping));
}

BOOST_FIXTURE_TEST_CASE(a_failed_commit_is_tried_command_by_command_and_leaves_nothing_behind, bench) {
  const auto run = started_run();
  int refused = 0;
  fails_at_commit = true;
  take(accept_events{.events = {{.name = "go"}}, .reply = [&](auto answer) { refused += answer.index() == 1 ? 1 : 0; }});
  take(cancel_run{.run = run.order.run, .reply = [&](auto answer) { refused += answer.index() == 1 ? 1 : 0; }});
  core->flush();
  BOOST_TEST(refused == 2);
  BOOST_TEST(spawns.size() == 1U);
  BOOST_TEST(run.gate->try_pass());  // the cancel is not durable: the step may go on
  fails_at_commit = false;
  BOOST_TEST(core->state().live.size() == 1U);
  BOOST_TEST(core->state().listeners.size() == 1U);
  BOOST_TEST((status(run.order.run) == run_status::running));
}

BOOST_FIXTURE_TEST_CASE(a_lost_actor_is_an_interruption_and_the_run_gets_another, bench) {
  const auto run = started_run();
  take(lost_run{.run = run.order.run, .activation = run.order.activation, .reason = "it threw"});
  core->flush();
  BOOST_REQUIRE(spawns.size() == 2U);
  BOOST_TEST(spawns[1].order.record->interruptions == 1);
  BOOST_TEST(said.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_wait_registered_while_an_earlier_event_is_still_worked_off_does_not_see_it, bench) {
  const auto wait_for_ping = [&](const bench::spawned& run) {
    auto rest = report(run, next_kind::operations);
    rest.operations = {{.kind = step_kind::wait_for_event, .step = "ping", .delay = 1h, .event = "ping"}};
    take(std::move(rest));
    core->flush();
  };
  const auto before = started_run(1);
  const auto after = started_run(2);
  wait_for_ping(before);
  send("ping", 0);
  core->flush();
  BOOST_REQUIRE(core->state().sweeps.size() == 1U);
  wait_for_ping(after);
  work_off();
  BOOST_TEST(core->state().sweeps.empty());
  BOOST_TEST((status(before.order.run) == run_status::queued));  // its actor is parking
  BOOST_TEST((status(after.order.run) == run_status::waiting));
}

BOOST_FIXTURE_TEST_CASE(a_run_that_is_touched_first_asks_the_events_still_worked_off, bench) {
  const auto run = started_run();
  cancel_outcome outcome{};
  send("stop", 1);  // nothing of it is worked off yet
  take(cancel_run{.run = run.order.run, .reason = "late", .reply = [&](std::variant<cancel_outcome, error> a) { outcome = std::get<cancel_outcome>(a); }});
  core->flush();
  BOOST_TEST((outcome == cancel_outcome::cancelling));
  take(report(run, next_kind::completed));
  core->flush();
  const auto ended = store.begin_read()->find_run(run.order.run).value();
  BOOST_TEST((ended.status == run_status::cancelled));
  BOOST_TEST((ended.cancelled_by->source == cancel_source::event));  // the event came first in the order
}

BOOST_FIXTURE_TEST_CASE(whoever_asks_for_the_stop_is_answered, bench) {
  const auto run = started_run();
  int answered = 0;
  for (int i = 0; i < 2; ++i) take(stop_runs{.reply = [&](auto) { ++answered; }});
  core->flush();
  BOOST_TEST(answered == 0);
  take(report(run, next_kind::left));
  core->flush();
  BOOST_TEST(answered == 2);
}

BOOST_FIXTURE_TEST_CASE(a_stop_does_not_wait_for_a_turn_of_the_routers_own_that_cannot_be_recorded, bench) {
  fails_at_commit = true;
  take(purge_slice{});
  core->flush();
  fails_at_commit = false;
  bool is_answered = false;
  take(stop_runs{.reply = [&](auto) { is_answered = true; }});
  core->flush();
  BOOST_TEST(is_answered);
  BOOST_TEST(store.begin_read()->find_meta("clean").has_value());
}

BOOST_FIXTURE_TEST_CASE(a_turn_of_the_routers_own_that_fails_again_says_so_once, bench) {
  fails_at_commit = true;
  take(purge_slice{});
  core->flush();
  for (int i = 0; i < 10; ++i) {
    clock.at += 1s;
    take(fire_timers{});
    core->flush();
  }
  BOOST_TEST(std::ranges::count_if(said, [](const std::string& text) { return text == "planted"; }) <= 11);  // ten are of the timers
}

BOOST_FIXTURE_TEST_CASE(at_a_stop_whoever_waits_for_a_run_that_cannot_end_any_more_is_told, bench) {
  const auto rests = started_run(1);
  auto sleep = report(rests, next_kind::operations);
  sleep.rows.clear();
  sleep.operations = {{.kind = step_kind::sleep, .step = "day", .delay = days{1}}};
  take(std::move(sleep));
  take(parked_run{.run = rests.order.run, .activation = rests.order.activation});
  const auto executes = started_run(2);
  const auto leaves = started_run(3);
  std::map<run_id, std::string> told;
  const auto watch = [&](const run_id& run, std::uint64_t token) {
    take(watch_run{.run = run, .token = token, .reply = [&told, run](std::variant<run_info, error> answer) {
                     const auto* why = std::get_if<error>(&answer);
                     told[run] = why != nullptr ? to_string(why->code()) : to_string(std::get<run_info>(answer).status);
                   }});
  };
  watch(rests.order.run, 1);
  watch(executes.order.run, 2);
  watch(leaves.order.run, 3);
  take(stop_runs{.reply = [](auto) {}});
  core->flush();
  BOOST_TEST(told.size() == 1U);
  BOOST_TEST(told[rests.order.run] == "stopped");
  watch(rests.order.run, 4);
  BOOST_TEST(told[rests.order.run] == "stopped");
  take(report(executes, next_kind::completed));  // it may still end
  core->flush();
  BOOST_TEST(told[executes.order.run] == "completed");
  take(report(leaves, next_kind::left));
  core->flush();
  BOOST_TEST(told[leaves.order.run] == "stopped");
}

BOOST_AUTO_TEST_SUITE_END()
