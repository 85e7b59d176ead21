// What a runtime tells of itself as a whole: its events by page, its numbers.

#include <boost/test/unit_test.hpp>

#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::world;
using namespace std::chrono_literals;

function sleeping() {
  return {.id = "f", .triggers = {{.event = "go"}}, .body = [](context step) -> task<> { co_await step.sleep_for("rest", 1h); }};
}

std::vector<std::string> names_of(const event_page& page) {
  std::vector<std::string> result;
  for (const auto& one : page.events) result.push_back(one.event.name + one.event.id);
  return result;
}

using list = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_SUITE(overview)

BOOST_FIXTURE_TEST_CASE(events_are_listed_newest_first_page_by_page, world) {
  open({sleeping()});
  for (const char* const id : {"1", "2", "3"}) {
    runtime().send({.name = "a", .id = id});
    runtime().send({.name = "b", .id = id});
  }
  const auto first = runtime().list_events({}, {.limit = 4});
  BOOST_TEST(names_of(first) == (list{"b3", "a3", "b2", "a2"}), boost::test_tools::per_element());
  const auto second = runtime().list_events({}, {.before = first.next, .limit = 4});
  BOOST_TEST(names_of(second) == (list{"b1", "a1"}), boost::test_tools::per_element());
  BOOST_TEST(!second.next.has_value());
  const auto named = runtime().list_events({.name = "a"}, {.limit = 2});
  BOOST_TEST(names_of(named) == (list{"a3", "a2"}), boost::test_tools::per_element());
  BOOST_TEST(names_of(runtime().list_events({.name = "a"}, {.before = named.next})) == (list{"a1"}), boost::test_tools::per_element());
  BOOST_TEST(runtime().list_events({.name = "none"}).events.empty());
}

BOOST_FIXTURE_TEST_CASE(a_window_of_events_is_from_its_beginning_and_before_its_end, world) {
  open({sleeping()});
  runtime().send({.name = "a", .id = "1"});
  advance(1min);
  const auto begin = now();
  runtime().send({.name = "a", .id = "2"});
  advance(1min);
  runtime().send({.name = "a", .id = "3"});
  BOOST_TEST(names_of(runtime().list_events({.received_after = begin, .received_before = begin + 1min})) == (list{"a2"}), boost::test_tools::per_element());
  BOOST_CHECK_THROW((void)runtime().list_events({.received_after = begin, .received_before = begin}), error);
  BOOST_CHECK_THROW((void)runtime().list_events({}, {.limit = 0}), error);
}

BOOST_FIXTURE_TEST_CASE(open_runs_are_counted_by_status, world) {
  open({sleeping()});
  const auto rests = start({.name = "go"});
  start({.name = "go"});
  run();
  runtime().cancel(rests);
  const auto stats = runtime().stats();
  BOOST_TEST(stats.open_runs == 1U);
  BOOST_TEST(stats.open_by_status.at(run_status::sleeping) == 1U);
  BOOST_TEST(stats.counted == 1U);
  BOOST_TEST(stats.store_bytes > 0U);
}

BOOST_FIXTURE_TEST_CASE(before_the_first_time_of_all_there_are_no_events, world) {
  open({sleeping()});
  runtime().send({.name = "a", .id = "1"});
  const auto page = runtime().list_events({.received_before = time_point{}});
  BOOST_TEST(page.events.empty());
  BOOST_TEST(!page.next.has_value());
  BOOST_TEST(runtime().list_events({.name = "a", .received_before = time_point{} - 1h}).events.empty());
}

BOOST_AUTO_TEST_SUITE_END()
