// Flow control: whether and when an event starts a run. What is kept between events is kept across a crash in the middle, too.

#include <boost/test/unit_test.hpp>

#include <caesura/verify.hpp>

#include "runtime/runtime_state.hpp"
#include "tests/support/damage.hpp"
#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::world;
using namespace std::chrono_literals;

struct flow_world : world {
  std::vector<std::string> done;        // data.n (or what else a body noted) of the runs that executed, in their order
  std::vector<std::size_t> batch_sizes;
  std::function<void(const std::string&)> during_note;

  // "f", whose body notes data.n in a step.
  function plain() {
    return {.id = "f", .triggers = {{.event = "go"}}, .body = [this](context step, event e) -> task<> {
              co_await step.run("note", [&] { done.push_back(e.data.is_null() || !e.data.json().contains("n") ? "?" : e.data.json().at("n").dump()); });
            }};
  }
  // The same, and then it sleeps.
  function sleeper() {
    auto fn = plain();
    fn.cancel_on = {{.event = "stop", .when = "event.data.n == async.data.n"}};
    fn.body = [this](context step, event e) -> task<> {
      co_await step.run("note", [&] {
        const auto n = e.data.json().at("n").dump();
        if (during_note) during_note(n);
        done.push_back(n);
      });
      co_await step.sleep_for("nap", 1h);
    };
    return fn;
  }
  // Its runs start 10 s after the last event.
  function debounced_singleton(singleton_mode mode) {
    auto fn = sleeper();
    fn.singleton = {.mode = mode};
    fn.debounce = {.period = 10s};
    return fn;
  }
  void open_one(function fn) {
    fn_ = std::move(fn);
    open({fn_});
  }
  void crash_and_open() {
    crash();
    open({fn_});
  }
  std::vector<run_id> send(int n, document more = document{}) {
    auto data = nlohmann::json{{"n", n}};
    if (!more.is_null()) data.update(more.json());
    auto runs = runtime().send({.name = "go", .data = document(data)}).runs;
    settle();
    return runs;
  }
  std::vector<std::string> take() {
    run();
    return std::exchange(done, {});
  }
  void must_be_sound() {
    close();
    const auto report = verify(directory());
    for (const auto& fault : report.faults) BOOST_TEST_MESSAGE(fault.text);
    BOOST_TEST(report.faults.empty());
  }

  function fn_;
};

using noted = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_SUITE(flow_control)

BOOST_FIXTURE_TEST_CASE(a_rate_limit_drops_what_comes_too_early, flow_world) {
  auto fn = plain();
  fn.rate_limit = {.limit = 2, .period = 1min, .key = "event.data.k"};
  open_one(fn);
  BOOST_TEST(send(1, {{"k", "a"}}).size() == 1U);
  BOOST_TEST(send(2, {{"k", "a"}}).empty());  // one each 30 s
  BOOST_TEST(send(3, {{"k", "b"}}).size() == 1U);
  crash_and_open();
  advance(29s);
  BOOST_TEST(send(4, {{"k", "a"}}).empty());
  advance(1s);
  BOOST_TEST(send(5, {{"k", "a"}}).size() == 1U);
  BOOST_TEST((take() == noted{"1", "3", "5"}));
  must_be_sound();
}

BOOST_FIXTURE_TEST_CASE(a_tenth_of_a_rate_limit_may_come_at_once, flow_world) {
  auto fn = plain();
  fn.rate_limit = {.limit = 20, .period = 20s};
  open_one(fn);
  for (int i = 0; i < 5; ++i) send(i);
  BOOST_TEST((take() == noted{"0", "1", "2"}));
  advance(1s);
  for (int i = 5; i < 8; ++i) send(i);
  BOOST_TEST((take() == noted{"5"}));
}

BOOST_FIXTURE_TEST_CASE(a_key_that_is_false_is_not_limited_and_a_missing_one_is_shared, flow_world) {
  auto fn = plain();
  fn.rate_limit = {.limit = 1, .period = 1min, .key = "event.data.k"};
  open_one(fn);
  BOOST_TEST(send(1, {{"k", false}}).size() == 1U);
  BOOST_TEST(send(2, {{"k", false}}).size() == 1U);
  BOOST_TEST(send(3).size() == 1U);
  BOOST_TEST(send(4).empty());
  BOOST_TEST((diagnostics.size() == 2U));
}

BOOST_FIXTURE_TEST_CASE(a_key_may_be_a_list_of_values, flow_world) {
  auto fn = plain();
  fn.idempotency = "[event.data.a, event.data.n]";
  open_one(fn);
  BOOST_TEST(send(1, {{"a", 1}}).size() == 1U);
  BOOST_TEST(send(1, {{"a", 2}}).size() == 1U);
  BOOST_TEST(send(2, {{"a", 1}}).size() == 1U);
  BOOST_TEST(send(1, {{"a", 2}}).empty());
}

BOOST_FIXTURE_TEST_CASE(a_rate_that_is_no_whole_number_of_milliseconds_is_kept, flow_world) {
  auto fn = plain();
  fn.rate_limit = {.limit = 600, .period = 1s};
  open_one(fn);
  std::size_t started = 0;
  for (int i = 0; i < 2'000; ++i) {
    started += send(i).size();
    set_clock(now() + 1ms);
    if (i == 1'000) crash_and_open();
  }
  BOOST_TEST(started == 1'260U);  // a tenth of the limit at once, 600 a second
}

BOOST_FIXTURE_TEST_CASE(a_throttle_that_is_no_whole_number_of_milliseconds_is_kept, flow_world) {
  auto fn = plain();
  fn.throttle = {.limit = 700, .period = 1s};
  open_one(fn);
  for (int i = 0; i < 900; ++i) send(i);
  advance(1s);
  BOOST_TEST(take().size() == 701U);
}

BOOST_FIXTURE_TEST_CASE(a_clock_that_was_ahead_for_a_moment_closes_a_rate_for_its_period_only, flow_world) {
  auto fn = plain();
  fn.rate_limit = {.limit = 1, .period = 1min};
  open_one(fn);
  const auto right = now();
  set_clock(right + days{365});
  BOOST_TEST(send(1).size() == 1U);
  set_clock(right);
  BOOST_TEST(send(2).empty());
  set_clock(right + 1min);
  BOOST_TEST(send(3).size() == 1U);
  BOOST_TEST(send(4).empty());
}

BOOST_FIXTURE_TEST_CASE(an_event_that_is_dropped_is_stored_and_a_replay_is_not_limited, flow_world) {
  auto fn = plain();
  fn.rate_limit = {.limit = 1, .period = 1min};
  open_one(fn);
  const auto run = send(1).at(0);
  const auto dropped = runtime().send({.name = "go", .data = {{"n", 2}}});
  BOOST_TEST(dropped.runs.empty());
  BOOST_TEST(runtime().find_event(dropped.id).has_value());
  take();
  runtime().replay(run);
  BOOST_TEST((take() == noted{"1"}));
}

BOOST_FIXTURE_TEST_CASE(equal_values_start_one_run_a_day_under_idempotency, flow_world) {
  auto fn = plain();
  fn.idempotency = "event.data.order";
  open_one(fn);
  BOOST_TEST(send(1, {{"order", 7}}).size() == 1U);
  BOOST_TEST(send(2, {{"order", 7}}).empty());
  BOOST_TEST(send(3, {{"order", 8}}).size() == 1U);
  crash_and_open();
  advance(24h - 1s);
  BOOST_TEST(send(4, {{"order", 7}}).empty());
  advance(1s);
  BOOST_TEST(send(5, {{"order", 7}}).size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_throttle_starts_one_each_interval_in_order, flow_world) {
  auto fn = plain();
  fn.throttle = {.limit = 1, .period = 10s};
  open_one(fn);
  for (int i = 0; i < 4; ++i) send(i);
  BOOST_TEST((take() == noted{"0"}));
  advance(9s);
  BOOST_TEST(take().empty());
  advance(1s);
  BOOST_TEST((take() == noted{"1"}));
  crash_and_open();
  BOOST_TEST(take().empty());  // the turn was taken before the crash
  advance(10s);
  BOOST_TEST((take() == noted{"2"}));
  advance(1h);
  BOOST_TEST((take() == noted{"3"}));
  must_be_sound();
}

BOOST_FIXTURE_TEST_CASE(a_throttle_has_a_line_for_each_key_and_a_burst_that_starts_at_once, flow_world) {
  auto fn = plain();
  fn.throttle = {.limit = 1, .period = 10s, .burst = 1, .key = "event.data.k"};
  open_one(fn);
  for (int i = 0; i < 6; ++i) send(i, {{"k", i % 2}});
  BOOST_TEST((take() == noted{"0", "1", "2", "3"}));
  advance(10s);
  BOOST_TEST((take() == noted{"4", "5"}));
}

BOOST_FIXTURE_TEST_CASE(what_is_cancelled_while_it_waits_takes_no_turn_of_the_throttle, flow_world) {
  auto fn = plain();
  fn.throttle = {.limit = 1, .period = 10s};
  open_one(fn);
  send(0);
  const auto second = send(1).at(0);
  send(2);
  BOOST_TEST(runtime().cancel(second) == cancel_outcome::cancelled);
  BOOST_TEST((take() == noted{"0"}));
  advance(10s);
  BOOST_TEST((take() == noted{"2"}));
  BOOST_TEST(status(second) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(runs_that_wait_for_a_throttle_hold_up_nobody_else, flow_world) {
  options().live_runs = 2;
  auto fn = plain();
  fn.throttle = {.limit = 1, .period = 10s};
  function other{.id = "g", .triggers = {{.event = "other"}}, .body = [this](context step) -> task<> { co_await step.run("note", [&] { done.push_back("g"); }); }};
  open({fn, other});
  for (int i = 0; i < 5; ++i) send(i);
  runtime().send({.name = "other"});
  BOOST_TEST((take() == noted{"0", "g"}));
}

BOOST_FIXTURE_TEST_CASE(a_throttled_run_that_waits_too_long_is_cancelled_by_its_start_timeout, flow_world) {
  auto fn = plain();
  fn.throttle = {.limit = 1, .period = 2s};
  fn.timeouts.start = 5s;
  open_one(fn);
  for (int i = 0; i < 10; ++i) send(i);
  advance(6s);
  BOOST_TEST((take() == noted{"0", "1", "2"}));
  BOOST_TEST(runtime().list({.status = run_status::cancelled}).runs.size() == 7U);
}

BOOST_FIXTURE_TEST_CASE(a_replay_waits_its_turn_in_a_throttle_and_takes_one, flow_world) {
  auto fn = plain();
  fn.throttle = {.limit = 1, .period = 10s};
  open_one(fn);
  const auto run = send(0).at(0);
  BOOST_TEST((take() == noted{"0"}));
  runtime().replay(run);
  BOOST_TEST(take().empty());
  advance(10s);
  BOOST_TEST((take() == noted{"0"}));
  send(1);
  BOOST_TEST(take().empty());
}

BOOST_FIXTURE_TEST_CASE(a_run_under_way_passes_a_throttle_that_is_closed, flow_world) {
  auto fn = sleeper();
  fn.throttle = {.limit = 1, .period = 24h};
  open_one(fn);
  const auto run = send(0).at(0);
  advance(1h);
  BOOST_TEST(status(run) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(a_debounced_run_takes_the_last_event_of_a_row, flow_world) {
  auto fn = plain();
  fn.debounce = {.period = 10s, .key = "event.data.k"};
  open_one(fn);
  const auto first = send(1, {{"k", "a"}});
  BOOST_TEST((send(9, {{"k", "b"}}) != first));
  advance(9s);
  BOOST_TEST((send(2, {{"k", "a"}}) == first));  // the same run
  BOOST_TEST(status(first.at(0)) == run_status::scheduled);
  crash_and_open();
  advance(9s);
  BOOST_TEST((take() == noted{"9"}));
  BOOST_TEST((send(3, {{"k", "a"}}) == first));
  advance(10s);
  BOOST_TEST((take() == noted{"3"}));
  BOOST_TEST((send(4, {{"k", "a"}}) != first));
  must_be_sound();
}

BOOST_FIXTURE_TEST_CASE(a_debounced_run_is_cancelled_limited_and_timed_by_its_last_event_without_a_restart, flow_world) {
  auto fn = sleeper();
  fn.debounce = {.period = 10s, .key = "event.data.d"};
  fn.concurrency = {{.limit = 1, .key = "event.data.k", .counts_resting = true}};
  fn.throttle = {.limit = 1, .period = 1h, .key = "event.data.t"};
  fn.timeouts.start = 2s;
  open_one(fn);
  const auto first = send(1, {{"d", 1}, {"k", "a"}, {"t", "a"}}).at(0);
  advance(5s);
  BOOST_TEST(send(2, {{"d", 1}, {"k", "b"}, {"t", "b"}}).at(0) == first);
  advance(10s);  // 15 s after the first event: the timeout for the start counts from the last
  BOOST_TEST((take() == noted{"2"}));
  const auto full = send(3, {{"d", 2}, {"k", "b"}, {"t", "c"}}).at(0);
  const auto throttled = send(4, {{"d", 3}, {"k", "c"}, {"t", "b"}}).at(0);
  send(5, {{"d", 4}, {"k", "a"}, {"t", "a"}});
  advance(10s);
  BOOST_TEST((take() == noted{"5"}));
  BOOST_TEST(status(full) == run_status::queued);
  BOOST_TEST(status(throttled) == run_status::queued);
  const auto last = send(6, {{"d", 5}, {"k", "e"}, {"t", "e"}}).at(0);
  send(7, {{"d", 5}, {"k", "e"}, {"t", "e"}});
  runtime().send({.name = "stop", .data = {{"n", 6}}});
  BOOST_TEST(status(last) == run_status::scheduled);
  runtime().send({.name = "stop", .data = {{"n", 7}}});
  BOOST_TEST(status(last) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(what_is_due_collects_no_more_although_its_timer_has_not_come, flow_world) {
  auto fn = plain();
  fn.debounce = {.period = 10s};
  open_one(fn);
  const auto first = send(1);
  set_clock(now() + 10s);
  BOOST_TEST((send(2) != first));
  advance(10s);
  BOOST_TEST((take() == noted{"1", "2"}));
}

BOOST_FIXTURE_TEST_CASE(a_debounce_ends_at_its_timeout_however_many_events_come, flow_world) {
  auto fn = plain();
  fn.debounce = {.period = 10s, .timeout = 25s};
  open_one(fn);
  for (int i = 0; i < 5; ++i) {
    send(i);
    advance(6s);
  }
  BOOST_TEST((take() == noted{"4"}));  // sent at 24 s, started at 25 s
}

BOOST_FIXTURE_TEST_CASE(a_run_that_is_being_debounced_is_cancelled_by_what_matches_its_last_event, flow_world) {
  auto fn = sleeper();
  fn.debounce = {.period = 10s, .key = "event.data.k"};
  open_one(fn);
  const auto run = send(1, {{"k", "a"}}).at(0);
  send(2, {{"k", "a"}});
  runtime().send({.name = "stop", .data = {{"n", 1}}});  // about the first event, which is not the run's any more
  BOOST_TEST(status(run) == run_status::scheduled);
  crash_and_open();
  runtime().send({.name = "stop", .data = {{"n", 2}}});
  BOOST_TEST(status(run) == run_status::cancelled);
  advance(1min);
  BOOST_TEST(take().empty());
  BOOST_TEST((send(3, {{"k", "a"}}).at(0) != run));
  advance(1min);
  BOOST_TEST((take() == noted{"3"}));
  must_be_sound();
}

BOOST_FIXTURE_TEST_CASE(a_batch_starts_when_it_is_full_or_when_its_time_is_over, flow_world) {
  function fn{.id = "f", .triggers = {{.event = "go"}}, .body = [this](context step, std::vector<event> events) -> task<> {
                co_await step.run("note", [&] {
                  batch_sizes.push_back(events.size());
                  for (const auto& e : events) done.push_back(e.data.json().at("n").dump());
                });
                co_await step.sleep_for("nap", 1h);
                co_await step.run("again", [&] { done.push_back("again " + std::to_string(events.size())); });
              }};
  fn.batch = {.max_events = 3, .timeout = 10s, .key = "event.data.k", .when = "event.data.n != 100"};
  open_one(fn);
  const auto run = send(1, {{"k", "a"}});
  BOOST_TEST((send(2, {{"k", "a"}}) == run));
  BOOST_TEST(take().empty());
  crash_and_open();
  BOOST_TEST((send(3, {{"k", "a"}}) == run));
  BOOST_TEST((take() == noted{"1", "2", "3"}));
  const auto info = runtime().get(run.at(0)).value();
  BOOST_TEST(info.events.size() == 3U);
  BOOST_TEST((info.events.at(0) == info.event));
  BOOST_TEST((send(4, {{"k", "a"}}) != run));
  advance(10s);
  BOOST_TEST((take() == noted{"4"}));
  BOOST_TEST(send(100, {{"k", "a"}}).size() == 1U);
  BOOST_TEST((take() == noted{"100"}));  // by itself
  crash_and_open();
  advance(1h);
  BOOST_TEST((take() == noted{"again 3", "again 1", "again 1"}));
  BOOST_TEST((batch_sizes == std::vector<std::size_t>{3, 1, 1}));
  const auto replayed = runtime().replay(run.at(0));
  BOOST_TEST((take() == noted{"1", "2", "3"}));
  BOOST_TEST(runtime().cancel(replayed) == cancel_outcome::cancelled);
  must_be_sound();
}

BOOST_FIXTURE_TEST_CASE(who_hears_of_a_batch_that_failed_is_told_of_all_its_events, flow_world) {
  function fn{.id = "f", .triggers = {{.event = "go"}}, .body = [](context, std::vector<event>) -> task<> {
                throw std::runtime_error{"no"};
                co_return;
              }};
  fn.batch = {.max_events = 3, .timeout = 10s};
  open_one(fn);
  for (int n = 1; n <= 3; ++n) runtime().send({.name = "go", .data = {{"n", n}}});
  settle();
  const auto told = runtime().list_events({.name = "inngest/function.failed"}).events;
  BOOST_REQUIRE(told.size() == 1U);
  const auto data = told[0].event.data.json();
  BOOST_TEST(data["event"]["data"]["n"] == 1);
  BOOST_REQUIRE(data["events"].size() == 3U);
  BOOST_TEST(data["events"][2]["data"]["n"] == 3);
}

BOOST_FIXTURE_TEST_CASE(a_damaged_event_of_a_batch_is_left_out_of_what_is_told_of_it, flow_world) {
  function fn{.id = "f", .triggers = {{.event = "go"}}, .body = [](context, std::vector<event>) -> task<> { co_return; }};
  fn.batch = {.max_events = 10, .timeout = 10s};
  open_one(fn);
  const auto run = runtime().send({.name = "go", .data = {{"n", 1}}}).runs.at(0);
  for (const char* const text : {"a marked event", "sound"}) runtime().send({.name = "go", .data = {{"text", text}}});
  caesura::testing::damage_text(directory(), "a marked event");
  BOOST_TEST(runtime().cancel(run) == cancel_outcome::cancelled);
  settle();
  const auto told = runtime().list_events({.name = "inngest/function.cancelled"}).events;
  BOOST_REQUIRE(told.size() == 1U);
  const auto events = told[0].event.data.json()["events"];
  BOOST_REQUIRE(events.size() == 2U);
  BOOST_TEST(events[0]["data"]["n"] == 1);
  BOOST_TEST(events[1]["data"]["text"] == "sound");
}

// Each first one, and what is told of one batch; none is lost over it.
BOOST_FIXTURE_TEST_CASE(what_is_told_of_large_batches_is_bounded, flow_world) {
  function fn{.id = "f", .triggers = {{.event = "go"}}, .body = [](context, std::vector<event>) -> task<> {
                throw std::runtime_error{"no"};
                co_return;
              }};
  fn.batch = {.max_events = 10, .timeout = 10s};
  open_one(fn);
  for (int n = 0; n < 20; ++n) runtime().send({.name = "go", .data = {{"n", n}, {"text", std::string(500'000, 'x')}}});
  settle();
  const auto told = runtime().list_events({.name = "inngest/function.failed"}).events;
  BOOST_REQUIRE(told.size() == 2U);
  for (const auto& one : told) {
    const auto count = one.event.data.json()["events"].size();
    BOOST_TEST((count > 1 && count < 10), count);
  }
}

BOOST_FIXTURE_TEST_CASE(a_batch_starts_when_its_events_are_ten_megabytes, flow_world) {
  function fn{.id = "f", .triggers = {{.event = "go"}}, .body = [this](context step, std::vector<event> events) -> task<> {
                co_await step.run("note", [&] { batch_sizes.push_back(events.size()); });
              }};
  fn.batch = {.max_events = 100, .timeout = 1min};
  open_one(fn);
  const std::string half_a_megabyte(500 * 1024, 'x');
  for (int i = 0; i < 20; ++i) send(i, {{"text", half_a_megabyte}});
  take();
  BOOST_TEST(batch_sizes.empty());
  send(20, {{"text", half_a_megabyte}});
  take();
  BOOST_TEST((batch_sizes == std::vector<std::size_t>{21}));
}

BOOST_FIXTURE_TEST_CASE(a_singleton_skips_what_comes_while_it_is_under_way, flow_world) {
  auto fn = sleeper();
  fn.singleton = {.key = "event.data.k", .mode = singleton_mode::skip};
  open_one(fn);
  const auto first = send(1, {{"k", "a"}}).at(0);
  BOOST_TEST((take() == noted{"1"}));
  const auto second = send(2, {{"k", "a"}}).at(0);
  BOOST_TEST(status(second) == run_status::skipped);
  BOOST_TEST(runtime().get(second)->held_because.find(to_string(first)) != std::string::npos);
  crash_and_open();
  BOOST_TEST(status(send(3, {{"k", "a"}}).at(0)) == run_status::skipped);
  send(4, {{"k", "b"}});
  BOOST_TEST((take() == noted{"4"}));
  send(5, {{"k", false}});
  send(6, {{"k", false}});
  BOOST_TEST((take() == noted{"5", "6"}));
  runtime().cancel(first);
  BOOST_TEST(status(send(7, {{"k", "a"}}).at(0)) == run_status::running);
  BOOST_TEST((take() == noted{"7"}));
  must_be_sound();
}

BOOST_FIXTURE_TEST_CASE(a_singleton_that_cancels_waits_until_the_other_has_ended, flow_world) {
  auto fn = sleeper();
  fn.singleton = {.mode = singleton_mode::cancel};
  open_one(fn);
  run_id second;
  run_id third;
  during_note = [&](const std::string& n) {
    if (n != "1") return;
    second = send(2).at(0);
    BOOST_TEST(status(second) == run_status::queued);
    third = send(3).at(0);
    BOOST_TEST(status(second) == run_status::cancelled);
    BOOST_TEST(status(third) == run_status::queued);
  };
  const auto first = send(1).at(0);
  BOOST_TEST((take() == noted{"1", "3"}));
  BOOST_TEST(status(first) == run_status::cancelled);
  BOOST_TEST((runtime().get(first)->cancelled_by->source == cancel_source::singleton));
  BOOST_TEST(status(third) == run_status::sleeping);
  crash_and_open();
  send(4);
  BOOST_TEST(status(third) == run_status::cancelled);
  BOOST_TEST((take() == noted{"4"}));
  must_be_sound();
}

BOOST_FIXTURE_TEST_CASE(a_singleton_that_is_being_cancelled_skips_nobody, flow_world) {
  auto fn = sleeper();
  fn.singleton = {.mode = singleton_mode::skip};
  open_one(fn);
  run_id first;
  run_id second;
  during_note = [&](const std::string& n) {
    if (n != "1") return;
    BOOST_TEST(runtime().cancel(first) == cancel_outcome::cancelling);
    second = send(2).at(0);
    BOOST_TEST(status(second) == run_status::queued);
  };
  first = send(1).at(0);
  BOOST_TEST((take() == noted{"1", "2"}));
  BOOST_TEST(status(second) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(a_debounced_singleton_that_cancels_does_so_when_it_is_due, flow_world) {
  open_one(debounced_singleton(singleton_mode::cancel));
  const auto first = send(1).at(0);
  advance(10s);
  const auto second = send(2).at(0);
  BOOST_TEST(status(first) == run_status::sleeping);
  advance(10s);
  BOOST_TEST(status(first) == run_status::cancelled);
  BOOST_TEST((runtime().get(first)->cancelled_by->source == cancel_source::singleton));
  BOOST_TEST(status(second) == run_status::sleeping);
}

BOOST_FIXTURE_TEST_CASE(a_singleton_is_remembered_while_it_is_under_way_however_long, flow_world) {
  auto fn = plain();
  fn.singleton = {.mode = singleton_mode::skip};
  fn.body = [](context step) -> task<> { co_await step.sleep_for("nap", days{30}); };
  open_one(fn);
  send(1);
  advance(days{20});
  BOOST_TEST(status(send(2).at(0)) == run_status::skipped);
}

BOOST_FIXTURE_TEST_CASE(a_debounced_singleton_decides_when_it_is_due, flow_world) {
  open_one(debounced_singleton(singleton_mode::skip));
  const auto first = send(1).at(0);
  advance(10s);
  BOOST_TEST((take() == noted{"1"}));
  const auto second = send(2).at(0);
  BOOST_TEST(status(second) == run_status::scheduled);
  advance(10s);
  BOOST_TEST(status(second) == run_status::skipped);
  const auto third = send(3).at(0);
  runtime().cancel(first);
  advance(10s);
  BOOST_TEST(status(third) == run_status::sleeping);
  must_be_sound();
}

BOOST_FIXTURE_TEST_CASE(a_debounced_singleton_that_is_held_cancels_nobody_before_it_is_resumed, flow_world) {
  open_one(debounced_singleton(singleton_mode::cancel));
  const auto first = send(1).at(0);
  advance(10s);
  BOOST_TEST((take() == noted{"1"}));
  const auto second = send(2).at(0);
  runtime().pause("f", {.under_way = running_runs::hold});
  advance(10s);
  BOOST_TEST(status(second) == run_status::held);
  BOOST_TEST(status(first) != run_status::cancelled);
  crash_and_open();
  settle();
  BOOST_TEST(status(first) != run_status::cancelled);
  runtime().resume("f");
  settle();
  BOOST_TEST(status(first) == run_status::cancelled);
  BOOST_TEST((runtime().get(first)->cancelled_by->source == cancel_source::singleton));
  BOOST_TEST((take() == noted{"2"}));
  must_be_sound();
}

BOOST_FIXTURE_TEST_CASE(a_paused_function_neither_counts_nor_cancels, flow_world) {
  auto fn = sleeper();
  fn.singleton = {.mode = singleton_mode::cancel};
  fn.rate_limit = {.limit = 1, .period = 1min};
  open_one(fn);
  const auto first = send(1).at(0);
  take();
  runtime().pause("f");
  advance(1min);
  BOOST_TEST(status(send(2).at(0)) == run_status::skipped);
  BOOST_TEST(status(first) == run_status::sleeping);
  runtime().resume("f");
  BOOST_TEST(status(send(3).at(0)) != run_status::skipped);
}

BOOST_FIXTURE_TEST_CASE(priority_goes_before_those_who_came_earlier, flow_world) {
  auto fn = plain();
  fn.concurrency = {{.limit = 1}};
  fn.priority = "event.data.vip ? 120 : 0";
  open_one(fn);
  send(1, {{"vip", false}});  // executes, the others wait
  send(2, {{"vip", false}});
  set_clock(now() + 3min);
  send(3, {{"vip", false}});
  send(4, {{"vip", true}});  // as if sent 2 min ago: before 3, not before 2
  BOOST_TEST((take() == noted{"1", "2", "4", "3"}));
  must_be_sound();
}

BOOST_FIXTURE_TEST_CASE(priority_may_be_a_fraction_and_counts_for_twelve_hours_at_most, flow_world) {
  auto fn = plain();
  fn.concurrency = {{.limit = 1}};
  fn.priority = "event.data.p";
  open_one(fn);
  send(1, {{"p", 0}});  // executes, the others wait
  send(2, {{"p", 0}});
  set_clock(now() + 60s);
  send(3, {{"p", 0}});
  send(4, {{"p", 30.5}});  // before 3, not before 2
  set_clock(now() + 13h);
  send(5, {{"p", 0}});
  send(6, {{"p", 100'000}});  // as if sent 12 h ago
  BOOST_TEST((take() == noted{"1", "2", "4", "3", "6", "5"}));
  BOOST_TEST(diagnostics.empty());
}

BOOST_FIXTURE_TEST_CASE(priority_counts_among_those_under_way_too, flow_world) {
  auto fn = plain();
  fn.concurrency = {{.limit = 1}};
  fn.priority = "event.data.p";
  fn.body = [this](context step, event e) -> task<> {
    co_await step.sleep_for("nap", 1min);
    co_await step.run("note", [&] { done.push_back(e.data.json().at("n").dump()); });
    co_await step.run("note again", [&] { done.push_back(e.data.json().at("n").dump()); });
  };
  open_one(fn);
  for (int i = 0; i < 4; ++i) send(i, {{"p", i == 3 ? 600 : 0}});
  take();
  set_clock(now() + 1min);
  environment().fire_timers();
  BOOST_TEST((take() == noted{"0", "0", "3", "3", "1", "1", "2", "2"}));
}

BOOST_FIXTURE_TEST_CASE(what_batch_when_fails_for_starts_a_run_of_its_own_and_is_told, flow_world) {
  auto fn = plain();
  fn.body = [this](context step, std::vector<event> events) -> task<> { co_await step.run("note", [&] { batch_sizes.push_back(events.size()); }); };
  fn.batch = {.max_events = 2, .timeout = 10s, .when = "event.data.n < 5"};
  open_one(fn);
  send(1);
  runtime().send({.name = "go", .data = {{"n", "none"}}});
  run();
  BOOST_TEST((batch_sizes == std::vector<std::size_t>{1}));
  BOOST_REQUIRE(diagnostics.size() == 1U);
  BOOST_TEST(diagnostics[0].find("batch.when fails") != std::string::npos);
  send(2);
  run();
  BOOST_TEST((batch_sizes == std::vector<std::size_t>{1, 2}));
}

BOOST_FIXTURE_TEST_CASE(of_a_function_that_is_no_singleton_any_more_a_run_waits_and_is_not_skipped, flow_world) {
  open_one(debounced_singleton(singleton_mode::skip));
  send(1);
  advance(10s);  // under way from here on
  const auto second = send(2).at(0);
  auto now_plain = debounced_singleton(singleton_mode::skip);
  now_plain.singleton.reset();
  runtime().define({now_plain});
  advance(10s);
  BOOST_TEST(status(second) == run_status::queued);  // it was created as one of a singleton
  advance(1h);
  BOOST_TEST((done == std::vector<std::string>{"1", "2"}));
}

BOOST_FIXTURE_TEST_CASE(a_function_without_a_throttle_any_more_lets_go_who_waits, flow_world) {
  auto fn = plain();
  fn.throttle = {.limit = 1, .period = 1h};
  open_one(fn);
  for (const int n : {1, 2, 3}) send(n);
  BOOST_TEST((take() == std::vector<std::string>{"1"}));
  crash();
  open({plain()});
  run();
  BOOST_TEST((done == std::vector<std::string>{"2", "3"}));
  must_be_sound();
}

BOOST_FIXTURE_TEST_CASE(a_throttle_is_that_of_the_functions_of_now_on, flow_world) {
  auto fn = plain();
  fn.throttle = {.limit = 1, .period = 1h};
  open_one(fn);
  for (const int n : {1, 2, 3, 4, 5, 6}) send(n);
  BOOST_TEST((take() == noted{"1"}));
  fn.throttle->period = 10s;
  runtime().define({fn});
  BOOST_TEST(take().empty());
  advance(10s);
  BOOST_TEST((take() == noted{"2"}));
  runtime().define({plain()});
  BOOST_TEST((take() == noted{"3", "4", "5", "6"}));
  must_be_sound();
}

BOOST_FIXTURE_TEST_CASE(a_batch_that_is_full_is_due_and_its_start_timeout_counts_from_then, flow_world) {
  function fn{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step, std::vector<event>) -> task<> { co_await step.sleep_for("nap", 1h); }};
  fn.batch = {.max_events = 2, .timeout = days{1}};
  fn.timeouts.start = 1min;
  fn.concurrency = {{.limit = 1, .counts_resting = true}};
  open_one(fn);
  send(1);
  send(2);
  run();
  send(3);
  const auto second = send(4).at(0);
  run();
  BOOST_TEST(status(second) == run_status::queued);
  advance(1min);
  BOOST_TEST(status(second) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(priority_that_is_no_number_counts_as_none_and_is_told, flow_world) {
  auto fn = plain();
  fn.priority = "event.data.vip";
  open_one(fn);
  send(1, {{"vip", "yes"}});
  BOOST_TEST((take() == noted{"1"}));
  BOOST_REQUIRE(diagnostics.size() == 1U);
  BOOST_TEST(diagnostics[0].find("priority is no number") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_cron_ticks_and_what_was_missed_runs_once, flow_world) {
  function fn{.id = "f", .triggers = {{.cron = "*/10 * * * *"}}, .body = [this](context step, event e) -> task<> {
                co_await step.run("note", [&] { done.push_back(e.name + " " + e.data.json().at("scheduledAt").get<std::string>()); });
              }};
  open_one(fn);  // at 09:00:00
  advance(9min);
  BOOST_TEST(take().empty());
  advance(1min);
  BOOST_TEST((take() == noted{"inngest/scheduled.timer 2026-03-01T09:10:00.000Z"}));
  crash();
  set_clock(now() + 35min);
  open({fn_});
  advance(0s);
  BOOST_TEST((take() == noted{"inngest/scheduled.timer 2026-03-01T09:20:00.000Z"}));  // not 09:30 and 09:40 as well
  advance(5min);
  BOOST_TEST((take() == noted{"inngest/scheduled.timer 2026-03-01T09:50:00.000Z"}));
  must_be_sound();
}

BOOST_FIXTURE_TEST_CASE(a_tick_that_was_missed_before_the_first_runs_too_and_a_long_store_keeps_its_ticks, flow_world) {
  function fn{.id = "f", .triggers = {{.cron = "0 12 * * *"}}, .body = [this](context step, event e) -> task<> {
                co_await step.run("note", [&] { done.push_back(e.data.json().at("scheduledAt").get<std::string>()); });
              }};
  open_one(fn);  // at 09:00
  advance(2h);   // what is over is purged each hour
  crash();
  set_clock(now() + 2h);
  open({fn_});
  advance(0s);
  BOOST_TEST((take() == noted{"2026-03-01T12:00:00.000Z"}));
  advance(10h);
  crash();
  set_clock(now() + 20h);
  open({fn_});
  advance(0s);
  BOOST_TEST((take() == noted{"2026-03-02T12:00:00.000Z"}));
}

BOOST_FIXTURE_TEST_CASE(a_tick_comes_later_by_its_jitter_and_is_told_as_it_was_scheduled, flow_world) {
  open_one({.id = "f", .triggers = {{.cron = "*/10 * * * *", .jitter = 5min}}, .body = [this](context step, event e) -> task<> {
              co_await step.run("note", [&] { done.push_back(e.data.json().at("scheduledAt").get<std::string>()); });
            }});
  advance(10min);
  BOOST_TEST(take().empty());
  advance(5min);
  BOOST_TEST((take() == noted{"2026-03-01T09:10:00.000Z"}));
}

BOOST_FIXTURE_TEST_CASE(no_tick_is_lost_when_the_jitter_is_longer_than_the_time_between_them, flow_world) {
  open_one({.id = "f", .triggers = {{.cron = "* * * * *", .jitter = 5min}}, .body = [this](context step, event e) -> task<> {
              co_await step.run("note", [&] { done.push_back(e.data.json().at("scheduledAt").get<std::string>()); });
            }});
  advance(65min);
  const auto ticks = take();
  BOOST_TEST(ticks.size() >= 60U);
  BOOST_TEST(std::ranges::is_sorted(ticks));
  BOOST_TEST((std::ranges::adjacent_find(ticks) == ticks.end()));
  crash();
  set_clock(now() + 24h);
  open({fn_});
  advance(0s);
  BOOST_TEST(take().size() <= 2U);  // what was missed runs once
}

BOOST_FIXTURE_TEST_CASE(the_event_of_a_tick_tells_its_run_and_meets_the_runs_that_wait_for_it, flow_world) {
  function waits{.id = "waits", .triggers = {{.event = "go"}}, .body = [this](context step) -> task<> {
                   const auto got = co_await step.wait_for_event("inngest/scheduled.timer").timeout(1h);
                   co_await step.run("note", [&] { done.push_back(got ? "met" : "missed"); });
                 }};
  open({{.id = "f", .triggers = {{.cron = "*/10 * * * *"}}, .body = [](context) -> task<> { co_return; }}, waits});
  send(1);
  advance(10min);
  BOOST_TEST((take() == noted{"met"}));
  const auto ticks = runtime().list({.function = "f"}).runs;
  BOOST_REQUIRE(ticks.size() == 1U);
  const auto told = runtime().find_event(ticks[0].event).value();
  BOOST_TEST((told.runs == std::vector<run_id>{ticks[0].id}));
}

BOOST_FIXTURE_TEST_CASE(a_tick_whose_commit_fails_comes_once_the_store_takes_it, flow_world) {
  open_one({.id = "f", .triggers = {{.cron = "*/10 * * * *"}}, .body = [this](context step) -> task<> {
              co_await step.run("note", [&] { done.push_back("tick"); });
            }});
  before_commit = [](std::uint64_t) { throw error{errc::storage_failed, "the disk refuses"}; };
  advance(10min);
  BOOST_TEST(take().empty());
  before_commit = {};
  advance(1s);
  BOOST_TEST((take() == noted{"tick"}));
}

BOOST_FIXTURE_TEST_CASE(a_new_definition_takes_its_crons_with_it, flow_world) {
  function fn{.id = "f", .triggers = {{.cron = "@hourly"}}, .body = [this](context step) -> task<> { co_await step.run("note", [&] { done.push_back("tick"); }); }};
  open_one(fn);
  auto daily = fn;
  daily.triggers = {{.cron = "@daily"}};
  runtime().define({daily});
  settle();
  advance(2h);
  BOOST_TEST(take().empty());
  runtime().define({fn});
  settle();
  advance(1h);
  BOOST_TEST(take().size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(several_of_them_work_together, flow_world) {
  open_one({.id = "f",
            .triggers = {{.event = "search/changed"}, {.cron = "TZ=Europe/Paris 0 3 * * *"}},
            .throttle = caesura::throttle{.limit = 10, .period = 1min},
            .debounce = caesura::debounce{.period = 30s, .key = "event.data.document"},
            .body = [this](context step, event e) -> task<> { co_await step.run("index", [&] { done.push_back(e.name); }); }});
  runtime().send({.name = "search/changed", .data = {{"document", 1}}});
  runtime().send({.name = "search/changed", .data = {{"document", 2}}});
  runtime().send({.name = "search/changed", .data = {{"document", 1}}});
  advance(30s);
  BOOST_TEST((take() == noted{"search/changed"}));
  advance(6s);
  BOOST_TEST((take() == noted{"search/changed"}));
  advance(17h + 1min);  // past 03:00 in Paris
  BOOST_TEST((take() == noted{"inngest/scheduled.timer"}));
}

BOOST_FIXTURE_TEST_CASE(a_cancel_rule_with_a_time_holds_until_then, flow_world) {
  auto fn = sleeper();
  fn.cancel_on[0].until = now() + 10min;
  open_one(fn);
  const auto first = send(1).at(0);
  const auto second = send(2).at(0);
  advance(10min);
  runtime().send({.name = "stop", .data = {{"n", 1}}});
  BOOST_TEST(status(first) == run_status::cancelled);
  advance(1s);
  runtime().send({.name = "stop", .data = {{"n", 2}}});
  BOOST_TEST(status(second) == run_status::sleeping);
}

BOOST_AUTO_TEST_CASE(faults_of_flow_control_are_told_all_at_once_each_with_its_limit) {
  function fn{.id = "f", .triggers = {{.cron = "61 * * * *"}, {.cron = "TZ=Mars/Base 0 0 * * *"}, {.cron = "* * * *"}, {.event = "x", .cron = "@daily"}},
              .cancel_on = {{.event = "stop"}},
              .rate_limit = caesura::rate_limit{.limit = 0, .period = 25h, .key = "event.("},
              .throttle = caesura::throttle{.limit = 1, .period = 10ms},
              .debounce = caesura::debounce{.period = 8 * 24h, .timeout = 1s},
              .batch = caesura::batch{.max_events = 101, .timeout = 0s},
              .singleton = caesura::singleton{.key = "async.data.x"},
              .idempotency = "event.data.id",
              .priority = "1 +",
              .body = [](context) -> task<> { co_return; }};
  world w;
  try {
    w.open({fn});
    BOOST_FAIL("it was taken");
  } catch (const error& e) {
    const std::string text = e.what();
    for (const char* part : {"\"61\" is not within 0 to 59", "no time zone \"Mars/Base\"", "it has 4 fields", "a cron and an event", "rate_limit.limit is 0",
                             "rate_limit.period is 1d1h; it must be from 1ms to 1d", "rate_limit.key: at byte", "rate_limit and idempotency are both given",
                             "throttle.period is 10ms", "debounce.period is 1w1d", "debounce.timeout is 1s", "batch.max_events is 101", "batch.timeout is 0",
                             "batch and cancel_on", "batch and debounce", "batch and singleton", "batch and priority", "batch and rate_limit", "singleton.key: at byte",
                             "priority: at byte", "std::vector<caesura::event>"}) {
      BOOST_TEST(text.find(part) != std::string::npos, part << " is missing in:\n" << text);
    }
  }
}

BOOST_FIXTURE_TEST_CASE(the_longest_times_that_there_are_never_come, flow_world) {
  auto fn = sleeper();
  fn.cancel_on = {{.event = "stop", .timeout = duration::max()}};
  fn.timeouts = {.start = duration::max(), .finish = duration::max()};
  open_one(fn);
  const auto run_of = send(1).at(0);
  advance(1s);
  BOOST_TEST(status(run_of) == run_status::sleeping);
  runtime().send({.name = "stop"});
  settle();
  BOOST_TEST(status(run_of) == run_status::cancelled);
  const auto by = runtime().get(run_of)->cancelled_by->event;
  BOOST_TEST(runtime().explain(by, run_of).rules.at(0).applies);
  const auto later = start({.name = "go", .data = {{"n", 2}}, .time = time_point::max()});
  advance(1s);
  BOOST_TEST(status(later) == run_status::scheduled);
}

BOOST_FIXTURE_TEST_CASE(a_priority_that_is_not_a_number_counts_as_none, flow_world) {
  auto fn = plain();
  fn.priority = "event.data.a / event.data.b";
  open_one(fn);
  BOOST_TEST(send(1, {{"a", 0.0}, {"b", 0.0}}).size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(all_events_of_a_replayed_batch_are_kept_as_long_as_it_lives, flow_world) {
  duration nap{0};
  function fn{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step, std::vector<event> events) -> task<> {
                if (nap > duration{0}) co_await step.sleep_for("nap", nap);
                co_await step.run("note", [&] { batch_sizes.push_back(events.size()); });
              }};
  fn.batch = {.max_events = 2, .timeout = 1min};
  open_one(fn);
  const auto first = send(1).at(0);
  send(2);
  run();
  BOOST_REQUIRE(status(first) == run_status::completed);
  advance(days{6});
  nap = days{3};
  const auto again = runtime().replay(first);
  advance(days{2});
  BOOST_TEST(!runtime().get(first).has_value());
  advance(days{2});
  BOOST_TEST(status(again) == run_status::completed);
  BOOST_TEST((batch_sizes == std::vector<std::size_t>{2, 2}));
  advance(days{8});
  BOOST_TEST(!runtime().get(again).has_value());
  BOOST_TEST(runtime().list_events({.name = "go"}).events.empty());
  must_be_sound();
}

// ---- a clock that was far ahead for a while

BOOST_FIXTURE_TEST_CASE(a_cron_ticks_again_after_the_clock_was_a_year_ahead, flow_world) {
  function fn{.id = "f", .triggers = {{.cron = "*/10 * * * *"}}, .body = [this](context step) -> task<> {
                co_await step.run("note", [&] { done.push_back("tick"); });
              }};
  open_one(fn);
  const auto before = now();
  const auto year_ahead_and_back = [&] {
    set_clock(before + days{365});
    advance(10min);
    BOOST_TEST(!take().empty());
    set_clock(before + 20min);
  };
  year_ahead_and_back();
  crash_and_open();
  advance(15min);
  BOOST_TEST((take() == noted{"tick"}));
  year_ahead_and_back();
  runtime().internals().post(actors::clock_jumped{.by = -days{365}});
  advance(15min);
  BOOST_TEST((take() == noted{"tick"}));
}

BOOST_FIXTURE_TEST_CASE(idempotency_lasts_no_longer_than_its_day_after_the_clock_was_a_year_ahead, flow_world) {
  auto fn = plain();
  fn.idempotency = "event.data.order";
  open_one(fn);
  const auto before = now();
  set_clock(before + days{365});
  BOOST_TEST(send(1, {{"order", 7}}).size() == 1U);
  set_clock(before);
  BOOST_TEST(send(2, {{"order", 7}}).empty());
  advance(24h);
  BOOST_TEST(send(3, {{"order", 7}}).size() == 1U);
  BOOST_TEST(send(4, {{"order", 7}}).empty());
}

BOOST_FIXTURE_TEST_CASE(a_throttle_opens_after_the_clock_was_a_year_ahead, flow_world) {
  auto fn = plain();
  fn.throttle = {.limit = 1, .period = 1h};
  open_one(fn);
  const auto before = now();
  set_clock(before + days{365});
  send(1);
  BOOST_TEST((take() == noted{"1"}));
  set_clock(before);
  crash_and_open();
  send(2);
  send(3);
  advance(1h);
  BOOST_TEST((take() == noted{"2"}));
  advance(1h);
  BOOST_TEST((take() == noted{"3"}));
}

BOOST_AUTO_TEST_SUITE_END()
