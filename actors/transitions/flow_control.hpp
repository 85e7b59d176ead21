#pragma once

// Whether and when an event starts a function. State is in the table `flow`, one record a function, kind and key; what runs wait for is derived from their
// records as always: throttles and singletons are groups of the queue.

#include <optional>

#include "actors/router_state.hpp"
#include "actors/transitions/runs.hpp"

namespace caesura::actors {

// The run that the event belongs to: a new one, or one that collects events (debounce, batch). nullopt: it starts nothing (rate limit).
std::optional<run_id> start_function(turn& now, const registered_function& fn, const storage::event_record& event);

// What a run keeps of its function's flow control, whatever it was started by: priority, and the groups of throttle and singleton.
void mark_flow(turn& now, const registered_function& fn, const storage::event_record& event, storage::run_record& run);

// A collected run starts, or waits for its turn to: false when a singleton skipped it, and it has ended. Asked again, it decides the same.
[[nodiscard]] bool settle_singleton(turn& now, const storage::run_record& run);

// The run starts for the first time: takes its turn in its throttle, which closes the group until the next one may.
void pass_throttle(turn& now, const storage::run_record& run);

// For recovery and new functions: the throttles that are closed, and the next tick of each cron trigger.
void enter_flow(turn& now);
void fire_crons(turn& now);

// Forgets what has no effect any more; true when all has been looked at.
bool purge_flow(turn& now, purge_state& purge);

}  // namespace caesura::actors
