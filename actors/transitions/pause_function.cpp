#include <utility>

#include "actors/transitions/held.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

using storage::pause_mode;

void refuse_unknown(const router_state& state, const std::string& function) {
  if (state.functions->find(function) != nullptr) return;
  for (const auto& [hash, def] : state.definitions) {
    if (def->record.function == function) return;
  }
  throw error{errc::unknown_function, "no function \"" + function + "\" is registered or stored"};
}

// Runs that have an actor finish their steps in flight and go; the others are held when their turn comes.
void hold_live_runs(turn& now, const std::string& function) {
  auto& state = now.state;
  for (const auto& id : state.live.ids()) {
    const auto* before = state.live.find(id);
    if (before == nullptr) continue;  // settling another one has ended it
    const auto run = settle_sweeps(now, before->record);
    const auto* live = state.live.find(id);
    if (run == nullptr || live == nullptr || live->is_parking || run->cancelled_by) continue;
    if (run->status != run_status::running || state.definition_of(*run).record.function != function) continue;
    now.out.emplace_back(order_run{.run = id, .activation = live->activation, .order = order_kind::leave});
  }
}

}  // namespace

void pause_unread(turn& now, const std::string& function) {
  now.say_once("function \"" + function + "\" counts as paused, and its runs are held, because what is recorded of its pause is damaged: resume it");
  set_function_state(now, function, {.is_paused = true,
                                     .mode = pause_mode::hold,
                                     .changed_at = now.now,
                                     .changed_in = now.next_id<position>(),
                                     .reason = "what was recorded of its pause is damaged"});
}

void pause_unread_functions(turn& now) {
  if (!now.state.is_a_pause_unread) return;
  for (const auto& fn : now.state.functions->all()) {
    if (!now.state.function_states.contains(fn.code.id)) pause_unread(now, fn.code.id);
  }
}

void apply(turn& now, const pause_function& command) {
  auto& state = now.state;
  refuse_unknown(state, command.function);
  const auto* before = state.pause_of(command.function);
  const auto before_mode = before == nullptr ? pause_mode::let_finish : before->mode;  // the record is replaced below
  paused_function answer{.was_paused = before != nullptr};
  storage::function_state_record after{.is_paused = true, .mode = command.mode, .changed_at = now.now, .reason = command.reason};
  if (before != nullptr) {  // asked again: the pause began when it began, what it does may change
    after.changed_at = before->changed_at;
    after.changed_in = before->changed_in;
    after.skipped = before->skipped;
  } else {
    after.changed_in = now.next_id<position>();
  }
  set_function_state(now, command.function, after);
  if (command.mode == pause_mode::hold) hold_live_runs(now, command.function);
  if (command.mode == pause_mode::let_finish && before_mode == pause_mode::hold) try_held_runs(now, command.function, now.next_id<position>());
  if (command.mode == pause_mode::cancel) {
    const auto why = "function \"" + command.function + "\" was paused" + (command.reason.empty() ? "" : ": " + command.reason);
    answer.cancelling =
        begin_bulk(now, {.source = cancel_source::pause, .reason = why, .by = command.by, .filter = {.function = command.function}});
  }
  now.answer(command.reply, answer);
}

void apply(turn& now, const resume_function& command) {
  auto& state = now.state;
  refuse_unknown(state, command.function);
  resumed_function answer;
  if (const auto* before = state.pause_of(command.function)) {
    answer = {.was_paused = true, .skipped = before->skipped, .paused_in = before->changed_in, .resumed_in = now.next_id<position>()};
    set_function_state(now, command.function, {.changed_at = now.now, .changed_in = answer.resumed_in});
    try_held_runs(now, command.function, answer.resumed_in);
  }
  now.answer(command.reply, answer);
}

void try_held_runs(turn& now, const std::string& function, const position& place) {
  open_sweep sweep;
  sweep.place = place;
  sweep.record.kind = storage::sweep_kind::resume;
  sweep.record.function = function;
  begin_sweep(now, sweep);
  if (work_off_resume(now, sweep)) {
    end_sweep(now, sweep.place);
  } else if (auto* kept = find_sweep(now.state, sweep.place)) {
    kept->walked = sweep.walked;
  }
}

bool work_off_resume(turn& now, open_sweep& sweep) {
  const auto limit = now.state.limits.sweep_slice;
  const auto ids = now.tx.live_ids(sweep.walked, limit);
  for (const auto& id : ids) {
    sweep.walked = id;
    const auto run = settle_sweeps(now, find_live(now, id));
    if (run == nullptr || run->status != run_status::held) continue;
    if (now.state.definition_of(*run).record.function != sweep.record.function) continue;
    if (!run->is_paused && run->held_because != missing_text(sweep.record.function)) continue;  // held for another reason
    if (is_held_by_pause(now.state, *run)) return true;  // paused again meanwhile
    start_or_queue(now, *run, *run);
  }
  return ids.size() < limit;
}

}  // namespace caesura::actors
