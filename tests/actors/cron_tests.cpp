// When cron triggers tick.

#include <boost/test/unit_test.hpp>

#include <caesura/time.hpp>

#include "actors/cron.hpp"

namespace {

using namespace caesura;
using actors::cron_schedule;

// The first `count` ticks after a time.
std::string ticks(std::string_view text, std::string_view after, int count = 3) {
  const auto parsed = cron_schedule::parse(text);
  if (const auto* fault = std::get_if<std::string>(&parsed)) return *fault;
  std::string result;
  auto at = parse_time(after);
  for (int i = 0; i < count && at; ++i) {
    at = std::get<cron_schedule>(parsed).next_after(*at);
    if (i > 0) result += ' ';
    result += at ? to_string(*at).substr(0, 16) : "never";
  }
  return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cron)

BOOST_AUTO_TEST_CASE(ticks_are_strictly_after_the_time) {
  BOOST_TEST(ticks("0 12 * * *", "2026-03-01T12:00:00Z", 2) == "2026-03-02T12:00 2026-03-03T12:00");
  BOOST_TEST(ticks("0 12 * * *", "2026-03-01T11:59:59Z", 1) == "2026-03-01T12:00");
  BOOST_TEST(ticks("*/20 * * * *", "2026-12-31T23:41:00Z") == "2027-01-01T00:00 2027-01-01T00:20 2027-01-01T00:40");
}

BOOST_AUTO_TEST_CASE(lists_ranges_steps_and_names) {
  BOOST_TEST(ticks("5,10-12,50/5 3 * * *", "2026-03-01T00:00:00Z", 6) ==
             "2026-03-01T03:05 2026-03-01T03:10 2026-03-01T03:11 2026-03-01T03:12 2026-03-01T03:50 2026-03-01T03:55");
  BOOST_TEST(ticks("0 0 1 jan,JUL *", "2026-03-01T00:00:00Z") == "2026-07-01T00:00 2027-01-01T00:00 2027-07-01T00:00");
  BOOST_TEST(ticks("0 9 * * Mon-Fri", "2026-03-06T10:00:00Z", 2) == "2026-03-09T09:00 2026-03-10T09:00");  // a Friday
  BOOST_TEST(ticks("0 0 * * 7", "2026-03-02T00:00:00Z", 1) == "2026-03-08T00:00");
  BOOST_TEST(ticks("0 0-23/8 * * *", "2026-03-01T00:00:00Z") == "2026-03-01T08:00 2026-03-01T16:00 2026-03-02T00:00");
}

BOOST_AUTO_TEST_CASE(a_day_matches_either_field_when_both_are_restricted) {
  BOOST_TEST(ticks("0 0 13 * 5", "2026-03-01T00:00:00Z") == "2026-03-06T00:00 2026-03-13T00:00 2026-03-20T00:00");
  BOOST_TEST(ticks("0 0 13 * *", "2026-03-01T00:00:00Z", 1) == "2026-03-13T00:00");
}

BOOST_AUTO_TEST_CASE(months_of_different_length_and_leap_years) {
  BOOST_TEST(ticks("0 0 31 * *", "2026-01-31T00:00:00Z") == "2026-03-31T00:00 2026-05-31T00:00 2026-07-31T00:00");
  BOOST_TEST(ticks("0 0 29 2 *", "2026-03-01T00:00:00Z", 2) == "2028-02-29T00:00 2032-02-29T00:00");
  BOOST_TEST(ticks("0 0 30 2 *", "2026-03-01T00:00:00Z", 1) == "never");
}

BOOST_AUTO_TEST_CASE(time_zones_and_changes_of_the_clocks) {
  BOOST_TEST(ticks("TZ=Europe/Paris 0 12 * * *", "2026-03-28T00:00:00Z", 2) == "2026-03-28T11:00 2026-03-29T10:00");
  // 02:30 does not exist on 29 March; the clocks change at 01:00 UTC.
  BOOST_TEST(ticks("CRON_TZ=Europe/Paris 30 2 * * *", "2026-03-28T12:00:00Z", 2) == "2026-03-29T01:00 2026-03-30T00:30");
  // 02:30 comes twice on 25 October: at 00:30 and 01:30 UTC.
  BOOST_TEST(ticks("TZ=Europe/Paris 30 2 * * *", "2026-10-24T12:00:00Z", 2) == "2026-10-25T00:30 2026-10-26T01:30");
  BOOST_TEST(ticks("TZ=Europe/Paris 0 * * * *", "2026-10-24T23:30:00Z") == "2026-10-25T00:00 2026-10-25T01:00 2026-10-25T02:00");
}

BOOST_AUTO_TEST_CASE(descriptors) {
  BOOST_TEST(ticks("@hourly", "2026-03-01T00:10:00Z", 1) == "2026-03-01T01:00");
  BOOST_TEST(ticks("@weekly", "2026-03-02T00:10:00Z", 1) == "2026-03-08T00:00");
  BOOST_TEST(ticks("@yearly", "2026-03-02T00:10:00Z", 1) == "2027-01-01T00:00");
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_named) {
  const auto fault = [](std::string_view text) { return ticks(text, "2026-03-01T00:00:00Z"); };
  BOOST_TEST(fault("").find("it has 0 fields") != std::string::npos);
  BOOST_TEST(fault("* * * * * *").find("it has 6 fields") != std::string::npos);
  BOOST_TEST(fault("60 * * * *").find("the minute \"60\" is not within 0 to 59") != std::string::npos);
  BOOST_TEST(fault("* 5-2 * * *").find("the hour \"5-2\" ends before it begins") != std::string::npos);
  BOOST_TEST(fault("* * 0 * *").find("the day of month \"0\" is not within 1 to 31") != std::string::npos);
  BOOST_TEST(fault("* * * foo *").find("the month \"foo\" is no number, range or name") != std::string::npos);
  BOOST_TEST(fault("*/0 * * * *").find("has a step that is no number from 1 on") != std::string::npos);
  BOOST_TEST(fault("1, * * * *").find("the minute \"\" is no number") != std::string::npos);
  BOOST_TEST(fault("@often").find("no descriptor \"@often\"") != std::string::npos);
  BOOST_TEST(fault("TZ=Nowhere/City * * * * *").find("no time zone \"Nowhere/City\"") != std::string::npos);
  BOOST_TEST(fault("TZ=UTC").find("the fields are missing") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
