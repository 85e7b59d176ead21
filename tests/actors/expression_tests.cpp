// Conditions, as a table: what each says of one pair of events.

#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <random>

#include "actors/expression/expression.hpp"

namespace {

using namespace caesura;
using namespace caesura::expression;

struct pair_of_events {
  document trigger;
  document incoming;

  verdict evaluate(const std::string& text) const {
    auto parsed = compiled::parse(text, roots::event_and_async);
    if (const auto* wrong = std::get_if<fault>(&parsed)) return {.error = "parse: " + wrong->text};
    const event_scope event{.id = "e-1", .name = "go", .ts = 1000, .data = storage::document_view{trigger.bytes()}};
    const event_scope async{.id = "a-1", .name = "stop", .ts = 2000, .data = storage::document_view{incoming.bytes()}};
    return std::get<compiled>(parsed).matches(event, &async);
  }
};

const pair_of_events usual{
    {{"id", "t-1"}, {"n", 1}, {"nul", nullptr}, {"list", {1, 2, 3}}, {"big", 9007199254740993LL}},
    {{"id", "t-1"}, {"n", 1.0}, {"s1", "1"}, {"nul", nullptr}, {"list", {"a", "b"}}, {"o", {{"k", "v"}}}, {"str", "h\xC3\xA9llo"},
     {"zero", 0}, {"yes", true}, {"big", 9007199254740992LL}, {"when", "2026-03-01T09:00:00Z"}}};

fault fault_in(const std::string& text, roots allowed = roots::event_and_async) {
  auto parsed = compiled::parse(text, allowed);
  BOOST_TEST_CONTEXT(text) { BOOST_REQUIRE(std::holds_alternative<fault>(parsed)); }
  return std::get<fault>(parsed);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(expressions)

BOOST_AUTO_TEST_CASE(a_method_or_an_index_of_a_root_alone_does_not_read_an_empty_path) {
  for (const auto* text : {"event.all(x, true)", "async.exists(x, x == 1)", "event[0] == 1", "async[1 + 1] == 2", "event.size() == 1"}) {
    BOOST_TEST(fault_in(text).text.find("alone is no value: write ") != std::string::npos, text);
  }
  BOOST_TEST(fault_in("run.exists_one(x, true)", roots::event_and_run).text == "\"run\" alone is no value: write run.status");
}

BOOST_AUTO_TEST_CASE(these_hold) {
  for (const auto* text : {
           "event.data.id == async.data.id", "async.data.id == event.data.id", R"(event["data"]["id"] == async.data["id"])",
           "event.data.n == async.data.n", "1 == 1.0", "event.data.big != async.data.big", "event.data.big > async.data.big",
           "async.data.missing == null", "null == async.data.missing", "async.data.nul == null", "event.data.nul == async.data.nul",
           "event.data.missing != async.data.id", "async.data.id != event.data.missing", "!async.data.keep", "!(async.data.keep)",
           "async.data.yes", "async.data.yes && true", "async.data.str > 1 || true", "true || async.data.str > 1",
           "!(async.data.str > 1 && false)", "!(false && async.data.str > 1)", "async.data.n < 2", "async.data.n <= 1", "2 > async.data.n",
           "'a' in async.data.list", "2 in event.data.list", "2.0 in event.data.list", "'k' in async.data.o", "async.data.id in ['x', 't-1']",
           "!('q' in async.data.missing)", "!(async.data.missing in ['a'])", "1 + 2 * 3 == 7", "(1 + 2) * 3 == 9", "7 / 2 == 3",
           "7.0 / 2 == 3.5", "-7 % 4 == -3", "10 - 2 - 3 == 5", "-(1) == -1", "'a' + 'b' == 'ab'", "size(async.data.str) == 5",
           "async.data.str.size() == 5", "size(event.data.list) == 3", "size([1, 2]) == 2", "async.data.str.startsWith('h')",
           "async.data.str.endsWith('llo')", "async.data.str.contains('\\u00e9')", "async.data.id.matches('^t-[0-9]+$')",
           "has(async.data.o.k)", "!has(async.data.o.q)", "int('12') == 12", "int(1.9) == 1", "double('1.5') == 1.5", "string(12) == '12'",
           "string(true) == 'true'", "timestamp(async.data.when) < timestamp('2026-03-01T09:00:00.001Z')",
           "timestamp('2026-03-01T10:00:00Z') - timestamp(async.data.when) == duration('1h')",
           "timestamp(async.data.when) + duration('30m') == timestamp('2026-03-01T10:30:00+01:00')", "duration('1h30m') > duration('1h')",
           "event.data.list.all(x, x > 0)", "event.data.list.exists(x, x == 2)", "event.data.list.exists_one(x, x == 2)",
           "!event.data.list.exists_one(x, x > 1)", "async.data.o.exists(k, k == 'k')", "[].all(x, false)",
           "event.data.list.exists(x, event.data.list.all(y, y <= x))", "async.data.zero == 0 ? true : false", "event.data.list[0] == 1",
           "event.data.list[9] == null", "event.data.list == [1, 2.0, 3]", "[1] != [2]", "event.ts < async.ts", "event.name == 'go'",
           "async.id == 'a-1'", "\"it's\" == 'it\\'s'", "async.data.deep.er.est == null", "async.data.id.deep == null",
           "9223372036854775807 > 9223372036854775806", "-9223372036854775807 < 0",
       }) {
    const auto verdict = usual.evaluate(text);
    BOOST_TEST_CONTEXT(text << ": " << verdict.error.value_or("no error")) { BOOST_TEST(verdict.matches); }
  }
}

BOOST_AUTO_TEST_CASE(these_do_not_hold_and_are_no_errors) {
  for (const auto* text : {
           "event.data.missing == async.data.missing", "async.data.missing == event.data.missing", "event.data.missing != async.data.missing",
           "event.data.nul == async.data.missing", "async.data.missing == event.data.nul", "async.data.missing != null",
           "null != async.data.missing", "async.data.id == null", "async.data.s1 == 1", "1 == async.data.s1", "async.data.missing",
           "async.data.yes == 1", "'x' == ['x']", "event.data.id != async.data.id", "false", "async.data.missing && true",
       }) {
    const auto verdict = usual.evaluate(text);
    BOOST_TEST_CONTEXT(text << ": " << verdict.error.value_or("no error")) {
      BOOST_TEST(!verdict.matches);
      BOOST_TEST(!verdict.error.has_value());
    }
  }
}

BOOST_AUTO_TEST_CASE(these_are_errors_which_is_no_match_and_says_why) {
  for (const auto* text : {
           "async.data.str > 1", "1 < async.data.str", "async.data.missing < 5", "async.data.nul < 5", "async.data.str", "1", "null",
           "1 / async.data.zero == 1", "1 % 0 == 1", "9223372036854775807 + 1 > 0", "-9223372036854775807 - 2 < 0", "async.data.str + async.data.missing == 'x'",
           "async.data.nul + 'x' == 'x'", "size(async.data.missing) == 0", "async.data.missing.contains('x')", "async.data.n.all(x, true)", "int('x') == 1",
           "timestamp('nonsense' + '') == timestamp(0)", "async.data.str && true", "!async.data.str", "async.data.str ? true : true",
           "async.data.id.matches('(' + '')",
       }) {
    const auto verdict = usual.evaluate(text);
    BOOST_TEST_CONTEXT(text) {
      BOOST_TEST(!verdict.matches);
      BOOST_TEST(verdict.error.has_value());
      BOOST_TEST(verdict.error.value_or("").find("parse") == std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_CASE(faults_have_a_position) {
  BOOST_TEST(fault_in("event.data.id == ").position == 17U);
  BOOST_TEST(fault_in("event.data.id === 1").position == 14U);
  BOOST_TEST(fault_in("steps.a == 1").position == 0U);
  BOOST_TEST(fault_in("event.data.id == foo").position == 17U);
  BOOST_TEST(fault_in("event.data.id.lower() == 'x'").position == 13U);
  BOOST_TEST(fault_in("'unclosed").position == 0U);
  BOOST_TEST(fault_in("1 == 99999999999999999999").position == 5U);
  BOOST_TEST(fault_in("event.data.id.matches('(')").position == 22U);
  BOOST_TEST(fault_in("(1 == 1").position == 7U);
  BOOST_TEST(fault_in("1 == 1)").position == 6U);
  BOOST_TEST(fault_in("event.data.id = 1").position == 14U);
  BOOST_TEST(fault_in("event == 1").position == 0U);
  BOOST_TEST(fault_in("async.data.id == 1", roots::event).position == 0U);
  BOOST_TEST(fault_in("has(1)").position == 4U);
  BOOST_TEST(fault_in("event.data.list.all(event, true)").position == 20U);
  BOOST_TEST(fault_in("timestamp('tomorrow') > timestamp(0)").position == 10U);
  BOOST_TEST(fault_in("\"\\q\" == 'q'").position == 1U);
}

BOOST_AUTO_TEST_CASE(length_and_depth_are_limited_at_the_limit_and_one_past_it) {
  const auto padded = [](std::size_t size) {
    std::string text = "true";
    text.resize(size, ' ');
    return text;
  };
  BOOST_TEST(std::holds_alternative<compiled>(compiled::parse(padded(4096), roots::event)));
  BOOST_TEST(std::holds_alternative<fault>(compiled::parse(padded(4097), roots::event)));
  const auto nested = [](std::size_t depth) { return std::string(depth, '(') + "true" + std::string(depth, ')'); };
  BOOST_TEST(std::holds_alternative<compiled>(compiled::parse(nested(63), roots::event)));
  BOOST_TEST(std::holds_alternative<fault>(compiled::parse(nested(64), roots::event)));
  for (const auto* open : {"(", "[", "!", "-", "size(", "1 + ", "event.data.a[", "true ? "}) {
    std::string text;
    while (text.size() + 8 < 4096) text += open;
    BOOST_TEST_CONTEXT(open) { BOOST_TEST(std::holds_alternative<fault>(compiled::parse(text, roots::event))); }
  }
}

BOOST_AUTO_TEST_CASE(evaluation_ends_at_its_cost) {
  std::vector<int> numbers(1000);
  const pair_of_events wide{document(nlohmann::json{{"l", numbers}}), {}};
  const auto verdict = wide.evaluate("event.data.l.all(a, event.data.l.all(b, event.data.l.all(c, a == b || true)))");
  BOOST_TEST(!verdict.matches);
  BOOST_REQUIRE(verdict.error.has_value());
  BOOST_TEST(verdict.error->find("limit") != std::string::npos);
  BOOST_TEST(!wide.evaluate("event.data.l.all(a, event.data.l.all(b, event.data.l.all(c, a == b || true))) || true").error.has_value() == false);
}

BOOST_AUTO_TEST_CASE(the_index_finds_whatever_the_whole_rule_matches) {
  const char* const given = std::getenv("CAESURA_TEST_SEED");
  const auto seed = given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : 20'260'301U;
  BOOST_TEST_MESSAGE("seed " << seed);
  std::mt19937 random{seed};
  const std::vector<nlohmann::json> values{nullptr, true, false, 0, 1, 1.0, -1, 2.5, "", "a", "b", "1", {1, 2}, {1.0, 2}, {{"k", 1}}, {{"k", 1.0}},
                                           9007199254740993LL, 9007199254740992.0, 18446744073709551615ULL};
  const auto any = [&]() -> nlohmann::json {
    auto data = nlohmann::json::object();
    for (const auto* key : {"x", "y"}) {
      if (random() % 5 != 0) data[key] = values[random() % values.size()];
    }
    return data;
  };
  int matches = 0;
  for (const auto* text : {"event.data.x == async.data.x", "event.user.x == async.user.x", "async.v == event.user.y", "async.data.x == 1 && event.user.y == async.user.x", "async.data.y == event.data.x && async.data.x != 1", "async.data.x == 1",
                           "event.data.y == 'a' && async.data.x == event.data.x", "async.data.x == [1, 2] && async.data.y == event.data.y"}) {
    const auto rule = std::get<compiled>(compiled::parse(text, roots::event_and_async));
    BOOST_REQUIRE(rule.conjunct().has_value());
    for (int i = 0; i < 20'000; ++i) {
      const document trigger{any()};
      const document incoming{any()};
      const document users[]{document{any()}, document{any()}};
      const event_scope event{.data = storage::document_view{trigger.bytes()}, .user = storage::document_view{users[0].bytes()}, .version = "a"};
      const event_scope async{.data = storage::document_view{incoming.bytes()}, .user = storage::document_view{users[1].bytes()}, .version = "b"};
      if (!rule.matches(event, &async).matches) continue;
      ++matches;
      const auto a = async_hash(*rule.conjunct(), async);
      const auto e = event_hash(*rule.conjunct(), event);
      BOOST_REQUIRE_MESSAGE(a && e && *a == *e, text << " on " << trigger.text() << " and " << incoming.text());
    }
  }
  BOOST_TEST(matches > 1000);
}

BOOST_AUTO_TEST_CASE(a_rule_is_indexed_by_its_best_comparison) {
  const auto conjunct_of = [](const char* text) { return std::get<compiled>(compiled::parse(text, roots::event_and_async)).conjunct(); };
  BOOST_TEST(conjunct_of("async.data.kind == 'x' && event.data.id == async.data.id")->async_path.at(1) == "id");
  BOOST_TEST(conjunct_of("async.data.kind == 'x'")->event_path.empty());
  // Runs that wait since before users were kept are indexed by the rest of their rule.
  BOOST_TEST(conjunct_of("event.user.id == async.user.id && async.data.kind == 'x'")->event_path.empty());
  BOOST_TEST(conjunct_of("event.v == async.data.v && async.id == event.id")->async_path.at(0) == "id");
  BOOST_TEST(conjunct_of("event.user.id == async.user.id")->async_path.at(0) == "user");
  BOOST_TEST(!conjunct_of("event.user == async.user").has_value());
  BOOST_TEST(!conjunct_of("async.data.id == null").has_value());
  BOOST_TEST(!conjunct_of("event.data.id == async.data.id || async.data.all == true").has_value());
  BOOST_TEST(!conjunct_of("!(event.data.id == async.data.id)").has_value());
  BOOST_TEST(!conjunct_of("event.data.a < async.data.b").has_value());
}

namespace {

const pair_of_events rich{
    {{"n", 1}, {"half", 0.5}, {"u", 18446744073709551615ULL}, {"v", 18446744073709551614ULL}, {"e", 9223372036854775808ULL}, {"o", {{"k", "v"}}},
     {"list", {1, 2, 3}}, {"pair", {1, "x"}}, {"nul", nullptr}, {"yes", true}, {"str", "text"}},
    {}};

void all_hold(const std::vector<const char*>& texts) {
  for (const auto* text : texts) {
    const auto verdict = rich.evaluate(text);
    BOOST_TEST_CONTEXT(text << ": " << verdict.error.value_or("no error")) { BOOST_TEST(verdict.matches); }
  }
}

// Each is an error of evaluation that says this.
void all_fail(const std::vector<std::pair<const char*, const char*>>& texts) {
  for (const auto& [text, why] : texts) {
    const auto verdict = rich.evaluate(text);
    BOOST_TEST_CONTEXT(text << ": " << verdict.error.value_or("no error")) {
      BOOST_TEST(!verdict.matches);
      BOOST_TEST(verdict.error.value_or("").find(why) != std::string::npos);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(numbers_are_computed_and_compared_by_value_whatever_their_type) {
  all_hold({"1.5 + 1 == 2.5", "1 - 0.5 == 0.5", "2 * 1.5 == 3.0", "3 / 1.5 == 2.0", "7 / -1 == -7", "7 % -1 == 0", "-event.data.half == -0.5",
            "-event.data.n == -1", "(0 - 9223372036854775807 - 1) % -1 == 0", "1 < 1e300", "1 > -1e300", "event.data.u > 1.5", "event.data.u < 1e300",
            "event.data.u > -1.5", "event.data.u == event.data.u", "event.data.u > event.data.v", "event.data.u > 1", "1 < event.data.u",
            "event.data.e == 9223372036854775808.0", "1.5 > 1", "1.5 < event.data.u", "!(1 < 0.0 / 0.0)", "!(event.data.u < 0.0 / 0.0)",
            "!(0.0 / 0.0 == 0.0 / 0.0)", "1+2 == 3", "1E+2 == 100.0", ".5 == 0.5", "1e3 == 1000.0", "1E-3 < 1", "1e+2 == 100.0", "\t1\n==\r1"});
  all_fail({{"event.data.u + 1 == 1", "does not take"},
            {"1 + event.data.u == 1", "does not take"},
            {"1.5 + event.data.u == 1", "does not take"},
            {"event.data.u * 1.5 == 1", "does not take"},
            {"1.5 % 2 == 1", "% takes integers"},
            {"[1] + 'a' == 'a'", "does not take"},
            {"event.data.missing + 'a' == 'a'", "does not take"},
            {"'a' + null == 'a'", "does not take"},
            {"'a' - 'b' == 'a'", "does not take"},
            {"'a' * 2 == 'aa'", "does not take"},
            {"-event.data.str == 1", "- does not take a text"},
            {"-'a' == 1", "- does not take a text"},
            {"-(0 - 9223372036854775807 - 1) > 0", "does not fit"},
            {"(0 - 9223372036854775807 - 1) / -1 > 0", "does not fit"},
            {"9223372036854775807 * 2 > 0", "does not fit"},
            {"0 - 9223372036854775807 - 2 > 0", "does not fit"}});
}

BOOST_AUTO_TEST_CASE(a_text_is_joined_with_numbers_and_truth_values) {
  all_hold({"5 + '-x' == '5-x'", "'n' + 5 == 'n5'", "'n' + 5.0 == 'n5'", "'n' + 0.5 == 'n0.5'", "'n' + -3 == 'n-3'", "'n' + 1e300 == 'n1e+300'", "true + '' == 'true'",
            "'' + false == 'false'", "'a' + 1 + 2 == 'a12'", "1 + 2 + 'a' == '3a'"});
}

// Two events are told apart by what they have, not taken for one because they lack something.
BOOST_AUTO_TEST_CASE(in_a_key_a_text_is_joined_with_what_is_missing_as_with_nothing) {
  const auto key_of = [](const char* text, const document& data) {
    const auto parsed = std::get<compiled>(compiled::parse(text, roots::event));
    const auto value = parsed.value_of(event_scope{.id = "e", .name = "go", .data = storage::document_view{data.bytes()}});
    return value ? value->json().dump() : "none";
  };
  const document data{{"a", 1}, {"b", "x"}, {"nul", nullptr}};
  BOOST_TEST(key_of("event.data.a + '-' + event.data.b", data) == "\"1-x\"");
  BOOST_TEST(key_of("event.data.b + '-' + event.data.type", data) == "\"x-\"");
  BOOST_TEST(key_of("event.data.nul + event.data.b", data) == "\"x\"");
  BOOST_TEST(key_of("event.data.type", data) == "none");
  BOOST_TEST(key_of("event.data.type + 1", data) == "none");
}

BOOST_AUTO_TEST_CASE(times_and_lengths_are_added_and_subtracted_where_that_means_something) {
  all_hold({"timestamp(0) + duration('1h') - duration('1h') == timestamp(0)", "duration('1h') + timestamp(0) == timestamp(3600000)",
            "duration('1h') + duration('30m') == duration('1h30m')", "duration('1h') - duration('30m') == duration('30m')",
            "-duration('1h') < duration('1s')", "timestamp(1) >= timestamp(1)"});
  all_fail({{"timestamp(0) * duration('1h') == timestamp(0)", "does not take"},
            {"duration('1h') - timestamp(0) == timestamp(0)", "does not take"},
            {"duration('1h') * duration('1h') == duration('1h')", "does not take"},
            {"timestamp(0) + timestamp(0) == timestamp(0)", "does not take"},
            {"timestamp(0) + 1 == timestamp(1)", "does not take"},
            {"duration('1h') + 1 == timestamp(1)", "does not take"},
            {"timestamp(9223372036854775807) + duration('1h') > timestamp(0)", "does not fit"},
            {"timestamp(0) < duration('1h')", "have no order"}});
}

BOOST_AUTO_TEST_CASE(conversions_take_what_they_can_and_refuse_the_rest) {
  all_hold({"int(timestamp(1500)) == 1", "int(1) == 1", "double(1) == 1.0", "double(1.5) == 1.5", "double(event.data.u) > 1e18", "string('a') == 'a'",
            "string(false) == 'false'", "string(event.data.u) == '18446744073709551615'", "string(1.5) == '1.5'",
            "timestamp(string(timestamp(1500))) == timestamp(1500)", "duration(string(duration('90m'))) == duration('1h30m')",
            "timestamp(timestamp(5)) == timestamp(5)", "duration(duration('1h')) == duration('1h')"});
  all_fail({{"int('') == 0", "like this"},
            {"int('1x') == 1", "like this"},
            {"int('10000000000000000001') == int('99999999999999999999')", "does not fit an integer"},
            {"double('1e999') == 0.0", "does not fit a real"},
            {"int(true) == 1", "does not take a boolean"},
            {"int(1e300) == 1", "does not take a double"},
            {"int(-1e300) == 1", "does not take a double"},
            {"double('') == 1.0", "like this"},
            {"double('x') == 1.0", "like this"},
            {"double(true) == 1.0", "does not take a boolean"},
            {"string(null) == 'x'", "does not take null"},
            {"timestamp(1.5) == timestamp(1)", "does not take a double"},
            {"duration(1) == duration('1s')", "does not take an integer"},
            {"duration('x' + '') == duration('1s')", "like this"},
            {"int(1 / 0) == 1", "division by zero"}});
}

BOOST_AUTO_TEST_CASE(elements_and_members_that_are_not_there_are_missing) {
  all_hold({"event.data.o['k' + ''] == 'v'", "event.data.list[-1] == null", "event.data.list[0 - 1] == null", "[1, 2][1] == 2", "[1, 2][5] == null",
            "event.data.n['x' + ''] == null", "event.data.missing[0] == null", "event.data.list[event.data.missing] == null",
            "[event.data.o][0].k == 'v'", "[event.data.o][0].q == null", "[1][0].k == null", "event.id.x == null", "event.nothing == null",
            "event.ts == 1000", "false ? false : true", "has([event.data.o][0].k)", "size(event.data.o) == 1", "!(3 in [1, 2])", "2 in [1, 2]"});
  all_fail({{"event.data.list['x' + ''] == 1", "a list has no element under a text"},
            {"event.data.o[1] == 1", "a map has no element under an integer"},
            {"[1 / 0][0] == 1", "division by zero"},
            {"event.data.list[1 / 0] == 1", "division by zero"},
            {"[1 / 0][0].k == 1", "division by zero"},
            {"has([1 / 0][0].k)", "division by zero"},
            {"1 in event.data.o", "the keys of a map are texts"},
            {"1 in 'x'", "takes a list or a map"},
            {"size(1) == 1", "size does not take an integer"}});
}

BOOST_AUTO_TEST_CASE(lists_and_maps_are_equal_by_their_elements_wherever_they_come_from) {
  all_hold({"[1, 2] == [1.0, 2]", "[1] != [1, 2]", "[1, 3] != [1, 2]", "[1, 'x'] == event.data.pair", "event.data.pair == [1, 'x']",
            "[1] != event.data.pair", "[1, 'y'] != event.data.pair", "event.data.pair == event.data.pair", "event.data.o == event.data.o", "true == true",
            "true != false", "null == null", "event.data.nul == null", "timestamp(1) != timestamp(2)", "duration('1h') == duration('60m')",
            "[null] == [null]", "[event.data.missing] != [event.data.missing]"});
}

BOOST_AUTO_TEST_CASE(an_error_anywhere_within_is_the_error_of_the_whole) {
  for (const auto* text : {"1 / 0 == 1", "1 == 1 / 0", "1 / 0 < 1", "1 < 1 / 0", "1 / 0 in [1]", "1 in [1 / 0]", "1 / 0 + 1 == 1", "1 + 1 / 0 == 1",
                           "-(1 / 0) == 1", "size([1 / 0]) == 1", "string(1 / 0).contains('x')", "'x'.contains(string(1 / 0))", "true && 1 / 0 == 1",
                           "1 / 0 == 1 || false", "[1 / 0 == 1].all(x, x)", "1 / 0 == 1 ? true : true", "!(1 / 0 == 1)",
                           "[0, 1].all(x, 1 / x == 1)", "[0, 2].exists(x, 1 / x == 1)", "[0, 1].exists_one(x, 1 / x == 1)"}) {
    const auto verdict = rich.evaluate(text);
    BOOST_TEST_CONTEXT(text) {
      BOOST_TEST(!verdict.matches);
      BOOST_TEST(verdict.error.value_or("").find("division by zero") != std::string::npos);
    }
  }
  all_hold({"1 / 0 == 1 || true", "!(1 / 0 == 1 && false)", "[0, 1].exists(x, 1 / x == 1)", "![0, 2].all(x, 1 / x == 1)", "[1, 2].all(x, x > 0)",
            "![1, 2].exists_one(x, x > 0)", "![1].exists(x, x == 2)", "'t-1'.matches('^t' + '-1$')", "event.data.list.all(run, run > 0)"});
  all_fail({{"event.data.list.exists(x, x > 'a')", "have no order"}, {"'x'.startsWith(1)", "takes two texts"}, {"event.data.o > 1", "have no order"}});
}

BOOST_AUTO_TEST_CASE(every_budget_below_what_an_expression_costs_is_an_error_that_names_the_limit) {
  const std::string text(64, 'x');
  const document trigger{{"text", text}, {"list", {1, 2, 3}}, {"texts", {text, text + "y"}}, {"o", {{text, 1}}}, {"big", {{"list", std::vector<int>(100)}}}};
  const event_scope event{.id = "e-1", .name = "go", .ts = 1000, .data = storage::document_view{trigger.bytes()}};
  for (const auto* expression :
       {"event.data.text == event.data.text", "event.data.text <= event.data.text", "event.data.text in event.data.o", "event.data.text in event.data.texts",
        "event.data.text in ['a', event.data.text]", "event.data.text + event.data.text != event.data.text", "event.data.texts[1] != null",
        "[event.data.big][0].list != null", "size(event.data.text) == 64", "event.data.text.contains('xx')", "event.data.text.matches('^x' + '+$')",
        "string(event.data.text) == event.data.text", "event.data.list.all(x, x > 0)", "[1, 2].exists(x, x == 2)", "event.data.o.exists(k, k != '')",
        "[1, 2] == [1, 2]", "true ? true : false", "-(-event.data.list[0]) == 1", "has(event.data.text)", "!(1 > 2) && 2 > 1 || false"}) {
    std::size_t cost = 0;
    for (bool is_met = false; !is_met; ++cost) {
      BOOST_REQUIRE(cost < 2000);
      const auto verdict = std::get<compiled>(compiled::parse(expression, roots::event, {.cost = cost})).matches(event);
      is_met = !verdict.error;
      BOOST_TEST_CONTEXT(expression << " with " << cost << ": " << verdict.error.value_or("no error")) {
        BOOST_TEST(verdict.matches == is_met);
        if (!is_met) BOOST_TEST(verdict.error->find("costs more than its limit") != std::string::npos);
      }
    }
    BOOST_TEST(cost > 2U, expression);
  }
}

BOOST_AUTO_TEST_CASE(every_fault_of_a_text_is_told_with_its_place) {
  const std::vector<std::tuple<const char*, std::size_t, const char*>> faults{
      {"1 == 1 2", 7, "unexpected a number after the end"},
      {"1 == 1 2.5", 7, "unexpected a number after the end"},
      {"1 == 1 'b'", 7, "unexpected text \"b\" after the end"},
      {"1 == 1 b", 7, "unexpected \"b\" after the end"},
      {"1 'in' [1]", 2, "unexpected text \"in\""},
      {"1 '==' 1", 2, "unexpected text \"==\""},
      {"event.data.(x)", 11, "expected a name after \".\""},
      {"event.data.x[0 1]", 15, "expected \"]\""},
      {"event.data.l.all(1, true)", 17, "expected the name of the macro's variable"},
      {"event.data.l.all(true, true)", 17, "cannot name the macro's variable"},
      {"event.data.l.all(false, true)", 17, "cannot name the macro's variable"},
      {"event.data.l.all(null, true)", 17, "cannot name the macro's variable"},
      {"event.data.l.all(in, true)", 17, "cannot name the macro's variable"},
      {"event.data.l.all(x true)", 19, "expected \",\""},
      {"size() == 1", 0, "wrong number of arguments"},
      {"size(1, 2) == 1", 0, "wrong number of arguments"},
      {"startsWith('a', 'b')", 0, "write text.startsWith(…)"},
      {"'a'.int() == 1", 3, "write int(…)"},
      {"lower('a') == 'a'", 0, "there is no function \"lower\""},
      {"has([1])", 4, "has(…) takes a path"},
      {"has('x')", 4, "has(…) takes a path"},
      {"duration('x') == duration('1s')", 9, "this is no duration"},
      {"1 == )", 5, "unexpected \")\""},
      {"[1 2] == [1]", 3, "expected \"]\""},
      {"true ? true", 11, "expected \":\""},
      {"async == 1", 0, "write async.data.…"},
      {"run.id == 'x'", 0, "this expression knows event and async"},
      {"\xFF", 0, "not UTF-8"},
      {"1abc == 1", 0, "this number is malformed"},
      {"1.2.3 == 1", 0, "this number is malformed"},
      {"1e == 1", 0, "this number is malformed"},
      {"1e999 > 1", 0, "this number does not fit"},
      {". == 1", 0, "unexpected \".\""},
      {"1 .", 3, "expected a name"},
      {"1 !== 2", 2, "there is no !=="},
      {"{}", 0, "unexpected character '{'"},
      {"true & true", 5, "write &&"},
      {"true | true", 5, "write ||"},
      {"'\\", 1, "this escape is unknown"},
      {"'\\q\\q'", 1, "this escape is unknown"},
      {"'\\uD800'", 1, "four hexadecimal digits"},
      {"'\\u12'", 1, "four hexadecimal digits"},
      {"'\\u1", 1, "four hexadecimal digits"},
      {"'\\u12g4'", 1, "four hexadecimal digits"},
  };
  for (const auto& [text, position, why] : faults) {
    const auto found = fault_in(text);
    BOOST_TEST_CONTEXT(text << ": at " << found.position << ": " << found.text) {
      BOOST_TEST(found.position == position);
      BOOST_TEST(found.text.find(why) != std::string::npos);
    }
  }
  BOOST_TEST(fault_in("x == 1", roots::event).text == "unknown name \"x\": this expression knows event");
  BOOST_TEST(fault_in("x == 1", roots::event_and_run).text == "unknown name \"x\": this expression knows event and run");
  BOOST_TEST(fault_in("async.id == 1", roots::event_and_run).text == "a filter of runs knows event and run, but no async");
  BOOST_TEST(fault_in("run == 1", roots::event_and_run).text.find("write run.status") != std::string::npos);
  BOOST_TEST(fault_in("event.data.l.all(run, true)", roots::event_and_run).text.find("cannot name") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(escapes_stand_for_their_characters) {
  const document trigger{{"mixed", "\n\r\t\\\"'A\xC3\xA9\xE2\x82\xAC\xED\x9F\xBF\xEE\x80\x80"}};
  const pair_of_events events{trigger, {}};
  BOOST_TEST(events.evaluate(R"(event.data.mixed == '\n\r\t\\\"\'\u0041\u00e9\u20AC\ud7ff\ue000')").matches);
}

BOOST_AUTO_TEST_CASE(a_rule_is_indexed_by_the_first_of_equally_good_comparisons_and_by_known_paths_only) {
  const auto rule_of = [](const char* text) { return std::get<compiled>(compiled::parse(text, roots::event_and_async)); };
  BOOST_TEST(rule_of("event.data.id == async.data.id && async.data.kind == 'x'").conjunct()->async_path.at(1) == "id");
  BOOST_TEST(rule_of("event.data.a == async.data.a && event.data.b == async.data.b").conjunct()->async_path.at(1) == "a");
  BOOST_TEST(rule_of("async.data.x == event.id && async.data.y == event.data.y").conjunct()->async_path.at(1) == "y");
  BOOST_TEST(rule_of("event.data.a == async.data.a && async.id == event.id").conjunct()->async_path.at(0) == "data");
  BOOST_TEST(!rule_of("async.other == 'x'").conjunct().has_value());
  BOOST_TEST(!rule_of("async.id.deep == 'x'").conjunct().has_value());
  BOOST_TEST(!rule_of("async.data == event.data").conjunct().has_value());
  const document trigger{{"name", "stop"}, {"ts", 2000}, {"id", "a-1"}};
  const event_scope event{.id = "a-1", .name = "stop", .ts = 2000, .data = storage::document_view{trigger.bytes()}};
  const event_scope async{.id = "a-1", .name = "stop", .ts = 2000};
  for (const auto* text : {"async.name == event.data.name", "async.ts == event.data.ts", "async.id == event.data.id", "async.name == event.name",
                           "async.ts == event.ts", "async.id == event.id"}) {
    const auto rule = rule_of(text);
    BOOST_TEST_CONTEXT(text) {
      BOOST_TEST(rule.matches(event, &async).matches);
      BOOST_TEST((async_hash(*rule.conjunct(), async).value() == event_hash(*rule.conjunct(), event).value()));
    }
  }
}

BOOST_AUTO_TEST_CASE(an_empty_text_is_always_true_and_shows_nothing) {
  const auto always = std::get<compiled>(compiled::parse("", roots::event));
  const event_scope event;
  BOOST_TEST(always.is_always_true());
  BOOST_TEST(always.text().empty());
  BOOST_TEST(always.matches(event).matches);
  BOOST_TEST(!always.hash(event).has_value());
  BOOST_TEST(always.values(event, nullptr).empty());
  BOOST_TEST(!always.conjunct().has_value());
}

BOOST_AUTO_TEST_CASE(equal_values_have_equal_hashes_and_what_is_missing_or_fails_has_none) {
  const event_scope event{.id = "e-1", .data = storage::document_view{rich.trigger.bytes()}};
  const auto hash_of = [&](const char* text) { return std::get<compiled>(compiled::parse(text, roots::event)).hash(event); };
  for (const auto& [a, b] : std::vector<std::pair<const char*, const char*>>{{"event.data.yes", "true"},
                                                                            {"event.data.n", "1.0"},
                                                                            {"event.data.u", "event.data.u"},
                                                                            {"event.data.half", "0.5"},
                                                                            {"event.data.str", "'text'"},
                                                                            {"event.data.nul", "null"},
                                                                            {"event.data.list", "event.data.list"},
                                                                            {"event.data.o", "event.data.o"},
                                                                            {"timestamp(5)", "timestamp(5)"},
                                                                            {"duration('1h')", "duration('60m')"},
                                                                            {"[1, 2]", "[1, 2]"}}) {
    BOOST_TEST_CONTEXT(a << " and " << b) {
      BOOST_REQUIRE(hash_of(a).has_value());
      BOOST_TEST((hash_of(a) == hash_of(b)));
      BOOST_TEST((hash_of(a) != hash_of("'another'")));
    }
  }
  BOOST_TEST(!hash_of("event.data.missing").has_value());
  BOOST_TEST(!hash_of("1 / 0").has_value());
}

BOOST_AUTO_TEST_CASE(values_are_shown_once_each_and_long_ones_shortened) {
  const document trigger{{"id", "t-1"}, {"long", std::string(300, 'x')}};
  const document run{{"status", "sleeping"}};
  const event_scope event{.id = "e-1", .data = storage::document_view{trigger.bytes()}};
  const event_scope second{.data = storage::document_view{run.bytes()}};
  const char* const text = "event.data.id == run.status || event.data.id == event.data.long || run.nothing == null";
  const auto seen = std::get<compiled>(compiled::parse(text, roots::event_and_run)).values(event, &second);
  BOOST_REQUIRE(seen.size() == 4U);
  BOOST_TEST((seen[0].path == "event.data.id" && seen[0].value == "\"t-1\""));
  BOOST_TEST((seen[1].path == "run.status" && seen[1].value == "\"sleeping\""));
  BOOST_TEST(seen[2].value == '"' + std::string(199, 'x') + "…");
  BOOST_TEST(seen[3].value == "missing");
  const auto costly = std::get<compiled>(compiled::parse(text, roots::event_and_run, {.cost = 1})).values(event, &second);
  BOOST_TEST(costly.at(0).value == "error");
}

BOOST_AUTO_TEST_CASE(without_an_incoming_event_its_values_are_missing) {
  const auto rule = std::get<compiled>(compiled::parse("async.id == null && async.data.x == null", roots::event_and_async));
  BOOST_TEST(rule.matches(event_scope{}).matches);
}

BOOST_AUTO_TEST_SUITE_END()
