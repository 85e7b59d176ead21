#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include <caf/actor_system_config.hpp>
#include <caf/detail/thread_safe_actor_clock.hpp>
#include <caf/execution_unit.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <caesura/executor.hpp>

namespace caesura::detail {

// Executes CAF's actors by the program's own event loop (options.executor) in place of threads of CAF's. What is to be done is kept here, in its order,
// and worked off in turns: one is under way at a time, and each is asked for anew, so that the loop gets to its other work in between.
class hosted_scheduler final : public caf::scheduler::abstract_coordinator {
 public:
  hosted_scheduler(caf::actor_system& system, executor& executor);
  // For actor_system_config: the system that is made of it has this scheduler.
  static void install(caf::actor_system_config& config, executor& executor);

  // True on the thread of the executor, once it has executed anything.
  [[nodiscard]] bool is_this_thread() const noexcept { return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }

  void enqueue(caf::resumable* job) override;
  caf::actor_clock& clock() noexcept override { return clock_; }

 protected:
  void start() override;
  // Waits until nothing is left to be done: the executor executes until then, on another thread than this one.
  void stop() override;

 private:
  // CAF's clock wakes its thread whenever an actor ends, to forget timeouts of it; this one only if any actor has ever had one.
  class quiet_clock final : public caf::detail::thread_safe_actor_clock {
   public:
    void set_ordinary_timeout(time_point when, caf::abstract_actor* self, caf::atom_value type, std::uint64_t id) override;
    void set_request_timeout(time_point when, caf::abstract_actor* self, caf::message_id id) override;
    void set_multi_timeout(time_point when, caf::abstract_actor* self, caf::atom_value type, std::uint64_t id) override;
    void cancel_timeouts(caf::abstract_actor* self) override;

   private:
    std::atomic<bool> is_used_{false};
  };
  // What actors are told executes them.
  class unit final : public caf::execution_unit {
   public:
    explicit unit(hosted_scheduler& owner) : execution_unit{&owner.system()}, owner_{owner} {}
    void exec_later(caf::resumable* job) override { owner_.enqueue(job); }

   private:
    hosted_scheduler& owner_;
  };

  void take_turn();
  void resume(caf::resumable* job);

  executor& executor_;
  unit unit_{*this};
  std::mutex mutex_;
  std::condition_variable is_idle_;
  std::deque<caf::resumable*> jobs_;  // each counts as one owner of its actor
  bool is_asked_for_{false};          // a turn is under way or will come
  std::atomic<std::thread::id> thread_{};
  quiet_clock clock_;
  std::thread clock_thread_;
};

}  // namespace caesura::detail
