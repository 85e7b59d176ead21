#include <boost/test/unit_test.hpp>

#include "actors/commit_pace.hpp"
#include "tests/support/bench.hpp"

namespace {

using caesura::actors::commit_pace;
using namespace std::chrono_literals;

// As many commits as it takes to forget what was before. `took`: next to nothing unless told.
commit_pace after_many(commit_pace pace, std::size_t commands, commit_pace::length each_commit, commit_pace::length took = 0ns) {
  for (int i = 0; i < 100; ++i) pace.committed(commands, took, each_commit);
  return pace;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(commit_pace_)

BOOST_AUTO_TEST_CASE(waits_an_eighth_of_what_a_run_needs_from_command_to_command) {
  // A command each millisecond, 40 runs: each sends one every 40 ms.
  const auto pace = after_many({10ms, 16}, 1, 1ms);
  BOOST_TEST((pace.wait(40) > 4900us));
  BOOST_TEST((pace.wait(40) <= 5ms));
  BOOST_TEST((after_many({10ms, 16}, 10, 10ms).wait(40) == pace.wait(40)));  // ten at once, ten times as seldom
}

BOOST_AUTO_TEST_CASE(never_waits_longer_than_it_may) {
  BOOST_TEST((after_many({10ms, 16}, 1, 1h).wait(1'000) == 10ms));
}

BOOST_AUTO_TEST_CASE(does_not_wait_for_few_or_when_told_never) {
  BOOST_TEST((after_many({10ms, 16}, 1, 1ms).wait(15) == 0ns));
  BOOST_TEST((after_many({0ms, 0}, 1, 1h).wait(1'000) == 0ns));
}

BOOST_AUTO_TEST_CASE(waits_next_to_nothing_when_commands_come_quickly) {
  BOOST_TEST((after_many({10ms, 16}, 50, 2ms).wait(100) <= 500us));
}

BOOST_AUTO_TEST_CASE(does_not_wait_where_it_could_save_but_a_few_commits) {
  BOOST_TEST((after_many({10ms, 16}, 1, 1ms, 1200us).wait(40) >= 4900us));
  BOOST_TEST((after_many({10ms, 16}, 1, 1ms, 1300us).wait(40) == 0ns));
}

// A commit of one command after a long wait says little when the next one has fifty.
BOOST_AUTO_TEST_CASE(small_commits_between_large_ones_do_not_look_like_slow_commands) {
  commit_pace pace{10ms, 16};
  for (int i = 0; i < 100; ++i) {
    pace.committed(1, 0ns, 5ms);
    pace.committed(50, 0ns, 5ms);
  }
  BOOST_TEST((pace.wait(100) <= 3ms));  // 51 commands in 10 ms
}

BOOST_AUTO_TEST_CASE(forgets_an_hour_without_commits_within_some_dozen) {
  auto pace = after_many({10ms, 16}, 1, 1h);
  for (int i = 0; i < 40; ++i) pace.committed(50, 0ns, 2ms);
  BOOST_TEST((pace.wait(100) <= 1500us));
}

BOOST_AUTO_TEST_CASE(a_commit_of_nothing_changes_nothing) {
  auto pace = after_many({10ms, 16}, 1, 1ms);
  const auto before = pace.wait(40);
  pace.committed(0, 1h, 1h);
  BOOST_TEST((pace.wait(40) == before));
}

// What comes while the router waits is to be in the same commit: it stands ahead of the flush.
BOOST_AUTO_TEST_CASE(the_router_waits_before_it_asks_to_be_flushed) {
  caesura::testing::bench bench{{caesura::testing::usual_function()}, [](caesura::actors::limits& limits) {
                                  limits.commit_delay = 1h;
                                  limits.commit_siblings = 1;
                                }};
  bench.started_run(1);  // under way from here on
  bench.wants_flush = false;
  bench.sleeps.clear();
  bench.send("go", 2);
  BOOST_REQUIRE(bench.sleeps.size() == 1U);
  BOOST_TEST(!bench.sleeps[0].was_flush_wanted);
  BOOST_TEST(bench.wants_flush);
  bench.send("go", 3);  // the batch is open
  BOOST_TEST(bench.sleeps.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()
