#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace caesura::server {

// Threads that may wait for a commit or write a large body, so that those which read sockets, and the runtime's own, never do. First in first out.
// post: any thread. Destruction finishes.
class workers {
 public:
  explicit workers(std::size_t count);
  ~workers();
  workers(const workers&) = delete;
  workers& operator=(const workers&) = delete;

  // `work` must not throw.
  void post(std::function<void()> work);
  // Does what was posted before it, then joins; what is posted later is executed by whoever posts it. Not on a worker.
  void finish();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<std::function<void()>> waiting_;
  bool is_ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace caesura::server
