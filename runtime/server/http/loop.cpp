#include "runtime/server/http/loop.hpp"

#include "runtime/server/http/loop_core.hpp"

#include <boost/asio/post.hpp>

#include <time.h>

#include <algorithm>

namespace caesura::http {

namespace {

// What a busy loop does before it comes to what is last.
constexpr int handlers_at_once = 1'000;

std::chrono::nanoseconds processor_time_of_this_thread() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

}  // namespace

void load_meter::count(std::chrono::nanoseconds worked, std::chrono::nanoseconds passed) {
  constexpr int smoothing = 8;
  const auto most = std::chrono::nanoseconds{std::chrono::seconds{1}};  // an hour in which nothing was to do counts no more
  worked_ += (std::min(worked, most) - worked_) / smoothing;
  passed_ += (std::min(passed, most) - passed_) / smoothing;
}

bool load_meter::is_low() const {
  constexpr int share = 3;
  return share * worked_ < passed_;
}

loop::loop() : core_{std::make_shared<core>()} {}

loop::~loop() {
  core_->work.reset();
  core_->thread.join();
}

void loop::post(std::function<void()> work) { boost::asio::post(core_->io, std::move(work)); }

void loop::post_last(std::function<void()> work) {
  boost::asio::post(core_->io, [core = core_.get(), work = std::move(work)]() mutable { core->last.push_back(std::move(work)); });
}

void loop::core::run() {
  for (;;) {
    do_what_is_ready();
    if (!last.empty()) {
      if (is_pause_worth_it()) {
        std::this_thread::sleep_for(pause);
        do_what_is_ready();
      }
      for (auto& work : std::exchange(last, {})) work();
      if (io.stopped()) io.restart();  // it had run out of work, and this may have posted some
    } else if (io.run_one() == 0) {
      return;
    }
  }
}

void loop::core::do_what_is_ready() {
  for (int done = 0; done < handlers_at_once && io.poll_one() > 0; ++done) {
  }
}

// A loop that has much to do finds much together without one, and a pause would only let its core idle.
bool loop::core::is_pause_worth_it() {
  if (pause <= std::chrono::nanoseconds::zero()) return false;
  const auto now = std::chrono::steady_clock::now();
  const auto worked = processor_time_of_this_thread();
  load.count(worked - worked_before, now - looked_at);
  looked_at = now;
  worked_before = worked;
  return load.is_low();
}

}  // namespace caesura::http
