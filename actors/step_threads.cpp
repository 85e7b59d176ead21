#include "actors/step_threads.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace caesura::actors {

step_threads::step_threads(std::size_t max_threads, const clock& clock, std::size_t result_limit_bytes, step_thread_ports ports)
    : max_threads_{max_threads}, clock_{clock}, result_limit_bytes_{result_limit_bytes}, ports_{std::move(ports)} {
  current_.resize(max_threads_);
  threads_.reserve(max_threads_);
}

step_threads::~step_threads() {
  {
    const std::lock_guard lock{mutex_};
    is_stopping_ = true;
  }
  has_work_.notify_all();
  for (auto& thread : threads_) thread.join();
  std::unique_lock lock{mutex_};
  has_no_calls_.wait(lock, [this] { return calls_.empty(); });
}

void step_threads::submit(std::shared_ptr<step_job> job) {
  if (job->caller) {
    make(job);
    return;
  }
  bool wake = false;
  {
    const std::lock_guard lock{mutex_};
    jobs_.push_back(std::move(job));
    wake = ask_for_one_more();
  }
  if (wake) has_work_.notify_one();
}

void step_threads::make(const std::shared_ptr<step_job>& job) {
  make_call(job, clock_, [&]() -> std::function<void()> {
    const std::lock_guard lock{mutex_};
    const auto place = calls_.insert(calls_.end(), {.job = job, .started_at = clock_.now()});
    return [this, place] {
      slot over;  // ends without the lock
      const std::lock_guard again{mutex_};
      over = std::move(*place);
      calls_.erase(place);
      if (calls_.empty()) has_no_calls_.notify_all();
    };
  });
}

// One thread at a time is on its way: when it arrives and finds more than its own job, it asks for the next one before it executes. True:
// the caller wakes one once it has let go of the lock.
bool step_threads::ask_for_one_more() {
  if (is_waking_ || jobs_.empty()) return false;
  if (idle_ > 0) {
    is_waking_ = true;
    return true;
  }
  if (threads_.size() < max_threads_) add_thread();
  return false;
}

void step_threads::add_thread() {
  auto body = [this, me = threads_.size()] { work(me); };
  is_waking_ = true;
  try {
    threads_.push_back(ports_.make_thread ? ports_.make_thread(std::move(body)) : std::thread{std::move(body)});
    is_refused_ = false;
  } catch (const std::exception& e) {
    is_waking_ = false;
    if (std::exchange(is_refused_, true) || !ports_.diagnosed) return;
    ports_.diagnosed("no thread could be made for a step, beside " + std::to_string(threads_.size()) + ": " + e.what() + "; it waits until there is one");
  }
}

bool step_threads::ask_again() {
  bool wake = false;
  bool is_served = true;
  {
    const std::lock_guard lock{mutex_};
    if (!is_refused_) return true;
    wake = ask_for_one_more();
    is_served = jobs_.empty() || !is_refused_;
  }
  if (wake) has_work_.notify_one();
  return is_served;
}

std::vector<std::string> step_threads::executing() const {
  const std::lock_guard lock{mutex_};
  std::vector<std::string> result;
  for (const auto& slot : current_) {
    if (slot.job) result.push_back(slot.job->attempt.key());
  }
  for (const auto& out : calls_) result.push_back(out.job->attempt.key());
  return result;
}

std::vector<step_threads::slow_step> step_threads::take_slow(time_point started_before) {
  const std::lock_guard lock{mutex_};
  std::vector<slow_step> result;
  const auto look_at = [&](slot& slot) {
    if (!slot.job || slot.is_told || slot.started_at >= started_before) return;
    slot.is_told = true;
    result.push_back({slot.job->attempt.key(), slot.started_at});
  };
  std::ranges::for_each(current_, look_at);
  std::ranges::for_each(calls_, look_at);
  return result;
}

void step_threads::work(std::size_t me) {
  std::unique_lock lock{mutex_};
  is_waking_ = false;
  while (true) {
    if (jobs_.empty()) {
      ++idle_;
      has_work_.wait(lock, [&] { return is_waking_ || is_stopping_; });
      --idle_;
      is_waking_ = false;
    }
    if (is_stopping_) return;
    if (jobs_.empty()) continue;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    current_[me] = {.job = job, .started_at = clock_.now()};
    const bool wake = ask_for_one_more();
    lock.unlock();
    if (wake) has_work_.notify_one();
    execute(*job, clock_, result_limit_bytes_);
    lock.lock();
    // What the job holds ends without the lock, but only if it is the last owner.
    auto done = std::exchange(current_[me], slot{});
    lock.unlock();
    done.job.reset();
    job.reset();
    lock.lock();
  }
}

}  // namespace caesura::actors
