// The alarm in virtual time: its thread is real, the clocks that it reads and the time that it waits are a script's.

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/alarm.hpp"

namespace {

using namespace caesura;
using namespace std::chrono_literals;

// A wait takes no time: it moves the clocks. Before the alarm is set and after it has rung, the thread rests. All but `begin` and `rung` belongs to the thread
// until `rung` is there.
struct timed_alarm {
  const time_point start{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1}};
  time_point wall = start;
  duration steady = days{7};  // since boot
  std::function<void()> during_wait;  // the clock may be set
  std::vector<duration> waits;
  std::vector<std::pair<duration, duration>> jumps;  // when, by the steady clock, and by how much
  std::promise<void> rung;
  duration rung_at{};

  detail::alarm::calls calls() {
    return {.ring =
                [this] {
                  rung_at = steady;
                  has_rung_ = true;
                  rung.set_value();
                },
            .jumped = [this](duration by) { jumps.emplace_back(steady, by); },
            .look = [this]() -> std::optional<duration> {
              is_set_.wait(false);
              return std::nullopt;
            }};
  }
  detail::alarm::clocks clocks() {
    return {.wall = [this] { return wall; },
            .since_boot = [this] { return steady; },
            .wait =
                [this](std::condition_variable& changed, std::unique_lock<std::mutex>& lock, duration length) {
                  if (has_rung_) {
                    changed.wait(lock);
                    return;
                  }
                  waits.push_back(length);
                  steady += length;
                  wall += length;
                  if (during_wait) during_wait();
                }};
  }
  void ring_at(time_point when) {
    detail::alarm alarm{calls(), clocks()};
    alarm.set(when);
    is_set_ = true;
    is_set_.notify_all();
    rung.get_future().wait();
  }

 private:
  std::atomic<bool> is_set_{false};
  bool has_rung_ = false;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(alarms)

BOOST_FIXTURE_TEST_CASE(an_alarm_rings_at_its_time_and_looks_at_the_clock_every_minute, timed_alarm) {
  ring_at(start + 150s);
  BOOST_TEST((rung_at == days{7} + 150s));
  BOOST_TEST((waits == std::vector<duration>{60s, 60s, 30s}));
  BOOST_TEST(jumps.empty());
}

BOOST_FIXTURE_TEST_CASE(a_clock_that_is_set_back_is_noticed_within_a_minute_and_the_alarm_follows_it, timed_alarm) {
  during_wait = [this] {
    if (waits.size() == 2) wall -= days{365};
    if (waits.size() == 5) wall += days{365};  // so that the test ends
  };
  ring_at(start + 1h);
  BOOST_REQUIRE(jumps.size() == 2U);
  BOOST_TEST((jumps[0] == std::pair<duration, duration>{days{7} + 2min, -days{365}}));
  BOOST_TEST((jumps[1] == std::pair<duration, duration>{days{7} + 5min, days{365}}));
  BOOST_TEST((rung_at == days{7} + 1h));
  BOOST_TEST((waits == std::vector<duration>(60, 1min)));
}

BOOST_FIXTURE_TEST_CASE(a_clock_that_is_set_back_by_less_than_a_jump_makes_the_alarm_later_by_that_much, timed_alarm) {
  during_wait = [this] {
    if (waits.size() == 1) wall -= 10min;
  };
  ring_at(start + 30s);
  BOOST_TEST(jumps.empty());
  BOOST_TEST((rung_at == days{7} + 30s + 10min));
  BOOST_TEST((waits.front() == 30s));
  BOOST_TEST((*std::ranges::max_element(waits) == 1min));
}

BOOST_FIXTURE_TEST_CASE(a_clock_that_is_set_ahead_makes_the_alarm_ring_at_the_next_look, timed_alarm) {
  during_wait = [this] {
    if (waits.size() == 1) wall += days{30};
  };
  ring_at(start + days{20});
  BOOST_TEST((rung_at == days{7} + 1min));
  BOOST_REQUIRE(jumps.size() == 1U);
  BOOST_TEST((jumps[0].second == days{30}));
}

// Each look at the clock comes after whatever the one before it has led to.
BOOST_AUTO_TEST_CASE(a_time_that_never_comes_rings_no_alarm) {
  std::atomic<int> rung{0};
  std::atomic<int> looks{0};
  detail::alarm alarm{{.ring = [&] { ++rung; },
                       .jumped = [](duration) {},
                       .look =
                           [&]() -> std::optional<duration> {
                             ++looks;
                             looks.notify_all();
                             return 1ms;
                           }}};
  alarm.set(time_point::max());
  for (int more = 0; more < 3; ++more) looks.wait(looks);
  BOOST_TEST(rung == 0);
}

BOOST_AUTO_TEST_SUITE_END()
