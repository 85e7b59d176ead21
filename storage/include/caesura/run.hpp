#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <caesura/document.hpp>
#include <caesura/ids.hpp>
#include <caesura/time.hpp>

namespace caesura {

enum class run_status : std::uint8_t {
  scheduled = 0,    // its event lies in the future
  queued = 1,       // may go on as soon as there is room
  running = 2,      // live: executing a step or about to
  sleeping = 3,     // in sleep_for, sleep_until
  waiting = 4,      // in wait_for_event, wait_for_signal, invoke
  backing_off = 5,  // a step failed and will be tried again
  held = 6,         // cannot go on until something changes: function missing or paused, result no longer decodes, record damaged
  completed = 7,
  failed = 8,
  cancelled = 9,
  skipped = 10,     // never started (function paused; singleton)
};

[[nodiscard]] constexpr bool is_ended(run_status status) noexcept { return status >= run_status::completed; }
[[nodiscard]] std::string_view to_string(run_status status) noexcept;

// The answer to a cancel request; always after the commit. Asking again is harmless.
enum class cancel_outcome : std::uint8_t {
  cancelled,          // ended now
  cancelling,         // a step may be executing; it completes, then the run ends cancelled, nothing further starts
  already_cancelled,
  already_completed,
  already_failed,     // also for skipped runs: they ended without starting
  unknown_run,
};

[[nodiscard]] std::string_view to_string(cancel_outcome outcome) noexcept;

enum class cancel_source : std::uint8_t { call = 0, event = 1, bulk = 2, timeout = 3, parent = 4, pause = 5, singleton = 6 };

[[nodiscard]] std::string_view to_string(cancel_source source) noexcept;

// Who cancelled a run and why; the first request stays.
struct cancellation {
  cancel_source source{cancel_source::call};
  std::string reason{};
  event_id event{};          // source event: the event that matched
  std::int32_t rule{-1};     // source event: the index in cancel_on
  time_point requested_at{};
  std::string by{};          // who asked, as given with the call
  bulk_id bulk{};            // source bulk: the bulk cancel
  run_id parent{};           // source parent: the run whose cancellation came down to this one

  bool operator==(const cancellation&) const = default;
};

// An exception as recorded.
struct recorded_error {
  std::string name{};     // the exception's type, as written in C++
  std::string message{};  // its what()

  bool operator==(const recorded_error&) const = default;
};

enum class step_kind : std::uint8_t { run = 0, sleep = 1, wait_for_event = 2, send_event = 3, invoke = 4 };

[[nodiscard]] std::string_view to_string(step_kind kind) noexcept;

// One attempt of a step that failed and was tried again.
struct attempt_failure {
  recorded_error error{};
  time_point started_at{};
  time_point ended_at{};

  bool operator==(const attempt_failure&) const = default;
};

// What becomes of a child run when its parent is cancelled.
enum class child_policy : std::uint8_t { cancel = 0, abandon = 1 };

// A recorded step, as `runtime::steps` lists it.
struct step_info {
  std::string id{};
  step_kind kind{step_kind::run};
  document result{};                      // null for sleeps and for waits that timed out
  std::optional<recorded_error> error{};  // set: the step failed for good
  std::uint32_t attempts{1};
  time_point started_at{};  // of the last attempt
  time_point ended_at{};
  std::vector<attempt_failure> failures{};  // the attempts before the last
  run_id child{};                          // invoke: the run it started
  std::string name{};                      // for people, where ids are hashes; empty: the id

  bool operator==(const step_info&) const = default;
};

// A run as stored; a copy, status as read.
struct run_info {
  run_id id{};
  std::string function{};
  run_status status{run_status::queued};
  bool is_cancelling{false};  // a cancel is recorded and waits for the executing step
  event_id event{};           // the event that started it
  std::vector<event_id> events{};  // of a batch: all, in their order, `event` first
  time_point created_at{};
  std::optional<time_point> started_at{};
  std::optional<time_point> ended_at{};
  std::optional<time_point> wakes_at{};  // scheduled, sleeping, waiting, backing_off: when at the latest it goes on
  std::uint32_t step_count{0};           // recorded steps
  document output{};                     // completed; failed, of a function whose code is elsewhere: the error's whole form as its code gave it, if it is an object
  std::optional<recorded_error> error{};       // failed
  std::optional<cancellation> cancelled_by{};  // cancelled or cancelling
  std::string held_because{};                  // held, skipped: why
  run_id replay_of{};                          // the run that this one repeats; nil: none
  run_id root{};                               // the first of a chain of replays; nil: this one is no replay
  run_id parent{};                             // the run that invoked this one; nil: none
  std::optional<std::size_t> place_in_queue{}; // queued: how many go first of those that need the same slots
};

}  // namespace caesura
