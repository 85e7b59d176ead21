// Every k-th allocation fails: in the transitions, in codec and expressions, and on the caller's side of the API.

#include <functional>
#include <thread>

#include "actors/expression/expression.hpp"
#include "storage/codec.hpp"
#include "tests/faults/allocation_shim.hpp"
#include "tests/faults/scenario.hpp"

namespace {

using namespace caesura;
using caesura::testing::scenario;
namespace shim = caesura::testing::allocation_shim;

// Calls `body` with its first, second, … allocation failing until it comes through; returns how many failed. What it throws must be bad_alloc, or
// an error that says that something could not be done.
std::uint64_t fail_each(const std::function<void()>& body, const std::function<void()>& afterwards = {}) {
  std::uint64_t failed = 0;
  for (std::uint64_t k = 1;; ++k) {
    bool came_through = false;
    shim::arm(k);
    try {
      body();
      came_through = true;
    } catch (const std::bad_alloc&) {
    } catch (const error& e) {
      shim::disarm();
      BOOST_TEST((e.code() == errc::storage_failed || e.code() == errc::outcome_unknown), "allocation " << k << ": " << e.what());
    }
    shim::disarm();
    const bool has_failed = shim::failures() > 0;
    if (afterwards) afterwards();
    if (!has_failed) {
      BOOST_TEST(came_through);
      return failed;
    }
    ++failed;
  }
}

storage::run_record some_run() {
  storage::run_record run;
  run.pending = {{.kind = step_kind::wait_for_event, .step = "a wait whose name is not short", .event = "an event with a name", .when = std::string(80, 'w')},
                 {.kind = step_kind::run, .step = "b", .failed_attempts = 1, .last_error = recorded_error{std::string(60, 'e'), std::string(90, 'm')}}};
  run.cancelled_by = cancellation{.reason = std::string(70, 'r'), .by = std::string(50, 'b')};
  run.output = document({{"a", std::string(100, 'x')}, {"list", {1, 2, 3}}});
  run.groups = {1, 2, 3};
  return run;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(allocations)

BOOST_AUTO_TEST_CASE(in_the_codec) {
  const auto run = some_run();
  const std::string key(16, 'k');
  const auto bytes = storage::encode(storage::table::live_runs, key, run);
  const auto writing = fail_each([&] { BOOST_CHECK(storage::encode(storage::table::live_runs, key, run) == bytes); });
  const auto reading = fail_each([&] { BOOST_CHECK(storage::decode<storage::run_record>(storage::table::live_runs, key, bytes) == run); });
  BOOST_TEST_MESSAGE("codec: " << writing << " allocations failed in writing, " << reading << " in reading");
  BOOST_TEST(writing >= 1U);
  BOOST_TEST(reading >= 10U);
}

BOOST_AUTO_TEST_CASE(in_documents) {
  const nlohmann::json value{{"name", std::string(100, 'n')}, {"list", {1, 2.5, true, nullptr, "text that is longer than a small string"}}};
  const document held{value};
  const auto made = fail_each([&] { BOOST_CHECK(document(value) == held); });
  // Not back into nlohmann::json: its destructor allocates, and when that fails the process ends. Nothing in storage or actors does so.
  const auto checked = fail_each([&] { BOOST_CHECK(document::from_msgpack(std::string{held.bytes()}) == held); });
  BOOST_TEST_MESSAGE("documents: " << made << " allocations failed in making one of JSON, " << checked << " of msgpack");
  BOOST_TEST(made >= 1U);
  BOOST_TEST(checked >= 1U);
}

BOOST_AUTO_TEST_CASE(in_expressions) {
  const document data{{"id", "a text that is longer than a small string"}, {"list", {1, 2, 3}}, {"n", 3}};
  const expression::event_scope scope{.id = "e", .name = "go", .ts = 1, .data = storage::document_view{data.bytes()}};
  std::uint64_t failed = 0;
  // Without matches(): RE2 leaks, and complains on stderr, when an allocation of its own fails.
  for (const std::string text : {"event.data.id == async.data.id && async.data.n > 2", "event.data.list.exists(x, x == 2) && size(event.data.id + async.data.id) > 3",
                                 "async.data.id.startsWith('a text') || string(event.data.n) == 'three and a long text'"}) {
    const auto parse = [&] { return expression::compiled::parse(text, expression::roots::event_and_async); };
    failed += fail_each([&] { BOOST_CHECK(std::holds_alternative<expression::compiled>(parse())); });
    const auto rule = std::get<expression::compiled>(parse());
    failed += fail_each([&] { BOOST_CHECK(rule.matches(scope, &scope).matches); });
  }
  BOOST_TEST_MESSAGE("expressions: " << failed << " allocations failed");
  BOOST_TEST(failed >= 40U);
}

// In each story one allocation in so many fails inside a transition; together the stories fail each of them.
BOOST_AUTO_TEST_CASE(in_transitions) {
  constexpr std::uint64_t period = 400;
  std::uint64_t failed = 0, most = 0;
  for (std::uint64_t first = 1; first <= period; ++first) {
    BOOST_TEST_INFO_SCOPE("allocation " << first << " and each " << period << "th from there");
    scenario story;
    auto& watch = story.environment().watch;
    watch.applying = [] { shim::arm_again(); };
    watch.applied = [](const auto&, const auto&, const auto&) { shim::disarm(); };
    watch.taken_back = [] { shim::disarm(); };
    story.open_again();
    shim::arm(first, period);
    shim::disarm();
    story.play();
    const auto met = shim::failures();
    failed += met;
    most = std::max(most, met);
    watch.applying = {};
    shim::disarm();
    if (first % 2 == 0) {
      story.crash();
      story.open_again();
    }
    story.end();
    story.check();
  }
  BOOST_TEST_MESSAGE("transitions: " << failed << " allocations failed, up to " << most << " a story");
  BOOST_TEST(failed >= 600U);
}

// The thread that calls, in a real runtime: whatever it could not do, the runtime goes on, and nothing that was answered is lost.
BOOST_AUTO_TEST_CASE(on_the_side_of_the_caller) {
  const caesura::testing::temporary_directory directory;
  std::uint64_t failed = 0;
  std::vector<run_id> accepted;
  {
    runtime runtime{{.directory = directory.path(), .step_threads = 1, .map_size_bytes = std::size_t{64} << 20},
                    {{.id = "f", .triggers = {{.event = "go"}}, .cancel_on = {{.event = "stop"}}, .body = [](context step) -> task<> {
                        co_await step.sleep_for("week", days{7});
                      }}}};
    const event go{.name = "go", .data = {{"text", std::string(200, 't')}}};
    accepted.push_back(runtime.send(go).runs.at(0));
    const auto probe = [&] { BOOST_REQUIRE(runtime.get(accepted[0]).has_value()); };
    const std::vector<std::pair<const char*, std::function<void()>>> calls{
        {"send", [&] { accepted.push_back(runtime.send(go).runs.at(0)); }},
        {"get", [&] { (void)runtime.get(accepted[0]); }},
        {"steps", [&] { (void)runtime.steps(accepted[0]); }},
        {"list", [&] { (void)runtime.list({.function = "f", .when = "event.data.text != 'x'"}); }},
        {"preview", [&] { (void)runtime.preview({.function = "f"}); }},
        {"pause", [&] { runtime.pause("f"); }},
        {"resume", [&] { runtime.resume("f"); }},
        {"cancel", [&] { (void)runtime.cancel(accepted[0]); }},
        {"replay", [&] { (void)runtime.replay(accepted[0]); }},
    };
    for (const auto& [name, call] : calls) {
      BOOST_TEST_INFO_SCOPE(name);
      const auto count = fail_each(call, probe);
      BOOST_TEST(count >= 2U, name << ": " << count << " allocations failed");
      failed += count;
    }
    BOOST_TEST((runtime.get(accepted[0])->status == run_status::cancelled));
    for (const auto& run : accepted) BOOST_TEST(runtime.get(run).has_value());
  }
  BOOST_TEST(verify(directory.path()).is_sound());
  BOOST_TEST_MESSAGE("callers: " << failed << " allocations failed");
}

BOOST_AUTO_TEST_SUITE_END()
