#include <utility>

#include "actors/transitions/held.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

cancel_outcome outcome_for_ended(turn& now, const run_id& id) {
  const auto run = now.tx.find_run(id);
  if (!run) return cancel_outcome::unknown_run;
  if (!is_ended(run->status)) throw error{errc::store_corrupt, "run " + to_string(id) + ": " + left_alone_text(*run)};
  if (run->status == run_status::completed) return cancel_outcome::already_completed;
  if (run->status == run_status::cancelled) return cancel_outcome::already_cancelled;
  return cancel_outcome::already_failed;
}

cancel_outcome decide(turn& now, const cancel_run& command) {
  const auto run = settle_sweeps(now, find_live(now, command.run));
  if (run == nullptr) return outcome_for_ended(now, command.run);
  if (run->cancelled_by) return cancel_outcome::cancelling;
  return request_cancel(now, *run, {.source = cancel_source::call, .reason = command.reason, .requested_at = now.now, .by = command.by});
}

}  // namespace

void apply(turn& now, const cancel_run& command) {
  now.answer(command.reply, decide(now, command));
}

}  // namespace caesura::actors
