#include "runtime/recovery.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "actors/planted_faults.hpp"
#include "actors/transitions/flow_control.hpp"
#include "actors/transitions/held.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::detail {

namespace {

using actors::router_state;

position last_id(const storage::snapshot& tx) {
  position last;
  if (const auto bytes = tx.find_meta("last_id"); bytes && bytes->size() == last.bytes.size()) {
    std::memcpy(last.bytes.data(), bytes->data(), last.bytes.size());
  }
  return last;
}

void load_definitions(actors::turn& now) {
  auto& state = now.state;
  for (const auto& fn : state.functions->all()) {
    now.tx.intern_definition(fn.stored->record, now.tell_damage());
    state.definitions.emplace(fn.stored->hash, fn.stored);
  }
  const auto visit = [&](std::uint64_t hash, const storage::definition_record& record) {
    if (!state.definitions.contains(hash)) state.definitions.emplace(hash, actors::parse_definition(record, hash));
    return true;
  };
  now.tx.each_definition(visit, now.tell_damage());
}

void load_event_memory(actors::turn& turn) {
  auto& state = turn.state;
  const auto now = turn.now;
  if (is_planted(actors::fault::duplicate_taken)) return;
  const time_point horizon = now - state.limits.event_memory;
  event_id from;
  auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(horizon.time_since_epoch().count(), 0));
  for (int i = 5; i >= 0; --i, ms >>= 8) from.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms & 0xFF);
  const auto visit = [&](const storage::event_record& record) {
    if (record.client_id.empty() || record.depth != 0 || record.received_at < horizon) return true;
    state.memory.remember(record.name, record.client_id, {record.id, std::min(record.received_at, now)}, nullptr);  // by a clock that was ahead: now at the latest
    return true;
  };
  turn.tx.each_event(from, visit, turn.tell_damage());
}

// Throws error{store_corrupt} when what the sweep is about cannot be read.
void reopen_sweep(actors::turn& now, const position& place, const storage::sweep_record& record) {
  if (record.kind == storage::sweep_kind::bulk) {
    auto job = now.tx.find_bulk(record.bulk);
    if (!job) throw error{errc::store_corrupt, "table sweeps: bulk job " + to_string(record.bulk) + " is not stored"};
    actors::reopen_bulk(now, place, std::move(*job));
    return;
  }
  actors::open_sweep sweep{.place = place, .record = record};
  if (record.kind == storage::sweep_kind::event) {
    auto event = now.tx.find_event(record.event);
    if (!event) throw error{errc::store_corrupt, "table sweeps: event " + to_string(record.event) + " is not stored"};
    sweep.event = std::make_shared<const storage::event_record>(std::move(*event));
  }
  now.state.sweeps.push_back(std::move(sweep));
}

// The place of a sweep is the id of its event or of its bulk job: such a one is known although its own record is damaged.
std::optional<storage::sweep_record> sweep_at(actors::turn& now, const position& place) {
  const auto job = now.tx.find_bulk(id_cast<bulk_id>(place));
  if (job && job->status == storage::bulk_status::working) return storage::sweep_record{.kind = storage::sweep_kind::bulk, .bulk = id_cast<bulk_id>(place)};
  if (now.tx.find_event(id_cast<event_id>(place))) return storage::sweep_record{.event = id_cast<event_id>(place)};
  return std::nullopt;
}

// A damaged sweep may have been that of a cancelled run's descendants. Which run it was is not known, but whoever follows a cancelled run and has not ended is
// meant by such a sweep. (One for the held runs of a function is not missed: the start tries all of them.)
void cancel_orphans(actors::turn& now) {
  std::set<run_id> roots;
  const auto visit = [&](const storage::run_record& run) {
    if (run.parent.is_nil() || run.on_parent_cancel == child_policy::abandon) return true;
    const auto parent = actors::read_sound(now, [&] { return now.tx.find_run(run.parent); }, std::nullopt);
    if (parent && parent->cancelled_by && (!is_ended(parent->status) || parent->status == run_status::cancelled)) roots.insert(run.parent);
    return true;
  };
  now.tx.each_live_run(visit, now.tell_damage());
  for (const auto& root : roots) {
    const auto place = now.next_id<position>();
    actors::begin_sweep(now, {.place = place, .record = {.kind = storage::sweep_kind::tree, .root = root, .as_of = place}});
  }
}

// The sentence for who looks for what has not happened: that the damage itself has been told may be long ago.
std::string not_carried_on(const position& place, const std::optional<storage::sweep_record>& record, const error& why) {
  std::string of;
  if (record && record->kind == storage::sweep_kind::event) of = " (of event " + to_string(record->event) + ")";
  if (record && record->kind == storage::sweep_kind::bulk) of = " (of bulk job " + to_string(record->bulk) + ")";
  return "sweep " + to_string(place) + of + " is not carried on: " + why.what();
}

// What cannot be worked off stays stored, as what it is: the next start tries again.
void load_sweeps(actors::turn& now) {
  std::vector<std::pair<position, std::optional<storage::sweep_record>>> stored;
  const auto visit = [&](const position& place, const storage::sweep_record& record) {
    stored.emplace_back(place, record);
    return true;
  };
  now.tx.each_sweep(visit, [&](const position& place, const error& why) {
    now.say_once(why.what());
    stored.emplace_back(place, std::nullopt);
  });
  bool has_unknown = false;
  for (const auto& [place, record] : stored) {
    try {
      if (record) {
        reopen_sweep(now, place, *record);
      } else if (const auto known = sweep_at(now, place)) {
        reopen_sweep(now, place, *known);
        now.tx.put_sweep(place, *known);
      } else {
        has_unknown = true;
      }
    } catch (const error& e) {
      if (e.code() != errc::store_corrupt) throw;
      now.say_once(not_carried_on(place, record, e));
    }
  }
  if (has_unknown) cancel_orphans(now);
}

bool is_known(const router_state& state, const std::string& function) {
  return state.functions->find(function) != nullptr ||
         std::ranges::any_of(state.definitions, [&](const auto& entry) { return entry.second->record.function == function; });
}

// A function of which nobody knows whether it is paused is paused: its events are skipped, which can be replayed; what it would do cannot be undone.
void load_functions(actors::turn& now) {
  auto& state = now.state;
  std::vector<std::string> unread;
  const auto visit = [&](std::string_view function, const storage::function_state_record& record) {
    state.function_states.emplace(function, record);
    return true;
  };
  now.tx.each_function_state(visit, [&](std::string_view function, const error& why) {
    now.say_once(why.what());
    unread.emplace_back(function);
  });
  for (const auto& function : unread) {
    if (is_known(state, function)) {
      actors::pause_unread(now, function);
    } else {
      state.is_a_pause_unread = true;  // the name is damaged, too
    }
  }
  actors::pause_unread_functions(now);
}

void load_purge(actors::turn& now) {
  auto& purge = now.state.purge;
  if (const auto kept = now.tx.find_meta("events_kept_from")) purge.events_kept_from = parse_id<event_id>(*kept).value_or(event_id{});
  // Also of programs that never live as long as it is between two purges.
  const auto latest = now.now + now.state.limits.purge_every;
  std::int64_t last = 0;
  const auto stored = now.tx.find_meta("purged_at");
  if (stored && std::from_chars(stored->data(), stored->data() + stored->size(), last).ec == std::errc{}) {
    // Not at once: a clock that is ahead at boot may be about to be set.
    const duration grace = std::min<duration>(now.state.limits.purge_every, std::chrono::minutes{1});
    purge.next_at = std::clamp(actors::saturated(time_point{duration{last}}, now.state.limits.purge_every), now.now + grace, latest);
  } else {
    purge.next_at = latest;
    now.tx.put_meta("purged_at", std::to_string(now.now.time_since_epoch().count()));
  }
}

// A run without its definition is held. So it stays: who knows what it has missed when the definition is back.
void leave_alone(actors::turn& now, storage::run_record run) {
  const auto why = actors::left_alone_text(run);
  now.say_once("run " + to_string(run.id) + " is left alone: " + why);
  now.state.left_alone.insert(run.id);
  if (run.cancelled_by || run.held_because == why) return;  // it ends cancelled once it can
  run.status = run_status::held;
  run.is_paused = false;
  run.due.reset();
  run.held_because = why;
  now.tx.put_run(run, true);
}

// Indexes every run that has not ended; returns those that something must happen to.
std::vector<run_id> index_runs(actors::turn& now) {
  std::vector<run_id> unsettled;
  std::vector<storage::run_record> without_definition;
  const auto visit = [&](const storage::run_record& run) {
    if (!now.state.definitions.contains(run.definition)) {
      without_definition.push_back(run);
      return true;
    }
    actors::index_run(now.state, run);
    const bool is_unsettled = run.status == run_status::running || (run.status == run_status::held && !actors::is_left_alone(run));
    if (is_unsettled) unsettled.push_back(run.id);
    return true;
  };
  now.tx.each_live_run(visit, now.tell_damage());
  for (auto& run : without_definition) leave_alone(now, std::move(run));
  return unsettled;
}

void settle(actors::turn& now, const run_id& id, bool was_clean) {
  const auto run = actors::settle_sweeps(now, actors::find_live(now, id));
  if (run == nullptr) return;
  if (run->status == run_status::running && !was_clean) {
    actors::interrupt_run(now, run);
  } else if (run->status == run_status::running && run->cancelled_by) {
    actors::end_run(now, *run, *run, run_status::cancelled);
  } else {
    actors::start_or_queue(now, *run, *run);  // held runs get another try with this binary
  }
}

}  // namespace

recovered recover(storage::store& store, std::shared_ptr<const actors::function_table> functions, const actors::limits& limits,
                  time_point now, std::uint64_t entropy) {
  recovered result{.state = std::make_unique<router_state>()};
  auto& state = *result.state;
  state.limits = limits;
  state.functions = std::move(functions);
  const auto tx = store.begin_write();
  state.ids = storage::id_generator{last_id(*tx)};
  state.last_event = id_cast<event_id>(state.ids.last());
  const bool was_clean = tx->find_meta("clean").has_value();
  if (was_clean) tx->delete_meta("clean");
  actors::turn turn{.state = state, .tx = *tx, .out = result.told, .now = now, .entropy = entropy};
  load_definitions(turn);
  load_event_memory(turn);
  const auto unsettled = index_runs(turn);
  load_functions(turn);
  load_purge(turn);
  state.outbox_size = tx->outbox_count();
  load_sweeps(turn);
  actors::enter_flow(turn);
  state.is_stopping = true;  // nothing gets an actor before the router runs
  for (const auto& run : unsettled) {
    settle(turn, run, was_clean);
    state.undo.clear();  // what fails here ends the start
  }
  state.is_stopping = false;
  const auto& last = state.ids.last();
  tx->put_meta("last_id", {reinterpret_cast<const char*>(last.bytes.data()), last.bytes.size()});
  tx->commit();
  state.undo.clear();
  return result;
}

}  // namespace caesura::detail
