// Wrong uses of the public headers, each with a part of the sentence that the compiler must say. `tests/wrong_use.sh` compiles one after the other,
// and by itself what is right.

#include <ranges>
#include <vector>

#include <caesura/caesura.hpp>

using namespace std::chrono_literals;
using caesura::context;
using caesura::task;

struct parcel {
  std::string id;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(parcel, id)
};
struct unknown_to_json {
  int cents{0};
};

struct only_read {
  int cents{0};
  friend void from_json(const nlohmann::json& json, only_read& to) { to.cents = json; }
};
void notify(const std::string&) {}
int answer() { return 42; }

#ifndef WRONG
task<int> right(context step, std::vector<std::string> users) {
  const std::string greeting = "hello";
  const auto greet = [greeting](const std::string& user) { return greeting + user; };
  co_await step.for_each("notify", users, notify);
  co_await step.run("answer", answer);
  co_await step.invoke<only_read>("cost", "cost", 7);
  co_await step.invoke("weigh-nothing", "weigh-parcel", 7);
  const auto greeted = co_await step.for_each("greet", users, greet);
  const auto keys = co_await step.for_each("keys", users, [&](const std::string& user, const caesura::step_attempt& attempt) { return user + attempt.key(); });
  co_await step.for_each("both", users, [](const std::string&, const caesura::step_attempt&, std::stop_token) {});
  co_await step.for_each("fresh", users, [](const std::string&, std::stop_token) {});
  const auto long_ones = users | std::views::filter([](const std::string& user) { return user.size() > 3; });
  auto named = long_ones;
  co_await step.for_each("some", named, [](const std::string&) {});
  const caesura::retry_policy once{.retries = 1};
  auto first = step.run("first", [&] { return greeted.size() + keys.size(); }).retry(once);
  auto rest = step.sleep_until("rest", step.now() + 1h);
  co_await caesura::all(std::move(first), std::move(rest));
  co_await step.sleep_until("seconds", std::chrono::sys_seconds{});
  auto last = step.sleep_for("last", 1h);
  co_await std::move(last);
  const caesura::event later{.name = "told", .time = caesura::wall_clock() + 1h};
  co_await step.send_event("tell", later);
  const parcel heavy{"p"};
  co_return co_await step.invoke<int>("weigh", "weigh-parcel", heavy) + co_await step.invoke<int>("text", "weigh-parcel", "text");
}
#endif

#ifdef FOR_EACH_WITH_A_CLOSURE_THAT_OWNS  // or name the closure first
task<> wrong(context step, std::vector<std::string> users, std::string greeting) {
  co_await step.for_each("greet", users, [greeting](const std::string& user) { return greeting + user; });
}
#endif
#ifdef RUN_WITH_A_CLOSURE_THAT_OWNS  // or name the closure first
task<> wrong(context step, std::string greeting) { co_await step.run("greet", [greeting] { return greeting; }); }
#endif
#ifdef INVOKE_WITH_A_TEMPORARY  // name the data first
task<> wrong(context step, std::string id) { co_await step.invoke<int>("weigh", "weigh-parcel", parcel{id}); }
#endif
#ifdef INVOKE_WITH_BRACES  // name the data first
task<> wrong(context step) { co_await step.invoke<int>("weigh", "weigh-parcel", {{"items", 3}}); }
#endif
#ifdef RETRY_WITH_BRACES  // name the policy first
task<> wrong(context step) { co_await step.run("try", [] {}).retry({.retries = 1}); }
#endif
#ifdef RETRY_WITH_A_TEMPORARY  // name the policy first
task<> wrong(context step) { co_await step.run("try", [] {}).retry(caesura::retry_policy{.retries = 1}); }
#endif
#ifdef SEND_EVENT_WITH_BRACES  // name the event first
task<> wrong(context step) { co_await step.send_event("tell", {.name = "told"}); }
#endif
#ifdef FOR_EACH_OVER_A_TEMPORARY  // name the container first
task<> wrong(context step) {
  co_await step.for_each("greet", std::vector<std::string>{"ann"}, [](const std::string&) {});
}
#endif
#ifdef FOR_EACH_OVER_NUMBERS_THAT_ARE_MADE  // put them into a std::vector first
task<> wrong(context step) {
  const auto numbers = std::views::iota(0, 3);
  co_await step.for_each("count", numbers, [](int) {});
}
#endif
#ifdef FOR_EACH_OVER_TRANSFORMED  // put them into a std::vector first
task<> wrong(context step, std::vector<std::string> users) {
  auto sizes = users | std::views::transform([](const std::string& user) { return user.size(); });
  co_await step.for_each("count", sizes, [](std::size_t) {});
}
#endif
#ifdef ALL_OF_A_TASK  // the members of caesura::all are what step.run
task<> part(context step) { co_await step.run("a", [] {}); }
caesura::function wrong() {
  return {.id = "f", .body = [](context step) -> task<> { co_await caesura::all(part(step), step.run("b", [] {})); }};
}
#endif
#ifdef ANY_OF_FOR_EACH  // the members of caesura::any are what step.run
caesura::function wrong() {
  return {.id = "f", .body = [](context step) -> task<> {
            const std::vector<int> numbers{1, 2};
            co_await caesura::any(step.for_each("a", numbers, [](int) {}), step.sleep_for("b", 1h));
          }};
}
#endif
#ifdef HANDLER_WITH_A_PAYLOAD_OF_ITS_FUNCTION  // a handler is given the system's event
caesura::function wrong() {
  return {.id = "f", .on_cancel = [](context step, parcel) -> task<> { co_await step.run("a", [] {}); }};
}
#endif
#ifdef SEND_WITH_BRACES_IN_BRACES  // use of deleted function
void wrong(caesura::runtime& runtime) { runtime.send({{.name = "a"}, {.name = "b"}}); }
#endif
#ifdef FILTER_WITH_TWO_PAIRS_OF_BRACES  // use of deleted function
caesura::run_filter wrong() { return {.function = {{"a", "b"}}}; }
#endif
#ifdef ALL_OF_NAMED  // caesura::all takes its members over
task<> wrong(context step) {
  auto rest = step.sleep_for("rest", 1h);
  co_await caesura::all(step.run("work", [] {}), rest);
}
#endif
#ifdef ANY_OF_NAMED  // caesura::any takes its members over
task<> wrong(context step) {
  auto rest = step.sleep_for("rest", 1h);
  co_await caesura::any(rest, step.run("work", [] {}));
}
#endif
#ifdef AWAIT_BY_NAME  // what was named is awaited once
task<> wrong(context step) {
  auto rest = step.sleep_for("rest", 1h);
  co_await rest;
}
#endif
#ifdef STEP_THAT_RETURNS_A_LITERAL  // would only be a view
task<> wrong(context step) { co_await step.run("text", [] { return "text"; }); }
#endif
#ifdef STEP_THAT_RETURNS_A_VIEW  // would only be a view
task<> wrong(context step, std::string text) { co_await step.run("text", [&] { return std::string_view{text}; }); }
#endif
#ifdef STEP_THAT_RETURNS_VIEWS  // would only be a view
task<> wrong(context step, std::string text) { co_await step.run("text", [&] { return std::vector<std::string_view>{text}; }); }
#endif
#ifdef FOR_EACH_THAT_RETURNS_VIEWS  // would only be a view
task<> wrong(context step, std::vector<std::string> users) { co_await step.for_each("text", users, [](const std::string& user) { return user.c_str(); }); }
#endif
#ifdef INVOKE_OF_A_VIEW  // would only be a view
task<> wrong(context step) { co_await step.invoke<std::string_view>("name", "name-of", 3); }
#endif
#ifdef RESULT_OF_A_VIEW  // would only be a view
std::string_view wrong(caesura::runtime& runtime, caesura::run_id run) { return runtime.result<std::string_view>(run); }
#endif
#ifdef GET_OF_A_VIEW  // would only be a view
std::string_view wrong(const caesura::document& data) { return data.get<std::string_view>(); }
#endif
#ifdef GET_WITHOUT_JSON  // NLOHMANN_DEFINE_TYPE_INTRUSIVE
int wrong(const caesura::document& data) { return data.get<unknown_to_json>().cents; }
#endif
#ifdef STEP_THAT_RETURNS_AN_OPTIONAL  // nlohmann::json cannot convert this type both ways
task<> wrong(context step) { co_await step.run("find", [] { return std::optional<int>{3}; }); }
#endif
#ifdef STEP_WITHOUT_JSON  // NLOHMANN_DEFINE_TYPE_INTRUSIVE
task<> wrong(context step) { co_await step.run("charge", [] { return unknown_to_json{}; }); }
#endif
#ifdef STEP_THAT_TAKES_SOMETHING_ELSE  // the closure of a step takes nothing
task<> wrong(context step) { co_await step.run("charge", [](int) {}); }
#endif
#ifdef FOR_EACH_THAT_TAKES_SOMETHING_ELSE  // takes an element
task<> wrong(context step, std::vector<std::string> users) { co_await step.for_each("greet", users, [](int) {}); }
#endif
#ifdef STEP_THAT_IS_A_COROUTINE  // await in the body
task<> wrong(context step) {
  co_await step.run("rest", [&]() -> task<> { co_await step.sleep_for("rest", 1h); });
}
#endif
#ifdef INVOKE_WITH_DATA_WITHOUT_JSON  // an event's data is JSON
task<> wrong(context step, unknown_to_json data) { co_await step.invoke<int>("weigh", "weigh-parcel", data); }
#endif
#ifdef INVOKE_OF_A_TYPE_WITHOUT_JSON  // NLOHMANN_DEFINE_TYPE_INTRUSIVE
task<> wrong(context step) { co_await step.invoke<unknown_to_json>("weigh", "weigh-parcel", 3); }
#endif
#ifdef PAYLOAD_WITHOUT_JSON  // a body's payload is what the event's data is converted to
caesura::function wrong() {
  return {.id = "f", .body = [](context step, unknown_to_json) -> task<> { co_await step.sleep_for("rest", 1h); }};
}
#endif
#ifdef PAYLOAD_BY_REFERENCE  // a body takes its payload by value
caesura::function wrong() {
  return {.id = "f", .body = [](context step, const parcel&) -> task<> { co_await step.sleep_for("rest", 1h); }};
}
#endif
#ifdef PAYLOAD_AUTO  // whose parameters have written types, not auto
caesura::function wrong() {
  return {.id = "f", .body = [](context step, auto) -> task<> { co_await step.sleep_for("rest", 1h); }};
}
#endif
#ifdef BODY_THAT_RETURNS_WHAT_JSON_CANNOT_HOLD  // what a body returns is recorded as JSON
caesura::function wrong() {
  return {.id = "f", .body = [](context step) -> task<unknown_to_json> {
            co_await step.sleep_for("rest", 1h);
            co_return unknown_to_json{};
          }};
}
#endif
#ifdef BODY_THAT_IS_NO_COROUTINE  // a body is a coroutine that returns caesura::task
caesura::function wrong() {
  return {.id = "f", .body = [](context) {}};
}
#endif
#ifdef BODY_WITHOUT_CONTEXT  // a body takes caesura::context first, by value
caesura::function wrong() {
  return {.id = "f", .body = [](parcel) -> task<> { co_return; }};
}
#endif
#ifdef SLEEP_UNTIL_WITH_A_CLOCK  // write step.now() + 1h
task<> wrong(context step) { co_await step.sleep_until("rest", std::chrono::system_clock::now() + 1h); }
#endif
