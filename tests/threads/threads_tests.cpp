// The real thing, with its threads: what TSan is to look at. Waits for outcomes, never for time.

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <future>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include <caesura/caesura.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include "actors/step_threads.hpp"
#include "tests/support/program_loop.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace caesura;
using namespace std::chrono_literals;

constexpr duration patience = 60s;

options small(const std::string& directory) {
  return {.directory = directory, .step_threads = 8, .live_runs = 50, .map_size_bytes = std::size_t{256} << 20};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(threads)

BOOST_AUTO_TEST_CASE(runs_of_many_senders_all_end_as_promised) {
  const caesura::testing::temporary_directory directory;
  std::atomic<int> steps{0};
  const function two_steps{.id = "f",
                           .triggers = {{.event = "go"}},
                           .cancel_on = {{.event = "stop", .when = "event.data.id == async.data.id"}},
                           .body = [&](context step) -> task<int> {
                             const int a = co_await step.run("a", [&] { return ++steps, 1; });
                             co_await step.sleep_for("blink", 5ms);
                             co_return a + co_await step.run("b", [&] { return ++steps, 1; });
                           }};
  std::vector<std::thread> senders;
  std::mutex mutex;
  std::set<run_id> kept;
  std::set<run_id> cancelled;
  std::set<run_id> late;
  {
    runtime runtime{small(directory.path()), {two_steps}};
    for (int sender = 0; sender < 4; ++sender) {
      senders.emplace_back([&, sender] {
        for (int i = 0; i < 50; ++i) {
          const auto sent = runtime.send({.name = "go", .data = {{"id", sender * 1000 + i}}});
          const auto run = sent.runs.at(0);
          if (i % 3 == 0) runtime.send({.name = "stop", .data = {{"id", sender * 1000 + i}}});
          const auto outcome = i % 3 == 1 ? runtime.cancel(run) : cancel_outcome::unknown_run;
          const std::lock_guard lock{mutex};
          if (i % 3 == 2) {
            kept.insert(run);
          } else if (outcome == cancel_outcome::already_completed) {
            late.insert(run);
          } else if (i % 3 == 1) {
            cancelled.insert(run);
          }
        }
      });
    }
    for (auto& sender : senders) sender.join();
    for (const auto& run : kept) BOOST_TEST((runtime.wait(run, patience).value().status == run_status::completed));
    for (const auto& run : late) BOOST_TEST((runtime.wait(run, patience).value().status == run_status::completed));
    for (const auto& run : cancelled) BOOST_TEST((runtime.wait(run, patience).value().status == run_status::cancelled));
    for (const auto& run : runtime.list({}, {.limit = 5000}).runs) BOOST_TEST(runtime.wait(run.id, patience).has_value());
  }
}

BOOST_AUTO_TEST_CASE(destroying_the_runtime_finishes_executing_steps_and_leaves_the_rest_to_the_next_start) {
  const caesura::testing::temporary_directory directory;
  std::atomic<int> executed{0};
  const auto functions = [&] {
    return std::vector<function>{{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
                                    for (int i = 0; i < 5; ++i) co_await step.run("s", [&] { ++executed; });
                                  }}};
  };
  std::vector<run_id> runs;
  for (int generation = 0; generation < 5; ++generation) {
    runtime runtime{small(directory.path()), functions()};
    for (int i = 0; i < 20; ++i) runs.push_back(runtime.send({.name = "go"}).runs.at(0));
  }
  {
    runtime runtime{small(directory.path()), functions()};
    for (const auto& run : runs) BOOST_TEST((runtime.wait(run, patience).value().status == run_status::completed));
  }
  BOOST_TEST(executed == 500);  // a clean stop repeats no step
}

BOOST_AUTO_TEST_CASE(a_cancel_answered_while_a_step_executes_is_honoured_after_it) {
  const caesura::testing::temporary_directory directory;
  std::atomic<bool> is_executing{false};
  std::atomic<bool> may_end{false};
  bool went_on = false;
  runtime runtime{small(directory.path()), {{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
                                                co_await step.run("slow", [&] {
                                                  is_executing = true;
                                                  is_executing.notify_all();
                                                  may_end.wait(false);
                                                });
                                                co_await step.run("next", [&] { went_on = true; });
                                              }}}};
  const auto run = runtime.send({.name = "go"}).runs.at(0);
  is_executing.wait(false);
  BOOST_TEST((runtime.cancel(run) == cancel_outcome::cancelling));
  BOOST_TEST(!runtime.wait(run, 0ms).has_value());
  may_end = true;
  may_end.notify_all();
  BOOST_TEST((runtime.wait(run, patience).value().status == run_status::cancelled));
  BOOST_TEST(!went_on);
  BOOST_TEST(runtime.steps(run).size() == 1U);
}

BOOST_AUTO_TEST_CASE(with_an_executor_bodies_and_observers_are_executed_on_its_thread_and_steps_are_not) {
  const caesura::testing::temporary_directory directory;
  caesura::testing::program_loop loop;
  std::atomic<std::thread::id> body{};
  std::atomic<std::thread::id> executing{};
  std::promise<std::thread::id> told;
  const function one_step{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
                            co_await step.run("a", [&] { executing = std::this_thread::get_id(); });
                            body = std::this_thread::get_id();
                          }};
  auto settings = small(directory.path());
  settings.observer.on_run_ended = [&](const run_info&) { told.set_value(std::this_thread::get_id()); };
  settings.executor = &loop;
  runtime runtime{settings, {one_step}};
  const auto run = runtime.send({.name = "go"}).runs.at(0);
  BOOST_TEST((runtime.wait(run, patience)->status == run_status::completed));
  BOOST_TEST((body.load() == loop.thread()));
  BOOST_TEST((executing.load() != loop.thread()));
  BOOST_TEST((told.get_future().get() == loop.thread()));
}

BOOST_AUTO_TEST_CASE(on_the_executors_thread_waiting_is_refused_and_reading_is_not) {
  const caesura::testing::temporary_directory directory;
  caesura::testing::program_loop loop;
  auto settings = small(directory.path());
  settings.executor = &loop;
  settings.live_runs = 1;
  std::atomic<bool> may_end{false};
  runtime runtime{settings, {{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
                                co_await step.run("slow", [&] { may_end.wait(false); });
                              }}}};
  runtime.send({.name = "go"});
  const auto run = runtime.send({.name = "go"}).runs.at(0);
  BOOST_TEST(runtime.get(run)->place_in_queue.has_value());
  std::atomic<bool> is_read{false};
  std::promise<std::string> refused;
  loop.post([&] {
    try {
      const auto queued = runtime.get(run);
      if (queued->status != run_status::queued || queued->place_in_queue || runtime.list().runs.size() != 2) throw std::runtime_error{"a queued run is read wrong"};
      is_read = true;
      runtime.send({.name = "go"});
      refused.set_value("nothing");
    } catch (const error& e) {
      refused.set_value((e.code() == errc::wrong_thread ? "wrong_thread: " : "other: ") + std::string{e.what()});
    } catch (const std::exception& e) {
      refused.set_value(e.what());
    }
  });
  BOOST_TEST(refused.get_future().get().starts_with("wrong_thread: a call that waits for the runtime was made on the thread of options.executor"));
  BOOST_TEST(is_read);
  may_end = true;
  may_end.notify_all();
  BOOST_TEST((runtime.wait(run, patience)->status == run_status::completed));
}

BOOST_AUTO_TEST_CASE(a_stop_that_is_refused_stops_nothing) {
  const caesura::testing::temporary_directory directory;
  caesura::testing::program_loop loop;
  auto settings = small(directory.path());
  settings.executor = &loop;
  runtime runtime{settings, {{.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> { co_await step.run("a", [] {}); }}}};
  std::promise<errc> refused;
  loop.post([&] {
    try {
      (void)runtime.stop(duration{1});
      refused.set_value(errc::stopped);
    } catch (const error& e) {
      refused.set_value(e.code());
    }
  });
  BOOST_TEST((refused.get_future().get() == errc::wrong_thread));
  BOOST_TEST((runtime.wait(runtime.send({.name = "go"}).runs.at(0), patience)->status == run_status::completed));
}

BOOST_AUTO_TEST_CASE(an_executor_beside_an_actor_system_is_refused) {
  const caesura::testing::temporary_directory directory;
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto settings = small(directory.path());
  settings.actor_system = &system;
  caesura::testing::program_loop loop;
  settings.executor = &loop;
  BOOST_CHECK_EXCEPTION((runtime{settings, {}}), error, [](const error& e) {
    return e.code() == errc::invalid_argument && std::string{e.what()}.find("options.executor") != std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(too_many_waiting_commands_are_answered_overloaded) {
  const caesura::testing::temporary_directory directory;
  auto options = small(directory.path());
  options.waiting_commands = 0;
  runtime runtime{options, {}};
  try {
    runtime.send({.name = "go"});
    BOOST_FAIL("it was accepted");
  } catch (const error& e) {
    BOOST_TEST((e.code() == errc::overloaded));
  }
}

BOOST_AUTO_TEST_CASE(a_step_that_waits_for_a_run_at_rest_does_not_hold_up_the_end, *boost::unit_test::timeout(60)) {
  const caesura::testing::temporary_directory directory;
  std::promise<void> executes;
  std::promise<std::string> told;
  std::function<std::optional<run_info>(const run_id&)> wait;
  {
    runtime runtime{small(directory.path()),
                    {{.id = "sleeps", .triggers = {{.event = "sleep"}}, .body = [](context step) -> task<> { co_await step.sleep_for("week", days{7}); }},
                     {.id = "waits", .triggers = {{.event = "wait"}}, .retries = {.retries = 0}, .body = [&](context step, event e) -> task<> {
                        co_await step.run("wait", [&] {
                          executes.set_value();
                          try {
                            (void)wait(parse_id<run_id>(e.data.json().at("run").get<std::string>()).value());
                            told.set_value("an answer");
                          } catch (const error& why) {
                            told.set_value(std::string{to_string(why.code())});
                          }
                        });
                      }}}};
    wait = [&](const run_id& run) { return runtime.wait(run, 24h); };
    const auto run = runtime.send({.name = "sleep"}).runs.at(0);
    runtime.send({.name = "wait", .data = {{"run", to_string(run)}}});
    executes.get_future().wait();
  }
  BOOST_TEST(told.get_future().get() == "stopped");
}

BOOST_AUTO_TEST_CASE(a_wait_may_be_as_long_as_a_duration_can_be) {
  const caesura::testing::temporary_directory directory;
  std::atomic<bool> may_end{false};
  runtime runtime{small(directory.path()), {{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
                                                co_await step.run("slow", [&] { may_end.wait(false); });
                                              }}}};
  const auto run = runtime.send({.name = "go"}).runs.at(0);
  auto waited = std::async(std::launch::async, [&] { return runtime.wait(run, duration::max()); });
  (void)runtime.send({.name = "unheard"});
  may_end = true;
  may_end.notify_all();
  const auto ended = waited.get();
  BOOST_REQUIRE(ended.has_value());
  BOOST_TEST((ended->status == run_status::completed));
  BOOST_TEST(runtime.stop(duration::max()).empty());
}

BOOST_AUTO_TEST_CASE(a_step_waits_until_the_system_gives_a_thread_for_it) {
  const actors::system_clock clock;
  std::atomic<int> refused{0};
  std::vector<std::string> told;
  std::promise<void> executed;
  std::function<std::thread(std::function<void()>)> make = [&](std::function<void()> body) {
    if (refused.load() > 0) {
      --refused;
      throw std::system_error{std::make_error_code(std::errc::resource_unavailable_try_again)};
    }
    return std::thread{std::move(body)};
  };
  struct counted final : detail::operation {
    explicit counted(std::function<void()> body) : operation{step_kind::run, "s"}, body_{std::move(body)} {}
    document execute(const step_attempt&, const std::stop_token&) override {
      body_();
      return {};
    }
    std::function<void()> body_;
  };
  std::atomic<int> done{0};
  counted operation{[&] {
    if (++done == 3) executed.set_value();
  }};
  actors::step_threads threads{2, clock, 1000, {.make_thread = make, .diagnosed = [&](const std::string& text) { told.push_back(text); }}};
  const auto submit = [&] {
    auto job = std::make_shared<actors::step_job>();
    job->gate = std::make_shared<actors::start_gate>();
    job->operation = &operation;
    job->attempt = {.run = {}, .step = "s", .attempt = 1};
    job->done = [](actors::step_outcome) {};
    threads.submit(std::move(job));
  };
  refused = 3;
  submit();
  submit();  // asks again
  BOOST_TEST(!threads.ask_again());
  BOOST_TEST(done == 0);
  BOOST_REQUIRE(told.size() == 1U);
  BOOST_TEST(told[0].starts_with("no thread could be made for a step"));
  BOOST_TEST(threads.ask_again());
  submit();
  executed.get_future().wait();
}

BOOST_AUTO_TEST_SUITE_END()
