#pragma once

#include <cstdint>
#include <memory>

#include "actors/router_state.hpp"
#include "storage/store.hpp"

namespace caesura::detail {

struct recovered {
  std::unique_ptr<actors::router_state> state{};
  actors::outputs told{};  // diagnostics; nothing else of them is meant to happen
};

// Rebuilds the router's memory from the store in one transaction: definitions, listeners, timers, queue, event memory, open sweeps. Runs
// that were live when the process ended are queued, or end cancelled if that was recorded; unless the last stop was clean, each counts
// one interruption. Runs at rest are indexed, not activated. Throws error{store_corrupt} and the storage errors.
[[nodiscard]] recovered recover(storage::store& store, std::shared_ptr<const actors::function_table> functions,
                                const actors::limits& limits, time_point now, std::uint64_t entropy);

}  // namespace caesura::detail
