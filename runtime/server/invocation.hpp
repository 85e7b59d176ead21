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

// An event's data as it is given away: what the system tells of a run that was invoked names the event that started it, and that is named as SDKs know it.
[[nodiscard]] inline document shown_data(std::string_view event, const document& data) {
  if (!event.starts_with("inngest/function.") || data.bytes().find(invoke_prefix) == std::string::npos) return data;
  auto shown = data.json();
  const auto show = [](nlohmann::json& told) {
    if (!told.is_object()) return;
    if (auto name = told.find("name"); name != told.end() && name->is_string()) *name = shown_name(name->get<std::string>());
  };
  if (auto trigger = shown.find("event"); trigger != shown.end()) show(*trigger);
  if (auto triggers = shown.find("events"); triggers != shown.end() && triggers->is_array()) {
    for (auto& one : *triggers) show(one);
  }
  return document{shown};
}

}  // namespace caesura::server
