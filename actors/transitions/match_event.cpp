#include <algorithm>
#include <utility>

#include "actors/planted_faults.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

using storage::listener_key;

// The triggering events of runs that one event looks at, read at most once a run.
class trigger_scope {
 public:
  trigger_scope(turn& now, const storage::run_record& run) : now_{now}, run_{run} {}

  const expression::event_scope& get() {
    if (!scope_) {
      auto found = now_.tx.find_event(run_.event);
      if (!found) {
        throw error{errc::store_corrupt, "table events: the event " + to_string(run_.event) + " of run " + to_string(run_.id) +
                                             " is not stored"};
      }
      record_ = std::move(*found);
      scope_.emplace(record_);
    }
    return **scope_;
  }

 private:
  turn& now_;
  const storage::run_record& run_;
  storage::event_record record_;
  std::optional<scope_of> scope_;
};

// True when the hash under which the listener is indexed rules a match out, without reading the trigger.
bool is_ruled_out(const listener_key& key, const expression::compiled& rule, const expression::event_scope& incoming) {
  if (key.how == listener_key::mode::never) return true;
  if (key.how == listener_key::mode::scan) return false;
  const auto hash = expression::async_hash(*rule.conjunct(), incoming);
  return !hash || *hash != key.hash;
}

bool holds(turn& now, const expression::compiled& rule, trigger_scope& trigger, const expression::event_scope& incoming,
           const run_id& run, const std::string& what) {
  if (rule.is_always_true()) return true;
  const auto verdict = rule.matches(trigger.get(), &incoming);
  if (verdict.error) now.say(what + " \"" + rule.text() + "\" does not match, because it fails: " + *verdict.error, run);
  return verdict.matches;
}

std::optional<std::size_t> matching_cancel_rule(turn& now, const storage::run_record& run, const storage::event_record& record,
                                                const expression::event_scope& incoming, trigger_scope& trigger) {
  const auto& def = now.state.definition_of(run);
  for (std::size_t i = 0; i < run.cancel_keys.size(); ++i) {
    const auto& rule = def.record.cancel_on[i];
    if (rule.event != record.name) continue;
    if (rule.until && record.received_at > *rule.until) continue;
    if (rule.timeout && record.received_at > saturated(run.created_at, *rule.timeout)) continue;
    if (is_ruled_out(run.cancel_keys[i], def.cancel_whens[i], incoming)) continue;
    if (holds(now, def.cancel_whens[i], trigger, incoming, run.id, "cancel rule")) return i;
  }
  return std::nullopt;
}

storage::step_record finished_wait(const storage::pending_record& wait, const storage::event_record& record, time_point now) {
  return {.id = wait.step,
          .kind = step_kind::wait_for_event,
          .result = wait_result(record),
          .started_at = wait.started_at,
          .ended_at = now,
          .name = wait.name};
}

run_ptr resume_waits(turn& now, const run_ptr& run, const storage::event_record& record, const expression::event_scope& incoming,
                     trigger_scope& trigger) {
  auto after = *run;
  std::vector<step_info> rows;
  std::erase_if(after.pending, [&](const storage::pending_record& p) {
    if (p.kind != step_kind::wait_for_event || p.event != record.name) return false;
    if (id_cast<position>(record.id) < p.since) return false;
    const auto& rule = now.state.wait_rule(p.when);
    if (is_ruled_out(p.key, rule, incoming)) return false;
    if (!holds(now, rule, trigger, incoming, run->id, "wait")) return false;
    const auto row = finished_wait(p, record, now.now);
    append_row(now, after, row);
    rows.push_back(row);
    return true;
  });
  if (rows.empty()) return run;
  if (!is_signal_event(record.name)) consume(after, record);  // no wait looks back for a signal
  after.recorded_at = std::max(run->recorded_at, id_cast<position>(record.id));  // not what came while the event was worked off in slices
  const auto losers = withdraw_losers(after);
  wake_run(now, *run, std::move(after), std::move(rows), {});
  cancel_losers(now, losers);
  return find_live(now, run->id);
}

}  // namespace

void write_event(storage::document_writer& out, const storage::event_record& record) {
  const bool has_user = !record.user.is_null();
  const bool has_version = !record.version.empty();
  out.map(4 + (has_user ? 1 : 0) + (has_version ? 1 : 0)).text("name").text(record.name).text("data").value(record.data);
  if (has_user) out.text("user").value(record.user);
  if (has_version) out.text("v").text(record.version);
  out.text("id").text(public_id(record)).text("ts").integer(record.time.time_since_epoch().count());
}

document wait_result(const storage::event_record& record) {
  storage::document_writer out;
  write_event(out, record);
  return out.finish();
}

void consume(storage::run_record& run, const storage::event_record& record) {
  const auto found = std::ranges::find(run.consumed, record.name, &storage::consumed_record::event);
  if (found == run.consumed.end()) {
    run.consumed.push_back({.event = record.name, .last = record.id});
  } else {
    found->last = std::max(found->last, record.id);
  }
}

run_ptr hit_by_event(turn& now, run_ptr run, const storage::event_record& record) try {
  // The order rule: only runs created before the event. A run's id is drawn after the id of the event that creates it.
  if (run == nullptr || is_ended(run->status)) return run;
  if (id_cast<position>(record.id) < id_cast<position>(run->id) && !is_planted(fault::order_off_by_one)) return run;
  if (run->cancelled_by) return run;
  const scope_of incoming{record};
  trigger_scope trigger{now, *run};
  if (const auto rule = matching_cancel_rule(now, *run, record, *incoming, trigger)) {
    request_cancel(now, *run,
                   {.source = cancel_source::event,
                    .reason = "event \"" + record.name + "\"",
                    .event = record.id,
                    .rule = static_cast<std::int32_t>(*rule),
                    .requested_at = now.now},
                   id_cast<position>(record.id));
    return find_live(now, run->id);
  }
  return resume_waits(now, run, record, *incoming, trigger);
} catch (const error& e) {
  // The run's trigger is read before anything is written: one damaged record harms no other run.
  if (e.code() != errc::store_corrupt) throw;
  now.say(e.what(), run->id);
  return run;
}

void match_event(turn& now, const storage::event_record& record) {
  auto& state = now.state;
  state.last_event = record.id;
  const scope_of incoming{record};
  listener_index::cursor cursor;
  const auto runs = state.listeners.candidates(record.name, *incoming, state.limits.sweep_threshold + 1, cursor);
  if (runs.size() <= state.limits.sweep_threshold) {
    for (const auto& run : runs) hit_by_event(now, settle_sweeps(now, find_live(now, run)), record);
    return;
  }
  open_sweep sweep;
  sweep.place = id_cast<position>(record.id);
  sweep.record.event = record.id;
  sweep.event = std::make_shared<const storage::event_record>(record);
  begin_sweep(now, std::move(sweep));
}

bool work_off_event(turn& now, open_sweep& sweep) {
  auto& state = now.state;
  const auto event = sweep.event;
  const scope_of incoming{*event};
  auto cursor = sweep.cursor;
  state.undo.add([&state, place = sweep.place, cursor] {
    if (auto* again = find_sweep(state, place)) again->cursor = cursor;
  });
  const auto runs = state.listeners.candidates(event->name, *incoming, state.limits.sweep_slice, cursor);
  sweep.cursor = cursor;
  for (const auto& run : runs) settle_sweeps(now, find_live(now, run));
  return cursor.is_done;
}

}  // namespace caesura::actors
