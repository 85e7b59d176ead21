#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <caesura/run.hpp>
#include <caesura/time.hpp>

namespace caesura {

// How often and when a failing step is tried again. The default is the field's table; the delay before retry n is delays[n - 1], the
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

// The name that a recorded_error carries when a step took the process down more than three times.
inline constexpr const char* step_interrupted = "step_interrupted";

}  // namespace caesura
