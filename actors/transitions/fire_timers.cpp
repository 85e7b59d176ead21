#include <utility>

#include "actors/transitions/flow_control.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

storage::step_record elapsed(turn& now, const storage::pending_record& pending) {
  storage::step_record row{.id = pending.step, .kind = pending.kind, .started_at = pending.started_at, .ended_at = now.now, .child = pending.child, .name = pending.name};
  if (pending.kind == step_kind::invoke) {
    row.error = recorded_error{.name = std::string{invoke_error::timed_out},
                               .message = "run " + to_string(pending.child) + " had not ended in time; it goes on"};
  }
  return row;
}

// Sleeps end, waits time out, failed steps may be tried again.
void fire(turn& now, const run_ptr& run) {
  if (is_overdue(now, *run) && !run->cancelled_by) {
    request_cancel(now, *run, overdue(now, *run));
    return;
  }
  if (run->status == run_status::scheduled) {
    start_or_queue(now, *run, *run);
    return;
  }
  auto after = *run;
  std::vector<step_info> rows;
  std::vector<std::string> retries;
  std::erase_if(after.pending, [&](storage::pending_record& p) {
    if (!p.due || *p.due > now.now) return false;
    if (p.kind == step_kind::run) {
      p.due.reset();
      retries.push_back(p.step);
      return false;
    }
    const auto row = elapsed(now, p);
    append_row(now, after, row);
    rows.push_back(row);
    return true;
  });
  const auto losers = withdraw_losers(after);
  if (after.any_from && after.step_count > *after.any_from) retries.clear();
  wake_run(now, *run, std::move(after), std::move(rows), std::move(retries));
  cancel_losers(now, losers);
}

void set_behind(turn& now, std::optional<time_point> until) {
  auto& behind = now.state.timers_behind;
  if (behind == until) return;
  now.state.undo.add([&behind, before = behind] { behind = before; });
  behind = until;
}

void fire_runs(turn& now) {
  auto& timers = now.state.timers;
  set_behind(now, now.now);
  for (std::size_t left = now.state.limits.timers_per_turn; left > 0 && !timers.empty(); --left) {
    const auto [due, id] = *timers.begin();
    if (due > now.now) break;
    const auto run = settle_sweeps(now, find_live(now, id));
    if (run != nullptr && wake_time(*run) && *wake_time(*run) <= now.now) fire(now, run);
    // The record decides: an entry that it does not stand behind goes. One that it does is due again: a deadline came with it.
    if (timers.empty() || *timers.begin() != std::pair{due, id}) continue;
    if (const auto after = find_live(now, id); after == nullptr || wake_time(*after) != due) {
      now.state.undo.add([&timers, entry = std::pair{due, id}] { timers.insert(entry); });
      timers.erase(timers.begin());
    }
  }
  if (timers.empty() || timers.begin()->first > now.now) set_behind(now, std::nullopt);
}

}  // namespace

void apply(turn& now, const fire_timers&) {
  fire_runs(now);
  fire_crons(now);
  now.state.queue.open_due(now.now, now.state.undo);
}

}  // namespace caesura::actors
