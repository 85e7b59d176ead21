#include <array>
#include <cstdint>
#include <limits>
#include <random>

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "runtime/server/http/json_reader.hpp"
#include "runtime/server/http/json_writer.hpp"

using caesura::document;
using caesura::errc;
using caesura::http::json_form;
using caesura::http::parse_json;
using caesura::http::write_json;
using nlohmann::json;

namespace {

// Both readers give the same bytes, or both refuse.
void check_same(const std::string& text) {
  std::string expected;
  std::string read;
  try {
    expected = document::parse(text).bytes();
  } catch (const caesura::error&) {
    expected = "refused";
  }
  try {
    read = parse_json(text).bytes();
  } catch (const caesura::error& e) {
    BOOST_TEST(static_cast<int>(e.code()) == static_cast<int>(errc::invalid_argument));
    read = "refused";
  }
  BOOST_TEST((read == expected), "differs for " << text.substr(0, 200));
}

std::string error_text(const std::string& text) {
  try {
    (void)parse_json(text);
  } catch (const caesura::error& e) {
    return e.what();
  }
  return "";
}

class random_json {
 public:
  explicit random_json(std::uint64_t seed) : random_{seed} {}

  json value(int depth) {
    switch (below(depth > 0 ? 9 : 6)) {
      case 0: return nullptr;
      case 1: return below(2) == 0;
      case 2: return static_cast<std::int64_t>(random_() >> below(64)) * (below(2) == 0 ? 1 : -1);
      case 3: return random_() >> below(64);
      case 4: return real();
      case 5: return text();
      case 6:
      case 7: {
        json object = json::object();
        for (auto left = below(20); left > 0; --left) object[text()] = value(depth - 1);
        return object;
      }
      default: {
        json list = json::array();
        for (auto left = below(20); left > 0; --left) list.push_back(value(depth - 1));
        return list;
      }
    }
  }

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

 private:
  double real() {
    if (below(3) == 0) return static_cast<double>(below(2000)) / 8.0 - 100.0;
    for (;;) {
      const double value = std::bit_cast<double>(random_());
      if (std::isfinite(value)) return value;
    }
  }
  std::string text() {
    static constexpr const char* pieces[] = {"a", "key", "\"", "\\", "\n", "\x01", "é", "€", "😀", "/", " ", "\x7F", "z", "Ω"};
    std::string made;
    for (auto left = below(below(30) == 0 ? 300 : 6); left > 0; --left) made += pieces[below(std::size(pieces))];
    return made;
  }

  std::mt19937_64 random_;
};

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace

BOOST_AUTO_TEST_SUITE(json_reader)

BOOST_AUTO_TEST_CASE(numbers_at_the_edges_read_as_nlohmann_reads_them) {
  for (const char* text : {"0",
                           "-0",
                           "-0.0",
                           "0.0",
                           "1",
                           "127",
                           "128",
                           "255",
                           "256",
                           "65535",
                           "65536",
                           "4294967295",
                           "4294967296",
                           "9007199254740993",
                           "9223372036854775807",
                           "9223372036854775808",
                           "18446744073709551615",
                           "18446744073709551616",
                           "-1",
                           "-32",
                           "-33",
                           "-128",
                           "-129",
                           "-32768",
                           "-32769",
                           "-2147483648",
                           "-2147483649",
                           "-9223372036854775808",
                           "-9223372036854775809",
                           "1e400",
                           "-1e400",
                           "1e-400",
                           "1.0",
                           "1e2",
                           "0.1",
                           "1.5",
                           "3.4028235e38",
                           "3.4028236e38",
                           "1e39",
                           "5e-324",
                           "2.2250738585072014e-308",
                           "1.7976931348623157e308",
                           "1.7976931348623159e308",
                           "123456789012345678901234567890",
                           "0.30000000000000004",
                           "01",
                           "1.",
                           ".5",
                           "+1",
                           "1e",
                           "--1",
                           "NaN",
                           "Infinity",
                           "100000000000000000000000000000000000000000.5",
                           "16777217.0",
                           "9007199254740993.0"}) {
    check_same(text);
    check_same(std::string{"{\"a\": ["} + text + "]}");
  }
}

BOOST_AUTO_TEST_CASE(of_equal_keys_the_last_counts) {
  BOOST_TEST((parse_json(R"({"a":1,"b":2,"a":{"x":1,"x":2},"b":3})").json() == json{{"a", {{"x", 2}}}, {"b", 3}}));
  check_same(R"({"a":1,"b":2,"a":3})");
  check_same(R"({"a":1,"\u0061":2})");
}

BOOST_AUTO_TEST_CASE(escapes_and_text_read_as_nlohmann_reads_them) {
  for (const char* text : {R"("\"\\\/\b\f\n\r\t")",
                           R"("\u0000x")",
                           R"("\ud83d\ude00")",
                           R"("\uD7FF\uE000\uFFFF")",
                           R"("\u12")",
                           R"("\x")",
                           "\"\x01\"",
                           "\"\xFF\"",
                           "\"\xC0\x80\"",
                           "\"\xED\xA0\x80\"",
                           "\"\xF4\x90\x80\x80\"",
                           "\"caf\xC3\xA9\"",
                           "\"open",
                           "\"\x7F\"",
                           "\xEF\xBB\xBF{}",
                           R"(\ud83d)",
                           R"(["\ud83)"}) {
    check_same(text);
  }
}

// JavaScript writes half of a pair where a text was cut within it, and reads it again without a word: whoever sends it cannot know what is wrong. Beside
// what cannot be UTF-8, all of the text is there.
BOOST_AUTO_TEST_CASE(half_of_a_surrogate_pair_reads_as_the_replacement_character) {
  const std::vector<std::pair<const char*, const char*>> halves{{R"("x\ud83d")", "\"x\uFFFD\""},
                                                                {R"("\ude00")", "\"\uFFFD\""},
                                                                {R"("\uDE00\uD83D")", "\"\uFFFD\uFFFD\""},
                                                                {R"("\ud83dx")", "\"\uFFFDx\""},
                                                                {R"("\ud83d\u0041")", "\"\uFFFD" "A\""},
                                                                {R"("\ud83d\ud83d\ude00\ude00")", "\"\uFFFD\U0001F600\uFFFD\""},
                                                                {R"("\ud83d\n\\ude00")", R"("\ufffd\n\\ude00")"},
                                                                {R"({"\ude00":{"a":["\ud83d",18446744073709551616]}})", R"({"\ufffd":{"a":["\ufffd",18446744073709551616]}})"}};
  for (const auto& [text, meant] : halves) BOOST_TEST(parse_json(text).json() == json::parse(meant), text);
  static constexpr std::array<std::string_view, 1> names{"a"};
  BOOST_TEST((parse_json(R"({"a":"\ud83d","b":"\ude00"})", {.names = names}).json() == json{{"a", "\uFFFD"}}));
  BOOST_CHECK_THROW((void)parse_json(R"({"a":"\ud83d",})"), caesura::error);
  BOOST_CHECK_THROW((void)parse_json(R"(["\ud83d","\ud8"])"), caesura::error);
  BOOST_CHECK_THROW((void)document::parse(R"("\ud83d")"), caesura::error);  // what is stored is strict
}

BOOST_AUTO_TEST_CASE(structure_reads_as_nlohmann_reads_it) {
  for (const char* text : {"",     " ",       "null",     " true ",     "false",       "nul",     "[]",   "{}",    "[1,]",
                           "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",       "[1 2]",   "[1]]", "[1] x", "{} {}",
                           "[",    "{",       "]",        "[[[{}]]]",   "\t\r\n[ ]\n", "// c\n1", "'a'"}) {
    check_same(text);
  }
}

BOOST_AUTO_TEST_CASE(nesting_ends_at_128) {
  BOOST_TEST((parse_json(nested(128)) == document::parse(nested(128))));
  BOOST_TEST(error_text(nested(129)).find("128") != std::string::npos);
  BOOST_TEST(error_text(nested(5000)).find("128") != std::string::npos);
  BOOST_TEST(error_text(std::string(1'000'000, '[')).find("128") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_fault_has_its_position) {
  BOOST_TEST(error_text(R"({"a": 1, "b": tru})").find("at byte 18") != std::string::npos, error_text(R"({"a": 1, "b": tru})"));
  BOOST_TEST(error_text("[1,2] garbage").find("at byte 7") != std::string::npos, error_text("[1,2] garbage"));
  BOOST_TEST(error_text(std::string{"1\0 2", 4}).find("at byte 2") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(lists_and_maps_of_every_width_read_as_nlohmann_reads_them) {
  for (const int size : {15, 16, 17, 31, 32, 255, 256, 65535, 65536, 70000}) {
    json list = json::array();
    json map = json::object();
    for (int i = 0; i < size; ++i) {
      list.push_back(i);
      map["k" + std::to_string(i)] = nullptr;
    }
    check_same(list.dump());
    check_same(map.dump());
    check_same(json(std::string(static_cast<std::size_t>(size), 'x')).dump());
  }
}

BOOST_AUTO_TEST_CASE(outer_maps_keep_only_the_members_that_are_asked_for_and_inner_ones_all) {
  static constexpr std::array<std::string_view, 3> names{"id", "steps", "data"};
  const caesura::http::kept_members kept{.names = names, .within = "steps"};
  const auto read = [&](const std::string& text) { return parse_json(text, kept).json(); };
  BOOST_TEST(read(R"({"id": 1, "more": {"id": 2}, "data": {"more": [{"other": 3}]}})") == (json{{"id", 1}, {"data", {{"more", {{{"other", 3}}}}}}}));
  BOOST_TEST(read(R"([{"id": 1, "more": 2}, {"data": {"more": 3}}, 4, []])") == (json{{{"id", 1}}, {{"data", {{"more", 3}}}}, 4, json::array()}));
  BOOST_TEST(read(R"({"steps": [{"id": 1, "more": 2, "steps": {"more": 3, "id": 4}}]})") == (json{{"steps", {{{"id", 1}, {"steps", {{"id", 4}}}}}}}));
  BOOST_TEST(read(R"({"more": 1, "data": null, "id": 2, "id": 3})") == (json{{"data", nullptr}, {"id", 3}}));
  BOOST_TEST(read("7") == json(7));
  BOOST_CHECK_THROW((void)read("{\"id\": }"), caesura::error);
}

BOOST_AUTO_TEST_CASE(a_list_longer_than_simdjson_counts_keeps_its_length) {
  std::string text = "[0";
  constexpr std::size_t size = (1U << 24U) + 5;
  text.reserve(size * 2 + 2);
  for (std::size_t i = 1; i < size; ++i) text += ",0";
  text += ']';
  const document read = parse_json(text);
  BOOST_TEST(caesura::storage::document_view{read.bytes()}.size() == size);
}

BOOST_AUTO_TEST_CASE(random_documents_read_and_write_as_nlohmanns) {
  const std::uint64_t seed = std::random_device{}();
  BOOST_TEST_MESSAGE("seed " << seed);
  random_json random{seed};
  caesura::http::json_reader reader;
  for (int i = 0; i < 500; ++i) {
    const json value = random.value(4);
    const std::string text = value.dump(random.below(2) == 0 ? -1 : 2);
    const document expected = document::parse(text);
    const document read = reader.parse(text);
    BOOST_REQUIRE_MESSAGE(read.bytes() == expected.bytes(), "seed " << seed << ", document " << i);
    BOOST_REQUIRE_MESSAGE(reader.parse(write_json(read)).bytes() == expected.bytes(), "seed " << seed << ", document " << i);
    BOOST_REQUIRE_MESSAGE(json::parse(write_json(read)) == value, "seed " << seed << ", document " << i);
    BOOST_REQUIRE_MESSAGE(json::accept(write_json(read, json_form::canonical)), "seed " << seed << ", document " << i);
  }
}

BOOST_AUTO_TEST_CASE(damaged_documents_are_refused_as_nlohmann_refuses_them) {
  const std::uint64_t seed = std::random_device{}();
  BOOST_TEST_MESSAGE("seed " << seed);
  random_json random{seed};
  for (int i = 0; i < 500; ++i) {
    std::string text = random.value(3).dump();
    text[random.below(text.size())] = static_cast<char>(1 + random.below(255));
    check_same(text);
    check_same(text.substr(0, random.below(text.size() + 1)));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(json_writer)

BOOST_AUTO_TEST_CASE(integers_stay_integers_and_doubles_doubles) {
  const json value = {9007199254740993,
                      std::numeric_limits<std::uint64_t>::max(),
                      std::numeric_limits<std::int64_t>::min(),
                      1.0,
                      -0.0,
                      0.1,
                      1e22,
                      1e300};
  BOOST_TEST(write_json(document{value}) ==
             "[9007199254740993,18446744073709551615,-9223372036854775808,1.0,-0.0,0.1,1e+22,1e+300]");
  BOOST_TEST(write_json(document{}) == "null");
  BOOST_TEST(write_json(document{json{{"b", {true, false, nullptr}}, {"a", ""}}}) == R"({"a":"","b":[true,false,null]})");
}

BOOST_AUTO_TEST_CASE(only_what_must_be_is_escaped) {
  BOOST_TEST(write_json(document{json("\"\\/\b\f\n\r\t\x01\x1F\x7F é😀")}) == "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7F é😀\"");
}

BOOST_AUTO_TEST_CASE(a_view_is_written_as_its_document) {
  const document value{json{{"a", {1, 2}}}};
  BOOST_TEST(write_json(caesura::storage::document_view{value.bytes()}.find("a")) == "[1,2]");
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_value_are_refused) {
  BOOST_CHECK_THROW((void)write_json(caesura::storage::document_view{}), caesura::error);
  BOOST_CHECK_THROW((void)write_json(document::from_trusted_msgpack(std::string{"\x92\x01", 2})), caesura::error);
  BOOST_CHECK_THROW((void)write_json(document::from_trusted_msgpack(std::string(200, '\x91') + '\x01')), caesura::error);
  BOOST_CHECK_THROW((void)write_json(document::from_trusted_msgpack("\x81\x01\x01")), caesura::error);
}

// The vectors of RFC 8785, sections 3.2.2 and 3.2.3 and its appendix B.
BOOST_AUTO_TEST_CASE(the_canonical_form_is_that_of_rfc_8785) {
  const std::string text = R"({"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],)"
                           R"("string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]})";
  BOOST_TEST(write_json(parse_json(text), json_form::canonical) ==
             R"({"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],)"
             "\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
  const std::string keys = R"({"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7})";
  BOOST_TEST(write_json(parse_json(keys), json_form::canonical) ==
             "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\uFB33\":3}");
  const std::pair<std::uint64_t, const char*> numbers[] = {{0x0000000000000000, "0"},
                                                           {0x8000000000000000, "0"},
                                                           {0x0000000000000001, "5e-324"},
                                                           {0x8000000000000001, "-5e-324"},
                                                           {0x7fefffffffffffff, "1.7976931348623157e+308"},
                                                           {0x4340000000000000, "9007199254740992"},
                                                           {0xc340000000000000, "-9007199254740992"},
                                                           {0x4430000000000000, "295147905179352830000"},
                                                           {0x44b52d02c7e14af5, "9.999999999999997e+22"},
                                                           {0x44b52d02c7e14af6, "1e+23"},
                                                           {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
                                                           {0x444b1ae4d6e2ef4e, "999999999999999700000"},
                                                           {0x444b1ae4d6e2ef4f, "999999999999999900000"},
                                                           {0x444b1ae4d6e2ef50, "1e+21"},
                                                           {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
                                                           {0x3eb0c6f7a0b5ed8d, "0.000001"},
                                                           {0x41b3de4355555553, "333333333.3333332"},
                                                           {0x41b3de4355555557, "333333333.33333343"},
                                                           {0xbecbf647612f3696, "-0.0000033333333333333333"},
                                                           {0x43143ff3c1cb0959, "1424953923781206.2"}};
  for (const auto& [bits, expected] : numbers)
    BOOST_TEST(write_json(document{std::bit_cast<double>(bits)}, json_form::canonical) == expected);
  BOOST_TEST(write_json(document{9007199254740993}, json_form::canonical) == "9007199254740992");
  BOOST_TEST(write_json(document{-17}, json_form::canonical) == "-17");
}

BOOST_AUTO_TEST_SUITE_END()
