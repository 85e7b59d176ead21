#include <caesura/time.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

#include <caesura/error.hpp>

namespace caesura {

namespace {

using std::chrono::year_month_day;

// 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z
constexpr time_point first_rfc3339 = std::chrono::sys_days{year_month_day{std::chrono::year{0}, std::chrono::month{1}, std::chrono::day{1}}};
constexpr time_point last_rfc3339 =
    std::chrono::sys_days{year_month_day{std::chrono::year{10000}, std::chrono::month{1}, std::chrono::day{1}}} - duration{1};

bool has_rfc3339(time_point time) noexcept { return time >= first_rfc3339 && time <= last_rfc3339; }

void append_digits(std::string& out, std::int64_t value, int width) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  const auto length = end - digits.data();
  if (length < width) out.append(static_cast<std::size_t>(width - length), '0');
  out.append(digits.data(), end);
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// Takes texts apart from left to right. Once something is not there, everything after it is not there either.
class reader {
 public:
  explicit reader(std::string_view text) : rest_{text} {}

  // Exactly `width` digits.
  int digits(std::size_t width) {
    int value = 0;
    for (; width > 0 && is_good_; --width) {
      is_good_ = !rest_.empty() && is_digit(rest_.front());
      if (is_good_) value = value * 10 + (take() - '0');
    }
    return value;
  }

  void require(std::string_view any_of) {
    is_good_ = is_good_ && next_is(any_of);
    if (is_good_) take();
  }

  bool accept(std::string_view any_of) {
    if (!is_good_ || !next_is(any_of)) return false;
    take();
    return true;
  }

  [[nodiscard]] bool next_is_digit() const { return is_good_ && !rest_.empty() && is_digit(rest_.front()); }
  [[nodiscard]] bool next_is(std::string_view any_of) const {
    return !rest_.empty() && any_of.find(rest_.front()) != std::string_view::npos;
  }
  char take() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  [[nodiscard]] bool is_good() const { return is_good_; }
  [[nodiscard]] bool is_done() const { return is_good_ && rest_.empty(); }
  [[nodiscard]] bool is_empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool is_good_ = true;
};

// The milliseconds of a fraction whose first digit comes next.
int read_fraction_ms(reader& text) {
  int ms = text.digits(1) * 100;
  for (int weight = 10; text.next_is_digit(); weight /= 10) ms += (text.take() - '0') * weight;
  return ms;
}

std::optional<std::chrono::minutes> read_zone(reader& text) {
  if (text.accept("Zz")) return std::chrono::minutes{0};
  const bool is_west = text.accept("-");
  if (!is_west) text.require("+");
  const int hours = text.digits(2);
  text.require(":");
  const int minutes = text.digits(2);
  if (!text.is_good() || hours > 23 || minutes > 59) return std::nullopt;
  const std::chrono::minutes offset{hours * 60 + minutes};
  return is_west ? -offset : offset;
}

std::optional<std::chrono::sys_days> read_date(reader& text) {
  const int year = text.digits(4);
  text.require("-");
  const int month = text.digits(2);
  text.require("-");
  const int day = text.digits(2);
  const year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                            std::chrono::day{static_cast<unsigned>(day)}};
  if (!text.is_good() || !date.ok()) return std::nullopt;
  return std::chrono::sys_days{date};
}

std::optional<duration> read_time_of_day(reader& text) {
  const int hour = text.digits(2);
  text.require(":");
  const int minute = text.digits(2);
  text.require(":");
  const int second = text.digits(2);
  const int ms = text.accept(".") ? read_fraction_ms(text) : 0;
  if (!text.is_good() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return std::chrono::hours{hour} + std::chrono::minutes{minute} + std::chrono::seconds{second} + duration{ms};
}

}  // namespace

std::string to_string(time_point time) {
  std::string out;
  if (!has_rfc3339(time)) {
    append_digits(out, time.time_since_epoch().count(), 0);
    return out;
  }
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const year_month_day date{day};
  const std::chrono::hh_mm_ss<duration> clock{time - day};
  append_digits(out, static_cast<int>(date.year()), 4);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.day()), 2);
  out += 'T';
  append_digits(out, clock.hours().count(), 2);
  out += ':';
  append_digits(out, clock.minutes().count(), 2);
  out += ':';
  append_digits(out, clock.seconds().count(), 2);
  out += '.';
  append_digits(out, clock.subseconds().count(), 3);
  out += 'Z';
  return out;
}

std::optional<time_point> parse_time(std::string_view text) {
  reader rest{text};
  const auto date = read_date(rest);
  if (!date) return std::nullopt;
  rest.require("Tt ");
  const auto clock = read_time_of_day(rest);
  if (!clock) return std::nullopt;
  const auto zone = read_zone(rest);
  if (!zone || !rest.is_done()) return std::nullopt;
  return time_point{*date} + *clock - *zone;
}

namespace {

__extension__ typedef unsigned __int128 wide;  // 2^63 ms are 9.2e24 ns: more than 64 bits

struct unit {
  std::string_view name;
  std::int64_t nanoseconds;
};

constexpr std::int64_t ms_in_ns = 1'000'000;
constexpr std::array<unit, 8> units{{
    {"ns", 1},
    {"us", 1'000},
    {"ms", ms_in_ns},
    {"s", 1'000 * ms_in_ns},
    {"m", 60'000 * ms_in_ns},
    {"h", 3'600'000 * ms_in_ns},
    {"d", 86'400'000 * ms_in_ns},
    {"w", 604'800'000 * ms_in_ns},
}};

std::optional<std::int64_t> read_unit(reader& text) {
  std::string name;
  while (text.next_is("nsumhdw") && name.size() < 2) {
    // "1m30s": a digit ends the name; "1ms" and "1m" differ in the letter that follows.
    name += text.take();
  }
  for (const unit& known : units) {
    if (known.name == name) return known.nanoseconds;
  }
  return std::nullopt;
}

// A decimal number: digits * 10^-places. Digits past the eighteenth behind the point are cut.
struct decimal {
  wide whole{0};
  wide fraction{0};
  wide scale{1};
};

std::optional<decimal> read_decimal(reader& text) {
  constexpr wide whole_limit = std::numeric_limits<std::uint64_t>::max();
  constexpr wide scale_limit = 1'000'000'000'000'000'000;
  decimal number;
  bool has_digits = false;
  for (; text.next_is_digit(); has_digits = true) {
    number.whole = number.whole * 10 + static_cast<unsigned>(text.take() - '0');
    if (number.whole > whole_limit) return std::nullopt;
  }
  if (text.accept(".")) {
    for (; text.next_is_digit(); has_digits = true) {
      const auto digit = static_cast<unsigned>(text.take() - '0');
      if (number.scale == scale_limit) continue;
      number.fraction = number.fraction * 10 + digit;
      number.scale *= 10;
    }
  }
  if (!has_digits) return std::nullopt;
  return number;
}

// The sum of all components in nanoseconds.
std::optional<wide> read_components(reader& text) {
  constexpr wide limit = (wide{1} << 63) * ms_in_ns + ms_in_ns;
  wide sum = 0;
  do {
    const auto number = read_decimal(text);
    const auto nanoseconds = number ? read_unit(text) : std::nullopt;
    if (!nanoseconds) return std::nullopt;
    const auto one = static_cast<wide>(*nanoseconds);
    sum += number->whole * one + number->fraction * one / number->scale;
    if (sum > limit) return std::nullopt;
  } while (!text.is_empty());
  return sum;
}

}  // namespace

std::optional<duration> parse_duration(std::string_view text) {
  reader rest{text};
  const bool is_negative = rest.accept("-");
  if (!is_negative) rest.accept("+");
  if (text == "0" || text == "-0" || text == "+0") return duration{0};
  const auto sum = read_components(rest);
  if (!sum) return std::nullopt;
  const wide ms = *sum / ms_in_ns;
  constexpr auto highest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (ms > (is_negative ? wide{highest} + 1 : wide{highest})) return std::nullopt;
  const auto magnitude = static_cast<std::uint64_t>(ms);
  return duration{static_cast<std::int64_t>(is_negative ? 0 - magnitude : magnitude)};
}

std::string to_string(duration value) {
  if (value == duration::zero()) return "0";
  const std::int64_t count = value.count();
  std::uint64_t left = count < 0 ? 0 - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count);
  std::string out = count < 0 ? "-" : "";
  for (auto unit = units.rbegin(); left > 0; ++unit) {
    const auto unit_ms = static_cast<std::uint64_t>(unit->nanoseconds / ms_in_ns);
    if (left < unit_ms) continue;
    out += std::to_string(left / unit_ms);
    out += unit->name;
    left %= unit_ms;
  }
  return out;
}

namespace {

// Whole milliseconds of a JSON number; nullopt when they do not fit.
std::optional<std::int64_t> milliseconds(const nlohmann::json& number) {
  if (number.is_number_unsigned()) {
    const auto value = number.get<std::uint64_t>();
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    return static_cast<std::int64_t>(value);
  }
  if (number.is_number_integer()) return number.get<std::int64_t>();
  constexpr double two_to_63 = 9223372036854775808.0;
  const double value = std::floor(number.get<double>());
  if (!(value >= -two_to_63 && value < two_to_63)) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

std::optional<time_point> read_json(const nlohmann::json& in) {
  if (in.is_string()) return parse_time(in.get_ref<const std::string&>());
  if (!in.is_number()) return std::nullopt;
  const auto ms = milliseconds(in);
  if (!ms) return std::nullopt;
  return time_point{duration{*ms}};
}

}  // namespace

}  // namespace caesura

void nlohmann::adl_serializer<caesura::time_point>::to_json(nlohmann::json& out, const caesura::time_point& time) {
  if (caesura::has_rfc3339(time)) {
    out = caesura::to_string(time);
  } else {
    out = time.time_since_epoch().count();
  }
}

void nlohmann::adl_serializer<caesura::time_point>::from_json(const nlohmann::json& in, caesura::time_point& time) {
  const auto read = caesura::read_json(in);
  if (!read) {
    throw caesura::error{caesura::errc::result_type, "value cannot be converted: " + in.dump(-1, ' ', true, json::error_handler_t::replace) +
                                                         " is neither an RFC 3339 time nor a number of milliseconds"};
  }
  time = *read;
}
