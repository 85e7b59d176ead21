#include <algorithm>
#include <utility>
#include <vector>

#include "actors/transitions/flow_control.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

constexpr std::size_t bytes_a_row = 200;  // beside the result

// What is damaged stays where it is, and keeps nothing else from being purged.
bool is_stored(turn& now, const run_id& run) {
  return read_sound(now, [&] { return now.tx.find_run(run).has_value(); }, true);
}

// True when all ended runs have been looked at.
bool purge_runs(turn& now, purge_state& purge) {
  const time_point horizon = now.now - now.state.limits.keep_runs;
  // What is told of a run is made of its record: after a long stop that comes first.
  bool is_untold = false;
  now.tx.each_outbox(now.state.outbox_seen, [&](const position& place, const storage::outbox_record&) {
    is_untold = time_of(place) <= horizon;
    return false;
  }, [](const position&, const error&) {});
  if (is_untold && now.state.outbox_size > 0) return false;
  std::vector<storage::run_record> old;
  std::size_t left = now.state.limits.purge_slice;
  std::size_t bytes = 0;  // that are held, or deleted
  const auto from = purge.runs;
  bool is_done = true;
  const auto visit = [&](const storage::run_record& run) {
    if (run.id == from) return true;
    // A run ends after its creation, so none beyond is old; but for one that was created while the clock was ahead.
    const bool is_young = run.created_at > horizon && run.created_at <= now.now;
    if (left-- == 0 || bytes >= now.state.limits.bytes_per_batch || is_young) {
      is_done = is_young;
      return false;
    }
    purge.runs = run.id;
    if (run.ended_at.value_or(now.now) > horizon) return true;
    bytes += run.output.bytes().size() + run.state_bytes + run.step_count * bytes_a_row;
    old.push_back(run);
    return true;
  };
  now.tx.each_ended_run(from, visit, [&](const position& id, const error& why) {
    purge.runs = id_cast<run_id>(id);
    now.say_once(why.what());
  });
  for (const auto& run : old) {
    const auto* def = read_sound(now, [&] { return &now.state.definition_of(run); }, nullptr);
    if (def != nullptr) now.tx.purge_run(run, def->record.function);
  }
  return is_done;
}

bool is_needed(turn& now, const storage::event_record& event) {
  return std::ranges::any_of(event.runs, [&](const run_id& run) { return is_stored(now, run); }) || now.tx.has_replay(event.id);
}

bool purge_events(turn& now, purge_state& purge) {
  const auto keep = std::max(now.state.limits.keep_events, now.state.limits.event_memory);
  const time_point horizon = now.now - keep;
  std::vector<storage::event_record> old;
  std::size_t left = now.state.limits.purge_slice;
  std::size_t bytes = 0;
  const auto from = purge.events;
  bool is_done = true;
  const auto visit = [&](const storage::event_record& event) {
    if (event.id == from) return true;
    // Ids never go back, so that those of events are ahead of the clock once it has been set back.
    const bool is_young = event.received_at >= horizon && event.received_at <= now.now;
    if (left-- == 0 || bytes >= now.state.limits.bytes_per_batch || is_young) {
      is_done = is_young;
      return false;
    }
    purge.events = event.id;
    if (event.received_at >= horizon || is_needed(now, event)) return true;
    bytes += event.content_bytes();
    old.push_back(event);
    return true;
  };
  now.tx.each_event(from, visit, [&](const position& id, const error& why) {
    purge.events = id_cast<event_id>(id);
    now.say_once(why.what());
  });
  for (const auto& event : old) now.tx.purge_event(event);
  if (!old.empty() && old.back().id > purge.events_kept_from) {
    purge.events_kept_from = old.back().id;
    now.tx.put_meta("events_kept_from", to_string(old.back().id));
  }
  return is_done;
}

void purge_jobs(turn& now) {
  const auto tell = now.tell_damage();
  std::vector<plan_id> plans;
  const auto visit = [&](const plan_id& id, const storage::plan_record& plan) {
    const auto good_until = plan.created_at + now.state.limits.keep_plans;
    if (good_until > now.now) return plan.created_at > now.now;  // none beyond is older, but for those made while the clock was ahead
    const bool is_used = std::ranges::any_of(now.state.sweeps, [&](const open_sweep& s) { return s.job && s.job->plan == id; });
    if (!is_used) plans.push_back(id);
    return true;
  };
  now.tx.each_plan(visit, tell);
  for (const auto& id : plans) now.tx.delete_plan(id);
  constexpr std::size_t jobs_kept = 1'000;
  const auto jobs = now.tx.newest_bulks(SIZE_MAX, tell);
  const time_point horizon = now.now - now.state.limits.keep_runs;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto& [id, job] = jobs[i];
    if (job.ended_at && (*job.ended_at <= horizon || i >= jobs_kept)) now.tx.delete_bulk(id);
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
  now.tx.put_meta("purged_at", std::to_string(now.now.time_since_epoch().count()));
}

void apply(turn& now, const clock_jumped& command) {
  auto& purge = now.state.purge;
  now.state.undo.add([&purge, before = purge] { purge = before; });
  purge.not_before = now.now + days{1};
  purge.next_at = purge.not_before;  // the earlier time may be far beyond, by a clock that was ahead
  enter_flow(now);                   // so may the next ticks and openings,
  pull_in_bulks(now);                // the next slices of jobs with a rate,
  now.state.memory.pull_in(now.now);  // and what is remembered of events: without undo, as the clock has jumped whatever becomes of this command
  now.say("the clock jumped by " + to_string(command.by) + ": sleeps and timeouts follow it, and nothing is purged for a day");
}

}  // namespace caesura::actors
