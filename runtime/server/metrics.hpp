#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include <caesura/runtime.hpp>

namespace caesura::server {

// What has happened since the start, for GET /metrics. Any thread; counting costs one atomic addition.
class metrics {
 public:
  enum class call_result : std::uint8_t { answered, failed, given_up };

  metrics();

  void count_event(bool is_duplicate) noexcept { ++(is_duplicate ? duplicates_ : accepted_); }
  void count_cancel(cancel_outcome outcome) noexcept { ++cancels_[static_cast<std::size_t>(outcome)]; }
  void count_started() noexcept { ++started_; }
  void count_ended(run_status status) noexcept { ++ended_[static_cast<std::size_t>(status)]; }
  void count_call() noexcept { ++calls_out_; }
  void count_call_end(call_result result, std::chrono::nanoseconds took) noexcept;
  void count_response(int status) noexcept { ++responses_[static_cast<std::size_t>(status / 100 % 10)]; }

  // Prometheus' text format, version 0.0.4.
  [[nodiscard]] std::string text(const runtime_stats& stats, std::size_t stream_clients) const;

 private:
  using counter = std::atomic<std::uint64_t>;
  static constexpr std::size_t statuses = static_cast<std::size_t>(run_status::skipped) + 1;
  static constexpr std::size_t outcomes = static_cast<std::size_t>(cancel_outcome::unknown_run) + 1;
  static constexpr std::size_t buckets = 12;

  const std::chrono::system_clock::time_point started_at_;
  const std::chrono::steady_clock::time_point began_;
  counter accepted_{0};
  counter duplicates_{0};
  counter started_{0};
  std::array<counter, statuses> ended_{};
  std::array<counter, outcomes> cancels_{};
  std::array<counter, 10> responses_{};
  std::atomic<std::int64_t> calls_out_{0};
  std::array<counter, 3> calls_{};
  std::array<counter, buckets + 1> took_{};  // the last: longer than the last bound
  counter took_ns_{0};
};

}  // namespace caesura::server
