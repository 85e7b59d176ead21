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
  const std::string prefix = key_of(id);
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

void snapshot::each_definition(const std::function<bool(std::uint64_t, const definition_record&)>& visit) const {
  transaction_->each_from(table::definitions, {}, [&](std::string_view key, std::string_view value) {
    return visit(number_at(key), decoded<definition_record>(table::definitions, key, value));
  });
}

void snapshot::each_live_run(const std::function<bool(const run_record&)>& visit) const {
  transaction_->each_from(table::live_runs, {}, [&](std::string_view key, std::string_view value) {
    return visit(decoded<run_record>(table::live_runs, key, value));
  });
}

void snapshot::each_event(const event_id& from, const std::function<bool(const event_record&)>& visit) const {
  transaction_->each_from(table::events, key_of(from), [&](std::string_view key, std::string_view value) {
    return visit(decoded<event_record>(table::events, key, value));
  });
}

void snapshot::each_event_named(std::string_view name, const event_id& from,
                                const std::function<bool(const event_record&)>& visit) const {
  const std::uint64_t hash = hash_text(name);
  const std::string prefix = key_of(hash);
  transaction_->each_from(table::events_by_name, hashed_key(hash, from), [&](std::string_view key, std::string_view) {
    if (!key.starts_with(prefix)) return false;
    const auto id = id_of<event_id>(table::events_by_name, key);
    const auto event = find_event(id);
    if (!event) throw error{errc::store_corrupt, "table events_by_name: event " + to_string(id) + " is not stored"};
    return event->name != name || visit(*event);  // two names may share a hash
  });
}

void snapshot::each_sweep(const std::function<bool(const position&, const sweep_record&)>& visit) const {
  transaction_->each_from(table::sweeps, {}, [&](std::string_view key, std::string_view value) {
    return visit(id_of<position>(table::sweeps, key), decoded<sweep_record>(table::sweeps, key, value));
  });
}

std::vector<std::pair<position, outbox_record>> snapshot::oldest_outbox(std::size_t limit) const {
  std::vector<std::pair<position, outbox_record>> result;
  if (limit == 0) return result;
  transaction_->each_from(table::outbox, {}, [&](std::string_view key, std::string_view value) {
    result.emplace_back(id_of<position>(table::outbox, key), decoded<outbox_record>(table::outbox, key, value));
    return result.size() < limit;
  });
  return result;
}

namespace {

// The newest ids of one table before `before`, at most one more than `limit`.
std::vector<run_id> newest(const lmdb_transaction& tx, table where, const std::string& prefix, const run_id& before, std::size_t limit) {
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
    const auto live = newest(*transaction_, table::live_runs, {}, before, limit);
    const auto ended = newest(*transaction_, table::ended_runs, {}, before, limit);
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
