// Functions whose code is elsewhere: the other driver of a run, with the same promises. The test is the other side.

#include <boost/test/unit_test.hpp>

#include "runtime/runtime_state.hpp"
#include "tests/support/remote_world.hpp"

namespace {

using namespace caesura;
using namespace caesura::testing;
using namespace std::chrono_literals;
using remote::answer;
using remote::operation;

}  // namespace

BOOST_AUTO_TEST_SUITE(remote_functions)

BOOST_FIXTURE_TEST_CASE(is_asked_with_what_is_recorded_until_it_completes, remote_world) {
  const auto run = start();
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.step == remote::next_call);
  BOOST_TEST(calls()[0].call.events.at(0).name == "go");
  BOOST_TEST(calls()[0].call.attempt == 1U);
  BOOST_TEST(calls()[0].call.attempts == 3U);
  BOOST_TEST(calls()[0].call.steps.empty());
  reply(did("a", 1));
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_REQUIRE(calls()[0].call.steps.size() == 1U);
  BOOST_TEST(calls()[0].call.steps[0].result.get<int>() == 1);
  reply(did("b"));
  reply(completes({{"sum", 2}}));
  BOOST_TEST(status(run) == run_status::completed);
  BOOST_TEST(runtime().result<document>(run).json().at("sum") == 2);
  BOOST_TEST((recorded(run) == ids{"a", "b"}));
  BOOST_TEST(calls().empty());
}

BOOST_FIXTURE_TEST_CASE(a_call_is_made_only_when_what_was_executed_before_it_is_durable, remote_world) {
  start();
  reply({});  // nothing: an attempt that failed
  BOOST_TEST(calls().empty());
  advance(10s);
  BOOST_REQUIRE(calls().size() == 1U);
  before_commit = [](std::uint64_t) { throw error{errc::storage_full, "the disk is full"}; };
  reply(did("a"));
  BOOST_TEST(calls().empty());
  before_commit = {};
  advance(1s);
  BOOST_TEST(calls().size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(sleeps_for_a_week_without_being_asked, remote_world) {
  const auto run = start();
  reply(names({sleeps("rest", days{7})}));
  BOOST_TEST(status(run) == run_status::sleeping);
  advance(days{6});
  BOOST_TEST(calls().empty());
  advance(days{1});
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.steps.at(0).id == "rest");
  reply(completes());
  BOOST_TEST(status(run) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(cancel_while_a_call_is_out_records_what_it_executed_and_asks_nothing_more, remote_world) {
  const auto run = start();
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(runtime().cancel(run) == cancel_outcome::cancelling);
  BOOST_TEST(calls()[0].stop.stop_requested());
  reply({.steps = {{.id = "a"}}, .operations = {sleeps("rest", 1h)}});
  BOOST_TEST(status(run) == run_status::cancelled);
  BOOST_TEST((recorded(run) == ids{"a"}));
  advance(days{1});
  BOOST_TEST(calls().empty());
}

BOOST_FIXTURE_TEST_CASE(cancel_beats_the_completion_of_the_call_that_is_out, remote_world) {
  const auto run = start();
  BOOST_REQUIRE(calls().size() == 1U);
  runtime().send({.name = "stop", .data = {{"id", "t-1"}}});
  reply(completes());
  BOOST_TEST(status(run) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(cancel_before_the_call_is_made_makes_none, remote_world) {
  const auto run = start();
  settle();  // the call waits to be made
  BOOST_TEST(runtime().cancel(run) == cancel_outcome::cancelling);
  BOOST_TEST(calls().empty());
  BOOST_TEST(status(run) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(cancel_while_it_sleeps_ends_it_at_once, remote_world) {
  const auto run = start();
  reply(names({sleeps("rest", days{7})}));
  runtime().send({.name = "stop", .data = {{"id", "other"}}});
  BOOST_TEST(status(run) == run_status::sleeping);
  runtime().send({.name = "stop", .data = {{"id", "t-1"}}});
  BOOST_TEST(status(run) == run_status::cancelled);
  advance(days{8});
  BOOST_TEST(calls().empty());
}

BOOST_FIXTURE_TEST_CASE(planned_steps_are_called_side_by_side_and_then_it_is_asked_once, remote_world) {
  const auto run = start();
  reply(names({plans("a"), plans("b")}));
  BOOST_REQUIRE(calls().size() == 2U);
  reply_to("b", did("b", 2));
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.step == "a");
  reply_to("a", did("a", 1));
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.step == remote::next_call);
  BOOST_TEST(calls()[0].call.steps.size() == 2U);
  reply(completes());
  BOOST_TEST(status(run) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(planned_steps_are_called_again_after_a_crash_and_a_sleep_beside_them_keeps_its_end, remote_world) {
  const auto run = start();
  reply(names({plans("a"), plans("b"), sleeps("rest", 1h)}));
  reply_to("a", did("a"));
  BOOST_REQUIRE(calls().size() == 1U);
  crash();
  set_clock(now() + 30min);
  open(functions());
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.step == "b");
  reply(did("b"));
  BOOST_TEST(calls().empty());
  BOOST_TEST(status(run) == run_status::sleeping);
  advance(30min);
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.steps.size() == 3U);
}

BOOST_FIXTURE_TEST_CASE(an_attempt_that_fails_is_made_again_after_its_delay_and_the_last_one_fails_the_run, remote_world) {
  const auto run = start();
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    BOOST_REQUIRE(calls().size() == 1U);
    BOOST_TEST(calls()[0].call.attempt == attempt);
    reply({.error = recorded_error{.name = "Error", .message = "no"}});
    BOOST_TEST(status(run) == (attempt < 3 ? run_status::backing_off : run_status::failed));
    advance(10s);
  }
  BOOST_TEST(calls().empty());
  BOOST_TEST(runtime().get(run)->error->message == "no");
}

BOOST_FIXTURE_TEST_CASE(an_error_that_is_final_fails_the_run_at_once, remote_world) {
  const auto run = start();
  reply({.error = recorded_error{.name = "NonRetriableError", .message = "never"}, .is_final = true});
  BOOST_TEST(status(run) == run_status::failed);
}

BOOST_FIXTURE_TEST_CASE(a_step_that_fails_for_good_is_recorded_and_the_run_goes_on, remote_world) {
  const auto run = start();
  const remote::finished_step failed{.id = "a", .result = {{"name", "Error"}, {"message", "no"}}, .error = recorded_error{.name = "Error", .message = "no"}};
  for (int attempt = 0; attempt < 3; ++attempt) {
    BOOST_REQUIRE(calls().size() == 1U);
    BOOST_TEST(calls()[0].call.steps.empty());
    reply({.failed = failed});
    advance(10s);
  }
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_REQUIRE(calls()[0].call.steps.size() == 1U);
  BOOST_TEST(calls()[0].call.steps[0].error->message == "no");
  BOOST_TEST(calls()[0].call.steps[0].attempts == 3U);
  BOOST_TEST(calls()[0].call.attempt == 1U);
  reply(completes());
  BOOST_TEST(status(run) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(a_retry_asked_for_at_a_time_comes_then, remote_world) {
  start();
  reply({.error = recorded_error{.name = "RetryAfterError", .message = "later"}, .retry_after = 2min});
  advance(119s);
  BOOST_TEST(calls().empty());
  advance(1s);
  BOOST_TEST(calls().size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(an_answer_that_names_nothing_counts_as_a_failed_attempt, remote_world) {
  const auto run = start();
  for (int attempt = 0; attempt < 3; ++attempt) {
    reply({});
    advance(10s);
  }
  BOOST_TEST(status(run) == run_status::failed);
  BOOST_TEST(runtime().get(run)->error->message.find("names nothing") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(waits_for_an_event_and_is_given_it, remote_world) {
  const auto run = start();
  reply(names({waits("paid", "order.paid", 1h)}));
  BOOST_TEST(status(run) == run_status::waiting);
  runtime().send({.name = "order.paid", .data = {{"id", "other"}}});
  BOOST_TEST(calls().empty());
  runtime().send({.name = "order.paid", .data = {{"id", "t-1"}}});
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.steps.at(0).result.json().at("name") == "order.paid");
}

BOOST_FIXTURE_TEST_CASE(waits_for_a_signal_and_is_given_it, remote_world) {
  const auto run = start();
  reply(names({waits_for_signal("h1", "approval")}));
  BOOST_TEST(status(run) == run_status::waiting);
  BOOST_TEST((runtime().send_signal("approval", 7) == run));
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.steps.at(0).result.json().at("data") == 7);
}

BOOST_FIXTURE_TEST_CASE(a_conflict_of_signals_fails_the_run_without_another_call, remote_world) {
  const auto one = start();
  reply(names({waits_for_signal("h1", "approval")}));
  const auto two = start();
  reply(names({waits_for_signal("h1", "approval")}));
  BOOST_TEST(status(two) == run_status::failed);
  BOOST_TEST(runtime().get(two)->error->name == signal_conflict_error);
  const auto three = start();
  reply(names({waits_for_signal("h1", "approval", signal_conflict::replace)}));
  advance(1h);
  BOOST_TEST(calls().empty());
  BOOST_TEST(status(one) == run_status::waiting);
  crash();
  open(functions());
  BOOST_TEST((runtime().send_signal("approval") == three));
}

BOOST_FIXTURE_TEST_CASE(a_run_that_is_being_cancelled_waits_for_no_signal_although_its_call_is_out, remote_world) {
  const auto one = start();
  reply(names({plans("a"), waits_for_signal("h1", "approval")}));
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(runtime().cancel(one) == cancel_outcome::cancelling);
  BOOST_TEST(!runtime().send_signal("approval").has_value());
  const auto two = start();
  reply_to(remote::next_call, names({waits_for_signal("h1", "approval")}));
  BOOST_TEST(status(two) == run_status::waiting);
  BOOST_TEST((runtime().send_signal("approval") == two));
  reply_to("a", did("a"));
  BOOST_TEST(status(one) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(a_wait_ends_at_the_time_that_its_code_has_named, remote_world) {
  start();
  auto wait = waits("paid", "order.paid", 1h);
  wait.delay.reset();
  wait.until = now() + 1h;
  reply(names({wait}));
  advance(1h - 1ms);
  BOOST_TEST(calls().empty());
  advance(1ms);
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.steps.at(0).result.is_null());
}

BOOST_FIXTURE_TEST_CASE(an_invocation_times_out_at_the_time_that_its_code_has_named, remote_world) {
  start();
  reply(names({{.kind = operation::what::invoke, .id = "child", .until = now() + 1h, .function = "app-fn"}}));
  BOOST_REQUIRE(calls().size() == 1U);  // the child's
  const auto child = calls()[0].call.run;
  advance(1h - 1ms);
  BOOST_TEST(calls().size() == 1U);
  advance(1ms);
  BOOST_REQUIRE(calls().size() == 2U);
  BOOST_TEST(calls()[1].call.run != child);
  BOOST_TEST(calls()[1].call.steps.at(0).error->name == invoke_error::timed_out);
}

BOOST_FIXTURE_TEST_CASE(asks_as_soon_as_the_first_operation_is_finished_when_the_answer_says_so, remote_world) {
  const auto run = start();
  auto race = names({sleeps("rest", days{2}), waits("paid", "order.paid", days{3})});
  race.goes_on_at_first = true;
  reply(race);
  runtime().send({.name = "order.paid", .data = {{"id", "t-1"}}});
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.plans_only);
  reply(did("after"));
  BOOST_REQUIRE(calls().size() == 1U);
  reply(completes());
  BOOST_TEST(status(run) == run_status::completed);
  advance(days{4});
  BOOST_TEST(calls().empty());
}

BOOST_FIXTURE_TEST_CASE(checkpoints_record_steps_once_while_the_call_goes_on, remote_world) {
  const auto run = start();
  BOOST_REQUIRE(calls().size() == 1U);
  const auto activation = calls()[0].call.activation;
  BOOST_TEST((runtime().checkpoint(run, activation, {{.id = "a", .result = 1}}) == remote::checkpoint_outcome::recorded));
  BOOST_TEST((runtime().checkpoint(run, activation, {{.id = "a", .result = 1}, {.id = "b"}}) == remote::checkpoint_outcome::recorded));
  reply({.steps = {{.id = "b"}, {.id = "c"}}, .is_completed = true});
  BOOST_TEST(status(run) == run_status::completed);
  BOOST_TEST((recorded(run) == ids{"a", "b", "c"}));
  BOOST_TEST((runtime().checkpoint(run, activation, {{.id = "d"}}) == remote::checkpoint_outcome::stale));
  BOOST_TEST((runtime().checkpoint({}, activation, {}) == remote::checkpoint_outcome::unknown_run));
}

BOOST_FIXTURE_TEST_CASE(a_checkpoint_begins_a_new_count_of_attempts_that_outlives_the_process, remote_world) {
  const auto run = start();
  for (int attempt = 0; attempt < 2; ++attempt) {
    reply({});
    advance(10s);
  }
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.attempt == 3U);
  BOOST_TEST((runtime().checkpoint(run, calls()[0].call.activation, {{.id = "a"}}) == remote::checkpoint_outcome::recorded));
  crash();
  open(functions());
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.attempt == 1U);
  reply(completes());
  BOOST_TEST(status(run) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(checkpoints_beyond_the_steps_of_a_run_are_refused_and_the_answer_fails_it, remote_world) {
  close();
  environment().adjust_limits = [](actors::limits& limits) { limits.steps_per_run = 3; };
  open(functions());
  const auto run = start();
  const auto activation = calls()[0].call.activation;
  BOOST_TEST((runtime().checkpoint(run, activation, {{.id = "a"}, {.id = "b"}, {.id = "c"}}) == remote::checkpoint_outcome::recorded));
  BOOST_TEST((runtime().checkpoint(run, activation, {{.id = "c"}}) == remote::checkpoint_outcome::recorded));  // again
  BOOST_CHECK_EXCEPTION(runtime().checkpoint(run, activation, {{.id = "d"}}), error, [](const error& e) {
    return e.code() == errc::invalid_argument && std::string{e.what()}.find("more than 3 steps") != std::string::npos;
  });
  reply({.steps = {{.id = "d"}}, .is_completed = true});
  BOOST_TEST(status(run) == run_status::failed);
}

BOOST_FIXTURE_TEST_CASE(a_run_with_as_many_steps_as_it_may_have_is_asked_for_its_result, remote_world) {
  close();
  environment().adjust_limits = [](actors::limits& limits) { limits.steps_per_run = 3; };
  open(functions());
  const auto run = start();
  reply({.steps = {{.id = "a"}, {.id = "b"}}});
  reply({.operations = {plans("c"), plans("d")}, .goes_on_at_first = true});  // a race leaves one row
  BOOST_TEST(calls().size() == 2U);
  reply_to("c", did("c"));
  calls();
  crash();
  open(functions());
  BOOST_REQUIRE_MESSAGE(calls_of(remote::next_call) == 1U, to_string(status(run)) << " " << calls().size() << " " << (runtime().get(run)->error ? runtime().get(run)->error->message : "") << (diagnostics.empty() ? "" : diagnostics.back()));
  reply_to(remote::next_call, completes());
  BOOST_TEST(status(run) == run_status::completed);
}

// What stands beside it may last: code elsewhere is asked again for what was left out.
BOOST_FIXTURE_TEST_CASE(what_a_pause_that_holds_left_out_is_asked_for_when_the_function_is_resumed, remote_world) {
  auto all = functions();
  all.push_back({.id = "child", .triggers = {{.event = "never"}}, .body = [](context step) -> task<> { co_await step.run("s", [] {}); }});
  close();
  open(all);
  const auto run = start();
  BOOST_REQUIRE(calls().size() == 1U);
  auto call = take(remote::next_call);
  auto invokes_child = operation{.kind = operation::what::invoke, .id = "call-child"};
  invokes_child.function = "child";
  runtime().internals().admit();
  runtime().internals().post(actors::pause_function{.function = "app-fn", .mode = storage::pause_mode::hold});
  call.done(names({sleeps("rest", days{30}), invokes_child}));
  settle();
  BOOST_TEST(status(run) == run_status::held);
  BOOST_TEST(runtime().list({.function = "child"}).runs.empty());
  runtime().resume("app-fn");
  BOOST_REQUIRE(calls_of(remote::next_call) == 1U);
  reply_to(remote::next_call, names({sleeps("rest", days{30}), invokes_child}));
  calls();
  BOOST_TEST(runtime().list({.function = "child"}).runs.size() == 1U);
  BOOST_TEST(status(run) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(a_checkpoint_is_answered_to_whom_it_names_once_it_is_recorded, remote_world) {
  const auto run = start();
  BOOST_REQUIRE(calls().size() == 1U);
  const auto activation = calls()[0].call.activation;
  std::vector<std::string> told;
  const auto note = [&](std::variant<remote::checkpoint_outcome, error> came) {
    const auto* refused = std::get_if<error>(&came);
    told.emplace_back(refused != nullptr ? to_string(refused->code()) : std::get<remote::checkpoint_outcome>(came) == remote::checkpoint_outcome::recorded ? "recorded" : "other");
    if (refused == nullptr) BOOST_TEST((recorded(run) == ids{"a"}));
  };
  runtime().checkpoint(run, activation, {{.id = "a", .result = 1}}, note);
  BOOST_TEST(told.empty());
  BOOST_TEST(recorded(run).empty());
  settle();
  BOOST_TEST((told == ids{"recorded"}));
  runtime().checkpoint(run, activation, {{.id = "b", .result = std::string(5'000'000, 'x')}}, note);
  settle();
  BOOST_TEST((told == ids{"recorded", "invalid_argument"}));
  BOOST_CHECK_THROW(runtime().checkpoint(run, activation, {{.id = ""}}, note), error);
}

BOOST_FIXTURE_TEST_CASE(a_checkpoint_whose_answer_got_lost_changes_nothing, remote_world) {
  const auto run = start();
  BOOST_REQUIRE(calls().size() == 1U);
  const auto activation = calls()[0].call.activation;
  const std::vector<remote::finished_step> told{{.id = "a", .result = 1}, {.id = "b", .result = 2}, {.id = "a", .result = 3}};
  BOOST_TEST((runtime().checkpoint(run, activation, told) == remote::checkpoint_outcome::recorded));
  BOOST_TEST((runtime().checkpoint(run, activation, told) == remote::checkpoint_outcome::recorded));
  BOOST_TEST((recorded(run) == ids{"a", "b"}));
  BOOST_TEST(runtime().steps(run)[0].result.json() == 1);
}

BOOST_FIXTURE_TEST_CASE(a_checkpoint_beyond_the_limit_of_a_result_is_refused_whole, remote_world) {
  close();
  environment().adjust_limits = [](actors::limits& limits) { limits.step_result_bytes = 100; };
  open(functions());
  const auto run = start();
  BOOST_REQUIRE(calls().size() == 1U);
  const auto activation = calls()[0].call.activation;
  const std::string large(101, 'x');
  for (const auto& one : {std::pair{"", "\"b1\""}, std::pair{"pack", "\"pack\""}}) {
    BOOST_CHECK_EXCEPTION(runtime().checkpoint(run, activation, {{.id = "a"}, {.id = "b1", .name = one.first, .result = large}}), error, [&](const error& e) {
      const std::string what = e.what();
      return e.code() == errc::invalid_argument && what.find(one.second) != std::string::npos && what.find("the limit is 100") != std::string::npos;
    });
  }
  BOOST_TEST(recorded(run).empty());
}

BOOST_FIXTURE_TEST_CASE(a_checkpoint_of_a_run_that_is_being_cancelled_is_recorded_and_told_to_stop, remote_world) {
  const auto run = start();
  BOOST_REQUIRE(calls().size() == 1U);
  const auto activation = calls()[0].call.activation;
  runtime().cancel(run);
  BOOST_TEST((runtime().checkpoint(run, activation, {{.id = "a"}}) == remote::checkpoint_outcome::stale));
  reply({.error = recorded_error{.name = "StaleDispatchError"}, .is_final = true});
  BOOST_TEST(status(run) == run_status::cancelled);
  BOOST_TEST((recorded(run) == ids{"a"}));
}

// Told to stop the code ends its call; asked again it begins behind what is recorded, once the function is resumed.
BOOST_FIXTURE_TEST_CASE(a_checkpoint_of_a_run_that_a_pause_holds_is_recorded_and_told_to_stop, remote_world) {
  for (const bool is_resumed_first : {false, true}) {
    const auto run = start();
    const auto activation = calls().front().call.activation;
    BOOST_TEST((runtime().checkpoint(run, activation, {{.id = "a"}}) == remote::checkpoint_outcome::recorded));
    runtime().pause("app-fn", {.under_way = running_runs::hold});
    BOOST_TEST((runtime().checkpoint(run, activation, {{.id = "b"}}) == remote::checkpoint_outcome::stale));
    if (is_resumed_first) runtime().resume("app-fn");
    reply({.error = recorded_error{.name = "StaleDispatchError", .message = "told to stop"}, .is_stale = true});
    if (!is_resumed_first) {
      BOOST_TEST(calls().empty());
      BOOST_TEST(status(run) == run_status::held);
      runtime().resume("app-fn");
    }
    BOOST_REQUIRE(calls().size() == 1U);
    BOOST_TEST(calls()[0].call.steps.size() == 2U);
    BOOST_TEST(calls()[0].call.attempt == 1U);
    reply(completes());
    BOOST_TEST(status(run) == run_status::completed);
  }
}

// By somebody else's server, say: it would be told so for ever.
BOOST_FIXTURE_TEST_CASE(a_call_that_was_told_to_stop_for_no_reason_that_the_run_knows_counts_as_a_failed_attempt, remote_world) {
  const auto run = start();
  for (int attempt = 1; attempt <= 3; ++attempt) {
    reply({.error = recorded_error{.name = "StaleDispatchError", .message = "told to stop"}, .is_stale = true});
    BOOST_TEST(calls().empty());
    advance(10s);
  }
  BOOST_TEST(status(run) == run_status::failed);
}

BOOST_FIXTURE_TEST_CASE(a_checkpoint_of_a_run_that_a_pause_lets_finish_goes_on, remote_world) {
  const auto run = start();
  const auto activation = calls().front().call.activation;
  runtime().pause("app-fn", {.under_way = running_runs::let_finish});
  BOOST_TEST((runtime().checkpoint(run, activation, {{.id = "a"}}) == remote::checkpoint_outcome::recorded));
}

// The stack and the cause that only its code understands; not what is no object, or too large to be stored.
BOOST_FIXTURE_TEST_CASE(the_whole_form_of_an_error_becomes_the_output_of_the_run_that_fails_over_it, remote_world) {
  const auto failed_with = [&](document details) {
    const auto run = start();
    reply({.error = recorded_error{.name = "Declined", .message = "no"}, .error_details = std::move(details), .is_final = true});
    BOOST_TEST(status(run) == run_status::failed);
    BOOST_TEST(runtime().get(run)->error->name == "Declined");
    return run;
  };
  const document whole{{"name", "Declined"}, {"message", "no"}, {"stack", "at line 7"}};
  const auto run = failed_with(whole);
  BOOST_TEST(runtime().get(run)->output.json() == whole.json());
  const auto told = runtime().list_events({.name = "inngest/function.failed"}).events;
  BOOST_REQUIRE(told.size() == 1U);
  BOOST_TEST(told[0].event.data.json()["error"] == (nlohmann::json{{"error", "Declined: no"}, {"name", "Declined"}, {"message", "no"}, {"stack", "at line 7"}}));
  BOOST_TEST(runtime().get(failed_with("text"))->output.is_null());
  BOOST_TEST(runtime().get(failed_with(document{{"stack", std::string(5'000'000, 'x')}}))->output.is_null());
}

BOOST_FIXTURE_TEST_CASE(what_was_checkpointed_before_a_crash_is_not_executed_again, remote_world) {
  const auto run = start();
  const auto activation = calls().at(0).call.activation;
  runtime().checkpoint(run, activation, {{.id = "a"}});
  crash();
  open(functions());
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.steps.at(0).id == "a");
  reply(completes());
  BOOST_TEST(status(run) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(functions_can_be_defined_while_the_runtime_runs_and_held_runs_go_on, remote_world) {
  const auto run = start();
  reply(names({sleeps("rest", 1h)}));
  runtime().define({});
  advance(1h);
  BOOST_TEST(status(run) == run_status::held);
  BOOST_TEST(runtime().send({.name = "go", .data = {{"id", "t-2"}}}).runs.empty());
  runtime().define(functions());
  BOOST_REQUIRE(calls().size() == 1U);
  reply(completes());
  BOOST_TEST(status(run) == run_status::completed);
  BOOST_TEST(runtime().send({.name = "go", .data = {{"id", "t-3"}}}).runs.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(functions_with_faults_are_refused_and_the_others_stay, remote_world) {
  BOOST_CHECK_EXCEPTION(runtime().define({{.id = "no-code", .triggers = {{.event = "x"}}}}), error,
                        [](const error& e) { return e.code() == errc::invalid_function; });
  start();
  BOOST_TEST(calls().size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_call_that_is_given_up_by_a_stop_is_made_again_at_the_next_start, remote_world) {
  const auto run = start();
  BOOST_REQUIRE(calls().size() == 1U);
  runtime().stop(0s);
  reply({.is_given_up = true});
  close();
  open_at(directory(), functions());
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.attempt == 1U);
  reply(completes());
  BOOST_TEST(status(run) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(a_checkpoint_of_a_call_of_an_earlier_life_is_stale, remote_world) {
  const auto run = start();
  BOOST_REQUIRE(calls().size() == 1U);
  const auto earlier = calls()[0].call.activation;
  crash();
  open(functions());
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST((runtime().checkpoint(run, earlier, {{.id = "a", .result = 1}}) == remote::checkpoint_outcome::stale));
  BOOST_TEST(recorded(run).empty());
  const auto present = calls()[0].call.activation;
  BOOST_TEST((runtime().checkpoint(run, present, {{.id = "a", .result = 1}}) == remote::checkpoint_outcome::recorded));
}

BOOST_FIXTURE_TEST_CASE(a_caller_that_throws_counts_as_a_failed_attempt, remote_world) {
  code->throws = 1;
  const auto run = start();
  BOOST_TEST(calls().empty());
  advance(10s);
  BOOST_REQUIRE(calls().size() == 1U);
  BOOST_TEST(calls()[0].call.attempt == 2U);
  reply(completes());
  BOOST_TEST(status(run) == run_status::completed);
  code->throws = 3;
  const auto lost = start();
  advance(1min);
  BOOST_TEST(status(lost) == run_status::failed);
  BOOST_TEST(runtime().get(lost)->error->message == "no route to the app");
}

BOOST_FIXTURE_TEST_CASE(texts_of_errors_that_are_no_utf_8_are_stored_as_utf_8, remote_world) {
  const auto run = start();
  reply({.steps = {{.id = "a", .error = recorded_error{.name = "E\xff", .message = "caf\xe9"}}}, .error = recorded_error{.name = "X", .message = "\xc3"}, .is_final = true});
  BOOST_TEST(status(run) == run_status::failed);
  BOOST_TEST(runtime().get(run)->error->message == "\xEF\xBF\xBD");
  BOOST_TEST(runtime().steps(run).at(0).error->message == "caf\xEF\xBF\xBD");
  BOOST_TEST(runtime().steps(run).at(0).error->name == "E\xEF\xBF\xBD");
}

BOOST_AUTO_TEST_SUITE_END()
