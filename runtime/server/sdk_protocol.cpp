#include "runtime/server/sdk_protocol.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <utility>

#include <absl/strings/str_cat.h>

#include "runtime/server/http/json_reader.hpp"
#include "runtime/server/http/json_writer.hpp"
#include "runtime/server/http/url.hpp"
#include "runtime/server/invocation.hpp"
#include "runtime/server/option_reader.hpp"
#include "runtime/server/sdk_flow.hpp"
#include "storage/document_view.hpp"

namespace caesura::server {

namespace {

using nlohmann::json;
using remote::answer;
using remote::finished_step;
using remote::operation;
using storage::document_view;
using storage::value_kind;

// ---- what SDKs say at every step is read where it stands, without a tree

std::string text_in(const document_view& map, const char* key) {
  const auto found = map.find(key);
  return found.kind() == value_kind::text ? std::string{found.text()} : std::string{};
}

// Missing: there is none, or it is null.
document_view member_of(const document_view& map, const char* key) {
  const auto found = map.find(key);
  return found.kind() == value_kind::null ? document_view{} : found;
}

bool is_map(const document_view& value) { return value.kind() == value_kind::map; }

document copy_of(const document_view& value) {
  if (value.is_missing() || value.kind() == value_kind::null) return {};
  return document::from_trusted_msgpack(std::string{value.bytes()});
}

std::string text_of(const document_view& value) { return value.kind() == value_kind::text ? std::string{value.text()} : std::string{}; }

// What operations of every kind have, found in one walk: a look-up reads the whole map, and SDKs put much into it that only they understand.
struct operation_members {
  document_view op{};
  document_view id{};
  document_view display_name{};
  document_view name{};
  document_view data{};
  document_view error{};
  document_view opts{};

  static constexpr std::array<std::string_view, 7> names{"op", "id", "displayName", "name", "data", "error", "opts"};

  explicit operation_members(const document_view& map) {
    if (map.kind() != value_kind::map) return;
    for (auto at = map.first(); at; at = at.next()) {
      const auto key = at.key().text();
      if (key == "op") op = at.value();
      if (key == "id") id = at.value();
      if (key == "displayName") display_name = at.value();
      if (key == "name") name = at.value();
      if (key == "data") data = at.value();
      if (key == "error") error = at.value();
      if (key == "opts") opts = at.value();
    }
  }
};

std::string shown(const document_view& value) { return copy_of(value).json().dump(-1, ' ', false, json::error_handler_t::replace); }

// ---- what they say once is read as a tree

std::string text_in(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

const json* object_in(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && !found->is_null() ? &*found : nullptr;
}


// ---- registration

// A wildcard is written "app/*" or "app/user.*"; the runtime's "*" means any rest, which is the same there.
trigger read_trigger(const json& registered, const std::string& where, std::vector<std::string>& faults) {
  if (registered.is_object() && object_in(registered, "cron") != nullptr) return read_cron(registered, where, faults);
  const option_reader option{registered, where, {"event", "expression"}, faults};
  trigger made{.event = option.text("event"), .when = option.text("expression")};
  if (made.event == "inngest/deferred.schedule") option.refuse_member("event", " is that of a deferred function, which this server does not support: send an event instead");
  if (is_invoke_event(made.event)) option.refuse_member("event", " is \"" + made.event + "\": such names are reserved for invocations");
  return made;
}

cancel_rule read_cancel(const json& registered, const std::string& where, std::vector<std::string>& faults) {
  const option_reader option{registered, where, {"event", "if", "timeout"}, faults};
  cancel_rule rule{.event = option.text("event"), .when = option.text("if")};
  if (const auto* const timeout = option.member("timeout"); timeout != nullptr && timeout->is_string()) rule.until = parse_time(timeout->get<std::string>());
  if (!rule.until) rule.timeout = option.length("timeout");
  return rule;
}

void read_limit(const json& entry, const std::string& where, std::vector<concurrency>& limits, std::vector<std::string>& faults) {
  concurrency limit;
  const auto& count = entry.is_object() ? entry.value("limit", json{}) : entry;
  if (!count.is_number_integer() || count.get<std::int64_t>() < 0 || count.get<std::int64_t>() > UINT32_MAX) {
    faults.push_back(where + " has no whole number as its limit");
    return;
  }
  limit.limit = count.get<std::uint32_t>();
  if (limit.limit == 0) return;  // no limit
  if (entry.is_object()) {
    const option_reader option{entry, where, {"limit", "key", "scope", "hash"}, faults};  // "hash" is what the Go SDK makes of the key
    limit.key = option.text("key");
    const auto scope = option.text("scope");
    // A server is one environment of one account.
    limit.is_shared = scope == "env" || scope == "account";
    if (!limit.is_shared && !scope.empty() && scope != "fn") faults.push_back(where + ".scope is \"" + scope + R"("; it may be "fn", "env" or "account")");
  }
  const auto same = std::ranges::find_if(limits, [&](const concurrency& one) { return limit.is_shared && one.is_shared && one.key == limit.key; });
  if (same != limits.end()) {
    same->limit = std::min(same->limit, limit.limit);
    return;
  }
  limits.push_back(std::move(limit));
}

std::vector<concurrency> read_concurrency(const json& value, const std::string& where, std::vector<std::string>& faults) {
  std::vector<concurrency> limits;
  if (value.is_array()) {
    for (const auto& entry : value) read_limit(entry, where, limits, faults);
  } else if (value.is_object() && (value.contains("fn") || value.contains("step"))) {
    const option_reader option{value, where, {"fn", "step"}, faults};
    for (const auto& entry : value.value("step", json::array())) read_limit(entry, where + ".step", limits, faults);
    const auto held = limits.size();
    for (const auto& entry : value.value("fn", json::array())) read_limit(entry, where + ".fn", limits, faults);
    for (auto i = held; i < limits.size(); ++i) limits[i].counts_resting = true;
  } else {
    read_limit(value, where, limits, faults);
  }
  return limits;
}

// What becomes of the function's one step: where it is called, and how often.
void read_steps(const json& registered, const std::string& where, app_function& into, std::vector<std::string>& faults) {
  if (!registered.is_object()) {
    faults.push_back(where + " is no object");
    return;
  }
  if (registered.empty()) return;
  const option_reader step{*registered.begin(), where + "." + registered.begin().key(), {"id", "name", "runtime", "retries"}, faults};
  if (registered.size() > 1) faults.push_back(where + " has " + std::to_string(registered.size()) + " members; a function has one");
  if (const auto* const found = step.member("runtime")) {
    const option_reader runtime{*found, step.where() + ".runtime", {"type", "url"}, faults};
    into.url = runtime.text("url");
    if (const auto type = runtime.text("type"); !type.empty() && type != "http") faults.push_back(runtime.where() + ".type \"" + type + "\" is not supported: this server calls apps by HTTP");
  }
  if (const auto* const found = step.member("retries")) {
    constexpr std::uint32_t most = 20;  // as upstream: more count as that
    constexpr std::uint32_t usual = 4;
    into.definition.retries.retries = std::min(option_reader{*found, step.where() + ".retries", {"attempts"}, faults}.count("attempts").value_or(usual), most);
  }
}

app_function read_function(const json& registered, const std::string& where, std::vector<std::string>& faults) {
  app_function fn{.registered = document(registered)};
  const auto id = registered.is_object() ? text_in(registered, "id") : std::string{};
  const auto quoted = id.empty() ? where : "function \"" + id + "\"";
  // "checkpoint" is what the SDK does by itself; "retries", of the Go SDK, stands in the step as well.
  const option_reader option{registered, quoted,
                             {"id", "name", "triggers", "steps", "cancel", "concurrency", "timeouts", "throttle", "rateLimit", "debounce", "batchEvents", "priority", "singleton",
                              "idempotency", "checkpoint", "retries"},
                             faults};
  if (!registered.is_object()) return fn;
  fn.id = option.text("id");
  fn.name = option.text("name");
  auto& def = fn.definition;
  def.id = fn.id;
  std::size_t place = 0;
  for (const auto& one : option.list("triggers")) def.triggers.push_back(read_trigger(one, quoted + ": triggers[" + std::to_string(place++) + "]", faults));
  place = 0;
  for (const auto& one : option.list("cancel")) def.cancel_on.push_back(read_cancel(one, quoted + ": cancel[" + std::to_string(place++) + "]", faults));
  if (const auto* limits = option.member("concurrency")) def.concurrency = read_concurrency(*limits, quoted + ": concurrency", faults);
  if (const auto* limits = option.member("timeouts")) {
    const option_reader timeouts{*limits, quoted + ": timeouts", {"start", "finish"}, faults};
    def.timeouts.start = timeouts.length("start");
    def.timeouts.finish = timeouts.length("finish");
  }
  read_flow(registered, quoted, def, faults);
  if (const auto* steps = option.member("steps")) read_steps(*steps, quoted + ": steps", fn, faults);
  if (fn.url.empty()) {
    faults.push_back(quoted + ": steps.step.runtime.url is missing: this server calls apps by HTTP");
  } else if (const auto parsed = http::parse_url(fn.url); const auto* const why = std::get_if<std::string>(&parsed)) {
    faults.push_back(quoted + ": steps.step.runtime.url \"" + fn.url + "\" is no URL that this server can call: " + *why);
  }
  return fn;
}

// ---- responses

// As proxies and frameworks write a time: Wed, 21 Oct 2026 07:28:00 GMT.
std::optional<time_point> http_date(const std::string& text) {
  std::tm parts{};
  const char* const end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return time_point{std::chrono::seconds{::timegm(&parts)}};
}

std::optional<duration> delay_until(const std::string& text) {
  if (text.empty()) return std::nullopt;
  std::int64_t seconds = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (wrong == std::errc{} && end == text.data() + text.size()) return std::chrono::seconds{std::clamp<std::int64_t>(seconds, 1, 86'400)};
  auto time = parse_time(text);
  if (!time) time = http_date(text);
  return time ? std::optional{std::max(*time - wall_clock(), duration{std::chrono::seconds{1}})} : std::nullopt;
}

recorded_error error_of(const document_view& value) {
  if (!is_map(value)) return {.name = "Error", .message = value.kind() == value_kind::text ? std::string{value.text()} : shown(value)};
  auto name = text_in(value, "name");
  auto message = text_in(value, "message");
  if (message.empty()) message = text_in(value, "error");
  return {.name = name.empty() ? "Error" : std::move(name), .message = std::move(message)};
}

answer failed_attempt(std::string name, std::string message, bool is_final = false) {
  return {.error = recorded_error{.name = std::move(name), .message = std::move(message)}, .is_final = is_final};
}

std::string name_of(const operation_members& op) {
  auto name = text_of(op.display_name);
  return name.empty() ? text_of(op.name) : name;
}

// In the options, or, from older SDKs, as the name.
std::string option_or_name(const operation_members& op, const char* option) {
  auto text = text_in(op.opts, option);
  return text.empty() ? text_of(op.name) : text;
}

// A time or a duration; false when it is neither.
bool set_end(operation& op, const std::string& text) {
  op.delay = parse_duration(text);
  if (!op.delay) op.until = parse_time(text);
  return op.delay || op.until;
}

bool is_without_retry(const document_view& failure) {
  const auto told = failure.find("noRetry");
  if (told.is_missing()) return false;
  if (told.kind() != value_kind::boolean) throw error{errc::invalid_argument, "error.noRetry is no boolean"};
  return told.boolean();
}

// Why an operation fails the run.
std::string reason_against(const std::string& code) {
  if (code == "Gateway") return "step.fetch is not supported by this server, which makes no requests for apps (operation \"Gateway\"): call fetch inside step.run";
  if (code == "AIGateway" || code == "AiGateway") {
    return "step.ai.infer is not supported by this server, which makes no requests for apps (operation \"" + code + "\"): use step.ai.wrap or step.run";
  }
  if (code == "DeferAdd" || code == "DeferAbort") return "deferred functions are not supported by this server (operation \"" + code + "\"): send an event instead";
  if (code == "SyncRunComplete") return "durable endpoints are not supported by this server (operation \"SyncRunComplete\")";
  if (code.empty()) return "an operation without \"op\" came from the app";
  return "the operation \"" + code + "\" is not supported by this server";
}

class answer_reader {
 public:
  void read(const operation_members& op) {
    const auto code = text_of(op.op);
    constexpr std::array<std::string_view, 3> without_id{"RunComplete", "DiscoveryRequest", "None"};
    constexpr std::size_t most_bytes = 255;  // as of a step of any function
    const auto id_bytes = text_of(op.id).size();
    if (std::ranges::find(without_id, code) == without_id.end() && (id_bytes == 0 || id_bytes > most_bytes)) {
      refuse("operation \"" + code + "\": its id has " + std::to_string(id_bytes) + " bytes; it must be 1 to 255");
    } else if (code == "StepRun" || code == "Step") {
      answer_.steps.push_back({.id = text_of(op.id), .name = name_of(op), .result = copy_of(op.data)});
    } else if (code == "StepFailed") {
      answer_.steps.push_back(failed_step(op));
    } else if (code == "StepError") {
      answer_.failed = failed_step(op);
      answer_.is_final = is_without_retry(op.error);
    } else if (code == "StepPlanned") {
      name(operation::what::planned, op);
    } else if (code == "Sleep") {
      auto& sleep = name(operation::what::sleep, op);
      const auto text = option_or_name(op, "duration");
      if (!text.empty() && !set_end(sleep, text)) refuse("Sleep \"" + sleep.name + "\": \"" + text + "\" is no duration and no time");
      if (text.empty()) sleep.delay = duration{0};
    } else if (code == "WaitForEvent") {
      auto& wait = name(operation::what::wait_for_event, op);
      wait.event = option_or_name(op, "event");
      wait.when = text_in(op.opts, "if");
      set_timeout(wait, op);
      if (!wait.delay && !wait.until) wait.delay = duration{0};
    } else if (code == "WaitForSignal") {
      read_signal_wait(op);
    } else if (code == "InvokeFunction") {
      auto& invoke = name(operation::what::invoke, op);
      invoke.function = text_in(op.opts, "function_id");
      set_timeout(invoke, op);
      const auto payload = member_of(op.opts, "payload");
      const auto data = member_of(payload, "data");
      if (!data.is_missing()) invoke.data = copy_of(data);
      if (invoke.data.is_null()) invoke.data = document(json::object());
      if (!member_of(payload, "user").is_missing() || !member_of(payload, "v").is_missing()) read_user_and_version(payload, invoke);
    } else if (code == "RunComplete") {
      answer_.is_completed = true;
      answer_.output = copy_of(op.data);
    } else if (code == "DiscoveryRequest") {
      answer_.asks_again = true;
    } else if (code != "None") {
      refuse(reason_against(code));
    }
    if (text_in(op.opts, "parallelMode") == "race") answer_.goes_on_at_first = true;
  }

  [[nodiscard]] answer take() { return std::move(answer_); }

 private:
  static finished_step failed_step(const operation_members& op) {
    return {.id = text_of(op.id), .name = name_of(op), .result = copy_of(op.error), .error = error_of(op.error)};
  }
  operation& name(operation::what kind, const operation_members& op) {
    return answer_.operations.emplace_back(operation{.kind = kind, .id = text_of(op.id), .name = name_of(op)});
  }
  void read_user_and_version(const document_view& payload, operation& invoke) {
    try {
      event e;
      server::read_user_and_version(copy_of(payload).json(), e);
      invoke.user = std::move(e.user);
      invoke.version = std::move(e.version);
    } catch (const error& no) {
      refuse(std::string{"InvokeFunction: payload."} + no.what());
    }
  }
  // Each member has one form: what has another is refused.
  void read_signal_wait(const operation_members& op) {
    const auto& opts = op.opts;
    if (!is_map(opts)) return refuse("WaitForSignal: opts is no object");
    auto& wait = name(operation::what::wait_for_signal, op);
    wait.signal = text_in(opts, "signal");
    if (wait.signal.empty()) return refuse("WaitForSignal: opts.signal is no text that names a signal");
    const auto timeout = member_of(opts, "timeout");
    if (!timeout.is_missing() && timeout.kind() != value_kind::text) return refuse("WaitForSignal: opts.timeout is no text");
    const auto length = text_in(opts, "timeout");
    if (length.empty()) {
      wait.delay = duration{0};
    } else if (!set_end(wait, length)) {
      return refuse("WaitForSignal: opts.timeout is \"" + length + "\", which is no duration and no time");
    }
    const auto conflict = member_of(opts, "conflict");
    const auto text = text_in(opts, "conflict");
    if (conflict.is_missing() || text == "fail") return;
    if (text != "replace") return refuse("WaitForSignal: opts.conflict is " + shown(conflict) + R"(; it must be "fail" or "replace")");
    wait.conflict = signal_conflict::replace;
  }
  void set_timeout(operation& to, const operation_members& op) {
    const auto text = text_in(op.opts, "timeout");
    if (!text.empty() && !set_end(to, text)) refuse("the timeout \"" + text + "\" is no duration and no time");
  }
  void refuse(std::string why) {
    answer_.error = recorded_error{.name = "caesura::error", .message = std::move(why)};
    answer_.is_final = true;
  }

  answer answer_;
};

answer read_operations(const http::response& response) {
  const auto told = response.body.empty() ? document{} : http::parse_json(response.body, {.names = operation_members::names});
  const document_view body{told.bytes()};
  answer_reader reader;
  if (is_map(body)) {
    reader.read(operation_members{body});
  } else if (body.kind() == value_kind::list) {
    for (auto op = body.first(); op; op = op.next()) {
      if (is_map(op.value())) reader.read(operation_members{op.value()});
    }
  }
  auto read = reader.take();
  if (response.headers.get(answer_header::no_retry) == "true" && read.failed) read.is_final = true;
  if (read.failed || read.error) read.retry_after = delay_until(response.headers.get(answer_header::retry_after));
  if (response.headers.get(answer_header::request_version) == "1") read.goes_on_at_first = true;
  return read;
}

// Null when it is none: a proxy's page about an error, say.
document read_if_json(std::string_view text) try {
  return http::parse_json(text);
} catch (const error&) {
  return {};
}

// A response that was streamed says in its body what it would have said: the TypeScript SDK with headers and the inner body as text, the Go SDK with the inner body
// as it is and members in place of two headers.
std::optional<http::response> unwrapped(const http::response& response) {
  const auto body = read_if_json(response.body).json();  // no deeper than what is written below without an end of the stack
  if (!body.is_object() || !body.contains("status")) return std::nullopt;
  http::response inner{.status = body.value("status", 500), .headers = response.headers, .body = text_in(body, "body")};
  const auto* const headers = object_in(body, "headers");
  const auto* const told = object_in(body, "body");
  if ((headers == nullptr || !headers->is_object()) && told != nullptr) inner.body = told->dump();
  if (const auto* const no_retry = object_in(body, "noRetry"); no_retry != nullptr && *no_retry == true) inner.headers.set(std::string{answer_header::no_retry}, "true");
  if (auto retry_at = text_in(body, "retryAt"); !retry_at.empty()) inner.headers.set(std::string{answer_header::retry_after}, std::move(retry_at));
  if (headers != nullptr && headers->is_object()) {
    for (const auto& [name, value] : headers->items()) {
      if (value.is_string()) inner.headers.set(name, value.get<std::string>());
    }
  }
  return inner;
}

// ---- calls

void add_event(std::string& text, const event& e) {
  text += "{\"id\":";
  http::append_json_text(text, e.id);
  text += ",\"name\":";
  http::append_json_text(text, e.name);
  text += ",\"data\":";
  if (e.data.is_null()) {
    text += "{}";
  } else if (tells_of_invocation(e.name, e.data)) {
    text += shown_json(e.name, e.data).dump();
  } else {
    http::append_json(text, storage::document_view{e.data.bytes()});
  }
  text += ",\"user\":";
  if (e.user.is_null()) {
    text += "{}";
  } else {
    http::append_json(text, storage::document_view{e.user.bytes()});
  }
  if (!e.version.empty()) {
    text += ",\"v\":";
    http::append_json_text(text, e.version);
  }
  absl::StrAppend(&text, ",\"ts\":", e.time ? e.time->time_since_epoch().count() : 0, "}");
}

void add_events(std::string& text, const std::vector<event>& triggers) {
  text += '[';
  for (const auto& trigger : triggers) {
    if (&trigger != triggers.data()) text += ',';
    add_event(text, trigger);
  }
  text += ']';
}

void add_value(std::string& text, const document& value) {
  if (value.is_null()) {
    text += "null";
  } else {
    http::append_json(text, storage::document_view{value.bytes()});
  }
}

// As the app told it, with what some SDKs do not read an error without: what lacks a name is a value to Python's, and what lacks data to Go's.
json whole_error(const step_info& row) {
  auto told = row.result.is_object() ? row.result.json() : json::object();
  for (const auto& [name, text] : {std::pair{"name", &row.error->name}, std::pair{"message", &row.error->message}}) {
    if (!told.contains(name) || !told[name].is_string()) told[name] = *text;
  }
  if (told.contains("stack") && !told["stack"].is_string()) told.erase("stack");
  if (row.kind == step_kind::run && !told.contains("data")) told["data"] = nullptr;
  return told;
}

void add_error(std::string& text, const step_info& row) {
  text += "{\"error\":";
  if (row.kind == step_kind::invoke && row.error->name == invoke_error::timed_out) {
    text += R"({"name":"InngestInvokeTimeoutError","message":"Timed out waiting for invoked function to complete",)"
            R"("error":"InngestInvokeTimeoutError: Timed out waiting for invoked function to complete"})";
  } else {
    text += whole_error(row).dump(-1, ' ', false, json::error_handler_t::replace);
  }
  text += '}';
}

void add_signal(std::string& text, const std::string& name, const step_info& row) {
  text += "{\"data\":{\"signal\":";
  http::append_json_text(text, name);
  text += ",\"data\":";
  http::append_json(text, storage::document_view{row.result.bytes()}.find("data"));
  text += "}}";
}

// A recorded step as its code will be given it.
void add_memo(std::string& text, const step_info& row) {
  if (row.error) {
    add_error(text, row);
  } else if (row.kind == step_kind::run || row.kind == step_kind::invoke) {
    text += "{\"data\":";
    add_value(text, row.result);
    text += '}';
  } else if (const auto signal = signal_got(row)) {
    add_signal(text, *signal, row);
  } else {
    add_value(text, row.result);  // a sleep: null; a wait: the event, or null
  }
}

void add_steps(std::string& text, const std::vector<step_info>& steps) {
  text += '{';
  for (const auto& row : steps) {
    if (&row != steps.data()) text += ',';
    http::append_json_text(text, row.id);
    text += ':';
    add_memo(text, row);
  }
  text += '}';
}

}  // namespace

app_registration read_registration(const document& body) {
  const auto json = body.json();
  std::vector<std::string> faults;
  app_registration app;
  if (!json.is_object()) throw error{errc::invalid_argument, "the body of a registration is an object"};
  app = {.name = json.contains("appName") ? text_in(json, "appName") : text_in(json, "appname"), .url = text_in(json, "url"), .sdk = text_in(json, "sdk")};
  if (app.name.empty()) faults.emplace_back("appName is missing");
  const auto functions = json.value("functions", nlohmann::json{});
  if (!functions.is_array()) faults.emplace_back(json.contains("functions") ? "functions is no list" : "functions is missing: the list of all that the app has");
  for (std::size_t i = 0; functions.is_array() && i < functions.size(); ++i) app.functions.push_back(read_function(functions[i], "functions[" + std::to_string(i) + "]", faults));
  if (faults.empty()) return app;
  std::string text;
  for (const auto& fault : faults) text += (text.empty() ? "" : "\n") + fault;
  throw error{errc::invalid_function, text};
}

document registration_in_band(std::string_view answer, std::string_view url) {
  const auto told = http::parse_json(answer).json();
  if (!told.is_object()) throw error{errc::invalid_argument, "the answer to an in-band sync is an object"};
  const auto name = text_in(told, "app_id");
  const auto* functions = object_in(told, "functions");
  if (name.empty()) throw error{errc::invalid_argument, "the answer to an in-band sync lacks app_id"};
  if (functions == nullptr || !functions->is_array()) throw error{errc::invalid_argument, "the answer to an in-band sync lacks the list functions"};
  const auto own_url = text_in(told, "url");
  return document(json{{"url", own_url.empty() ? std::string{url} : own_url},
                       {"deployType", "ping"},
                       {"framework", text_in(told, "framework")},
                       {"appName", name},
                       {"sdk", text_in(told, "sdk_language") + ":v" + text_in(told, "sdk_version")},
                       {"v", "0.1"},
                       {"functions", *functions}});
}

std::optional<std::string> url_of_step(std::string_view url, std::string_view step) {
  if (!url.starts_with("http://") && !url.starts_with("https://")) return std::nullopt;
  constexpr std::string_view parameter = "stepId=";
  const auto query = url.find('?');
  auto at = query == std::string_view::npos ? query : url.find(parameter, query);
  std::string text{url};
  if (at == std::string_view::npos) {
    return text + (query == std::string_view::npos ? "?" : "&") + std::string{parameter} + http::encode_percent(step);
  }
  at += parameter.size();
  const auto end = std::min(url.find('&', at), url.size());
  return text.replace(at, end - at, http::encode_percent(step));
}

std::string events_body(const std::vector<event>& triggers) {
  std::string text;
  add_events(text, triggers);
  return text;
}

std::string steps_body(const std::vector<step_info>& steps) {
  std::string text;
  add_steps(text, steps);
  return text;
}

std::string job_id_of(const remote::call& call) {
  auto id = absl::StrCat(to_string(call.run), "-", call.steps.size());
  if (call.step != remote::next_call) absl::StrAppend(&id, "-", storage::hash_text(call.step));  // one of several that are called side by side
  return id;
}

std::string request_id_of(const remote::call& call) { return absl::StrCat(job_id_of(call), "-", call.attempt); }

std::string call_body(const remote::call& call) {
  constexpr std::size_t usual_bytes = 1'000;  // a little less than what malloc keeps at hand for a thread
  constexpr std::size_t largest_state = 4 * 1024 * 1024;  // as upstream: of a larger one the SDK asks by itself
  const auto run = to_string(call.run);
  const auto request = request_id_of(call);
  const auto steps = call.steps.size();
  std::string text;
  text.reserve(usual_bytes);
  text += "{\"event\":";
  const auto from = text.size();
  add_event(text, call.events.front());
  const auto bytes = text.size() - from;
  const auto state_from = text.size();
  text += ",\"events\":";
  if (call.events.size() > 1) {
    add_events(text, call.events);
  } else {
    text += '[';
    text.append(text, from, bytes);
    text += ']';
  }
  text += ",\"steps\":";
  add_steps(text, call.steps);
  const bool is_fetched = text.size() > largest_state;
  if (is_fetched) text.replace(state_from, std::string::npos, ",\"events\":[],\"steps\":{}");
  const char* const uses_api = is_fetched ? "true" : "false";
  absl::StrAppend(&text, ",\"defers\":{},\"ctx\":{\"fn_id\":\"", uuid_of(call.function), "\",\"run_id\":\"", run, "\",\"env\":\"dev\",\"step_id\":");
  http::append_json_text(text, call.step);
  absl::StrAppend(&text, ",\"attempt\":", call.attempt - 1, ",\"max_attempts\":", call.attempts, ",\"stack\":{\"stack\":[");
  for (std::size_t i = 0; i < steps; ++i) {
    if (i > 0) text += ',';
    http::append_json_text(text, call.steps[i].id);
  }
  absl::StrAppend(&text, "],\"current\":", steps, "},\"qi_id\":\"", call.activation, "\",\"request_id\":\"", request, "\",\"generation_id\":", call.activation,
                  ",\"job_id\":\"", job_id_of(call), "\",\"disable_immediate_execution\":", call.plans_only ? "true" : "false",
                  ",\"use_api\":", uses_api, "},\"version\":-1,\"use_api\":", uses_api, "}");
  return text;
}

std::optional<std::string> signal_got(const step_info& row) {
  if (row.kind != step_kind::wait_for_event) return std::nullopt;
  const auto event = storage::document_view{row.result.bytes()}.find("name");
  if (event.kind() != storage::value_kind::text || !is_signal_event(event.text())) return std::nullopt;
  return std::string{signal_of(event.text())};
}

const http::kept_members& members_of_checkpoint() {
  static constexpr std::array<std::string_view, 8> names{"qi_id", "steps", "op", "id", "displayName", "name", "data", "error"};
  static constexpr http::kept_members kept{.names = names, .within = "steps"};
  return kept;
}

answer read_response(const http::response& response) try {
  if (response.status == 201) {
    const auto inner = unwrapped(response);
    if (!inner || inner->status == 201) return failed_attempt("Error", "the app's streamed response is malformed");
    return read_response(*inner);
  }
  const bool is_good = response.status >= 200 && response.status < 300;
  if (is_good && response.headers.find(answer_header::sdk) == nullptr) {
    return failed_attempt("Error", "the response with status " + std::to_string(response.status) + " did not come from an SDK: it lacks the header x-inngest-sdk");
  }
  if (is_good) {
    if (response.status == 206) return read_operations(response);
    return {.is_completed = true, .output = response.body.empty() ? document{} : http::parse_json(response.body)};
  }
  constexpr std::size_t longest_page = 1'000;  // what is no SDK's: a framework's page about an error, say
  const auto status = "the app answered with status " + std::to_string(response.status);
  auto failed = failed_attempt("Error", response.body.empty() ? status : status + ": " + storage::to_utf8(response.body, longest_page));
  auto body = read_if_json(response.body);
  if (document_view{body.bytes()}.kind() == value_kind::text) failed.error->message = document_view{body.bytes()}.text();
  if (body.is_object()) {
    const auto told = error_of(document_view{body.bytes()});
    if (!told.message.empty()) failed.error = told;
    failed.is_stale = told.name == "StaleDispatchError";  // its checkpoint was answered with 409
    failed.error_details = std::move(body);
  }
  failed.is_final = !failed.is_stale && response.headers.get(answer_header::no_retry) == "true";
  failed.retry_after = delay_until(response.headers.get(answer_header::retry_after));
  return failed;
} catch (const std::exception& e) {  // no JSON, a member of another type than it should have, or a value nested too deep to be stored
  return failed_attempt("Error", std::string{"the app's response cannot be read: "} + e.what());
}

checkpoint read_checkpoint(const document& body) {
  const document_view told{body.bytes()};
  checkpoint read;
  if (!is_map(told)) throw error{errc::invalid_argument, "the body of a checkpoint is an object"};
  const auto place = text_in(told, "qi_id");
  const auto [end, wrong] = std::from_chars(place.data(), place.data() + place.size(), read.activation);
  if (place.empty() || wrong != std::errc{} || end != place.data() + place.size()) {
    throw error{errc::invalid_argument, "qi_id is \"" + place + "\", which this server has not given to any call"};
  }
  const auto steps = member_of(told, "steps");
  if (!steps.is_missing() && steps.kind() != value_kind::list) throw error{errc::invalid_argument, "steps is no list"};
  for (auto at = steps.first(); at; at = at.next()) {
    const operation_members op{at.value()};
    const auto code = text_of(op.op);
    if (code != "StepRun" && code != "Step" && code != "StepFailed") {
      throw error{errc::invalid_argument, "the operation \"" + code + "\" cannot be checkpointed: only steps that were executed can"};
    }
    answer_reader reader;
    reader.read(op);
    auto one = reader.take();
    std::ranges::move(one.steps, std::back_inserter(read.steps));
  }
  return read;
}

void read_user_and_version(const json& from, event& e) {
  const auto quoted = e.name.empty() ? std::string{} : "event \"" + e.name + "\": ";
  if (const auto* const user = object_in(from, "user"); user != nullptr && !user->empty() && *user != "") {
    if (!user->is_object()) throw error{errc::invalid_event, quoted + "user must be an object"};
    e.user = document(*user);
  }
  if (const auto* const version = object_in(from, "v"); version != nullptr && !version->is_string()) throw error{errc::invalid_event, quoted + "v is no text"};
  e.version = text_in(from, "v");
}

event read_event(const json& json) {
  if (!json.is_object()) throw error{errc::invalid_event, "an event is an object with name and data"};
  event e{.name = text_in(json, "name"), .id = text_in(json, "id")};
  if (const auto* id = object_in(json, "id"); id != nullptr && !id->is_string()) throw error{errc::invalid_event, "event \"" + e.name + "\": id is no text"};
  if (is_invoke_event(e.name)) {
    throw error{errc::invalid_event, "event \"" + e.name + "\": such names are reserved for invocations, which POST /invoke/FUNCTION is for"};
  }
  read_user_and_version(json, e);
  if (const auto* data = object_in(json, "data")) {
    if (!data->is_object()) throw error{errc::invalid_event, "event \"" + e.name + "\": data must be an object"};
    if (data->contains("_inngest")) {
      auto without = *data;
      without.erase("_inngest");
      e.data = document(without);
    } else {
      e.data = document(*data);
    }
  } else {
    e.data = document(nlohmann::json::object());
  }
  if (const auto* ts = object_in(json, "ts")) {
    if (!ts->is_number()) throw error{errc::invalid_event, "event \"" + e.name + "\": ts is no number of milliseconds"};
    const auto ms = ts->get<double>();
    constexpr double year_1980 = 315532800000.0;
    constexpr double year_2100 = 4102444800000.0;
    if (ms != 0 && (!std::isfinite(ms) || ms < year_1980 || ms > year_2100)) {
      throw error{errc::invalid_event, "event \"" + e.name + "\": ts lies outside the years 1980 to 2100"};
    }
    if (ms != 0) e.time = time_point{duration{static_cast<duration::rep>(ms)}};
  }
  return e;
}

std::string uuid_of(std::string_view name) {
  std::string salted{name};
  const auto high = storage::hash_text(salted.append("/high"));
  const auto low = storage::hash_text(salted.replace(name.size(), std::string::npos, "/low"));
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(high >> (8 * i));
    bytes[i + 8] = static_cast<std::uint8_t>(low >> (8 * i));
  }
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0F) | 0x80);  // version 8
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3F) | 0x80);
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text(36, '-');
  std::size_t at = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) ++at;
    text[at++] = digits[bytes[i] >> 4];
    text[at++] = digits[bytes[i] & 0xF];
  }
  return text;
}

}  // namespace caesura::server
