#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include <caesura/executor.hpp>

namespace caesura::testing {

// What a program with an event loop of its own gives as options.executor. Destroyed after the runtime.
class program_loop final : public executor {
 public:
  program_loop() = default;
  ~program_loop() override {
    post({});
    thread_.join();
  }
  program_loop(const program_loop&) = delete;
  program_loop& operator=(const program_loop&) = delete;

  void post(std::function<void()> work) override {
    const std::lock_guard lock{mutex_};
    queue_.push_back(std::move(work));
    has_work_.notify_one();
  }
  [[nodiscard]] std::thread::id thread() const noexcept { return thread_.get_id(); }

 private:
  void run() {
    for (;;) {
      std::unique_lock lock{mutex_};
      has_work_.wait(lock, [this] { return !queue_.empty(); });
      const auto work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      if (!work) return;
      work();
    }
  }

  std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<std::function<void()>> queue_;  // an empty one: the end
  std::thread thread_{[this] { run(); }};
};

}  // namespace caesura::testing
