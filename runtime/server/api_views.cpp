#include "runtime/server/api_views.hpp"

#include "runtime/server/invocation.hpp"
#include "runtime/server/sdk_protocol.hpp"

namespace caesura::server {

using nlohmann::json;

json time_or_null(const std::optional<time_point>& time) { return time ? json(to_string(*time)) : json(nullptr); }

std::string_view status_text(run_status status) noexcept {
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

std::vector<event_id> triggers_of(const run_info& run) { return run.events.empty() ? std::vector{run.event} : run.events; }

json whole_error(const run_info& run) {
  auto whole = run.output.is_object() ? run.output.json() : json::object();
  whole["name"] = run.error->name;
  whole["message"] = run.error->message;
  return whole;
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
  if (run.error) out["output"] = whole_error(run);
  if (run.is_cancelling) out["cancelling"] = true;
  if (!run.held_because.empty()) out["held_because"] = run.held_because;
  if (run.cancelled_by) {
    out["cancelled_by"] = {{"source", to_string(run.cancelled_by->source)}, {"reason", run.cancelled_by->reason}, {"by", run.cancelled_by->by}};
    if (!run.cancelled_by->event.is_nil()) out["cancelled_by"]["event_id"] = to_string(run.cancelled_by->event);
  }
  return out;
}

void add_user_and_version(json& shown, const event& e) {
  if (!e.user.is_null()) shown["user"] = e.user.json();
  if (!e.version.empty()) shown["v"] = e.version;
}

json event_json(const event_info& stored) {
  json shown{{"internal_id", to_string(stored.id)},
          {"account_id", "00000000-0000-4000-a000-000000000000"},
          {"environment_id", "00000000-0000-4000-b000-000000000000"},
          {"source", "api"},
          {"source_id", nullptr},
          {"received_at", to_string(stored.received_at)},
          {"id", stored.event.id},
          {"name", shown_name(stored.event.name)},
          {"data", shown_json(stored.event.name, stored.event.data)},
          {"ts", stored.event.time ? stored.event.time->time_since_epoch().count() : 0}};
  add_user_and_version(shown, stored.event);
  return shown;
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
          {"started_after", time_or_null(filter.created_after)},
          {"started_before", time_or_null(filter.created_before)},
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

json function_json(const app_registration& app, const app_function& fn) {
  const auto registered = fn.registered.json();
  return {{"id", uuid_of(fn.id)},
          {"slug", fn.id},
          {"name", fn.name.empty() ? fn.id : fn.name},
          {"url", fn.url},
          {"app", {{"id", uuid_of(app.name)}, {"name", app.name}, {"externalID", app.name}}},
          {"triggers", registered.value("triggers", json::array())},
          {"config", registered}};
}

}  // namespace caesura::server
