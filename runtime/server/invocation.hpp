#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace caesura::server {

// How a function is started without an event of its own triggers: by an event of a name that only this function listens for, as one more trigger of each
// registered function. What the function's code is given bears the name that SDKs know.
inline constexpr std::string_view invoke_prefix = "caesura/invoke:";
inline constexpr std::string_view invoked_name = "inngest/function.invoked";
// A function that has as many of its own has no room for that one.
inline constexpr std::size_t most_triggers = 10;

[[nodiscard]] inline std::string invoke_event_of(std::string_view function) { return std::string{invoke_prefix}.append(function); }
// Whoever may send events could start any function by it: it is taken from nobody.
[[nodiscard]] inline bool is_invoke_event(std::string_view event) noexcept { return event.starts_with(invoke_prefix); }
[[nodiscard]] inline std::string shown_name(const std::string& event) {
  return is_invoke_event(event) ? std::string{invoked_name} : event;
}

}  // namespace caesura::server
