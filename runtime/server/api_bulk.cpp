// Many runs at once.

#include <algorithm>

#include "runtime/server/api_call.hpp"
#include "runtime/server/api_views.hpp"

namespace caesura::server {

using http::response;
using nlohmann::json;

namespace {

std::optional<time_point> time_in(const json& told, const char* key, std::string& faults) {
  const auto found = told.find(key);
  if (found == told.end() || found->is_null()) return std::nullopt;
  const auto time = found->is_string() ? parse_time(found->get<std::string>()) : std::nullopt;
  if (!time) faults += std::string{faults.empty() ? "" : "\n"} + key + " is no RFC 3339 time";
  return time;
}

run_filter filter_of(const api_call& call, const json& told) {
  std::string faults;
  const auto need = [&](const char* key) {
    if (told.contains(key) && told[key].is_string() && !told[key].get<std::string>().empty()) return told[key].get<std::string>();
    faults += std::string{faults.empty() ? "" : "\n"} + key + " is required";
    return std::string{};
  };
  const auto app = need("app_id");
  const auto function = need("function_id");
  run_filter filter{.created_after = time_in(told, "started_after", faults), .created_before = time_in(told, "started_before", faults)};
  if (const auto end = told.find("started_before"); end == told.end() || end->is_null()) faults += std::string{faults.empty() ? "" : "\n"} + "started_before is required";
  constexpr auto tolerated = std::chrono::seconds{5};
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  if (filter.created_before && *filter.created_before > now + tolerated) faults += std::string{faults.empty() ? "" : "\n"} + "started_before must be in the past";
  if (filter.created_before && *filter.created_before > now) filter.created_before = now;
  if (filter.created_after && filter.created_before && *filter.created_after >= *filter.created_before) {
    faults += std::string{faults.empty() ? "" : "\n"} + "started_after must be before started_before";
  }
  if (!faults.empty()) throw refusal{400, faults};
  // By the function's own id or by the composite one.
  const auto known = call.parts.runtime.functions();
  const auto is_known = [&](const std::string& id) { return std::ranges::find(known, id, &function_info::id) != known.end(); };
  const auto composite = app + "-" + function;
  if (!is_known(function) && !is_known(composite)) throw refusal{404, "function not found"};
  filter.function = is_known(composite) ? composite : function;
  filter.when = told.value("if", "");
  return filter;
}

bulk_progress cancellation_of(const api_call& call) {
  const auto id = parse_id<bulk_id>(call.arguments[0]);
  if (!id) throw refusal{400, "Invalid cancellation ID"};
  auto found = call.parts.runtime.progress(*id);
  if (!found || found->is_replay) throw refusal{404, "Cancellation not found"};
  return std::move(*found);
}

}  // namespace

namespace api {

response cancel_many(const api_call& call) {
  const auto told = call.object_of({"app_id", "function_id", "started_before", "started_after", "if", "reason", "dry_run"});
  auto filter = filter_of(call, told);
  if (told.value("dry_run", false)) {
    filter.status = {run_status::scheduled, run_status::queued, run_status::running, run_status::sleeping, run_status::waiting, run_status::backing_off, run_status::held};
    const auto plan = call.parts.runtime.preview(filter);
    json sample = json::array();
    for (const auto& one : plan.sample) sample.push_back(run_json(one));
    return enveloped({{"dry_run", true}, {"count", plan.count}, {"token", to_string(plan.token)}, {"sample", sample}});
  }
  const auto job = call.parts.runtime.cancel_all(filter, {.reason = told.value("reason", ""), .by = "api"});
  return enveloped(cancellation_json(call.parts.runtime.progress(job).value()));
}

response show_cancellation(const api_call& call) { return enveloped(cancellation_json(cancellation_of(call))); }
response stop_cancellation(const api_call& call) {
  (void)call.parts.runtime.stop(cancellation_of(call).id);
  return enveloped({{"ok", true}});
}
response list_cancellations(const api_call& call) {
  json jobs = json::array();
  for (const auto& job : call.parts.runtime.bulk_jobs()) {
    if (!job.is_replay) jobs.push_back(cancellation_json(job));
  }
  return enveloped(std::move(jobs));
}

}  // namespace api

}  // namespace caesura::server
