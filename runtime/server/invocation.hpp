#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <caesura/document.hpp>

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

// Whether an event of the system's tells of a run that was invoked: then shown_json names what started it as SDKs know it.
[[nodiscard]] inline bool tells_of_invocation(std::string_view event, const document& data) {
  return event.starts_with("inngest/function.") && data.bytes().find(invoke_prefix) != std::string::npos;
}

// An event's data as it is given away.
[[nodiscard]] inline nlohmann::json shown_json(std::string_view event, const document& data) {
  auto shown = data.is_null() ? nlohmann::json::object() : data.json();
  if (!tells_of_invocation(event, data)) return shown;
  const auto show = [](nlohmann::json& told) {
    if (!told.is_object()) return;
    if (auto name = told.find("name"); name != told.end() && name->is_string()) *name = shown_name(name->get<std::string>());
  };
  if (auto trigger = shown.find("event"); trigger != shown.end()) show(*trigger);
  if (auto triggers = shown.find("events"); triggers != shown.end() && triggers->is_array()) {
    for (auto& one : *triggers) show(one);
  }
  return shown;
}

}  // namespace caesura::server
