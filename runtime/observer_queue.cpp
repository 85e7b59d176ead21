#include "runtime/observer_queue.hpp"

#include <string>
#include <utility>

namespace caesura::detail {

namespace {

constexpr std::size_t queue_limit = 10'000;

}  // namespace

observer_queue::observer_queue(observer target, bool on_calling_thread)
    : target_{std::move(target)}, on_calling_thread_{on_calling_thread} {
  if (!on_calling_thread_ && (target_.on_run_ended || target_.on_diagnostic || target_.on_slow_step)) thread_ = std::thread{[this] { work(); }};
}

observer_queue::~observer_queue() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock{mutex_};
    is_stopping_ = true;
  }
  has_work_.notify_one();
  thread_.join();
}

void observer_queue::tell_ended(const run_info& run) {
  if (target_.on_run_ended) push([this, run] { target_.on_run_ended(run); });
}

void observer_queue::tell_diagnostic(const std::string& text, const run_id& run) {
  if (target_.on_diagnostic) push([this, text, run] { target_.on_diagnostic(text, run); });
}

void observer_queue::tell_slow_step(const std::string& step, duration so_far) {
  if (target_.on_slow_step) push([this, step, so_far] { target_.on_slow_step(step, so_far); });
}

// An observer's exception is its own affair: there is nobody to tell it to.
void observer_queue::tell(const std::function<void()>& call) {
  try {
    call();
  } catch (...) {
    static_cast<void>(0);
  }
}

void observer_queue::push(std::function<void()> call) {
  if (on_calling_thread_) {
    const auto caller = caller_.exchange(std::this_thread::get_id());
    tell(call);
    caller_ = caller;
    return;
  }
  {
    const std::lock_guard lock{mutex_};
    if (calls_.size() >= queue_limit) {
      ++dropped_;
      return;
    }
    calls_.push_back(std::move(call));
  }
  has_work_.notify_one();
}

void observer_queue::work() {
  std::unique_lock lock{mutex_};
  while (true) {
    has_work_.wait(lock, [&] { return !calls_.empty() || is_stopping_; });
    if (calls_.empty()) return;
    const auto call = std::move(calls_.front());
    calls_.pop_front();
    const auto dropped = calls_.empty() ? std::exchange(dropped_, 0) : 0;
    lock.unlock();
    tell(call);
    if (dropped > 0 && target_.on_diagnostic) {
      tell([&] { target_.on_diagnostic(std::to_string(dropped) + " observations were dropped: the observer is slower than the runtime", {}); });
    }
    lock.lock();
  }
}

}  // namespace caesura::detail
