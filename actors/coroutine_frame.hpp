#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <caesura/function.hpp>

#include "actors/frame.hpp"

namespace caesura::actors {

// Drives one body: replays recorded steps, stops at each operation that has no record. A step's closure refers to variables of the body.
class coroutine_frame final : public frame, public detail::driver {
 public:
  // `begun`: what now() gives before the first record. `rows`: recorded steps in their order.
  coroutine_frame(const function_body& body, run_id run, std::vector<event> triggers, time_point begun, std::vector<step_info> rows);
  ~coroutine_frame() override;

  void start() override;
  bool add(step_info row) override;
  [[nodiscard]] bool is_ready() const noexcept override {
    return state_ == frame_state::suspended && (is_any() ? unfinished_ < pending_.size() : unfinished_ == 0);
  }
  [[nodiscard]] std::uint32_t row_count() const noexcept override { return static_cast<std::uint32_t>(rows_.size()); }
  [[nodiscard]] bool is_any() const noexcept override { return until_ == detail::until::any; }
  void resume() override;

  bool admit(detail::operation& op) override;
  void suspend(std::coroutine_handle<> leaf, std::span<detail::operation* const> pending, detail::until when) override;
  time_point now() const override { return now_; }
  std::string uuid(std::string_view name) override;
  run_id id() const override { return run_; }
  const event& trigger() const override { return triggers_.front(); }

 private:
  std::uint32_t uses_of(std::string_view id);
  std::optional<std::size_t> find_row(std::string_view id) const;
  void take_row(detail::operation& op, std::size_t place);
  void settle_if_done();
  void hold(const detail::operation& op);

  const function_body& body_;
  const run_id run_;
  const std::vector<event> triggers_;  // never empty

  std::vector<step_info> rows_;
  std::unordered_map<std::string, std::size_t> row_of_;  // id → place in rows_
  std::unordered_map<std::string, std::uint32_t> uses_;

  std::unique_ptr<detail::body_instance> instance_;
  std::coroutine_handle<> leaf_;
  std::size_t unfinished_ = 0;
  detail::until until_ = detail::until::all;
};

}  // namespace caesura::actors
