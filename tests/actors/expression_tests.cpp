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
           "1 / async.data.zero == 1", "1 % 0 == 1", "9223372036854775807 + 1 > 0", "-9223372036854775807 - 2 < 0", "async.data.str + 1 == 1",
           "size(async.data.missing) == 0", "async.data.missing.contains('x')", "async.data.n.all(x, true)", "int('x') == 1",
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
  for (const auto* text : {"event.data.x == async.data.x", "async.data.y == event.data.x && async.data.x != 1", "async.data.x == 1",
                           "event.data.y == 'a' && async.data.x == event.data.x", "async.data.x == [1, 2] && async.data.y == event.data.y"}) {
    const auto rule = std::get<compiled>(compiled::parse(text, roots::event_and_async));
    BOOST_REQUIRE(rule.conjunct().has_value());
    for (int i = 0; i < 20'000; ++i) {
      const document trigger{any()};
      const document incoming{any()};
      const event_scope event{.data = storage::document_view{trigger.bytes()}};
      const event_scope async{.data = storage::document_view{incoming.bytes()}};
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
  BOOST_TEST(!conjunct_of("async.data.id == null").has_value());
  BOOST_TEST(!conjunct_of("event.data.id == async.data.id || async.data.all == true").has_value());
  BOOST_TEST(!conjunct_of("!(event.data.id == async.data.id)").has_value());
  BOOST_TEST(!conjunct_of("event.data.a < async.data.b").has_value());
}

BOOST_AUTO_TEST_SUITE_END()
