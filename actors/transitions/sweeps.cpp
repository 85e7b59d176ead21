#include <algorithm>
#include <utility>

#include "actors/planted_faults.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

using storage::sweep_kind;

run_ptr hit_run(turn& now, run_ptr run, const open_sweep& sweep) {
  switch (sweep.record.kind) {
    case sweep_kind::event: return hit_by_event(now, std::move(run), *sweep.event);
    case sweep_kind::bulk: return hit_by_bulk(now, std::move(run), sweep);
    case sweep_kind::tree: return hit_by_tree(now, std::move(run), sweep);
    case sweep_kind::resume: break;
  }
  return run;
}

bool work_off(turn& now, open_sweep& sweep) {
  switch (sweep.record.kind) {
    case sweep_kind::event: return work_off_event(now, sweep);
    case sweep_kind::bulk: return work_off_bulk(now, sweep);
    case sweep_kind::tree: return work_off_tree(now, sweep);
    case sweep_kind::resume: return work_off_resume(now, sweep);
  }
  return true;
}

}  // namespace

run_ptr settle_sweeps(turn& now, run_ptr run, std::optional<position> up_to) {
  if (run == nullptr || now.state.sweeps.empty()) return run;
  // A sweep that means an ancestor means its descendants too, at the same place.
  if (!run->parent.is_nil()) {
    settle_sweeps(now, find_live(now, run->parent), up_to);
    run = find_live(now, run->id);
    if (run == nullptr) return run;
  }
  const position asked = run->swept_to;
  const position born = id_cast<position>(run->id);
  // By place: acting on a run may begin further sweeps, of which all that concerns this run has been done.
  std::vector<position> places;
  for (const auto& sweep : now.state.sweeps) {
    if (up_to && sweep.place > *up_to) continue;
    if (sweep.asks_runs() && sweep.place > asked && (sweep.place > born || is_planted(fault::order_off_by_one))) places.push_back(sweep.place);
  }
  for (const auto& place : places) {
    if (run == nullptr) return run;
    if (const auto* sweep = find_sweep(now.state, place)) run = hit_run(now, std::move(run), open_sweep{*sweep});
  }
  return run;
}

open_sweep* find_sweep(router_state& state, const position& place) {
  const auto found = std::ranges::find(state.sweeps, place, &open_sweep::place);
  return found == state.sweeps.end() ? nullptr : &*found;
}

void begin_sweep(turn& now, open_sweep sweep) {
  auto& state = now.state;
  now.tx.put_sweep(sweep.place, sweep.record);
  state.undo.add([&state, place = sweep.place] { std::erase_if(state.sweeps, [&](const auto& s) { return s.place == place; }); });
  state.sweeps.push_back(std::move(sweep));
}

void end_sweep(turn& now, const position& place) {
  auto& state = now.state;
  const auto found = std::ranges::find(state.sweeps, place, &open_sweep::place);
  if (found == state.sweeps.end()) return;
  now.tx.delete_sweep(place);
  state.undo.add([&state, done = *found] {
    state.sweeps.insert(std::ranges::upper_bound(state.sweeps, done.place, {}, &open_sweep::place), done);
  });
  state.sweeps.erase(found);
}

void apply(turn& now, const sweep_slice&) {
  auto& state = now.state;
  const auto due = std::ranges::find_if(state.sweeps, [&](const open_sweep& sweep) {
    return !sweep.is_stuck && (!sweep.job || !sweep.job->next_at || *sweep.job->next_at <= now.now);
  });
  if (due == state.sweeps.end()) return;
  // Worked off on a copy: what it does may begin or end sweeps.
  open_sweep sweep = *due;
  const bool is_done = work_off(now, sweep);
  if (is_done) {
    end_sweep(now, sweep.place);
    return;
  }
  if (auto* kept = find_sweep(state, sweep.place)) {
    state.undo.add([&state, before = *kept] {
      if (auto* again = find_sweep(state, before.place)) *again = before;
    });
    kept->cursor = sweep.cursor;
    kept->walked = sweep.walked;
    kept->is_stuck = sweep.is_stuck;
  }
}

}  // namespace caesura::actors
