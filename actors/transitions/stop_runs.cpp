#include <algorithm>
#include <utility>
#include <vector>

#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

// The reply is the router's: it follows once no run is live any more.
void apply(turn& now, const stop_runs&) {
  auto& state = now.state;
  state.is_stopping = true;
  for (const auto& run : state.live.ids()) {
    const auto* live = state.live.find(run);
    if (live->is_parking) continue;
    const bool is_running = live->record->status == run_status::running;
    if (!is_running) state.live.set_parking(run, state.undo);
    now.out.emplace_back(
        order_run{.run = run, .activation = live->activation, .order = is_running ? order_kind::leave : order_kind::park});
  }
}

}  // namespace caesura::actors
