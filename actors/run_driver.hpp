#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "actors/commands.hpp"
#include "actors/coroutine_frame.hpp"
#include "actors/limits.hpp"
#include "actors/remote_frame.hpp"
#include "actors/router_state.hpp"
#include "actors/step_job.hpp"

namespace caesura::actors {

// What a run actor is told.
using run_message = std::variant<resume_run, order_run, step_outcome>;

// The decisions of a run actor, without the actor: drives one frame, of either kind, through one activation. Starts the first step of an activation
// itself (everything before it is durable), every later one through the router. Holds the frame until no step is in flight. One thread
// at a time.
class run_driver {
 public:
  struct ports {
    std::function<void(command_body)> to_router{};
    std::function<void(std::shared_ptr<step_job>)> start{};
    std::function<void(step_job&)> bind{};  // sets job.done, which brings the outcome back to take() and keeps this driver alive
  };

  run_driver(activate order, std::shared_ptr<start_gate> gate, const registered_function& fn, const limits& limits, ports ports);

  // `triggers` (more than one: a batch) and `rows`: what is recorded of the run.
  void begin(std::vector<event> triggers, std::vector<step_info> rows);
  void take(resume_run&& message);
  void take(const order_run& message);
  void take(step_outcome&& outcome);
  // Something threw that should not have: the run is given back to the router as lost, once no step is in flight.
  void fail(const std::string& why);

  // Nothing more will come from this activation; its frame is gone.
  [[nodiscard]] bool is_done() const noexcept { return is_done_; }

 private:
  enum class ending : std::uint8_t { none, cancelled, left, lost };

  [[nodiscard]] std::uint32_t in_flight() const noexcept;
  [[nodiscard]] advance_run report(next_kind next) const;
  void go_on(advance_run message);
  void begin_pending(advance_run message);
  [[nodiscard]] std::vector<step_info> interrupted_rows() const;
  void give_up(std::vector<step_info> rows, advance_run message);
  [[nodiscard]] bool starts_first() const;
  void start(detail::operation& op);
  [[nodiscard]] bool is_due(const detail::operation& op) const;
  [[nodiscard]] bool is_mixed_any() const;
  void withdraw_losers();
  bool resume_if_ready();
  void request_stop();
  std::shared_ptr<step_job> job_for(detail::operation& op);
  [[nodiscard]] std::variant<storage::step_record, failed_attempt> judge(const detail::operation& op, step_outcome&& outcome);
  [[nodiscard]] operation_request request_of(const detail::operation& op) const;
  void take_answer(step_outcome&& outcome);
  void take_back_answer(detail::operation& op, step_outcome&& outcome, std::string why, advance_run message);
  void fail_attempt(const detail::operation& op, step_outcome&& outcome, std::uint32_t attempts, advance_run& message);
  void go_on_after_answer(bool is_answered, advance_run message);
  [[nodiscard]] std::uint32_t attempt_of(const detail::operation& op) const;
  [[nodiscard]] bool may_try_again(const retry_policy& policy, std::uint32_t attempts) const;
  void end(ending how);
  void send_ending(advance_run message);
  void finish();

  const activate order_;
  const std::shared_ptr<start_gate> gate_;
  const registered_function& fn_;
  const limits& limits_;
  const ports ports_;

  std::unique_ptr<frame> frame_;
  remote_frame* remote_ = nullptr;  // frame_, when the code is elsewhere
  std::unordered_map<std::string, std::uint32_t> failed_attempts_;
  std::unordered_set<std::string> backing_off_;  // steps that have failed and whose time to be tried again has not come
  std::uint32_t handed_ = 0;    // jobs on their way to step threads, or there
  std::uint32_t returned_ = 0;  // outcomes received
  std::uint32_t withdrawn_ = 0; // jobs taken back before they started
  std::unordered_map<std::string, std::shared_ptr<step_job>> jobs_;  // handed, not returned; owners: this, router, step threads
  ending ending_ = ending::none;
  std::string lost_because_;
  bool is_first_ = true;
  bool is_done_ = false;
};

// The delay before retry number `failed_attempts`, with a jitter that depends only on run, step and attempt.
[[nodiscard]] duration retry_delay(const retry_policy& policy, std::uint32_t failed_attempts, const run_id& run, std::string_view step);

}  // namespace caesura::actors
