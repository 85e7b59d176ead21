#include "actors/transitions/runs.hpp"

#include <algorithm>
#include <utility>

#include "actors/planted_faults.hpp"
#include "actors/transitions/flow_control.hpp"
#include "actors/transitions/held.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

bool has_audience(const router_state& state, std::string_view event) {
  if (state.listeners.has_listener(event)) return true;
  for (const auto& fn : state.functions->all()) {
    for (const auto& t : fn.stored->record.triggers) {
      if (t.event == event) return true;
    }
  }
  return false;
}

listener cancel_listener(const definition& def, const storage::run_record& run, std::size_t rule) {
  return {.event = def.record.cancel_on[rule].event,
          .rule = &def.cancel_whens[rule],
          .key = run.cancel_keys[rule],
          .run = run.id,
          .slot = static_cast<std::uint8_t>(rule)};
}

listener wait_listener(router_state& state, const storage::run_record& run, const storage::pending_record& wait) {
  return {.event = wait.event,
          .rule = &state.wait_rule(wait.when),
          .key = wait.key,
          .run = run.id,
          .slot = static_cast<std::uint8_t>(first_wait_slot + wait.slot)};
}

bool is_wait(const storage::pending_record& pending) { return pending.kind == step_kind::wait_for_event; }

// The undo entry owns its texts and finds rules again by them: definitions and wait rules are never forgotten within a batch.
void insert_listener(router_state& state, const listener& entry, bool undoable) {
  if (undoable && entry.key.how != storage::listener_key::mode::never && !is_planted(fault::undo_forgotten)) {
    state.undo.add([&state, name = std::string{entry.event}, rule = *entry.rule, key = entry.key, run = entry.run, slot = entry.slot] {
      state.listeners.erase({.event = name, .rule = &rule, .key = key, .run = run, .slot = slot});
    });
  }
  state.listeners.insert(entry);
}

void erase_listener(router_state& state, const listener& entry) {
  if (entry.key.how == storage::listener_key::mode::never) return;
  state.undo.add([&state, name = std::string{entry.event}, rule = *entry.rule, key = entry.key, run = entry.run, slot = entry.slot] {
    state.listeners.insert({.event = name, .rule = &rule, .key = key, .run = run, .slot = slot});
  });
  state.listeners.erase(entry);
}

void insert_cancel_listeners(router_state& state, const storage::run_record& run, bool undoable) {
  const auto& def = state.definition_of(run);
  for (std::size_t i = 0; i < run.cancel_keys.size(); ++i) insert_listener(state, cancel_listener(def, run, i), undoable);
}

void erase_cancel_listeners(router_state& state, const storage::run_record& run) {
  const auto& def = state.definition_of(run);
  for (std::size_t i = 0; i < run.cancel_keys.size(); ++i) erase_listener(state, cancel_listener(def, run, i));
}

// A wait whose signal another run has taken over stays, with another key.
bool stands_in(const storage::pending_record& wait, const storage::run_record& run) {
  return std::ranges::any_of(run.pending,
                             [&](const auto& p) { return is_wait(p) && p.since == wait.since && p.slot == wait.slot && p.key == wait.key; });
}

void update_waits(router_state& state, const storage::run_record& before, const storage::run_record& after) {
  for (const auto& p : before.pending) {
    if (is_wait(p) && !stands_in(p, after)) erase_listener(state, wait_listener(state, before, p));
  }
  for (const auto& p : after.pending) {
    if (is_wait(p) && !stands_in(p, before)) insert_listener(state, wait_listener(state, after, p), true);
  }
}

void set_timer(router_state& state, const run_id& run, std::optional<time_point> before, std::optional<time_point> after) {
  if (before == after) return;
  if (before && !is_planted(fault::timer_left)) {
    state.undo.add([&state, entry = std::pair{*before, run}] { state.timers.insert(entry); });
    state.timers.erase({*before, run});
  }
  if (after) {
    state.undo.add([&state, entry = std::pair{*after, run}] { state.timers.erase(entry); });
    state.timers.insert({*after, run});
  }
}

void give_actor(turn& now, run_ptr record, std::optional<event> trigger) {
  auto& state = now.state;
  const auto& live = state.live.add(record->id, {.activation = state.next_activation++, .record = record}, state.undo);
  auto function = now.state.functions->share(now.state.definition_of(*record).record.function);
  now.out.emplace_back(activate{.run = record->id,
                                .activation = live.activation,
                                .record = std::move(record),
                                .function = std::move(function),
                                .trigger = std::move(trigger)});
}

bool is_under_way(const storage::run_record& run) { return run.started_at.has_value(); }

std::string paused_text(const std::string& function, const storage::function_state_record& pause) {
  return "function \"" + function + "\" is paused" + (pause.reason.empty() ? "" : ": " + pause.reason);
}

// Holds a run whose function this process does not have or that is paused so, and one that was left alone, which keeps its reason: it may have missed what
// cancels it. False when it may go on.
bool hold_if_blocked(turn& now, const storage::run_record& before, storage::run_record& after) {
  const auto& function = now.state.definition_of(after).record.function;
  if (is_left_alone(before)) {
    after.held_because = before.held_because;
  } else if (now.state.functions->find(function) == nullptr) {
    after.held_because = missing_text(function);
    now.say("run " + text_of(after.id) + " is held: " + after.held_because, after.id);
  } else if (!is_held_by_pause(now.state, after) || is_planted(fault::pause_ignored)) {
    return false;
  } else {
    mark_paused(now.state, after);
  }
  after.status = run_status::held;
  after.due.reset();
  replace_run(now, before, std::move(after));
  return true;
}

// Instead of going on.
bool end_if_overdue(turn& now, const storage::run_record& before, storage::run_record& after) {
  if (!is_overlooked(now, before)) return false;
  if (!after.cancelled_by) after.cancelled_by = overdue(now, before);
  end_run(now, before, std::move(after), run_status::cancelled);
  if (before.has_children) cancel_descendants(now, before.id, position{});
  return true;
}

void mark_running(turn& now, storage::run_record& run) {
  run.status = run_status::running;
  run.due.reset();
  run.held_because.clear();
  run.is_paused = false;
  // A new activation goes past an `any` that is decided: what fails from now on is no loser of it.
  if (run.any_from && run.step_count > *run.any_from) run.any_from.reset();
  if (run.started_at) return;
  run.started_at = now.now;
  run.recorded_at = now.state.ids.last();
  pass_throttle(now, run);
  const auto& limit = now.state.definition_of(run).record.finish_timeout;
  run.deadline = limit ? std::optional{saturated(now.now, *limit)} : std::nullopt;
}

// ---- concurrency: slots are a function of the record, so they cannot leak.

bool holds_slot(const definition& def, const storage::run_record& run, std::size_t entry) {
  if (def.record.concurrency[entry].counts_resting) return run.started_at.has_value() && !is_ended(run.status);
  return run.status == run_status::running;
}

run_queue::slot throttle_slot(const storage::run_record& run) { return {.group = run.throttle}; }  // it is closed by time
run_queue::slot singleton_slot(const storage::run_record& run) { return {.group = run.singleton, .limit = 1}; }

// The present limit, when the function still has the entry; else the one the run was created with. Under another key, or no longer shared, the entry has
// other groups: who is in this one besides the run is not known.
run_queue::slot slot_of(const router_state& state, const definition& def, std::uint64_t group, std::size_t entry) {
  const auto& created_with = def.record.concurrency[entry];
  const auto* fn = state.functions->find(def.record.function);
  if (fn == nullptr || entry >= fn->code.concurrency.size()) return {.group = group, .limit = created_with.limit};
  const auto& present = fn->code.concurrency[entry];
  if (present.key != created_with.key || present.is_shared != created_with.is_shared) return {.group = group, .limit = present.limit};
  const auto source = fn->group_sources[entry];
  return {.group = group, .limit = state.functions->limit_of(source).value(), .source = source};
}

bool is_alone(const storage::run_record& run) { return run.singleton != 0 && run.started_at && !is_ended(run.status); }

std::vector<run_queue::slot> slots_needed(const router_state& state, const storage::run_record& run) {
  std::vector<run_queue::slot> needed;
  if (run.throttle != 0 && !run.started_at) needed.push_back(throttle_slot(run));
  if (run.singleton != 0 && !is_alone(run) && !is_planted(fault::singleton_doubled)) needed.push_back(singleton_slot(run));
  if (run.groups.empty()) return needed;
  const auto& def = state.definition_of(run);
  for (std::size_t i = 0; i < run.groups.size(); ++i) {
    if (!holds_slot(def, run, i)) needed.push_back(slot_of(state, def, run.groups[i], i));
  }
  return needed;
}

void update_slots(router_state& state, const storage::run_record& before, const storage::run_record& after) {
  if (before.groups.empty() && after.groups.empty() && after.singleton == 0) return;
  const auto& groups = after.groups.empty() ? before.groups : after.groups;
  const auto& def = state.definition_of(after);
  if (is_alone(before) && !is_alone(after)) state.queue.release(before.singleton, state.undo);
  if (!is_alone(before) && is_alone(after)) state.queue.acquire(singleton_slot(after), state.undo);
  if (before.status == run_status::scheduled && after.status == run_status::scheduled) return;  // it may have another event now, and holds nothing
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const bool held = holds_slot(def, before, i);
    const bool holds = holds_slot(def, after, i);
    if (held && !holds && !(is_planted(fault::slot_leaked) && after.cancelled_by)) state.queue.release(groups[i], state.undo);
    if (!held && holds) state.queue.acquire(slot_of(state, def, groups[i], i), state.undo);
  }
}

// The same place, as if its time were another.
position earlier_by(position at, duration shift) {
  constexpr int time_bytes = 6;
  auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>((time_of(at) - shift).time_since_epoch().count(), 0));
  for (int i = time_bytes - 1; i >= 0; --i, ms >>= 8) at.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms & 0xFF);
  return at;
}

run_queue::place place_of(const storage::run_record& run) {
  auto at = run.queued_at.is_nil() ? id_cast<position>(run.id) : run.queued_at;
  if (run.priority != 0 && !is_planted(fault::priority_ignored)) at = earlier_by(at, std::chrono::seconds{run.priority});
  return {!is_under_way(run), at};
}

bool has_slots(router_state& state, const storage::run_record& run) {
  const auto slots = slots_needed(state, run);
  for (const auto& slot : slots) state.queue.set_limit(slot, state.undo);
  return state.queue.may_start(slots);
}

bool may_start(router_state& state, const storage::run_record& run) { return state.has_room() && has_slots(state, run) && !state.queue.is_anyone_ready(); }

// What a parent's `invoke` gives once the child has ended.
storage::step_record outcome_of_child(const storage::pending_record& invoke, const storage::run_record& child, time_point now) {
  storage::step_record row{.id = invoke.step, .kind = step_kind::invoke, .started_at = invoke.started_at, .ended_at = now, .child = child.id, .name = invoke.name};
  if (child.status == run_status::completed) {
    row.result = child.output;
  } else if (child.status == run_status::failed) {
    const auto error = child.error.value_or(recorded_error{});
    row.error = recorded_error{.name = std::string{invoke_error::failed}, .message = error.name + ": " + error.message};
    row.result = child.output.is_object() ? child.output : document{{"name", error.name}, {"message", error.message}};
  } else {
    const auto reason = child.cancelled_by ? child.cancelled_by->reason : child.held_because;
    row.error = recorded_error{.name = std::string{invoke_error::cancelled}, .message = reason.empty() ? "cancelled" : reason};
  }
  return row;
}

// A child has ended: its parent, if it still waits for it, goes on.
void tell_parent(turn& now, const storage::run_record& child) {
  now.tx.delete_child(child.parent, child.id);
  const auto parent = settle_sweeps(now, find_live(now, child.parent));
  if (parent == nullptr) return;
  const auto invoke = std::ranges::find_if(parent->pending, [&](const auto& p) { return p.kind == step_kind::invoke && p.child == child.id; });
  if (invoke == parent->pending.end() || is_planted(fault::parent_not_told)) return;
  const auto row = outcome_of_child(*invoke, child, now.now);
  auto after = *parent;
  after.pending.erase(after.pending.begin() + (invoke - parent->pending.begin()));
  append_row(now, after, row);
  const auto losers = withdraw_losers(after);
  wake_run(now, *parent, std::move(after), {row}, {});
  cancel_losers(now, losers);
}

}  // namespace

std::string text_of(const run_id& run) { return to_string(run); }

std::vector<std::uint64_t> groups_of(turn& now, const registered_function& fn, const expression::event_scope& trigger) {
  std::vector<std::uint64_t> groups;
  for (std::size_t i = 0; i < fn.stored->concurrency_keys.size(); ++i) {
    const auto& key = fn.stored->concurrency_keys[i];
    const auto value = key.is_always_true() ? std::optional<std::uint64_t>{0} : key.hash(trigger);
    if (!value) now.say("function \"" + fn.code.id + "\", concurrency[" + std::to_string(i) + "].key has no value for event " +
                        std::string{trigger.id} + ": its runs share one group");
    groups.push_back(storage::hash_text(group_name(fn.code, i) + '\0' + std::to_string(value.value_or(1))));
  }
  return groups;
}

run_ptr find_live(turn& now, const run_id& run) {
  if (const auto* found = now.state.live.find(run)) return found->record;
  if (now.state.left_alone.contains(run)) return nullptr;
  try {
    auto stored = now.tx.find_live_run(run);
    return stored ? std::make_shared<const storage::run_record>(std::move(*stored)) : nullptr;
  } catch (const error& e) {
    if (e.code() != errc::store_corrupt) throw;
    now.say(e.what(), run);
    return nullptr;
  }
}

bool is_overdue(const turn& now, const storage::run_record& run) { return run.deadline && *run.deadline <= now.now; }

bool is_overlooked(const turn& now, const storage::run_record& run) {
  const auto& behind = now.state.timers_behind;
  return behind && run.deadline && *run.deadline <= std::min(*behind, now.now);  // the clock may have been ahead
}

cancellation overdue(const turn& now, const storage::run_record& run) {
  const auto& def = now.state.definition_of(run).record;
  const bool is_start = !run.started_at;
  const auto limit = is_start ? def.start_timeout : def.finish_timeout;
  return {.source = cancel_source::timeout,
          .reason = std::string{is_start ? "timeouts.start: no first step within " : "timeouts.finish: not ended within "} + to_string(limit.value_or(duration{0})),
          .requested_at = now.now};
}

bool is_held_by_pause(const router_state& state, const storage::run_record& run) {
  const auto* pause = state.pause_of(state.definition_of(run).record.function);
  return pause != nullptr && pause->mode == storage::pause_mode::hold;
}

void mark_paused(const router_state& state, storage::run_record& run) {
  const auto& function = state.definition_of(run).record.function;
  run.status = run_status::held;
  run.is_paused = true;
  run.held_because = paused_text(function, *state.pause_of(function));
}

void drop_actor(turn& now, const run_id& run) { now.state.live.drop(run, now.state.undo); }

std::vector<run_id> withdraw_losers(storage::run_record& run) {
  std::vector<run_id> children;
  if (!run.any_from || run.step_count <= *run.any_from || is_planted(fault::losers_left)) return children;
  for (const auto& p : run.pending) {
    if (p.kind == step_kind::invoke) children.push_back(p.child);
  }
  run.pending.clear();
  return children;
}

void cancel_losers(turn& now, const std::vector<run_id>& children) {
  for (const auto& id : children) {
    const auto child = settle_sweeps(now, find_live(now, id));
    if (child == nullptr || child->cancelled_by || child->on_parent_cancel == child_policy::abandon) continue;
    request_cancel(now, *child,
                   {.source = cancel_source::parent,
                    .reason = "its parent run " + to_string(child->parent) + " went on with another branch",
                    .requested_at = now.now,
                    .parent = child->parent});
  }
}

run_ptr replace_run(turn& now, const storage::run_record& before, storage::run_record after) {
  auto& state = now.state;
  // Who was held before it started keeps the place that it had, or that it came to when it was due.
  const bool keeps_place = before.status == run_status::held && !before.started_at;
  const bool comes_to_queue = after.status == run_status::queued && before.status != run_status::queued && !keeps_place;
  if (comes_to_queue || (after.status == run_status::held && before.status == run_status::scheduled)) after.queued_at = now.next_id<position>();
  // Whoever changes a run has let every open sweep act on it first.
  if (!state.sweeps.empty() && !is_planted(fault::sweep_asks_twice)) after.swept_to = state.sweeps.back().place;
  auto record = std::make_shared<const storage::run_record>(std::move(after));
  now.tx.put_run(*record, true);
  update_waits(state, before, *record);
  if (is_ended(record->status) && !is_planted(fault::listeners_left)) erase_cancel_listeners(state, before);
  if (!is_ended(record->status) && before.event != record->event) {  // debounced: another event speaks for it
    erase_cancel_listeners(state, before);
    insert_cancel_listeners(state, *record, true);
  }
  set_timer(state, record->id, wake_time(before), wake_time(*record));
  update_slots(state, before, *record);
  if (before.status == run_status::queued && record->status != run_status::queued) state.queue.remove(record->id, state.undo);
  if (before.status != run_status::queued && !state.live.contains(record->id)) queue_run(state, *record);
  state.live.set_record(record->id, record, state.undo);
  return record;
}

void queue_run(router_state& state, const storage::run_record& run) {
  if (run.status == run_status::queued) state.queue.push(run.id, place_of(run), slots_needed(state, run), state.undo);
}

void index_run(router_state& state, const storage::run_record& run) {
  insert_cancel_listeners(state, run, false);
  for (const auto& p : run.pending) {
    if (is_wait(p)) insert_listener(state, wait_listener(state, run, p), false);
  }
  if (const auto due = wake_time(run)) state.timers.insert({*due, run.id});
  if (is_alone(run)) state.queue.acquire(singleton_slot(run), state.undo);
  if (!run.groups.empty()) {
    const auto& def = state.definition_of(run);
    for (std::size_t i = 0; i < run.groups.size(); ++i) {
      if (holds_slot(def, run, i)) state.queue.acquire(slot_of(state, def, run.groups[i], i), state.undo);
    }
  }
  queue_run(state, run);
}

namespace {

// Its event is remembered as a run that never starts and can be replayed.
run_id skip_run(turn& now, const registered_function& fn, storage::run_record run, std::string why) {
  run.status = run_status::skipped;
  run.ended_at = now.now;
  run.held_because = std::move(why);
  now.tx.create_run(run, fn.code.id);
  now.out.emplace_back(run_ended{info_of(run, fn.code.id)});
  return run.id;
}

}  // namespace

void set_function_state(turn& now, const std::string& function, const storage::function_state_record& after) {
  auto& states = now.state.function_states;
  now.tx.put_function_state(function, after);
  const auto found = states.find(function);
  now.state.undo.add([&states, function, before = found == states.end() ? std::nullopt : std::optional{found->second}] {
    if (before) {
      states.insert_or_assign(function, *before);
    } else {
      states.erase(function);
    }
  });
  states.insert_or_assign(function, after);
}

run_id create_run(turn& now, const registered_function& fn, const storage::event_record& trigger, const origin& from) {
  auto& state = now.state;
  const scope_of scope{trigger};
  storage::run_record run{.id = now.next_id<run_id>(),
                          .definition = fn.stored->hash,
                          .event = trigger.id,
                          .depth = trigger.depth,
                          .created_at = now.now,
                          .replay_of = from.replay_of,
                          .root = from.root,
                          .kept_steps = static_cast<std::uint32_t>(from.kept.size()),
                          .parent = from.parent,
                          .on_parent_cancel = from.on_parent_cancel,
                          .nesting = from.nesting,
                          .first_event = from.first_event,
                          .events = from.events,
                          .batch_bytes = from.batch_bytes};
  if (const auto* pause = state.pause_of(fn.code.id)) {
    auto counted = *pause;
    ++counted.skipped;
    const auto id = skip_run(now, fn, std::move(run), paused_text(fn.code.id, *pause));
    set_function_state(now, fn.code.id, counted);
    return id;
  }
  if (!from.skipped_because.empty()) return skip_run(now, fn, std::move(run), from.skipped_because);
  run.groups = groups_of(now, fn, *scope);
  mark_flow(now, fn, trigger, run);
  const auto due = from.due.value_or(trigger.time);
  if (const auto& limit = fn.stored->record.start_timeout) run.deadline = saturated(std::max(now.now, due), *limit);
  for (const auto& row : from.kept) append_row(now, run, row);
  for (const auto& when : fn.stored->cancel_whens) run.cancel_keys.push_back(key_of(when, *scope));
  const bool is_future = due > now.now;
  const bool starts_now = !is_future && may_start(state, run);
  if (is_future) {
    run.status = run_status::scheduled;
    run.due = due;
  } else if (starts_now) {
    mark_running(now, run);
  }
  const run_id id = run.id;
  auto record = std::make_shared<const storage::run_record>(std::move(run));
  now.tx.create_run(*record, fn.code.id);
  insert_cancel_listeners(state, *record, true);
  set_timer(state, id, std::nullopt, wake_time(*record));
  for (std::size_t i = 0; i < record->groups.size(); ++i) {
    if (holds_slot(*fn.stored, *record, i)) state.queue.acquire(slot_of(state, *fn.stored, record->groups[i], i), state.undo);
  }
  if (is_alone(*record)) state.queue.acquire(singleton_slot(*record), state.undo);
  queue_run(state, *record);
  const bool is_known = from.kept.empty() && from.events.empty();  // else the actor reads rows and events
  if (starts_now) give_actor(now, std::move(record), is_known ? std::optional{public_event(trigger)} : std::nullopt);
  return id;
}

void start_or_queue(turn& now, const storage::run_record& before, storage::run_record after) {
  if (end_if_overdue(now, before, after)) return;
  // Who is held makes nobody give way: a singleton decides once the run goes on.
  if (hold_if_blocked(now, before, after) || !settle_singleton(now, before)) return;
  if (may_start(now.state, before)) {
    mark_running(now, after);
    give_actor(now, replace_run(now, before, std::move(after)), std::nullopt);
  } else {
    after.status = run_status::queued;
    after.due.reset();
    after.held_because.clear();
    after.is_paused = false;
    replace_run(now, before, std::move(after));
  }
}

void wake_run(turn& now, const storage::run_record& before, storage::run_record after, std::vector<step_info> rows,
              std::vector<std::string> retries) {
  if (before.status != run_status::running && end_if_overdue(now, before, after)) return;
  const auto* live = now.state.live.find(before.id);
  const bool may_go_on = before.status == run_status::running || has_slots(now.state, before);
  if (live == nullptr && before.status == run_status::running) {
    replace_run(now, before, std::move(after));  // its actor or process died: that is counted next, and no job has seen it queued
  } else if (live == nullptr) {
    start_or_queue(now, before, std::move(after));
  } else if (live->is_parking) {
    after.status = run_status::queued;  // enters the queue once its actor is gone
    replace_run(now, before, std::move(after));
  } else if (before.status != run_status::running && (!may_go_on || is_held_by_pause(now.state, before))) {
    now.out.emplace_back(order_run{.run = before.id, .activation = live->activation, .order = order_kind::park});
    now.state.live.set_parking(before.id, now.state.undo);
    after.status = run_status::queued;
    replace_run(now, before, std::move(after));
  } else {
    const auto life = live->activation;
    after.status = run_status::running;
    replace_run(now, before, std::move(after));
    now.out.emplace_back(
        resume_run{.run = before.id, .activation = life, .rows = std::move(rows), .retries = std::move(retries)});
  }
}

void end_run(turn& now, const storage::run_record& before, storage::run_record after, run_status status) {
  auto& state = now.state;
  after.status = status;
  after.ended_at = now.now;
  after.due.reset();
  after.deadline.reset();
  after.pending.clear();
  after.consumed.clear();
  if (status != run_status::skipped) after.held_because.clear();
  after.is_paused = false;
  after.groups.clear();
  const auto record = replace_run(now, before, std::move(after));

  const auto decide = [&](storage::system_event kind) {
    now.tx.put_outbox(now.next_id<position>(), {.kind = kind, .run = record->id});
    state.undo.add([&state] { --state.outbox_size; });
    ++state.outbox_size;
  };
  if (status == run_status::cancelled) decide(storage::system_event::cancelled);
  if (status == run_status::failed) decide(storage::system_event::failed);
  if (status != run_status::skipped && has_audience(state, "inngest/function.finished")) decide(storage::system_event::finished);

  if (const auto* live = state.live.find(record->id)) {
    now.out.emplace_back(order_run{.run = record->id, .activation = live->activation, .order = order_kind::end});
    drop_actor(now, record->id);
  }
  now.out.emplace_back(run_ended{info_of(*record, state.definition_of(*record).record.function)});
  if (before.cancelled_by && !before.cancelled_by->bulk.is_nil()) count_cancelled(now, before.cancelled_by->bulk);
  if (!record->parent.is_nil()) tell_parent(now, *record);
}

cancel_outcome request_cancel(turn& now, const storage::run_record& run, cancellation request, std::optional<position> as_of) {
  const auto outcome = record_cancel(now, run, std::move(request));
  if (run.has_children) cancel_descendants(now, run.id, as_of.value_or(position{}));
  return outcome;
}

cancel_outcome record_cancel(turn& now, const storage::run_record& run, cancellation request) {
  auto after = run;
  after.cancelled_by = std::move(request);
  if (run.status != run_status::running) {
    end_run(now, run, std::move(after), run_status::cancelled);
    return cancel_outcome::cancelled;
  }
  if (!is_planted(fault::cancel_not_recorded)) replace_run(now, run, std::move(after));
  if (const auto* live = now.state.live.find(run.id)) {
    now.out.emplace_back(order_run{.run = run.id, .activation = live->activation, .order = order_kind::cancel});
  }
  return cancel_outcome::cancelling;
}

void dispatch_queue(turn& now) {
  auto& state = now.state;
  std::size_t ended = 0;
  std::size_t held = 0;
  state.dispatches_again = false;
  while (state.has_room()) {
    const auto next = state.queue.next(state.undo);
    if (!next) return;
    const auto run = settle_sweeps(now, find_live(now, *next));
    if (run == nullptr || run->status != run_status::queued) {
      state.queue.remove(*next, state.undo);
      continue;
    }
    auto after = *run;
    if (end_if_overdue(now, *run, after)) {
      const bool are_more_due = !state.timers.empty() && state.timers.begin()->first <= now.now;
      if (++ended >= state.limits.timers_per_turn && are_more_due) return;  // a turn for them is to come
      continue;
    }
    if (hold_if_blocked(now, *run, after)) {
      if (++held < state.limits.sweep_slice) continue;
      state.dispatches_again = true;
      return;
    }
    mark_running(now, after);
    give_actor(now, replace_run(now, *run, std::move(after)), std::nullopt);
  }
}

void append_row(turn& now, storage::run_record& run, const storage::step_record& row) {
  now.tx.put_step(run.id, run.step_count, row);
  ++run.step_count;
  run.state_bytes += row.result.bytes().size();
  run.recorded_at = now.state.ids.last();
  run.interruptions = 0;
}

std::optional<recorded_error> over_limit(const router_state& state, const storage::run_record& run, std::size_t more,
                                         std::size_t bytes) {
  if (run.step_count + more > state.limits.steps_per_run) {
    return recorded_error{.name = "caesura::error",
                          .message = "the run would record more than " + std::to_string(state.limits.steps_per_run) + " steps"};
  }
  if (run.state_bytes + bytes > state.limits.run_state_bytes) {
    return recorded_error{
        .name = "caesura::error",
        .message = "the run's recorded results would pass " + std::to_string(state.limits.run_state_bytes) + " bytes"};
  }
  return std::nullopt;
}

}  // namespace caesura::actors
