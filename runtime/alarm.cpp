#include "runtime/alarm.hpp"

#include <algorithm>
#include <utility>

namespace caesura::detail {

alarm::alarm(std::function<void()> ring) : ring_{std::move(ring)}, thread_{[this] { watch(); }} {}

alarm::~alarm() {
  {
    const std::lock_guard lock{mutex_};
    is_stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void alarm::set(std::optional<time_point> when) {
  bool is_earlier = false;
  {
    const std::lock_guard lock{mutex_};
    is_earlier = when && (!when_ || *when < *when_);
    when_ = when;
  }
  if (is_earlier) changed_.notify_one();
}

void alarm::watch() {
  constexpr auto longest_look = std::chrono::minutes{1};
  std::unique_lock lock{mutex_};
  while (!is_stopping_) {
    const auto now = std::chrono::system_clock::now();
    if (when_ && *when_ <= now) {
      when_.reset();
      lock.unlock();
      ring_();
      lock.lock();
      continue;
    }
    std::chrono::system_clock::time_point until = now + longest_look;
    if (when_) until = std::min<std::chrono::system_clock::time_point>(until, *when_);
    changed_.wait_until(lock, until);
  }
}

}  // namespace caesura::detail
