#pragma once

// A world for tests of the public API: virtual time, one thread, every order decided by the test. Steps execute when the test says so,
// or one after the other in run().

#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caesura/caesura.hpp>

#include "runtime/environment.hpp"
#include "tests/support/temporary_directory.hpp"

namespace caesura::testing {

class manual_clock final : public actors::clock {
 public:
  time_point now() const override { return now_; }
  void set(time_point time) { now_ = time; }

 private:
  time_point now_{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + std::chrono::hours{9}};
};

// Holds submitted steps until the test executes them on its own thread.
class manual_steps final : public actors::step_executor {
 public:
  explicit manual_steps(const actors::clock& clock) : clock_{clock} {}

  void submit(std::shared_ptr<actors::step_job> job) override {
    if (takes_) jobs_.push_back(std::move(job));
  }
  std::vector<std::string> executing() const override { return executing_; }

  [[nodiscard]] std::size_t waiting() const noexcept { return jobs_.size(); }
  // Executes the oldest step; false when there is none.
  bool execute_one() {
    if (jobs_.empty()) return false;
    const auto job = jobs_.front();
    jobs_.pop_front();
    if (job->caller) {
      actors::make_call(job, clock_, [] { return [] {}; });
      return true;
    }
    executing_.push_back(job->attempt.key());
    constexpr std::size_t result_limit = 4 * 1024 * 1024;
    actors::execute(*job, clock_, result_limit);
    executing_.pop_back();
    return true;
  }
  void forget() { jobs_.clear(); }
  // False: what is submitted is dropped at once, as by a process that ends.
  void take(bool takes) { takes_ = takes; }

 private:
  const actors::clock& clock_;
  std::deque<std::shared_ptr<actors::step_job>> jobs_;
  std::vector<std::string> executing_;
  bool takes_ = true;
};

class world {
 public:
  world() : steps_{clock_} {
    environment_.clock = &clock_;
    environment_.steps = &steps_;
    environment_.before_commit = [this](std::uint64_t n) {
      if (before_commit) before_commit(n);
    };
    environment_.before_write = [this] {
      if (before_write) before_write();
    };
    environment_.before_read = [this] {
      if (before_read) before_read();
    };
    options_.map_size_bytes = std::size_t{256} << 20;
    options_.observer.on_diagnostic = [this](const std::string& text, const run_id&) { diagnostics.push_back(text); };
    options_.observer.on_run_ended = [this](const run_info& run) { ended.push_back(run); };
  }
  ~world() {
    before_commit = {};  // what a test planted refers to variables that may have ended by now
    before_write = {};
    before_read = {};
    close();
  }

  // Opens the runtime over this world's directory.
  void open(std::vector<function> functions) { open_at(store_directory(), std::move(functions)); }
  // Over any directory.
  void open_at(const std::string& directory, std::vector<function> functions) {
    options_.directory = directory;
    runtime_ = std::make_unique<caesura::runtime>(options_, std::move(functions), environment_);
    environment_.run_messages();
  }
  // Stops cleanly.
  void close() { runtime_.reset(); }
  // Loses everything that is not durable, as SIGKILL does: the next open() finds a copy of the file as it is now.
  void crash() {
    const auto from = directory_.path() + "/store" + std::to_string(generation_);
    const auto to = directory_.path() + "/store" + std::to_string(++generation_);
    std::filesystem::create_directories(to);
    std::filesystem::copy_file(from + "/caesura.mdb", to + "/caesura.mdb");
    steps_.forget();
    before_commit = {};
    before_write = {};
    before_read = {};
    steps_.take(false);
    runtime_.reset();
    steps_.take(true);
    diagnostics.clear();
  }

  // Handles messages and executes steps until there is nothing left to do at this time.
  void run() {
    settle();
    while (steps_.execute_one()) settle();
  }
  // Handles messages, executes no step.
  void settle() { environment_.run_messages(); }
  bool execute_step() {
    const bool executed = steps_.execute_one();
    settle();
    return executed;
  }
  // Lets time pass; whatever becomes due on the way happens at its time.
  void advance(duration length) {
    run();
    const time_point end = clock_.now() + length;
    while (environment_.alarm && *environment_.alarm <= end) {
      if (*environment_.alarm > clock_.now()) clock_.set(*environment_.alarm);
      environment_.alarm.reset();
      environment_.fire_timers();
      run();
    }
    clock_.set(end);
    run();
  }
  void set_clock(time_point time) { clock_.set(time); }

  [[nodiscard]] time_point now() const { return clock_.now(); }
  [[nodiscard]] manual_steps& steps() noexcept { return steps_; }
  [[nodiscard]] caesura::options& options() noexcept { return options_; }
  [[nodiscard]] detail::environment& environment() noexcept { return environment_; }
  [[nodiscard]] caesura::runtime& runtime() noexcept { return *runtime_; }
  [[nodiscard]] caesura::runtime* operator->() noexcept { return runtime_.get(); }
  [[nodiscard]] std::string directory() const { return options_.directory; }
  // Where open() finds its store, also after a crash.
  [[nodiscard]] std::string store_directory() const { return directory_.path() + "/store" + std::to_string(generation_); }

  // Sends an event and gives the one run it starts.
  run_id start(const event& value) {
    const auto answer = runtime_->send(value);
    return answer.runs.at(0);
  }
  [[nodiscard]] run_status status(const run_id& run) { return runtime_->get(run).value().status; }

  std::vector<std::string> diagnostics;
  std::vector<run_info> ended;
  std::function<void(std::uint64_t)> before_commit;
  std::function<void()> before_write;
  std::function<void()> before_read;

 private:
  temporary_directory directory_;
  manual_clock clock_;
  manual_steps steps_;
  detail::environment environment_;
  caesura::options options_;
  int generation_ = 0;
  std::unique_ptr<caesura::runtime> runtime_;
};

}  // namespace caesura::testing

// So that Boost.Test can print them.
namespace caesura {
inline std::ostream& operator<<(std::ostream& out, run_status status) { return out << to_string(status); }
inline std::ostream& operator<<(std::ostream& out, cancel_outcome outcome) { return out << to_string(outcome); }
inline std::ostream& operator<<(std::ostream& out, cancel_source source) { return out << to_string(source); }
inline std::ostream& operator<<(std::ostream& out, errc code) { return out << to_string(code); }
template <class Tag>
std::ostream& operator<<(std::ostream& out, const basic_id<Tag>& id) {
  return out << to_string(id);
}
}  // namespace caesura
