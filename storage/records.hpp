#pragma once

// What the tables hold, as values. The codec turns them into bytes; README.md lists tables and keys.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <caesura/document.hpp>
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

  bool operator==(const cancel_rule_record&) const = default;
};

// What a run keeps of its function: stored once by the hash of its bytes.
struct definition_record {
  std::string function{};
  std::vector<trigger_record> triggers{};
  std::vector<cancel_rule_record> cancel_on{};

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

  bool operator==(const run_record&) const = default;
};

using step_record = step_info;

enum class system_event : std::uint8_t { finished = 0, failed = 1, cancelled = 2 };

// A decision to emit a system event; its payload is built from the run's record when it is routed.
struct outbox_record {
  system_event kind{system_event::finished};
  run_id run{};

  bool operator==(const outbox_record&) const = default;
};

// An event that hit more runs than one transaction should touch: worked off in slices.
struct sweep_record {
  event_id event{};

  bool operator==(const sweep_record&) const = default;
};

}  // namespace caesura::storage
