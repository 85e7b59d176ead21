#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include <caesura/time.hpp>

#include "actors/clock.hpp"
#include "actors/limits.hpp"
#include "actors/observation.hpp"
#include "actors/step_job.hpp"

namespace caesura::detail {

// What a test puts in place of the world. Given to a runtime, it makes every actor run on the calling thread, in one order; unless
// `is_real`: then it only watches and injures the store.
struct environment {
  bool is_real{false};
  const actors::clock* clock{nullptr};
  actors::step_executor* steps{nullptr};
  std::uint64_t seed{1};
  std::function<void(std::uint64_t)> before_commit{};  // see storage::store_options
  std::function<void(std::uint64_t)> after_commit{};
  std::function<void()> before_write{};
  std::function<void()> before_read{};
  std::function<void(actors::limits&)> adjust_limits{};
  actors::order_watch watch{};

  // Set by the runtime.
  std::function<void()> run_messages{};     // handles messages until there are none
  std::function<bool()> run_one_message{};  // false: there was none
  std::function<void()> fire_timers{};      // what the alarm would do
  std::optional<time_point> alarm{};        // when the router wants fire_timers
};

}  // namespace caesura::detail
