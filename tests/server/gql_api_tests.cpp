// POST /v0/gql as test helpers use it.

#include "tests/server/server_world.hpp"

#include "runtime/server/gql_api.hpp"
#include "runtime/server/sdk_protocol.hpp"

namespace {

using namespace server_test;

struct gql_world : server_world {
  fake_app app{[](const json& call) -> json {
    if (call["event"]["data"].value("rest", false)) return json::array({{{"op", "Sleep"}, {"id", "h1"}, {"name", "1h"}}});
    if (call["event"]["data"].value("ask", false) && call["steps"].empty()) {
      return json::array({{{"op", "WaitForSignal"}, {"id", "h1"}, {"opts", {{"signal", "approval"}, {"timeout", "1h"}}}}});
    }
    if (!call["steps"].contains("h1")) return json::array({{{"op", "StepRun"}, {"id", "h1"}, {"displayName", "first"}, {"data", {{"a", 1}}}}});
    return {{"sum", 3}};
  }};
  gql_world() { ask("POST", "/fn/register", app.registration()); }
  json gql(const std::string& query, const json& variables = json::object()) {
    const auto told = ask("POST", "/v0/gql", {{"query", query}, {"variables", variables}});
    BOOST_TEST(told.status == 200);
    return told.body;
  }
};

std::string message(const json& told) { return told.contains("errors") ? told["errors"][0]["message"].get<std::string>() : std::string{}; }

}  // namespace

BOOST_AUTO_TEST_SUITE(gql)

BOOST_FIXTURE_TEST_CASE(a_run_is_shown_with_its_trace_and_outputs, gql_world) {
  const auto run = start({{"n", 1}});
  ended(run);
  const auto told = gql("query($id: String!) { run(runID: $id) { status output endedAt function { slug app { externalID } } trace(preview: true) { name isRoot outputID "
                        "childrenSpans { name stepID stepType outputID attempts stepInfo { __typename ... on RunStepInfo { type } } } } } }",
                        {{"id", run}})["data"]["run"];
  BOOST_TEST(told["status"] == "COMPLETED");
  BOOST_TEST(json::parse(told["output"].get<std::string>())["sum"] == 3);
  BOOST_TEST(told["function"]["slug"] == "app-f");
  BOOST_TEST(told["function"]["app"]["externalID"] == "app");
  const auto child = told["trace"]["childrenSpans"].at(0);
  BOOST_TEST(child["name"] == "first");
  BOOST_TEST(child["stepType"] == "RUN");
  BOOST_TEST(child["stepInfo"]["__typename"] == "RunStepInfo");
  const auto output = gql("query($id: String!) { runTraceSpanOutputByID(outputID: $id) { data error { message } } }", {{"id", child["outputID"]}})["data"];
  BOOST_TEST(output["runTraceSpanOutputByID"]["data"] == "{\"a\":1}");
  BOOST_TEST(output["runTraceSpanOutputByID"]["error"].is_null());
  BOOST_TEST(gql("{ run(runID: \"01ARZ3NDEKTSV4RRFFQ69G5FAV\") { status } }")["data"]["run"].is_null());
  BOOST_TEST(message(gql("{ run(runID: \"none\") { status } }")).find("none") != std::string::npos);
  BOOST_TEST(message(gql("{ runTraceSpanOutputByID(outputID: \"none\") { data } }")).find("outputID") != std::string::npos);
  BOOST_TEST(gql("query($id: ID!) { functionRun(query: {functionRunId: $id}) { output status } }", {{"id", run}})["data"]["functionRun"]["status"] == "COMPLETED");
}

BOOST_FIXTURE_TEST_CASE(a_signal_is_shown_as_what_it_was, gql_world) {
  const auto run = start({{"ask", true}});
  reaches(run, run_status::waiting);
  BOOST_TEST(ask("POST", "/v1/signals", {{"signal", "approval"}, {"data", 7}}).status == 200);
  ended(run);
  const auto told = gql("query($id: String!) { run(runID: $id) { trace { childrenSpans { stepOp outputID stepInfo { __typename ... on WaitForSignalStepInfo { signal timedOut } } } } } }",
                        {{"id", run}})["data"]["run"]["trace"]["childrenSpans"].at(0);
  BOOST_TEST(told["stepOp"] == "WAIT_FOR_SIGNAL");
  BOOST_TEST(told["stepInfo"] == (json{{"__typename", "WaitForSignalStepInfo"}, {"signal", "approval"}, {"timedOut", false}}));
  const auto output = gql("query($id: String!) { runTraceSpanOutputByID(outputID: $id) { data } }", {{"id", told["outputID"]}})["data"];
  BOOST_TEST(json::parse(output["runTraceSpanOutputByID"]["data"].get<std::string>()) == (json{{"signal", "approval"}, {"data", 7}}));
}

BOOST_FIXTURE_TEST_CASE(runs_are_listed_by_filter_page_by_page, gql_world) {
  std::vector<std::string> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(start({{"i", i}}));
    ended(all.back());
  }
  const std::string query = "query($filter: RunsFilterV2!, $after: String) { runs(first: 2, after: $after, orderBy: [{field: QUEUED_AT, direction: DESC}], filter: $filter) "
                            "{ edges { cursor node { id status } } pageInfo { hasNextPage endCursor } totalCount } }";
  const json filter{{"from", "2020-01-01T00:00:00Z"}, {"status", {"COMPLETED"}}, {"functionIDs", {server::uuid_of("app-f")}}};
  const auto first = gql(query, {{"filter", filter}})["data"]["runs"];
  BOOST_TEST(first["edges"].size() == 2U);
  BOOST_TEST(first["edges"][0]["node"]["id"] == all[2]);
  BOOST_TEST(first["pageInfo"]["hasNextPage"] == true);
  BOOST_TEST(first["totalCount"] == 3);
  const auto second = gql(query, {{"filter", filter}, {"after", first["pageInfo"]["endCursor"]}})["data"]["runs"];
  BOOST_TEST(second["edges"].size() == 1U);
  BOOST_TEST(second["pageInfo"]["hasNextPage"] == false);
  BOOST_TEST(gql(query, {{"filter", {{"status", {"FAILED"}}}}})["data"]["runs"]["edges"].empty());
  BOOST_TEST(gql(query, {{"filter", {{"functionIDs", {"none"}}}}})["data"]["runs"]["edges"].empty());
  BOOST_TEST(message(gql(query, {{"filter", {{"status", {"ODD"}}}}})).find("ODD") != std::string::npos);
  BOOST_TEST(message(gql(query, {{"filter", {{"odd", 1}}}})).find("filter.odd") != std::string::npos);
  BOOST_TEST(message(gql(query, {{"filter", {{"from", "soon"}}}})).find("from") != std::string::npos);
  BOOST_TEST(message(gql("{ runs(orderBy: [{field: ENDED_AT, direction: ASC}]) { totalCount } }")).find("orderBy") != std::string::npos);
  BOOST_TEST(message(gql("{ runs(first: 1000) { totalCount } }")).find("first") != std::string::npos);
}

// Where the items of a page are few and far between, a page may be of none.
BOOST_AUTO_TEST_CASE(a_page_goes_on_where_looking_ended_whatever_was_found) {
  BOOST_TEST(server::page_info({}, "c", true) == (json{{"hasNextPage", true}, {"hasPreviousPage", true}, {"startCursor", nullptr}, {"endCursor", "c"}}));
  BOOST_TEST(server::page_info({"a", "b"}, "c", false) == (json{{"hasNextPage", true}, {"hasPreviousPage", false}, {"startCursor", "a"}, {"endCursor", "c"}}));
  BOOST_TEST(server::page_info({"a", "b"}, std::nullopt, false) == (json{{"hasNextPage", false}, {"hasPreviousPage", false}, {"startCursor", "a"}, {"endCursor", "b"}}));
  BOOST_TEST(server::page_info({}, std::nullopt, false) == (json{{"hasNextPage", false}, {"hasPreviousPage", false}, {"startCursor", nullptr}, {"endCursor", nullptr}}));
}

BOOST_FIXTURE_TEST_CASE(events_functions_and_apps_are_shown, gql_world) {
  const std::string id = ask("POST", "/e/key", {{"name", "go"}, {"id", "mine"}, {"data", {{"rest", true}}}}).body["ids"][0];
  const auto event = gql("query($id: ULID!) { eventV2(id: $id) { name idempotencyKey raw receivedAt runs { id status } } }", {{"id", id}})["data"]["eventV2"];
  BOOST_TEST(event["name"] == "go");
  BOOST_TEST(event["idempotencyKey"] == "mine");
  BOOST_TEST(json::parse(event["raw"].get<std::string>())["data"]["rest"] == true);
  BOOST_TEST(event["runs"].size() == 1U);
  BOOST_TEST(gql("{ events(query: {}) { id name payload } }")["data"]["events"].at(0)["id"] == id);
  BOOST_TEST(gql("{ eventsV2(first: 5, filter: {eventNames: [\"go\"], from: \"2020-01-01T00:00:00Z\"}) { edges { node { id } } pageInfo { hasNextPage } } }")["data"]["eventsV2"]["edges"].at(0)["node"]["id"] == id);
  BOOST_TEST(gql("{ functions { id name slug app { externalID } triggers { type value } } }")["data"]["functions"].at(0)["triggers"].at(0)["value"] == "go");
  BOOST_TEST(gql("{ functionBySlug(query: {functionSlug: \"app-f\"}) { slug } }")["data"]["functionBySlug"]["slug"] == "app-f");
  BOOST_TEST(gql("{ functionBySlug(query: {functionSlug: \"none\"}) { slug } }")["data"]["functionBySlug"].is_null());
  BOOST_TEST(gql("{ apps { name functionCount functions { slug } } }")["data"]["apps"].at(0)["functionCount"] == 1);
}

BOOST_FIXTURE_TEST_CASE(runs_are_cancelled_rerun_and_invoked, gql_world) {
  const auto run = start({{"rest", true}});
  const std::string cancel = "mutation($id: ULID!) { cancelRun(runID: $id) { id status } }";
  BOOST_TEST(gql(cancel, {{"id", run}})["data"]["cancelRun"]["id"] == run);
  ended(run);
  BOOST_TEST(gql(cancel, {{"id", run}})["data"]["cancelRun"]["status"] == "CANCELLED");
  const auto done = start({{"n", 1}});
  ended(done);
  BOOST_TEST(message(gql(cancel, {{"id", done}})) == "cannot cancel an ended run");
  BOOST_TEST(message(gql(cancel, {{"id", "01ARZ3NDEKTSV4RRFFQ69G5FAV"}})).find("is stored") != std::string::npos);

  const std::string again = gql("mutation($id: ULID!) { rerun(runID: $id, fromStep: {stepID: \"h1\"}) }", {{"id", done}})["data"]["rerun"];
  BOOST_TEST(ended(again)["original_run_id"] == done);
  BOOST_TEST(message(gql("mutation($id: ULID!) { rerun(runID: $id, fromStep: {stepID: \"h1\", input: [1]}) }", {{"id", done}})).find("input") != std::string::npos);

  BOOST_TEST(message(gql("mutation($id: ULID!) { rerun(runID: $id, fromStep: {stepId: \"h1\"}) }", {{"id", done}})) == "fromStep.stepId is not supported by this server");
  BOOST_TEST(message(gql("{ runs(filter: {since: \"2024-01-01T00:00:00Z\"}) { edges { cursor } } }")) == "filter.since is not supported by this server");
  BOOST_TEST(message(gql("{ apps(filter: {archived: true}) { name } }")) == "filter.archived is not supported by this server");
  BOOST_TEST(message(gql("{ events(query: {name: \"go\"}) { id } }")) == "query.name is not supported by this server");

  BOOST_TEST(gql("mutation { invokeFunction(functionSlug: \"app-f\", data: {n: 2}) }")["data"]["invokeFunction"] == true);
  BOOST_TEST(message(gql("mutation { invokeFunction(functionSlug: \"app-f\", user: 1) }")).find("user must be an object") == 0U);
  BOOST_TEST(message(gql("mutation { invokeFunction(functionSlug: \"none\") }")).find("none") != std::string::npos);
  BOOST_TEST(message(gql("mutation { deleteApp(id: 1) }")) == "Cannot query field \"deleteApp\" on type \"Mutation\".");
  BOOST_TEST(ask("POST", "/v0/gql", json::object()).status == 400);
  BOOST_TEST(ask("POST", "/v0/gql", "{").status == 400);
}

BOOST_AUTO_TEST_SUITE_END()
