#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include <caesura/observer.hpp>

namespace caesura::detail {

// Brings observations to the program's functions on one thread, in order. Bounded: what does not fit is dropped and counted. Without
// functions to call it has no thread. tell_*: any thread, never blocks for long, never throws.
class observer_queue {
 public:
  // `on_calling_thread`: no queue and no thread, but in the middle of what is told. For tests and for options.executor.
  observer_queue(observer target, bool on_calling_thread);
  ~observer_queue();
  observer_queue(const observer_queue&) = delete;
  observer_queue& operator=(const observer_queue&) = delete;

  void tell_ended(const run_info& run);
  void tell_slow_step(const std::string& step, duration so_far);
  void tell_diagnostic(const std::string& text, const run_id& run);

  // True on the thread that calls the program's functions.
  [[nodiscard]] bool is_this_thread() const noexcept {
    const auto me = std::this_thread::get_id();
    return thread_.get_id() == me || caller_.load() == me;
  }

 private:
  static void tell(const std::function<void()>& call);
  void push(std::function<void()> call);
  void work();

  const observer target_;
  const bool on_calling_thread_;
  std::atomic<std::thread::id> caller_{};  // whose call is under way, without a thread of its own
  std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<std::function<void()>> calls_;
  std::uint64_t dropped_ = 0;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace caesura::detail
