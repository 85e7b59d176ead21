// Steps side by side, steps that can be asked to stop, and runs that invoke runs.

#include <condition_variable>
#include <future>
#include <mutex>

#include <boost/test/unit_test.hpp>

#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::world;
using namespace std::chrono_literals;

struct parallel_world : world {
  int a = 0;
  int b = 0;
  int after = 0;
  void open_one(function_body body, retry_policy retries = {}) {
    open({{.id = "f", .triggers = {{.event = "go"}}, .retries = std::move(retries), .body = std::move(body)}});
  }
  run_id go(document data = {}) { return start({.name = "go", .data = std::move(data)}); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(parallel)

BOOST_FIXTURE_TEST_CASE(all_gives_every_result_once_all_are_there, parallel_world) {
  const function_body body = [&](context step) -> task<std::string> {
    const auto [one, slept, paid] = co_await caesura::all(step.run("a", [&] { return ++a; }), step.sleep_for("nap", 1h),
                                                          step.wait_for_event("paid").timeout(2h));
    static_cast<void>(slept);
    co_return std::to_string(one) + (paid ? " paid" : " unpaid");
  };
  open_one(body);
  const auto first = go();
  const auto second = go();
  run();
  BOOST_TEST(status(first) == run_status::waiting);
  runtime().send({.name = "paid"});
  crash();
  open_one(body);
  advance(90min);
  BOOST_TEST(runtime().result<std::string>(first) == "1 paid");
  BOOST_TEST(runtime().result<std::string>(second) == "2 paid");
  BOOST_TEST(a == 2);
}

// Found by the simulation: the first step after an `any` that an event had decided while the run rested was taken for a loser, and the run
// executed for ever.
BOOST_FIXTURE_TEST_CASE(a_step_after_an_any_that_was_decided_at_rest_is_tried_again, parallel_world) {
  open_one(
      [&](context step) -> task<> {
        auto paid = step.wait_for_event("paid").timeout(2h);
        auto late = step.sleep_for("late", 1h);
        co_await caesura::any(std::move(paid), std::move(late));
        co_await step.run("after", [&] {
          if (++after == 1) throw std::runtime_error{"once"};
        });
      },
      {.retries = 1, .delays = {1s}, .jitter = {}});
  const auto one = go();
  run();
  runtime().send({.name = "paid"});
  advance(1min);
  BOOST_TEST(status(one) == run_status::completed);
  BOOST_TEST(after == 2);
}

// Found by the simulation: the run kept its place while it waited for the rest, and with all places taken so its child never began.
BOOST_FIXTURE_TEST_CASE(a_run_that_waits_for_the_rest_of_an_all_gives_its_place_away, parallel_world) {
  options().live_runs = 1;
  open({{.id = "parent",
         .triggers = {{.event = "go"}},
         .body = [](context step) -> task<int> {
           auto child = step.invoke<int>("child", "child", nlohmann::json::object());
           auto nap = step.sleep_for("nap", 400ms);
           const auto [result, slept] = co_await caesura::all(std::move(child), std::move(nap));
           static_cast<void>(slept);
           co_return result;
         }},
        {.id = "child", .triggers = {{.event = "never"}}, .body = [](context step) -> task<int> { co_return co_await step.run("s", [] { return 7; }); }}});
  const auto parent = go();
  advance(2s);
  BOOST_REQUIRE(status(parent) == run_status::completed);
  BOOST_TEST(runtime().result<int>(parent) == 7);
}

BOOST_FIXTURE_TEST_CASE(a_failure_in_all_is_thrown_once_the_others_are_done, parallel_world) {
  open_one(
      [&](context step) -> task<> {
        co_await caesura::all(step.run("bad", [&] { throw std::runtime_error{"no"}; }), step.run("a", [&] { ++a; }));
        ++after;
      },
      {.retries = 0});
  const auto one = go();
  run();
  BOOST_TEST(status(one) == run_status::failed);
  BOOST_TEST(a == 1);
  BOOST_TEST(after == 0);
}

BOOST_FIXTURE_TEST_CASE(one_of_all_may_back_off_while_a_sleep_ends, parallel_world) {
  open_one(
      [&](context step) -> task<> {
        co_await caesura::all(step.run("flaky", [&] {
          if (++a < 3) throw std::runtime_error{"not yet"};
        }),
                              step.sleep_for("nap", 5s));
        ++after;
      },
      {.retries = 4, .delays = {10s}, .jitter = {}});
  const auto one = go();
  advance(30s);
  BOOST_TEST(status(one) == run_status::completed);
  BOOST_TEST(a == 3);
}

BOOST_FIXTURE_TEST_CASE(a_run_of_which_only_a_retry_is_left_rests_until_that_is_due, parallel_world) {
  function fn{.id = "f", .triggers = {{.event = "go"}}, .retries = {.retries = 4, .delays = {1h}, .jitter = {}}, .body = [&](context step) -> task<> {
                co_await caesura::all(step.run("flaky", [&] {
                  if (++a == 1) throw std::runtime_error{"not yet"};
                }),
                                      step.sleep_for("nap", 5s));
              }};
  fn.concurrency = {{.limit = 1}};
  open({fn});
  const auto one = go();
  advance(6s);
  BOOST_TEST(status(one) == run_status::backing_off);
  const auto other = go();  // has the slot meanwhile
  advance(6s);
  BOOST_TEST(status(other) == run_status::completed);
  BOOST_TEST(a == 2);
  crash();
  open({fn});
  run();
  BOOST_TEST(status(one) == run_status::backing_off);
  advance(1h);
  BOOST_TEST(status(one) == run_status::completed);
  BOOST_TEST(a == 3);
}

BOOST_FIXTURE_TEST_CASE(a_run_that_was_held_while_it_backed_off_rests_until_the_retry_is_due, parallel_world) {
  open_one(
      [&](context step) -> task<> {
        co_await step.run("flaky", [&] {
          if (++a == 1) runtime().pause("f", running_runs::hold);
          if (a == 1) throw std::runtime_error{"not yet"};
        });
      },
      {.retries = 4, .delays = {1h}, .jitter = {}});
  const auto one = go();
  run();
  runtime().resume("f");
  run();
  BOOST_TEST(status(one) == run_status::backing_off);
  BOOST_TEST(a == 1);
  BOOST_TEST(runtime().cancel(one) == cancel_outcome::cancelled);  // nothing executes that would have to complete
}

BOOST_FIXTURE_TEST_CASE(any_gives_the_first_and_withdraws_what_has_not_started, parallel_world) {
  open_one([&](context step) -> task<std::string> {
    const auto first = co_await caesura::any(step.wait_for_event("paid").timeout(days{1}), step.sleep_for("patience", 1h));
    if (first.index() == 0) co_return "paid";
    co_await step.run("remind", [&] { ++after; });
    co_return "reminded";
  });
  const auto patient = go();
  run();
  advance(2h);
  BOOST_TEST(runtime().result<std::string>(patient) == "reminded");
  const auto paid = go();
  run();
  runtime().send({.name = "paid"});
  advance(2h);
  BOOST_TEST(runtime().result<std::string>(paid) == "paid");
  BOOST_TEST(runtime().steps(paid).size() == 1U);
  BOOST_TEST(after == 1);
}

BOOST_FIXTURE_TEST_CASE(the_first_of_any_is_the_same_at_every_replay, parallel_world) {
  const function_body body = [&](context step) -> task<std::string> {
    const auto first = co_await caesura::any(step.run("a", [&] { ++a; }), step.run("b", [&] { ++b; }), step.sleep_for("long", 1h));
    const std::string winner = std::to_string(first.index());
    co_await step.sleep_for("nap", 2h);
    co_return winner;
  };
  open_one(body);
  const auto one = go();
  run();
  BOOST_TEST(a + b == 1);  // the other had not started when the first was recorded
  crash();
  open_one(body);
  advance(3h);
  BOOST_TEST(runtime().result<std::string>(one) == (a == 1 ? "0" : "1"));
  BOOST_TEST(a + b == 1);
}

BOOST_FIXTURE_TEST_CASE(any_over_a_step_that_backs_off_goes_on_with_the_sleep, parallel_world) {
  open_one([&](context step) -> task<std::string> {
    const auto first = co_await caesura::any(step.run("flaky", [&] { throw std::runtime_error{"no"}; }), step.sleep_for("limit", 5s));
    co_return std::to_string(first.index());
  });
  const auto one = go();
  advance(1min);
  BOOST_TEST(runtime().result<std::string>(one) == "1");
}

BOOST_FIXTURE_TEST_CASE(cancelling_parallel_steps_waits_for_those_in_flight, parallel_world) {
  run_id one;
  open_one([&](context step) -> task<> {
    co_await caesura::all(step.run("a", [&] {
      ++a;
      BOOST_TEST(runtime().cancel(one) == cancel_outcome::cancelling);
    }),
                          step.run("b", [&] { ++b; }), step.sleep_for("nap", 1h));
    ++after;
  });
  one = go();
  run();
  advance(2h);
  BOOST_TEST(status(one) == run_status::cancelled);
  BOOST_TEST(runtime().steps(one).size() == 1U);
  BOOST_TEST(b == 0);
  BOOST_TEST(after == 0);
}

BOOST_AUTO_TEST_CASE(a_step_is_asked_to_stop_by_a_cancel_and_its_result_is_recorded) {
  testing::temporary_directory directory;
  std::mutex mutex;
  std::condition_variable_any changed;
  std::promise<void> executing;
  int slow_told = 0;
  std::promise<void> slow;
  {
    caesura::runtime runtime{
        {.directory = directory.path(),
         .map_size_bytes = std::size_t{256} << 20,
         .slow_step = 20ms,
         .observer = {.on_slow_step =
                          [&](const std::string&, duration) {
                            if (++slow_told == 1) slow.set_value();
                          }}},
        {{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
            const auto polled = co_await step.run("poll", [&](std::stop_token stop) {
              executing.set_value();
              std::unique_lock lock{mutex};
              changed.wait(lock, stop, [] { return false; });
              return std::string{"stopped early"};
            });
            co_await step.run("after", [&] { BOOST_ERROR("a step after the cancel: " << polled); });
          }}}};
    const auto run = runtime.send({.name = "go"}).runs.at(0);
    executing.get_future().wait();
    slow.get_future().wait();  // the observer is told while it executes
    BOOST_TEST(runtime.cancel(run) == cancel_outcome::cancelling);
    const auto ended = runtime.wait(run, 30s).value();
    BOOST_TEST(ended.status == run_status::cancelled);
    BOOST_TEST(runtime.steps(run).at(0).result.get<std::string>() == "stopped early");
  }
  BOOST_TEST(slow_told == 1);
}

BOOST_AUTO_TEST_CASE(an_executing_loser_of_any_is_asked_to_stop_and_the_body_waits_for_it) {
  testing::temporary_directory directory;
  std::mutex mutex;
  std::condition_variable_any changed;
  bool has_returned = false;
  caesura::runtime runtime{{.directory = directory.path(), .map_size_bytes = std::size_t{256} << 20},
                           {{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<std::size_t> {
                               const auto first = co_await caesura::any(step.run("forever",
                                                                                 [&](std::stop_token stop) {
                                                                                   std::unique_lock lock{mutex};
                                                                                   changed.wait(lock, stop, [] { return false; });
                                                                                   has_returned = true;
                                                                                 }),
                                                                        step.sleep_for("limit", 50ms));
                               BOOST_TEST(has_returned);
                               co_return first.index();
                             }}}};
  const auto run = runtime.send({.name = "go"}).runs.at(0);
  BOOST_REQUIRE(runtime.wait(run, 30s).has_value());
  BOOST_TEST(runtime.result<std::size_t>(run) == 1U);
}

// The order of these messages: the report that a branch has ended is on its way to the router, and while it is, the retry of another comes due.
BOOST_FIXTURE_TEST_CASE(a_retry_that_comes_due_while_another_branch_is_reported_is_made, parallel_world) {
  open_one(
      [this](context step) -> task<> {
        co_await caesura::all(step.run("a", [&] {
          if (++a == 1) throw std::runtime_error{"no"};
        }),
                              step.wait_for_event("one").timeout(48h), step.wait_for_event("two").timeout(48h));
      },
      {.retries = 3, .delays = {10s}, .jitter = duration{0}});
  go();
  run();
  advance(9s);
  bool is_planted = true;
  before_commit = [&](std::uint64_t) {
    if (!std::exchange(is_planted, false)) return;
    set_clock(now() + 1s);
    environment().fire_timers();
  };
  runtime().send({.name = "one"});
  run();
  advance(1s);
  BOOST_TEST(a == 2);
}

BOOST_FIXTURE_TEST_CASE(the_body_stays_while_a_retry_executes_that_came_due_while_another_branch_was_reported, parallel_world) {
  open_one(
      [this](context step) -> task<> {
        int of_the_frame = 41;
        co_await caesura::all(step.run("a", [&] {
          if (++a == 1) throw std::runtime_error{"no"};
          settle();  // whatever the router has decided meanwhile
          b = ++of_the_frame;
        }),
                              step.sleep_for("nap", 9500ms), step.wait_for_event("two").timeout(48h));
      },
      {.retries = 3, .delays = {10s}, .jitter = duration{0}});
  const auto run_of = go();
  run();
  bool is_planted = true;
  before_commit = [&](std::uint64_t) {
    if (!std::exchange(is_planted, false)) return;
    set_clock(now() + 500ms);
    environment().fire_timers();
  };
  set_clock(now() + 9500ms);
  environment().fire_timers();
  while (steps().waiting() == 0 && environment().run_one_message()) {
  }
  BOOST_REQUIRE(execute_step());
  BOOST_TEST(b == 42);
  BOOST_TEST(runtime().steps(run_of).size() == 2U);
  runtime().cancel(run_of);
  settle();
  BOOST_TEST(status(run_of) == run_status::cancelled);
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

struct family_world : world {
  int child_steps = 0;
  std::string caught;
  child_policy policy = child_policy::cancel;

  std::vector<function> functions() {
    return {{.id = "parent", .triggers = {{.event = "go"}}, .body = [this](context step, nlohmann::json data) -> task<int> {
               int sum = 0;
               try {
                 sum = co_await step.invoke<int>("ask", "child", data).timeout(days{1}).on_parent_cancel(policy);
               } catch (const child_failed& e) {
                 caught = "failed: " + e.cause().message;
               } catch (const child_cancelled& e) {
                 caught = "cancelled: " + e.cause().message;
               } catch (const child_timed_out&) {
                 caught = "timed out";
               } catch (const function_paused&) {
                 caught = "paused";
               } catch (const unknown_function&) {
                 caught = "unknown";
               }
               co_return sum;
             }},
            {.id = "child", .triggers = {{.event = "inngest/function.invoked"}}, .retries = {.retries = 0}, .body = [this](context step, nlohmann::json data) -> task<int> {
               co_await step.sleep_for("think", std::chrono::hours{data.value("hours", 1)});
               co_return co_await step.run("count", [&] {
                 ++child_steps;
                 if (data.value("fail", false)) throw std::runtime_error{"cannot count"};
                 return 42;
               });
             }}};
  }
  void open_all() { open(functions()); }
  run_id go(document data) { return start({.name = "go", .data = std::move(data)}); }
  run_info child_of(const run_id& parent) {
    for (const auto& run : runtime().list({.function = "child"}).runs) {
      if (run.parent == parent) return run;
    }
    BOOST_FAIL("no child");
    return {};
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(children)

BOOST_FIXTURE_TEST_CASE(invoke_awaits_the_childs_result_across_a_crash, family_world) {
  open_all();
  const auto parent = go({{"hours", 2}});
  run();
  BOOST_TEST(status(parent) == run_status::waiting);
  crash();
  open_all();
  advance(3h);
  BOOST_TEST(runtime().result<int>(parent) == 42);
  BOOST_TEST(child_steps == 1);
  BOOST_TEST(runtime().steps(parent).at(0).child == child_of(parent).id);
}

BOOST_FIXTURE_TEST_CASE(what_became_of_the_child_arrives_as_an_error_of_its_own_type, family_world) {
  open_all();
  go({{"fail", true}});
  advance(2h);
  BOOST_TEST(caught.find("cannot count") != std::string::npos);
  const auto second = go({{"hours", 5}});
  run();
  runtime().cancel(child_of(second).id, {.reason = "not needed"});
  run();
  BOOST_TEST(caught == "cancelled: not needed");
  const auto third = go({{"hours", 48}});
  advance(25h);
  BOOST_TEST(caught == "timed out");
  BOOST_TEST(child_of(third).status == run_status::sleeping);
  runtime().pause("child");
  go({{"hours", 1}});
  run();
  BOOST_TEST(caught == "paused");
  close();
  auto only_parent = functions();
  only_parent.pop_back();
  open(std::move(only_parent));
  go({{"hours", 1}});
  run();
  BOOST_TEST(caught == "unknown");
}

BOOST_FIXTURE_TEST_CASE(a_cancel_of_the_parent_goes_down_the_whole_tree, family_world) {
  for (const std::size_t threshold : {std::size_t{1000}, std::size_t{1}}) {  // at once, and as a sweep
    environment().adjust_limits = [=](actors::limits& limits) {
      limits.sweep_threshold = threshold;
      limits.sweep_slice = 2;
    };
    open({{.id = "node", .triggers = {{.event = "grow"}, {.event = "inngest/function.invoked"}}, .body = [](context step, nlohmann::json data) -> task<> {
             const int depth = data.value("depth", 0);
             if (depth == 0) {
               co_await step.sleep_for("leaf", days{1});
               co_return;
             }
             const nlohmann::json below = {{"depth", depth - 1}};
             co_await caesura::all(step.invoke("left", "node", below), step.invoke("right", "node", below), step.invoke("mid", "node", below));
           }}});
    const auto root = start({.name = "grow", .data = {{"depth", 3}}});
    run();
    BOOST_TEST(runtime().list({.status = {run_status::waiting, run_status::sleeping}}, {.limit = 1000}).runs.size() == 40U);
    BOOST_TEST(runtime().cancel(root, {.reason = "r"}) == cancel_outcome::cancelled);
    run();
    for (const auto& run : runtime().list({}, {.limit = 1000}).runs) {
      BOOST_TEST(run.status == run_status::cancelled);
      if (!run.parent.is_nil()) BOOST_TEST(run.cancelled_by->source == cancel_source::parent);
    }
    crash();
  }
}

BOOST_FIXTURE_TEST_CASE(children_that_stay_do_not_hide_those_that_follow_their_parent, world) {
  environment().adjust_limits = [](actors::limits& limits) { limits.sweep_threshold = 1; };
  open({{.id = "parent", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> {
           auto one = step.invoke("one", "child", nlohmann::json::object());
           auto two = step.invoke("two", "child", nlohmann::json::object());
           auto three = step.invoke("three", "child", nlohmann::json::object());
           (void)std::move(one).on_parent_cancel(child_policy::abandon);
           (void)std::move(two).on_parent_cancel(child_policy::abandon);
           co_await caesura::all(std::move(one), std::move(two), std::move(three));
         }},
        {.id = "child", .triggers = {{.event = "go/child"}}, .body = [](context step) -> task<> { co_await step.sleep_for("s", 1h); }}});
  const auto parent = start({.name = "go"});
  run();
  const auto children = runtime().list({.function = "child"}).runs;
  BOOST_REQUIRE(children.size() == 3U);
  BOOST_TEST(runtime().cancel(parent) == cancel_outcome::cancelled);
  run();
  BOOST_TEST(runtime().list({.function = "child", .status = run_status::sleeping}).runs.size() == 2U);
  BOOST_TEST(runtime().list({.function = "child", .status = run_status::cancelled}).runs.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(the_result_of_a_loser_does_not_decide_the_next_any, world) {
  open({{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<int> {
           const auto first = co_await caesura::any(step.wait_for_event("news"), step.run("late", [] { return 1; }));
           const auto second = co_await caesura::any(step.run("next", [] { return 2; }), step.sleep_for("nap", 1h));
           co_return static_cast<int>(first.index() * 10 + second.index());
         }}});
  const auto run_of = start({.name = "go"});
  settle();
  steps().execute_one();  // its report is behind the event
  runtime().send({.name = "news"});
  run();
  BOOST_TEST(runtime().result<int>(run_of) == 0);
}

BOOST_FIXTURE_TEST_CASE(runs_invoke_runs_a_hundred_deep_and_no_deeper, family_world) {
  open({{.id = "link", .triggers = {{.event = "grow"}, {.event = "inngest/function.invoked"}}, .body = [this](context step, nlohmann::json data) -> task<int> {
           const int depth = data.value("depth", 0);
           if (depth == 0) co_return 0;
           const nlohmann::json below = {{"depth", depth - 1}};
           try {
             co_return 1 + co_await step.invoke<int>("below", "link", below);
           } catch (const child_failed& e) {
             if (caught.empty()) caught = e.cause().message;
             throw;
           }
         }}});
  const auto at_the_limit = start({.name = "grow", .data = {{"depth", 100}}});
  run();
  BOOST_TEST(runtime().result<int>(at_the_limit) == 100);
  BOOST_TEST(caught.empty());
  const auto past_it = start({.name = "grow", .data = {{"depth", 101}}});
  run();
  BOOST_TEST(status(past_it) == run_status::failed);
  BOOST_TEST(caught.find("100 deep; that is the limit") != std::string::npos, caught);
}

BOOST_FIXTURE_TEST_CASE(an_abandoned_child_goes_on, family_world) {
  policy = child_policy::abandon;
  open_all();
  const auto parent = go({{"hours", 1}});
  run();
  runtime().cancel(parent);
  advance(2h);
  BOOST_TEST(status(parent) == run_status::cancelled);
  BOOST_TEST(child_of(parent).status == run_status::completed);
}

BOOST_AUTO_TEST_SUITE_END()
