// Every limit that a caller can meet: what is at it is accepted, what is one past it is refused with a sentence that names it. Limits that need
// other words are tested with what they limit: look_back, steps of a run, nesting, page size.

#include <boost/test/unit_test.hpp>

#include "tests/support/refusal.hpp"
#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::refusal;
using caesura::testing::world;
using namespace std::chrono_literals;

struct limits_world : world {
  static void is_at_and_past(const std::function<void(std::size_t)>& call, std::size_t limit, const std::string& part) {
    BOOST_TEST(refusal([&] { call(limit); }) == "");
    const auto said = refusal([&] { call(limit + 1); });
    BOOST_TEST(said.find(part) != std::string::npos, "\"" << said << "\" does not say \"" << part << "\"");
  }
  // Opens a runtime of one function, and closes it.
  void open_and_close(const std::function<void(function&)>& change) {
    function fn{.id = "f", .triggers = {{.event = "go"}}, .body = [](context) -> task<> { co_return; }};
    change(fn);
    open({std::move(fn)});
    close();
  }
  // Runs "f" with `size`; how it ended, and what its error says.
  std::pair<run_status, std::string> outcome(std::size_t size) {
    const auto run_of = start({.name = "go", .data = {{"size", size}}});
    run();
    const auto info = runtime().get(run_of).value();
    return {info.status, info.error ? info.error->message : ""};
  }
  void run_is_at_and_past(std::size_t limit, const std::string& part, run_status at_the_limit = run_status::completed) {
    const auto at = outcome(limit);
    BOOST_TEST(at.first == at_the_limit, at.second);
    const auto past = outcome(limit + 1);
    BOOST_TEST(past.first == run_status::failed);
    BOOST_TEST(past.second.find(part) != std::string::npos, "\"" << past.second << "\" does not say \"" << part << "\"");
  }
  void open_one(std::function<task<>(context, std::size_t)> body) {
    open({{.id = "f", .triggers = {{.event = "go"}}, .retries = {.retries = 0}, .body = [body = std::move(body)](context step, nlohmann::json data) -> task<> {
             return body(step, data["size"].get<std::size_t>());
           }}});
  }
  // Sends an event whose name, id and data have this many bytes together.
  void send_bytes(std::size_t count, const std::string& id = {}) { runtime().send(event_of(count, id)); }
  static event event_of(std::size_t count, const std::string& id = {}) {
    event result{.name = "big", .data = {{"text", std::string(70'000, 'x')}}, .id = id};
    const std::size_t others = result.name.size() + id.size() + result.data.bytes().size() - 70'000;
    result.data = document{{"text", std::string(count - others, 'x')}};
    return result;
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(limits)

BOOST_FIXTURE_TEST_CASE(of_a_function, limits_world) {
  is_at_and_past([&](std::size_t n) { open_and_close([&](function& f) { f.id = std::string(n, 'f'); }); }, 128, "id has 129 bytes; the limit is 128");
  is_at_and_past([&](std::size_t n) { open_and_close([&](function& f) { f.triggers.assign(n, {.event = "go"}); }); }, 10,
                 "triggers has 11 entries; the limit is 10");
  is_at_and_past([&](std::size_t n) { open_and_close([&](function& f) { f.triggers[0].event = std::string(n, 'e'); }); }, 255,
                 "triggers[0].event has 256 bytes; the limit is 255");
  is_at_and_past([&](std::size_t n) { open_and_close([&](function& f) { f.cancel_on.assign(n, {.event = "stop"}); }); }, 20,
                 "cancel_on has 21 entries; the limit is 20");
  is_at_and_past([&](std::size_t n) { open_and_close([&](function& f) { f.retries.retries = static_cast<std::uint32_t>(n); }); }, 20,
                 "retries is 21; the limit is 20");
  is_at_and_past([&](std::size_t n) { open_and_close([&](function& f) { f.concurrency.assign(n, {}); }); }, 2,
                 "concurrency has 3 entries; the limit is 2");
  is_at_and_past(
      [&](std::size_t n) {
        open_and_close([&](function& f) {
          f.concurrency.assign(2, {});
          f.concurrency.resize(2 + n, {.counts_resting = true});
        });
      },
      2, "concurrency has 3 entries that count whole runs; the limit is 2");
  const auto padded = [](std::size_t n) { return "event.data.id == async.data.id" + std::string(n - 30, ' '); };
  is_at_and_past([&](std::size_t n) { open_and_close([&](function& f) { f.cancel_on = {{.event = "stop", .when = padded(n)}}; }); }, 4096, "4096");
}

BOOST_FIXTURE_TEST_CASE(of_what_is_sent, limits_world) {
  open({});
  is_at_and_past([&](std::size_t n) { runtime().send({.name = std::string(n, 'e')}); }, 255, "the name has 256 bytes; the limit is 255");
  is_at_and_past([&](std::size_t n) { runtime().send({.name = "e", .id = std::string(n, 'i')}); }, 256, "the id has 257 bytes; the limit is 256");
  is_at_and_past([&](std::size_t n) { send_bytes(n); }, 512 * 1024, "has 524289 bytes; the limit is 524288");
  is_at_and_past([&](std::size_t n) { runtime().send(std::vector<event>(n, {.name = "e"})); }, 5'000, "one send has 5001 events; the limit is 5000");
  is_at_and_past(
      [&](std::size_t n) {
        std::vector<event> events(31, event_of(512 * 1024));
        events.push_back(event_of(n - 31 * 512 * 1024 - 70'001));
        events.push_back(event_of(70'001));
        runtime().send(events);
      },
      16 * 1024 * 1024, "one send has 16777217 bytes; the limit is 16777216");
}

BOOST_FIXTURE_TEST_CASE(of_a_signal, limits_world) {
  open_one([](context step, std::size_t size) -> task<> {
    const std::string name(size, 's');
    co_await step.wait_for_signal(name).timeout(1h);
  });
  is_at_and_past([&](std::size_t n) { (void)runtime().send_signal(std::string(n, 's')); }, 240, "name has 241 bytes; the limit is 240");
  is_at_and_past([&](std::size_t n) { (void)runtime().send_signal("s", std::string(n - 6, 'x')); }, 512 * 1024, "has 524289 bytes; the limit is 524288");
  BOOST_TEST(refusal([&] { (void)runtime().send_signal(""); }).find("no name") != std::string::npos);
  BOOST_TEST(refusal([&] { (void)runtime().send_signal("\xff"); }).find("UTF-8") != std::string::npos);
  run_is_at_and_past(240, "name has 241 bytes; the limit is 240", run_status::waiting);
}

BOOST_FIXTURE_TEST_CASE(of_a_step_id, limits_world) {
  open_one([](context step, std::size_t size) -> task<> {
    const std::string id(size, 's');
    co_await step.run(id, [] {});
  });
  run_is_at_and_past(255, "has 256 bytes; the limit is 255");
}

BOOST_FIXTURE_TEST_CASE(of_a_step_result, limits_world) {
  open_one([](context step, std::size_t size) -> task<> {
    co_await step.run("big", [&] { return std::string(size - 5, 'x'); });  // msgpack puts 5 bytes ahead of a long text
  });
  run_is_at_and_past(4 * 1024 * 1024, "the limit is 4194304");
}

BOOST_FIXTURE_TEST_CASE(of_all_results_of_a_run, limits_world) {
  environment().adjust_limits = [](actors::limits& l) { l.run_state_bytes = 10'000; };
  open_one([](context step, std::size_t size) -> task<> {
    for (int i = 0; i < 9; ++i) co_await step.run("s", [] { return std::string(1'000 - 3, 'x'); });
    co_await step.run("last", [&] { return std::string(size - 9'000 - 3, 'x'); });
  });
  run_is_at_and_past(10'000, "would pass 10000 bytes");
}

BOOST_FIXTURE_TEST_CASE(of_all_results_of_steps_side_by_side, limits_world) {
  environment().adjust_limits = [](actors::limits& l) { l.run_state_bytes = 10'000; };
  std::size_t executed = 0;
  open_one([&](context step, std::size_t size) -> task<> {
    std::vector<int> elements(size);
    co_await step.for_each("s", elements, [&](int) {
      ++executed;
      return std::string(1'000 - 3, 'x');
    });
  });
  run_is_at_and_past(10, "would pass 10000 bytes");
  executed = 0;
  const auto many = start({.name = "go", .data = {{"size", 500}}});
  run();
  BOOST_TEST(status(many) == run_status::failed);
  BOOST_TEST(executed <= 20U);
}

BOOST_FIXTURE_TEST_CASE(of_steps_side_by_side, limits_world) {
  environment().adjust_limits = [](actors::limits& l) { l.steps_per_run = 10; };
  std::size_t executed = 0;
  open_one([&](context step, std::size_t size) -> task<> {
    std::vector<int> elements(size);
    co_await step.for_each("s", elements, [&](int) { ++executed; });
  });
  run_is_at_and_past(10, "more than 10 steps");
  BOOST_TEST(executed == 10U);
}

BOOST_FIXTURE_TEST_CASE(of_a_sleep_and_of_a_wait, limits_world) {
  open_one([](context step, std::size_t size) -> task<> {
    const auto length = days{366} + 1ms * static_cast<int>(size);
    co_await step.sleep_for("s", length);
  });
  run_is_at_and_past(0, "the limit is 366 days", run_status::sleeping);
  close();
  open_one([](context step, std::size_t size) -> task<> {
    const auto end = step.now() + days{366} + 1ms * static_cast<int>(size);
    co_await step.sleep_until("s", end);
  });
  run_is_at_and_past(0, "more than 366 days away", run_status::sleeping);
  close();
  open_one([](context step, std::size_t size) -> task<> {
    const auto length = days{366} + 1ms * static_cast<int>(size);
    auto e = co_await step.wait_for_event("never").timeout(length);
  });
  run_is_at_and_past(0, "the limit is 366 days", run_status::waiting);
}

BOOST_FIXTURE_TEST_CASE(of_waits_at_once, limits_world) {
  environment().adjust_limits = [](actors::limits& l) { l.waits_at_once = 3; };
  open_one([](context step, std::size_t size) -> task<> {
    auto first = step.wait_for_event("never").named("1");
    auto second = step.wait_for_event("never").named("2");
    auto third = step.wait_for_event("never").named("3");
    if (size == 3) {
      co_await caesura::all(std::move(first), std::move(second), std::move(third));
    } else {
      auto fourth = step.wait_for_event("never").named("4");
      co_await caesura::all(std::move(first), std::move(second), std::move(third), std::move(fourth));
    }
  });
  const auto at = start({.name = "go", .data = {{"size", 3}}});
  const auto past = start({.name = "go", .data = {{"size", 4}}});
  run();
  BOOST_TEST(status(at) == run_status::waiting);
  BOOST_TEST(runtime().steps(at).empty());
  BOOST_TEST(status(past) == run_status::waiting);  // for the other three; then it is thrown
  BOOST_REQUIRE(runtime().steps(past).size() == 1U);
  BOOST_TEST(runtime().steps(past)[0].error->message == "the run waits for 3 events at once; that is the limit");
  runtime().send({.name = "never"});
  run();
  BOOST_TEST(status(at) == run_status::completed);
  BOOST_TEST(status(past) == run_status::failed);
}

BOOST_FIXTURE_TEST_CASE(of_live_runs, limits_world) {
  options().live_runs = 3;
  open_one([](context step, std::size_t) -> task<> { co_await step.run("s", [] {}); });
  std::vector<run_id> runs;
  for (int i = 0; i < 4; ++i) runs.push_back(start({.name = "go", .data = {{"size", 0}}}));
  settle();
  BOOST_TEST(steps().waiting() == 3U);
  BOOST_TEST(status(runs[2]) == run_status::running);
  BOOST_TEST(status(runs[3]) == run_status::queued);
  run();
  BOOST_TEST(status(runs[3]) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(of_the_state_of_all_live_runs, limits_world) {
  // Runs with 1,000 bytes of results wake at the same time. At the limit no other is activated, so at most one passes it.
  options().live_state_bytes = 2'000;
  open_one([](context step, std::size_t) -> task<> {
    co_await step.run("s", [] { return std::string(1'000 - 3, 'x'); });
    co_await step.sleep_for("hour", 1h);
    co_await step.run("t", [] {});
  });
  std::vector<run_id> runs;
  for (int i = 0; i < 4; ++i) runs.push_back(start({.name = "go", .data = {{"size", 0}}}));
  run();
  set_clock(now() + 2h);
  environment().fire_timers();
  settle();
  BOOST_TEST(steps().waiting() == 2U);
  BOOST_TEST(status(runs[1]) == run_status::running);
  BOOST_TEST(status(runs[2]) == run_status::queued);
  run();
  for (const auto& one : runs) BOOST_TEST(status(one) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(of_filters_and_texts, limits_world) {
  open_one([](context step, std::size_t) -> task<> { co_await step.sleep_for("day", 24h); });
  const auto run_of = start({.name = "go", .data = {{"size", 0}}});
  run();
  is_at_and_past([&](std::size_t n) { (void)runtime().list({.function = std::vector<std::string>(n, "f")}); }, 10'000,
                 "10001 functions; the limit is 10000");
  is_at_and_past([&](std::size_t n) { (void)runtime().list({.run = std::vector<run_id>(n, run_of)}); }, 10'000, "10001 runs; the limit is 10000");
  is_at_and_past([&](std::size_t n) { (void)runtime().list({}, {.limit = n}); }, 5'000, "limit is 5001; it must be 1 to 5000");
  is_at_and_past([&](std::size_t n) { (void)runtime().list({.when = "true" + std::string(n - 4, ' ')}); }, 4096, "4096");
  is_at_and_past([&](std::size_t n) { (void)runtime().replay_all({.function = "none"}, {.rate_per_second = static_cast<double>(n)}); }, 1'000'000,
                 "it must be 0 (no limit) to 1000000");
  is_at_and_past([&](std::size_t n) { runtime().pause("f", {.reason = std::string(n, 'r')}); }, 4096, "has 4097 bytes; the limit is 4096");
  is_at_and_past([&](std::size_t n) { runtime().cancel(run_of, {.reason = std::string(n, 'r')}); }, 4096, "has 4097 bytes; the limit is 4096");
}

BOOST_FIXTURE_TEST_CASE(of_a_plan_s_and_an_ended_run_s_life, limits_world) {
  options().keep_runs = days{2};
  open_one([](context, std::size_t) -> task<> { co_return; });
  const auto ended = start({.name = "go", .data = {{"size", 0}}});
  run();
  const auto plan = runtime().preview({.function = "f"});
  advance(24h - 1ms);
  BOOST_TEST(refusal([&] { (void)runtime().cancel_all(plan, {.reason = "in time"}); }) == "");
  const auto late = runtime().preview({.function = "f"});
  advance(24h);
  BOOST_TEST(refusal([&] { (void)runtime().cancel_all(late, {.reason = "too late"}); }).find("good for 24 h") != std::string::npos);
  BOOST_TEST(runtime().get(ended).has_value());
  advance(1h + 1ms);  // a purge begins every hour
  BOOST_TEST(!runtime().get(ended).has_value());
}

BOOST_FIXTURE_TEST_CASE(events_are_kept_for_24_hours_however_short_the_option_is, limits_world) {
  options().keep_events = 1h;
  options().keep_runs = 1h;
  open({});
  runtime().send({.name = "go", .data = {{"n", 1}}, .id = "e"});
  advance(24h - 1ms);
  BOOST_TEST(runtime().send({.name = "go", .data = {{"n", 1}}, .id = "e"}).is_duplicate);
  advance(1ms);
  BOOST_TEST(!runtime().send({.name = "go", .data = {{"n", 1}}, .id = "e"}).is_duplicate);
}

BOOST_AUTO_TEST_SUITE_END()
