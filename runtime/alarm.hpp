#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include <caesura/time.hpp>

namespace caesura::detail {

// One thread that calls `ring` when the wall clock reaches the time that was set last. Looks at the clock at least once a minute, so a
// clock that is set is noticed. set: any thread.
class alarm {
 public:
  explicit alarm(std::function<void()> ring);
  ~alarm();
  alarm(const alarm&) = delete;
  alarm& operator=(const alarm&) = delete;

  void set(std::optional<time_point> when);

 private:
  void watch();

  const std::function<void()> ring_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<time_point> when_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace caesura::detail
