#include "runtime/alarm.hpp"

#include <ctime>

#include <algorithm>
#include <utility>

namespace caesura::detail {

namespace {

duration since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::duration_cast<duration>(std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec});
}

}  // namespace

std::optional<duration> clock_watch::look(time_point wall, duration since_boot) {
  constexpr duration noticed = std::chrono::hours{1};
  const duration offset = wall.time_since_epoch() - since_boot;
  const duration jump = offset - offset_.value_or(offset);
  if (!offset_ || jump > noticed || jump < -noticed) offset_ = offset;  // a clock that is only slewed adds up to a jump, too
  if (jump <= noticed && jump >= -noticed) return std::nullopt;
  return jump;
}

alarm::clocks alarm::clocks::of_system() {
  return {.wall = [] { return std::chrono::floor<duration>(std::chrono::system_clock::now()); },  // a time in nanoseconds would end in the year 2262
          .since_boot = caesura::detail::since_boot,
          .wait = [](std::condition_variable& changed, std::unique_lock<std::mutex>& lock, duration length) { changed.wait_for(lock, length); }};
}

alarm::alarm(calls calls, clocks clocks) : calls_{std::move(calls)}, clocks_{std::move(clocks)}, thread_{[this] { watch(); }} {}

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
  constexpr duration longest_look = std::chrono::minutes{1};
  clock_watch jumps;
  std::unique_lock lock{mutex_};
  while (!is_stopping_) {
    lock.unlock();
    if (const auto jump = jumps.look(clocks_.wall(), clocks_.since_boot())) calls_.jumped(*jump);
    const auto next_look = std::min(calls_.look().value_or(longest_look), longest_look);
    lock.lock();
    if (is_stopping_) return;
    const time_point now = clocks_.wall();
    if (when_ && *when_ <= now) {
      when_.reset();
      lock.unlock();
      calls_.ring();
      lock.lock();
      continue;
    }
    duration length = next_look;
    if (when_) length = std::min(length, *when_ - now);
    clocks_.wait(changed_, lock, length);
  }
}

}  // namespace caesura::detail
