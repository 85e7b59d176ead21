#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <caesura/run.hpp>
#include <caesura/time.hpp>

namespace caesura {

// How often and when a failing step is tried again. The default is Inngest's; the delay before retry n is delays[n - 1], the
// last one repeats, plus a jitter between zero and `jitter` that depends only on run, step and attempt.
struct retry_policy {
  std::uint32_t retries{4};  // after the first attempt; at most 20
  std::vector<duration> delays{std::chrono::seconds{15}, std::chrono::seconds{30}, std::chrono::minutes{1}, std::chrono::minutes{2},
                               std::chrono::minutes{5},  std::chrono::minutes{10}, std::chrono::minutes{20}, std::chrono::minutes{40},
                               std::chrono::hours{1},    std::chrono::hours{2}};
  duration jitter{std::chrono::seconds{30}};
};

// Thrown by a step: trying again cannot help. The step fails at once.
class non_retriable_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Thrown by a step: try again after `delay` (clamped to 1 s … 24 h) instead of the policy's. It counts as an attempt.
class retry_after : public std::runtime_error {
 public:
  explicit retry_after(duration delay, const std::string& why = "retry later") : std::runtime_error{why}, delay_{delay} {}

  [[nodiscard]] duration delay() const noexcept { return delay_; }

 private:
  duration delay_;
};

// Thrown into the body by the `co_await` of a step whose attempts are spent. Uncaught, it fails the run.
class step_failed : public std::runtime_error {
 public:
  step_failed(std::string step, recorded_error cause, std::uint32_t attempts)
      : std::runtime_error{"step \"" + step + "\" failed after " + std::to_string(attempts) +
                           (attempts == 1 ? " attempt: " : " attempts: ") + cause.message},
        step_{std::move(step)},
        cause_{std::move(cause)},
        attempts_{attempts} {}

  [[nodiscard]] const std::string& step() const noexcept { return step_; }
  [[nodiscard]] const recorded_error& cause() const noexcept { return cause_; }  // of the last attempt
  [[nodiscard]] std::uint32_t attempts() const noexcept { return attempts_; }

 private:
  std::string step_;
  recorded_error cause_;
  std::uint32_t attempts_;
};

// What invoke throws instead of the child's result. `child` is nil when no run was started.
class invoke_failed : public step_failed {
 public:
  invoke_failed(std::string step, recorded_error cause, run_id child) : step_failed{std::move(step), std::move(cause), 1}, child_{child} {}

  [[nodiscard]] const run_id& child() const noexcept { return child_; }

 private:
  run_id child_;
};
class child_failed final : public invoke_failed {  // it ended failed, cause().message is "type: what" of its error; or none was started: too deep, too much data
  using invoke_failed::invoke_failed;
};
class child_cancelled final : public invoke_failed {  // it ended cancelled; cause().message is the reason
  using invoke_failed::invoke_failed;
};
class child_timed_out final : public invoke_failed {  // it had not ended in time; it goes on
  using invoke_failed::invoke_failed;
};
class function_paused final : public invoke_failed {  // nothing was started
  using invoke_failed::invoke_failed;
};
class unknown_function final : public invoke_failed {  // nothing was started
  using invoke_failed::invoke_failed;
};

// The names under which these are recorded.
namespace invoke_error {
inline constexpr std::string_view failed = "child_failed";
inline constexpr std::string_view cancelled = "child_cancelled";
inline constexpr std::string_view timed_out = "child_timed_out";
inline constexpr std::string_view paused = "function_paused";
inline constexpr std::string_view unknown_function = "unknown_function";
}  // namespace invoke_error

// The name that a recorded_error carries when a step took the process down more than three times.
inline constexpr const char* step_interrupted = "step_interrupted";

}  // namespace caesura
