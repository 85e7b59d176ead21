#pragma once

// Internal to loop, client and listener.

#include <utility>  // before Asio, which needs it in C++20 with g++ 12

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <deque>
#include <functional>
#include <thread>

#include "runtime/server/http/loop.hpp"

namespace caesura::http {

// How much of the time a thread has work: means, the newest counting most. Pure.
class load_meter {
 public:
  void count(std::chrono::nanoseconds worked, std::chrono::nanoseconds passed);
  // Less than a third.
  [[nodiscard]] bool is_low() const;

 private:
  std::chrono::nanoseconds worked_{0};
  std::chrono::nanoseconds passed_{0};
};

struct loop::core {
  void run();
  void do_what_is_ready();
  [[nodiscard]] bool is_pause_worth_it();

  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  // On the loop's thread. How long what is last waits for more to come ahead of it: set by the one client that has `longest_pause`.
  std::chrono::nanoseconds pause{0};
  std::deque<std::function<void()>> last;
  load_meter load;
  std::chrono::nanoseconds worked_before{0};
  std::chrono::steady_clock::time_point looked_at{};
  std::thread thread{[this] { run(); }};
};

}  // namespace caesura::http
