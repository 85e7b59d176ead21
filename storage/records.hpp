#pragma once

// What the tables hold, as values. The codec turns them into bytes; README.md lists tables and keys.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <caesura/document.hpp>
#include <caesura/filter.hpp>
#include <caesura/ids.hpp>
#include <caesura/run.hpp>
#include <caesura/time.hpp>

namespace caesura::storage {

// An accepted event and what it started.
struct event_record {
  event_id id{};
  std::string name{};
  std::string client_id{};  // as given by the sender; empty: none was given
  document data{};
  time_point time{};         // the event's own time
  time_point received_at{};
  std::vector<run_id> runs{};  // started by it, in order: the answer to a duplicate
  std::uint8_t depth{0};       // 0: from outside; n: written by a run whose own depth is n - 1
  document user{};             // null: none
  std::string version{};

  // What it is told with: data and user, as msgpack.
  [[nodiscard]] std::size_t content_bytes() const noexcept { return data.bytes().size() + (user.is_null() ? 0 : user.bytes().size()); }
  bool operator==(const event_record&) const = default;
};

struct trigger_record {
  std::string event{};
  std::string when{};

  bool operator==(const trigger_record&) const = default;
};

struct cancel_rule_record {
  std::string event{};
  std::string when{};
  std::optional<duration> timeout{};
  std::optional<time_point> until{};

  bool operator==(const cancel_rule_record&) const = default;
};

struct concurrency_record {
  std::uint32_t limit{1};
  std::string key{};            // an expression over `event`; empty: one group for the function
  bool counts_resting{false};   // sleeping and waiting runs keep their slot
  bool is_shared{false};        // a group of all functions that share one under this key

  bool operator==(const concurrency_record&) const = default;
};

// What a run keeps of its function: stored once by the hash of its bytes.
struct definition_record {
  std::string function{};
  std::vector<trigger_record> triggers{};
  std::vector<cancel_rule_record> cancel_on{};
  std::optional<duration> start_timeout{};
  std::optional<duration> finish_timeout{};
  std::vector<concurrency_record> concurrency{};

  bool operator==(const definition_record&) const = default;
};

// How a listener is found from an event: through the hash of one value, by looking at every listener of the name, or not at all.
struct listener_key {
  enum class mode : std::uint8_t { never = 0, scan = 1, hashed = 2 };
  mode how{mode::never};
  std::uint64_t hash{0};

  bool operator==(const listener_key&) const = default;
};

// An operation that the run waits for and that is more than "execute this step for the first time".
struct pending_record {
  step_kind kind{step_kind::run};
  std::string step{};
  std::uint32_t failed_attempts{0};
  std::optional<recorded_error> last_error{};
  time_point started_at{};
  std::optional<time_point> due{};  // sleep: end; wait: timeout; run: next attempt
  std::string event{};              // wait: the name
  std::string when{};               // wait: the expression
  listener_key key{};               // wait
  position since{};                 // wait: its place in the order
  std::uint8_t slot{0};             // wait: tells it from the run's other listeners
  std::vector<attempt_failure> failures{};  // run: the attempts so far
  run_id child{};                          // invoke
  std::string name{};                      // as step_info's

  bool operator==(const pending_record&) const = default;
};

// The last event that a wait of the run on this name consumed.
struct consumed_record {
  std::string event{};
  event_id last{};

  bool operator==(const consumed_record&) const = default;
};

struct run_record {
  run_id id{};
  std::uint64_t definition{0};
  event_id event{};
  run_status status{run_status::queued};
  std::uint8_t depth{0};          // 0: started by an event from outside
  std::uint8_t interruptions{0};  // crashes since the last recorded step
  std::uint32_t step_count{0};    // rows in `steps`; the next sequence number
  std::uint64_t state_bytes{0};   // bytes of recorded results
  time_point created_at{};
  std::optional<time_point> started_at{};
  std::optional<time_point> ended_at{};
  std::optional<time_point> due{};  // scheduled: when it starts
  std::vector<listener_key> cancel_keys{};  // one a cancel rule of the definition
  std::vector<pending_record> pending{};
  std::optional<cancellation> cancelled_by{};
  document output{};
  std::optional<recorded_error> error{};
  std::string held_because{};
  std::vector<consumed_record> consumed{};  // where look_back begins, by event name
  run_id replay_of{};
  run_id root{};                  // the first of a chain of replays
  std::uint32_t kept_steps{0};    // replay: rows taken over from the run before
  run_id parent{};                // who invoked it
  child_policy on_parent_cancel{child_policy::cancel};
  std::uint8_t nesting{0};        // 0: invoked by no run
  bool has_children{false};       // it invoked runs that may not have ended
  bool is_paused{false};          // held because its function is paused
  std::vector<std::uint64_t> groups{};      // one a concurrency entry of the definition; computed at creation
  std::optional<time_point> deadline{};     // timeouts: when it is cancelled, unless it has started (or ended) by then
  position queued_at{};           // queued: its place in the order
  std::optional<std::uint32_t> any_from{};  // the body waits for any of its operations: step_count when it began to
  bool goes_on_at_first{false};   // its code, which is elsewhere, is asked again as soon as one pending operation is over, not all
  position swept_to{};            // has been asked by every sweep up to here
  std::int32_t priority{0};       // queued: as if it had come so many seconds earlier
  std::uint64_t throttle{0};      // the group in which it takes its turn to start; 0: none
  std::uint64_t singleton{0};     // the group of which one executes at a time; 0: none
  event_id first_event{};         // debounced: the first of the events of which `event` is the last
  std::vector<event_id> events{}; // batch: all, `event` first
  std::uint64_t batch_bytes{0};   // batch: of their data
  position recorded_at{};         // the last id that was issued before its last row, or before it started: later events are behind that

  bool operator==(const run_record&) const = default;
};

// The events that started the run.
[[nodiscard]] inline std::vector<event_id> events_of(const run_record& run) { return run.events.empty() ? std::vector{run.event} : run.events; }

using step_record = step_info;

enum class system_event : std::uint8_t { finished = 0, failed = 1, cancelled = 2 };

// A decision to emit a system event; its payload is built from the run's record when it is routed.
struct outbox_record {
  system_event kind{system_event::finished};
  run_id run{};

  bool operator==(const outbox_record&) const = default;
};

// What hits more runs than one transaction should touch and is worked off in slices.
enum class sweep_kind : std::uint8_t {
  event = 0,   // an event with many listeners
  bulk = 1,    // a bulk job: its record is in `bulk_jobs`
  tree = 2,    // a cancelled run with many descendants
  resume = 3,  // a function was resumed: its held runs go on
};

struct sweep_record {
  event_id event{};
  sweep_kind kind{sweep_kind::event};
  bulk_id bulk{};
  run_id root{};           // tree
  position as_of{};        // tree: the place of the cancellation
  std::string function{};  // resume

  bool operator==(const sweep_record&) const = default;
};

enum class bulk_kind : std::uint8_t { cancel = 0, replay = 1 };
enum class bulk_status : std::uint8_t { working = 0, stopped = 1, done = 2 };

struct bulk_counts {
  std::uint64_t total{0};          // runs to look at, as of the start
  std::uint64_t looked_at{0};
  std::uint64_t matched{0};
  std::uint64_t cancelled{0};
  std::uint64_t cancelling{0};
  std::uint64_t already_ended{0};  // or being cancelled by somebody else
  std::uint64_t replayed{0};
  std::uint64_t refused{0};        // replay: not possible

  bool operator==(const bulk_counts&) const = default;
};

// A bulk cancel or replay. Its id is its place in the order.
struct bulk_record {
  bulk_kind kind{bulk_kind::cancel};
  bulk_status status{bulk_status::working};
  cancel_source source{cancel_source::bulk};
  std::string reason{};
  std::string by{};
  run_filter filter{};         // cancel without a plan: which runs; else what the plan was made from
  plan_id plan{};              // nil: the filter decides
  run_id cursor{};             // filter: looked at up to here
  std::uint64_t next{0};       // plan: the place of the next id
  bulk_counts counts{};
  time_point created_at{};
  std::optional<time_point> ended_at{};
  std::string from_step{};     // replay
  double rate_per_second{0};   // replay; 0: as fast as it goes
  std::optional<time_point> next_at{};  // replay with a rate

  bool operator==(const bulk_record&) const = default;
};

// The ids that a preview pinned, in chunks of at most plan_chunk_ids, ascending.
inline constexpr std::size_t plan_chunk_ids = 4'096;
struct plan_record {
  time_point created_at{};
  run_filter filter{};
  std::uint64_t ids{0};

  bool operator==(const plan_record&) const = default;
};
struct plan_chunk_record {
  std::string ids{};  // 16 bytes each

  bool operator==(const plan_chunk_record&) const = default;
};

using pause_mode = running_runs;

// What flow control keeps of one function and key between events. Stands under a hash of function, kind and key.
enum class flow_kind : std::uint8_t { rate_limit = 0, throttle = 1, debounce = 2, batch = 3, singleton = 4, cron = 5 };

struct flow_record {
  flow_kind kind{flow_kind::rate_limit};
  std::string function{};
  time_point at{};     // rate limit, throttle: the theoretical arrival time of GCRA; cron: the next tick
  run_id run{};        // debounce, batch: the run that collects; singleton: the latest one
  std::string cron{};  // the trigger's text
  std::uint32_t beyond_ns{0};  // rate limit, throttle: nanoseconds after `at`

  bool operator==(const flow_record&) const = default;
};

struct function_state_record {
  bool is_paused{false};
  pause_mode mode{pause_mode::let_finish};
  time_point changed_at{};
  position changed_in{};       // its place in the order
  std::string reason{};
  std::uint64_t skipped{0};    // runs skipped during this pause

  bool operator==(const function_state_record&) const = default;
};

}  // namespace caesura::storage
