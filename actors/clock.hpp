#pragma once

#include <caesura/time.hpp>

namespace caesura::actors {

// Where the shells read the time; tests give one that stands still. Any thread.
class clock {
 public:
  virtual ~clock() = default;
  [[nodiscard]] virtual time_point now() const = 0;
};

// The last time that there is where `at + by` is beyond it, the first where it is before that.
[[nodiscard]] constexpr time_point saturated(time_point at, duration by) noexcept {
  if (by > duration{0} && at > time_point::max() - by) return time_point::max();
  if (by < duration{0} && at < time_point::min() - by) return time_point::min();
  return at + by;
}

class system_clock final : public clock {
 public:
  time_point now() const override { return std::chrono::floor<duration>(std::chrono::system_clock::now()); }
};

}  // namespace caesura::actors
