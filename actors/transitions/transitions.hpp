#pragma once

// One verb per file. Each takes its turn, validates before it writes, and appends what must happen after the commit.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/commands.hpp"
#include "actors/router_state.hpp"
#include "actors/transitions/runs.hpp"
#include "storage/document_writer.hpp"

namespace caesura::actors {

// accept_event.cpp
void apply(turn& now, const accept_events& command);
// Accepts one event that passed validation: de-duplicates it by (name, client id), cancels and resumes the runs that listen for it,
// starts the functions it triggers, stores it. Throws error{duplicate_id} before writing anything.
accepted_event accept_event(turn& now, const event& value, std::uint8_t depth);
// Routes and stores an event under a new id. `about`: the function that a system event is about, which it never starts.
accepted_event route_event(turn& now, storage::event_record record, std::string_view about);
// What is wrong with an event that a client sends; nullopt when nothing is.
[[nodiscard]] std::optional<std::string> fault_of(const event& value, const limits& limits);
// Its name, id, version, data and user, in bytes: what the limits of an event and of a send count.
[[nodiscard]] std::size_t size_of(const event& value) noexcept;

// match_event.cpp
// Cancels and resumes the runs that the event hits, at once or as a sweep.
void match_event(turn& now, const storage::event_record& record);
// Lets one event act on one run; returns the run as it is afterwards (null: ended).
run_ptr hit_by_event(turn& now, run_ptr run, const storage::event_record& record);

// send_signal.cpp
void apply(turn& now, const send_signal& command);
// What is wrong with a signal; nullopt when nothing is. A wait has no data.
[[nodiscard]] std::optional<std::string> fault_of_signal(std::string_view name, const document& data, const limits& limits);
// The run, other than `besides`, that waits for the signal of this event, as the open transaction has it; null: none. A run whose cancel is recorded
// waits no more.
[[nodiscard]] run_ptr find_signal_wait(turn& now, const std::string& event, const run_id& besides);
// Lets the open sweeps act on the runs that find_signal_wait looks at. May change any run.
void settle_signal_waits(turn& now, const std::string& event, const run_id& besides);
// Another run waits for the signal from now on: this one's wait ends by its timeout, or at once if it has none.
void lose_signal(turn& now, const storage::run_record& run, const std::string& event);

// sweeps.cpp
// Lets every open sweep act on a run before anything else does; returns the run as it is afterwards (null: ended or none). `up_to`: only those until this
// place, for what happens to the run there and ends what it may be asked.
run_ptr settle_sweeps(turn& now, run_ptr run, std::optional<position> up_to = {});
void apply(turn& now, const sweep_slice& command);
[[nodiscard]] open_sweep* find_sweep(router_state& state, const position& place);
void begin_sweep(turn& now, open_sweep sweep);
void end_sweep(turn& now, const position& place);
// The next slice of each kind; true when it was the last.
bool work_off_event(turn& now, open_sweep& sweep);   // match_event.cpp
bool work_off_bulk(turn& now, open_sweep& sweep);    // bulk_jobs.cpp
bool work_off_tree(turn& now, open_sweep& sweep);    // cancel_descendants.cpp
bool work_off_resume(turn& now, open_sweep& sweep);  // pause_function.cpp

// cancel_descendants.cpp
// Cancels the runs that `root` invoked, and theirs, at once or as a sweep. `as_of` nil: this place in the order; else what is open after that place
// comes too late for them.
void cancel_descendants(turn& now, const run_id& root, position as_of);
run_ptr hit_by_tree(turn& now, run_ptr run, const open_sweep& sweep);

// bulk_jobs.cpp
bulk_id begin_bulk(turn& now, storage::bulk_record job);
// For recovery: the job goes on where it was.
void reopen_bulk(turn& now, const position& place, storage::bulk_record job);
// Jobs with a rate that wait for a time of a clock that was ahead go on now.
void pull_in_bulks(turn& now);
run_ptr hit_by_bulk(turn& now, run_ptr run, const open_sweep& sweep);
// A run that a bulk job found executing has ended.
void count_cancelled(turn& now, const bulk_id& bulk);
void apply(turn& now, const store_plan& command);
void apply(turn& now, const start_bulk& command);
void apply(turn& now, const stop_bulk& command);

// replay_run.cpp
// What a replay is made of. Throws one of the refusals of is_refused_replay.
struct replay_source {
  storage::run_record run{};
  const registered_function* function{nullptr};
  storage::event_record trigger{};
  std::vector<storage::step_record> kept{};
};
[[nodiscard]] replay_source read_replay(turn& now, const run_id& id, const std::string& from_step);
run_id replay(turn& now, const replay_source& from);
[[nodiscard]] bool is_refused_replay(errc code);
void apply(turn& now, const replay_run& command);

// pause_function.cpp
void apply(turn& now, const pause_function& command);
void apply(turn& now, const resume_function& command);

// purge.cpp
void apply(turn& now, const purge_slice& command);
void apply(turn& now, const clock_jumped& command);

// cancel_run.cpp
void apply(turn& now, const cancel_run& command);

// advance_run.cpp
void apply(turn& now, const advance_run& command);

// checkpoint_run.cpp
void apply(turn& now, const checkpoint_run& command);

// define_functions.cpp
void apply(turn& now, const define_functions& command);
// Held runs of the function get another try, in slices.
void try_held_runs(turn& now, const std::string& function, const position& place);

// begin_operations.cpp
// The timeout of a wait that has none.
inline constexpr duration longest_wait = days{366};
// The body has stopped at operations: records waits and timers, finishes what is finished already, starts steps.
void begin_operations(turn& now, run_ptr run, const advance_run& command);

// rest_run.cpp
// What a run with nothing executing does until its pending operations are over: rests with or without its actor.
void rest_run(turn& now, const storage::run_record& before, storage::run_record after);
// Something of the run executes, or will: what its actor has just said is not the last word of this activation. `run` is what is recorded with it.
[[nodiscard]] bool is_busy(const storage::run_record& run, const advance_run& command);
void apply(turn& now, const parked_run& command);

// fire_timers.cpp
void apply(turn& now, const fire_timers& command);

// route_outbox.cpp
void apply(turn& now, const route_outbox& command);

// lose_run.cpp
void apply(turn& now, const lost_run& command);
// A run that was live when its actor or process died: ends it if a cancel is recorded, else counts the interruption and queues it.
void interrupt_run(turn& now, const run_ptr& run);

// stop_runs.cpp
void apply(turn& now, const stop_runs& command);

// quarantine_run.cpp
void apply(turn& now, const quarantine_run& command);

// The result of a wait as it is recorded.
// As system events and the results of waits hold it.
void write_event(storage::document_writer& out, const storage::event_record& record);
[[nodiscard]] document wait_result(const storage::event_record& record);
void consume(storage::run_record& run, const storage::event_record& record);

}  // namespace caesura::actors
