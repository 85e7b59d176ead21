#include <optional>
#include <utility>

#include "actors/planted_faults.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

cancellation from_parent(turn& now, const run_id& parent) {
  return {.source = cancel_source::parent,
          .reason = "its parent run " + to_string(parent) + " was cancelled",
          .requested_at = now.now,
          .parent = parent};
}

bool follows_its_parent(const storage::run_record& run) {
  return run.on_parent_cancel == child_policy::cancel && !is_ended(run.status);
}

// The descendants that a cancellation reaches, parents first; nullopt when more than `limit` children are to be looked at, those that stay too.
std::optional<std::vector<run_id>> descendants(turn& now, const run_id& root, std::size_t limit) {
  std::vector<run_id> found{};
  std::vector<run_id> parents{root};
  std::size_t looked_at = 0;
  while (!parents.empty()) {
    std::vector<run_id> next;
    for (const auto& parent : parents) {
      for (const auto& child : now.tx.children_of(parent, {}, limit + 1)) {
        if (++looked_at > limit) return std::nullopt;
        const auto run = find_live(now, child);
        if (run == nullptr || !follows_its_parent(*run)) continue;
        found.push_back(child);
        if (run->has_children && !is_planted(fault::grandchildren_spared)) next.push_back(child);
      }
    }
    parents = std::move(next);
  }
  return found;
}

}  // namespace

void cancel_descendants(turn& now, const run_id& root, position as_of) {
  if (const auto runs = descendants(now, root, now.state.limits.sweep_threshold)) {
    for (const auto& id : *runs) {
      const auto run = settle_sweeps(now, find_live(now, id), as_of.is_nil() ? std::nullopt : std::optional{as_of});
      if (run != nullptr && !run->cancelled_by) record_cancel(now, *run, from_parent(now, run->parent));
    }
    return;
  }
  open_sweep sweep;
  sweep.place = now.next_id<position>();
  sweep.record.kind = storage::sweep_kind::tree;
  sweep.record.root = root;
  sweep.record.as_of = as_of.is_nil() ? sweep.place : as_of;
  begin_sweep(now, std::move(sweep));
}

run_ptr hit_by_tree(turn& now, run_ptr run, const open_sweep& sweep) {
  if (run == nullptr || is_ended(run->status) || run->cancelled_by || id_cast<position>(run->id) > sweep.record.as_of) return run;
  // Up the line: each link follows its parent, and no run in between ended by itself before the cancellation.
  storage::run_record at = *run;
  for (std::size_t steps = 0; at.parent != sweep.record.root; ++steps) {
    if (at.parent.is_nil() || at.on_parent_cancel == child_policy::abandon || steps > now.state.limits.nesting) return run;
    const auto parent = read_sound(now, [&] { return now.tx.find_run(at.parent); }, std::nullopt);  // of a damaged one nobody knows how it ended
    if (!parent || (is_ended(parent->status) && parent->status != run_status::cancelled)) return run;
    at = *parent;
  }
  if (at.on_parent_cancel == child_policy::abandon) return run;
  request_cancel(now, *run, from_parent(now, run->parent), sweep.record.as_of);
  return find_live(now, run->id);
}

bool work_off_tree(turn& now, open_sweep& sweep) {
  const auto limit = now.state.limits.sweep_slice;
  const auto children = now.tx.children_of(sweep.record.root, sweep.walked, limit);
  for (const auto& child : children) {
    settle_sweeps(now, find_live(now, child));
    sweep.walked = child;
  }
  return children.size() < limit;
}

}  // namespace caesura::actors
