#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "actors/step_job.hpp"

namespace caesura::actors {

struct step_thread_ports {
  std::function<std::thread(std::function<void()>)> make_thread{};  // none: std::thread. May throw
  std::function<void(const std::string&)> diagnosed{};              // any thread; must not throw
};

// Plain threads that execute steps, first in first out, so that user code may block. Grows on demand up to `max_threads`; a thread,
// once there, stays; where the system refuses one, the jobs wait for those that are there, or until one is given. Jobs that are calls take no thread: they are made at once, by whoever submits them. submit: any thread. Destruction waits
// for the steps that execute and the calls that are out, and drops the other jobs.
class step_threads final : public step_executor {
 public:
  step_threads(std::size_t max_threads, const clock& clock, std::size_t result_limit_bytes, step_thread_ports ports = {});
  ~step_threads() override;
  step_threads(const step_threads&) = delete;
  step_threads& operator=(const step_threads&) = delete;

  void submit(std::shared_ptr<step_job> job) override;
  [[nodiscard]] std::vector<std::string> executing() const override;
  // False while jobs wait because the system has refused a thread. Asks for it again, as each submit does.
  bool ask_again();

  struct slow_step {
    std::string step;  // "run/step"
    time_point started_at;
  };
  // Steps that execute since before `started_before`; each is given once.
  [[nodiscard]] std::vector<slow_step> take_slow(time_point started_before);

 private:
  void work(std::size_t me);
  void make(const std::shared_ptr<step_job>& job);
  [[nodiscard]] bool ask_for_one_more();
  void add_thread();

  const std::size_t max_threads_;
  const clock& clock_;
  const std::size_t result_limit_bytes_;
  const step_thread_ports ports_;

  mutable std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<std::shared_ptr<step_job>> jobs_;
  struct slot {
    std::shared_ptr<step_job> job{};
    time_point started_at{};
    bool is_told{false};
  };
  std::vector<slot> current_;  // by thread
  std::list<slot> calls_;      // that are out
  std::condition_variable has_no_calls_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool is_waking_ = false;
  bool is_refused_ = false;  // the last thread that was asked for
  bool is_stopping_ = false;
};

}  // namespace caesura::actors
