// What SDKs and the server say to each other, as values.

#include <boost/test/unit_test.hpp>

#include <set>

#include "runtime/server/invocation.hpp"
#include "runtime/server/sdk_protocol.hpp"

namespace {

using namespace caesura;
using namespace caesura::server;
using namespace std::chrono_literals;
using nlohmann::json;

json a_function(json more = json::object()) {
  json fn{{"id", "app-f"},
          {"name", "f"},
          {"triggers", {{{"event", "go"}, {"expression", "event.data.n > 1"}}}},
          {"steps", {{"step", {{"id", "step"}, {"runtime", {{"type", "http"}, {"url", "http://127.0.0.1:1/api?fnId=app-f&stepId=step"}}}, {"retries", {{"attempts", 2}}}}}}}};
  fn.update(more);
  return fn;
}
app_registration registered(json fn) {
  return read_registration(document(json{{"appName", "app"}, {"url", "http://127.0.0.1:1/api"}, {"functions", json::array({std::move(fn)})}}));
}
std::string refusal_of(json fn) {
  try {
    (void)registered(std::move(fn));
  } catch (const error& e) {
    return e.what();
  }
  return {};
}
http::response response(int status, const json& body, http::header_list headers = {{"x-inngest-sdk", "js:v4"}}) {
  return {.status = status, .headers = std::move(headers), .body = body.dump()};
}
remote::answer operation(json op) { return read_response(response(206, json::array({std::move(op)}))); }

}  // namespace

BOOST_AUTO_TEST_SUITE(sdk_protocol)

BOOST_AUTO_TEST_CASE(a_registration_becomes_functions_with_their_rules) {
  const auto app = registered(a_function({{"cancel", {{{"event", "stop"}, {"if", "event.data.id == async.data.id"}, {"timeout", "1d2h"}}}},
                                          {"concurrency", {{"limit", 3}, {"key", "event.data.user"}}},
                                          {"timeouts", {{"start", "10s"}, {"finish", "1h"}}}}));
  BOOST_TEST(app.name == "app");
  BOOST_REQUIRE(app.functions.size() == 1U);
  const auto& def = app.functions[0].definition;
  BOOST_TEST(def.id == "app-f");
  BOOST_TEST(def.triggers.at(0).when == "event.data.n > 1");
  BOOST_TEST(def.cancel_on.at(0).when == "event.data.id == async.data.id");
  BOOST_TEST((def.cancel_on.at(0).timeout == 26h));
  BOOST_TEST(def.concurrency.at(0).limit == 3U);
  BOOST_TEST((def.timeouts.finish == 1h));
  BOOST_TEST(def.retries.retries == 2U);
}

BOOST_AUTO_TEST_CASE(flow_control_becomes_that_of_the_function) {
  const auto app = registered(a_function({{"throttle", {{"limit", 5}, {"period", "1m"}, {"burst", 2}, {"key", "event.data.a"}}},
                                          {"rateLimit", {{"limit", 6}, {"period", "1h"}, {"key", "event.data.b"}}},
                                          {"debounce", {{"period", "10s"}, {"key", "event.data.c"}, {"timeout", "1m"}}},
                                          {"priority", {{"run", "event.data.d"}}},
                                          {"singleton", {{"key", "event.data.e"}, {"mode", "cancel"}}},
                                          {"cancel", {{{"event", "stop"}, {"timeout", "2030-01-01T00:00:00Z"}}}},
                                          {"triggers", {{{"cron", "TZ=UTC 0 0 * * *"}, {"jitter", "30s"}}, {{"event", "go"}}}}}));
  const auto& def = app.functions.at(0).definition;
  BOOST_TEST((def.throttle->limit == 5 && def.throttle->period == 1min && def.throttle->burst == 2 && def.throttle->key == "event.data.a"));
  BOOST_TEST((def.rate_limit->limit == 6 && def.rate_limit->period == 1h && def.rate_limit->key == "event.data.b"));
  BOOST_TEST((def.debounce->period == 10s && def.debounce->key == "event.data.c" && def.debounce->timeout == 1min));
  BOOST_TEST(def.priority == "event.data.d");
  BOOST_TEST((def.singleton->key == "event.data.e" && def.singleton->mode == singleton_mode::cancel));
  BOOST_TEST((def.cancel_on.at(0).until == parse_time("2030-01-01T00:00:00Z")));
  BOOST_TEST(def.triggers.at(0).cron == "TZ=UTC 0 0 * * *");
  BOOST_TEST((def.triggers.at(0).jitter == 30s));
  BOOST_TEST(def.triggers.at(1).event == "go");
  const auto batched = registered(a_function({{"batchEvents", {{"maxSize", 10}, {"timeout", "5s"}, {"key", "event.data.k"}, {"if", "event.data.n > 1"}}}}));
  const auto& batch = batched.functions.at(0).definition.batch;
  BOOST_TEST((batch->max_events == 10 && batch->timeout == 5s && batch->key == "event.data.k" && batch->when == "event.data.n > 1"));
  const auto once = registered(a_function({{"idempotency", "event.data.id"}, {"rateLimit", {{"limit", 6}, {"period", "1h"}}}}));
  BOOST_TEST(once.functions.at(0).definition.idempotency == "event.data.id");
  BOOST_TEST(!once.functions.at(0).definition.rate_limit.has_value());
}

BOOST_AUTO_TEST_CASE(a_limit_of_an_environment_or_account_is_shared_by_functions) {
  const auto limits_of = [](json concurrency) { return registered(a_function({{"concurrency", std::move(concurrency)}})).functions.at(0).definition.concurrency; };
  const json of_account{{"limit", 5}, {"scope", "account"}, {"key", "'gpu'"}};
  const json of_environment{{"limit", 3}, {"scope", "env"}, {"key", "'gpu'"}};
  const json of_function{{"limit", 1}, {"scope", "fn"}, {"key", "'gpu'"}};
  const auto apart = limits_of(json::array({of_account, of_function}));
  BOOST_REQUIRE(apart.size() == 2U);
  BOOST_TEST((apart[0].is_shared && apart[0].limit == 5 && apart[0].key == "'gpu'"));
  BOOST_TEST((!apart[1].is_shared && apart[1].limit == 1));
  // A server is one environment of one account.
  const auto same = limits_of(json::array({of_account, of_environment}));
  BOOST_REQUIRE(same.size() == 1U);
  BOOST_TEST((same[0].is_shared && same[0].limit == 3));
}

BOOST_AUTO_TEST_CASE(an_option_that_is_not_honoured_is_refused_by_name) {
  for (const char* const option : {"throttle", "rateLimit", "debounce", "batchEvents"}) {
    const auto why = refusal_of(a_function({{option, {{"limit", 1}}}}));
    BOOST_TEST(why.find(std::string{option} + ".") != std::string::npos);
    BOOST_TEST(why.find("app-f") != std::string::npos);
  }
  BOOST_TEST(refusal_of(a_function({{"singleton", {{"mode", "queue"}}}})).find("\"queue\"") != std::string::npos);
  BOOST_TEST(refusal_of(a_function({{"concurrency", {{"fn", 5}, {"scope", "env"}}}})).find("concurrency.scope is not supported") != std::string::npos);
  BOOST_TEST(refusal_of(a_function({{"priority", 5}})).find("priority is no object") != std::string::npos);
  BOOST_TEST(refusal_of(a_function({{"idempotency", 5}})).find("idempotency is no text") != std::string::npos);
  BOOST_TEST(refusal_of(a_function({{"concurrency", {{"limit", 1}, {"scope", "galaxy"}, {"key", "'a'"}}}})).find(".scope is \"galaxy\"") != std::string::npos);
  BOOST_TEST(refusal_of(a_function({{"cancel", {{{"event", "stop"}, {"timeout", "soon"}}}}})).find("soon") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_has_another_form_or_another_name_is_refused_and_never_left_out) {
  const json url{{"url", "http://127.0.0.1:1/api"}};
  const std::pair<json, const char*> wrong[] = {
      {{{"cancel", {{{"event", "stop"}, {"if", 5}}}}}, "cancel[0].if is no text"},
      {{{"cancel", {{{"event", "stop"}, {"timeout", 60}}}}}, "cancel[0].timeout is no text"},
      {{{"cancel", {{{"event", "stop"}, {"unless", "true"}}}}}, "cancel[0].unless is not supported"},
      {{{"cancel", {{"event", "stop"}}}}, "cancel is no list"},
      {{{"cancel", {"stop"}}}, "cancel[0] is no object"},
      {{{"triggers", {{{"event", "go"}, {"expression", 1}}}}}, "triggers[0].expression is no text"},
      {{{"triggers", {{{"event", 7}}}}}, "triggers[0].event is no text"},
      {{{"triggers", {{{"event", "go"}, {"cron", "0 0 * * *"}}}}}, "triggers[0].event is not supported"},
      {{{"triggers", {{{"event", "go"}, {"if", "true"}}}}}, "triggers[0].if is not supported"},
      {{{"triggers", {{"event", "go"}}}}, "triggers is no list"},
      {{{"timeouts", {{"finish", 60}}}}, "timeouts.finish is no text"},
      {{{"timeouts", {{"end", "60s"}}}}, "timeouts.end is not supported"},
      {{{"timeouts", "60s"}}, "timeouts is no object"},
      {{{"concurrency", {{"limit", 1}, {"key", 5}}}}, "concurrency.key is no text"},
      {{{"concurrency", {{"limit", 1}, {"group", "a"}}}}, "concurrency.group is not supported"},
      {{{"rateLimit", {{"limit", 1}, {"period", "1h"}, {"burst", 2}}}}, "rateLimit.burst is not supported"},
      {{{"priority", {{"factor", "1"}}}}, "priority.factor is not supported"},
      {{{"steps", {{"step", {{"runtime", url}, {"retries", {{"attempts", "2"}}}}}}}}, "steps.step.retries.attempts is no whole number"},
      {{{"steps", {{"step", {{"runtime", url}, {"retries", 2}}}}}}, "steps.step.retries is no object"},
      {{{"steps", {{"step", {{"runtime", {{"url", 5}}}}}}}}, "steps.step.runtime.url is no text"},
      {{{"steps", "step"}}, "steps is no object"},
      {{{"optimise", true}}, "optimise is not supported"},
      {{{"name", 5}}, "name is no text"},
  };
  for (const auto& [options, why] : wrong) {
    const auto told = refusal_of(a_function(options));
    BOOST_TEST(told.find(why) != std::string::npos, options.dump() << " is told as: " << told);
    BOOST_TEST(told.find("app-f") != std::string::npos);
  }
  BOOST_TEST(refusal_of(json("f")).find("functions[0] is no object") != std::string::npos);
  // What the Go SDK sends besides.
  BOOST_TEST(refusal_of(a_function({{"retries", 2}, {"concurrency", json::array({{{"limit", 1}, {"hash", ""}}})}, {"throttle", {{"limit", 1}, {"period", "1m"}, {"scope", "fn"}}}})).empty());
  BOOST_TEST(refusal_of(a_function({{"throttle", {{"limit", 1}, {"period", "1m"}, {"scope", "account"}}}})).find("throttle.scope is \"account\"") != std::string::npos);
  BOOST_TEST(refusal_of(a_function({{"checkpoint", {{"max_runtime", "10s"}}}, {"throttle", nullptr}, {"optimise", nullptr}})).empty());
}

BOOST_AUTO_TEST_CASE(a_deferred_function_is_refused_when_it_registers) {
  BOOST_TEST(refusal_of(a_function({{"triggers", {{{"event", "inngest/deferred.schedule"}}}}})).find("deferred function") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_event_whose_id_is_no_text_is_refused) {
  BOOST_CHECK_THROW((void)read_event({{"name", "a"}, {"id", 123}}), error);
  BOOST_TEST(read_event({{"name", "a"}, {"id", nullptr}}).id.empty());
}

// After 409 to a checkpoint: the SDK's own word for it, as a failure of the function that is not to be tried again.
BOOST_AUTO_TEST_CASE(a_call_that_was_told_to_stop_is_known_as_such_and_is_not_final) {
  const auto stopped = read_response(response(400, {{"name", "StaleDispatchError"}, {"message", "checkpoint returned 409"}}, {{"x-inngest-sdk", "js:v4"}, {"x-inngest-no-retry", "true"}}));
  BOOST_TEST(stopped.is_stale);
  BOOST_TEST(stopped.error->name == "StaleDispatchError");
  BOOST_TEST(!stopped.is_final);
}

BOOST_AUTO_TEST_CASE(state_that_is_too_large_for_a_call_is_asked_for) {
  const auto body_with = [](std::size_t bytes) {
    remote::call call{.run = run_id{{1}}, .function = "app-f"};
    call.events.push_back({.name = "go", .id = "e"});
    call.steps.push_back({.id = "a", .result = std::string(bytes, 'x')});
    return json::parse(call_body(call));
  };
  const auto large = body_with(4 * 1024 * 1024);
  BOOST_TEST(large["use_api"] == true);
  BOOST_TEST(large["ctx"]["use_api"] == true);
  BOOST_TEST(large["steps"].empty());
  BOOST_TEST(large["events"].empty());
  BOOST_TEST(large["event"]["name"] == "go");
  BOOST_TEST(large["ctx"]["stack"]["stack"] == json::array({"a"}));
  const auto usual = body_with(4 * 1024 * 1024 - 1'000);
  BOOST_TEST(usual["use_api"] == false);
  BOOST_TEST(usual["ctx"]["use_api"] == false);
  BOOST_TEST(usual["steps"].size() == 1U);
}

BOOST_AUTO_TEST_CASE(side_by_side_each_call_has_an_id_of_its_own) {
  remote::call call{.run = run_id{{1}}, .function = "app-f"};
  std::set<std::string> ids{request_id_of(call)};
  for (const char* const step : {"a", "b", "\"quoted\""}) {
    call.step = step;
    BOOST_TEST(ids.insert(request_id_of(call)).second);
  }
  call.attempt = 2;
  BOOST_TEST(ids.insert(request_id_of(call)).second);
}

BOOST_AUTO_TEST_CASE(what_the_system_tells_of_an_invoked_run_names_its_event_as_sdks_know_it) {
  const json invoked{{"name", "caesura/invoke:app-f"}, {"data", {{"name", "caesura/invoke:as-data"}}}};
  const document told{{"run_id", "r"}, {"event", invoked}, {"events", {invoked, {{"name", "go"}}}}};
  const auto shown = shown_json("inngest/function.failed", told);
  BOOST_TEST(shown["event"]["name"] == "inngest/function.invoked");
  BOOST_TEST(shown["event"]["data"] == invoked["data"]);
  BOOST_TEST(shown["events"][0]["name"] == "inngest/function.invoked");
  BOOST_TEST(shown["events"][1]["name"] == "go");
  BOOST_TEST(shown_json("go", told) == told.json());
  remote::call call{.run = run_id{{1}}, .function = "app-f"};
  call.events.push_back({.name = "inngest/function.failed", .data = told, .id = "e"});
  BOOST_TEST(json::parse(call_body(call))["event"]["data"] == shown);
}

BOOST_AUTO_TEST_CASE(an_app_may_write_its_name_as_the_python_sdk_does) {
  const auto read = [](const json& body) { return read_registration(document(body)).name; };
  BOOST_TEST(read({{"appname", "app"}, {"functions", json::array()}}) == "app");
  BOOST_TEST(read({{"appName", "app"}, {"appname", "other"}, {"functions", json::array()}}) == "app");
  BOOST_CHECK_THROW(read({{"functions", json::array()}}), error);
}

BOOST_AUTO_TEST_CASE(a_planned_step_is_called_at_the_functions_url_with_its_id) {
  BOOST_TEST(url_of_step("http://h/api?fnId=f&stepId=step", "abc").value() == "http://h/api?fnId=f&stepId=abc");
  BOOST_TEST(url_of_step("http://h/api?stepId=step&fnId=f", "a&b").value() == "http://h/api?stepId=a%26b&fnId=f");
  BOOST_TEST(url_of_step("http://h/api", "abc").value() == "http://h/api?stepId=abc");
  BOOST_TEST(!url_of_step("ftp://h/api", "abc").has_value());
}

BOOST_AUTO_TEST_CASE(a_call_carries_event_and_recorded_steps_in_their_shapes) {
  remote::call call{.run = run_id{{1}}, .function = "app-f", .attempt = 2, .attempts = 5, .activation = 7, .plans_only = true};
  call.events = {{.name = "go", .data = {{"n", 2}}, .id = "e1", .time = time_point{5ms}}};
  call.steps = {{.id = "h1", .result = {{"x", 1}}},
                {.id = "h2", .kind = step_kind::sleep},
                {.id = "h3", .result = {{"name", "Error"}, {"message", "no"}}, .error = recorded_error{.name = "Error", .message = "no"}},
                {.id = "h4", .kind = step_kind::wait_for_event, .result = {{"name", "paid"}, {"data", {{"a", 1}}}}},
                {.id = "h6", .kind = step_kind::wait_for_event, .result = {{"name", "caesura/signal:approval"}, {"id", "e2"}, {"data", 7}, {"ts", 5}}},
                {.id = "h7", .kind = step_kind::wait_for_event, .result = {{"name", "caesura/signal:approval"}, {"id", "e3"}, {"data", nullptr}, {"ts", 5}}},
                {.id = "h8", .kind = step_kind::wait_for_event},
                {.id = "h5", .kind = step_kind::invoke, .error = recorded_error{.name = std::string{invoke_error::timed_out}, .message = "late"}}};
  const auto body = json::parse(call_body(call));
  BOOST_TEST(body["event"]["data"]["n"] == 2);
  BOOST_TEST(body["event"]["ts"] == 5);
  BOOST_TEST(body["steps"]["h1"] == (json{{"data", {{"x", 1}}}}));
  BOOST_TEST(body["steps"]["h2"].is_null());
  BOOST_TEST(body["steps"]["h3"]["error"]["message"] == "no");
  BOOST_TEST(body["steps"]["h4"]["name"] == "paid");
  BOOST_TEST(body["steps"]["h6"] == (json{{"data", {{"signal", "approval"}, {"data", 7}}}}));
  BOOST_TEST(body["steps"]["h7"] == (json{{"data", {{"signal", "approval"}, {"data", nullptr}}}}));
  BOOST_TEST(body["steps"]["h8"].is_null());
  BOOST_TEST(body["steps"]["h5"]["error"]["name"] == "InngestInvokeTimeoutError");
  BOOST_TEST(body["ctx"]["attempt"] == 1);
  BOOST_TEST(body["ctx"]["max_attempts"] == 5);
  BOOST_TEST(body["ctx"]["qi_id"] == "7");
  BOOST_TEST(body["ctx"]["disable_immediate_execution"] == true);
  BOOST_TEST(body["ctx"]["stack"]["current"] == 8);
}

// Python's SDK takes an error without a name for a value, Go's does not read one of a step without data.
BOOST_AUTO_TEST_CASE(an_error_is_given_with_all_that_sdks_need_to_know_it_for_one) {
  remote::call call{.run = run_id{{1}}, .function = "app-f"};
  call.events = {{.name = "go", .id = "e1"}};
  const auto memo_of = [&](step_kind kind, document told) {
    call.steps = {{.id = "h", .kind = kind, .result = std::move(told), .error = recorded_error{.name = "Error", .message = "no"}}};
    return json::parse(call_body(call))["steps"]["h"];
  };
  BOOST_TEST(memo_of(step_kind::invoke, {{"message", "child fails"}}) == (json{{"error", {{"name", "Error"}, {"message", "child fails"}}}}));
  BOOST_TEST(memo_of(step_kind::invoke, {{"code", 5}}) == (json{{"error", {{"name", "Error"}, {"message", "no"}, {"code", 5}}}}));
  BOOST_TEST(memo_of(step_kind::run, {{"name", "E"}, {"message", "m"}, {"stack", 7}}) == (json{{"error", {{"name", "E"}, {"message", "m"}, {"data", nullptr}}}}));
  BOOST_TEST(memo_of(step_kind::run, {{"name", "E"}, {"message", "m"}, {"stack", "s"}, {"data", 3}}) ==
             (json{{"error", {{"name", "E"}, {"message", "m"}, {"stack", "s"}, {"data", 3}}}}));
  BOOST_TEST(memo_of(step_kind::run, {}) == (json{{"error", {{"name", "Error"}, {"message", "no"}, {"data", nullptr}}}}));
}

BOOST_AUTO_TEST_CASE(the_attempts_of_a_call_have_one_job) {
  remote::call call{.run = run_id{{1}}, .function = "app-f"};
  call.events = {{.name = "go", .id = "e1"}};
  const auto first = json::parse(call_body(call))["ctx"];
  call.attempt = 2;
  const auto second = json::parse(call_body(call))["ctx"];
  BOOST_TEST(first["job_id"] == second["job_id"]);
  BOOST_TEST(first["job_id"] == job_id_of(call));
  BOOST_TEST(first["request_id"] != second["request_id"]);
}

BOOST_AUTO_TEST_CASE(responses_become_answers) {
  const auto completed = read_response(response(200, {{"sum", 3}}));
  BOOST_TEST(completed.is_completed);
  BOOST_TEST(completed.output.json()["sum"] == 3);

  const auto ran = operation({{"op", "StepRun"}, {"id", "h"}, {"displayName", "a"}, {"data", 1}});
  BOOST_TEST(ran.steps.at(0).id == "h");
  BOOST_TEST(ran.steps.at(0).name == "a");
  BOOST_TEST(ran.steps.at(0).result.get<int>() == 1);

  const auto sleep = operation({{"op", "Sleep"}, {"id", "h"}, {"name", "1d2h"}});
  BOOST_TEST((sleep.operations.at(0).delay == 26h));
  const auto until = operation({{"op", "Sleep"}, {"id", "h"}, {"name", "2030-01-01T00:00:00.000Z"}});
  BOOST_TEST(until.operations.at(0).until.has_value());
  const auto wait = operation({{"op", "WaitForEvent"}, {"id", "h"}, {"name", "paid"}, {"opts", {{"timeout", "1h"}, {"if", "async.data.a == 1"}}}});
  BOOST_TEST(wait.operations.at(0).event == "paid");
  BOOST_TEST(wait.operations.at(0).when == "async.data.a == 1");
  for (const json& empty : {json::object(), json{{"data", nullptr}}}) {
    const auto without = operation({{"op", "InvokeFunction"}, {"id", "h"}, {"opts", {{"function_id", "app-g"}, {"payload", empty}}}});
    BOOST_TEST(without.operations.at(0).data.json() == json::object());
  }
  const auto invoke = operation({{"op", "InvokeFunction"}, {"id", "h"}, {"opts", {{"function_id", "app-g"}, {"payload", {{"data", {{"n", 1}}}}}}}});
  BOOST_TEST(invoke.operations.at(0).function == "app-g");
  BOOST_TEST(operation({{"op", "DiscoveryRequest"}, {"id", "h"}}).asks_again);
  BOOST_TEST(operation({{"op", "RunComplete"}, {"id", "h"}, {"data", 5}}).is_completed);
  BOOST_TEST(operation({{"op", "StepPlanned"}, {"id", "h"}, {"opts", {{"parallelMode", "race"}}}}).goes_on_at_first);
}

BOOST_AUTO_TEST_CASE(a_wait_for_a_signal_has_a_name_a_timeout_and_a_conflict) {
  const auto waits = [](const json& opts) { return operation({{"op", "WaitForSignal"}, {"id", "h"}, {"displayName", "approve"}, {"opts", opts}}); };
  const auto wait = waits({{"signal", "approval"}, {"timeout", "1h"}, {"conflict", "replace"}});
  BOOST_TEST(!wait.error.has_value());
  BOOST_REQUIRE(wait.operations.size() == 1U);
  BOOST_TEST((wait.operations[0].kind == remote::operation::what::wait_for_signal));
  BOOST_TEST(wait.operations[0].id == "h");
  BOOST_TEST(wait.operations[0].name == "approve");
  BOOST_TEST(wait.operations[0].signal == "approval");
  BOOST_TEST((wait.operations[0].delay == 1h));
  BOOST_TEST((wait.operations[0].conflict == signal_conflict::replace));
  BOOST_TEST((waits({{"signal", "s"}, {"timeout", "1h"}, {"conflict", "fail"}}).operations.at(0).conflict == signal_conflict::fail));
  BOOST_TEST((waits({{"signal", "s"}, {"timeout", "1h"}}).operations.at(0).conflict == signal_conflict::fail));
  BOOST_TEST(waits({{"signal", "s"}, {"timeout", "2030-01-01T00:00:00.000Z"}}).operations.at(0).until.has_value());
  BOOST_TEST((waits({{"signal", "s"}}).operations.at(0).delay == duration{0}));

  const std::vector<std::pair<json, std::string>> wrong{{json(nullptr), "opts is no object"},
                                                        {json(5), "opts is no object"},
                                                        {json{{"timeout", "1h"}}, "opts.signal"},
                                                        {json{{"signal", ""}, {"timeout", "1h"}}, "opts.signal"},
                                                        {json{{"signal", 5}, {"timeout", "1h"}}, "opts.signal"},
                                                        {json{{"signal", "s"}, {"timeout", "soon"}}, "opts.timeout is \"soon\""},
                                                        {json{{"signal", "s"}, {"timeout", 5}}, "opts.timeout"},
                                                        {json{{"signal", "s"}, {"timeout", "1h"}, {"conflict", "odd"}}, "opts.conflict is \"odd\""},
                                                        {json{{"signal", "s"}, {"timeout", "1h"}, {"conflict", 5}}, "opts.conflict is 5"}};
  for (const auto& [opts, part] : wrong) {
    const auto refused = waits(opts);
    BOOST_TEST(refused.is_final, opts.dump());
    BOOST_REQUIRE(refused.error.has_value());
    BOOST_TEST(refused.error->message.find(part) != std::string::npos, refused.error->message << " does not say " << part);
  }
}

BOOST_AUTO_TEST_CASE(failures_say_whether_they_are_tried_again) {
  const auto step = operation({{"op", "StepError"}, {"id", "h"}, {"error", {{"name", "Error"}, {"message", "no"}}}});
  BOOST_TEST(step.failed.value().error->message == "no");
  BOOST_TEST(!step.is_final);
  BOOST_TEST(operation({{"op", "StepError"}, {"id", "h"}, {"error", {{"message", "no"}, {"noRetry", true}}}}).is_final);
  BOOST_TEST(operation({{"op", "StepFailed"}, {"id", "h"}, {"error", {{"message", "no"}}}}).steps.at(0).error.has_value());

  const auto retriable = read_response(response(500, {{"name", "Error"}, {"message", "no"}}, {{"x-inngest-no-retry", "false"}, {"retry-after", "90"}}));
  BOOST_TEST(retriable.error->message == "no");
  BOOST_TEST(!retriable.is_final);
  BOOST_TEST((retriable.retry_after == 90s));
  BOOST_TEST(read_response(response(400, {{"message", "no"}}, {{"x-inngest-no-retry", "true"}})).is_final);
  BOOST_TEST(read_response({.status = 502, .body = "<html>"}).error->message == "the app answered with status 502: <html>");
  BOOST_TEST(read_response(response(500, "only a text")).error->message == "only a text");
  const auto page = read_response({.status = 500, .body = "caf\xE9 " + std::string(5'000, 'x')}).error->message;
  BOOST_TEST(page.starts_with("the app answered with status 500: caf\xEF\xBF\xBD x"), page);
  BOOST_TEST(page.size() < 1'100U);
  BOOST_TEST(read_response(response(200, 1, {})).error->message.find("x-inngest-sdk") != std::string::npos);
  BOOST_TEST(read_response({.status = 206, .headers = {{"x-inngest-sdk", "js"}}, .body = "{"}).error.has_value());
}

BOOST_AUTO_TEST_CASE(an_operation_that_this_server_does_not_know_fails_the_run_and_says_what_to_do) {
  for (const char* const code : {"Gateway", "AIGateway", "DeferAdd", "DeferAbort", "SyncRunComplete", "Odd"}) {
    const auto unknown = operation({{"op", code}, {"id", "h"}});
    BOOST_TEST(unknown.is_final, code);
    BOOST_TEST(unknown.error->message.find(code) != std::string::npos, code);
    BOOST_TEST(unknown.error->message.find("not supported by this server") != std::string::npos, code);
  }
  BOOST_TEST(operation({{"op", "Gateway"}, {"id", "h"}}).error->message.find("step.fetch") != std::string::npos);
  BOOST_TEST(operation({{"op", "AIGateway"}, {"id", "h"}}).error->message.find("step.ai.infer") != std::string::npos);
  BOOST_TEST(operation({{"id", "h"}}).is_final);
}

BOOST_AUTO_TEST_CASE(a_response_that_cannot_be_read_is_a_failed_attempt) {
  const std::string deep = std::string(200, '[') + std::string(200, ']');
  for (const auto& body : {std::string{R"([{"op":"StepError","id":"h","error":{"noRetry":"yes"}}])"}, R"([{"op":"StepRun","id":"h","data":)" + deep + "}]"}) {
    const auto read = read_response({.status = 206, .headers = {{"x-inngest-sdk", "js"}}, .body = body});
    BOOST_REQUIRE(read.error.has_value());
    BOOST_TEST(read.error->message.find("cannot be read") != std::string::npos);
    BOOST_TEST(!read.is_final);
  }
  BOOST_TEST(read_response({.status = 200, .headers = {{"x-inngest-sdk", "js"}}, .body = deep}).error.has_value());
  BOOST_TEST(read_response({.status = 201, .headers = {{"x-inngest-sdk", "js"}}, .body = R"({"status":"206"})"}).error.has_value());
}

BOOST_AUTO_TEST_CASE(a_streamed_response_is_what_its_body_says) {
  const json inner{{"status", 206}, {"body", R"([{"op":"StepRun","id":"h","data":1}])"}, {"headers", {{"x-inngest-sdk", "js:v4"}}}};
  BOOST_TEST(read_response(response(201, inner)).steps.size() == 1U);
  // As the Go SDK writes it.
  const auto of_go = [](int status, const json& body, bool no_retry = false) {
    return read_response(response(201, {{"status", status}, {"body", body}, {"headers", nullptr}, {"noRetry", no_retry}, {"retryAt", nullptr}}));
  };
  BOOST_TEST(of_go(200, {{"got", 1}}).output.json() == (json{{"got", 1}}));
  BOOST_TEST(of_go(200, "text").output.json() == "text");
  BOOST_TEST(of_go(200, "42").output.json() == "42");
  BOOST_TEST(of_go(200, nullptr).output.is_null());
  BOOST_TEST(of_go(206, json::array({{{"op", "StepRun"}, {"id", "h"}, {"data", 1}}})).steps.size() == 1U);
  const auto final = of_go(500, {{"message", "stop 1"}}, true);
  BOOST_TEST(final.is_final);
  BOOST_TEST(final.error->message == "stop 1");
  BOOST_TEST(!of_go(500, {{"message", "again"}}).is_final);
  const auto later = read_response(response(201, {{"status", 500}, {"body", {{"message", "later"}}}, {"retryAt", "2999-01-01T00:00:00Z"}}));
  BOOST_TEST((later.retry_after > 24h));
  BOOST_TEST(read_response({.status = 201, .headers = {{"x-inngest-sdk", "js"}}, .body = "   "}).error.has_value());
}

BOOST_AUTO_TEST_CASE(a_checkpoint_holds_executed_steps_only) {
  const auto read = read_checkpoint(document(json{{"qi_id", "12"}, {"steps", {{{"op", "StepRun"}, {"id", "h"}, {"data", 1}}}}}));
  BOOST_TEST(read.activation == 12U);
  BOOST_TEST(read.steps.at(0).id == "h");
  BOOST_CHECK_THROW((void)read_checkpoint(document(json{{"qi_id", "12"}, {"steps", {{{"op", "Sleep"}, {"id", "h"}}}}})), error);
  BOOST_CHECK_THROW((void)read_checkpoint(document(json{{"qi_id", "x"}, {"steps", json::array()}})), error);
  BOOST_CHECK_THROW((void)read_checkpoint(document(json{{"qi_id", "12"}, {"steps", {{"op", "StepRun"}}}})), error);
  BOOST_CHECK_THROW((void)read_checkpoint(document(json{{"qi_id", "12"}, {"steps", {1}}})), error);
  BOOST_CHECK_THROW((void)read_checkpoint(document(json::array())), error);
  BOOST_TEST(read_checkpoint(document(json{{"qi_id", "12"}})).steps.empty());
}

// v4 sends all of what it knows of a step.
BOOST_AUTO_TEST_CASE(what_only_an_sdk_understands_is_passed_over) {
  const json step{{"id", "h"}, {"mode", "sync"}, {"op", "StepRun"}, {"name", "plain"}, {"displayName", "shown"}, {"userland", {{"id", "a"}}}, {"opts", json::object()},
                  {"rawArgs", {"a", nullptr}}, {"promise", json::object()}, {"middleware", {{"stepInfo", {{"id", "other"}, {"data", 9}, {"op", "Sleep"}}}}},
                  {"data", {{"n", {1, 2.5, "x"}}}}, {"timing", {{"a", 1}}}};
  const auto read = read_checkpoint(document(json{{"run_id", "r"}, {"qi_id", "7"}, {"steps", {step}}, {"ts", 1}})).steps.at(0);
  BOOST_TEST(read.id == "h");
  BOOST_TEST(read.name == "shown");
  BOOST_TEST(read.result.json() == step["data"]);
  BOOST_TEST(operation(step).steps.at(0).result.json() == step["data"]);
}

BOOST_AUTO_TEST_CASE(an_event_and_what_is_invoked_have_a_user_and_a_version) {
  const auto invoked = [](const json& payload) { return operation({{"op", "InvokeFunction"}, {"id", "h"}, {"opts", {{"function_id", "app-g"}, {"payload", payload}}}}); };
  for (const json& empty : {json{{"user", nullptr}}, json{{"user", json::object()}}, json{{"user", ""}}, json{{"v", nullptr}}, json{{"v", ""}}}) {
    auto event = json{{"name", "go"}};
    event.update(empty);
    BOOST_TEST(read_event(event).user.is_null());
    BOOST_TEST(read_event(event).version.empty());
    BOOST_TEST(!invoked(empty).error);
  }
  const json said{{"user", {{"id", "u1"}}}, {"v", "2024-01-01.1"}};
  auto event = json{{"name", "go"}};
  event.update(said);
  BOOST_TEST(read_event(event).user.json() == said["user"]);
  BOOST_TEST(read_event(event).version == "2024-01-01.1");
  const auto named = invoked(said);
  BOOST_REQUIRE_EQUAL(named.operations.size(), 1U);
  BOOST_TEST(named.operations[0].user.json() == said["user"]);
  BOOST_TEST(named.operations[0].version == "2024-01-01.1");

  for (const auto& [bad, why] : {std::pair{json{{"user", "u1"}}, "user must be an object"}, std::pair{json{{"user", {1}}}, "user must be an object"}, std::pair{json{{"v", 2}}, "v is no text"}}) {
    event = json{{"name", "go"}};
    event.update(bad);
    const auto says_why = [text = std::string{"event \"go\": "} + why](const error& e) { return e.code() == errc::invalid_event && e.what() == text; };
    BOOST_CHECK_EXCEPTION((void)read_event(event), error, says_why);
    const auto refused = invoked(bad);
    BOOST_TEST(refused.is_final);
    BOOST_REQUIRE(refused.error.has_value());
    BOOST_TEST(refused.error->message.find(std::string{"payload."} + why) != std::string::npos, refused.error->message);
  }
}

BOOST_AUTO_TEST_CASE(a_registration_says_where_its_functions_are_and_that_it_has_none) {
  BOOST_TEST(read_registration(document(json{{"appName", "app"}, {"functions", json::array()}})).functions.empty());
  const auto says = [](const std::string& part) { return [part](const error& e) { return std::string{e.what()}.find(part) != std::string::npos; }; };
  BOOST_CHECK_EXCEPTION((void)read_registration(document(json{{"appName", "app"}})), error, says("functions is missing"));
  BOOST_CHECK_EXCEPTION((void)read_registration(document(json{{"appName", "app"}, {"functions", 1}})), error, says("functions is no list"));
  const auto at = [](const json& runtime) { return a_function({{"steps", {{"step", {{"id", "step"}, {"runtime", runtime}}}}}}); };
  for (const char* const url : {"127.0.0.1:3000/api/inngest", "ftp://127.0.0.1/x", "http://:1/x"}) {
    BOOST_TEST(refusal_of(at({{"url", url}})).find(url) != std::string::npos);
  }
  BOOST_TEST(refusal_of(at({{"type", "ws"}, {"url", "http://127.0.0.1:1/x"}})).find("\"ws\" is not supported") != std::string::npos);
  auto two = at({{"url", "http://127.0.0.1:1/x"}});
  two["steps"]["other"] = two["steps"]["step"];
  BOOST_TEST(refusal_of(two).find("has 2 members") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_streamed_answer_is_nested_no_deeper_than_any) {
  constexpr std::size_t deep = 500'000;
  const auto body = R"({"status":200,"body":)" + std::string(deep, '[') + std::string(deep, ']') + "}";
  const auto read = read_response({.status = 201, .headers = {{"x-inngest-sdk", "go:v0"}}, .body = body});
  BOOST_TEST(read.error.has_value());
}

BOOST_AUTO_TEST_CASE(an_operation_has_an_id_as_every_step_has) {
  for (const char* const code : {"StepRun", "StepError", "StepFailed", "StepPlanned", "Sleep", "WaitForEvent", "InvokeFunction"}) {
    for (const std::string& id : {std::string{}, std::string(256, 'i')}) {
      const auto read = operation({{"op", code}, {"id", id}, {"opts", json::object()}});
      BOOST_REQUIRE(read.error.has_value());
      BOOST_TEST(read.error->message.find(std::to_string(id.size()) + " bytes") != std::string::npos, read.error->message);
      BOOST_TEST(read.is_final);
    }
  }
  BOOST_TEST(!operation({{"op", "StepRun"}, {"id", std::string(255, 'i')}}).error);
  BOOST_TEST(operation({{"op", "RunComplete"}, {"data", 1}}).is_completed);
}

BOOST_AUTO_TEST_CASE(retry_after_is_seconds_or_a_time_of_either_form) {
  const auto later = [](const std::string& text) {
    return read_response({.status = 503, .headers = {{"x-inngest-sdk", "js:v4"}, {"retry-after", text}}, .body = R"({"name":"Error","message":"no"})"}).retry_after;
  };
  BOOST_TEST((later("7").value() == 7s));
  const auto in_an_hour = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()) + 3'600;
  char text[64];
  std::tm parts{};
  ::gmtime_r(&in_an_hour, &parts);
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  BOOST_TEST((later(text).value() > 59min));
  BOOST_TEST((later(text).value() <= 60min));
  BOOST_TEST((later("Wed, 21 Oct 2015 07:28:00 GMT").value() == 1s));
  for (const char* const wrong : {"Wed, 21 Oct 2015 07:28:00", "Wed, 21 Oct 2015 07:28:00 GMT+1", "soon"}) BOOST_TEST(!later(wrong).has_value());
}

BOOST_AUTO_TEST_CASE(events_are_read_strictly) {
  const auto e = read_event({{"name", "go"}, {"data", {{"n", 1}, {"_inngest", {{"x", 1}}}}}, {"ts", 1'700'000'000'000}});
  BOOST_TEST(!e.data.json().contains("_inngest"));
  BOOST_TEST((e.time.value() == time_point{duration{1'700'000'000'000}}));
  BOOST_TEST(read_event({{"name", "go"}}).data.is_object());
  for (const json& bad : {json{{"name", "go"}, {"data", 5}}, json{{"name", "go"}, {"ts", "now"}}, json{{"name", "go"}, {"ts", 5}}, json("go")}) {
    BOOST_CHECK_THROW((void)read_event(bad), error);
  }
}

BOOST_AUTO_TEST_SUITE_END()
