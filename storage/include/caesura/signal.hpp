#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <caesura/document.hpp>

namespace caesura {

// What a run got that waited for a signal.
struct received_signal {
  std::string name{};
  document data{};  // as it was sent: any value
};

// What becomes of a run that begins to wait for a signal for which another run waits already.
enum class signal_conflict : std::uint8_t {
  fail,     // the run fails
  replace,  // it waits in the other's place, which gets the signal no more
};

// The name that a recorded_error carries when a run failed because another waits for the signal.
inline constexpr const char* signal_conflict_error = "signal_conflict";

// A signal is recorded as an event of this name with the signal's behind it; a wait for it is a wait for that event. Nobody sends or listens for such
// events otherwise. 1 to 240 bytes of UTF-8 are left for the signal's name.
inline constexpr std::string_view signal_prefix = "caesura/signal:";

[[nodiscard]] inline std::string signal_event_of(std::string_view signal) { return std::string{signal_prefix}.append(signal); }
[[nodiscard]] inline bool is_signal_event(std::string_view event) noexcept { return event.starts_with(signal_prefix); }
// The signal's name; `event` is the name of a signal's event, and outlives the result.
[[nodiscard]] inline std::string_view signal_of(std::string_view event) noexcept { return event.substr(signal_prefix.size()); }

}  // namespace caesura
