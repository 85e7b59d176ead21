#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include <caesura/time.hpp>

namespace caesura::detail {

// Tells by how much the wall clock was set, from pairs of wall time and time since boot (which sleep does not stop).
class clock_watch {
 public:
  // The jump since the last call, when it is more than an hour either way.
  std::optional<duration> look(time_point wall, duration since_boot);

 private:
  std::optional<duration> offset_;
};

// One thread that calls `ring` when the wall clock reaches the time that was set last. Looks at the clock at least once a minute, so a
// clock that is set is noticed. set: any thread.
class alarm {
 public:
  struct calls {
    std::function<void()> ring{};
    std::function<void(duration)> jumped{};               // the wall clock was set by more than an hour
    std::function<std::optional<duration>()> look{};      // at each look; gives the time to the next, at most a minute
  };

  // What the time is, and how to wait. Tests give a script's.
  struct clocks {
    std::function<time_point()> wall{};
    std::function<duration()> since_boot{};
    // At most so long, by a clock that nobody sets: however far the wall clock is set back meanwhile, it makes the wait no longer.
    std::function<void(std::condition_variable&, std::unique_lock<std::mutex>&, duration)> wait{};

    [[nodiscard]] static clocks of_system();
  };

  explicit alarm(calls calls, clocks clocks = clocks::of_system());
  ~alarm();
  alarm(const alarm&) = delete;
  alarm& operator=(const alarm&) = delete;

  void set(std::optional<time_point> when);

 private:
  void watch();

  const calls calls_;
  const clocks clocks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<time_point> when_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace caesura::detail
