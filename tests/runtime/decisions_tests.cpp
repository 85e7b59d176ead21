// Decisions that are seldom asked for: what the other files of this folder do not come by.

#include <boost/test/unit_test.hpp>

#include "runtime/runtime_state.hpp"
#include "tests/support/sleeping_world.hpp"

namespace {

using namespace caesura;
using caesura::testing::sleeping_world;
using namespace std::chrono_literals;

struct decisions_world : sleeping_world {
  function of(function_body body) { return {.id = "f", .triggers = {{.event = "go"}}, .retries = {.retries = 0}, .body = std::move(body)}; }
  run_id go(document data = {}) { return start({.name = "go", .data = std::move(data)}); }
  bool has_said(std::string_view text) const {
    return std::ranges::any_of(diagnostics, [&](const std::string& one) { return one.find(text) != std::string::npos; });
  }
};

// What the body's awaited step threw.
template <class F>
std::string thrown_by(F&& call) {
  try {
    call();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "nothing";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(decisions)

// ---- events

BOOST_FIXTURE_TEST_CASE(the_id_of_an_event_that_was_purged_is_free_again, decisions_world) {
  open({sleeper()});
  for (int i = 0; i < 40; ++i) runtime().send({.name = "note", .data = {{"n", i}}, .id = "n-" + std::to_string(i)});
  advance(days{9});
  const auto again = runtime().send({.name = "note", .data = {{"n", "other"}}, .id = "n-39"});
  BOOST_TEST(!again.is_duplicate);
  BOOST_TEST(runtime().send({.name = "note", .data = {{"n", "other"}}, .id = "n-39"}).is_duplicate);
}

BOOST_FIXTURE_TEST_CASE(the_id_of_an_event_is_free_a_day_after_the_clock_was_a_year_ahead, decisions_world) {
  const event one{.name = "note", .id = "n-1"};
  for (const bool is_restarted : {false, true}) {
    BOOST_TEST_CONTEXT((is_restarted ? "restarted" : "in one process")) {
      open({sleeper()});
      const auto before = now();
      set_clock(before + days{365});
      BOOST_TEST(!runtime().send(one).is_duplicate);
      set_clock(before);
      if (is_restarted) {
        close();
        open({sleeper()});
      } else {
        runtime().internals().post(actors::clock_jumped{.by = -days{365}});
        run();
      }
      BOOST_TEST(runtime().send(one).is_duplicate);
      advance(23h);
      BOOST_TEST(runtime().send(one).is_duplicate);
      advance(2h);
      BOOST_TEST(!runtime().send(one).is_duplicate);
      close();
      set_clock(before + days{800});
    }
  }
}

BOOST_FIXTURE_TEST_CASE(the_same_event_twice_in_an_array_starts_one_run, decisions_world) {
  open({sleeper()});
  const event one{.name = "go", .data = {{"id", 1}}, .id = "e-1"};
  const auto answers = runtime().send(std::vector<event>{one, one});
  BOOST_REQUIRE(answers.size() == 2U);
  BOOST_TEST(!answers[0].is_duplicate);
  BOOST_TEST(answers[1].is_duplicate);
  BOOST_TEST(answers[1].runs.at(0) == answers[0].runs.at(0));
  BOOST_TEST(runtime().list().runs.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(an_event_id_that_is_not_utf8_is_refused, decisions_world) {
  open({sleeper()});
  BOOST_TEST(thrown_by([&] { runtime().send({.name = "go", .id = "\xFF"}); }) == "event \"go\": the id is not UTF-8");
  BOOST_TEST(runtime().list().runs.empty());
}

BOOST_FIXTURE_TEST_CASE(a_star_is_not_started_by_the_cancelled_event_of_another_function, decisions_world) {
  open({sleeper(), sleeper("all", "*")});
  const auto runs = runtime().send({.name = "go", .data = {{"id", 1}}}).runs;
  run();
  BOOST_REQUIRE(runs.size() == 2U);
  runtime().cancel(runs[0]);
  run();
  BOOST_TEST(runtime().list().runs.size() == 2U);
}

BOOST_FIXTURE_TEST_CASE(the_second_of_two_rules_on_one_event_cancels_when_the_first_does_not_match, decisions_world) {
  auto fn = sleeper();
  fn.cancel_on = {{.event = "stop", .when = "async.data.force == 'yes' && event.data.id == async.data.other"},
                  {.event = "stop", .when = "async.data.below > event.data.id"}};
  open({fn});
  const auto one = go({{"id", 1}});
  const auto nameless = go({{"name", "x"}});  // no event can match its first rule
  run();
  runtime().send({.name = "stop", .data = {{"other", 1}, {"force", "no"}, {"below", 1}}});
  BOOST_TEST(status(one) == run_status::sleeping);
  BOOST_TEST(has_said("cancel rule \"async.data.below > event.data.id\" does not match, because it fails"));  // of the one without an id
  runtime().send({.name = "stop", .data = {{"below", 2}}});  // what the first rule asks for is missing
  BOOST_TEST(status(one) == run_status::cancelled);
  BOOST_TEST(runtime().get(one)->cancelled_by->rule == 1);
  BOOST_TEST(status(nameless) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(of_two_events_that_a_body_waits_to_send_only_the_first_is_sent, decisions_world) {
  std::size_t first = 9;
  open({of([&](context step) -> task<> {
    const event left{.name = "left"};
    const event right{.name = "right"};
    first = (co_await caesura::any(step.send_event("tell left", left), step.send_event("tell right", right))).index();
  }), sleeper("left", "left"), sleeper("right", "right")});
  const auto one = go();
  run();
  BOOST_TEST(status(one) == run_status::completed);
  BOOST_TEST(first == 0U);
  BOOST_TEST(runtime().list({.function = "left"}).runs.size() == 1U);
  BOOST_TEST(runtime().list({.function = "right"}).runs.empty());
}

BOOST_FIXTURE_TEST_CASE(an_event_whose_id_was_used_with_other_data_fails_the_step_that_sends_it, decisions_world) {
  open({of([](context step) -> task<> {
    const event note{.name = "note", .data = {{"n", 2}}, .id = "n-1"};
    co_await step.send_event("tell", note);
  })});
  runtime().send({.name = "note", .data = {{"n", 1}}, .id = "n-1"});
  const auto one = go();
  run();
  BOOST_TEST(status(one) == run_status::failed);
  BOOST_TEST(runtime().steps(one).at(0).error->message.find("was accepted with other data") != std::string::npos);
}

// ---- operations

BOOST_FIXTURE_TEST_CASE(a_result_of_more_than_4_mib_fails_the_run_and_names_the_limit, decisions_world) {
  open({of([](context) -> task<std::string> { co_return std::string((std::size_t{4} << 20) + 1, 'x'); })});
  const auto one = go();
  run();
  BOOST_TEST(status(one) == run_status::failed);
  BOOST_TEST(runtime().get(one)->error->message.find("bytes; the limit is 4194304") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_wait_without_time_gives_nothing_at_once, decisions_world) {
  bool is_nothing = false;
  open({of([&](context step) -> task<> { is_nothing = !co_await step.wait_for_event("ping").timeout(0s); })});
  const auto one = go();
  run();
  BOOST_TEST(status(one) == run_status::completed);
  BOOST_TEST(is_nothing);
  BOOST_TEST(runtime().steps(one).size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(data_for_a_child_that_is_larger_than_an_event_may_be_fails_the_invoke, decisions_world) {
  nlohmann::json large;
  large["x"] = std::string(512 * 1024, 'x');
  open({of([&](context step) -> task<> { co_await step.invoke<>("call", "child", large); }), sleeper("child", "never")});
  const auto one = go();
  run();
  BOOST_TEST(status(one) == run_status::failed);
  BOOST_TEST(runtime().steps(one).at(0).error->message.find("bytes; the limit is 524288") != std::string::npos);
  BOOST_TEST(runtime().list({.function = "child"}).runs.empty());
}

BOOST_FIXTURE_TEST_CASE(sleeps_that_are_over_count_against_the_steps_of_a_run, decisions_world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.steps_per_run = 3; };
  open({of([&](context step) -> task<> {
    for (int i = 0; i < 10; ++i, ++executed) co_await step.sleep_until("past", time_point{});
  })});
  const auto one = go();
  run();
  BOOST_TEST(status(one) == run_status::failed);
  BOOST_TEST(runtime().get(one)->error->message == "the run would record more than 3 steps");
  BOOST_TEST(executed == 3);
}

BOOST_FIXTURE_TEST_CASE(looking_back_beyond_what_was_purged_fails_the_wait_and_says_so, decisions_world) {
  open({of([](context step) -> task<> {
    co_await step.sleep_for("long", days{10});
    co_await step.wait_for_event("ping").timeout(1h).look_back();
  })});
  const auto one = go();
  run();
  advance(1h);
  runtime().send({.name = "ping"});
  advance(days{10});
  BOOST_TEST(status(one) == run_status::failed);
  BOOST_TEST(runtime().steps(one).at(1).error->message.find("have been purged") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_new_binary_that_waits_for_something_else_under_the_same_id_begins_another_wait, decisions_world) {
  const auto waiting = [&](const char* name, const char* when, int naps) {
    return of([=](context step) -> task<int> {
      auto answer = step.wait_for_event(name).when(when).timeout(days{2}).named("answer");
      auto other = step.wait_for_event(name).when("async.data.n == 7").timeout(days{2}).named("other");
      auto nap = step.sleep_for(naps == 1 ? "nap" : "another nap", 1h);
      const auto [found, seven, slept] = co_await caesura::all(std::move(answer), std::move(other), std::move(nap));
      static_cast<void>(slept);
      co_return (found ? 1 : 0) + (seven ? 10 : 0);
    });
  };
  open({waiting("yes", "async.data.n == 1", 1)});
  const auto one = go();
  run();
  crash();
  open({waiting("yes", "async.data.n == 2", 1)});
  advance(2h);  // the nap is over: the body asks anew
  runtime().send({.name = "yes", .data = {{"n", 1}}});
  runtime().send({.name = "yes", .data = {{"n", 7}}});
  BOOST_TEST(status(one) == run_status::waiting);
  BOOST_TEST(runtime().steps(one).size() == 2U);
  crash();
  open({waiting("no", "async.data.n == 2", 2)});
  const auto late = go();
  run();
  runtime().send({.name = "yes", .data = {{"n", 2}}});
  advance(2h);
  BOOST_TEST(runtime().result<int>(one) == 11);
  BOOST_TEST(status(late) == run_status::waiting);
}

BOOST_FIXTURE_TEST_CASE(a_new_binary_that_waits_for_another_event_does_not_take_the_first_one, decisions_world) {
  const auto waiting = [&](const char* name) {
    return of([=](context step) -> task<int> {
      auto answer = step.wait_for_event(name).timeout(days{2}).named("answer");
      auto nap = step.sleep_for("nap", 1h);
      const auto [found, slept] = co_await caesura::all(std::move(answer), std::move(nap));
      static_cast<void>(slept);
      co_return found->name == "second" ? 2 : 1;
    });
  };
  open({waiting("first")});
  const auto one = go();
  run();
  crash();
  open({waiting("second")});
  advance(2h);
  runtime().send({.name = "first"});
  BOOST_TEST(status(one) == run_status::waiting);
  runtime().send({.name = "second"});
  run();
  BOOST_TEST(runtime().result<int>(one) == 2);
}

BOOST_FIXTURE_TEST_CASE(a_new_binary_that_invokes_another_function_under_the_same_id_starts_it, decisions_world) {
  const auto functions = [&](const char* child) -> std::vector<function> {
    return {of([=](context step) -> task<> {
              auto left = step.invoke<>("left", child, nlohmann::json::object());
              auto right = step.invoke<>("right", "child", nlohmann::json::object());
              auto nap = step.sleep_for("nap", 1h);
              co_await caesura::all(std::move(left), std::move(right), std::move(nap));
            }),
            sleeper("child", "never"), sleeper("other", "never")};
  };
  open(functions("child"));
  const auto one = go();
  run();
  crash();
  open(functions("other"));
  advance(2h);
  BOOST_TEST(runtime().list({.function = "child"}).runs.size() == 2U);
  BOOST_TEST(runtime().list({.function = "other"}).runs.size() == 1U);
  advance(days{2});
  BOOST_TEST(status(one) == run_status::completed);
}

BOOST_AUTO_TEST_CASE(an_event_that_a_run_sends_is_sent_once_whichever_write_fails) {
  for (int k = 1;; ++k) {
    decisions_world one;
    int countdown = 0;
    bool has_failed = false;
    one.before_write = [&] {
      if (countdown > 0 && --countdown == 0) {
        has_failed = true;
        throw error{errc::storage_failed, "write failed"};
      }
    };
    one.open({one.of([](context step) -> task<> {
      const event note{.name = "note", .id = "n-1"};
      co_await step.sleep_for("nap", 1h);
      co_await step.send_event("tell", note);
    }), one.sleeper("reader", "note")});
    const auto sender = one.go();
    one.run();
    countdown = k;
    one.advance(2h);
    BOOST_TEST_CONTEXT("write " << k << " failed") {
      BOOST_TEST(one.status(sender) == run_status::completed);
      BOOST_TEST(one.runtime().list({.function = "reader"}).runs.size() == 1U);
    }
    one.close();
    if (!has_failed) break;
    BOOST_REQUIRE(k < 200);
  }
}

BOOST_FIXTURE_TEST_CASE(a_child_of_an_any_that_is_decided_as_it_begins_again_is_cancelled, decisions_world) {
  bool is_next_version = false;  // which waits for what had come already
  const auto parent = of([&](context step) -> task<> {
    auto call = step.invoke<>("call", "child", nlohmann::json::object());
    auto slow = step.run("slow", [] {});
    const std::string when = is_next_version ? "async.data.n == 2" : "async.data.n == 1";
    auto note = step.wait_for_event("note").when(when).timeout(days{1});
    if (is_next_version) {
      co_await caesura::any(std::move(note).look_back(), std::move(call), std::move(slow));
    } else {
      co_await caesura::any(std::move(call), std::move(note), std::move(slow));
    }
  });
  open({parent, sleeper("child", "never")});
  const auto one = go();
  settle();  // the step has not been executed
  runtime().send({.name = "note", .data = {{"n", 2}}});
  settle();
  crash();
  is_next_version = true;
  open({parent, sleeper("child", "never")});
  run();
  BOOST_TEST(status(one) == run_status::completed);
  BOOST_TEST(runtime().list({.function = "child"}).runs.at(0).status == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(an_abandoned_child_that_lost_an_any_goes_on, decisions_world) {
  open({of([](context step) -> task<> {
    auto call = step.invoke<>("call", "child", nlohmann::json::object()).on_parent_cancel(child_policy::abandon);
    auto patience = step.sleep_for("patience", 1h);
    co_await caesura::any(std::move(call), std::move(patience));
  }), sleeper("child", "never")});
  const auto one = go();
  run();
  advance(2h);
  BOOST_TEST(status(one) == run_status::completed);
  BOOST_TEST(runtime().list({.function = "child"}).runs.at(0).status == run_status::sleeping);
}

// ---- time

BOOST_FIXTURE_TEST_CASE(more_timers_than_a_turn_takes_all_fire, decisions_world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.timers_per_turn = 1; };
  open({sleeper()});
  for (int i = 0; i < 5; ++i) go({{"id", i}});
  run();
  set_clock(now() + days{2});
  environment().fire_timers();
  run();
  BOOST_TEST(executed == 5);
}

BOOST_FIXTURE_TEST_CASE(a_deadline_and_a_sleep_that_end_together_are_both_honoured, decisions_world) {
  auto fn = of([&](context step) -> task<> {
    co_await caesura::all(step.run("slow",
                                   [&] {
                                     set_clock(now() + 1h);
                                     environment().fire_timers();
                                     settle();
                                   }),
                          step.sleep_for("nap", 1h));
    ++executed;
  });
  fn.timeouts.finish = 1h;
  open({fn});
  const auto one = go();
  run();
  const auto info = runtime().get(one).value();
  BOOST_TEST(info.status == run_status::cancelled);
  BOOST_TEST(info.cancelled_by->source == cancel_source::timeout);
  BOOST_TEST(runtime().steps(one).size() == 2U);
  BOOST_TEST(executed == 0);
}

BOOST_FIXTURE_TEST_CASE(a_deadline_that_passes_after_a_cancel_changes_nothing, decisions_world) {
  run_id one;
  auto fn = of([&](context step) -> task<> {
    co_await caesura::all(step.run("slow",
                                   [&] {
                                     runtime().cancel(one, {.reason = "by hand"});
                                     set_clock(now() + 3h);
                                     environment().fire_timers();
                                     settle();
                                   }),
                          step.sleep_for("nap", 1h));
  });
  fn.timeouts.finish = 2h;
  open({fn});
  one = go();
  run();
  BOOST_TEST(status(one) == run_status::cancelled);
  BOOST_TEST(runtime().get(one)->cancelled_by->reason == "by hand");
}

// ---- pauses and groups

BOOST_FIXTURE_TEST_CASE(a_run_in_a_short_sleep_is_held_when_it_wakes_while_its_function_is_paused, decisions_world) {
  open({of([&](context step) -> task<> {
    co_await step.sleep_for("short", 500ms);
    ++executed;
  })});
  const auto one = go();
  run();
  runtime().pause("f", running_runs::hold);
  BOOST_TEST(status(one) == run_status::sleeping);
  advance(1s);
  BOOST_TEST(status(one) == run_status::held);
  BOOST_TEST(executed == 0);
  runtime().resume("f");
  run();
  BOOST_TEST(status(one) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(events_without_a_value_for_the_key_share_a_group_and_the_observer_is_told, decisions_world) {
  const auto limited = [&](std::vector<concurrency> limits) {
    auto fn = sleeper();
    fn.concurrency = std::move(limits);
    return fn;
  };
  const concurrency whole{.limit = 3, .counts_resting = true};
  open({limited({whole, {.limit = 1, .key = "event.data.user", .counts_resting = true}})});
  const auto first = go({{"id", 1}});
  const auto second = go({{"id", 2}});
  const auto named = go({{"id", 3}, {"user", "u"}});
  run();
  BOOST_TEST(has_said("concurrency[1].key has no value for event"));
  BOOST_TEST(status(first) == run_status::sleeping);
  BOOST_TEST(status(second) == run_status::queued);
  BOOST_TEST(status(named) == run_status::sleeping);
  crash();
  open({limited({whole})});  // runs keep an entry that the function has no more
  run();
  BOOST_TEST(status(second) == run_status::queued);
  advance(days{3});
  BOOST_TEST(status(second) == run_status::completed);
}

// ---- many at once

BOOST_FIXTURE_TEST_CASE(a_bulk_cancel_means_the_runs_that_are_named_and_tells_where_its_condition_fails, decisions_world) {
  open({sleeper()});
  const auto one = go({{"n", 1}});
  const auto text = go({{"n", "one"}});
  const auto other = go({{"n", 1}});
  run();
  BOOST_TEST(runtime().list({.function = "f", .when = "event.data.n > 0"}).runs.size() == 2U);
  const auto bulk = runtime().cancel_all({.run = {one, text}, .when = "event.data.n > 0"});
  BOOST_TEST(status(one) == run_status::cancelled);
  BOOST_TEST(status(text) == run_status::sleeping);
  BOOST_TEST(status(other) == run_status::sleeping);
  BOOST_TEST(has_said("the filter's when fails for run " + to_string(text)));
  BOOST_TEST(runtime().progress(bulk)->matched == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_pinned_run_that_was_purged_counts_as_ended, decisions_world) {
  options().keep_runs = 1h;
  open({of([](context) -> task<> { co_return; })});
  const auto one = go();
  run();
  const auto plan = runtime().preview({.function = "f"});
  advance(4h);
  BOOST_REQUIRE(!runtime().get(one).has_value());
  const auto cancelling = runtime().cancel_all(plan);
  run();
  BOOST_TEST(runtime().progress(cancelling)->already_ended == 1U);
  const auto replaying = runtime().replay_all(plan);
  run();
  BOOST_TEST(runtime().progress(replaying)->refused == 1U);
  BOOST_TEST(has_said("bulk replay: no run "));
}

BOOST_FIXTURE_TEST_CASE(what_a_bulk_replay_cannot_replay_is_counted_and_told_ten_times, decisions_world) {
  open({of([](context step) -> task<> { co_await step.run("s", [] {}); }), sleeper("g", "go/g")});
  for (int i = 0; i < 12; ++i) go();
  start({.name = "go/g"});  // has not ended
  run();
  const auto unknown_step = runtime().replay_all(runtime().preview({.function = {"f", "g"}}), {.from_step = "no such step"});
  run();
  BOOST_TEST(runtime().progress(unknown_step)->refused == 13U);
  BOOST_TEST(runtime().progress(unknown_step)->replayed == 0U);
  BOOST_TEST(std::ranges::count_if(diagnostics, [](const auto& text) { return text.starts_with("bulk replay: "); }) == 10);
  const auto plan = runtime().preview({.function = "f"});
  runtime().pause("f");
  const auto paused = runtime().replay_all(plan);
  run();
  BOOST_TEST(runtime().progress(paused)->refused == 12U);
  crash();
  open({sleeper("g", "go/g")});
  const auto missing = runtime().replay_all(plan);
  run();
  BOOST_TEST(runtime().progress(missing)->refused == 12U);
  BOOST_TEST(has_said("is not registered in this process"));
}

BOOST_FIXTURE_TEST_CASE(a_bulk_replay_whose_write_fails_is_tried_again_and_replays_each_once, decisions_world) {
  open({of([](context) -> task<> { co_return; })});
  for (int i = 0; i < 3; ++i) go();
  run();
  const auto plan = runtime().preview({.function = "f"});
  int writes = 0;
  before_write = [&] {
    if (++writes == 9) throw error{errc::storage_failed, "now"};
  };
  std::optional<bulk_id> bulk;
  while (!bulk) {
    try {
      bulk = runtime().replay_all(plan);
    } catch (const error& e) {
      BOOST_TEST(e.code() == errc::storage_failed);
    }
  }
  advance(1min);
  before_write = {};
  BOOST_TEST(writes > 9);
  BOOST_TEST(runtime().progress(*bulk)->replayed == 3U);
  BOOST_TEST(runtime().list({.function = "f"}).runs.size() == 6U);
}

BOOST_FIXTURE_TEST_CASE(a_run_that_ends_after_the_record_of_its_bulk_cancel_was_purged_ends_cancelled, decisions_world) {
  std::optional<bulk_id> bulk;
  open({of([&](context step) -> task<> {
    co_await step.run("slow", [&] {
      bulk = runtime().cancel_all({.function = "f"});
      set_clock(now() + days{8});
      environment().fire_timers();
      settle();
      BOOST_TEST(!runtime().progress(*bulk).has_value());
    });
  })});
  const auto one = go();
  run();
  BOOST_TEST(status(one) == run_status::cancelled);
  BOOST_TEST((runtime().get(one)->cancelled_by->bulk == bulk));
  BOOST_TEST(!runtime().progress(*bulk).has_value());
}

// ---- purging

BOOST_FIXTURE_TEST_CASE(the_newest_thousand_bulk_jobs_are_kept, decisions_world) {
  open({sleeper()});
  const auto oldest = runtime().cancel_all({.function = "f"});
  const auto second = runtime().cancel_all({.function = "f"});
  for (int i = 0; i < 999; ++i) runtime().cancel_all({.function = "f"});
  advance(2h);
  BOOST_TEST(!runtime().progress(oldest).has_value());
  BOOST_TEST(runtime().progress(second).has_value());
}

BOOST_FIXTURE_TEST_CASE(a_run_that_began_long_ago_and_ended_lately_stays_and_a_younger_one_that_ended_early_goes, decisions_world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.purge_slice = 1; };
  open({{.id = "long", .triggers = {{.event = "long"}}, .body = [](context step) -> task<> { co_await step.sleep_for("s", days{8}); }},
        of([](context) -> task<> { co_return; })});
  const auto late = start({.name = "long"});
  const auto later = start({.name = "long"});
  const auto early = go();
  run();
  advance(days{9});
  BOOST_TEST(status(late) == run_status::completed);
  BOOST_TEST(status(later) == run_status::completed);
  BOOST_TEST(!runtime().get(early).has_value());
}

BOOST_FIXTURE_TEST_CASE(a_plan_that_is_worked_off_outlives_its_24_hours, decisions_world) {
  const auto functions = [&] { return std::vector<function>{of([](context) -> task<> { co_return; })}; };
  open(functions());
  for (int i = 0; i < 3; ++i) go();
  run();
  const auto bulk = runtime().replay_all(runtime().preview({.function = "f"}), {.rate_per_second = 1.0 / (20 * 3600)});
  advance(days{1} + 6h);
  BOOST_TEST(runtime().progress(bulk)->replayed == 2U);
  crash();  // the ids are read anew
  open(functions());
  advance(days{1});
  BOOST_TEST(runtime().progress(bulk)->replayed == 3U);
}

BOOST_AUTO_TEST_SUITE_END()
