#include "runtime/server/api.hpp"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "runtime/server/explain.hpp"
#include "runtime/server/http/json_reader.hpp"
#include "runtime/server/http/signature.hpp"
#include "runtime/server/http/url.hpp"
#include "runtime/server/sdk_protocol.hpp"

namespace caesura::server {

namespace {

using http::request;
using http::response;
using nlohmann::json;

// Thrown to answer with a status other than 200.
struct refusal {
  int status;
  std::string text;
};

int status_of(errc code) {
  switch (code) {
    case errc::unknown_run:
    case errc::unknown_function:
    case errc::unknown_event:
    case errc::unknown_bulk:
    case errc::unknown_plan:
      return 404;
    case errc::duplicate_id:
    case errc::run_not_ended:
    case errc::function_paused:
    case errc::run_not_completed:
      return 409;
    case errc::overloaded:
    case errc::stopped:
      return 503;
    case errc::storage_full: return 507;
    case errc::invalid_function:
    case errc::invalid_event:
    case errc::invalid_expression:
    case errc::invalid_argument:
    case errc::result_type:
      return 400;
    case errc::storage_failed:
    case errc::outcome_unknown:
    case errc::store_corrupt:
    case errc::store_newer:
    case errc::store_locked:
    case errc::step_inside_step:
    case errc::wrong_thread:
      return 500;
  }
  return 500;
}

response plain(int status, const json& body) { return response::json(status, body.dump()); }

response enveloped(json data) {
  return plain(200, {{"data", std::move(data)}, {"metadata", {{"fetched_at", to_string(std::chrono::floor<std::chrono::milliseconds>(
                                                                    std::chrono::system_clock::now()))},
                                                               {"cached_until", nullptr}}}});
}

json time_or_null(const std::optional<time_point>& time) { return time ? json(to_string(*time)) : json(nullptr); }

// ---- what is shown

std::string_view status_text(run_status status) {
  switch (status) {
    case run_status::scheduled:
    case run_status::queued:
      return "Scheduled";
    case run_status::running:
    case run_status::sleeping:
    case run_status::waiting:
    case run_status::backing_off:
    case run_status::held:
      return "Running";
    case run_status::completed: return "Completed";
    case run_status::failed: return "Failed";
    case run_status::cancelled: return "Cancelled";
    case run_status::skipped: return "Skipped";
  }
  return "Unknown";
}

json run_json(const run_info& run) {
  json out{{"run_id", to_string(run.id)},
           {"run_started_at", to_string(run.started_at.value_or(run.created_at))},
           {"function_id", uuid_of(run.function)},
           {"function_version", 1},
           {"environment_id", "00000000-0000-4000-b000-000000000000"},
           {"event_id", to_string(run.event)},
           {"status", status_text(run.status)},
           {"ended_at", time_or_null(run.ended_at)},
           // Beyond the model:
           {"function", run.function},
           {"state", to_string(run.status)}};
  if (!run.root.is_nil()) out["original_run_id"] = to_string(run.root);
  if (run.status == run_status::completed) out["output"] = run.output.json();
  if (run.error) out["output"] = {{"name", run.error->name}, {"message", run.error->message}};
  if (run.is_cancelling) out["cancelling"] = true;
  if (!run.held_because.empty()) out["held_because"] = run.held_because;
  if (run.cancelled_by) {
    out["cancelled_by"] = {{"source", to_string(run.cancelled_by->source)}, {"reason", run.cancelled_by->reason}, {"by", run.cancelled_by->by}};
    if (!run.cancelled_by->event.is_nil()) out["cancelled_by"]["event_id"] = to_string(run.cancelled_by->event);
  }
  return out;
}

json event_json(const event_info& stored) {
  return {{"internal_id", to_string(stored.id)},
          {"account_id", "00000000-0000-4000-a000-000000000000"},
          {"environment_id", "00000000-0000-4000-b000-000000000000"},
          {"source", "api"},
          {"source_id", nullptr},
          {"received_at", to_string(stored.received_at)},
          {"id", stored.event.id},
          {"name", stored.event.name},
          {"data", stored.event.data.is_null() ? json::object() : stored.event.data.json()},
          {"ts", stored.event.time ? stored.event.time->time_since_epoch().count() : 0}};
}

json cancellation_json(const bulk_progress& job) {
  const auto& filter = job.filter;
  const auto function = filter.function.empty() ? std::string{} : filter.function.values[0];
  return {{"id", to_string(job.id)},
          {"created_at", to_string(job.started_at)},
          {"name", nullptr},
          {"function_id", function},
          {"function_internal_id", uuid_of(function)},
          {"environment_id", "00000000-0000-4000-b000-000000000000"},
          {"started_after", time_or_null(filter.started_after)},
          {"started_before", time_or_null(filter.started_before)},
          {"if", filter.when.empty() ? json(nullptr) : json(filter.when)},
          {"kind", "bulk_run"},
          {"cause", "API"},
          {"progress",
           {{"status", job.status == bulk_progress::state::working ? "working" : job.status == bulk_progress::state::done ? "done" : "stopped"},
            {"matched", job.matched},
            {"cancelled", job.cancelled},
            {"cancelling", job.cancelling},
            {"already_ended", job.already_ended},
            {"left", job.left},
            {"ended_at", time_or_null(job.ended_at)}}}};
}

// ---- one request

class api_call {
 public:
  api_call(const api_parts& parts, const request& asked) : parts_{parts}, asked_{asked} {
    std::size_t at = 0;
    while (at < asked.path.size()) {
      const auto next = std::min(asked.path.find('/', at), asked.path.size());
      if (next > at) segments_.push_back(asked.path.substr(at, next - at));
      at = next + 1;
    }
  }

  response perform() {
    if (is("GET", {"health"})) return plain(200, {{"status", 200}, {"message", "OK"}});
    if (is("GET", {"dev"})) return dev();
    if (is("POST", {"fn", "register"})) return register_app();
    if (is("POST", {"e", "*"})) return send_events();
    check_key();
    if (is("POST", {"v1", "checkpoint", "*", "async"})) return checkpoint(segments_[2]);
    if (is("GET", {"v0", "runs", "*", "batch"})) return response::json(200, events_body({trigger_of(run(segments_[2]))}));
    if (is("GET", {"v0", "runs", "*", "actions"})) return response::json(200, steps_body(parts_.runtime.steps(run(segments_[2]).id)));
    if (is("GET", {"v1", "events"})) return list_events();
    if (is("GET", {"v1", "events", "*"})) return enveloped(event_json(event(segments_[2])));
    if (is("GET", {"v1", "events", "*", "runs"})) return runs_of_event();
    if (is("GET", {"v1", "runs", "*"})) return enveloped(run_json(run(segments_[2])));
    if (is("DELETE", {"v1", "runs", "*"})) return cancel_run();
    if (is("POST", {"v1", "runs", "*", "replay"})) return replay_run();
    if (is("GET", {"v1", "runs", "*", "explain"})) return explain();
    if (is("GET", {"v1", "runs"})) return list_runs();
    if (is("POST", {"v1", "cancellations"})) return cancel_many();
    if (is("GET", {"v1", "cancellations"})) return list_cancellations();
    if (is("GET", {"v1", "cancellations", "*"})) return show_cancellation();
    if (is("DELETE", {"v1", "cancellations", "*"})) return stop_cancellation();
    if (is("GET", {"v1", "functions"})) return list_functions();
    if (is("POST", {"v1", "functions", "*", "pause"})) return pause_function();
    if (is("POST", {"v1", "functions", "*", "resume"})) return resume_function();
    throw refusal{404, asked_.method + " " + asked_.path + " is not part of this server's API"};
  }

 private:
  bool is(std::string_view method, std::initializer_list<std::string_view> pattern) const {
    return asked_.method == method && std::ranges::equal(segments_, pattern, [](const std::string& given, std::string_view expected) {
             return expected == "*" || given == expected;
           });
  }

  void check_key() const {
    if (parts_.hashed_key.empty()) return;
    const auto given = asked_.headers.get("authorization");
    constexpr std::string_view scheme = "Bearer ";
    if (!given.starts_with(scheme) || !http::equal_in_constant_time(std::string_view{given}.substr(scheme.size()), parts_.hashed_key)) {
      throw refusal{401, "the header authorization does not carry the hashed signing key"};
    }
  }

  [[nodiscard]] document body() const {
    try {
      return http::parse_json(asked_.body);
    } catch (const error& e) {
      throw refusal{400, std::string{"the body is no JSON: "} + e.what()};
    }
  }

  template <class Id>
  static Id id_of(const std::string& text, const char* what) {
    const auto id = parse_id<Id>(text);
    if (!id) throw refusal{400, std::string{"Invalid "} + what + " ID: " + text};
    return *id;
  }
  run_info run(const std::string& text) const {
    auto found = parts_.runtime.get(id_of<run_id>(text, "run"));
    if (!found) throw refusal{404, "no run " + text + " is stored"};
    return std::move(*found);
  }
  event_info event(const std::string& text) const {
    auto found = parts_.runtime.find_event(id_of<event_id>(text, "event"));
    if (!found) throw refusal{404, "no event " + text + " is stored"};
    return std::move(*found);
  }
  caesura::event trigger_of(const run_info& run) const { return event(to_string(run.event)).event; }

  // ---- the SDK's side

  response dev() const {
    json functions = json::array();
    for (const auto& app : parts_.apps.all()) {
      for (const auto& fn : app.functions) functions.push_back({{"id", fn.id}, {"name", fn.name}, {"slug", fn.id}, {"triggers", fn.registered.json().value("triggers", json::array())}});
    }
    return plain(200, {{"version", "caesura"}, {"authed", false}, {"startOpts", json::object()}, {"functions", functions}, {"handlers", json::array()}});
  }

  response register_app() const {
    check_key();
    const auto expected = asked_.headers.get("x-inngest-expected-server-kind");
    if (expected == "cloud") throw refusal{400, "Expected server kind cloud, got dev"};
    const auto told = body();
    const auto app = read_registration(told);
    parts_.register_app(app, told);
    return plain(200, {{"ok", true}, {"modified", true}, {"sync_id", uuid_of(app.name + "/sync")}, {"app_id", uuid_of(app.name)}});
  }

  // Re-sending with the same seed repeats the ids of events that have none of their own.
  void add_seeded_ids(std::vector<caesura::event>& events) const {
    const auto seed = asked_.headers.get("x-inngest-event-id-seed");
    if (seed.empty() || seed.size() > 100) return;
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (events[i].id.empty()) events[i].id = "seed-" + http::sha256_hex(seed + "/" + std::to_string(i)).substr(0, 32);
    }
  }

  response send_events() const {
    if (!parts_.event_keys.empty() &&
        std::ranges::none_of(parts_.event_keys, [&](const std::string& key) { return http::equal_in_constant_time(key, segments_[1]); })) {
      return plain(401, {{"status", 401}, {"message", ""}, {"error", "Event key not found"}});
    }
    const auto told = body().json();
    std::vector<caesura::event> events;
    if (told.is_array()) {
      for (const auto& one : told) events.push_back(read_event(one));
    } else {
      events.push_back(read_event(told));
    }
    add_seeded_ids(events);
    json ids = json::array();
    if (!events.empty()) {
      for (const auto& sent : parts_.runtime.send(events)) ids.push_back(to_string(sent.id));
    }
    return plain(200, {{"ids", ids}, {"status", 200}});
  }

  response checkpoint(const std::string& text) const {
    auto told = read_checkpoint(body());
    switch (parts_.runtime.checkpoint(id_of<run_id>(text, "run"), told.activation, std::move(told.steps))) {
      case remote::checkpoint_outcome::recorded: return plain(200, json::object());
      case remote::checkpoint_outcome::stale: throw refusal{409, "run " + text + " is being cancelled, has ended or is executed elsewhere: stop here"};
      case remote::checkpoint_outcome::unknown_run: throw refusal{404, "no run " + text + " is stored"};
    }
    return plain(500, json::object());
  }

  // ---- runs

  response runs_of_event() const {
    json runs = json::array();
    for (const auto& id : event(segments_[2]).runs) {
      if (const auto found = parts_.runtime.get(id)) runs.push_back(run_json(*found));
    }
    return enveloped(std::move(runs));
  }

  // Also of a run that has ended, which stays as it is.
  response cancel_run() const {
    const auto outcome = parts_.runtime.cancel(id_of<run_id>(segments_[2], "run"), {.reason = asked_.query.get("reason"), .by = "api"});
    if (outcome == cancel_outcome::unknown_run) throw refusal{404, "Unable to load function run: " + segments_[2]};
    return {.status = 200, .headers = {{"content-type", "application/json"}, {"x-caesura-outcome", std::string{to_string(outcome)}}}, .body = {}};
  }

  response replay_run() const {
    const auto told = asked_.body.empty() ? json::object() : body().json();
    const auto replayed = parts_.runtime.replay(id_of<run_id>(segments_[2], "run"), {.from_step = told.value("from_step", "")});
    return enveloped({{"run_id", to_string(replayed)}});
  }

  // Why the run is where it is; with ?event=ID also what that event did to it.
  response explain() const {
    std::optional<event_id> about;
    if (const auto text = asked_.query.get("event"); !text.empty()) about = id_of<event_id>(text, "event");
    return enveloped(explain_run(parts_.runtime, run(segments_[2]), about));
  }

  // Of the last hour, unless a window is told; the system's own only if asked for, or by name.
  response list_events() const {
    const auto& query = asked_.query;
    const auto time = [&](const char* name) -> std::optional<time_point> {
      const auto text = query.get(name);
      if (text.empty()) return std::nullopt;
      const auto found = parse_time(text);
      if (!found) throw refusal{400, std::string{name} + " is \"" + std::string{text} + "\", which is no RFC 3339 time"};
      return found;
    };
    event_filter filter{.name = std::string{query.get("name")}, .received_after = time("received_after"), .received_before = time("received_before")};
    if (filter.name.empty() && query.get("include_internal") != "true") filter.system = system_events::left_out;
    if (!filter.received_after) {
      const auto end = filter.received_before.value_or(std::chrono::floor<duration>(std::chrono::system_clock::now()));
      filter.received_after = end - std::chrono::hours{1};
    }
    event_page_request page{.limit = 20};
    if (const auto limit = query.get("limit"); !limit.empty()) page.limit = static_cast<std::size_t>(std::clamp(std::atoi(limit.c_str()), 1, 1'000));
    if (const auto cursor = query.get("cursor"); !cursor.empty()) page.before = id_of<event_id>(cursor, "event");
    const auto found = parts_.runtime.list_events(filter, page);
    json events = json::array();
    for (const auto& one : found.events) events.push_back(event_json(one));
    auto answer = enveloped(std::move(events));
    if (found.next) answer.headers.add("x-caesura-next", to_string(*found.next));
    return answer;
  }

  response list_runs() const {
    run_filter filter;
    if (const auto function = asked_.query.get("function_id"); !function.empty()) filter.function = function;
    page_request page{.limit = 20};
    if (const auto limit = asked_.query.get("limit"); !limit.empty()) page.limit = static_cast<std::size_t>(std::clamp(std::atoi(limit.c_str()), 1, 1'000));
    if (const auto cursor = asked_.query.get("cursor"); !cursor.empty()) page.before = id_of<run_id>(cursor, "run");
    filter.when = asked_.query.get("if");
    const auto found = parts_.runtime.list(filter, page);
    json runs = json::array();
    for (const auto& one : found.runs) runs.push_back(run_json(one));
    auto answer = enveloped(std::move(runs));
    if (found.next) answer.headers.add("x-caesura-next", to_string(*found.next));
    return answer;
  }

  // ---- bulk

  static std::optional<time_point> time_in(const json& told, const char* key, std::string& faults) {
    const auto found = told.find(key);
    if (found == told.end() || found->is_null()) return std::nullopt;
    const auto time = found->is_string() ? parse_time(found->get<std::string>()) : std::nullopt;
    if (!time) faults += std::string{faults.empty() ? "" : "\n"} + key + " is no RFC 3339 time";
    return time;
  }

  run_filter filter_of(const json& told) const {
    if (!told.is_object()) throw refusal{400, "Invalid cancellation request"};
    std::string faults;
    const auto need = [&](const char* key) {
      if (told.contains(key) && told[key].is_string() && !told[key].get<std::string>().empty()) return told[key].get<std::string>();
      faults += std::string{faults.empty() ? "" : "\n"} + key + " is required";
      return std::string{};
    };
    const auto app = need("app_id");
    const auto function = need("function_id");
    run_filter filter{.started_after = time_in(told, "started_after", faults), .started_before = time_in(told, "started_before", faults)};
    if (!told.contains("started_before")) faults += std::string{faults.empty() ? "" : "\n"} + "started_before is required";
    constexpr auto tolerated = std::chrono::seconds{5};
    const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    if (filter.started_before && *filter.started_before > now + tolerated) faults += std::string{faults.empty() ? "" : "\n"} + "started_before must be in the past";
    if (filter.started_before && *filter.started_before > now) filter.started_before = now;
    if (filter.started_after && filter.started_before && *filter.started_after >= *filter.started_before) {
      faults += std::string{faults.empty() ? "" : "\n"} + "started_after must be before started_before";
    }
    if (!faults.empty()) throw refusal{400, faults};
    // By the function's own id or by the composite one.
    const auto known = parts_.runtime.functions();
    const auto is_known = [&](const std::string& id) { return std::ranges::find(known, id, &function_info::id) != known.end(); };
    const auto composite = app + "-" + function;
    if (!is_known(function) && !is_known(composite)) throw refusal{404, "function not found"};
    filter.function = is_known(composite) ? composite : function;
    filter.when = told.value("if", "");
    return filter;
  }

  response cancel_many() const {
    const auto told = body().json();
    auto filter = filter_of(told);
    if (told.value("dry_run", false)) {
      filter.status = {run_status::scheduled, run_status::queued, run_status::running, run_status::sleeping, run_status::waiting, run_status::backing_off, run_status::held};
      const auto plan = parts_.runtime.preview(filter);
      json sample = json::array();
      for (const auto& one : plan.sample) sample.push_back(run_json(one));
      return enveloped({{"dry_run", true}, {"count", plan.count}, {"token", to_string(plan.token)}, {"sample", sample}});
    }
    const auto job = parts_.runtime.cancel_all(filter, {.reason = told.value("reason", ""), .by = "api"});
    return enveloped(cancellation_json(parts_.runtime.progress(job).value()));
  }

  bulk_progress cancellation() const {
    const auto id = parse_id<bulk_id>(segments_[2]);
    if (!id) throw refusal{400, "Invalid cancellation ID"};
    auto found = parts_.runtime.progress(*id);
    if (!found || found->is_replay) throw refusal{404, "Cancellation not found"};
    return std::move(*found);
  }
  response show_cancellation() const { return enveloped(cancellation_json(cancellation())); }
  response stop_cancellation() const {
    (void)parts_.runtime.stop(cancellation().id);
    return enveloped({{"ok", true}});
  }
  response list_cancellations() const {
    json jobs = json::array();
    for (const auto& job : parts_.runtime.bulk_jobs()) {
      if (!job.is_replay) jobs.push_back(cancellation_json(job));
    }
    return enveloped(std::move(jobs));
  }

  // ---- functions

  response list_functions() const {
    json functions = json::array();
    for (const auto& fn : parts_.runtime.functions()) {
      functions.push_back({{"id", fn.id}, {"is_registered", fn.is_registered}, {"is_paused", fn.is_paused}, {"pause_reason", fn.pause_reason},
                           {"paused_at", time_or_null(fn.paused_at)}, {"skipped", fn.skipped}});
    }
    return enveloped(std::move(functions));
  }
  response pause_function() const {
    const auto told = asked_.body.empty() ? json::object() : body().json();
    pause_request pause{.reason = told.value("reason", ""), .by = "api"};
    const auto how = told.value("running", "let_finish");
    if (how == "hold") {
      pause.under_way = running_runs::hold;
    } else if (how == "cancel") {
      pause.under_way = running_runs::cancel;
    } else if (how != "let_finish") {
      throw refusal{400, "running is \"" + how + "\"; it is one of let_finish, hold, cancel"};
    }
    const auto done = parts_.runtime.pause(segments_[2], pause);
    return enveloped({{"was_paused", done.was_paused}});
  }
  response resume_function() const {
    const auto told = asked_.body.empty() ? json::object() : body().json();
    const auto done = parts_.runtime.resume(segments_[2], {.replay_skipped = told.value("replay_skipped", false)});
    return enveloped({{"was_paused", done.was_paused}, {"skipped", done.skipped}});
  }

  const api_parts& parts_;
  const request& asked_;
  std::vector<std::string> segments_;
};

}  // namespace

response answer(const api_parts& parts, const request& request) try {
  return api_call{parts, request}.perform();
} catch (const refusal& no) {
  return response::error(no.status, no.text);
} catch (const error& e) {
  return response::error(status_of(e.code()), e.what());
} catch (const nlohmann::json::exception& e) {
  return response::error(400, std::string{"a member has another type than it should: "} + e.what());
} catch (const std::exception& e) {
  return response::error(500, e.what());
}

}  // namespace caesura::server
