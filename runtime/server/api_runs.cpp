// Runs and events: read, explained, cancelled, replayed, followed.

#include <algorithm>
#include <array>

#include "runtime/server/api_call.hpp"
#include "runtime/server/api_views.hpp"
#include "runtime/server/explain.hpp"
#include "runtime/server/metrics.hpp"
#include "runtime/server/pages.hpp"
#include "runtime/server/run_feed.hpp"
#include "runtime/server/sdk_protocol.hpp"

namespace caesura::server {

using http::response;
using nlohmann::json;

namespace {

constexpr std::array all_statuses{run_status::scheduled,   run_status::queued, run_status::running,   run_status::sleeping, run_status::waiting,
                                  run_status::backing_off, run_status::held,   run_status::completed, run_status::failed,   run_status::cancelled,
                                  run_status::skipped};

// By the runtime's word ("sleeping") or by the SDK's ("Running"), which stands for several.
std::vector<run_status> statuses_named(const std::string& text) {
  std::vector<run_status> found;
  for (const auto status : all_statuses) {
    if (text == to_string(status) || text == status_text(status)) found.push_back(status);
  }
  if (found.empty()) throw refusal{400, "status \"" + text + "\" is none: see the member state of a run"};
  return found;
}

std::vector<std::string> every(const http::query_list& query, std::string_view name) {
  std::vector<std::string> found;
  for (const auto& [key, value] : query) {
    if (key == name && !value.empty()) found.push_back(value);
  }
  return found;
}

// How many attempts of what is tried now have failed.
std::uint32_t failed_attempts(const std::vector<timeline_entry>& timeline) {
  std::uint32_t failed = 0;
  for (auto entry = timeline.rbegin(); entry != timeline.rend(); ++entry) {
    if (entry->what == moment::attempt_failed) {
      ++failed;
    } else if (entry->what != moment::under_way) {
      break;
    }
  }
  return failed;
}

}  // namespace

cancel_outcome cancel_one(const api_parts& parts, const run_id& run, const std::string& reason) {
  const auto outcome = parts.runtime.cancel(run, {.reason = reason, .by = "api"});
  parts.counts.count_cancel(outcome);
  if (outcome == cancel_outcome::cancelling && parts.feed.clients() > 0) {
    if (const auto found = parts.runtime.get(run)) parts.feed.tell("run.cancelling", found->function, run, {{"at", now_text()}, {"reason", reason}});
  }
  return outcome;
}

std::vector<std::string> api_call::functions_of_query() const {
  auto named = every(asked.query, "function_id");
  constexpr std::size_t uuid_length = 36;
  if (std::ranges::none_of(named, [](const std::string& id) { return id.size() == uuid_length; })) return named;
  for (const auto& known : parts.runtime.functions()) std::ranges::replace(named, uuid_of(known.id), known.id);
  return named;
}

namespace api {

response list_events(const api_call& call) {
  const auto& query = call.asked.query;
  event_filter filter{.name = query.get("name"), .received_after = call.query_time("received_after"), .received_before = call.query_time("received_before")};
  if (filter.name.empty() && query.get("include_internal") != "true") filter.system = system_events::left_out;
  if (!filter.received_after) {
    constexpr auto usual_window = std::chrono::hours{1};
    const auto end = filter.received_before.value_or(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()));
    filter.received_after = end - usual_window;
  }
  event_page_request page{.limit = call.query_limit(20, 1'000)};
  if (const auto cursor = query.get("cursor"); !cursor.empty()) page.before = api_call::id_of<event_id>(cursor, "event");
  const auto found = page_of_events(call.parts.runtime, filter, page);
  json events = json::array();
  for (const auto& one : found.events) events.push_back(event_json(one));
  auto answer = enveloped(std::move(events));
  if (found.next) answer.headers.add("x-caesura-next", to_string(*found.next));
  return answer;
}

response show_event(const api_call& call) { return enveloped(event_json(call.event())); }

response runs_of_event(const api_call& call) {
  json runs = json::array();
  for (const auto& id : call.event().runs) {
    if (const auto found = call.parts.runtime.get(id)) runs.push_back(run_json(*found));
  }
  return enveloped(std::move(runs));
}

response list_runs(const api_call& call) {
  const auto& query = call.asked.query;
  run_filter filter{.created_after = call.query_time("started_after"), .created_before = call.query_time("started_before"), .when = query.get("if")};
  filter.function.values = call.functions_of_query();
  for (const auto& status : every(query, "status")) std::ranges::copy(statuses_named(status), std::back_inserter(filter.status.values));
  page_request page{.limit = call.query_limit(20, 1'000)};
  if (const auto cursor = query.get("cursor"); !cursor.empty()) page.before = api_call::id_of<run_id>(cursor, "run");
  const auto found = page_of_runs(call.parts.runtime, filter, page);
  json runs = json::array();
  for (const auto& one : found.runs) runs.push_back(run_json(one));
  auto answer = enveloped(std::move(runs));
  if (found.next) answer.headers.add("x-caesura-next", to_string(*found.next));
  return answer;
}

response show_run(const api_call& call) { return enveloped(run_json(call.run())); }

// Also of a run that has ended, which stays as it is.
response cancel_run(const api_call& call) {
  const auto& text = call.arguments[0];
  const auto outcome = cancel_one(call.parts, api_call::id_of<run_id>(text, "run"), call.asked.query.get("reason"));
  if (outcome == cancel_outcome::unknown_run) throw refusal{404, "Unable to load function run: " + text};
  return {.status = 200, .headers = {{"content-type", "application/json"}, {"x-caesura-outcome", std::string{to_string(outcome)}}}, .body = {}};
}

response replay_run(const api_call& call) {
  const auto told = call.object_of({"from_step"});
  const auto replayed = call.parts.runtime.replay(api_call::id_of<run_id>(call.arguments[0], "run"), {.from_step = told.value("from_step", "")});
  return enveloped({{"run_id", to_string(replayed)}});
}

// What is planned for a run: nothing or one thing, as its state says.
response jobs_of_run(const api_call& call) {
  const auto run = call.run();
  json jobs = json::array();
  if (!is_ended(run.status)) {
    const bool rests = run.status == run_status::sleeping || run.status == run_status::waiting;
    const auto kind = !run.started_at ? "start" : run.status == run_status::sleeping ? "sleep" : run.status == run_status::waiting ? "pause" : "edge";
    const auto failed = rests ? 0 : failed_attempts(call.parts.runtime.timeline(run.id));
    jobs.push_back({{"JobID", to_string(run.id) + "-" + std::to_string(run.step_count) + "-" + std::to_string(failed)},
                    {"at", to_string(run.wakes_at.value_or(run.created_at))},
                    {"position", run.place_in_queue ? json(*run.place_in_queue) : json(0)},
                    {"kind", kind},
                    {"attempt", failed},
                    {"Raw", {{"status", to_string(run.status)}, {"held_because", run.held_because}}}});
  }
  return enveloped(std::move(jobs));
}

// Why the run is where it is; with ?event=ID also what that event did to it.
response explain(const api_call& call) {
  std::optional<event_id> about;
  if (const auto text = call.asked.query.get("event"); !text.empty()) about = api_call::id_of<event_id>(text, "event");
  return enveloped(explain_run(call.parts.runtime, call.run(), about));
}

void stream_runs(const api_call& call) {
  feed_filter filter{.functions = call.functions_of_query(), .run = call.asked.query.get("run_id")};
  if (!filter.run.empty()) filter.run = to_string(api_call::id_of<run_id>(filter.run, "run"));
  auto& feed = call.parts.feed;
  if (!feed.has_room()) throw refusal{503, "as many clients follow the stream as may: try again later"};
  call.parts.counts.count_response(200);
  feed.add(call.respond.start_stream(200, {{"content-type", "text/event-stream"}, {"cache-control", "no-store"}, {"x-accel-buffering", "no"}}), std::move(filter));
}

}  // namespace api

}  // namespace caesura::server
