#include "runtime/recovery.hpp"

#include <cstring>
#include <utility>
#include <vector>

#include "actors/planted_faults.hpp"
#include "actors/transitions/flow_control.hpp"
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

void load_definitions(router_state& state, storage::write_transaction& tx) {
  for (const auto& fn : state.functions->all()) {
    tx.intern_definition(fn.stored->record);
    state.definitions.emplace(fn.stored->hash, fn.stored);
  }
  tx.each_definition([&](std::uint64_t hash, const storage::definition_record& record) {
    if (!state.definitions.contains(hash)) state.definitions.emplace(hash, actors::parse_definition(record, hash));
    return true;
  });
}

// What is damaged harms itself alone: it is told and passed over.
storage::damage_visitor teller(actors::turn& now) {
  return [&now](const position&, const error& why) { now.say_once(why.what()); };
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
    if (!record.client_id.empty() && record.depth == 0) state.memory.remember(record.name, record.client_id, record.id, nullptr);
    return true;
  };
  turn.tx.each_event(from, visit, teller(turn));
}

void load_sweeps(actors::turn& now) {
  std::vector<std::pair<position, storage::sweep_record>> stored;
  now.tx.each_sweep([&](const position& place, const storage::sweep_record& record) {
    stored.emplace_back(place, record);
    return true;
  });
  for (const auto& [place, record] : stored) {
    if (record.kind == storage::sweep_kind::bulk) {
      auto job = now.tx.find_bulk(record.bulk);
      if (!job) throw error{errc::store_corrupt, "table sweeps: bulk job " + to_string(record.bulk) + " is not stored"};
      actors::reopen_bulk(now, place, std::move(*job));
      continue;
    }
    actors::open_sweep sweep{.place = place, .record = record};
    if (record.kind == storage::sweep_kind::event) {
      auto event = now.tx.find_event(record.event);
      if (!event) throw error{errc::store_corrupt, "table sweeps: event " + to_string(record.event) + " is not stored"};
      sweep.event = std::make_shared<const storage::event_record>(std::move(*event));
    }
    now.state.sweeps.push_back(std::move(sweep));
  }
}

void load_functions(router_state& state, const storage::snapshot& tx, time_point now) {
  tx.each_function_state([&](std::string_view function, const storage::function_state_record& record) {
    state.function_states.emplace(function, record);
    return true;
  });
  if (const auto kept = tx.find_meta("events_kept_from")) state.purge.events_kept_from = parse_id<event_id>(*kept).value_or(event_id{});
  state.purge.next_at = now + state.limits.purge_every;
}

// Indexes every run that has not ended; returns those that something must happen to.
std::vector<run_id> index_runs(actors::turn& now) {
  std::vector<run_id> unsettled;
  const auto visit = [&](const storage::run_record& run) {
    actors::index_run(now.state, run);
    if (run.status == run_status::running || run.status == run_status::held) unsettled.push_back(run.id);
    return true;
  };
  now.tx.each_live_run(visit, teller(now));
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
  load_definitions(state, *tx);
  const bool was_clean = tx->find_meta("clean").has_value();
  if (was_clean) tx->delete_meta("clean");
  actors::turn turn{.state = state, .tx = *tx, .out = result.told, .now = now, .entropy = entropy};
  load_event_memory(turn);
  const auto unsettled = index_runs(turn);
  load_functions(state, *tx, now);
  constexpr std::size_t all = SIZE_MAX;
  state.outbox_size = tx->oldest_outbox(all).size();

  load_sweeps(turn);
  actors::enter_flow(turn);
  state.is_stopping = true;  // nothing gets an actor before the router runs
  for (const auto& run : unsettled) settle(turn, run, was_clean);
  state.is_stopping = false;
  const auto& last = state.ids.last();
  tx->put_meta("last_id", {reinterpret_cast<const char*>(last.bytes.data()), last.bytes.size()});
  tx->commit();
  state.undo.clear();
  return result;
}

}  // namespace caesura::detail
