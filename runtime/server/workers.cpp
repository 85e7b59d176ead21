#include "runtime/server/workers.hpp"

#include <utility>

namespace caesura::server {

workers::workers(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this] { run(); });
}

workers::~workers() { finish(); }

void workers::finish() {
  {
    const std::lock_guard lock{mutex_};
    is_ending_ = true;
  }
  has_work_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void workers::post(std::function<void()> work) {
  std::unique_lock lock{mutex_};
  if (is_ending_) {
    lock.unlock();
    work();
    return;
  }
  waiting_.push_back(std::move(work));
  lock.unlock();
  has_work_.notify_one();
}

void workers::run() {
  std::unique_lock lock{mutex_};
  while (true) {
    has_work_.wait(lock, [this] { return is_ending_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    auto work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

}  // namespace caesura::server
