#include <algorithm>
#include <utility>

#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

run_status status_at_rest(const storage::run_record& run) {
  const auto has = [&](step_kind kind) { return std::ranges::find(run.pending, kind, &storage::pending_record::kind) != run.pending.end(); };
  if (has(step_kind::wait_for_event)) return run_status::waiting;
  if (has(step_kind::sleep)) return run_status::sleeping;
  return run_status::backing_off;
}

}  // namespace

void rest_run(turn& now, const storage::run_record& before, storage::run_record after) {
  auto& state = now.state;
  after.status = status_at_rest(after);
  const auto run = replace_run(now, before, std::move(after));
  const auto due = wake_time(*run);
  if (!state.is_stopping && due && *due - now.now <= state.limits.parks_above) return;
  auto& live = state.live.at(run->id);
  live.is_parking = true;
  state.undo.add([&state, id = run->id] {
    if (const auto found = state.live.find(id); found != state.live.end()) found->second.is_parking = false;
  });
  now.out.emplace_back(order_run{.run = run->id, .activation = live.activation, .order = order_kind::park});
}

void apply(turn& now, const parked_run& command) {
  auto& state = now.state;
  const auto live = state.live.find(command.run);
  if (live == state.live.end() || live->second.activation != command.activation) return;
  const auto run = live->second.record;
  state.undo.add([&state, entry = live->second] { state.live[entry.record->id] = entry; });
  state.live.erase(live);
  if (run->status == run_status::queued) state.queue.push(run->id, true, state.undo);
}

}  // namespace caesura::actors
