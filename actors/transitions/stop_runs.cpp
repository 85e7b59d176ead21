#include <algorithm>
#include <utility>
#include <vector>

#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

// The reply is the router's: it follows once no run is live any more.
void apply(turn& now, const stop_runs&) {
  auto& state = now.state;
  state.is_stopping = true;
  std::vector<run_id> runs;
  runs.reserve(state.live.size());
  for (const auto& [run, entry] : state.live) runs.push_back(run);
  std::ranges::sort(runs);
  for (const auto& run : runs) {
    auto& live = state.live.at(run);
    if (live.is_parking) continue;
    const bool is_running = live.record->status == run_status::running;
    live.is_parking = !is_running;
    now.out.emplace_back(
        order_run{.run = run, .activation = live.activation, .order = is_running ? order_kind::leave : order_kind::park});
  }
}

}  // namespace caesura::actors
