#include "actors/step_threads.hpp"

#include <utility>

namespace caesura::actors {

step_threads::step_threads(std::size_t max_threads, const clock& clock, std::size_t result_limit_bytes)
    : max_threads_{max_threads}, clock_{clock}, result_limit_bytes_{result_limit_bytes} {
  current_.resize(max_threads_);
}

step_threads::~step_threads() {
  {
    const std::lock_guard lock{mutex_};
    is_stopping_ = true;
  }
  has_work_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void step_threads::submit(std::shared_ptr<step_job> job) {
  bool wake = false;
  {
    const std::lock_guard lock{mutex_};
    jobs_.push_back(std::move(job));
    if (jobs_.size() > idle_ && threads_.size() < max_threads_) {
      threads_.emplace_back([this, me = threads_.size()] { work(me); });
    } else {
      wake = idle_ > 0;
    }
  }
  if (wake) has_work_.notify_one();
}

std::vector<std::string> step_threads::executing() const {
  const std::lock_guard lock{mutex_};
  std::vector<std::string> result;
  for (const auto& job : current_) {
    if (job) result.push_back(job->attempt.key());
  }
  return result;
}

void step_threads::work(std::size_t me) {
  std::unique_lock lock{mutex_};
  while (true) {
    if (jobs_.empty()) {
      ++idle_;
      has_work_.wait(lock, [&] { return !jobs_.empty() || is_stopping_; });
      --idle_;
    }
    if (is_stopping_) return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    current_[me] = job;
    lock.unlock();
    execute(*job, clock_, result_limit_bytes_);
    lock.lock();
    current_[me] = nullptr;
    lock.unlock();
    job.reset();
    lock.lock();
  }
}

}  // namespace caesura::actors
