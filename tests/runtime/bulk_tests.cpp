// Many runs at once: filters, previews, bulk cancels, replays.

#include <boost/test/unit_test.hpp>

#include <caesura/verify.hpp>

#include "runtime/runtime_state.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::world;
using namespace std::chrono_literals;

template <class F>
std::pair<errc, std::string> refusal_of(F&& call) {
  try {
    call();
  } catch (const error& e) {
    return {e.code(), e.what()};
  }
  BOOST_FAIL("nothing was refused");
  return {};
}

struct bulk_world : world {
  int effects = 0;
  std::map<std::string, int> cancelled_events;  // by run

  // "sleeper" sleeps a week between two steps; "other" too.
  std::vector<function> functions() {
    const auto sleeper = [this](const char* id, const char* event) -> function {
      return {.id = id, .triggers = {{.event = event}}, .body = [this](context step) -> task<int> {
                co_await step.run("first", [&] { ++effects; });
                co_await step.sleep_for("week", days{7});
                co_await step.run("second", [&] { ++effects; });
                co_return 1;
              }};
    };
    function watcher{.id = "watcher",
                     .triggers = {{.event = "inngest/function.cancelled"}},
                     .body = [this](context, event e) -> task<> {
                       ++cancelled_events[e.data.json()["run_id"].get<std::string>()];
                       co_return;
                     }};
    return {sleeper("sleeper", "go"), sleeper("other", "go/other"), watcher};
  }
  void open_all() { open(functions()); }
  std::vector<run_id> start_many(int count, const std::string& name = "go") {
    std::vector<run_id> runs;
    for (int i = 0; i < count; ++i) runs.push_back(start({.name = name, .data = {{"n", i}, {"user", i % 2 == 0 ? "even" : "odd"}}}));
    run();
    return runs;
  }
  std::size_t count(const run_filter& filter) { return runtime().list(filter, {.limit = 5000}).runs.size(); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(bulk)

BOOST_FIXTURE_TEST_CASE(a_filter_means_what_every_part_lets_through, bulk_world) {
  open_all();
  const auto runs = start_many(10);
  const auto middle = now() + 1h;
  advance(2h);
  start_many(4);
  start_many(3, "go/other");
  BOOST_TEST(count({.function = "sleeper"}) == 14U);
  BOOST_TEST(count({.function = {"sleeper", "other"}}) == 17U);
  BOOST_TEST(count({.function = "sleeper", .created_before = middle}) == 10U);
  BOOST_TEST(count({.function = "sleeper", .created_after = middle}) == 4U);
  BOOST_TEST(count({.run = {runs[1], runs[2]}}) == 2U);
  BOOST_TEST(count({.function = "sleeper", .when = "event.data.user == 'even'"}) == 7U);
  BOOST_TEST(count({.when = "run.function == 'other' && run.status == 'sleeping' && run.attempt == 1"}) == 3U);
  BOOST_TEST(count({.when = "run.age >= 7200000"}) == 10U);
  BOOST_TEST(count({.status = {run_status::completed, run_status::sleeping}}) == 17U);
  // The window begins with its first instant and ends before its last.
  const auto created = runtime().get(runs[0])->created_at;
  BOOST_TEST(count({.created_after = created, .created_before = created + 1ms}) == 10U);
  BOOST_TEST(count({.created_after = created + 1ms, .created_before = created + 2ms}) == 0U);
  BOOST_TEST(count({.created_before = created}) == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_bulk_cancel_hits_exactly_the_runs_created_in_its_window, bulk_world) {
  open_all();
  const auto before = start_many(3);
  advance(1h);
  const auto from = now();
  const auto inside = start_many(5);
  const auto others = start_many(2, "go/other");
  advance(1h);
  const auto to = now();
  const auto after = start_many(4);
  const auto bulk =
      runtime().cancel_all({.function = "sleeper", .created_after = from, .created_before = to}, {.reason = "bad deployment", .by = "ops"});
  run();
  for (const auto& one : inside) {
    const auto info = runtime().get(one).value();
    BOOST_TEST(info.status == run_status::cancelled);
    BOOST_TEST(info.cancelled_by->source == cancel_source::bulk);
    BOOST_TEST(info.cancelled_by->reason == "bad deployment");
    BOOST_TEST(info.cancelled_by->by == "ops");
    BOOST_TEST(info.cancelled_by->bulk == bulk);
    BOOST_TEST(cancelled_events[to_string(one)] == 1);
  }
  for (const auto& list : {before, after, others}) {
    for (const auto& one : list) BOOST_TEST(status(one) == run_status::sleeping);
  }
  const auto progress = runtime().progress(bulk).value();
  BOOST_TEST((progress.status == bulk_progress::state::done));
  BOOST_TEST(progress.matched == 5U);
  BOOST_TEST(progress.cancelled == 5U);
  BOOST_TEST(progress.cancelling == 0U);
  BOOST_TEST(progress.left == 0U);
  BOOST_TEST(cancelled_events.size() == 5U);
}

BOOST_FIXTURE_TEST_CASE(an_executing_run_is_counted_as_cancelling_until_its_step_has_completed, bulk_world) {
  bulk_id bulk;
  open({{.id = "sleeper", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
           co_await step.run("first", [&] {
             bulk = runtime().cancel_all({.function = "sleeper"});
             BOOST_TEST(runtime().progress(bulk)->cancelling == 1U);
             BOOST_TEST(runtime().progress(bulk)->cancelled == 0U);
           });
         }}});
  const auto one = start({.name = "go"});
  run();
  BOOST_TEST(status(one) == run_status::cancelled);
  BOOST_TEST(runtime().progress(bulk)->cancelling == 0U);
  BOOST_TEST(runtime().progress(bulk)->cancelled == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_preview_changes_nothing_and_tells_what_would_be_hit, bulk_world) {
  open_all();
  start_many(12);
  const auto done = start_many(1)[0];
  runtime().cancel(done);
  run();
  const auto plan = runtime().preview({.function = "sleeper"});
  BOOST_TEST(plan.count == 13U);
  BOOST_TEST(plan.by_status.at(run_status::sleeping) == 12U);
  BOOST_TEST(plan.by_status.at(run_status::cancelled) == 1U);
  BOOST_TEST(plan.sample.size() == 10U);
  BOOST_TEST(plan.sample.front().id == done);
  BOOST_TEST(count({.status = run_status::sleeping}) == 12U);
}

BOOST_FIXTURE_TEST_CASE(a_token_means_the_runs_of_its_preview_and_no_later_ones, bulk_world) {
  open_all();
  const auto pinned = start_many(6);
  const auto plan = runtime().preview({.function = "sleeper"});
  const auto later = start_many(3);
  runtime().cancel(pinned[0], {.reason = "by hand"});
  crash();  // the token outlives the process
  open_all();
  const auto bulk = runtime().cancel_all(plan.token);
  run();
  for (const auto& one : pinned) BOOST_TEST(status(one) == run_status::cancelled);
  for (const auto& one : later) BOOST_TEST(status(one) == run_status::sleeping);
  BOOST_TEST(runtime().get(pinned[0])->cancelled_by->reason == "by hand");
  const auto progress = runtime().progress(bulk).value();
  BOOST_TEST(progress.matched == 6U);
  BOOST_TEST(progress.cancelled == 5U);
  BOOST_TEST(progress.already_ended == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_token_is_good_for_24_hours, bulk_world) {
  open_all();
  start_many(1);
  const auto plan = runtime().preview({.function = "sleeper"});
  advance(24h - 1ms);
  const auto other = runtime().preview({.function = "sleeper"});
  advance(1ms);
  BOOST_TEST(refusal_of([&] { runtime().cancel_all(plan); }).first == errc::unknown_plan);
  BOOST_TEST(refusal_of([&] { runtime().cancel_all(plan_id{}); }).first == errc::unknown_plan);
  runtime().cancel_all(other);
}

BOOST_FIXTURE_TEST_CASE(a_preview_that_finds_nothing_has_a_token_all_the_same, bulk_world) {
  open_all();
  const auto plan = runtime().preview({.function = "sleeper"});
  BOOST_TEST(plan.count == 0U);
  const auto bulk = runtime().cancel_all(plan);
  BOOST_TEST((runtime().progress(bulk)->status == bulk_progress::state::done));
}

BOOST_FIXTURE_TEST_CASE(filters_that_would_mean_too_much_or_something_else_are_refused, bulk_world) {
  open_all();
  start_many(1);
  const auto refused = [&](const run_filter& filter, errc code, const std::string& part) {
    const auto a = refusal_of([&] { (void)runtime().preview(filter); });
    const auto b = refusal_of([&] { runtime().cancel_all(filter); });
    const auto c = refusal_of([&] { runtime().replay_all(filter); });
    for (const auto& one : {a, b, c}) {
      BOOST_TEST(one.first == code);
      BOOST_TEST(one.second.find(part) != std::string::npos, one.second);
    }
  };
  refused({}, errc::invalid_argument, "no condition");
  refused({.created_before = now() + 1h}, errc::invalid_argument, "ends in the future");
  refused({.created_after = now() + 1h}, errc::invalid_argument, "begins in the future");
  refused({.created_after = now() - 1h, .created_before = now() - 2h}, errc::invalid_argument, "window is empty");
  refused({.function = ""}, errc::invalid_argument, "empty id");
  refused({.when = "event.data.x =="}, errc::invalid_expression, "at byte");
  refused({.when = "async.data.x == 1"}, errc::invalid_expression, "no async");
  refused({.function = std::vector<std::string>(10'001, "f")}, errc::invalid_argument, "the limit is 10000");
  BOOST_TEST(count({.status = run_status::sleeping}) == 1U);
  BOOST_TEST(runtime().bulk_jobs().empty());
}

BOOST_FIXTURE_TEST_CASE(a_large_bulk_cancel_is_worked_off_in_slices_with_the_outcome_of_one_instant, bulk_world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.bulk_slice = 10; };
  open_all();
  const auto runs = start_many(40);
  const auto bulk = runtime().cancel_all({.function = "sleeper", .status = run_status::sleeping});
  const auto later = start_many(5);
  run();
  for (const auto& one : runs) BOOST_TEST(status(one) == run_status::cancelled);
  for (const auto& one : later) BOOST_TEST(status(one) == run_status::sleeping);
  BOOST_TEST(runtime().progress(bulk)->cancelled == 40U);
  for (const auto& one : runs) BOOST_TEST(cancelled_events[to_string(one)] == 1);
}

BOOST_FIXTURE_TEST_CASE(a_bulk_cancel_survives_a_crash_and_goes_on_where_it_was, bulk_world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.bulk_slice = 7; };
  open_all();
  const auto runs = start_many(50);
  bulk_id bulk;
  // The process is lost after the third slice.
  int commits = 0;
  before_commit = [&](std::uint64_t) {
    if (++commits > 3) throw error{errc::storage_failed, "lost"};
  };
  bulk = runtime().cancel_all({.function = "sleeper"}, {.reason = "r"});
  crash();
  open_all();
  const auto cut = runtime().progress(bulk).value();
  run();
  BOOST_TEST(cut.matched >= 7U);
  for (const auto& one : runs) {
    BOOST_TEST(status(one) == run_status::cancelled);
  }
  BOOST_TEST(count({.function = "watcher"}) == runs.size());  // one cancelled event each
  const auto progress = runtime().progress(bulk).value();
  BOOST_TEST((progress.status == bulk_progress::state::done));
  BOOST_TEST(progress.cancelled == 50U);
  BOOST_TEST(runtime().bulk_jobs().size() == 1U);
  const auto after = start_many(1);
  BOOST_TEST(status(after[0]) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(a_bulk_cancel_can_be_stopped_and_what_it_did_stays, bulk_world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.bulk_slice = 5; };
  open_all();
  start_many(30);
  // All but the first slice fails to commit until the stop has come.
  bool is_blocked = false;
  before_commit = [&](std::uint64_t) {
    if (is_blocked) throw error{errc::storage_failed, "not now"};
    is_blocked = true;
  };
  const auto bulk = runtime().cancel_all({.function = "sleeper"});
  before_commit = {};
  BOOST_TEST(runtime().stop(bulk));
  advance(1s);
  const auto progress = runtime().progress(bulk).value();
  BOOST_TEST((progress.status == bulk_progress::state::stopped));
  BOOST_TEST(progress.left == 0U);
  BOOST_TEST(count({.status = run_status::cancelled}) == progress.cancelled);
  BOOST_TEST(progress.cancelled >= 5U);
  BOOST_TEST(progress.cancelled < 30U);
  BOOST_TEST(!runtime().stop(bulk));
  BOOST_TEST(refusal_of([&] { runtime().stop(bulk_id{}); }).first == errc::unknown_bulk);
}

BOOST_FIXTURE_TEST_CASE(a_hundred_thousand_runs_are_cancelled_with_a_crash_in_the_middle, bulk_world) {
  constexpr std::size_t many = 100'000;
  open({{.id = "sleeper", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> { co_await step.sleep_for("long", days{7}); }}});
  std::vector<event> events(1000, event{.name = "go"});
  std::vector<run_id> runs;
  for (std::size_t sent = 0; sent < many; sent += events.size()) {
    for (const auto& one : runtime().send(events)) runs.push_back(one.runs.at(0));
  }
  run();
  int commits = 0;
  before_commit = [&](std::uint64_t) {
    if (++commits > 250) throw error{errc::storage_failed, "lost"};
  };
  const auto bulk = runtime().cancel_all({.function = "sleeper"});
  crash();
  int commits_after = 0;
  before_commit = [&](std::uint64_t) { ++commits_after; };
  open({{.id = "sleeper", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> { co_await step.sleep_for("long", days{7}); }}});
  run();
  before_commit = {};
  const auto progress = runtime().progress(bulk).value();
  BOOST_TEST(commits > 250);  // it was cut where it should be
  BOOST_TEST(commits_after > 100);  // and there was work left
  BOOST_TEST(progress.cancelled == many);
  BOOST_TEST((progress.status == bulk_progress::state::done));
  std::size_t cancelled = 0;
  for (const auto& one : runs) cancelled += status(one) == run_status::cancelled ? 1 : 0;
  BOOST_TEST(cancelled == many);
}

BOOST_FIXTURE_TEST_CASE(what_a_run_does_after_the_call_does_not_change_whether_the_call_means_it, bulk_world) {
  // The filter means waiting runs. One of them would be woken, another would begin to wait, while the job is worked off.
  environment().adjust_limits = [](actors::limits& limits) { limits.bulk_slice = 1; };
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> {
           const auto woken = co_await step.wait_for_event("wake").when("event.data.n == async.data.n").timeout(days{1});
           if (woken) co_await step.sleep_for("nap", days{1});
         }},
        {.id = "g", .triggers = {{.event = "go/g"}}, .body = [](context step) -> task<> {
           co_await step.sleep_for("short", 1h);
           co_await step.wait_for_event("never").timeout(days{1});
         }}});
  const auto first = start({.name = "go", .data = {{"n", 1}}});
  const auto sleeps = start({.name = "go/g"});
  const auto second = start({.name = "go", .data = {{"n", 2}}});
  run();
  // One array: the event comes right behind the bulk call in the order, before the job has looked at `second`.
  int commits = 0;
  before_commit = [&](std::uint64_t) {
    if (++commits > 1) throw error{errc::storage_failed, "later"};
  };
  runtime().cancel_all({.status = run_status::waiting});
  before_commit = {};
  runtime().send({.name = "wake", .data = {{"n", 2}}});
  advance(2h);
  BOOST_TEST(status(first) == run_status::cancelled);
  BOOST_TEST(status(second) == run_status::cancelled);
  BOOST_TEST(status(sleeps) == run_status::waiting);
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

struct replay_world : world {
  int reserved = 0;
  int charged = 0;
  bool is_broken = true;

  void open_all() {
    open({{.id = "order", .triggers = {{.event = "order.placed"}}, .body = [this](context step) -> task<std::string> {
             const auto place = co_await step.run("reserve", [&] { return ++reserved; });
             co_await step.sleep_for("cool-off", 1h);
             const auto sum = co_await step.run("charge", [&] {
               ++charged;
               if (is_broken) throw non_retriable_error{"no such account"};
               return 100;
             });
             co_return std::to_string(place) + "/" + std::to_string(sum);
           }}});
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(replaying)

BOOST_FIXTURE_TEST_CASE(a_replay_is_a_new_run_of_the_same_event_linked_to_the_first, replay_world) {
  open_all();
  const auto first = start({.name = "order.placed", .data = {{"id", 1}}});
  advance(2h);
  BOOST_TEST(status(first) == run_status::failed);
  is_broken = false;
  const auto second = runtime().replay(first);
  advance(2h);
  const auto info = runtime().get(second).value();
  BOOST_TEST(info.status == run_status::completed);
  BOOST_TEST(info.replay_of == first);
  BOOST_TEST(info.root == first);
  BOOST_TEST(info.event == runtime().get(first)->event);
  BOOST_TEST(runtime().result<std::string>(second) == "2/100");
  const auto third = runtime().replay(second);
  BOOST_TEST(runtime().get(third)->replay_of == second);
  BOOST_TEST(runtime().get(third)->root == first);
  BOOST_TEST(status(first) == run_status::failed);
}

BOOST_FIXTURE_TEST_CASE(a_replay_from_a_step_keeps_the_results_before_it, replay_world) {
  open_all();
  const auto first = start({.name = "order.placed"});
  advance(2h);
  is_broken = false;
  crash();
  open_all();
  const auto second = runtime().replay(first, {.from_step = "charge"});
  run();
  BOOST_TEST(status(second) == run_status::completed);
  BOOST_TEST(runtime().result<std::string>(second) == "1/100");
  BOOST_TEST(reserved == 1);
  BOOST_TEST(charged == 2);
  BOOST_TEST(runtime().steps(second).size() == 3U);
}

BOOST_FIXTURE_TEST_CASE(replays_that_cannot_be_are_refused_by_name, replay_world) {
  open_all();
  const auto one = start({.name = "order.placed"});
  run();
  BOOST_TEST(refusal_of([&] { runtime().replay(one); }).first == errc::run_not_ended);
  runtime().cancel(one);
  BOOST_TEST(refusal_of([&] { runtime().replay(one, {.from_step = "nope"}); }).second.find("\"nope\"") != std::string::npos);
  BOOST_TEST(refusal_of([&] { runtime().replay(run_id{}); }).first == errc::unknown_run);
  runtime().pause("order");
  BOOST_TEST(refusal_of([&] { runtime().replay(one); }).first == errc::function_paused);
  runtime().resume("order");
  close();
  open({{.id = "another", .triggers = {{.event = "x"}}, .body = [](context) -> task<> { co_return; }}});
  BOOST_TEST(refusal_of([&] { runtime().replay(one); }).first == errc::unknown_function);
  BOOST_TEST(refusal_of([&] { runtime().replay_all({.run = one}, {.rate_per_second = -1}); }).first == errc::invalid_argument);
}

BOOST_FIXTURE_TEST_CASE(a_replay_is_not_hit_by_cancel_events_that_came_before_it, replay_world) {
  open({{.id = "f",
         .triggers = {{.event = "go"}},
         .cancel_on = {{.event = "stop", .when = "event.data.id == async.data.id"}},
         .body = [](context step) -> task<> { co_await step.sleep_for("s", 1h); }}});
  const auto first = start({.name = "go", .data = {{"id", 1}}});
  run();
  runtime().send({.name = "stop", .data = {{"id", 1}}});
  BOOST_TEST(status(first) == run_status::cancelled);
  const auto second = runtime().replay(first);
  run();
  BOOST_TEST(status(second) == run_status::sleeping);
  runtime().send({.name = "stop", .data = {{"id", 1}}});
  BOOST_TEST(status(second) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(many_are_replayed_at_the_rate_that_was_asked_for, replay_world) {
  open_all();
  std::vector<run_id> runs;
  for (int i = 0; i < 20; ++i) runs.push_back(start({.name = "order.placed"}));
  advance(2h);
  is_broken = false;
  const auto bulk = runtime().replay_all({.status = run_status::failed}, {.from_step = "charge", .rate_per_second = 10});
  run();
  const auto at_once = runtime().progress(bulk)->replayed;
  BOOST_TEST(at_once <= 2U);
  advance(1s);
  const auto after_a_second = runtime().progress(bulk)->replayed;
  BOOST_TEST(after_a_second >= 9U);
  BOOST_TEST(after_a_second <= 13U);
  advance(2s);
  const auto progress = runtime().progress(bulk).value();
  BOOST_TEST(progress.replayed == 20U);
  BOOST_TEST(progress.is_replay);
  BOOST_TEST((progress.status == bulk_progress::state::done));
  BOOST_TEST(runtime().list({.status = run_status::completed}).runs.size() == 20U);
  BOOST_TEST(reserved == 20);
}

BOOST_FIXTURE_TEST_CASE(a_list_of_no_runs_does_not_mean_all, replay_world) {
  open_all();
  const auto one = start({.name = "order.placed"});
  const std::vector<run_id> none;
  BOOST_TEST((testing::code_of([&] { runtime().cancel_all({.run = none}); }) == errc::invalid_argument));
  BOOST_TEST((testing::code_of([&] { runtime().cancel_all({.function = std::vector<std::string>{}}); }) == errc::invalid_argument));
  BOOST_TEST(!runtime().get(one)->is_cancelling);
}

BOOST_FIXTURE_TEST_CASE(a_run_that_is_named_twice_is_replayed_once, replay_world) {
  open_all();
  const auto one = start({.name = "order.placed"});
  advance(2h);
  const auto bulk = runtime().replay_all(run_filter{.run = any_of<run_id>{std::vector{one, one}}});
  run();
  BOOST_TEST(runtime().progress(bulk)->replayed == 1U);
  close();
  BOOST_TEST(verify(directory()).is_sound());
}

BOOST_FIXTURE_TEST_CASE(a_rate_that_is_next_to_nothing_is_one_at_the_first_moment, replay_world) {
  open_all();
  std::vector<run_id> runs;
  for (int i = 0; i < 3; ++i) runs.push_back(start({.name = "order.placed"}));
  advance(2h);
  const auto bulk = runtime().replay_all(run_filter{.run = any_of<run_id>{runs}}, {.rate_per_second = 1e-300});
  advance(days{2});
  BOOST_TEST(runtime().progress(bulk)->replayed == 1U);
}

// What a replay keeps is copied, so that a slice of few runs may be large.
BOOST_FIXTURE_TEST_CASE(a_replay_from_a_step_is_bounded_by_what_it_copies, replay_world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.bytes_per_batch = 1; };
  std::size_t slices = 0;
  environment().watch.applied = [&](const actors::command_body& what, const storage::snapshot&, const actors::router_state&) {
    if (std::holds_alternative<actors::sweep_slice>(what)) ++slices;
  };
  open_all();
  std::vector<run_id> runs;
  for (int i = 0; i < 20; ++i) runs.push_back(start({.name = "order.placed"}));
  advance(2h);
  is_broken = false;
  slices = 0;
  const auto bulk = runtime().replay_all(run_filter{.run = any_of<run_id>{runs}}, {.from_step = "charge"});
  run();
  BOOST_TEST(runtime().progress(bulk)->replayed == 20U);
  BOOST_TEST(slices >= 19U);
}

BOOST_FIXTURE_TEST_CASE(a_replay_at_a_rate_goes_on_after_the_clock_was_days_ahead, replay_world) {
  for (const bool is_restarted : {false, true}) {
    BOOST_TEST_CONTEXT((is_restarted ? "restarted" : "in one process")) {
      is_broken = true;
      open_all();
      std::vector<run_id> runs;
      for (int i = 0; i < 5; ++i) runs.push_back(start({.name = "order.placed"}));
      advance(2h);
      is_broken = false;
      const auto before = now();
      set_clock(before + days{3});
      const auto bulk = runtime().replay_all(run_filter{.run = any_of<run_id>{runs}}, {.rate_per_second = 10});
      run();
      BOOST_TEST(runtime().progress(bulk)->replayed < 5U);
      set_clock(before);
      if (is_restarted) {
        close();
        open_all();
      } else {
        runtime().internals().post(actors::clock_jumped{.by = -days{3}});
      }
      run();
      advance(1s);
      BOOST_TEST((runtime().progress(bulk)->status == bulk_progress::state::done));
      BOOST_TEST(runtime().progress(bulk)->replayed == 5U);
      close();
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
