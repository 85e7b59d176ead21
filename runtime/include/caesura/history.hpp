#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <caesura/ids.hpp>
#include <caesura/run.hpp>
#include <caesura/time.hpp>

namespace caesura {

enum class moment : std::uint8_t {
  created,
  scheduled,
  queued,
  skipped,
  started,
  kept,            // a result taken over from the run that this one replays
  attempt_failed,
  step_completed,
  step_failed,
  slept,
  event_arrived,
  wait_timed_out,
  event_sent,
  child_ended,
  under_way,       // what the run is doing now
  cancel_requested,
  ended,
};

[[nodiscard]] std::string_view to_string(moment what) noexcept;

// One line of a run's timeline.
struct timeline_entry {
  time_point at{};
  moment what{moment::created};
  std::string step{};
  std::uint32_t attempt{0};  // attempt_failed, step_completed, step_failed: which, from 1
  std::optional<time_point> since{};  // when what ended here began
  std::string text{};        // the whole as a sentence
};

// How one rule of a run relates to one event.
struct explained_rule {
  std::string rule{};   // "cancel_on[0]", "wait_for_event \"paid\"", "wait_for_signal \"approval\""
  std::string event{};  // the name it listens for
  std::string when{};
  bool applies{false};  // it would cancel or resume the run
  std::string why{};
  std::vector<std::pair<std::string, std::string>> values{};  // the paths of `when` with what they stood for, as JSON
};

struct explanation {
  bool cancelled{false};  // this event cancelled the run
  bool resumed{false};    // this event was what a wait of the run got
  std::string conclusion{};
  std::vector<explained_rule> rules{};
};

// Several lines, for people.
[[nodiscard]] std::string to_string(const std::vector<timeline_entry>& timeline);
[[nodiscard]] std::string to_string(const explanation& explained);

}  // namespace caesura
