#pragma once

// Faults that the test of the simulation plants, one at a time, to see that it finds them: the test of the test. Only that test's program is
// compiled with CAESURA_PLANTED_FAULTS; everywhere else is_planted is false at compile time, and nothing of this is in the object code.

namespace caesura::actors {

enum class fault : unsigned char {
  none,
  step_before_commit,             // the next step starts before the record ahead of it is durable
  cancel_not_recorded,            // an executing run's actor is told of the cancel, the store is not
  outputs_outside_transaction,    // what a batch that was taken back produced leaves with the next commit
  event_twice,                    // the outbox keeps its record, and the event has no id to be known by
  listeners_left,                 // an ended run's cancel rules stay in the index
  timer_left,                     // a timer outlives the rest it was set for
  order_off_by_one,               // an event that is worked off in slices hits runs created after it
  sweep_asks_twice,               // a run does not remember which open sweeps it has been asked by
  gate_left_open,                 // the cancel is answered while a step that was handed out may still start
  slot_leaked,                    // a cancelled run keeps its concurrency slot
  completion_beats_cancel,        // a run whose cancel is recorded completes all the same
  results_dropped,                // a cancelled run's last results are not recorded
  cancel_forgotten_by_restart,    // recovery executes a run again whose cancel is recorded
  losers_left,                    // what lost an `any` stays pending
  undo_forgotten,                 // a commit that failed leaves its listeners in the index
  grandchildren_spared,           // a cancel reaches the children, and not theirs
  parent_not_told,                // an ended child leaves its parent waiting
  pause_ignored,                  // a held function's queued runs start
  duplicate_taken,                // an event that was taken before a restart is taken again
  signal_shared,                  // a run takes a signal over, and the one before it waits on
  retries_forgotten,              // an activation does not know how often a step has failed before it
  throttle_opened_by_restart,     // recovery does not close the throttles whose turn has not come
  turn_not_taken,                 // a run that starts leaves its throttle as it was
  first_event_kept,               // a debounced run keeps the cancel rules of the first event of its row
  singleton_doubled,              // a run starts while the one whose place it takes still executes
  batch_joined_late,              // an event joins a batch that is due and has not started
  pause_counted,                  // what a paused function skips counts in its rate limit
  ticks_made_up,                  // each tick that was missed runs
  priority_ignored,               // a run's priority does not move its place
  count
};

#ifdef CAESURA_PLANTED_FAULTS
inline fault planted_fault = fault::none;
inline bool is_planted(fault which) { return planted_fault == which; }
#else
constexpr bool is_planted(fault) { return false; }
#endif

}  // namespace caesura::actors
