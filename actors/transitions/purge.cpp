#include <algorithm>
#include <utility>
#include <vector>

#include "actors/transitions/flow_control.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

event_id first_event_at(time_point time) {
  event_id id;
  auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(time.time_since_epoch().count(), 0));
  for (int i = 5; i >= 0; --i, ms >>= 8) id.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms & 0xFF);
  return id;
}

// True when all ended runs have been looked at.
bool purge_runs(turn& now, purge_state& purge) {
  const time_point horizon = now.now - now.state.limits.keep_runs;
  std::vector<storage::run_record> old;
  std::size_t left = now.state.limits.purge_slice;
  const auto from = purge.runs;
  bool is_done = true;
  now.tx.each_ended_run(from, [&](const storage::run_record& run) {
    if (run.id == from) return true;
    if (left-- == 0 || run.created_at > horizon) {  // a run ends after its creation: none beyond is old
      is_done = run.created_at > horizon;
      return false;
    }
    purge.runs = run.id;
    if (run.ended_at.value_or(now.now) <= horizon) old.push_back(run);
    return true;
  });
  for (const auto& run : old) now.tx.purge_run(run, now.state.definition_of(run).record.function);
  return is_done;
}

bool is_needed(turn& now, const storage::event_record& event) {
  return std::ranges::any_of(event.runs, [&](const run_id& run) { return now.tx.find_run(run).has_value(); }) || now.tx.has_replay(event.id);
}

bool purge_events(turn& now, purge_state& purge) {
  const auto keep = std::max(now.state.limits.keep_events, now.state.limits.event_memory);
  const event_id horizon = first_event_at(now.now - keep);
  std::vector<storage::event_record> old;
  std::size_t left = now.state.limits.purge_slice;
  const auto from = purge.events;
  bool is_done = true;
  now.tx.each_event(from, [&](const storage::event_record& event) {
    if (event.id == from) return true;
    if (left-- == 0 || event.id >= horizon) {
      is_done = event.id >= horizon;
      return false;
    }
    purge.events = event.id;
    if (!is_needed(now, event)) old.push_back(event);
    return true;
  });
  for (const auto& event : old) now.tx.purge_event(event);
  if (!old.empty() && old.back().id > purge.events_kept_from) {
    purge.events_kept_from = old.back().id;
    now.tx.put_meta("events_kept_from", to_string(old.back().id));
  }
  return is_done;
}

void purge_jobs(turn& now) {
  std::vector<plan_id> plans;
  now.tx.each_plan([&](const plan_id& id, const storage::plan_record& plan) {
    if (plan.created_at + now.state.limits.keep_plans > now.now) return false;
    const bool is_used = std::ranges::any_of(now.state.sweeps, [&](const open_sweep& s) { return s.job && s.job->plan == id; });
    if (!is_used) plans.push_back(id);
    return true;
  });
  for (const auto& id : plans) now.tx.delete_plan(id);
  constexpr std::size_t jobs_kept = 1'000;
  const auto jobs = now.tx.newest_bulks(SIZE_MAX);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto& [id, job] = jobs[i];
    if (job.ended_at && (*job.ended_at + now.state.limits.keep_runs <= now.now || i >= jobs_kept)) now.tx.delete_bulk(id);
  }
}

}  // namespace

void apply(turn& now, const purge_slice&) {
  auto& purge = now.state.purge;
  now.state.undo.add([&purge, before = purge] { purge = before; });
  if (now.now < purge.not_before) {
    purge.next_at = purge.not_before;
    purge.is_under_way = false;
    return;
  }
  if (!std::exchange(purge.is_under_way, true)) {
    purge.runs = {};
    purge.events = {};
    purge.flow = 0;
    purge.has_flow_left = true;
    purge_jobs(now);
  }
  if (purge.has_flow_left) {
    purge.has_flow_left = !purge_flow(now, purge);
    if (purge.has_flow_left) return;
  }
  if (!purge_runs(now, purge) || !purge_events(now, purge)) return;
  purge.is_under_way = false;
  purge.next_at = now.now + now.state.limits.purge_every;
}

void apply(turn& now, const clock_jumped& command) {
  auto& purge = now.state.purge;
  now.state.undo.add([&purge, before = purge] { purge = before; });
  purge.not_before = now.now + days{1};
  now.say("the clock jumped by " + to_string(command.by) + ": sleeps and timeouts follow it, and nothing is purged for a day");
}

}  // namespace caesura::actors
