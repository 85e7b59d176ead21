#include <algorithm>
#include <utility>

#include "actors/planted_faults.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

// The steps that are recorded, if the sender did not know all of them: those of checkpoints may stand anywhere among its own.
std::vector<std::string> recorded_otherwise(turn& now, const storage::run_record& run, const advance_run& command) {
  std::vector<std::string> ids;
  if (!command.rows_known || *command.rows_known >= run.step_count || command.rows.empty()) return ids;
  for (auto& row : now.tx.steps_of(run.id)) ids.push_back(std::move(row.id));
  return ids;
}

void take_rows(turn& now, storage::run_record& run, const advance_run& command) {
  const auto known = recorded_otherwise(now, run, command);
  for (const auto& row : command.rows) {
    if (std::ranges::find(known, row.id) != known.end()) continue;
    const auto tried = std::ranges::find(run.pending, row.id, &storage::pending_record::step);
    if (tried == run.pending.end()) {
      append_row(now, run, row);
      continue;
    }
    auto whole = row;
    whole.failures = tried->failures;
    if (whole.name.empty()) whole.name = tried->name;
    append_row(now, run, whole);
    std::erase_if(run.pending, [&](const storage::pending_record& p) { return p.step == row.id; });
  }
}

void take_failures(turn& now, storage::run_record& run, const advance_run& command) {
  for (const auto& failure : command.failures) {
    std::vector<attempt_failure> failures;
    std::string name;
    if (const auto tried = std::ranges::find(run.pending, failure.step, &storage::pending_record::step); tried != run.pending.end()) {
      failures = std::move(tried->failures);
      name = std::move(tried->name);
    }
    failures.push_back({.error = failure.error, .started_at = failure.started_at, .ended_at = failure.ended_at});
    std::erase_if(run.pending, [&](const storage::pending_record& p) { return p.step == failure.step; });
    run.pending.push_back({.kind = step_kind::run,
                           .step = failure.step,
                           .failed_attempts = failure.failed_attempts,
                           .last_error = failure.error,
                           .started_at = failure.started_at,
                           .due = saturated(now.now, failure.retry_in),
                           .failures = std::move(failures),
                           .name = std::move(name)});
    run.interruptions = 0;
  }
}

// The first of what the body waits for is recorded already.
bool is_decided(const storage::run_record& run) { return run.any_from && run.step_count > *run.any_from; }

// The actor says nothing after this, once nothing is in flight.
bool is_last_word(next_kind next) { return next != next_kind::executing && next != next_kind::operations; }

// The run keeps its place without an actor: held until something changes, or queued for the next start of the process.
void rest_without_actor(turn& now, const storage::run_record& before, storage::run_record after) {
  drop_actor(now, before.id);
  replace_run(now, before, std::move(after));
}

recorded_error output_too_large(const router_state& state, std::size_t bytes) {
  return {.name = "caesura::error",
          .message = "the function's result has " + std::to_string(bytes) + " bytes; the limit is " +
                     std::to_string(state.limits.step_result_bytes)};
}

void complete(turn& now, const storage::run_record& before, storage::run_record after, const advance_run& command) {
  if (const auto bytes = command.output.bytes().size(); bytes > now.state.limits.step_result_bytes) {
    after.error = output_too_large(now.state, bytes);
    end_run(now, before, std::move(after), run_status::failed);
    return;
  }
  after.output = command.output;
  end_run(now, before, std::move(after), run_status::completed);
}

void go_on(turn& now, const storage::run_record& before, storage::run_record after, const advance_run& command) {
  switch (command.next) {
    case next_kind::executing:
      if (command.wants_rows) {
        replace_run(now, before, std::move(after));
        now.out.emplace_back(resume_run{.run = before.id, .activation = command.activation, .rows = command.rows});
      } else if (!after.pending.empty() && !is_busy(after, command)) {
        rest_run(now, before, std::move(after));
      } else {
        replace_run(now, before, std::move(after));
      }
      return;
    case next_kind::operations:
      begin_operations(now, replace_run(now, before, std::move(after)), command);
      return;
    case next_kind::completed:
      complete(now, before, std::move(after), command);
      return;
    case next_kind::failed:
      after.error = command.error;
      if (command.output.is_object() && command.output.bytes().size() <= now.state.limits.step_result_bytes) after.output = command.output;
      end_run(now, before, std::move(after), run_status::failed);
      return;
    case next_kind::held:
      after.status = run_status::held;
      after.held_because = command.held_because;
      now.say("run " + text_of(before.id) + " is held: " + command.held_because, before.id);
      rest_without_actor(now, before, std::move(after));
      return;
    case next_kind::cancelled:  // only asked for by a recorded cancel, which the caller has honoured
    case next_kind::left:
      if (!command.held_because.empty()) now.say_once("run " + text_of(before.id) + " could not be read, and is tried again: " + command.held_because, before.id);
      after.status = run_status::queued;
      if (is_held_by_pause(now.state, after)) mark_paused(now.state, after);
      rest_without_actor(now, before, std::move(after));
      return;
  }
}

}  // namespace

void apply(turn& now, const advance_run& command) {
  const auto* live = now.state.live.find(command.run, command.activation);
  if (live == nullptr) return;
  if (live->is_parking) {
    // Told to leave while its last report was on the way: it is gone, and there will be no `parked`.
    if (command.next == next_kind::left) apply(now, parked_run{.run = command.run, .activation = command.activation});
    return;
  }
  auto run = settle_sweeps(now, live->record);
  if (run == nullptr) return;
  if (is_overlooked(now, *run) && !run->cancelled_by) {
    request_cancel(now, *run, overdue(now, *run));
    run = find_live(now, command.run);
    if (run == nullptr) return;
  }

  auto after = *run;
  if (!(is_planted(fault::results_dropped) && after.cancelled_by)) take_rows(now, after, command);
  if (!is_decided(after)) take_failures(now, after, command);
  const auto losers = withdraw_losers(after);
  if (after.cancelled_by && (is_last_word(command.next) ? command.in_flight > 0 : is_busy(after, command))) {
    replace_run(now, *run, std::move(after));  // the actor is told, and has a last word to say
    return;
  }
  auto limit = over_limit(now.state, after, 0, 0);
  if (command.in_flight == 0) {
    // The cancel rule: results are recorded, and nothing comes after them, not even completion.
    if (after.cancelled_by && !(is_planted(fault::completion_beats_cancel) && command.next == next_kind::completed)) {
      end_run(now, *run, std::move(after), run_status::cancelled);
      return;
    }
    if (limit) {
      after.error = std::move(limit);
      end_run(now, *run, std::move(after), run_status::failed);
      return;
    }
  } else if (limit) {  // what executes is recorded still; nothing further starts, and with the last word the run fails
    now.out.emplace_back(order_run{.run = run->id, .activation = command.activation, .order = order_kind::leave});
  }
  go_on(now, *run, std::move(after), command);
  cancel_losers(now, losers);
}

}  // namespace caesura::actors
