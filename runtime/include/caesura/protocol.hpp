#pragma once

// Opt-in, for programs made of CAF actors: what may be said to a runtime's router. Includes CAF. Messages are structs; every reply comes
// after the commit. A request that times out is unknown, not failed: send it again with the same event id.

#include <string>
#include <vector>

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <caesura/bulk.hpp>
#include <caesura/event.hpp>
#include <caesura/filter.hpp>
#include <caesura/history.hpp>
#include <caesura/run.hpp>
#include <caesura/runtime.hpp>

namespace caesura::protocol {

// As runtime.send. What runtime.send throws arrives as an error: caf::sec::runtime_error with the text.
struct send_event {
  event value{};
};
struct event_accepted {
  event_id id{};
  std::vector<run_id> runs{};
  bool is_duplicate{false};
};

// As runtime.send_signal.
struct send_signal {
  std::string name{};
  document data{};
};
struct signal_answer {
  bool is_resumed{false};  // false: no run waits for it
  run_id run{};
};

// As runtime.cancel.
struct cancel_run {
  run_id run{};
  std::string reason{};
  std::string by{};
};
struct cancel_answer {
  cancel_outcome outcome{cancel_outcome::unknown_run};
};

// As runtime.get, without the place in the queue.
struct get_run {
  run_id run{};
};
struct run_found {
  bool exists{false};
  run_info info{};
};

// Answered once the run has ended, at once if it has. An unknown run is an error.
struct watch_run {
  run_id run{};
};
struct run_ended {
  run_info info{};
};

// As runtime.list, without places in the queue. Reads for at most 20 ms, so that a page may be short or empty although there is a `next`.
struct list_runs {
  run_filter filter{};
  page_request page{};
};
struct runs_listed {
  run_page page{};
};

// As runtime.preview; reads in pages between other requests.
struct preview_runs {
  run_filter filter{};
};
struct runs_previewed {
  plan found{};
};

// As runtime.cancel_all: of a plan when the token is set, else of the filter.
struct cancel_runs {
  plan_id token{};
  run_filter filter{};
  std::string reason{};
  std::string by{};
};
// As runtime.replay_all of a plan.
struct replay_runs {
  plan_id token{};
  bulk_replay_request request{};
};
struct bulk_started {
  bulk_id bulk{};
};

// As runtime.progress, runtime.bulk_jobs and runtime.stop.
struct get_bulk {
  bulk_id bulk{};
};
struct bulk_found {
  bool exists{false};
  bulk_progress progress{};
};
struct list_bulk_jobs {
  std::size_t limit{100};
};
struct bulk_jobs_listed {
  std::vector<bulk_progress> jobs{};
};
struct stop_bulk {
  bulk_id bulk{};
};
struct bulk_stopped {
  bool was_working{false};
};

// As runtime.replay.
struct replay_run {
  run_id run{};
  std::string from_step{};
};
struct run_replayed {
  run_id run{};
};

// As runtime.pause and runtime.resume; skipped runs are replayed with preview_runs and replay_runs.
struct pause_function {
  std::string function{};
  pause_request request{};
};
struct function_paused {
  pause_answer answer{};
};
struct resume_function {
  std::string function{};
};
struct function_resumed {
  resume_answer answer{};
};

// As runtime.functions.
struct list_functions {};
struct functions_listed {
  std::vector<function_info> functions{};
};

// As runtime.timeline.
struct get_timeline {
  run_id run{};
};
struct timeline_told {
  std::vector<timeline_entry> entries{};
};

// As runtime.explain.
struct explain_event {
  event_id event{};
  run_id run{};
};
struct event_explained {
  explanation found{};
};

}  // namespace caesura::protocol

namespace caesura {

using router_handle = caf::typed_actor<caf::replies_to<protocol::send_event>::with<protocol::event_accepted>,
                                       caf::replies_to<protocol::send_signal>::with<protocol::signal_answer>,
                                       caf::replies_to<protocol::cancel_run>::with<protocol::cancel_answer>,
                                       caf::replies_to<protocol::get_run>::with<protocol::run_found>,
                                       caf::replies_to<protocol::watch_run>::with<protocol::run_ended>,
                                       caf::replies_to<protocol::list_runs>::with<protocol::runs_listed>,
                                       caf::replies_to<protocol::preview_runs>::with<protocol::runs_previewed>,
                                       caf::replies_to<protocol::cancel_runs>::with<protocol::bulk_started>,
                                       caf::replies_to<protocol::replay_runs>::with<protocol::bulk_started>,
                                       caf::replies_to<protocol::get_bulk>::with<protocol::bulk_found>,
                                       caf::replies_to<protocol::list_bulk_jobs>::with<protocol::bulk_jobs_listed>,
                                       caf::replies_to<protocol::stop_bulk>::with<protocol::bulk_stopped>,
                                       caf::replies_to<protocol::replay_run>::with<protocol::run_replayed>,
                                       caf::replies_to<protocol::pause_function>::with<protocol::function_paused>,
                                       caf::replies_to<protocol::resume_function>::with<protocol::function_resumed>,
                                       caf::replies_to<protocol::list_functions>::with<protocol::functions_listed>,
                                       caf::replies_to<protocol::get_timeline>::with<protocol::timeline_told>,
                                       caf::replies_to<protocol::explain_event>::with<protocol::event_explained>>;

}  // namespace caesura

// The runtime is in this process: its messages are not sent over a network.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::send_event)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::event_accepted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::send_signal)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::signal_answer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::cancel_run)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::cancel_answer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::get_run)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::run_found)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::watch_run)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::run_ended)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::preview_runs)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::runs_previewed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::cancel_runs)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::replay_runs)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::bulk_started)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::get_bulk)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::bulk_found)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::stop_bulk)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::bulk_stopped)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::replay_run)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::run_replayed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::pause_function)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::function_paused)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::resume_function)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::function_resumed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::list_runs)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::runs_listed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::list_bulk_jobs)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::bulk_jobs_listed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::list_functions)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::functions_listed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::get_timeline)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::timeline_told)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::explain_event)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::event_explained)
