#include "actors/cron.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace caesura::actors {

namespace {

constexpr std::array<std::string_view, 12> month_names{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> day_names{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct field_kind {
  const char* name;
  unsigned first;
  unsigned last;
  const std::string_view* names;  // of `first`, `first` + 1, …; null: numbers only
  unsigned name_count;
};
constexpr std::array<field_kind, 5> kinds{{{"minute", 0, 59, nullptr, 0},
                                           {"hour", 0, 23, nullptr, 0},
                                           {"day of month", 1, 31, nullptr, 0},
                                           {"month", 1, 12, month_names.data(), month_names.size()},
                                           {"day of week", 0, 7, day_names.data(), day_names.size()}}};

struct descriptor {
  std::string_view name;
  std::string_view fields;
};
constexpr std::array<descriptor, 7> descriptors{{{"@yearly", "0 0 1 1 *"},
                                                 {"@annually", "0 0 1 1 *"},
                                                 {"@monthly", "0 0 1 * *"},
                                                 {"@weekly", "0 0 * * 0"},
                                                 {"@daily", "0 0 * * *"},
                                                 {"@midnight", "0 0 * * *"},
                                                 {"@hourly", "0 * * * *"}}};

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find_first_of(separators);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<unsigned> number(std::string_view text) {
  unsigned value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<unsigned> value_of(std::string_view text, const field_kind& kind) {
  for (unsigned i = 0; i < kind.name_count; ++i) {
    const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
    if (std::ranges::equal(text, kind.names[i], same)) return kind.first + i;
  }
  return number(text);
}

}  // namespace

struct cron_schedule::parser {
  std::string fault{};

  std::uint64_t refuse(const field_kind& kind, std::string_view part, const std::string& why) {
    if (fault.empty()) fault = std::string{"the "} + kind.name + " \"" + std::string{part} + "\" " + why;
    return 0;
  }

  // One of a list: "*", "5", "1-5", each with a step "/2" if wanted; "5/10" means from 5 on.
  std::uint64_t range(std::string_view part, const field_kind& kind) {
    const auto slash = part.find('/');
    const auto whole = part.substr(0, slash);
    unsigned step = 1;
    if (slash != std::string_view::npos) {
      const auto given = number(part.substr(slash + 1));
      if (!given || *given == 0) return refuse(kind, part, "has a step that is no number from 1 on");
      step = *given;
    }
    unsigned from = kind.first;
    unsigned to = kind.last;
    if (whole != "*" && whole != "?") {
      const auto dash = whole.find('-');
      const auto low = value_of(whole.substr(0, dash), kind);
      const auto high = dash == std::string_view::npos ? (slash == std::string_view::npos ? low : std::optional{kind.last}) : value_of(whole.substr(dash + 1), kind);
      if (!low || !high) return refuse(kind, part, "is no number, range or name");
      from = *low;
      to = *high;
      if (from < kind.first || to > kind.last) return refuse(kind, part, "is not within " + std::to_string(kind.first) + " to " + std::to_string(kind.last));
      if (from > to) return refuse(kind, part, "ends before it begins");
    }
    std::uint64_t bits = 0;
    for (unsigned value = from; value <= to; value += step) bits |= std::uint64_t{1} << value;
    return bits;
  }

  std::uint64_t field(std::string_view text, const field_kind& kind) {
    std::uint64_t bits = 0;
    for (const auto part : split(text, ",")) bits |= range(part, kind);
    return bits;
  }
};

std::variant<cron_schedule, std::string> cron_schedule::parse(std::string_view text) {
  const std::string quoted = "cron \"" + std::string{text.substr(0, 80)} + "\": ";
  cron_schedule result;
  for (const std::string_view prefix : {"TZ=", "CRON_TZ="}) {
    if (!text.starts_with(prefix)) continue;
    const auto space = text.find(' ');
    const std::string name{text.substr(prefix.size(), space - std::min(space, prefix.size()))};
    if (space == std::string_view::npos) return quoted + "the fields are missing behind the time zone";
    if (!absl::LoadTimeZone(name, &result.zone_)) return quoted + "no time zone \"" + name + "\" is known here (package tzdata)";
    text.remove_prefix(space + 1);
    break;
  }
  if (text.starts_with('@')) {
    const auto known = std::ranges::find(descriptors, text, &descriptor::name);
    if (known == descriptors.end()) return quoted + "no descriptor \"" + std::string{text} + "\": write @hourly, @daily, @weekly, @monthly, @yearly or five fields";
    text = known->fields;
  }
  auto parts = split(text, " \t");
  std::erase(parts, std::string_view{});
  if (parts.size() != kinds.size()) return quoted + "it has " + std::to_string(parts.size()) + " fields; five are wanted: minute, hour, day of month, month, day of week";
  parser in;
  result.minutes_ = in.field(parts[0], kinds[0]);
  result.hours_ = in.field(parts[1], kinds[1]);
  result.days_ = in.field(parts[2], kinds[2]);
  result.months_ = in.field(parts[3], kinds[3]);
  result.weekdays_ = in.field(parts[4], kinds[4]);
  if (!in.fault.empty()) return quoted + in.fault;
  constexpr std::uint64_t seventh = std::uint64_t{1} << 7;  // Sunday again
  if ((result.weekdays_ & seventh) != 0) result.weekdays_ |= 1;
  result.any_day_ = parts[2].starts_with('*') || parts[2].starts_with('?');
  result.any_weekday_ = parts[4].starts_with('*') || parts[4].starts_with('?');
  return result;
}

bool cron_schedule::has_day(absl::CivilDay day) const {
  const auto has = [](std::uint64_t bits, int value) { return (bits >> value & 1) != 0; };
  if (!has(months_, day.month())) return false;
  const bool in_month = has(days_, day.day());
  const bool in_week = has(weekdays_, (static_cast<int>(absl::GetWeekday(day)) + 1) % 7);
  return any_day_ || any_weekday_ ? in_month && in_week : in_month || in_week;
}

std::optional<time_point> cron_schedule::next_after(time_point time) const {
  constexpr int days_tried = 8 * 366;
  constexpr int hours_a_day = 24;
  constexpr int minutes_an_hour = 60;
  const auto instant = absl::FromChrono(time);
  const auto began = absl::ToCivilDay(instant, zone_);
  const bool every_hour = hours_ == (std::uint64_t{1} << hours_a_day) - 1;
  for (int ahead = 0; ahead < days_tried; ++ahead) {
    const auto day = began + ahead;
    if (!has_day(day)) continue;
    auto earliest = absl::InfiniteFuture();
    const auto consider = [&](absl::Time at) {
      if (at > instant) earliest = std::min(earliest, at);
    };
    for (int hour = 0; hour < hours_a_day; ++hour) {
      if ((hours_ >> hour & 1) == 0) continue;
      for (int minute = 0; minute < minutes_an_hour; ++minute) {
        if ((minutes_ >> minute & 1) == 0) continue;
        const auto info = zone_.At(absl::CivilSecond(day.year(), day.month(), day.day(), hour, minute, 0));
        consider(info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre);
        if (info.kind == absl::TimeZone::TimeInfo::REPEATED && every_hour) consider(info.post);
      }
    }
    if (earliest != absl::InfiniteFuture()) return std::chrono::time_point_cast<duration>(absl::ToChronoTime(earliest));
  }
  return std::nullopt;
}

}  // namespace caesura::actors
