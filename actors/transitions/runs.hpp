#pragma once

// What all transitions do to a run. replace_run is the one place where a run's record changes, and with it everything in memory that is
// derived from the record: listeners, timer, queue. Nothing else touches these, so they cannot disagree.

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "actors/clock.hpp"
#include "actors/router_state.hpp"

namespace caesura::actors {

using run_ptr = std::shared_ptr<const storage::run_record>;

// The run's record as the open transaction has it; null when no such live run is stored, or when its record or its
// definition is damaged: that run is left alone, the observer is told, and nobody else is harmed.
[[nodiscard]] run_ptr find_live(turn& now, const run_id& run);

// What `read` gives; `otherwise` where it meets a damaged record, which is said once and harms nothing else.
template <class Read>
[[nodiscard]] std::invoke_result_t<Read> read_sound(turn& now, const Read& read, std::invoke_result_t<Read> otherwise) {
  try {
    return read();
  } catch (const error& e) {
    if (e.code() != errc::store_corrupt) throw;
    now.say_once(e.what());
    return otherwise;
  }
}

// Stores `after` in place of `before` and adjusts index, timer and queue. Returns what was stored.
run_ptr replace_run(turn& now, const storage::run_record& before, storage::run_record after);

// Adds what is derived from a stored run to the router's memory. For recovery.
void index_run(router_state& state, const storage::run_record& run);

// Where a run comes from, besides its event.
struct origin {
  run_id replay_of{};
  run_id root{};
  std::vector<storage::step_record> kept{};  // rows of the run that is replayed
  run_id parent{};
  child_policy on_parent_cancel{child_policy::cancel};
  std::uint8_t nesting{0};
  std::optional<time_point> due{};     // when it starts at the earliest, whatever its event says
  event_id first_event{};              // debounced
  std::vector<event_id> events{};      // of a batch
  std::uint64_t batch_bytes{0};
  std::string skipped_because{};       // it never starts
};

// Creates a run of `fn` for an event, born before its event is stored; its id comes after the event's in the order. While the function
// is paused the run is born `skipped`.
run_id create_run(turn& now, const registered_function& fn, const storage::event_record& trigger, const origin& from = {});

// The groups of the function's concurrency that a run for this event takes part in.
[[nodiscard]] std::vector<std::uint64_t> groups_of(turn& now, const registered_function& fn, const expression::event_scope& trigger);

// Enters a queued run that has no actor (any more).
void queue_run(router_state& state, const storage::run_record& run);

// timeouts.start or timeouts.finish has passed; and what it is cancelled with.
[[nodiscard]] bool is_overdue(const turn& now, const storage::run_record& run);
// It was so when a turn for timers came that has not got to it.
[[nodiscard]] bool is_overlooked(const turn& now, const storage::run_record& run);
[[nodiscard]] cancellation overdue(const turn& now, const storage::run_record& run);

// True when the run's function is paused so that runs under way are held.
[[nodiscard]] bool is_held_by_pause(const router_state& state, const storage::run_record& run);
void mark_paused(const router_state& state, storage::run_record& run);
void set_function_state(turn& now, const std::string& function, const storage::function_state_record& after);

// When the run waits for any of its operations and one is recorded: the others that are pending are withdrawn. Returns the children that
// are to be cancelled over it, once the run is stored.
[[nodiscard]] std::vector<run_id> withdraw_losers(storage::run_record& run);
void cancel_losers(turn& now, const std::vector<run_id>& children);

// A run that may go on: gets an actor now if there is room, else waits in the queue; one that is overdue ends instead. `after` is the record with everything but
// status.
void start_or_queue(turn& now, const storage::run_record& before, storage::run_record after);

// A run at rest whose rest is over: its actor, if it still has one, is told `rows` and `retries`; else as start_or_queue.
void wake_run(turn& now, const storage::run_record& before, storage::run_record after, std::vector<step_info> rows,
              std::vector<std::string> retries);

// What is recorded of a function's pause is damaged: it counts as paused, and its runs under way are held, until it is resumed. So does every function
// without a record of its own while nobody knows whose pause a damaged record is.
void pause_unread(turn& now, const std::string& function);
void pause_unread_functions(turn& now);

// Ends a run: terminal status, the decision on its system events, the end of its listeners and timer, and its slot.
void end_run(turn& now, const storage::run_record& before, storage::run_record after, run_status status);

// Cancels a run that has not ended, and the runs that it invoked: at once when at rest, else recorded for the actor to honour after
// its step. `as_of`: the cancellation's place in the order, when it is an earlier one's consequence.
cancel_outcome request_cancel(turn& now, const storage::run_record& run, cancellation request, std::optional<position> as_of = {});
// The same for the run alone.
cancel_outcome record_cancel(turn& now, const storage::run_record& run, cancellation request);

// Takes the run's actor away; the actor is told by the caller.
void drop_actor(turn& now, const run_id& run);

// Gives free slots to queued runs. Called once after each command.
void dispatch_queue(turn& now);

// Records a step's row and counts it. Throws nothing on limits: the caller checks `over_limit` first.
void append_row(turn& now, storage::run_record& run, const storage::step_record& row);

// Why the run cannot record `more` rows of `bytes`; nullopt when it can.
[[nodiscard]] std::optional<recorded_error> over_limit(const router_state& state, const storage::run_record& run, std::size_t more,
                                                       std::size_t bytes);

[[nodiscard]] std::string text_of(const run_id& run);

}  // namespace caesura::actors
