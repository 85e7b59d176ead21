#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <caesura/detail/operation.hpp>
#include <caesura/remote.hpp>

#include "actors/clock.hpp"
#include "actors/start_gate.hpp"

namespace caesura::actors {

// What one attempt of a step came to.
struct step_outcome {
  std::string step{};
  document result{};
  std::optional<recorded_error> error{};
  bool is_final{false};                  // error: trying again cannot help
  std::optional<duration> retry_after{};
  std::shared_ptr<remote::answer> answer{};  // of a call; then result and errors are in it. Owner: this
  time_point started_at{};
  time_point ended_at{};
};

// One attempt of a step on its way to a step thread. The operation is touched only after the gate was passed: the run's frame stays
// until then or until the gate is closed.
struct step_job {
  std::shared_ptr<start_gate> gate{};  // owners: the run's driver, the router, its jobs
  detail::operation* operation{nullptr};
  step_attempt attempt{};
  std::function<void(step_outcome)> done{};  // called once, on the step thread, if the step was started
  std::stop_source stop{};
  std::shared_ptr<remote::caller> caller{};  // set: this call is made in place of executing the operation. Owners: the function and its jobs
  std::unique_ptr<remote::call> call{};      // until it is made

  // Exactly one of the two succeeds: the step thread takes it, or the driver takes it back before it has started.
  [[nodiscard]] bool claim() noexcept { return !is_claimed_.test_and_set(std::memory_order_acq_rel); }

  std::atomic_flag is_claimed_{};  // through claim()
};

// Executes the job's step on this thread, unless its gate is closed. Never throws: whatever the step throws is its outcome.
void execute(step_job& job, const clock& clock, std::size_t result_limit_bytes) noexcept;
// Its two halves, for tests that let something happen in between. False: it may not start, and never will.
[[nodiscard]] bool begin_step(step_job& job) noexcept;
void perform_step(step_job& job, time_point started_at, const clock& clock, std::size_t result_limit_bytes) noexcept;

// Makes the job's call, unless its gate is closed. `begin` is called before it is made, and what that returns once it is over, before the job's `done`.
void make_call(const std::shared_ptr<step_job>& job, const clock& clock, const std::function<std::function<void()>()>& begin);

// Where jobs are executed.
class step_executor {
 public:
  virtual ~step_executor() = default;
  virtual void submit(std::shared_ptr<step_job> job) = 0;
  // The steps executing now, as "run/step".
  [[nodiscard]] virtual std::vector<std::string> executing() const = 0;
};

}  // namespace caesura::actors
