#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <caesura/bulk.hpp>
#include <caesura/event.hpp>
#include <caesura/filter.hpp>
#include <caesura/function.hpp>
#include <caesura/history.hpp>
#include <caesura/options.hpp>
#include <caesura/run.hpp>

namespace caesura {

// The answer to `send`.
struct sent {
  event_id id{};
  std::string event{};          // the event's id as given, or as assigned
  std::vector<run_id> runs{};   // the runs it started
  bool is_duplicate{false};     // accepted before, within 24 h; id and runs are those of the first time
};

struct cancel_request {
  std::string reason{};  // for whoever reads the record: "asked by support"
  std::string by{};      // who asks
};

// Which part of a list.
struct page_request {
  std::optional<run_id> before{};  // only runs created before this one: the `next` of the page before
  std::size_t limit{100};          // 1 to 5,000
};

struct run_page {
  std::vector<run_info> runs{};    // newest first
  std::optional<run_id> next{};    // set: there may be more; pass it as `page_request.before`
};

// An event as stored.
struct event_info {
  event_id id{};
  caesura::event event{};     // its id is the client's, or the one that was assigned
  time_point received_at{};
  std::vector<run_id> runs{};  // the runs it started
};

enum class system_events : std::uint8_t {
  included,
  left_out,  // of runs ("inngest/…"), signals ("caesura/signal:…") and invocations over HTTP ("caesura/invoke:…")
};

// Which events are meant: those that every given part lets through.
struct event_filter {
  std::string name{};                           // exactly this one
  std::optional<time_point> received_after{};   // at this time or later (inclusive), as the event's id has it
  std::optional<time_point> received_before{};  // before this time (exclusive)
  system_events system{system_events::included};
};

struct event_page_request {
  std::optional<event_id> before{};  // only events accepted before this one: the `next` of the page before
  std::size_t limit{100};            // 1 to 5,000
};

struct event_page {
  std::vector<event_info> events{};  // newest first
  std::optional<event_id> next{};    // set: there may be more; pass it as `event_page_request.before`
};

// What a runtime can tell of itself at little cost; as read, so that the parts may be some milliseconds apart.
struct runtime_stats {
  std::size_t open_runs{0};                            // stored and not ended
  std::map<run_status, std::size_t> open_by_status{};  // of the oldest 100,000 of them at most
  std::size_t counted{0};                              // as many are in `open_by_status`
  std::size_t waiting_commands{0};                     // sends, cancels and the like whose turn has not come
  std::size_t store_bytes{0};                          // used in the store's file
};

namespace detail {
struct environment;
class runtime_state;
}  // namespace detail

// Executes durable functions out of one directory. Construction recovers what was under way; destruction finishes the steps that
// execute and leaves the rest to the next start. Neither copies nor moves. All members may be called from any thread, also from steps;
// not from a function's body between steps, nor after fork: error{wrong_thread}.
class runtime {
 public:
  // Throws error{invalid_argument} for options that cannot be, error{invalid_function} listing every fault of every function, error{store_locked}, error{store_newer},
  // error{storage_failed}, and error{store_corrupt} where the file's pages or what says how far the order has come are damaged. Any other damaged record is
  // told to the observer and harms only what depends on it (actors/README.md, "What is damaged").
  runtime(options options, std::vector<function> functions);
  runtime(options options, std::vector<function> functions, detail::environment& environment);  // for tests
  ~runtime();
  runtime(const runtime&) = delete;
  runtime& operator=(const runtime&) = delete;

  // Returns once the event is durable, together with the decision of everything it starts and cancels. The same name and id again
  // within 24 h changes nothing and answers as the first time. Throws error{invalid_event} (nothing recorded), error{duplicate_id},
  // error{overloaded}, error{storage_full}, error{storage_failed}, error{outcome_unknown}, error{stopped}. Cost: one commit, shared
  // with whatever else waits.
  sent send(const event& value);
  // An array, such as a std::vector<event>: all of it is accepted, in its order, or none. At most 5,000 events and 16 MiB.
  std::vector<sent> send(std::span<const event> values);
  // Several pairs of braces may be one event or several: name the array first, const std::vector<caesura::event> both{{.name = "…"}, {.name = "…"}}; send(both).
  std::vector<sent> send(std::initializer_list<event> values) = delete;

  // Resumes the run that waits for the signal, with `data`, and gives its id once that is durable. nullopt: no run waits for it, and nothing is recorded;
  // a signal is not kept for a wait that begins later. Throws error{invalid_argument} for a name that is empty, no UTF-8 or longer than 240 bytes, or
  // data beyond the limit of an event's; and as send.
  std::optional<run_id> send_signal(const std::string& name, const document& data = {});

  // Asks a run to end cancelled; the answer comes after it is durable. A step that executes is never interrupted: it completes, its
  // result is recorded, nothing further starts. Asking again is harmless, the first reason stays. Throws as `send`;
  // error{invalid_argument} for a reason or a name beyond 4,096 bytes.
  cancel_outcome cancel(const run_id& run, const cancel_request& request = {});

  // nullopt: no such run. Reads a snapshot, without a lock. Where a queued run stands is asked of the runtime; not on the thread of options.executor, where
  // `place_in_queue` stays empty.
  [[nodiscard]] std::optional<run_info> get(const run_id& run) const;
  // nullopt: no such event, or not any more (options.keep_events).
  [[nodiscard]] std::optional<event_info> find_event(const event_id& event) const;
  // One page, newest first. Reads for at most about a second, so that a page may be short or empty although there is a `next`. A damaged record is passed over
  // and told to the observer. Throws error{invalid_argument}.
  [[nodiscard]] event_page list_events(const event_filter& filter = {}, const event_page_request& page = {}) const;
  // Cost: one look at each open run, at most 100,000. Damaged records are told to the observer, and count in `open_runs` alone.
  [[nodiscard]] runtime_stats stats() const;
  // Its recorded steps in their order; empty when there is no such run.
  [[nodiscard]] std::vector<step_info> steps(const run_id& run) const;
  // One page. Membership is as of the call; statuses as read. Reads for at most about a second, so that a page may be short or empty
  // although there is a `next`. A damaged record is passed over and told to the observer. Throws error{invalid_argument}, error{invalid_expression}.
  [[nodiscard]] run_page list(const run_filter& filter = {}, const page_request& page = {}) const;
  // Waits until the run has ended; nullopt when it has not after `timeout`. Throws error{unknown_run}; error{stopped} when the runtime stops and the run goes
  // on at the next start.
  std::optional<run_info> wait(const run_id& run, duration timeout);
  // What a completed run returned. Throws error{run_not_completed} naming its status, error{unknown_run}, error{result_type}.
  template <class T>
  [[nodiscard]] T result(const run_id& run) const {
    return completed_output(run).get<T>();
  }

  // ---- many runs at once

  // Finds the runs that a filter means and pins them: the plan's token stands for exactly these, whatever is created later. Changes no
  // run. Reads in pages, so it holds up nobody; costs one look at each run of the functions named (of all, if none is), and 16 bytes
  // stored for each run found, for 24 h. Throws error{invalid_argument} for a filter without any condition, or whose window ends in the
  // future or before it begins; error{invalid_expression}.
  [[nodiscard]] plan preview(const run_filter& filter);
  // Cancels the runs of a plan, or those that a filter means at this call's place in the order: created before it and not ended. Returns
  // once the decision is durable; the work is done in slices between other commands, but its outcome is that of doing it all at once. It
  // survives a crash. Runs at rest are cancelled without being activated. Throws as preview and send; error{unknown_plan}.
  bulk_id cancel_all(const plan& plan, const bulk_cancel_request& request = {}) { return cancel_all(plan.token, request); }
  bulk_id cancel_all(const plan_id& token, const bulk_cancel_request& request = {});
  bulk_id cancel_all(const run_filter& filter, const bulk_cancel_request& request = {});
  // How a bulk job stands. nullopt: no such job; ended ones are kept as long as ended runs (options.keep_runs), and 1,000 of all at most.
  [[nodiscard]] std::optional<bulk_progress> progress(const bulk_id& bulk) const;
  // The newest jobs first.
  [[nodiscard]] std::vector<bulk_progress> bulk_jobs(std::size_t limit = 100) const;
  // Ends a bulk job where it is; what it has done stays. False: it had ended. Throws error{unknown_bulk}.
  bool stop(const bulk_id& bulk);

  // Makes a new run from the event of one that has ended (skipped ones too), linked by `replay_of` and `root`. From a step: what was
  // recorded before that step is kept, it and everything after it executes again. The new run has the rules of the function as it is
  // now. Throws error{unknown_run}, error{run_not_ended}, error{unknown_event}, error{unknown_function}, error{function_paused},
  // error{invalid_argument} (no such step).
  run_id replay(const run_id& run, const replay_request& request = {});
  // The same for many. A filter is previewed first. Runs that cannot be replayed are counted as refused.
  bulk_id replay_all(const plan& plan, const bulk_replay_request& request = {}) { return replay_all(plan.token, request); }
  bulk_id replay_all(const plan_id& token, const bulk_replay_request& request = {});
  bulk_id replay_all(const run_filter& filter, const bulk_replay_request& request = {});

  // ---- functions

  // Stops new runs of a function: events that would start one make a `skipped` run instead. What becomes of runs under way is asked for.
  // Once it has returned with running_runs::hold, no step of the function starts, no event is sent and no run invoked by one. Survives restarts. Throws error{unknown_function}.
  pause_answer pause(const std::string& function, const pause_request& request = {});
  pause_answer pause(const std::string& function, running_runs under_way) { return pause(function, pause_request{.under_way = under_way}); }
  // Runs that were held go on; on request, what was skipped meanwhile is replayed, oldest first. Throws error{unknown_function}, and as send. The replay is a
  // commit of its own behind the resumption: if it fails, or the process ends between the two, replay_all of the skipped runs makes up for it.
  resume_answer resume(const std::string& function, const resume_request& request = {});
  // These are the functions from now on, in place of those of the constructor or an earlier call: runs under way keep the rules that they were
  // created with and go on with the new code at their next activation; runs that were held because their function was missing go on. Not recorded: the
  // next start has the functions that its constructor is given. Throws error{invalid_function} as the constructor, and as send.
  void define(std::vector<function> functions);
  // Records steps that a call of a remote function reports while it goes on (see <caesura/remote.hpp>); `activation` is the call's. The answer comes
  // after the commit. Told again, a step is recorded once. Throws error{invalid_argument} for a result beyond the limit, and as send.
  remote::checkpoint_outcome checkpoint(const run_id& run, std::uint64_t activation, std::vector<remote::finished_step> steps);
  // The same for a caller that must not wait: `done` is told what the other returns or throws once the runtime has taken it, on the runtime's own
  // thread, so it must not wait, throw or ask the runtime anything. What can be refused at once is thrown, and `done` is not called.
  void checkpoint(const run_id& run, std::uint64_t activation, std::vector<remote::finished_step> steps,
                  std::function<void(std::variant<remote::checkpoint_outcome, error>)> done);
  // All that are registered or stored, by id.
  [[nodiscard]] std::vector<function_info> functions() const;

  // ---- understanding

  // What happened to a run, oldest first. Empty: no such run.
  [[nodiscard]] std::vector<timeline_entry> timeline(const run_id& run) const;
  // Why an event did or did not cancel or resume a run, rule by rule, with the values that were compared. Throws error{unknown_run},
  // error{unknown_event}.
  [[nodiscard]] explanation explain(const event_id& event, const run_id& run) const;

  // Ends intake and starts no further step; waits at most `deadline` for the steps that execute. Returns those that still do, as
  // "run/step"; the destructor waits for them. Everything else goes on at the next start.
  std::vector<std::string> stop(duration deadline);

  // For <caesura/actor_access.hpp>.
  [[nodiscard]] detail::runtime_state& internals() noexcept { return *state_; }

 private:
  [[nodiscard]] document completed_output(const run_id& run) const;

  std::unique_ptr<detail::runtime_state> state_;
};

}  // namespace caesura
