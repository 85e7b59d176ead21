// Transitions whose commands cross: the router by itself, one command at a time.

#include <boost/test/unit_test.hpp>

#include "tests/support/bench.hpp"

namespace {

using namespace caesura;
using namespace caesura::actors;
using caesura::testing::bench;
using caesura::testing::usual_function;
using namespace std::chrono_literals;

struct transitions_bench : bench {
  using bench::bench;

  operation_request wait_for(const std::string& event, duration timeout) {
    return {.kind = step_kind::wait_for_event, .step = event, .delay = timeout, .event = event};
  }
  operation_request sleep(duration length) { return {.kind = step_kind::sleep, .step = "nap", .delay = length}; }
  operation_request invoke(const std::string& step, child_policy policy = child_policy::cancel, std::optional<duration> timeout = {}) {
    return {.kind = step_kind::invoke, .step = step, .delay = timeout, .function = "f", .on_parent_cancel = policy};
  }
  // The run's first step is recorded and its body stops at these.
  void stop_at(const spawned& run, std::vector<operation_request> operations) {
    auto message = report(run, next_kind::operations);
    message.operations = std::move(operations);
    message.rows_seen = 1;
    take(std::move(message));
    core->flush();
  }
  // A report without rows.
  advance_run plain(const spawned& run, next_kind next) {
    auto message = report(run, next);
    message.rows.clear();
    return message;
  }
  void pass(duration length) {
    clock.at += length;
    take(fire_timers{});
    core->flush();
  }
  template <class Command>
  void do_now(Command command) {
    take(std::move(command));
    core->flush();
  }
  storage::run_record record(const run_id& run) { return store.begin_read()->find_run(run).value(); }
  std::size_t rows(const run_id& run) { return store.begin_read()->steps_of(run).size(); }
  spawned life_of(const run_id& run) {
    return *std::ranges::find_if(spawns.rbegin(), spawns.rend(), [&](const spawned& s) { return s.order.run == run; });
  }
  void forget_event_of(const run_id& run) {
    const auto event = record(run).event;
    injure([&](storage::write_transaction& tx) { tx.purge_event(tx.find_event(event).value()); });
  }
  std::size_t ordered(const run_id& run, order_kind kind) {
    return static_cast<std::size_t>(std::ranges::count_if(orders, [&](const order_run& o) { return o.run == run && o.order == kind; }));
  }
};

struct timed_bench : transitions_bench {
  timed_bench()
      : transitions_bench{{[] {
                             auto fn = usual_function();
                             fn.timeouts.finish = 1h;
                             return fn;
                           }()},
                          [](limits&) {}} {}
};

struct narrow_bench : transitions_bench {
  narrow_bench()
      : transitions_bench{{usual_function(), {.id = "g", .triggers = {{.event = "go/g"}}, .body = [](context) -> task<> { co_return; }}},
                          [](limits& l) { l.sweep_slice = 1; }} {}
};

struct single_bench : transitions_bench {
  single_bench() : transitions_bench{{usual_function()}, [](limits& l) { l.live_runs = 1; }} {}
};

struct narrow_single_bench : transitions_bench {
  narrow_single_bench()
      : transitions_bench{{usual_function()}, [](limits& l) {
                            l.live_runs = 1;
                            l.sweep_slice = 1;
                          }} {}
};

// Each value of data.id has three groups: a throttle, a singleton and one of concurrency.
struct grouped_bench : transitions_bench {
  grouped_bench()
      : transitions_bench{{[] {
                             auto fn = usual_function();
                             fn.concurrency = {{.limit = 1, .key = "event.data.id"}};
                             fn.throttle = {.limit = 1, .period = 10s, .key = "event.data.id"};
                             fn.singleton = {.key = "event.data.id", .mode = singleton_mode::cancel};
                             return fn;
                           }()},
                          [](limits&) {}} {}
};

struct limited_bench : transitions_bench {
  limited_bench()
      : transitions_bench{{[] {
                             auto fn = usual_function();
                             fn.concurrency = {{.limit = 1, .key = "event.data.id"}};
                             return fn;
                           }()},
                          [](limits&) {}} {}
  run_id sent(int id) {
    std::vector<accepted_event> answer;
    do_now(accept_events{.events = {{.name = "go", .data = {{"id", id}}}}, .reply = [&](auto a) { answer = std::get<0>(std::move(a)); }});
    return answer.at(0).runs.at(0);
  }
  std::size_t groups() { return core->state().queue.group_count(); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(transitions)

BOOST_FIXTURE_TEST_CASE(a_report_of_a_run_that_was_told_to_park_changes_nothing, transitions_bench) {
  const auto run = started_run();
  stop_at(run, {wait_for("ping", 1h)});
  BOOST_REQUIRE(ordered(run.order.run, order_kind::park) == 1U);
  do_now(report(run, next_kind::completed));
  BOOST_TEST((status(run.order.run) == run_status::waiting));
  BOOST_TEST(rows(run.order.run) == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_report_that_comes_behind_the_event_that_ended_its_resting_run_is_not_recorded, transitions_bench) {
  const auto run = started_run();
  stop_at(run, {sleep(50ms)});
  send("stop", 1);  // not worked off yet
  do_now(report(run, next_kind::executing));
  BOOST_TEST((status(run.order.run) == run_status::cancelled));
  BOOST_TEST(rows(run.order.run) == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_wait_that_was_finished_while_the_body_was_on_its_way_to_it_is_not_begun_again, transitions_bench) {
  const auto run = started_run();
  stop_at(run, {wait_for("ping", 500ms)});
  send("ping", 0);
  core->flush();
  work_off();
  BOOST_REQUIRE(rows(run.order.run) == 2U);
  auto again = plain(run, next_kind::operations);
  again.operations = {wait_for("ping", 500ms)};
  again.rows_seen = 1;  // the body does not know of the second
  do_now(std::move(again));
  BOOST_TEST(record(run.order.run).pending.empty());
  BOOST_TEST(core->state().listeners.size() == 1U);  // the cancel rule
}

BOOST_FIXTURE_TEST_CASE(a_run_whose_retry_is_on_its_way_to_the_actor_does_not_go_to_rest, transitions_bench) {
  const auto run = started_run();
  auto first = plain(run, next_kind::operations);
  first.operations = {{.kind = step_kind::run, .step = "flaky"}, wait_for("ping", 1h)};
  first.jobs = {std::make_shared<step_job>()};
  first.jobs.front()->gate = run.gate;
  do_now(std::move(first));
  auto failed = plain(run, next_kind::executing);
  failed.failures = {{.step = "flaky", .error = {.name = "e", .message = "once"}, .retry_in = 10ms}};
  do_now(std::move(failed));
  BOOST_REQUIRE((status(run.order.run) == run_status::waiting));
  pass(10ms);
  BOOST_REQUIRE(resumes.size() == 1U);
  BOOST_TEST(resumes[0].retries == std::vector<std::string>{"flaky"}, boost::test_tools::per_element());
  do_now(plain(run, next_kind::executing));  // sent before the actor heard of it
  BOOST_TEST((status(run.order.run) == run_status::running));
  BOOST_TEST(ordered(run.order.run, order_kind::park) == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_report_that_can_never_be_recorded_holds_its_run_alone, transitions_bench) {
  const auto broken = started_run(1);
  const auto sound = started_run(2);
  forget_event_of(broken.order.run);  // a wait is indexed by values of it
  auto message = report(broken, next_kind::operations);
  message.operations = {wait_for("ping", 1h)};
  take(std::move(message));
  take(report(sound, next_kind::completed));
  core->flush();
  work_off();
  BOOST_TEST((status(sound.order.run) == run_status::completed));
  const auto held = record(broken.order.run);
  BOOST_TEST((held.status == run_status::held));
  BOOST_TEST(held.held_because.find("could not be recorded: ") != std::string::npos, held.held_because);
  BOOST_TEST(held.step_count == 0U);
  BOOST_TEST(ordered(broken.order.run, order_kind::end) == 1U);
  BOOST_TEST(!core->state().live.contains(broken.order.run));
}

BOOST_FIXTURE_TEST_CASE(a_run_that_cannot_be_held_because_it_is_gone_is_told, transitions_bench) {
  const auto run = started_run();
  do_now(report(run, next_kind::completed));
  do_now(quarantine_run{.run = run.order.run, .why = "because"});
  BOOST_TEST(has_said("is held: because"));
  BOOST_TEST((status(run.order.run) == run_status::completed));
}

BOOST_FIXTURE_TEST_CASE(the_loss_of_an_earlier_actor_concerns_nobody, transitions_bench) {
  const auto run = started_run();
  do_now(lost_run{.run = run.order.run, .activation = run.order.activation + 100, .reason = "late"});
  BOOST_TEST(said.empty());
  BOOST_TEST(spawns.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_run_whose_actor_is_lost_on_its_way_to_rest_gets_another_when_it_is_woken, transitions_bench) {
  const auto run = started_run();
  stop_at(run, {wait_for("ping", 1h)});
  send("ping", 0);
  core->flush();
  work_off();
  BOOST_REQUIRE((status(run.order.run) == run_status::queued));
  do_now(lost_run{.run = run.order.run, .activation = run.order.activation, .reason = "it threw"});
  BOOST_REQUIRE(spawns.size() == 2U);
  BOOST_TEST(spawns[1].order.record->interruptions == 0);  // nothing executed
}

BOOST_FIXTURE_TEST_CASE(a_run_that_rests_with_its_actor_goes_on_resting_when_the_actor_is_lost, transitions_bench) {
  const auto run = started_run();
  stop_at(run, {sleep(50ms)});
  do_now(lost_run{.run = run.order.run, .activation = run.order.activation, .reason = "it threw"});
  BOOST_TEST((status(run.order.run) == run_status::sleeping));
  BOOST_TEST(spawns.size() == 1U);
  pass(50ms);
  BOOST_TEST(spawns.size() == 2U);
}

BOOST_FIXTURE_TEST_CASE(a_lost_run_asks_the_events_still_worked_off, transitions_bench) {
  const auto run = started_run();
  stop_at(run, {sleep(50ms)});
  send("stop", 1);
  do_now(lost_run{.run = run.order.run, .activation = run.order.activation, .reason = "it threw"});
  BOOST_TEST((status(run.order.run) == run_status::cancelled));
  BOOST_TEST(spawns.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_body_that_takes_its_actor_down_again_and_again_fails, transitions_bench) {
  auto run = started_run();
  const int tries = core->state().limits.interruptions + 4;
  for (int i = 1; i <= tries; ++i) {
    BOOST_REQUIRE((status(run.order.run) == run_status::running));
    do_now(lost_run{.run = run.order.run, .activation = run.order.activation, .reason = "it threw"});
    run = spawns.back();
  }
  const auto ended = record(run.order.run);
  BOOST_TEST((ended.status == run_status::failed));
  BOOST_REQUIRE(ended.error.has_value());
  BOOST_TEST(ended.error->name == step_interrupted);
  BOOST_TEST(ended.error->message == "the process ended 7 times while this run executed");
}

BOOST_FIXTURE_TEST_CASE(a_run_whose_trigger_is_gone_is_left_alone_and_the_event_hits_the_others, transitions_bench) {
  const auto broken = started_run(1);
  const auto sound = started_run(1);
  forget_event_of(broken.order.run);
  send("stop", 1);
  core->flush();
  work_off();
  BOOST_TEST(!record(broken.order.run).cancelled_by.has_value());
  BOOST_TEST(record(sound.order.run).cancelled_by.has_value());
  BOOST_TEST(has_said("of run " + to_string(broken.order.run) + " is not stored"));
}

BOOST_FIXTURE_TEST_CASE(a_system_event_that_cannot_be_written_is_told_and_holds_up_no_other, transitions_bench) {
  const auto broken = started_run(1);
  const auto missing = started_run(2);
  const auto sound = started_run(3);
  work_off();
  for (const auto& run : {broken, missing, sound}) take(report(run, next_kind::failed));
  core->flush();
  BOOST_REQUIRE(core->state().outbox_size == 3U);
  forget_event_of(broken.order.run);
  injure([&](storage::write_transaction& tx) { tx.purge_run(tx.find_run(missing.order.run).value(), "f"); });
  work_off();
  BOOST_TEST(core->state().outbox_size == 0U);
  BOOST_TEST(has_said("run " + to_string(broken.order.run) + " or its event is not stored"));
  BOOST_TEST(has_said("run " + to_string(missing.order.run) + " or its event is not stored"));
  int failures = 0;
  store.begin_read()->each_event_named("inngest/function.failed", {}, [&](const storage::event_record& event) {
    BOOST_TEST(event.client_id == to_string(sound.order.run));
    return ++failures > 0;
  });
  BOOST_TEST(failures == 1);
}

BOOST_FIXTURE_TEST_CASE(a_run_whose_event_is_gone_is_not_replayed, transitions_bench) {
  const auto run = started_run();
  do_now(report(run, next_kind::completed));
  forget_event_of(run.order.run);
  errc code{};
  do_now(replay_run{.run = run.order.run, .reply = [&](std::variant<run_id, error> a) { code = std::get<error>(a).code(); }});
  BOOST_TEST((code == errc::unknown_event));
  BOOST_TEST(spawns.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_filter_does_not_mean_a_run_whose_event_is_gone_and_says_so, transitions_bench) {
  const auto broken = started_run(1);
  const auto sound = started_run(1);
  forget_event_of(broken.order.run);
  do_now(start_bulk{.filter = {.function = "f", .when = "event.data.id == 1"}, .reason = "bad"});
  work_off();
  BOOST_TEST(!record(broken.order.run).cancelled_by.has_value());
  BOOST_TEST(record(sound.order.run).cancelled_by.has_value());
  BOOST_TEST(has_said("the event of run " + to_string(broken.order.run) + " is not stored any more"));
}

BOOST_FIXTURE_TEST_CASE(an_event_that_is_worked_off_is_no_bulk_job_that_could_be_stopped, transitions_bench) {
  const auto run = started_run();
  send("stop", 1);
  core->flush();
  BOOST_REQUIRE(core->state().sweeps.size() == 1U);
  errc code{};
  const auto place = core->state().sweeps[0].place;
  do_now(stop_bulk{.bulk = id_cast<bulk_id>(place), .reply = [&](std::variant<bool, error> a) { code = std::get<error>(a).code(); }});
  BOOST_TEST((code == errc::unknown_bulk));
  work_off();
  BOOST_TEST(record(run.order.run).cancelled_by.has_value());
}

BOOST_FIXTURE_TEST_CASE(a_plan_keeps_the_ids_of_all_its_chunks, transitions_bench) {
  const auto one = started_run(1).order.run;
  const auto two = started_run(2).order.run;
  plan_id plan;
  do_now(store_plan{.total = 2, .chunk = 0, .ids = {one}, .reply = [&](std::variant<plan_id, error> a) { plan = std::get<plan_id>(a); }});
  do_now(store_plan{.plan = plan, .total = 2, .chunk = 1, .ids = {two}});
  const auto ids = store.begin_read()->plan_ids(plan);
  BOOST_REQUIRE(ids.size() == 2U);
  BOOST_TEST((ids[0] == one && ids[1] == two));
}

BOOST_FIXTURE_TEST_CASE(an_event_that_came_before_the_deadline_cancels_and_the_deadline_does_not, timed_bench) {
  const auto run = started_run();
  send("stop", 1);  // not worked off yet
  pass(1h);
  const auto after = record(run.order.run);
  BOOST_REQUIRE(after.cancelled_by.has_value());
  BOOST_TEST((after.cancelled_by->source == cancel_source::event));
  BOOST_TEST((after.status == run_status::running));
}

BOOST_FIXTURE_TEST_CASE(an_event_that_came_before_the_timeout_finishes_the_wait_and_the_timeout_does_not, transitions_bench) {
  const auto run = started_run();
  stop_at(run, {wait_for("ping", 100ms), sleep(200ms)});
  send("ping", 0);  // not worked off yet
  pass(100ms);
  const auto steps = store.begin_read()->steps_of(run.order.run);
  BOOST_REQUIRE(steps.size() == 2U);
  BOOST_TEST(!steps[1].result.is_null());
  BOOST_REQUIRE(record(run.order.run).pending.size() == 1U);  // the sleep is not over
  pass(100ms);
  BOOST_TEST(rows(run.order.run) == 3U);
}

BOOST_FIXTURE_TEST_CASE(a_pause_asks_the_events_still_worked_off, transitions_bench) {
  const auto run = started_run();
  stop_at(run, {sleep(50ms)});
  send("stop", 1);
  do_now(pause_function{.function = "f", .mode = storage::pause_mode::hold});
  BOOST_TEST((status(run.order.run) == run_status::cancelled));
  BOOST_TEST(ordered(run.order.run, order_kind::leave) == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_function_that_is_paused_again_keeps_the_runs_that_were_not_resumed_yet, narrow_bench) {
  const auto first = started_run(1);
  const auto second = started_run(2);
  const auto damaged = started_run(3);
  send("go/g", 1);
  core->flush();
  const auto other = spawns.back();
  do_now(quarantine_run{.run = damaged.order.run, .why = "because"});
  do_now(pause_function{.function = "f", .mode = storage::pause_mode::hold});
  do_now(pause_function{.function = "g", .mode = storage::pause_mode::hold});
  for (const auto& run : {first, second, other}) do_now(plain(run, next_kind::left));
  BOOST_REQUIRE((status(first.order.run) == run_status::held && status(second.order.run) == run_status::held));
  take(resume_function{.function = "f"});  // resumes one at once, the others in slices
  take(pause_function{.function = "f", .mode = storage::pause_mode::hold});
  core->flush();
  work_off();
  BOOST_TEST((status(first.order.run) == run_status::running));
  BOOST_TEST((status(second.order.run) == run_status::held));
  BOOST_TEST(core->state().sweeps.empty());
  do_now(resume_function{.function = "f"});
  work_off();
  BOOST_TEST((status(second.order.run) == run_status::running));
  BOOST_TEST((status(other.order.run) == run_status::held));    // its function is paused still
  BOOST_TEST((status(damaged.order.run) == run_status::held));  // no pause holds it
}

BOOST_FIXTURE_TEST_CASE(nothing_is_purged_for_a_day_after_the_clock_jumped, transitions_bench) {
  const auto run = started_run();
  do_now(report(run, next_kind::completed));
  work_off();
  clock.at += days{8};
  do_now(clock_jumped{.by = days{8}});
  BOOST_TEST(has_said("the clock jumped by "));
  do_now(purge_slice{});
  BOOST_TEST(store.begin_read()->find_run(run.order.run).has_value());
  clock.at += days{1};
  do_now(fire_timers{});
  work_off();
  BOOST_TEST(!store.begin_read()->find_run(run.order.run).has_value());
}

BOOST_FIXTURE_TEST_CASE(an_old_plan_is_purged_although_an_event_is_being_worked_off, transitions_bench) {
  const auto run = started_run();
  plan_id plan;
  do_now(store_plan{.total = 1, .ids = {run.order.run}, .reply = [&](std::variant<plan_id, error> a) { plan = std::get<plan_id>(a); }});
  BOOST_REQUIRE(store.begin_read()->find_plan(plan).has_value());
  work_off();
  clock.at += 25h;
  send("stop", 1);
  do_now(purge_slice{});
  BOOST_REQUIRE(core->state().sweeps.size() == 1U);
  BOOST_TEST(!store.begin_read()->find_plan(plan).has_value());
}

// As after a long stop: its system event is made of the record.
BOOST_FIXTURE_TEST_CASE(a_run_is_told_of_before_it_is_purged, transitions_bench) {
  const auto run = started_run();
  do_now(plain(run, next_kind::failed));
  BOOST_REQUIRE_EQUAL(core->state().outbox_size, 1U);
  const auto is_stored = [&] { return store.begin_read()->find_run(run.order.run).has_value(); };
  clock.at += days{8};
  do_now(purge_slice{});
  BOOST_TEST(is_stored());
  work_off();
  BOOST_TEST(core->state().outbox_size == 0U);
  do_now(purge_slice{});
  work_off();
  BOOST_TEST(!is_stored());
}

BOOST_FIXTURE_TEST_CASE(a_replay_that_waits_for_its_rate_does_not_hold_up_an_event, transitions_bench) {
  std::vector<run_id> ended;
  for (int i = 10; i < 12; ++i) {
    const auto run = started_run(i);
    do_now(report(run, next_kind::completed));
    ended.push_back(run.order.run);
  }
  plan_id plan;
  do_now(store_plan{.total = 2, .ids = ended, .reply = [&](std::variant<plan_id, error> a) { plan = std::get<plan_id>(a); }});
  do_now(start_bulk{.kind = storage::bulk_kind::replay, .plan = plan, .rate_per_second = 0.01});
  BOOST_REQUIRE(core->state().sweeps.size() == 1U);  // one is replayed, the other in 100 s
  const auto run = started_run(1);
  send("stop", 1);
  core->flush();
  work_off();
  BOOST_TEST(record(run.order.run).cancelled_by.has_value());
  BOOST_REQUIRE(core->state().sweeps.size() == 1U);
  BOOST_TEST(core->state().sweeps[0].job->counts.replayed == 1U);
  pass(100s);
  work_off();
  BOOST_TEST(core->state().sweeps.empty());
}

BOOST_FIXTURE_TEST_CASE(a_queued_run_whose_wait_ends_while_its_function_is_paused_is_held_with_the_result, single_bench) {
  const auto resting = started_run(1);
  stop_at(resting, {sleep(1h), wait_for("ping", 3h)});
  do_now(parked_run{.run = resting.order.run, .activation = resting.order.activation});
  const auto executing = started_run(2);
  pass(1h);
  BOOST_REQUIRE((status(resting.order.run) == run_status::queued));  // there is room for one
  do_now(pause_function{.function = "f", .mode = storage::pause_mode::hold});
  send("ping", 0);  // not worked off yet
  do_now(plain(executing, next_kind::left));
  BOOST_TEST((status(resting.order.run) == run_status::held));
  BOOST_TEST(rows(resting.order.run) == 3U);
  BOOST_TEST(spawns.size() == 2U);
  BOOST_TEST(core->state().queue.empty());
}

BOOST_FIXTURE_TEST_CASE(an_abandoned_child_is_spared_by_a_cancel_that_is_worked_off_in_slices, transitions_bench) {
  const auto parent = started_run();
  stop_at(parent, {invoke("followed"), invoke("abandoned", child_policy::abandon)});
  const auto pending = record(parent.order.run).pending;
  BOOST_REQUIRE(pending.size() == 2U);
  take(cancel_run{.run = parent.order.run});
  take(report(life_of(pending[1].child), next_kind::completed));  // before anything is worked off
  core->flush();
  work_off();
  BOOST_TEST((status(pending[1].child) == run_status::completed));
  const auto followed = record(pending[0].child);
  BOOST_REQUIRE(followed.cancelled_by.has_value());
  BOOST_TEST((followed.cancelled_by->source == cancel_source::parent));
}

BOOST_FIXTURE_TEST_CASE(a_child_that_is_being_cancelled_keeps_who_did_when_it_loses_an_any, transitions_bench) {
  const auto parent = started_run();
  auto message = report(parent, next_kind::operations);
  message.operations = {sleep(100ms), invoke("call")};
  message.rows_seen = 1;
  message.is_any = true;
  do_now(std::move(message));
  const auto child = record(parent.order.run).pending.at(1).child;
  do_now(cancel_run{.run = child, .reason = "by hand"});
  pass(100ms);
  BOOST_TEST(record(parent.order.run).pending.empty());
  BOOST_TEST((status(child) == run_status::running));  // its step may execute
  BOOST_TEST(record(child).cancelled_by.value().reason == "by hand");
}

BOOST_FIXTURE_TEST_CASE(a_cancel_does_not_reach_past_a_run_that_ended_by_itself, transitions_bench) {
  for (const bool is_purged : {false, true}) {
    const auto root = started_run();
    stop_at(root, {invoke("between"), invoke("beside")});
    const auto children = record(root.order.run).pending;
    const auto between = life_of(children.at(0).child);
    stop_at(between, {invoke("slow", child_policy::cancel, 100ms)});
    const auto below = record(between.order.run).pending.at(0).child;
    pass(100ms);  // the one in between goes on without it
    do_now(plain(life_of(between.order.run), next_kind::completed));
    BOOST_REQUIRE((status(between.order.run) == run_status::completed));
    if (is_purged) injure([&](storage::write_transaction& tx) { tx.purge_run(tx.find_run(between.order.run).value(), "f"); });
    take(cancel_run{.run = root.order.run});
    take(report(life_of(below), next_kind::completed));  // before anything is worked off
    core->flush();
    work_off();
    BOOST_TEST((status(below) == run_status::completed));
    BOOST_TEST(record(children.at(1).child).cancelled_by.has_value());
  }
}

BOOST_FIXTURE_TEST_CASE(a_run_whose_cancel_is_recorded_while_its_step_executes_keeps_nobody_from_a_signal, transitions_bench) {
  auto wait_for_approval = wait_for(signal_event_of("approval"), 1h);
  wait_for_approval.conflict = signal_conflict::fail;
  const auto one = started_run(1);
  auto message = plain(one, next_kind::operations);
  message.operations = {{.kind = step_kind::run, .step = "work"}, wait_for_approval};
  message.jobs = {std::make_shared<step_job>()};
  message.jobs.front()->gate = one.gate;
  do_now(std::move(message));
  do_now(cancel_run{.run = one.order.run});
  BOOST_REQUIRE(record(one.order.run).cancelled_by.has_value());
  BOOST_REQUIRE((status(one.order.run) == run_status::running));
  const auto two = started_run(2);
  stop_at(two, {wait_for_approval});
  BOOST_TEST((status(two.order.run) == run_status::waiting));
}

// ---- groups of the queue

BOOST_FIXTURE_TEST_CASE(a_pause_that_holds_a_long_queue_is_worked_off_in_slices, narrow_single_bench) {
  const auto executing = started_run(1);
  const auto held = [&] {
    std::size_t count = 0;
    store.begin_read()->each_live_run([&](const storage::run_record& run) {
      count += run.status == run_status::held ? 1U : 0U;
      return true;
    });
    return count;
  };
  for (int id = 2; id < 7; ++id) send("go", id);
  core->flush();
  do_now(pause_function{.function = "f", .mode = storage::pause_mode::hold});
  do_now(plain(executing, next_kind::completed));
  BOOST_TEST(held() == 1U);
  work_off();
  BOOST_TEST(held() == 5U);
}

// Many runs that need a slot of two groups, of which now the one and then the other is full: what that takes does not depend on how many they are.
BOOST_AUTO_TEST_CASE(a_line_moves_as_a_whole_however_many_stand_in_it) {
  run_queue queue;
  undo_log undo;
  storage::id_generator ids;
  const std::vector<run_queue::slot> both{{.group = 1, .limit = 1, .source = 1}, {.group = 2, .limit = 1, .source = 2}};
  std::vector<run_id> runs;
  for (int i = 0; i < 1'000; ++i) {
    const auto at = ids.next_position(time_point{duration{1}}, 1);
    runs.push_back(id_cast<run_id>(at));
    queue.push(runs.back(), {true, at}, both, undo);
  }
  BOOST_TEST(queue.place_of(runs[999]).value() == 999U);
  for (const auto& slot : both) queue.acquire(slot, undo);
  BOOST_TEST(!queue.next(undo).has_value());
  undo.clear();
  for (int round = 0; round < 10; ++round) {
    for (const std::uint64_t freed : {1U, 2U}) {
      queue.release(freed, undo);
      BOOST_TEST(!queue.next(undo).has_value());  // the other is full
      queue.acquire({.group = freed, .limit = 1, .source = freed}, undo);
    }
  }
  BOOST_TEST(undo.size() < 200U);
  queue.release(1, undo);
  queue.release(2, undo);
  BOOST_TEST((queue.next(undo) == runs[0]));
  undo.roll_back();
  BOOST_TEST(!queue.is_anyone_ready());
  BOOST_TEST(queue.size() == 1'000U);
  BOOST_TEST(queue.place_of(runs[999]).value() == 999U);
}

BOOST_AUTO_TEST_CASE(events_that_many_waits_look_back_on_are_read_once) {
  const auto rule = std::get<expression::compiled>(expression::compiled::parse("event.data.id == async.data.id", expression::roots::event_and_async));
  storage::id_generator ids;
  std::vector<storage::event_record> stored;
  const auto add = [&](int id) { stored.push_back({.id = id_cast<event_id>(ids.next_position(time_point{duration{1}}, 1)), .name = "ping", .data = {{"id", id}}}); };
  for (int i = 0; i < 20; ++i) add(i);
  int read = 0;
  passed_events passed;
  const auto behind = [&](const event_id& from, std::size_t enough) {
    return passed.behind("ping", *rule.conjunct(), from, enough, [&](const event_id& first, const std::function<bool(const storage::event_record&)>& visit) {
      for (const auto& one : stored) {
        if (one.id <= first) continue;
        ++read;
        if (!visit(one)) return;
      }
    });
  };
  BOOST_TEST(behind(stored[9].id, 5).size() == 6U);  // one more than enough tells that there are more
  BOOST_TEST(read == 6);
  for (int i = 0; i < 100; ++i) BOOST_TEST(behind(stored[9].id, 10).size() == 10U);
  BOOST_TEST(read == 10);
  add(20);
  BOOST_TEST(behind(stored[15].id, 10).size() == 5U);
  BOOST_TEST(read == 11);
  const auto all = behind(stored[0].id, 100);  // from further back it is read anew
  BOOST_TEST(all.size() == 20U);
  BOOST_TEST(read == 31);
  for (std::size_t i = 0; i < all.size(); ++i) BOOST_TEST((all[i].id == stored[i + 1].id));
  BOOST_TEST((all[0].hash != all[1].hash));
  passed.forget();
  BOOST_TEST(passed.size() == 0U);
  BOOST_TEST(behind(stored[0].id, 100).size() == 20U);
}

BOOST_FIXTURE_TEST_CASE(groups_that_nothing_is_in_are_forgotten, grouped_bench) {
  const auto& queue = core->state().queue;
  for (int id = 0; id < 10; ++id) {
    const auto run = started_run(id);
    BOOST_TEST(queue.group_count() == 3U);
    do_now(report(run, next_kind::completed));
    BOOST_TEST(queue.group_count() == 1U);  // the throttle is closed still
    pass(10s);
    BOOST_TEST(queue.group_count() == 0U);
  }
}

BOOST_FIXTURE_TEST_CASE(what_flow_control_remembers_is_purged_once_it_is_over, grouped_bench) {
  const auto remembered = [&] {
    std::size_t count = 0;
    store.begin_read()->each_flow(0, [&](std::uint64_t, const storage::flow_record&) { return ++count > 0; });
    return count;
  };
  for (int id = 0; id < 3; ++id) do_now(report(started_run(id), next_kind::completed));
  started_run(3);
  BOOST_TEST(remembered() == 8U);  // a throttle and a singleton each
  clock.at += 2h;
  do_now(purge_slice{});
  work_off();
  BOOST_TEST(remembered() == 1U);  // the singleton that is under way
}

BOOST_FIXTURE_TEST_CASE(a_group_is_forgotten_when_the_last_run_that_waits_in_it_is_cancelled, grouped_bench) {
  const auto& queue = core->state().queue;
  const auto executing = started_run(1);
  send("go", 1);  // takes the place of the first, whose step may execute
  core->flush();
  const auto first = core->state().live.ids();
  BOOST_REQUIRE(first.size() == 1U);
  BOOST_TEST(queue.size() == 1U);
  do_now(plain(executing, next_kind::completed));
  BOOST_TEST((status(executing.order.run) == run_status::cancelled));
  BOOST_TEST(queue.size() == 1U);  // the throttle
  send("stop", 1);
  core->flush();
  work_off();
  BOOST_TEST(queue.empty());
  BOOST_TEST(queue.group_count() == 1U);
  pass(10s);
  BOOST_TEST(queue.group_count() == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_commit_that_fails_leaves_no_group_and_takes_none_away, limited_bench) {
  const auto first = started_run(1);
  const auto waits = sent(1);
  BOOST_REQUIRE((status(waits) == run_status::queued));
  fails_at_commit = true;
  for (int id = 2; id < 5; ++id) send("go", id);
  core->flush();
  BOOST_TEST(groups() == 1U);
  do_now(cancel_run{.run = waits});
  do_now(report(first, next_kind::completed));
  fails_at_commit = false;
  BOOST_TEST(groups() == 1U);
  const auto last = sent(1);
  BOOST_TEST((status(last) == run_status::queued));
  pass(500ms);  // the report is recorded now
  BOOST_TEST((status(first.order.run) == run_status::completed));
  BOOST_TEST((status(waits) == run_status::running));
  BOOST_TEST((status(last) == run_status::queued));
  for (const auto& run : {waits, last}) do_now(report(life_of(run), next_kind::completed));
  BOOST_TEST(groups() == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_group_that_a_failed_commit_had_forgotten_has_its_limit_again, limited_bench) {
  const auto only = started_run(1);
  fails_at_commit = true;
  do_now(report(only, next_kind::completed));
  fails_at_commit = false;
  BOOST_TEST(groups() == 1U);
  BOOST_TEST((status(sent(1)) == run_status::queued));
}

BOOST_AUTO_TEST_SUITE_END()
