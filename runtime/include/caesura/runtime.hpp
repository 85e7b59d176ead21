#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <caesura/event.hpp>
#include <caesura/function.hpp>
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
};

// Which runs `list` returns: all that every given part lets through.
struct run_filter {
  std::string function{};               // empty: all functions
  std::vector<run_status> statuses{};   // empty: all
  std::optional<run_id> before{};       // only runs created before this one: the `next` of the page before
  std::size_t limit{100};               // 1 to 5,000
};

struct run_page {
  std::vector<run_info> runs{};    // newest first
  std::optional<run_id> next{};    // set: there may be more; pass it as `before`
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
  // Throws error{invalid_function} listing every fault of every function, error{store_locked}, error{store_newer},
  // error{store_corrupt}, error{storage_failed}.
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

  // Asks a run to end cancelled; the answer comes after it is durable. A step that executes is never interrupted: it completes, its
  // result is recorded, nothing further starts. Asking again is harmless, the first reason stays. Throws as `send`.
  cancel_outcome cancel(const run_id& run, const cancel_request& request = {});

  // nullopt: no such run. Reads a snapshot; no lock, no wait.
  [[nodiscard]] std::optional<run_info> get(const run_id& run) const;
  // Its recorded steps in their order; empty when there is no such run.
  [[nodiscard]] std::vector<step_info> steps(const run_id& run) const;
  // One page. Membership is as of the call; statuses as read.
  [[nodiscard]] run_page list(const run_filter& filter = {}) const;
  // Waits until the run has ended; nullopt when it has not after `timeout`. Throws error{unknown_run}.
  std::optional<run_info> wait(const run_id& run, duration timeout);
  // What a completed run returned. Throws error{run_not_completed} naming its status, error{unknown_run}, error{result_type}.
  template <class T>
  [[nodiscard]] T result(const run_id& run) const {
    return completed_output(run).get<T>();
  }

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
