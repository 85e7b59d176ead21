#pragma once

// What the router takes, one at a time, and what leaves it once the batch is durable.

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <caesura/error.hpp>
#include <caesura/event.hpp>
#include <caesura/remote.hpp>
#include <caesura/run.hpp>
#include <caesura/signal.hpp>

#include "storage/records.hpp"

namespace caesura::actors {

struct step_job;             // step_job.hpp
struct registered_function;  // router_state.hpp
using activation = std::uint64_t;  // one life of a run's actor; a message of an earlier one is ignored

// The store's state may be another one soon.
[[nodiscard]] constexpr bool is_passing(errc code) noexcept {
  return code == errc::storage_full || code == errc::storage_failed || code == errc::outcome_unknown;
}

// How a caller gets its answer, on the router's thread, after the commit: it must be quick and must not throw.
template <class T>
using reply_to = std::function<void(std::variant<T, error>)>;

struct accepted_event {
  event_id id{};
  std::string client_id{};
  std::vector<run_id> runs{};
  bool is_duplicate{false};
};

struct accept_events {
  std::vector<event> events{};
  reply_to<std::vector<accepted_event>> reply{};
};

struct cancel_run {
  run_id run{};
  std::string reason{};
  std::string by{};
  reply_to<cancel_outcome> reply{};
};

// Answered with the run that it resumed; nullopt: none waits, and nothing is recorded.
struct send_signal {
  std::string name{};
  document data{};
  reply_to<std::optional<run_id>> reply{};
};

// An operation at which a body has stopped.
struct operation_request {
  step_kind kind{step_kind::run};
  std::string step{};
  std::optional<duration> delay{};    // sleep_for, a wait's timeout
  std::optional<time_point> until{};  // sleep_until, a timeout as a time
  std::string event{};                // wait
  std::string when{};
  bool look_back{false};
  std::optional<signal_conflict> conflict{};  // wait: set when `event` is a signal's
  std::optional<caesura::event> to_send{};
  std::string function{};             // invoke
  document data{};                    // invoke
  document user{};                    // invoke
  std::string version{};              // invoke
  child_policy on_parent_cancel{child_policy::cancel};  // invoke
  std::string name{};                 // for people
  bool is_planned{false};             // run: kept in the record although it has not failed
};

// An attempt that failed and will be repeated.
struct failed_attempt {
  std::string step{};
  std::uint32_t failed_attempts{1};
  recorded_error error{};
  time_point started_at{};
  time_point ended_at{};
  duration retry_in{0};
};

enum class next_kind : std::uint8_t {
  executing,   // nothing new: more results of this suspension are to come
  operations,  // the body stopped at `operations`
  completed,
  failed,
  held,
  cancelled,   // the actor has honoured a cancel
  left,        // the actor has honoured a stop
};

// What a run actor reports: new results, and what comes next. Nothing of it takes effect before its commit.
struct advance_run {
  run_id run{};
  actors::activation activation{0};
  std::vector<storage::step_record> rows{};
  std::vector<failed_attempt> failures{};
  next_kind next{next_kind::executing};
  std::vector<operation_request> operations{};
  bool goes_on_at_first{false};  // operations: the sender asks again at the first to be finished, the others stay
  bool is_any{false};  // operations: the first to be finished is enough
  std::uint32_t rows_seen{0};  // operations: rows that the body had been given when it stopped, with `rows`
  std::vector<std::shared_ptr<step_job>> jobs{};  // of the operations that are steps; started by the router after the commit
  std::uint32_t in_flight{0};                     // steps that may still be executing
  document output{};
  std::optional<recorded_error> error{};
  std::string held_because{};  // held; left: why the run could not be begun, empty for those that were told to leave
  std::optional<std::uint32_t> rows_known{};  // rows known when `rows` were made: of those recorded beyond them, none is recorded again
  bool wants_rows{false};  // the actor has not taken these rows itself: tell them in the order in which they are recorded
};

// Steps that a call of the run's code reports while it goes on.
struct checkpoint_run {
  run_id run{};
  actors::activation activation{0};
  std::vector<remote::finished_step> steps{};
  reply_to<remote::checkpoint_outcome> reply{};
};

struct parked_run {
  run_id run{};
  actors::activation activation{0};
};

// The actor died without ending its run.
struct lost_run {
  run_id run{};
  actors::activation activation{0};
  std::string reason{};
};

struct fire_timers {};
struct route_outbox {};
struct sweep_slice {};
struct purge_slice {};

// The wall clock was set by more than an hour.
struct clock_jumped {
  duration by{0};
};

// Part of what a preview pinned: the ids of one chunk. The first has no plan yet and is answered with it.
struct store_plan {
  plan_id plan{};
  run_filter filter{};
  std::uint64_t total{0};
  std::uint32_t chunk{0};
  std::vector<run_id> ids{};  // ascending, at most storage::plan_chunk_ids a chunk, over all chunks ascending
  reply_to<plan_id> reply{};
};

struct start_bulk {
  storage::bulk_kind kind{storage::bulk_kind::cancel};
  plan_id plan{};       // nil: the filter, as of this command's place in the order
  run_filter filter{};
  std::string reason{};
  std::string by{};
  std::string from_step{};
  double rate_per_second{0};
  reply_to<bulk_id> reply{};
};

// Answered with false when the job has ended already; error{unknown_bulk}.
struct stop_bulk {
  bulk_id bulk{};
  reply_to<bool> reply{};
};

struct replay_run {
  run_id run{};
  std::string from_step{};  // empty: from the beginning
  reply_to<run_id> reply{};
};

struct paused_function {
  bool was_paused{false};
  bulk_id cancelling{};  // pause_mode::cancel: the bulk job
};
struct pause_function {
  std::string function{};
  storage::pause_mode mode{storage::pause_mode::let_finish};
  std::string reason{};
  std::string by{};
  reply_to<paused_function> reply{};
};

struct resumed_function {
  bool was_paused{false};
  std::uint64_t skipped{0};
  position paused_in{};   // skipped runs have ids between these two
  position resumed_in{};
};
struct resume_function {
  std::string function{};
  reply_to<resumed_function> reply{};
};

// Touches nothing durable.
struct find_places {
  std::vector<run_id> runs{};
  reply_to<std::vector<std::optional<std::size_t>>> reply{};
};

struct watch_run {
  run_id run{};
  std::uint64_t token{0};
  reply_to<run_info> reply{};  // once the run has ended; error{unknown_run} when there is none
};
struct unwatch_run {
  std::uint64_t token{0};
};

// No activation and no step start after this; `reply` once no step executes and every result is recorded.
struct stop_runs {
  reply_to<std::monostate> reply{};
};

// Puts a run that a command could not advance on hold. Sent by the router to itself.
// The functions of this process are these from now on.
class function_table;  // router_state.hpp
struct define_functions {
  std::shared_ptr<const function_table> functions{};
  reply_to<std::monostate> reply{};
};

struct quarantine_run {
  run_id run{};
  std::string why{};
};

using command_body = std::variant<accept_events, cancel_run, advance_run, parked_run, lost_run, fire_timers, route_outbox, sweep_slice,
                                  watch_run, unwatch_run, stop_runs, quarantine_run, purge_slice, clock_jumped, store_plan, start_bulk,
                                  stop_bulk, replay_run, pause_function, resume_function, find_places, checkpoint_run, define_functions,
                                  send_signal>;

struct command {
  command_body body{};
};

// Commands that callers wait for are counted against options.waiting_commands; what runs report never is.
[[nodiscard]] inline bool is_admitted(const command_body& body) {
  return std::visit(
      [](const auto& c) {
        using type = std::decay_t<decltype(c)>;
        if constexpr (!requires { c.reply; }) return false;
        return !std::same_as<type, watch_run> && !std::same_as<type, stop_runs> && !std::same_as<type, find_places>;
      },
      body);
}

// ---- what happens after the commit -------------------------------------------------------------------------------------------

struct activate {
  run_id run{};
  actors::activation activation{0};
  std::shared_ptr<const storage::run_record> record{};
  std::shared_ptr<const registered_function> function{};  // owners: the table it is in, activations
  std::optional<event> trigger{};  // set for a run that has recorded nothing yet; else the actor reads event and steps
};

struct start_steps {
  std::vector<std::shared_ptr<step_job>> jobs{};
};

struct resume_run {
  run_id run{};
  actors::activation activation{0};
  std::vector<step_info> rows{};
  std::vector<std::string> retries{};  // steps whose next attempt is due
};

enum class order_kind : std::uint8_t {
  cancel,  // a cancel is recorded: finish the steps in flight, then report `cancelled`
  end,     // the run has ended: go
  park,    // rest: go and say parked
  leave,   // the process stops: finish the steps in flight, then report `left`
};

struct order_run {
  run_id run{};
  actors::activation activation{0};
  order_kind order{order_kind::end};
};

struct run_ended {
  run_info info{};
};

struct diagnostic {
  std::string text{};
  run_id run{};
};

struct reply {
  std::function<void()> deliver{};
};

using output = std::variant<activate, start_steps, resume_run, order_run, run_ended, diagnostic, reply>;
using outputs = std::vector<output>;

}  // namespace caesura::actors
