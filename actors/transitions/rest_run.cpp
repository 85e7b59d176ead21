#include <algorithm>
#include <utility>

#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

run_status status_at_rest(const storage::run_record& run) {
  const auto has = [&](step_kind kind) { return std::ranges::find(run.pending, kind, &storage::pending_record::kind) != run.pending.end(); };
  if (has(step_kind::wait_for_event) || has(step_kind::invoke)) return run_status::waiting;
  if (has(step_kind::sleep)) return run_status::sleeping;
  return run_status::backing_off;
}

}  // namespace

// A pending step without a due time is one whose order to start is on the way to the actor, which did not know of it yet.
bool is_busy(const storage::run_record& run, const advance_run& command) {
  return command.in_flight > 0 ||
         std::ranges::any_of(run.pending, [](const storage::pending_record& p) { return p.kind == step_kind::run && !p.due; });
}

void rest_run(turn& now, const storage::run_record& before, storage::run_record after) {
  auto& state = now.state;
  after.status = status_at_rest(after);
  const auto run = replace_run(now, before, std::move(after));
  const auto due = wake_time(*run);
  if (!state.is_stopping && due && *due - now.now <= state.limits.parks_above) return;
  state.live.set_parking(run->id, state.undo);
  now.out.emplace_back(order_run{.run = run->id, .activation = state.live.find(run->id)->activation, .order = order_kind::park});
}

void apply(turn& now, const parked_run& command) {
  auto& state = now.state;
  const auto* live = state.live.find(command.run, command.activation);
  if (live == nullptr) return;
  const auto run = live->record;
  drop_actor(now, run->id);
  queue_run(state, *run);
}

}  // namespace caesura::actors
