// What a body is written with.

#include <boost/test/unit_test.hpp>

#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::world;
using namespace std::chrono_literals;

struct order {
  std::string id;
  int amount = 0;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(order, id, amount)
};

struct steps_world : world {
  // Opens one function "f" on the event "go".
  void open_one(function_body body, retry_policy retries = {}) {
    open({{.id = "f", .triggers = {{.event = "go"}}, .retries = std::move(retries), .body = std::move(body)}});
  }
  run_id go(document data = {}) { return start({.name = "go", .data = std::move(data)}); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(steps)

BOOST_FIXTURE_TEST_CASE(payload_and_results_are_typed, steps_world) {
  open_one([](context step, order o) -> task<order> {
    const auto doubled = co_await step.run("double", [&] { return order{o.id + "!", o.amount * 2}; });
    co_return doubled;
  });
  const auto run_of = go({{"id", "o-1"}, {"amount", 21}});
  run();
  BOOST_TEST(runtime().result<order>(run_of).id == "o-1!");
  BOOST_TEST(runtime().result<order>(run_of).amount == 42);
}

BOOST_FIXTURE_TEST_CASE(a_payload_that_does_not_convert_fails_the_run_and_says_why, steps_world) {
  open_one([](context step, order o) -> task<> { co_await step.run("s", [&] { return o.amount; }); });
  const auto run_of = go({{"id", 7}});
  run();
  BOOST_TEST(status(run_of) == run_status::failed);
  BOOST_TEST(runtime().get(run_of)->error->message.find("converted") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_body_without_steps_completes, steps_world) {
  open_one([](context) -> task<int> { co_return 7; });
  const auto run_of = go();
  run();
  BOOST_TEST(runtime().result<int>(run_of) == 7);
}

// Most of what a step costs is what it writes.
BOOST_FIXTURE_TEST_CASE(a_step_writes_its_row_and_once_the_record_of_its_run, steps_world) {
  open_one([](context step, order o) -> task<> {
    for (int i = 0; i < o.amount; ++i) co_await step.run("s", [] {});
  });
  const auto writes_of = [&](int steps) {
    std::size_t writes = 0;
    before_write = [&] { ++writes; };
    go({{"id", "o-1"}, {"amount", steps}});
    run();
    before_write = {};
    return writes;
  };
  const auto two = writes_of(2);
  constexpr std::size_t rows_of_a_commit = 2;
  BOOST_TEST(writes_of(3) - two == 2 + rows_of_a_commit);
}

BOOST_FIXTURE_TEST_CASE(a_body_that_throws_between_steps_fails_the_run, steps_world) {
  open_one([](context step) -> task<> {
    co_await step.run("s", [] {});
    throw std::logic_error{"impossible order"};
  });
  const auto run_of = go();
  run();
  BOOST_TEST(status(run_of) == run_status::failed);
  BOOST_TEST(runtime().get(run_of)->error->name == "std::logic_error");
  BOOST_TEST(runtime().get(run_of)->error->message == "impossible order");
}

BOOST_FIXTURE_TEST_CASE(an_exception_of_any_type_is_recorded, steps_world) {
  open_one([](context step) -> task<> { co_await step.run("s", [] { throw 42; }); }, {.retries = 0});
  const auto run_of = go();
  run();
  BOOST_TEST(status(run_of) == run_status::failed);
  BOOST_TEST(runtime().steps(run_of).at(0).error->name == "int");
}

BOOST_FIXTURE_TEST_CASE(a_failing_step_is_tried_again_with_back_off, steps_world) {
  int attempts = 0;
  open_one(
      [&](context step) -> task<int> {
        co_return co_await step.run("flaky", [&](const step_attempt& a) {
          BOOST_TEST(a.attempt == static_cast<std::uint32_t>(attempts + 1));
          if (++attempts < 3) throw std::runtime_error{"not yet"};
          return attempts;
        });
      },
      {.retries = 4, .delays = {10s, 20s}, .jitter = 0s});
  const auto run_of = go();
  run();
  BOOST_TEST(attempts == 1);
  BOOST_TEST(status(run_of) == run_status::backing_off);
  advance(10s);
  BOOST_TEST(attempts == 2);
  advance(19s);
  BOOST_TEST(attempts == 2);
  advance(1s);
  BOOST_TEST(attempts == 3);
  BOOST_TEST(runtime().result<int>(run_of) == 3);
  BOOST_TEST(runtime().steps(run_of).at(0).attempts == 3U);
}

BOOST_FIXTURE_TEST_CASE(a_step_whose_attempts_are_spent_is_thrown_into_the_body, steps_world) {
  open_one(
      [](context step) -> task<std::string> {
        std::string caught;
        try {
          co_await step.run("hopeless", [] { throw std::runtime_error{"no"}; });
        } catch (const step_failed& e) {
          caught = e.step() + "/" + e.cause().message + "/" + std::to_string(e.attempts());
        }
        co_await step.run("after", [] {});
        co_return caught;
      },
      {.retries = 2, .delays = {1s}, .jitter = 0s});
  const auto run_of = go();
  advance(1min);
  BOOST_TEST(runtime().result<std::string>(run_of) == "hopeless/no/3");
}

BOOST_FIXTURE_TEST_CASE(an_uncaught_step_failure_fails_the_run, steps_world) {
  open_one([](context step) -> task<> { co_await step.run("hopeless", [] { throw std::runtime_error{"no"}; }); }, {.retries = 0});
  const auto run_of = go();
  run();
  BOOST_TEST(status(run_of) == run_status::failed);
  BOOST_TEST(runtime().get(run_of)->error->name == "caesura::step_failed");
}

BOOST_FIXTURE_TEST_CASE(a_non_retriable_error_is_not_tried_again, steps_world) {
  int attempts = 0;
  open_one([&](context step) -> task<> {
    co_await step.run("s", [&] {
      ++attempts;
      throw non_retriable_error{"card stolen"};
    });
  });
  const auto run_of = go();
  advance(days{2});
  BOOST_TEST(attempts == 1);
  BOOST_TEST(status(run_of) == run_status::failed);
}

BOOST_FIXTURE_TEST_CASE(retry_after_says_when, steps_world) {
  int attempts = 0;
  open_one([&](context step) -> task<> {
    co_await step.run("s", [&] {
      if (++attempts == 1) throw retry_after{1h, "rate limited"};
    });
  });
  const auto run_of = go();
  advance(59min);
  BOOST_TEST(attempts == 1);
  advance(1min);
  BOOST_TEST(attempts == 2);
  BOOST_TEST(status(run_of) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(a_step_may_have_a_policy_of_its_own, steps_world) {
  int attempts = 0;
  open_one([&](context step) -> task<> {
    co_await step
        .run("s",
             [&] {
               ++attempts;
               throw std::runtime_error{"no"};
             })
        .retries(1)
        .retry_delay(5s);
  });
  const auto run_of = go();
  advance(10s);
  BOOST_TEST(attempts == 2);
  BOOST_TEST(status(run_of) == run_status::failed);
}

BOOST_FIXTURE_TEST_CASE(repeated_ids_get_an_ordinal, steps_world) {
  open_one([](context step) -> task<int> {
    int sum = 0;
    for (int i = 1; i <= 3; ++i) sum += co_await step.run("add", [&] { return i; });
    co_return sum;
  });
  const auto run_of = go();
  run();
  BOOST_TEST(runtime().result<int>(run_of) == 6);
  const auto rows = runtime().steps(run_of);
  BOOST_TEST(rows.at(0).id == "add");
  BOOST_TEST(rows.at(1).id == "add:1");
  BOOST_TEST(rows.at(2).id == "add:2");
}

BOOST_FIXTURE_TEST_CASE(for_each_executes_a_step_for_each_element, steps_world) {
  open_one([](context step) -> task<std::vector<int>> {
    const std::vector<int> numbers{1, 2, 3};
    const auto square = [](int n) { return n * n; };
    co_return co_await step.for_each("square", numbers, square);
  });
  const auto run_of = go();
  settle();
  BOOST_TEST(steps().waiting() == 3U);  // all at once
  run();
  BOOST_TEST(runtime().result<std::vector<int>>(run_of) == (std::vector<int>{1, 4, 9}), boost::test_tools::per_element());
  BOOST_TEST(runtime().steps(run_of).at(2).id == "square[2]");
}

BOOST_FIXTURE_TEST_CASE(for_each_over_nothing_is_no_step, steps_world) {
  open_one([](context step) -> task<> {
    const std::vector<int> none;
    const auto fn = [](int) {};
    co_await step.for_each("none", none, fn);
  });
  const auto run_of = go();
  run();
  BOOST_TEST(status(run_of) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(a_failure_in_for_each_is_thrown_once_the_others_are_done, steps_world) {
  int executed = 0;
  open_one(
      [&](context step) -> task<> {
        const std::vector<int> numbers{1, 2, 3};
        const auto fn = [&](int n) {
          ++executed;
          if (n == 1) throw std::runtime_error{"one"};
        };
        co_await step.for_each("n", numbers, fn);
      },
      {.retries = 0});
  const auto run_of = go();
  run();
  BOOST_TEST(executed == 3);
  BOOST_TEST(status(run_of) == run_status::failed);
}

BOOST_FIXTURE_TEST_CASE(a_cancel_during_for_each_completes_what_executes_and_withdraws_the_rest, steps_world) {
  int executed = 0;
  run_id run_of;
  open_one([&](context step) -> task<> {
    const std::vector<int> numbers{1, 2, 3};
    const auto fn = [&](int) {
      if (++executed == 1) BOOST_TEST(runtime().cancel(run_of) == cancel_outcome::cancelling);
    };
    co_await step.for_each("n", numbers, fn);
  });
  run_of = go();
  run();
  BOOST_TEST(executed == 1);
  BOOST_TEST(status(run_of) == run_status::cancelled);
  BOOST_TEST(runtime().steps(run_of).size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(some_of_for_each_may_back_off_while_others_complete, steps_world) {
  int failures = 0;
  open_one(
      [&](context step) -> task<int> {
        const std::vector<int> numbers{1, 2, 3};
        const auto fn = [&](int n) {
          if (n == 2 && ++failures == 1) throw std::runtime_error{"two"};
          return n;
        };
        const auto all = co_await step.for_each("n", numbers, fn);
        co_return all[0] + all[1] + all[2];
      },
      {.retries = 2, .delays = {1h}, .jitter = 0s});
  const auto run_of = go();
  run();
  BOOST_TEST(status(run_of) == run_status::backing_off);
  BOOST_TEST(runtime().steps(run_of).size() == 2U);
  advance(2h);
  BOOST_TEST(runtime().result<int>(run_of) == 6);
}

BOOST_FIXTURE_TEST_CASE(a_step_of_for_each_may_take_its_attempt_and_a_stop_token, steps_world) {
  std::vector<std::string> asked_to_stop;
  run_id run_of;
  open_one(
      [&](context step) -> task<> {
        const std::vector<std::string> users{"ann", "bob"};
        int failures = 0;
        const auto keys = co_await step.for_each("keys", users, [&](const std::string& user, const step_attempt& attempt) {
          if (user == "bob" && attempt.attempt == 1) throw std::runtime_error{std::to_string(++failures)};
          return user + " " + attempt.key() + " " + std::to_string(attempt.attempt);
        });
        BOOST_TEST(keys.at(0) == "ann " + to_string(run_of) + "/keys[0] 1");
        BOOST_TEST(keys.at(1) == "bob " + to_string(run_of) + "/keys[1] 2");
        co_await step.for_each("stops", users, [&](const std::string& user, const step_attempt& attempt, std::stop_token stop) {
          runtime().cancel(attempt.run);
          settle();
          if (stop.stop_requested()) asked_to_stop.push_back(user);
        });
      },
      {.retries = 1, .delays = {10ms}, .jitter = 0s});
  run_of = go();
  run();
  advance(1s);
  BOOST_TEST(status(run_of) == run_status::cancelled);
  BOOST_TEST(asked_to_stop == std::vector<std::string>{"ann"}, boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(for_each_keeps_a_closure_that_was_made_for_the_call, steps_world) {
  open_one([](context step) -> task<std::vector<std::string>> {
    const std::vector<std::string> users{"ann", "bob"};
    const std::string greeting = "hello ";
    auto greeted = step.for_each("greet", users, [&](const std::string& user) { return greeting + user; });
    co_return co_await std::move(greeted);
  });
  const auto run_of = go();
  run();
  BOOST_TEST(runtime().result<std::vector<std::string>>(run_of) == (std::vector<std::string>{"hello ann", "hello bob"}), boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(sleep_until_the_past_is_no_rest, steps_world) {
  open_one([this](context step) -> task<> {
    co_await step.sleep_until("past", now() - 1h);
    co_await step.sleep_for("nothing", 0s);
  });
  const auto run_of = go();
  run();
  BOOST_TEST(status(run_of) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(a_short_sleep_keeps_the_coroutine, steps_world) {
  open_one([](context step) -> task<> { co_await step.sleep_for("blink", 200ms); });
  const auto run_of = go();
  run();
  BOOST_TEST(status(run_of) == run_status::sleeping);
  advance(200ms);
  BOOST_TEST(status(run_of) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(a_sleep_beyond_366_days_is_refused_by_name, steps_world) {
  open_one([](context step) -> task<> { co_await step.sleep_for("long", days{367}); });
  const auto run_of = go();
  run();
  BOOST_TEST(status(run_of) == run_status::failed);
  BOOST_TEST(runtime().get(run_of)->error->message.find("366 days") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(wait_for_event_gives_the_event_that_matches, steps_world) {
  open_one([](context step) -> task<std::string> {
    auto paid = co_await step.wait_for_event("order.paid").when("event.data.id == async.data.id").timeout(24h);
    co_return paid ? paid->data.json().at("by").get<std::string>() : "nobody";
  });
  const auto run_of = go({{"id", "o-1"}});
  run();
  BOOST_TEST(status(run_of) == run_status::waiting);
  runtime().send({.name = "order.paid", .data = {{"id", "o-2"}, {"by", "eve"}}});
  run();
  BOOST_TEST(status(run_of) == run_status::waiting);
  runtime().send({.name = "order.paid", .data = {{"id", "o-1"}, {"by", "ada"}}});
  run();
  BOOST_TEST(runtime().result<std::string>(run_of) == "ada");
}

BOOST_FIXTURE_TEST_CASE(wait_for_event_gives_nothing_after_its_timeout, steps_world) {
  open_one([](context step) -> task<bool> {
    auto paid = co_await step.wait_for_event("order.paid").timeout(24h);
    co_return paid.has_value();
  });
  const auto run_of = go();
  advance(days{2});
  BOOST_TEST(runtime().result<bool>(run_of) == false);
}

BOOST_FIXTURE_TEST_CASE(a_wait_sees_nothing_that_came_before_it_unless_it_looks_back, steps_world) {
  open({{.id = "plain",
         .triggers = {{.event = "go"}},
         .body =
             [](context step) -> task<bool> {
               co_await step.sleep_for("a-while", 1h);
               auto e = co_await step.wait_for_event("ping").timeout(1h);
               co_return e.has_value();
             }},
        {.id = "looking-back", .triggers = {{.event = "go"}}, .body = [](context step) -> task<int> {
           co_await step.sleep_for("a-while", 1h);
           auto first = co_await step.wait_for_event("ping").timeout(1h).look_back();
           auto second = co_await step.wait_for_event("ping").timeout(1h).look_back();
           auto third = co_await step.wait_for_event("ping").timeout(1h).look_back();
           co_return (first ? 1 : 0) + (second ? 10 : 0) + (third ? 100 : 0);
         }}});
  runtime().send({.name = "ping"});  // before the runs: nobody sees it
  const auto runs = runtime().send({.name = "go"}).runs;
  run();
  runtime().send({.name = "ping"});
  runtime().send({.name = "ping"});
  advance(days{1});
  BOOST_TEST(runtime().result<bool>(runs.at(0)) == false);
  BOOST_TEST(runtime().result<int>(runs.at(1)) == 11);
}

// The row of a sleep, of a wait or of a child is written before the body comes to what follows: the run may stand in a queue meanwhile, or be held.
BOOST_FIXTURE_TEST_CASE(a_wait_gets_what_came_since_the_record_before_it, steps_world) {
  const auto body = [](context step) -> task<std::vector<std::string>> {
    std::vector<std::string> seen;
    co_await step.sleep_for("a-while", 1h);
    for (int i = 0; i < 3; ++i) {
      const auto e = co_await step.wait_for_event("ping").when("event.data.id == async.data.id").timeout(1h);
      seen.push_back(e ? e->id : "nothing");
    }
    co_return seen;
  };
  open_one(body);
  const auto run_of = go({{"id", 1}});
  const auto ping = [&](const std::string& id, int of = 1) { runtime().send({.name = "ping", .data = {{"id", of}}, .id = id}); };
  run();
  ping("too-early");
  runtime().pause("f", running_runs::hold);
  advance(2h);
  BOOST_REQUIRE(status(run_of) == run_status::held);
  ping("of-another", 2);
  ping("first");
  ping("second");
  crash();
  open_one(body);
  runtime().resume("f");
  run();
  BOOST_TEST(status(run_of) == run_status::waiting);
  advance(2h);
  BOOST_TEST((runtime().result<std::vector<std::string>>(run_of) == std::vector<std::string>{"first", "second", "nothing"}));
}

BOOST_FIXTURE_TEST_CASE(a_wait_behind_a_child_gets_what_came_while_its_run_stood_in_the_queue, steps_world) {
  options().live_runs = 1;
  open({{.id = "parent",
         .triggers = {{.event = "go"}},
         .body = [](context step) -> task<bool> {
           co_await step.invoke<>("call", "child", nlohmann::json::object());
           co_return (co_await step.wait_for_event("ping").timeout(1h)).has_value();
         }},
        {.id = "child", .triggers = {}, .body = [](context step) -> task<> { co_await step.sleep_for("nap", 1h); }},
        {.id = "blocker", .triggers = {{.event = "block"}}, .body = [](context step) -> task<> { co_await step.run("work", [] {}); }}});
  const auto parent = start({.name = "go"});
  run();
  start({.name = "block"});
  settle();  // has the one place; its step has not been executed
  set_clock(now() + 2h);
  environment().fire_timers();
  settle();
  BOOST_REQUIRE(status(parent) != run_status::completed);
  // The child ends once there is a place, and its parent stands behind what has come by then.
  execute_step();
  settle();
  runtime().send({.name = "ping"});
  advance(days{1});
  BOOST_TEST(status(parent) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(the_first_wait_of_a_run_gets_what_came_since_it_started, steps_world) {
  open_one([](context step) -> task<std::string> {
    const auto e = co_await step.wait_for_event("go").timeout(1h);
    co_return e ? e->id : "nothing";
  });
  const std::vector<event> both{{.name = "go", .id = "starts"}, {.name = "go", .id = "comes-right-behind"}};
  const auto sent = runtime().send(both);
  run();
  BOOST_TEST(runtime().result<std::string>(sent.at(0).runs.at(0)) == "comes-right-behind");
  BOOST_TEST(status(sent.at(1).runs.at(0)) == run_status::waiting);
}

BOOST_FIXTURE_TEST_CASE(beyond_the_events_that_a_wait_looks_at_it_waits_for_what_is_to_come_and_that_is_told, steps_world) {
  for (const std::string when : {"event.data.id == async.data.id", "event.data.id == async.data.id || async.data.id == 0"}) {
    BOOST_TEST_CONTEXT(when) {
      const bool is_looked_up = when.find("||") == std::string::npos;
      environment().adjust_limits = [=](actors::limits& limits) { limits.look_back_events = is_looked_up ? 5 : 50; };
      open_one([when](context step) -> task<> {
        co_await step.sleep_for("a-while", 1h);
        co_await step.wait_for_event("ping").when(when).timeout(1h);
      });
      const auto run_of = go({{"id", 1}});
      run();
      runtime().pause("f", running_runs::hold);
      advance(2h);
      for (int i = 0; i < 6; ++i) runtime().send({.name = "ping", .data = {{"id", 2}}});
      diagnostics.clear();
      runtime().resume("f");
      run();
      BOOST_TEST(status(run_of) == run_status::waiting);
      BOOST_REQUIRE_EQUAL(diagnostics.size(), 1U);
      BOOST_TEST(diagnostics.back().find("has looked at 5 events named \"ping\", and more have come") != std::string::npos, diagnostics.back());
      runtime().send({.name = "ping", .data = {{"id", 1}}});
      run();
      BOOST_TEST(status(run_of) == run_status::completed);
      close();
    }
  }
}

BOOST_FIXTURE_TEST_CASE(of_several_waits_that_come_late_the_event_that_came_first_decides, steps_world) {
  open_one([](context step) -> task<std::vector<std::string>> {
    std::vector<std::string> seen;
    co_await step.sleep_for("a-while", 1h);
    const auto first = co_await caesura::any(step.wait_for_event("paid").timeout(1h), step.wait_for_event("cancelled").timeout(1h));
    seen.push_back(first.index() == 0 ? "paid" : "cancelled");
    const auto same = co_await caesura::any(step.wait_for_event("early").named("one").timeout(1h), step.wait_for_event("early").named("other").timeout(1h));
    seen.push_back(same.index() == 0 ? "one" : "other");
    const auto [a, b] = co_await caesura::all(step.wait_for_event("late").timeout(1h), step.wait_for_event("early").timeout(1h));
    seen.push_back(a.value().id + b.value().id);
    const auto next = co_await step.wait_for_event("between").timeout(1h);
    seen.push_back(next ? "seen" : "passed");
    co_return seen;
  });
  const auto run_of = go();
  run();
  runtime().pause("f", running_runs::hold);
  advance(2h);
  for (const char* const name : {"cancelled", "paid", "early"}) runtime().send({.name = name, .id = name});
  for (const char* const name : {"early", "between", "late"}) runtime().send({.name = name, .id = std::string{name} + "-2"});
  runtime().resume("f");
  advance(2h);
  BOOST_TEST((runtime().result<std::vector<std::string>>(run_of) == std::vector<std::string>{"cancelled", "one", "late-2early-2", "passed"}));
}

// Three runs wait for one event, which is worked off in slices; what comes meanwhile is there for their next wait.
BOOST_FIXTURE_TEST_CASE(a_wait_behind_one_that_ended_in_a_slice_gets_what_came_since_the_event, steps_world) {
  environment().adjust_limits = [](actors::limits& limits) {
    limits.sweep_threshold = 0;
    limits.sweep_slice = 1;
  };
  open_one([](context step) -> task<bool> {
    co_await step.wait_for_event("first").timeout(1h);
    co_return (co_await step.wait_for_event("second").timeout(1h)).has_value();
  });
  std::vector<run_id> runs;
  for (int i = 0; i < 5; ++i) runs.push_back(go());
  run();
  const std::vector<event> both{{.name = "first"}, {.name = "second"}};
  runtime().send(both);
  advance(2h);
  for (const auto& one : runs) BOOST_TEST(runtime().result<bool>(one) == true);
}

BOOST_FIXTURE_TEST_CASE(waits_that_look_back_side_by_side_are_both_ended_by_an_event_that_came_earlier, steps_world) {
  std::string seen;
  open_one([&](context step) -> task<> {
    co_await step.sleep_for("a-while", 1h);
    auto first = step.wait_for_event("ping").timeout(1h).named("first").look_back();
    auto second = step.wait_for_event("ping").timeout(1h).named("second").look_back();
    const auto [a, b] = co_await caesura::all(std::move(first), std::move(second));
    seen = a.value().id + b.value().id;
  });
  go({{"id", 1}});
  runtime().send({.name = "ping", .id = "p1"});
  advance(1h);
  BOOST_TEST(seen == "p1p1");
}

BOOST_FIXTURE_TEST_CASE(look_back_beyond_its_limit_fails_the_wait_and_names_the_limit, steps_world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.look_back_events = 5; };
  open_one([](context step) -> task<> {
    co_await step.sleep_for("a-while", 1h);
    co_await step.wait_for_event("ping").when("event.data.id == async.data.id").look_back();
  });
  const auto run_of = go({{"id", 1}});
  for (int i = 0; i < 6; ++i) runtime().send({.name = "ping", .data = {{"id", 2}}});
  advance(2h);
  BOOST_TEST(status(run_of) == run_status::failed);
  BOOST_TEST(runtime().get(run_of)->error->message.find("5 events") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_wait_whose_expression_does_not_parse_fails_with_its_position, steps_world) {
  open_one([](context step) -> task<> { co_await step.wait_for_event("ping").when("event.data.id === 1"); });
  const auto run_of = go();
  run();
  BOOST_TEST(status(run_of) == run_status::failed);
  BOOST_TEST(runtime().get(run_of)->error->message.find("at byte") != std::string::npos);
  close();
  open_one([](context step) -> task<> { co_await step.wait_for_event("ping").when("event.data.id == \u201Cx\u201D"); });
  const auto quoted = go();
  run();
  BOOST_TEST(runtime().get(quoted)->error->message.find("'\u201C'") != std::string::npos, runtime().get(quoted)->error->message);
}

BOOST_FIXTURE_TEST_CASE(send_event_sends_once_and_starts_functions, steps_world) {
  int handled = 0;
  open({{.id = "sender",
         .triggers = {{.event = "go"}},
         .body =
             [](context step) -> task<> {
               const event done{.name = "done", .data = {{"n", 1}}};
               co_await step.send_event("tell", done);
               co_await step.sleep_for("rest", 1h);
             }},
        {.id = "receiver", .triggers = {{.event = "done"}}, .body = [&](context step) -> task<> {
           co_await step.run("handle", [&] { ++handled; });
         }}});
  const auto run_of = go();
  advance(2h);
  BOOST_TEST(handled == 1);
  BOOST_TEST(status(run_of) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(an_event_that_cannot_be_sent_fails_the_step, steps_world) {
  open_one([](context step) -> task<> {
    const event reserved{.name = "inngest/function.cancelled"};
    co_await step.send_event("tell", reserved);
  });
  const auto run_of = go();
  run();
  BOOST_TEST(status(run_of) == run_status::failed);
  BOOST_TEST(runtime().get(run_of)->error->message.find("reserved") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_run_may_send_the_event_that_cancels_it, steps_world) {
  bool went_on = false;
  open({{.id = "f",
         .triggers = {{.event = "go"}},
         .cancel_on = {{.event = "stop"}},
         .body = [&](context step) -> task<> {
           const event stop{.name = "stop"};
           co_await step.send_event("stop-myself", stop);
           co_await step.run("never", [&] { went_on = true; });
         }}});
  const auto run_of = go();
  run();
  BOOST_TEST(status(run_of) == run_status::cancelled);
  BOOST_TEST(!went_on);
}

BOOST_FIXTURE_TEST_CASE(now_and_uuid_are_the_same_at_every_replay, steps_world) {
  std::vector<time_point> times;
  std::vector<std::string> uuids;
  open_one([&](context step) -> task<> {
    co_await step.run("s", [] {});
    times.push_back(step.now());
    uuids.push_back(step.uuid());
    uuids.push_back(step.uuid());
    uuids.push_back(step.uuid("name"));
    co_await step.sleep_for("day", days{1});
  });
  go();
  advance(days{2});
  BOOST_REQUIRE(times.size() == 2U);
  BOOST_TEST(times[0].time_since_epoch().count() == times[1].time_since_epoch().count());
  BOOST_REQUIRE(uuids.size() == 6U);
  for (std::size_t i = 0; i < 3; ++i) BOOST_TEST(uuids[i] == uuids[i + 3]);
  BOOST_TEST(uuids[0] != uuids[1]);
  BOOST_TEST(uuids[0][14] == '8');
}

BOOST_FIXTURE_TEST_CASE(a_step_inside_a_step_throws_a_sentence, steps_world) {
  std::string said;
  open_one([&](context step) -> task<> {
    co_await step.run("outer", [&] {
      try {
        (void)step.run("inner", [] {});
      } catch (const error& e) {
        said = e.what();
        BOOST_TEST(e.code() == errc::step_inside_step);
      }
    });
  });
  go();
  run();
  BOOST_TEST(said.find("steps do not nest") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(calling_the_runtime_from_a_body_throws_a_sentence, steps_world) {
  open_one([&](context) -> task<> {
    runtime().send({.name = "other"});
    co_return;
  });
  const auto run_of = go();
  run();
  BOOST_TEST(status(run_of) == run_status::failed);
  BOOST_TEST(runtime().get(run_of)->error->message.find("between steps") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(parts_of_a_body_can_be_tasks_of_their_own, steps_world) {
  struct parts {
    static task<int> charge(context step, int amount) {
      co_return co_await step.run("charge", [&] { return amount + 1; });
    }
  };
  open_one([](context step) -> task<int> {
    const int first = co_await parts::charge(step, 1);
    const int second = co_await parts::charge(step, first);
    co_return second;
  });
  const auto run_of = go();
  run();
  BOOST_TEST(runtime().result<int>(run_of) == 3);
}

namespace {

task<int> seven() { co_return 7; }

}  // namespace

BOOST_FIXTURE_TEST_CASE(what_is_awaited_twice_fails_the_run_with_a_sentence, steps_world) {
  int executed = 0;
  const auto awaits_twice = [&](auto&& make) {
    return [&executed, make](context step) -> task<> {
      auto named = make(step, executed);
      co_await std::move(named);
      co_await std::move(named);
    };
  };
  const auto fails_with = [&](function_body body, const std::string& part) {
    executed = 0;
    open_one(std::move(body));
    const auto run_of = go();
    run();
    BOOST_TEST(status(run_of) == run_status::failed);
    BOOST_TEST(runtime().get(run_of)->error->message.find(part) != std::string::npos, runtime().get(run_of)->error->message);
    BOOST_TEST(executed <= 1);
    close();
  };
  const auto count = [](int& n) { return [&n] { ++n; }; };
  fails_with(awaits_twice([=](const context& step, int& n) { return step.run("poll", count(n)); }), "awaited a second time");
  fails_with(awaits_twice([=](const context& step, int& n) { return caesura::all(step.run("a", count(n)), step.sleep_for("b", 0s)); }), "awaited a second time");
  fails_with(awaits_twice([](const context&, int&) { return seven(); }), "a task is awaited a second time");
  fails_with(
      [&](context step) -> task<> {
        auto named = step.run("poll", [&] { ++executed; });
        (void)co_await caesura::all(std::move(named), step.sleep_for("b", 0s));
        co_await std::move(named);
      },
      "awaited a second time");
}

BOOST_FIXTURE_TEST_CASE(a_named_closure_may_own_what_it_captures, steps_world) {
  open_one([](context step) -> task<std::string> {
    const auto text = std::make_shared<std::string>("a string that is longer than any small buffer");
    const auto read = [text] { return *text; };
    const auto first = co_await step.run("first", read);
    const auto second = co_await step.run("second", read);
    co_return first == second ? first : "";
  });
  const auto run_of = go();
  run();
  BOOST_TEST(runtime().result<std::string>(run_of).starts_with("a string"));
}

BOOST_FIXTURE_TEST_CASE(the_frame_may_be_destroyed_at_each_suspension_point, steps_world) {
  // Whatever a body owns is destroyed once for each activation, at whatever it waits when the run is cancelled.
  for (int cancel_after = 0; cancel_after < 4; ++cancel_after) {
    steps_world one;
    one.open({{.id = "f",
               .triggers = {{.event = "go"}},
               .cancel_on = {{.event = "stop"}},
               .body = [](context step) -> task<> {
                 const auto owned = std::make_shared<std::string>("owned by the frame, too long for a small string");
                 co_await step.run("a", [&] { return *owned; });
                 co_await step.sleep_for("b", 500ms);
                 auto e = co_await step.wait_for_event("never").timeout(500ms);
                 co_await step.sleep_for("c", days{1});
               }}});
    one.start({.name = "go"});
    one.advance(cancel_after * 400ms);
    one.runtime().send({.name = "stop"});
    one.advance(days{2});
  }
}

BOOST_FIXTURE_TEST_CASE(a_step_whose_result_cannot_be_recorded_has_had_its_effect_and_is_not_tried_again, steps_world) {
  int charged = 0;
  open_one([&](context step) -> task<> {
    co_await step.run("charge", [&] {
      ++charged;
      return std::string{"d\xE9j\xE0"};
    });
  });
  const auto run_of = go();
  advance(days{1});
  BOOST_TEST(status(run_of) == run_status::failed);
  BOOST_TEST(charged == 1);
  BOOST_TEST(runtime().get(run_of)->error->message.find("the result of step \"charge\" cannot be recorded") != std::string::npos, runtime().get(run_of)->error->message);
}

BOOST_FIXTURE_TEST_CASE(a_result_of_more_than_4_mib_fails_the_step_and_names_the_limit, steps_world) {
  open_one([](context step) -> task<> { co_await step.run("big", [] { return std::string(5 << 20, 'x'); }); });
  const auto run_of = go();
  run();
  BOOST_TEST(status(run_of) == run_status::failed);
  BOOST_TEST(runtime().steps(run_of).at(0).error->message.find("4194304") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_run_with_too_many_steps_fails_and_names_the_limit, steps_world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.steps_per_run = 3; };
  open_one([](context step, nlohmann::json data) -> task<> {
    for (int i = 0; i < data.at("n").get<int>(); ++i) co_await step.run("s", [] {});
  });
  const auto at_the_limit = go({{"n", 3}});
  const auto past_it = go({{"n", 5}});
  run();
  BOOST_TEST(status(at_the_limit) == run_status::completed);
  BOOST_TEST(status(past_it) == run_status::failed);
  BOOST_TEST(runtime().get(past_it)->error->message.find("3 steps") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(an_ordinal_passes_over_ids_that_the_body_has_used_itself, steps_world) {
  open_one([](context step) -> task<std::string> {
    std::string all;
    for (const char* const id : {"a", "a:1", "a", "a", "a:3", "a"}) all += co_await step.run(id, [&] { return std::to_string(all.size()); });
    co_await step.sleep_for("day", days{1});
    co_return all;
  });
  const auto run_of = go();
  advance(days{1});  // and it is replayed
  BOOST_TEST(runtime().result<std::string>(run_of) == "012345");
  std::vector<std::string> ids;
  for (const auto& row : runtime().steps(run_of)) ids.push_back(row.id);
  BOOST_TEST(ids == (std::vector<std::string>{"a", "a:1", "a:2", "a:3", "a:3:1", "a:4", "day"}), boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(steps_at_once_with_ids_that_look_like_ordinals_all_end, steps_world) {
  open_one([](context step) -> task<int> {
    const auto [a, b, c] = co_await caesura::all(step.run("a", [] { return 1; }), step.run("a", [] { return 10; }), step.run("a:1", [] { return 100; }));
    co_return a + b + c;
  });
  const auto run_of = go();
  run();
  BOOST_REQUIRE(status(run_of) == run_status::completed);
  BOOST_TEST(runtime().result<int>(run_of) == 111);
}

BOOST_FIXTURE_TEST_CASE(a_wait_takes_the_failure_of_a_run_whose_exception_is_no_utf_8_or_very_long, steps_world) {
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context, document how) -> task<> {
           if (how.json().at("is_long").get<bool>()) throw non_retriable_error(std::string(1'000'000, 'x'));
           throw non_retriable_error("caf\xe9");
         }},
        {.id = "waits", .triggers = {{.event = "wait"}}, .body = [](context step) -> task<std::string> {
           const auto failed = co_await step.wait_for_event("inngest/function.failed").timeout(1h);
           co_return failed->data.json().at("error").at("message").get<std::string>();
         }}});
  for (const bool is_long : {false, true}) {
    const auto waiting = start({.name = "wait"});
    run();
    const auto failing = go({{"is_long", is_long}});
    run();
    BOOST_TEST(status(failing) == run_status::failed);
    BOOST_REQUIRE(status(waiting) == run_status::completed);
    const auto text = runtime().result<std::string>(waiting);
    if (is_long) {
      BOOST_TEST(text.size() < 20'000U);
      BOOST_TEST(text.ends_with("…"));
    } else {
      BOOST_TEST(text == "caf\xEF\xBF\xBD");
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
