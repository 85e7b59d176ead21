#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <absl/time/time.h>

#include <caesura/time.hpp>

namespace caesura::actors {

// When a cron trigger ticks: five fields (minute, hour, day of month, month, day of week) with *, lists, ranges, steps and the names of months and days, or a
// descriptor (@hourly, @daily, @weekly, @monthly, @yearly); before it, if wanted, "TZ=Europe/Paris " (or CRON_TZ=), else UTC. As in the cron of old, a day
// matches either day field when both are restricted. A local time that a change of the clocks leaves out ticks at the change; one that it brings twice ticks
// the first time only, unless the hour is "*". Immutable.
class cron_schedule {
 public:
  // What is wrong with the text, or the schedule.
  [[nodiscard]] static std::variant<cron_schedule, std::string> parse(std::string_view text);

  // The first tick after `time`; nullopt: there is none within eight years ("0 0 30 2 *").
  [[nodiscard]] std::optional<time_point> next_after(time_point time) const;

 private:
  struct parser;
  [[nodiscard]] bool has_day(absl::CivilDay day) const;

  std::uint64_t minutes_ = 0;  // bit n: value n
  std::uint64_t hours_ = 0;
  std::uint64_t days_ = 0;
  std::uint64_t months_ = 0;
  std::uint64_t weekdays_ = 0;  // 0: Sunday
  bool any_day_ = false;        // the field began with "*"
  bool any_weekday_ = false;
  absl::TimeZone zone_ = absl::UTCTimeZone();
};

}  // namespace caesura::actors
