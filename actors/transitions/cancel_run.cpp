#include <utility>

#include "actors/transitions/held.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

cancel_outcome outcome_for_others(turn& now, const run_id& id) {
  const auto run = now.tx.find_run(id);
  if (!run) return cancel_outcome::unknown_run;
  if (!is_ended(run->status)) {  // left alone
    if (run->cancelled_by) return cancel_outcome::cancelling;
    throw error{errc::store_corrupt, "run " + to_string(id) + ": " + left_alone_text(*run)};
  }
  if (run->status == run_status::completed) return cancel_outcome::already_completed;
  if (run->status == run_status::cancelled) return cancel_outcome::already_cancelled;
  return cancel_outcome::already_failed;
}

cancel_outcome decide(turn& now, const cancel_run& command, const storage::run_record& run) {
  if (run.cancelled_by) return cancel_outcome::cancelling;
  return request_cancel(now, run, {.source = cancel_source::call, .reason = command.reason, .requested_at = now.now, .by = command.by});
}

// Of a run that is not live. It only reads: what is damaged refuses this command, and the batch goes on.
void answer_for_others(turn& now, const cancel_run& command) {
  try {
    now.answer(command.reply, outcome_for_others(now, command.run));
  } catch (const error& e) {
    if (e.code() != errc::store_corrupt) throw;
    if (command.reply) now.out.emplace_back(reply{[answer = command.reply, why = e] { answer(why); }});
  }
}

}  // namespace

void apply(turn& now, const cancel_run& command) {
  if (const auto run = settle_sweeps(now, find_live(now, command.run))) {
    now.answer(command.reply, decide(now, command, *run));
  } else {
    answer_for_others(now, command);
  }
}

}  // namespace caesura::actors
