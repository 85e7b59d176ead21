#include "runtime/server/gql_api.hpp"

#include <algorithm>
#include <functional>

#include "runtime/server/api_call.hpp"
#include "runtime/server/api_views.hpp"
#include "runtime/server/invocation.hpp"
#include "runtime/server/pages.hpp"
#include "runtime/server/sdk_protocol.hpp"

namespace caesura::server {

namespace {

using graphql::field_value;
using graphql::node;
using graphql::node_ptr;
using nlohmann::json;

constexpr std::size_t page_limit = 400;

// What is said to the client.
struct unmet : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::string run_status_text(run_status status) {
  switch (status) {
    case run_status::scheduled:
    case run_status::queued:
      return "QUEUED";
    case run_status::running:
    case run_status::sleeping:
    case run_status::waiting:
    case run_status::backing_off:
    case run_status::held:
      return "RUNNING";
    case run_status::completed: return "COMPLETED";
    case run_status::failed: return "FAILED";
    case run_status::cancelled: return "CANCELLED";
    case run_status::skipped: return "SKIPPED";
  }
  return "RUNNING";
}

std::vector<run_status> statuses_of(const std::string& text) {
  if (text == "QUEUED") return {run_status::scheduled, run_status::queued};
  if (text == "RUNNING") return {run_status::running, run_status::sleeping, run_status::waiting, run_status::backing_off, run_status::held};
  if (text == "COMPLETED") return {run_status::completed};
  if (text == "FAILED") return {run_status::failed};
  if (text == "CANCELLED") return {run_status::cancelled};
  if (text == "SKIPPED") return {run_status::skipped};
  throw unmet{"\"" + text + "\" is no status: one of QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED, SKIPPED"};
}

std::string dumped(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json error_json(const recorded_error& error) { return {{"name", error.name}, {"message", error.message}}; }

json output_of(const run_info& run) {
  if (run.status == run_status::completed) return dumped(run.output.json());
  return run.error ? json(dumped(whole_error(run))) : json(nullptr);
}

template <class Id>
Id id_in(const json& arguments, const char* name) {
  const auto text = arguments.at(name).get<std::string>();
  const auto id = parse_id<Id>(text);
  if (!id) throw unmet{std::string{name} + " is \"" + text + "\", which is no ULID"};
  return *id;
}

std::optional<time_point> time_in(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::nullopt;
  const auto time = found->is_string() ? parse_time(found->get<std::string>()) : std::nullopt;
  if (!time) throw unmet{std::string{name} + " is no RFC 3339 time"};
  return time;
}

std::size_t page_size(const json& arguments, std::size_t usual) {
  const auto found = arguments.find("first");
  if (found == arguments.end() || found->is_null()) return usual;
  const auto size = found->get<std::int64_t>();
  if (size < 1 || size > static_cast<std::int64_t>(page_limit)) throw unmet{"first is " + std::to_string(size) + "; it must be 1 to " + std::to_string(page_limit)};
  return static_cast<std::size_t>(size);
}

// An argument that is an object, with no other members than these: what is misspelt would be done without it.
json object_in(const json& arguments, const char* name, std::initializer_list<std::string_view> members) {
  const auto found = arguments.find(name);
  if (found == arguments.end() || found->is_null()) return json::object();
  if (!found->is_object()) throw unmet{std::string{name} + " is no object"};
  for (const auto& [member, value] : found->items()) {
    if (!value.is_null() && std::ranges::find(members, std::string_view{member}) == members.end()) throw unmet{std::string{name} + "." + member + " is not supported by this server"};
  }
  return *found;
}

template <class Id>
std::optional<std::string> text_of(const std::optional<Id>& id) {
  return id ? std::optional{to_string(*id)} : std::nullopt;
}

// Makes the nodes. Lives on the stack of one request, as long as its nodes are used.
class world {
 public:
  explicit world(const api_parts& parts) : parts_{parts}, apps_{parts.apps.all()} {}

  [[nodiscard]] node_ptr query() const {
    auto root = std::make_shared<node>(node{.type = "Query"});
    root->lookups = {
        {"run", [this](const json& a) -> field_value { return run_v2(parts_.runtime.get(id_in<run_id>(a, "runID"))); }},
        {"functionRun", [this](const json& a) -> field_value { return run_v1(parts_.runtime.get(id_in<run_id>(object_in(a, "query", {"functionRunId"}), "functionRunId"))); }},
        {"runs", [this](const json& a) -> field_value { return runs(a); }},
        {"runTraceSpanOutputByID", [this](const json& a) -> field_value { return span_output(a.at("outputID")); }},
        {"eventV2", [this](const json& a) -> field_value { return event_v2(parts_.runtime.find_event(id_in<event_id>(a, "id"))); }},
        {"eventsV2", [this](const json& a) -> field_value { return events_v2(a); }},
        {"events", [this](const json& a) -> field_value { return (void)object_in(a, "query", {}), events(); }},
        {"functions", [this](const json&) -> field_value { return functions(nullptr); }},
        {"functionBySlug", [this](const json& a) -> field_value { return function_of(object_in(a, "query", {"functionSlug"}).at("functionSlug").get<std::string>()); }},
        {"apps", [this](const json& a) -> field_value { return (void)object_in(a, "filter", {}), apps(); }},
    };
    return root;
  }

  [[nodiscard]] node_ptr mutation() const {
    auto root = std::make_shared<node>(node{.type = "Mutation"});
    root->lookups = {
        {"cancelRun", [this](const json& a) -> field_value { return cancel(id_in<run_id>(a, "runID")); }},
        {"rerun", [this](const json& a) -> field_value { return rerun(a); }},
        {"invokeFunction",
         [this](const json& a) -> field_value {
           try {
             (void)invoke_function(parts_, a.at("functionSlug").get<std::string>(), a);
           } catch (const refusal& no) {
             throw unmet{no.text};
           }
           return json(true);
         }},
    };
    return root;
  }

 private:
  // ---- functions and apps

  node_ptr function(const app_registration& app, const app_function& fn) const {
    auto shown = function_json(app, fn);
    auto made = std::make_shared<node>(node{.type = "Function"});
    made->scalars = {{"id", shown["id"]}, {"name", shown["name"]}, {"slug", fn.id}, {"url", fn.url}, {"appID", shown["app"]["id"]}, {"config", dumped(shown["config"])}};
    made->lookups = {{"triggers", [triggers = shown["triggers"]](const json&) -> field_value { return trigger_nodes(triggers); }},
                     {"app", [this, &app](const json&) -> field_value { return app_node(app); }}};
    return made;
  }
  static std::vector<node_ptr> trigger_nodes(const json& triggers) {
    std::vector<node_ptr> nodes;
    for (const auto& one : triggers) {
      const bool is_cron = one.contains("cron");
      nodes.push_back(std::make_shared<node>(node{.type = "FunctionTrigger",
                                                  .scalars = {{"type", is_cron ? "CRON" : "EVENT"},
                                                              {"value", one.value(is_cron ? "cron" : "event", "")},
                                                              {"condition", one.contains("expression") ? one["expression"] : json(nullptr)}}}));
    }
    return nodes;
  }
  node_ptr function_of(const std::string& slug) const {
    for (const auto& app : apps_) {
      for (const auto& fn : app.functions) {
        if (fn.id == slug) return function(app, fn);
      }
    }
    return nullptr;
  }
  std::vector<node_ptr> functions(const app_registration* only) const {
    std::vector<node_ptr> nodes;
    for (const auto& app : apps_) {
      if (only != nullptr && only != &app) continue;
      for (const auto& fn : app.functions) nodes.push_back(function(app, fn));
    }
    return nodes;
  }
  node_ptr app_node(const app_registration& app) const {
    const auto colon = app.sdk.find(':');
    auto made = std::make_shared<node>(node{.type = "App",
                                            .scalars = {{"id", uuid_of(app.name)},
                                                        {"name", app.name},
                                                        {"externalID", app.name},
                                                        {"url", app.url},
                                                        {"sdkLanguage", app.sdk.substr(0, colon)},
                                                        {"sdkVersion", colon == std::string::npos ? "" : app.sdk.substr(colon + 1)},
                                                        {"functionCount", app.functions.size()}}});
    made->lookups = {{"functions", [this, &app](const json&) -> field_value { return functions(&app); }}};
    return made;
  }
  std::vector<node_ptr> apps() const {
    std::vector<node_ptr> nodes;
    for (const auto& app : apps_) nodes.push_back(app_node(app));
    return nodes;
  }
  node_ptr app_of_function(const std::string& slug) const {
    for (const auto& app : apps_) {
      if (std::ranges::find(app.functions, slug, &app_function::id) != app.functions.end()) return app_node(app);
    }
    return nullptr;
  }

  // ---- runs

  node_ptr run_v2(const std::optional<run_info>& found) const {
    if (!found) return nullptr;
    const auto& run = *found;
    const bool is_batch = !run.events.empty();
    auto triggers = json::array();
    for (const auto& id : triggers_of(run)) triggers.push_back(to_string(id));
    auto made = std::make_shared<node>(node{.type = "FunctionRunV2"});
    made->scalars = {{"id", to_string(run.id)},
                     {"status", run_status_text(run.status)},
                     {"traceID", to_string(run.id)},
                     {"isBatch", is_batch},
                     {"batchCreatedAt", is_batch ? json(to_string(run.created_at)) : json(nullptr)},
                     {"cronSchedule", nullptr},
                     {"queuedAt", to_string(run.created_at)},
                     {"startedAt", time_or_null(run.started_at)},
                     {"endedAt", time_or_null(run.ended_at)},
                     {"output", output_of(run)},
                     {"triggerIDs", triggers},
                     {"functionID", uuid_of(run.function)}};
    made->lookups = {{"function", [this, slug = run.function](const json&) -> field_value { return function_of(slug); }},
                     {"app", [this, slug = run.function](const json&) -> field_value { return app_of_function(slug); }},
                     {"appID", [this, slug = run.function](const json&) -> field_value { return app_id_of(slug); }},
                     {"eventName", [this, id = run.event](const json&) -> field_value {
                        const auto trigger = parts_.runtime.find_event(id);
                        return trigger ? json(shown_name(trigger->event.name)) : json(nullptr);
                      }},
                     {"trace", [this, run](const json&) -> field_value { return trace(run); }}};
    return made;
  }
  json app_id_of(const std::string& slug) const {
    const auto app = app_of_function(slug);
    return app ? app->scalars.at("id") : json(nullptr);
  }
  // As the older part of the API has it.
  node_ptr run_v1(const std::optional<run_info>& found) const {
    if (!found) return nullptr;
    const auto& run = *found;
    auto made = std::make_shared<node>(node{.type = "FunctionRun"});
    made->scalars = {{"id", to_string(run.id)},
                     {"status", run_status_text(run.status)},
                     {"output", output_of(run)},
                     {"startedAt", time_or_null(run.started_at)},
                     {"finishedAt", time_or_null(run.ended_at)},
                     {"functionID", uuid_of(run.function)},
                     {"eventID", to_string(run.event)}};
    made->lookups = {{"function", [this, slug = run.function](const json&) -> field_value { return function_of(slug); }},
                     {"event", [this, id = run.event](const json&) -> field_value { return event_v1(parts_.runtime.find_event(id)); }}};
    return made;
  }

  run_filter filter_in(const json& told) const {
    run_filter filter{.created_after = time_in(told, "from"), .created_before = time_in(told, "until")};
    for (const auto& [name, value] : told.items()) {
      if (value.is_null() || name == "from" || name == "until") continue;
      if (name == "timeField") {
        if (value != "QUEUED_AT") throw unmet{"timeField is " + dumped(value) + ": this server knows QUEUED_AT only"};
      } else if (name == "status") {
        for (const auto& one : value) std::ranges::copy(statuses_of(one.get<std::string>()), std::back_inserter(filter.status.values));
      } else if (name == "query") {
        filter.when = value.get<std::string>();
      } else {  // functionIDs, appIDs
        add_functions(filter, value, name == "appIDs");
      }
    }
    return filter;
  }
  void add_functions(run_filter& filter, const json& wanted, bool are_apps) const {
    if (wanted.empty()) return;
    const auto is_wanted = [&](const std::string& name) {
      return std::ranges::any_of(wanted, [&](const json& one) { return one == uuid_of(name) || one == name; });
    };
    for (const auto& app : apps_) {
      for (const auto& fn : app.functions) {
        if (is_wanted(are_apps ? app.name : fn.id)) filter.function.values.push_back(fn.id);
      }
    }
    if (filter.function.empty()) filter.function.values.emplace_back("\xff");  // none of them: no id is so, for ids are UTF-8
  }

  struct item {
    std::string cursor;
    std::function<node_ptr()> shown;
  };
  // A page as GraphQL's clients know it.
  static std::shared_ptr<node> connection(const std::string& edge_type, const std::string& type, std::vector<item> items, const std::optional<std::string>& next, bool has_previous) {
    std::vector<node_ptr> edges;
    std::vector<std::string> cursors;
    for (auto& one : items) {
      cursors.push_back(std::move(one.cursor));
      auto edge = std::make_shared<node>(node{.type = edge_type, .scalars = {{"cursor", cursors.back()}}});
      edge->lookups = {{"node", [shown = std::move(one.shown)](const json&) -> field_value { return shown(); }}};
      edges.push_back(std::move(edge));
    }
    auto made = std::make_shared<node>(node{.type = type});
    made->lookups = {{"edges", [edges](const json&) -> field_value { return edges; }},
                     {"pageInfo", [info = page_info(cursors, next, has_previous)](const json&) -> field_value {
                        return node_ptr{std::make_shared<node>(node{.type = "PageInfo", .scalars = info})};
                      }}};
    return made;
  }

  node_ptr runs(const json& arguments) const {
    const auto order = arguments.value("orderBy", json::array());
    for (const auto& one : order) {
      if (one.value("direction", "DESC") != "DESC" || one.value("field", "QUEUED_AT") != "QUEUED_AT") {
        throw unmet{"orderBy: this server lists runs by QUEUED_AT, DESC only"};
      }
    }
    const auto filter = filter_in(object_in(arguments, "filter", {"from", "until", "timeField", "status", "query", "functionIDs", "appIDs"}));
    page_request page{.limit = page_size(arguments, 40)};
    const bool has_previous = arguments.contains("after") && !arguments["after"].is_null();
    if (has_previous) page.before = id_in<run_id>(arguments, "after");
    const auto found = page_of_runs(parts_.runtime, filter, page);
    std::vector<item> items;
    for (const auto& one : found.runs) items.push_back({to_string(one.id), [this, one] { return run_v2(one); }});
    auto made = connection("RunsV2Edge", "RunsV2Connection", std::move(items), text_of(found.next), has_previous);
    made->lookups.emplace("totalCount", [this, filter](const json&) -> field_value { return count(filter); });
    return made;
  }
  json count(const run_filter& filter) const {
    constexpr std::size_t most = 100'000;
    std::size_t total = 0;
    page_request page{.limit = 100};  // each with its output
    do {
      const auto found = parts_.runtime.list(filter, page);
      total += found.runs.size();
      page.before = found.next;
    } while (page.before && total < most);
    return total;
  }

  // ---- traces

  node_ptr trace(const run_info& run) const {
    auto root = std::make_shared<node>(node{.type = "RunTraceSpan"});
    const auto id = to_string(run.id);
    root->scalars = span(id, run.function, run.started_at.value_or(run.created_at), run.ended_at);
    root->scalars.update({{"spanID", id},
                          {"isRoot", true},
                          {"status", run_status_text(run.status)},
                          {"queuedAt", to_string(run.created_at)},
                          {"attempts", 1},
                          {"outputID", is_ended(run.status) ? json(id) : json(nullptr)}});
    root->lookups = {{"childrenSpans", [this, run](const json&) -> field_value { return step_spans(run.id); }},
                     {"metadata", [](const json&) -> field_value { return std::vector<node_ptr>{}; }}};
    return root;
  }
  static json span(const std::string& run, const std::string& name, time_point started, const std::optional<time_point>& ended) {
    return {{"runID", run},
            {"traceID", run},
            {"name", name},
            {"queuedAt", to_string(started)},
            {"startedAt", to_string(started)},
            {"endedAt", time_or_null(ended)},
            {"duration", ended ? json((*ended - started).count()) : json(nullptr)}};
  }
  std::vector<node_ptr> step_spans(const run_id& run) const {
    std::vector<node_ptr> spans;
    const auto id = to_string(run);
    for (const auto& step : parts_.runtime.steps(run)) {
      auto made = std::make_shared<node>(node{.type = "RunTraceSpan"});
      const auto kind = kind_text(step);
      made->scalars = span(id, step.name.empty() ? step.id : step.name, step.started_at, step.ended_at);
      made->scalars.update({{"spanID", id + "/" + step.id},
                            {"parentSpanID", id},
                            {"isRoot", false},
                            {"status", step.error ? "FAILED" : "COMPLETED"},
                            {"attempts", step.attempts},
                            {"outputID", id + "/" + step.id},
                            {"stepOp", kind},
                            {"stepType", kind},
                            {"stepID", step.id}});
      made->lookups = {{"stepInfo", [step](const json&) -> field_value { return step_info_node(step); }},
                       {"childrenSpans", [](const json&) -> field_value { return std::vector<node_ptr>{}; }},
                       {"metadata", [](const json&) -> field_value { return std::vector<node_ptr>{}; }}};
      spans.push_back(std::move(made));
    }
    return spans;
  }
  static std::string kind_text(const caesura::step_info& step) {
    switch (step.kind) {
      case step_kind::run:
      case step_kind::send_event:
        return "RUN";
      case step_kind::sleep: return "SLEEP";
      case step_kind::wait_for_event: return signal_got(step) ? "WAIT_FOR_SIGNAL" : "WAIT_FOR_EVENT";
      case step_kind::invoke: return "INVOKE";
    }
    return "RUN";
  }
  static node_ptr step_info_node(const caesura::step_info& step) {
    switch (step.kind) {
      case step_kind::run:
      case step_kind::send_event:
        return std::make_shared<node>(node{.type = "RunStepInfo", .scalars = {{"type", "step.run"}}});
      case step_kind::sleep: return std::make_shared<node>(node{.type = "SleepStepInfo", .scalars = {{"sleepUntil", to_string(step.ended_at)}}});
      case step_kind::wait_for_event: {
        if (const auto signal = signal_got(step)) return std::make_shared<node>(node{.type = "WaitForSignalStepInfo", .scalars = {{"signal", *signal}, {"timedOut", false}}});
        const auto event = step.result.json();
        return std::make_shared<node>(node{.type = "WaitForEventStepInfo",
                                           .scalars = {{"eventName", event.is_object() ? event.value("name", "") : ""},
                                                       {"foundEventID", event.is_object() && event.contains("id") ? event["id"] : json(nullptr)},
                                                       {"timedOut", event.is_null()}}});
      }
      case step_kind::invoke:
        return std::make_shared<node>(node{.type = "InvokeStepInfo",
                                           .scalars = {{"runID", step.child.is_nil() ? json(nullptr) : json(to_string(step.child))},
                                                       {"timedOut", step.error && step.error->name == invoke_error::timed_out}}});
    }
    return nullptr;
  }

  // Of a run, "RUN", or of a step of it, "RUN/STEP".
  node_ptr span_output(const std::string& id) const {
    const auto slash = id.find('/');
    const auto run = parse_id<run_id>(id.substr(0, slash));
    const auto found = run ? parts_.runtime.get(*run) : std::nullopt;
    if (!found) throw unmet{"outputID is \"" + id + "\", which this server has not given"};
    if (slash == std::string::npos) return output_node(found->status == run_status::completed ? json(found->output.json()) : json(nullptr), found->error, found->error ? whole_error(*found) : json{});
    const auto steps = parts_.runtime.steps(*run);
    const auto step = std::ranges::find(steps, id.substr(slash + 1), &caesura::step_info::id);
    if (step == steps.end()) throw unmet{"run " + id.substr(0, slash) + " has no step \"" + id.substr(slash + 1) + "\""};
    auto result = step->result.json();
    if (const auto signal = signal_got(*step)) result = {{"signal", *signal}, {"data", result["data"]}};
    return output_node(step->error ? json(nullptr) : result, step->error, step->error ? result : json{});
  }
  static node_ptr output_node(const json& data, const std::optional<recorded_error>& error, const json& whole) {
    auto made = std::make_shared<node>(node{.type = "RunTraceSpanOutput"});
    made->scalars = {{"data", error ? json(nullptr) : json(dumped(data))}, {"input", nullptr}};
    if (!error) return made;
    json shown = error_json(*error);
    for (const char* const key : {"stack", "cause"}) shown[key] = whole.is_object() && whole.contains(key) ? whole[key] : json(nullptr);
    made->lookups = {{"error", [shown](const json&) -> field_value { return node_ptr{std::make_shared<node>(node{.type = "StepError", .scalars = shown})}; }}};
    return made;
  }

  // ---- events

  static json raw_of(const event_info& stored) {
    json raw{{"id", stored.event.id},
             {"name", shown_name(stored.event.name)},
             {"data", shown_json(stored.event.name, stored.event.data)},
             {"ts", stored.event.time ? stored.event.time->time_since_epoch().count() : 0}};
    add_user_and_version(raw, stored.event);
    return dumped(raw);
  }
  node_ptr event_v2(const std::optional<event_info>& found) const {
    if (!found) return nullptr;
    auto made = std::make_shared<node>(node{.type = "EventV2"});
    made->scalars = {{"id", to_string(found->id)},
                     {"name", shown_name(found->event.name)},
                     {"idempotencyKey", found->event.id},
                     {"raw", raw_of(*found)},
                     {"source", nullptr},
                     {"receivedAt", to_string(found->received_at)},
                     {"occurredAt", to_string(found->event.time.value_or(found->received_at))}};
    made->lookups = {{"runs", [this, ids = found->runs](const json&) -> field_value {
                        std::vector<node_ptr> nodes;
                        for (const auto& id : ids) {
                          if (auto one = run_v2(parts_.runtime.get(id))) nodes.push_back(std::move(one));
                        }
                        return nodes;
                      }}};
    return made;
  }
  node_ptr event_v1(const std::optional<event_info>& found) const {
    if (!found) return nullptr;
    auto made = std::make_shared<node>(node{.type = "Event"});
    made->scalars = {{"id", to_string(found->id)},
                     {"name", shown_name(found->event.name)},
                     {"payload", dumped(shown_json(found->event.name, found->event.data))},
                     {"createdAt", to_string(found->received_at)}};
    made->lookups = {{"functionRuns", [this, ids = found->runs](const json&) -> field_value {
                        std::vector<node_ptr> nodes;
                        for (const auto& id : ids) {
                          if (auto one = run_v1(parts_.runtime.get(id))) nodes.push_back(std::move(one));
                        }
                        return nodes;
                      }}};
    return made;
  }
  std::vector<node_ptr> events() const {
    std::vector<node_ptr> nodes;
    for (const auto& one : parts_.runtime.list_events({}, {.limit = 100}).events) nodes.push_back(event_v1(one));
    return nodes;
  }
  node_ptr events_v2(const json& arguments) const {
    const auto told = object_in(arguments, "filter", {"from", "until", "eventNames", "includeInternalEvents", "query"});
    event_filter filter{.received_after = time_in(told, "from"), .received_before = time_in(told, "until")};
    filter.system = told.value("includeInternalEvents", true) ? system_events::included : system_events::left_out;
    if (const auto names = told.value("eventNames", json::array()); names.is_array() && !names.empty()) {
      if (names.size() > 1) throw unmet{"filter.eventNames: this server takes one name at a time"};
      filter.name = names[0].get<std::string>();
    }
    if (!told.value("query", json{}).is_null()) throw unmet{"filter.query is not supported by this server"};
    event_page_request page{.limit = page_size(arguments, 40)};
    const bool has_previous = arguments.contains("after") && !arguments["after"].is_null();
    if (has_previous) page.before = id_in<event_id>(arguments, "after");
    const auto found = page_of_events(parts_.runtime, filter, page);
    std::vector<item> items;
    for (const auto& one : found.events) items.push_back({to_string(one.id), [this, one] { return event_v2(one); }});
    return connection("EventsEdge", "EventsConnection", std::move(items), text_of(found.next), has_previous);
  }

  // ---- changes

  node_ptr cancel(const run_id& run) const {
    switch (cancel_one(parts_, run, {})) {
      case cancel_outcome::cancelled:
      case cancel_outcome::cancelling:
      case cancel_outcome::already_cancelled:
        return run_v1(parts_.runtime.get(run));
      case cancel_outcome::already_completed:
      case cancel_outcome::already_failed:
        throw unmet{"cannot cancel an ended run"};
      case cancel_outcome::unknown_run: break;
    }
    throw unmet{"no run " + to_string(run) + " is stored"};
  }
  json rerun(const json& arguments) const {
    const auto from = object_in(arguments, "fromStep", {"stepID", "input"});
    if (!from.value("input", json{}).is_null()) throw unmet{"fromStep.input is not supported by this server: the step is executed as it was"};
    return to_string(parts_.runtime.replay(id_in<run_id>(arguments, "runID"), {.from_step = from.value("stepID", "")}));
  }

  const api_parts& parts_;
  const std::vector<app_registration> apps_;
};

}  // namespace

json page_info(const std::vector<std::string>& cursors, const std::optional<std::string>& next, bool has_previous) {
  return {{"hasNextPage", next.has_value()},
          {"hasPreviousPage", has_previous},
          {"startCursor", cursors.empty() ? json(nullptr) : json(cursors.front())},
          {"endCursor", next ? json(*next) : cursors.empty() ? json(nullptr) : json(cursors.back())}};
}

json gql_answer(const api_parts& parts, const json& body) {
  const auto text = body.find("query");
  if (text == body.end() || !text->is_string()) throw refusal{400, "query is required: the text of a GraphQL request"};
  const auto name = body.find("operationName");
  const world all{parts};
  return graphql::execute(gql_schema(), all.query(), all.mutation(), text->get<std::string>(), body.value("variables", json{}),
                          name != body.end() && name->is_string() ? name->get<std::string>() : std::string{});
}

http::response api::graphql(const api_call& call) { return plain(200, gql_answer(call.parts, call.object())); }

}  // namespace caesura::server
