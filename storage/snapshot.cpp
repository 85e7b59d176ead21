#include <algorithm>
#include <utility>

#include "storage/codec.hpp"
#include "storage/document_view.hpp"
#include "storage/keys.hpp"
#include "storage/lmdb.hpp"
#include "storage/store.hpp"

namespace caesura::storage {

namespace {

template <class Record>
Record decoded(table where, std::string_view key, std::string_view bytes) {
  auto record = decode<Record>(where, key, bytes);
  if (!record) {
    throw error{errc::store_corrupt, "table " + std::string{name_of(where)} + ": the record under key " + hex(key) +
                                         " fails its checksum or does not decode"};
  }
  return std::move(*record);
}

// nullopt: it cannot be read, and `damaged` has been told.
template <class Record>
std::optional<Record> readable(table where, std::string_view key, std::string_view bytes, const damage_visitor& damaged) {
  try {
    return decoded<Record>(where, key, bytes);
  } catch (const error& e) {
    if (!damaged) throw;
    damaged(id_at_end<position>(key).value_or(position{}), e);
    return std::nullopt;
  }
}

template <class Record>
std::optional<Record> found(const lmdb_transaction& tx, table where, std::string_view key) {
  const auto bytes = tx.get(where, key);
  if (!bytes) return std::nullopt;
  return decoded<Record>(where, key, *bytes);
}

template <class Id>
Id id_of(table where, std::string_view key) {
  const auto id = id_at_end<Id>(key);
  if (!id) throw error{errc::store_corrupt, "table " + std::string{name_of(where)} + ": key " + hex(key) + " is too short"};
  return *id;
}

}  // namespace

snapshot::snapshot(std::unique_ptr<lmdb_transaction> transaction) : transaction_{std::move(transaction)} {}
snapshot::~snapshot() = default;

std::optional<event_record> snapshot::find_event(const event_id& id) const {
  return found<event_record>(*transaction_, table::events, key_of(id));
}

std::optional<run_record> snapshot::find_live_run(const run_id& id) const {
  return found<run_record>(*transaction_, table::live_runs, key_of(id));
}

std::optional<run_record> snapshot::find_run(const run_id& id) const {
  if (auto live = find_live_run(id)) return live;
  return found<run_record>(*transaction_, table::ended_runs, key_of(id));
}

std::vector<step_record> snapshot::steps_of(const run_id& id, std::uint32_t from, std::size_t limit) const {
  std::vector<step_record> steps;
  const auto prefix = key_of(id);
  transaction_->each_from(table::steps, step_key(id, from), [&](std::string_view key, std::string_view value) {
    if (!key.starts_with(prefix) || steps.size() == limit) return false;
    steps.push_back(decoded<step_record>(table::steps, key, value));
    return true;
  });
  return steps;
}

std::optional<definition_record> snapshot::find_definition(std::uint64_t hash) const {
  return found<definition_record>(*transaction_, table::definitions, key_of(hash));
}

void snapshot::each_definition(const std::function<bool(std::uint64_t, const definition_record&)>& visit, const damage_visitor& damaged) const {
  transaction_->each_from(table::definitions, {}, [&](std::string_view key, std::string_view value) {
    const auto definition = readable<definition_record>(table::definitions, key, value, damaged);
    return !definition || visit(number_at(key), *definition);
  });
}

void snapshot::each_live_run(const std::function<bool(const run_record&)>& visit, const damage_visitor& damaged) const {
  transaction_->each_from(table::live_runs, {}, [&](std::string_view key, std::string_view value) {
    const auto run = readable<run_record>(table::live_runs, key, value, damaged);
    return !run || visit(*run);
  });
}

void snapshot::each_live_status(const std::function<bool(run_status)>& visit, const damage_visitor& damaged) const {
  transaction_->each_from(table::live_runs, {}, [&](std::string_view key, std::string_view value) {
    if (const auto status = decode_status(table::live_runs, key, value)) return visit(*status);
    const auto run = readable<run_record>(table::live_runs, key, value, damaged);  // which says what is wrong
    return !run || visit(run->status);
  });
}

void snapshot::each_event(const event_id& from, const std::function<bool(const event_record&)>& visit, const damage_visitor& damaged) const {
  transaction_->each_from(table::events, key_of(from), [&](std::string_view key, std::string_view value) {
    const auto event = readable<event_record>(table::events, key, value, damaged);
    return !event || visit(*event);
  });
}

namespace {

// An entry of events_by_name: false when `visit` wants no more.
bool visit_named(const lmdb_transaction& tx, const event_id& id, std::string_view name, const std::function<bool(const event_record&)>& visit, const damage_visitor& damaged) {
  const auto bytes = tx.get(table::events, key_of(id));
  if (!bytes) {
    const error missing{errc::store_corrupt, "table events_by_name: event " + to_string(id) + " is not stored"};
    if (!damaged) throw missing;
    damaged(id_cast<position>(id), missing);
    return true;
  }
  const auto event = readable<event_record>(table::events, key_of(id), *bytes, damaged);
  return !event || event->name != name || visit(*event);  // two names may share a hash
}

}  // namespace

void snapshot::each_event_named(std::string_view name, const event_id& from, const std::function<bool(const event_record&)>& visit,
                                const damage_visitor& damaged) const {
  const std::uint64_t hash = hash_text(name);
  const auto prefix = key_of(hash);
  transaction_->each_from(table::events_by_name, hashed_key(hash, from), [&](std::string_view key, std::string_view) {
    if (!key.starts_with(prefix)) return false;
    return visit_named(*transaction_, id_of<event_id>(table::events_by_name, key), name, visit, damaged);
  });
}

void snapshot::each_event_before(std::string_view name, const event_id& before, const std::function<bool(const event_record&)>& visit,
                                 const damage_visitor& damaged) const {
  if (name.empty()) {
    const auto end = key_of(before);
    transaction_->each_before(table::events, before.is_nil() ? std::string_view{} : end, [&](std::string_view key, std::string_view value) {
      const auto event = readable<event_record>(table::events, key, value, damaged);
      return !event || visit(*event);
    });
    return;
  }
  const std::uint64_t hash = hash_text(name);
  const auto prefix = key_of(hash);
  event_id last;
  last.bytes.fill(0xFF);  // beyond every id that is issued
  transaction_->each_before(table::events_by_name, hashed_key(hash, before.is_nil() ? last : before), [&](std::string_view key, std::string_view) {
    if (!key.starts_with(prefix)) return false;
    return visit_named(*transaction_, id_of<event_id>(table::events_by_name, key), name, visit, damaged);
  });
}

void snapshot::each_sweep(const std::function<bool(const position&, const sweep_record&)>& visit, const damage_visitor& damaged) const {
  transaction_->each_from(table::sweeps, {}, [&](std::string_view key, std::string_view value) {
    const auto sweep = readable<sweep_record>(table::sweeps, key, value, damaged);
    return !sweep || visit(id_of<position>(table::sweeps, key), *sweep);
  });
}

namespace {

// The ids at the end of the keys that begin with `prefix`, beyond `after`.
template <std::size_t Size>
std::vector<run_id> ids_beyond(const lmdb_transaction& tx, table where, const key_bytes<Size>& prefix, const run_id& after, std::size_t limit) {
  std::vector<run_id> ids;
  if (limit == 0) return ids;
  tx.each_from(where, prefix + key_of(after), [&](std::string_view key, std::string_view) {
    if (!key.starts_with(prefix)) return false;
    if (const auto id = id_of<run_id>(where, key); id > after) ids.push_back(id);
    return ids.size() < limit;
  });
  return ids;
}

}  // namespace

std::vector<run_id> snapshot::live_ids(const run_id& after, std::size_t limit) const {
  return ids_beyond(*transaction_, table::live_runs, key_bytes<0>{}, after, limit);
}

std::size_t snapshot::live_count() const { return transaction_->count(table::live_runs); }

void snapshot::each_ended_run(const run_id& from, const std::function<bool(const run_record&)>& visit, const damage_visitor& damaged) const {
  transaction_->each_from(table::ended_runs, key_of(from), [&](std::string_view key, std::string_view value) {
    const auto run = readable<run_record>(table::ended_runs, key, value, damaged);
    return !run || visit(*run);
  });
}

std::vector<run_id> snapshot::children_of(const run_id& parent, const run_id& after, std::size_t limit) const {
  return ids_beyond(*transaction_, table::children, key_of(parent), after, limit);
}

bool snapshot::has_replay(const event_id& event) const {
  return !ids_beyond(*transaction_, table::runs_by_event, key_of(event), {}, 1).empty();
}

std::optional<bulk_record> snapshot::find_bulk(const bulk_id& id) const {
  return found<bulk_record>(*transaction_, table::bulk_jobs, key_of(id));
}

std::vector<std::pair<bulk_id, bulk_record>> snapshot::newest_bulks(std::size_t limit, const damage_visitor& damaged) const {
  std::vector<std::pair<bulk_id, bulk_record>> result;
  if (limit == 0) return result;
  transaction_->each_before(table::bulk_jobs, {}, [&](std::string_view key, std::string_view value) {
    if (auto job = readable<bulk_record>(table::bulk_jobs, key, value, damaged)) result.emplace_back(id_of<bulk_id>(table::bulk_jobs, key), std::move(*job));
    return result.size() < limit;
  });
  return result;
}

void snapshot::each_plan(const std::function<bool(const plan_id&, const plan_record&)>& visit, const damage_visitor& damaged) const {
  transaction_->each_from(table::plans, {}, [&](std::string_view key, std::string_view value) {
    const auto plan = readable<plan_record>(table::plans, key, value, damaged);
    return !plan || visit(id_of<plan_id>(table::plans, key), *plan);
  });
}

std::optional<plan_record> snapshot::find_plan(const plan_id& id) const {
  return found<plan_record>(*transaction_, table::plans, key_of(id));
}

std::vector<run_id> snapshot::plan_ids(const plan_id& id) const {
  std::vector<run_id> ids;
  const auto prefix = key_of(id);
  transaction_->each_from(table::plan_ids, prefix, [&](std::string_view key, std::string_view value) {
    if (!key.starts_with(prefix)) return false;
    const auto chunk = decoded<plan_chunk_record>(table::plan_ids, key, value);
    for (std::size_t at = 0; at + sizeof(run_id::bytes) <= chunk.ids.size(); at += sizeof(run_id::bytes)) {
      ids.push_back(id_at_end<run_id>(std::string_view{chunk.ids}.substr(at, sizeof(run_id::bytes))).value());
    }
    return true;
  });
  return ids;
}

std::optional<run_id> pinned_ids::at(std::uint64_t place) const {
  const auto chunk = static_cast<std::uint32_t>(place / plan_chunk_ids);
  const auto next_lost = std::ranges::lower_bound(lost, chunk);
  if (next_lost != lost.end() && *next_lost == chunk) return std::nullopt;
  // Only the last chunk of a plan is not full, and nothing stands behind it.
  const auto index = place - static_cast<std::uint64_t>(next_lost - lost.begin()) * plan_chunk_ids;
  return index < ids.size() ? std::optional{ids[index]} : std::nullopt;
}

pinned_ids snapshot::readable_plan_ids(const plan_id& id, std::uint64_t count, const damage_visitor& damaged) const {
  pinned_ids pinned;
  for (std::uint64_t first = 0; first < count; first += plan_chunk_ids) {
    const auto chunk = static_cast<std::uint32_t>(first / plan_chunk_ids);
    const auto due = static_cast<std::size_t>(std::min<std::uint64_t>(plan_chunk_ids, count - first)) * sizeof(run_id::bytes);
    const auto key = step_key(id_cast<run_id>(id), chunk);
    const auto value = transaction_->get(table::plan_ids, key);
    const auto part = value ? decode<plan_chunk_record>(table::plan_ids, key, *value) : std::nullopt;
    if (!part || part->ids.size() != due) {
      pinned.lost.push_back(chunk);
      damaged(id_cast<position>(id), error{errc::store_corrupt, "table plan_ids: the record under key " + hex(key) + " is missing or damaged"});
      continue;
    }
    for (std::size_t at = 0; at < due; at += sizeof(run_id::bytes)) {
      pinned.ids.push_back(id_at_end<run_id>(std::string_view{part->ids}.substr(at, sizeof(run_id::bytes))).value());
    }
  }
  return pinned;
}

std::optional<function_state_record> snapshot::find_function_state(std::string_view function) const {
  return found<function_state_record>(*transaction_, table::functions, function);
}

void snapshot::each_function_state(const std::function<bool(std::string_view, const function_state_record&)>& visit,
                                   const named_damage_visitor& damaged) const {
  transaction_->each_from(table::functions, {}, [&](std::string_view key, std::string_view value) {
    const damage_visitor tell = [&](const position&, const error& why) { damaged(key, why); };
    const auto state = readable<function_state_record>(table::functions, key, value, damaged ? tell : damage_visitor{});
    return !state || visit(key, *state);
  });
}

std::optional<flow_record> snapshot::find_flow(std::uint64_t id) const { return found<flow_record>(*transaction_, table::flow, key_of(id)); }

void snapshot::each_flow(std::uint64_t from, const std::function<bool(std::uint64_t, const flow_record&)>& visit, const damage_visitor& damaged) const {
  transaction_->each_from(table::flow, key_of(from), [&](std::string_view key, std::string_view value) {
    const auto flow = readable<flow_record>(table::flow, key, value, damaged);
    return !flow || visit(number_at(key), *flow);
  });
}

void snapshot::each_outbox(const position& after, const std::function<bool(const position&, const outbox_record&)>& visit, const damage_visitor& damaged) const {
  transaction_->each_from(table::outbox, key_of(after), [&](std::string_view key, std::string_view value) {
    const auto place = id_of<position>(table::outbox, key);
    if (place == after) return true;
    const auto decision = readable<outbox_record>(table::outbox, key, value, damaged);
    return !decision || visit(place, *decision);
  });
}

std::size_t snapshot::outbox_count() const { return transaction_->count(table::outbox); }

namespace {

// The newest ids of one table before `before`, at most one more than `limit`.
template <std::size_t Size>
std::vector<run_id> newest(const lmdb_transaction& tx, table where, const key_bytes<Size>& prefix, const run_id& before, std::size_t limit) {
  run_id last;
  last.bytes.fill(0xFF);
  std::vector<run_id> ids;
  tx.each_before(where, prefix + key_of(before.is_nil() ? last : before), [&](std::string_view key, std::string_view) {
    if (!key.starts_with(prefix)) return false;
    ids.push_back(id_of<run_id>(where, key));
    return ids.size() <= limit;
  });
  return ids;
}

}  // namespace

id_page snapshot::runs_of(std::string_view function, const run_id& before, std::size_t limit) const {
  std::vector<run_id> ids;
  if (!function.empty()) {
    ids = newest(*transaction_, table::runs_by_function, key_of(hash_text(function)), before, limit);
  } else {
    const auto live = newest(*transaction_, table::live_runs, key_bytes<0>{}, before, limit);
    const auto ended = newest(*transaction_, table::ended_runs, key_bytes<0>{}, before, limit);
    std::ranges::merge(live, ended, std::back_inserter(ids), std::greater<>{});
  }
  const bool has_more = ids.size() > limit;
  if (has_more) ids.resize(limit);
  return {.runs = std::move(ids), .has_more = has_more};
}

std::optional<std::string> snapshot::find_meta(std::string_view name) const {
  const auto value = transaction_->get(table::meta, name);
  if (!value) return std::nullopt;
  const auto bytes = unseal(table::meta, name, *value);
  if (!bytes) throw error{errc::store_corrupt, "table meta: the row \"" + std::string{name} + "\" fails its checksum"};
  return std::string{*bytes};
}

}  // namespace caesura::storage
