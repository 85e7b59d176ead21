#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <caesura/function.hpp>

namespace caesura::actors {

// The exception being handled, as recorded: its type's name as written in C++ and its what().
[[nodiscard]] recorded_error describe_current_exception();

enum class frame_state : std::uint8_t {
  suspended,  // waits for pending()
  completed,  // output() is its result
  failed,     // error() is what it threw
  held,       // a recorded result does not decode: held_because()
};

// Drives one body: replays recorded steps, stops at each operation that has no record. Knows no actors, threads or store; one thread
// at a time. Destroyed only while no step of it executes: a step's closure refers to variables of the body.
class frame final : public detail::driver {
 public:
  // `begun`: what now() gives before the first record. `rows`: recorded steps in their order.
  frame(const function_body& body, run_id run, event trigger, time_point begun, std::vector<step_info> rows);
  ~frame() override;

  // Starts the body and runs it to its first suspension or its end.
  void start();
  // Adds a record, unless it is known; true when it finishes an operation that the body waits for.
  bool add(step_info row);
  // True when all pending operations are finished, so that resume() may be called.
  [[nodiscard]] bool is_ready() const noexcept {
    return state_ == frame_state::suspended && (is_any() ? unfinished_ < pending_.size() : unfinished_ == 0);
  }
  // Rows that the body has been given.
  [[nodiscard]] std::uint32_t row_count() const noexcept { return static_cast<std::uint32_t>(rows_.size()); }
  // True when the first of pending() to be finished is enough.
  [[nodiscard]] bool is_any() const noexcept { return until_ == detail::until::any; }
  // Continues the body up to its next suspension or end.
  void resume();

  [[nodiscard]] frame_state state() const noexcept { return state_; }
  [[nodiscard]] const std::vector<detail::operation*>& pending() const noexcept { return pending_; }
  [[nodiscard]] detail::operation* find_pending(std::string_view id) const noexcept;
  [[nodiscard]] const document& output() const noexcept { return output_; }
  [[nodiscard]] const recorded_error& error() const noexcept { return error_; }
  [[nodiscard]] const std::string& held_because() const noexcept { return held_because_; }

  bool admit(detail::operation& op) override;
  void suspend(std::coroutine_handle<> leaf, std::span<detail::operation* const> pending, detail::until when) override;
  time_point now() const override { return now_; }
  std::string uuid(std::string_view name) override;
  run_id id() const override { return run_; }
  const event& trigger() const override { return trigger_; }

 private:
  std::uint32_t uses_of(std::string_view id);
  std::optional<std::size_t> find_row(std::string_view id) const;
  void take_row(detail::operation& op, std::size_t place);
  void settle_if_done();
  void hold(const detail::operation& op);

  const function_body& body_;
  const run_id run_;
  const event trigger_;
  time_point now_;

  std::vector<step_info> rows_;
  std::unordered_map<std::string, std::size_t> row_of_;  // id → place in rows_
  std::unordered_map<std::string, std::uint32_t> uses_;

  std::unique_ptr<detail::body_instance> instance_;
  std::coroutine_handle<> leaf_;
  std::vector<detail::operation*> pending_;
  std::size_t unfinished_ = 0;
  detail::until until_ = detail::until::all;
  frame_state state_ = frame_state::suspended;
  document output_;
  recorded_error error_;
  std::string held_because_;
};

}  // namespace caesura::actors
