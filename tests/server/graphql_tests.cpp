// The query language, and what a request does over nodes.

#include <boost/test/unit_test.hpp>

#include "runtime/server/gql_execution.hpp"

namespace {

using namespace caesura::server::graphql;
using nlohmann::json;

const schema pets{{"Query", {{"pet", "Pet", {"name"}, {"name"}}, {"pets", "Pet"}, {"animal", "Animal"}, {"count"}, {"bad"}}},
                  {"Mutation", {{"feed", "", {"name"}}}},
                  {"Pet", {{"name"}, {"age"}, {"friend", "Pet"}, {"litter", "Pet"}}},
                  {"Fish", {{"length"}}},
                  {"Animal", {}, {"Pet", "Fish"}}};

node_ptr pet(const std::string& name) {
  auto made = std::make_shared<node>(node{.type = "Pet", .scalars = {{"name", name}, {"age", 3}}});
  made->lookups = {{"friend", [](const json&) -> field_value { return node_ptr{}; }},
                   {"litter", [](const json&) -> field_value { return std::vector<node_ptr>(10, pet("c")); }}};
  return made;
}

struct zoo {
  int fed = 0;

  json ask(const std::string& text, const json& variables = nullptr, const std::string& operation = {}) {
    auto query = std::make_shared<node>(node{.type = "Query", .scalars = {{"count", 2}}});
    query->lookups = {{"pet", [](const json& a) -> field_value { return pet(a.at("name")); }},
                      {"pets", [](const json&) -> field_value { return std::vector{pet("a"), pet("b")}; }},
                      {"animal", [](const json&) -> field_value { return pet("a"); }},
                      {"bad", [](const json&) -> field_value { throw std::runtime_error{"it broke"}; }}};
    auto mutation = std::make_shared<node>(node{.type = "Mutation"});
    mutation->lookups = {{"feed", [this](const json&) -> field_value { return json(++fed); }}};
    return execute(pets, query, mutation, text, variables, operation);
  }
  std::string error(const std::string& text, const json& variables = nullptr, const std::string& operation = {}) {
    const auto told = ask(text, variables, operation);
    return told.contains("errors") ? told["errors"][0]["message"].get<std::string>() : std::string{};
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(graphql_requests)

BOOST_FIXTURE_TEST_CASE(fields_arguments_aliases_and_variables, zoo) {
  BOOST_TEST(ask("{ count }")["data"]["count"] == 2);
  BOOST_TEST(ask(R"(query Q { x: pet(name: "rex") { name, n: name __typename } })")["data"] == json::parse(R"({"x":{"name":"rex","n":"rex","__typename":"Pet"}})"));
  BOOST_TEST(ask("query($n: String!) { pet(name: $n) { name } }", {{"n", "tom"}})["data"]["pet"]["name"] == "tom");
  BOOST_TEST(ask(R"(query($n: String = "ann") { pet(name: $n) { name } })")["data"]["pet"]["name"] == "ann");
  BOOST_TEST(ask("{ pets { name } }")["data"]["pets"][1]["name"] == "b");
  BOOST_TEST(ask(R"({ pet(name: "r") { friend { name } } })")["data"]["pet"]["friend"].is_null());
  BOOST_TEST(ask("query A { count } query B { pets { age } }", nullptr, "A")["data"]["count"] == 2);
}

BOOST_FIXTURE_TEST_CASE(fragments_are_spread_where_their_type_fits, zoo) {
  const auto told = ask("{ animal { ...on Pet { name } ... on Fish { length } ...rest } } fragment rest on Pet { age }");
  BOOST_TEST(told["data"]["animal"] == json::parse(R"({"name":"a","age":3})"));
  BOOST_TEST(ask(R"({ pet(name: "r") { name ... { age } ... @skip(if: true) { n: name } } })")["data"]["pet"] == json::parse(R"({"name":"r","age":3})"));
  BOOST_TEST(ask("query($yes: Boolean!) { count @include(if: $yes) }", {{"yes", false}})["data"].empty());
  BOOST_TEST(ask(R"({ pet(name: "r") { name } pet(name: "r") { age } })")["data"]["pet"] == json::parse(R"({"name":"r","age":3})"));
}

BOOST_FIXTURE_TEST_CASE(what_the_schema_does_not_know_is_named_before_anything_is_done, zoo) {
  BOOST_TEST(error("mutation { feed nope }") == "Cannot query field \"nope\" on type \"Mutation\".");
  BOOST_TEST(fed == 0);
  BOOST_TEST(error("{ pets { wings } }") == "Cannot query field \"wings\" on type \"Pet\".");
  BOOST_TEST(error("{ pets(size: 1) { name } }").find("size") != std::string::npos);
  BOOST_TEST(error("{ pet { name } }").find("\"name\"") != std::string::npos);
  BOOST_TEST(error("{ pets }").find("selection") != std::string::npos);
  BOOST_TEST(error("{ count { x } }").find("selection") != std::string::npos);
  BOOST_TEST(error("{ pets { ...none } }").find("none") != std::string::npos);
  BOOST_TEST(error("{ pets { ... on Fish { length } } }").find("Fish") != std::string::npos);
  BOOST_TEST(error("{ pets { ... on Bird { length } } }").find("Bird") != std::string::npos);
  BOOST_TEST(error("{ pet(name: $n) { name } }").find("$n") != std::string::npos);
  BOOST_TEST(error("query($n: String!) { pet(name: $n) { name } }").find("$n") != std::string::npos);
  BOOST_TEST(error("{ count @odd }").find("@odd") != std::string::npos);
  BOOST_TEST(error("query A { count } query B { count }").find("operationName") != std::string::npos);
  BOOST_TEST(error("query A { count }", nullptr, "C").find("\"C\"") != std::string::npos);
  BOOST_TEST(error("{ count }", 5).find("variables") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(an_error_of_one_field_leaves_the_others, zoo) {
  const auto told = ask("{ count b: bad }");
  BOOST_TEST(told["data"] == json::parse(R"({"count":2,"b":null})"));
  BOOST_TEST(told["errors"] == json::parse(R"([{"message":"it broke","path":["b"]}])"));
}

BOOST_FIXTURE_TEST_CASE(a_malformed_text_is_answered_with_line_and_column, zoo) {
  for (const char* const bad : {"", "{", "{}", "query", "subscription { a }", "{ a(b:) }", "{ a(b: \"x) }", "{ a(b: 1.) }", "{ a(b: -) }", "{ a(b: \"\\q\") }",
                                "{ a(b: \"\\ud800\") }", "{ ..a }", "fragment f { a }", "query(n: Int) { a }", "{ a } }", "{ a(b: \"\"\"x) }", "{ a: }", "{ count !"}) {
    BOOST_TEST(error(bad).starts_with("Syntax Error: "), bad);
  }
  BOOST_TEST(error("{\n  a(b: ?)\n}").find("line 2, column 8") != std::string::npos);
  BOOST_TEST(parse(R"({ a(b: "\u00e9\ud83d\ude00\n", c: [1, -2.5e3, {d: RED}], e: """x "y" z""") } # end)").operations.at(0).selections.at(0).arguments.size() == 3U);
}

BOOST_FIXTURE_TEST_CASE(what_would_take_too_long_is_refused, zoo) {
  std::string deep;
  for (int i = 0; i < 40; ++i) deep += "{ a";
  BOOST_TEST(error(deep).find("deep") != std::string::npos);
  BOOST_TEST(error("{ ...f } fragment f on Query { ...f }").find("deep") != std::string::npos);
  std::string bomb = "{ ...f0 }";
  for (int i = 0; i < 20; ++i) {
    const auto next = "...f" + std::to_string(i + 1);
    bomb += " fragment f" + std::to_string(i) + " on Query { " + next + " " + next + " }";
  }
  BOOST_TEST(error(bomb + " fragment f20 on Query { count }").find("fields") != std::string::npos);
  BOOST_TEST(error(std::string(text_limit_bytes + 1, ' ')).find("bytes") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(lists_within_lists_end_at_a_number_of_objects, zoo) {
  const auto nested = [](int levels) {
    std::string text = "{ pets";
    for (int i = 0; i < levels; ++i) text += " { litter";
    return text + " { name }" + std::string(static_cast<std::size_t>(levels) + 1, '}');
  };
  BOOST_TEST(error(nested(4)).empty());  // 22,223 objects
  const auto told = ask(nested(20));
  BOOST_TEST(told["data"].is_null());
  BOOST_TEST(told["errors"].size() == 1U);
  BOOST_TEST(error(nested(20)).find("objects") != std::string::npos);
}

// An object may be asked for as many of its fields as a request may have.
BOOST_FIXTURE_TEST_CASE(an_answer_ends_at_a_number_of_fields_and_of_bytes, zoo) {
  std::string fields;
  for (int i = 0; i < 900; ++i) fields += " n" + std::to_string(i) + ": name";
  BOOST_TEST(error("{ pets { litter { litter {" + fields + " } } } }").empty());  // 180,000
  const auto many = ask("{ pets { litter { litter { litter {" + fields + " } } } } }");
  BOOST_TEST(many["data"].is_null());
  BOOST_TEST(many["errors"].size() == 1U);
  BOOST_TEST(many["errors"][0]["message"].get<std::string>().find("fields") != std::string::npos);
  const std::string long_name(50'000, 'x');
  const auto large = ask("query($n: String!) { pet(name: $n) {" + fields + " } }", {{"n", long_name}});  // 45 MB
  BOOST_TEST(!large.contains("errors"));
  std::string twice = "query($n: String!) { a: pet(name: $n) {" + fields + " } b: pet(name: $n) {" + fields + " } }";
  const auto larger = ask(twice, {{"n", long_name}});
  BOOST_TEST(larger["data"].is_null());
  BOOST_TEST(larger["errors"][0]["message"].get<std::string>().find("bytes") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
