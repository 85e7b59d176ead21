#include "runtime/hosted_scheduler.hpp"

#include <future>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/logger.hpp>
#include <caf/resumable.hpp>

namespace caesura::detail {

namespace {

// Of one turn. A message costs microseconds, but one of the router's may make a commit.
constexpr std::size_t jobs_in_a_turn = 64;

}  // namespace

void hosted_scheduler::quiet_clock::set_ordinary_timeout(time_point when, caf::abstract_actor* self, caf::atom_value type, std::uint64_t id) {
  is_used_ = true;
  thread_safe_actor_clock::set_ordinary_timeout(when, self, type, id);
}

void hosted_scheduler::quiet_clock::set_request_timeout(time_point when, caf::abstract_actor* self, caf::message_id id) {
  is_used_ = true;
  thread_safe_actor_clock::set_request_timeout(when, self, id);
}

void hosted_scheduler::quiet_clock::set_multi_timeout(time_point when, caf::abstract_actor* self, caf::atom_value type, std::uint64_t id) {
  is_used_ = true;
  thread_safe_actor_clock::set_multi_timeout(when, self, type, id);
}

void hosted_scheduler::quiet_clock::cancel_timeouts(caf::abstract_actor* self) {
  if (is_used_) thread_safe_actor_clock::cancel_timeouts(self);
}

hosted_scheduler::hosted_scheduler(caf::actor_system& system, executor& executor) : abstract_coordinator{system}, executor_{executor} {}

void hosted_scheduler::install(caf::actor_system_config& config, executor& executor) {
  config.module_factories.emplace_back(
      [&executor](caf::actor_system& system) -> caf::actor_system::module* { return new hosted_scheduler{system, executor}; });
}

void hosted_scheduler::start() {
  clock_thread_ = std::thread{[this] { clock_.run_dispatch_loop(); }};
  abstract_coordinator::start();
}

void hosted_scheduler::stop() {
  stop_actors();
  {
    std::unique_lock lock{mutex_};
    is_idle_.wait(lock, [this] { return !is_asked_for_; });
  }
  std::promise<void> is_through;  // what actors have given to the executor themselves stands ahead of it
  executor_.post_last([&] {
    caf::logger::set_current_actor_system(nullptr);  // the system waits until no thread that executed an actor holds its logger any more
    is_through.set_value();
  });
  is_through.get_future().wait();
  clock_.cancel_dispatch_loop();
  clock_thread_.join();
}

void hosted_scheduler::enqueue(caf::resumable* job) {
  {
    const std::lock_guard lock{mutex_};
    jobs_.push_back(job);
    if (std::exchange(is_asked_for_, true)) return;
  }
  executor_.post([this] { take_turn(); });
}

void hosted_scheduler::take_turn() {
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  for (std::size_t done = 0; done < jobs_in_a_turn; ++done) {
    caf::resumable* job = nullptr;
    {
      const std::lock_guard lock{mutex_};
      if (jobs_.empty()) {
        is_asked_for_ = false;
        is_idle_.notify_all();  // within the lock: whoever waits may destroy this at once
        return;
      }
      job = jobs_.front();
      jobs_.pop_front();
    }
    resume(job);
  }
  executor_.post([this] { take_turn(); });
}

void hosted_scheduler::resume(caf::resumable* job) {
  switch (job->resume(&unit_, max_throughput())) {
    case caf::resumable::resume_later: enqueue(job); return;
    case caf::resumable::done:
    case caf::resumable::awaiting_message:
    case caf::resumable::shutdown_execution_unit:
      caf::intrusive_ptr_release(job);
      return;
  }
}

}  // namespace caesura::detail
