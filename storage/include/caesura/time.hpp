#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace caesura {

// All times are wall-clock, UTC, in milliseconds since 1970; they are recorded as read and order nothing.
using duration = std::chrono::milliseconds;
using time_point = std::chrono::sys_time<duration>;

using days = std::chrono::duration<std::chrono::milliseconds::rep, std::ratio<86400>>;

// The present time, for `event.time` and filters: `.time = caesura::wall_clock() + 1h`. A body asks step.now() instead, which is recorded.
[[nodiscard]] inline time_point wall_clock() { return std::chrono::floor<duration>(std::chrono::system_clock::now()); }

// RFC 3339 in UTC with milliseconds, such as "2026-03-01T09:00:00.000Z". RFC 3339 ends at the years 0 and 9999: a time outside them is
// written as its number of milliseconds.
[[nodiscard]] std::string to_string(time_point time);

// Reads RFC 3339 with zone ("Z" or an offset) and optional fraction; more than three fractional digits are cut. nullopt when
// the text is anything else or the time does not exist.
[[nodiscard]] std::optional<time_point> parse_time(std::string_view text);

// Reads what cancel timeouts and expressions write: an optional sign and one or more decimal numbers, each with a unit ns, us,
// ms, s, m, h, d (24 h) or w, such as "1h30m"; a bare "0" is allowed. What is finer than a millisecond is cut from the sum. nullopt
// otherwise or when it does not fit.
[[nodiscard]] std::optional<duration> parse_duration(std::string_view text);

// The one text for a value, which parse_duration reads back: from weeks down to milliseconds, without zero ones, such as "1h30m"; "0"
// for zero.
[[nodiscard]] std::string to_string(duration value);

}  // namespace caesura

// In JSON a time is an RFC 3339 string; a number is read as milliseconds since 1970, and written outside the years 0 to 9999. Reading
// anything else throws caesura::error{result_type}.
template <>
struct nlohmann::adl_serializer<caesura::time_point> {
  static void to_json(nlohmann::json& out, const caesura::time_point& time);
  static void from_json(const nlohmann::json& in, caesura::time_point& time);
};
