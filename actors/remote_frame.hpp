#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <caesura/remote.hpp>

#include "actors/frame.hpp"
#include "storage/records.hpp"

namespace caesura::actors {

struct operation_request;  // commands.hpp

// Drives a run whose code is elsewhere. It waits for what the last call named (`pending` of the run's record says what that was, so that an
// activation goes on without asking), and for a call when that is over. A call is an operation of kind run that leaves no row of its own: its answer is
// the rows of what was executed meanwhile, and the next operations.
class remote_frame final : public frame {
 public:
  remote_frame(run_id run, std::string function, std::vector<event> triggers, time_point begun, std::vector<step_info> rows,
               const storage::run_record& record, std::size_t result_limit_bytes);
  ~remote_frame() override;

  void start() override;
  bool add(step_info row) override;
  [[nodiscard]] bool is_ready() const noexcept override;
  void resume() override;
  [[nodiscard]] std::uint32_t row_count() const noexcept override { return static_cast<std::uint32_t>(rows_.size()); }

  [[nodiscard]] bool goes_on_at_first() const noexcept { return goes_on_at_first_; }
  // True for the operation that asks what comes next; the others of kind run are planned steps.
  [[nodiscard]] bool asks(const detail::operation& op) const noexcept;
  // True for the id of such an operation.
  [[nodiscard]] static bool is_call(std::string_view id) noexcept;
  // Of the call that is made when so many rows are recorded.
  [[nodiscard]] static std::string call_id(std::size_t rows);
  // What is to be asked for a pending operation of kind run.
  [[nodiscard]] remote::call call_for(const detail::operation& op) const;
  // Adds to a request what only this frame knows of the operation.
  void complete(operation_request& request) const;
  // The rows of what an answer says was executed, without those that are known.
  [[nodiscard]] std::vector<step_info> rows_of(std::vector<remote::finished_step> steps, std::uint32_t attempts, time_point started_at,
                                               time_point ended_at) const;
  // Takes the answer to the asking call, once its rows are added: what is pending from now on, or the end. What is wrong with the answer, if
  // something is: then nothing has changed.
  [[nodiscard]] std::optional<std::string> take(const remote::answer& answer, bool has_rows);
  // The function has failed for good; `details` is the error's whole form, as its code gave it, and becomes the output.
  void fail(recorded_error error, document details = {});

 private:
  struct remote_operation;

  remote_operation& add_operation(std::unique_ptr<remote_operation> op);
  void ask();
  [[nodiscard]] bool is_waiting() const noexcept;
  [[nodiscard]] std::unique_ptr<remote_operation> operation_of(const remote::operation& named) const;

  const run_id run_;
  const std::string function_;
  const std::vector<event> triggers_;  // never empty
  const std::size_t result_limit_bytes_;
  std::vector<storage::pending_record> restored_;

  std::vector<step_info> rows_;
  std::unordered_map<std::string, std::size_t> row_of_;  // id → place in rows_
  std::vector<std::unique_ptr<remote_operation>> operations_;  // what pending_ points at
  bool goes_on_at_first_ = false;
  bool has_finished_ = false;  // an operation is, since the last call
};

}  // namespace caesura::actors
