#include "runtime/server/explain.hpp"

namespace caesura::server {

namespace {

using nlohmann::json;

std::string wake(const run_info& run) { return run.wakes_at ? to_string(*run.wakes_at) : "a time that is not recorded yet"; }

std::string cancel_text(const cancellation& by) {
  std::string text{to_string(by.source)};
  if (!by.by.empty()) text += " (" + by.by + ")";
  if (!by.event.is_nil()) text.append(" ").append(to_string(by.event));
  if (!by.parent.is_nil()) text.append(" ").append(to_string(by.parent));
  if (!by.reason.empty()) text += ": " + by.reason;
  return text;
}

std::string because(const run_info& run) {
  switch (run.status) {
    case run_status::scheduled: return "it starts at " + wake(run) + ": its event lies in the future, or it collects events until then";
    case run_status::queued:
      return "it waits for a slot" + (run.place_in_queue ? "; runs that go first: " + std::to_string(*run.place_in_queue) : std::string{});
    case run_status::running: return run.is_cancelling ? "a cancel is recorded; a step executes, and completes first" : "a step or call executes, or is about to";
    case run_status::sleeping: return "it sleeps until " + wake(run);
    case run_status::waiting: return run.wakes_at ? "it waits, until " + wake(run) + " at the latest" : "it waits, without a limit";
    case run_status::backing_off: return "a step failed; it is tried again at " + wake(run);
    case run_status::held: return run.held_because;
    case run_status::completed: return "its body returned";
    case run_status::failed: return run.error ? run.error->name + ": " + run.error->message : "it ended with an error";
    case run_status::cancelled: return run.cancelled_by ? "asked by " + cancel_text(*run.cancelled_by) : "it was cancelled";
    case run_status::skipped: return "it never started: " + run.held_because;
  }
  return {};
}

json event_part(const explanation& told) {
  json rules = json::array();
  for (const auto& rule : told.rules) {
    json values = json::object();
    for (const auto& [path, value] : rule.values) values[path] = value;
    rules.push_back({{"rule", rule.rule}, {"event", rule.event}, {"when", rule.when}, {"applies", rule.applies}, {"why", rule.why}, {"values", values}});
  }
  return {{"cancelled", told.cancelled}, {"resumed", told.resumed}, {"conclusion", told.conclusion}, {"rules", rules}};
}

}  // namespace

json explain_run(const caesura::runtime& runtime, const run_info& run, const std::optional<event_id>& event) {
  json timeline = json::array();
  json waits_for = json::array();
  for (const auto& entry : runtime.timeline(run.id)) {
    json line{{"at", to_string(entry.at)}, {"what", to_string(entry.what)}, {"text", entry.text}};
    if (!entry.step.empty()) line["step"] = entry.step;
    if (entry.attempt > 0) line["attempt"] = entry.attempt;
    if (entry.since) line["since"] = to_string(*entry.since);
    if (entry.what == moment::under_way && run.status != run_status::held) waits_for.push_back(entry.text);
    timeline.push_back(std::move(line));
  }
  json told{{"run_id", to_string(run.id)}, {"function", run.function}, {"state", to_string(run.status)}, {"because", because(run)}, {"waits_for", waits_for}, {"timeline", timeline}};
  if (run.wakes_at) told["wakes_at"] = to_string(*run.wakes_at);
  if (event) told["event"] = event_part(runtime.explain(*event, run.id));
  return told;
}

}  // namespace caesura::server
