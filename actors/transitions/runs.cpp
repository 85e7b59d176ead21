#include "actors/transitions/runs.hpp"

#include <algorithm>
#include <utility>

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
  state.listeners.insert(entry);
  if (!undoable || entry.key.how == storage::listener_key::mode::never) return;
  state.undo.add([&state, name = std::string{entry.event}, rule = *entry.rule, key = entry.key, run = entry.run, slot = entry.slot] {
    state.listeners.erase({.event = name, .rule = &rule, .key = key, .run = run, .slot = slot});
  });
}

void erase_listener(router_state& state, const listener& entry) {
  state.listeners.erase(entry);
  if (entry.key.how == storage::listener_key::mode::never) return;
  state.undo.add([&state, name = std::string{entry.event}, rule = *entry.rule, key = entry.key, run = entry.run, slot = entry.slot] {
    state.listeners.insert({.event = name, .rule = &rule, .key = key, .run = run, .slot = slot});
  });
}

void insert_cancel_listeners(router_state& state, const storage::run_record& run, bool undoable) {
  const auto& def = state.definition_of(run);
  for (std::size_t i = 0; i < run.cancel_keys.size(); ++i) insert_listener(state, cancel_listener(def, run, i), undoable);
}

void erase_cancel_listeners(router_state& state, const storage::run_record& run) {
  const auto& def = state.definition_of(run);
  for (std::size_t i = 0; i < run.cancel_keys.size(); ++i) erase_listener(state, cancel_listener(def, run, i));
}

bool stands_in(const storage::pending_record& wait, const storage::run_record& run) {
  return std::ranges::any_of(run.pending, [&](const auto& p) { return is_wait(p) && p.since == wait.since && p.slot == wait.slot; });
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
  if (before) {
    state.timers.erase({*before, run});
    state.undo.add([&state, entry = std::pair{*before, run}] { state.timers.insert(entry); });
  }
  if (after) {
    state.timers.insert({*after, run});
    state.undo.add([&state, entry = std::pair{*after, run}] { state.timers.erase(entry); });
  }
}

void remember_live(router_state& state, run_ptr record) {
  const auto found = state.live.find(record->id);
  if (found == state.live.end()) return;
  state.undo.add([&state, before = found->second.record] {
    if (const auto again = state.live.find(before->id); again != state.live.end()) again->second.record = before;
  });
  found->second.record = std::move(record);
}

live_run& make_live(turn& now, run_ptr record) {
  auto& state = now.state;
  const run_id run = record->id;
  state.undo.add([&state, run] { state.live.erase(run); });
  return state.live[run] = live_run{.activation = state.next_activation++, .record = std::move(record)};
}

void give_actor(turn& now, run_ptr record, std::optional<event> trigger) {
  const auto& live = make_live(now, record);
  auto function = now.state.definition_of(*record).record.function;
  now.out.emplace_back(activate{.run = record->id,
                                .activation = live.activation,
                                .record = std::move(record),
                                .function = std::move(function),
                                .trigger = std::move(trigger)});
}

bool is_under_way(const storage::run_record& run) { return run.started_at.has_value(); }

// Holds a run whose function this process does not have; false when it has.
bool hold_if_missing(turn& now, const storage::run_record& before, storage::run_record& after) {
  const auto& function = now.state.definition_of(after).record.function;
  if (now.state.functions->find(function) != nullptr) return false;
  after.status = run_status::held;
  after.held_because = "function \"" + function + "\" is not registered in this process";
  now.say("run " + text_of(after.id) + " is held: " + after.held_because, after.id);
  replace_run(now, before, std::move(after));
  return true;
}

void mark_running(turn& now, storage::run_record& run) {
  run.status = run_status::running;
  run.due.reset();
  run.held_because.clear();
  if (!run.started_at) run.started_at = now.now;
}

}  // namespace

std::string text_of(const run_id& run) { return to_string(run); }

run_ptr find_live(turn& now, const run_id& run) {
  if (const auto found = now.state.live.find(run); found != now.state.live.end()) return found->second.record;
  try {
    auto stored = now.tx.find_live_run(run);
    return stored ? std::make_shared<const storage::run_record>(std::move(*stored)) : nullptr;
  } catch (const error& e) {
    if (e.code() != errc::store_corrupt) throw;
    now.say(e.what(), run);
    return nullptr;
  }
}

run_ptr replace_run(turn& now, const storage::run_record& before, storage::run_record after) {
  auto& state = now.state;
  auto record = std::make_shared<const storage::run_record>(std::move(after));
  now.tx.put_run(*record, true);
  update_waits(state, before, *record);
  if (is_ended(record->status)) erase_cancel_listeners(state, *record);
  set_timer(state, record->id, wake_time(before), wake_time(*record));
  if (before.status == run_status::queued && record->status != run_status::queued) state.queue.remove(record->id, state.undo);
  if (record->status == run_status::queued && before.status != run_status::queued && !state.live.contains(record->id)) {
    state.queue.push(record->id, is_under_way(*record), state.undo);
  }
  remember_live(state, record);
  return record;
}

void index_run(router_state& state, const storage::run_record& run) {
  insert_cancel_listeners(state, run, false);
  for (const auto& p : run.pending) {
    if (is_wait(p)) insert_listener(state, wait_listener(state, run, p), false);
  }
  if (const auto due = wake_time(run)) state.timers.insert({*due, run.id});
  if (run.status == run_status::queued) state.queue.push(run.id, is_under_way(run), state.undo);
}

run_id create_run(turn& now, const registered_function& fn, const storage::event_record& trigger) {
  auto& state = now.state;
  const scope_of scope{trigger};
  storage::run_record run{.id = now.next_id<run_id>(),
                          .definition = fn.stored->hash,
                          .event = trigger.id,
                          .depth = trigger.depth,
                          .created_at = now.now};
  for (const auto& when : fn.stored->cancel_whens) run.cancel_keys.push_back(key_of(when, *scope));
  const bool is_future = trigger.time > now.now;
  const bool starts_now = !is_future && state.has_room() && state.queue.empty();
  if (is_future) {
    run.status = run_status::scheduled;
    run.due = trigger.time;
  } else if (starts_now) {
    mark_running(now, run);
  }
  const run_id id = run.id;
  auto record = std::make_shared<const storage::run_record>(std::move(run));
  now.tx.create_run(*record, fn.code.id);
  insert_cancel_listeners(state, *record, true);
  set_timer(state, id, std::nullopt, wake_time(*record));
  if (record->status == run_status::queued) state.queue.push(id, false, state.undo);
  if (starts_now) give_actor(now, std::move(record), public_event(trigger));
  return id;
}

void start_or_queue(turn& now, const storage::run_record& before, storage::run_record after) {
  if (hold_if_missing(now, before, after)) return;
  if (now.state.has_room() && now.state.queue.empty()) {
    mark_running(now, after);
    give_actor(now, replace_run(now, before, std::move(after)), std::nullopt);
  } else {
    after.status = run_status::queued;
    after.due.reset();
    replace_run(now, before, std::move(after));
  }
}

void wake_run(turn& now, const storage::run_record& before, storage::run_record after, std::vector<step_info> rows,
              std::vector<std::string> retries) {
  const auto live = now.state.live.find(before.id);
  if (live == now.state.live.end()) {
    start_or_queue(now, before, std::move(after));
  } else if (live->second.is_parking) {
    after.status = run_status::queued;  // enters the queue once its actor is gone
    replace_run(now, before, std::move(after));
  } else {
    const auto life = live->second.activation;
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
  after.pending.clear();
  after.consumed.clear();
  after.held_because.clear();
  const auto record = replace_run(now, before, std::move(after));

  const auto decide = [&](storage::system_event kind) {
    now.tx.put_outbox(now.next_id<position>(), {.kind = kind, .run = record->id});
    ++state.outbox_size;
    state.undo.add([&state] { --state.outbox_size; });
  };
  if (status == run_status::cancelled) decide(storage::system_event::cancelled);
  if (status == run_status::failed) decide(storage::system_event::failed);
  if (has_audience(state, "inngest/function.finished")) decide(storage::system_event::finished);

  if (const auto live = state.live.find(record->id); live != state.live.end()) {
    now.out.emplace_back(order_run{.run = record->id, .activation = live->second.activation, .order = order_kind::end});
    state.undo.add([&state, run = record->id, entry = live->second] { state.live[run] = entry; });
    state.live.erase(live);
  }
  now.out.emplace_back(run_ended{info_of(*record, state.definition_of(*record).record.function)});
}

cancel_outcome request_cancel(turn& now, const storage::run_record& run, cancellation request) {
  auto after = run;
  after.cancelled_by = std::move(request);
  if (run.status != run_status::running) {
    end_run(now, run, std::move(after), run_status::cancelled);
    return cancel_outcome::cancelled;
  }
  replace_run(now, run, std::move(after));
  if (const auto live = now.state.live.find(run.id); live != now.state.live.end()) {
    now.out.emplace_back(order_run{.run = run.id, .activation = live->second.activation, .order = order_kind::cancel});
  }
  return cancel_outcome::cancelling;
}

void dispatch_queue(turn& now) {
  auto& state = now.state;
  while (state.has_room()) {
    const auto next = state.queue.front();
    if (!next) return;
    const auto run = settle_sweeps(now, find_live(now, *next));
    if (run == nullptr || run->status != run_status::queued) {
      state.queue.remove(*next, state.undo);
      continue;
    }
    auto after = *run;
    if (hold_if_missing(now, *run, after)) continue;
    mark_running(now, after);
    give_actor(now, replace_run(now, *run, std::move(after)), std::nullopt);
  }
}

void append_row(turn& now, storage::run_record& run, const storage::step_record& row) {
  now.tx.put_step(run.id, run.step_count, row);
  ++run.step_count;
  run.state_bytes += row.result.bytes().size();
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
