#include "storage/store.hpp"

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "storage/codec.hpp"
#include "storage/directory_lock.hpp"
#include "storage/document_view.hpp"
#include "storage/keys.hpp"
#include "storage/lmdb.hpp"

namespace caesura::storage {

namespace {

constexpr std::uint64_t format_version = 3;  // 1: before bulk jobs, replay, pause, children; 2: before flow control; read as they are

}  // namespace

std::uint64_t definition_hash(const definition_record& definition) { return hash_text(encode_body(definition)); }

namespace {

// The reads that may be at a time: LMDB refuses what is beyond them, so who comes then waits for one to end. Any thread.
class read_slots {
 public:
  explicit read_slots(unsigned count) : free_{count} {}

  // Reads are short, so that one ends within milliseconds. A thread that holds some itself must not wait for ever: error{storage_failed} after a second.
  void take() {
    std::unique_lock lock{mutex_};
    if (!freed_.wait_for(lock, std::chrono::seconds{1}, [this] { return free_ != 0; })) {
      throw error{errc::storage_failed, "a read could not begin: as many as store_options::max_readers allows were under way for a second"};
    }
    --free_;
  }
  void give_back() noexcept {
    {
      const std::lock_guard lock{mutex_};
      ++free_;
    }
    freed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable freed_;
  unsigned free_;
};

// One of them, for as long as it lives.
class read_slot {
 public:
  explicit read_slot(read_slots& slots) : slots_{slots} { slots_.take(); }
  ~read_slot() { slots_.give_back(); }
  read_slot(const read_slot&) = delete;
  read_slot& operator=(const read_slot&) = delete;

 private:
  read_slots& slots_;
};

}  // namespace

struct store::state {
  store_options options;
  directory_lock lock;
  std::string file;
  mutable std::shared_mutex reopening;  // snapshots share it; reopen() has it alone
  std::unique_ptr<lmdb_environment> environment;  // null: it could not be opened anew
  std::uint64_t commits = 0;
  read_slots reads{options.max_readers};

  explicit state(store_options given) : options{std::move(given)}, lock{options.directory}, file{options.directory + "/caesura.mdb"} {
    open();
  }
  // Held by whoever reads it. Throws error{storage_failed} while there is none.
  const lmdb_environment& opened() const {
    if (environment == nullptr) throw error{errc::storage_failed, "the store " + file + " could not be opened anew; the next write tries again"};
    return *environment;
  }
  void open() { environment = std::make_unique<lmdb_environment>(file, options.map_size_bytes, options.max_readers); }
};

namespace {

// A read transaction that keeps the file open under it. Whoever waits for a slot doesn't hold the file, so that it can be opened anew meanwhile.
class guarded_snapshot final : public snapshot {
 public:
  guarded_snapshot(std::unique_ptr<read_slot> slot, std::shared_lock<std::shared_mutex> guard, std::unique_ptr<lmdb_transaction> transaction)
      : snapshot{std::move(transaction)}, slot_{std::move(slot)}, guard_{std::move(guard)} {}
  ~guarded_snapshot() override { transaction_.reset(); }

 private:
  std::unique_ptr<read_slot> slot_;
  std::shared_lock<std::shared_mutex> guard_;
};

void check_format(write_transaction& tx, const std::string& directory) {
  const auto stored = tx.find_meta("format");
  if (!stored) {
    tx.put_meta("format", key_of(format_version));
    tx.commit();
    return;
  }
  if (const auto version = number_at(*stored); version > format_version) {
    throw error{errc::store_newer, "directory " + directory + " has format " + std::to_string(version) +
                                       "; this library reads up to format " + std::to_string(format_version) + ": use a newer one"};
  } else if (version < format_version) {
    tx.put_meta("format", key_of(format_version));
    tx.commit();
  }
}

}  // namespace

store::store(store_options options) : state_{std::make_unique<state>(std::move(options))} {
  auto hooks = std::exchange(state_->options.before_commit, {});  // not for the store's own first commit
  auto after = std::exchange(state_->options.after_commit, {});
  auto writes = std::exchange(state_->options.before_write, {});
  check_format(*begin_write(), state_->options.directory);
  state_->options.before_commit = std::move(hooks);
  state_->options.after_commit = std::move(after);
  state_->options.before_write = std::move(writes);
  state_->commits = 0;
  sync_directory(state_->options.directory);  // a file whose name is lost is lost
}

store::~store() = default;

std::unique_ptr<snapshot> store::begin_read() const {
  if (const auto& hook = state_->options.before_read) hook();
  auto slot = std::make_unique<read_slot>(state_->reads);
  std::shared_lock guard{state_->reopening};
  auto transaction = std::make_unique<lmdb_transaction>(state_->opened(), access::read);
  return std::make_unique<guarded_snapshot>(std::move(slot), std::move(guard), std::move(transaction));
}

std::unique_ptr<write_transaction> store::begin_write() {
  std::unique_ptr<lmdb_transaction> transaction;
  if (state_->environment == nullptr) reopen();  // nobody but the writer replaces it
  try {
    transaction = std::make_unique<lmdb_transaction>(state_->opened(), access::write);
  } catch (const error& e) {
    if (e.code() != errc::outcome_unknown) throw;
    reopen();
    transaction = std::make_unique<lmdb_transaction>(state_->opened(), access::write);
  }
  return std::unique_ptr<write_transaction>{new write_transaction{std::move(transaction), *this}};
}

void store::reopen() {
  const std::unique_lock alone{state_->reopening};
  state_->environment.reset();
  state_->open();
}

const store_options& store::options() const noexcept { return state_->options; }

std::size_t store::file_size_bytes() const {
  const std::shared_lock guard{state_->reopening};
  return state_->opened().used_bytes();
}

write_transaction::write_transaction(std::unique_ptr<lmdb_transaction> transaction, store& owner)
    : snapshot{std::move(transaction)}, owner_{owner} {}

write_transaction::~write_transaction() = default;

void write_transaction::put(table where, std::string_view key, std::string_view value) {
  if (const auto& hook = owner_.options().before_write) hook();
  transaction_->put(where, key, value);
  written_bytes_ += key.size() + value.size();
}

template <class Record>
void write_transaction::put_record(table where, std::string_view key, const Record& record) {
  put(where, key, encode(packed_, where, key, record));
}

void write_transaction::remove(table where, std::string_view key) {
  if (const auto& hook = owner_.options().before_write) hook();
  transaction_->remove(where, key);
}

void write_transaction::put_event(const event_record& event) {
  const auto key = key_of(event.id);
  put_record(table::events, key, event);
  put(table::events_by_name, hashed_key(hash_text(event.name), event.id), {});
}

void write_transaction::put_run(const run_record& run, bool was_live) {
  const auto key = key_of(run.id);
  if (!is_ended(run.status)) {
    put_record(table::live_runs, key, run);
    return;
  }
  if (was_live) remove(table::live_runs, key);
  put_record(table::ended_runs, key, run);
}

void write_transaction::create_run(const run_record& run, std::string_view function) {
  put_run(run, false);
  put(table::runs_by_function, hashed_key(hash_text(function), run.id), {});
}

void write_transaction::put_step(const run_id& run, std::uint32_t sequence, const step_record& step) {
  const auto key = step_key(run, sequence);
  put_record(table::steps, key, step);
}

std::uint64_t write_transaction::intern_definition(const definition_record& definition, const damage_visitor& damaged) {
  const auto hash = definition_hash(definition);
  std::optional<definition_record> stored;
  try {
    stored = find_definition(hash);
  } catch (const error& e) {
    if (!damaged || e.code() != errc::store_corrupt) throw;
    damaged({}, e);
  }
  if (stored) {
    if (*stored != definition) {
      throw error{errc::store_corrupt, "table definitions: functions \"" + definition.function + "\" and \"" + stored->function +
                                           "\" have the same hash; change one of their rules"};
    }
    return hash;
  }
  const auto key = key_of(hash);
  put_record(table::definitions, key, definition);
  return hash;
}

void write_transaction::put_outbox(const position& place, const outbox_record& record) {
  const auto key = key_of(place);
  put_record(table::outbox, key, record);
}

void write_transaction::delete_outbox(const position& place) { remove(table::outbox, key_of(place)); }

void write_transaction::put_sweep(const position& place, const sweep_record& record) {
  const auto key = key_of(place);
  put_record(table::sweeps, key, record);
}

void write_transaction::delete_sweep(const position& place) { remove(table::sweeps, key_of(place)); }

void write_transaction::put_bulk(const bulk_id& id, const bulk_record& record) {
  const auto key = key_of(id);
  put_record(table::bulk_jobs, key, record);
}

void write_transaction::delete_bulk(const bulk_id& id) { remove(table::bulk_jobs, key_of(id)); }

void write_transaction::put_plan(const plan_id& id, const plan_record& record) {
  const auto key = key_of(id);
  put_record(table::plans, key, record);
}

void write_transaction::put_plan_chunk(const plan_id& id, std::uint32_t chunk, const plan_chunk_record& record) {
  const auto key = step_key(id_cast<run_id>(id), chunk);
  put_record(table::plan_ids, key, record);
}

void write_transaction::delete_plan(const plan_id& id) {
  const auto plan = find_plan(id);
  if (!plan) return;
  const auto chunks = (plan->ids + plan_chunk_ids - 1) / plan_chunk_ids;
  for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) remove(table::plan_ids, step_key(id_cast<run_id>(id), chunk));
  remove(table::plans, key_of(id));
}

void write_transaction::put_function_state(std::string_view function, const function_state_record& record) {
  put_record(table::functions, function, record);
}

void write_transaction::put_flow(std::uint64_t id, const flow_record& record) {
  const auto key = key_of(id);
  put_record(table::flow, key, record);
}

void write_transaction::delete_flow(std::uint64_t id) { remove(table::flow, key_of(id)); }

void write_transaction::put_child(const run_id& parent, const run_id& child) { put(table::children, key_of(parent) + key_of(child), {}); }

void write_transaction::delete_child(const run_id& parent, const run_id& child) {
  remove(table::children, key_of(parent) + key_of(child));
}

void write_transaction::put_replay(const event_id& event, const run_id& run) { put(table::runs_by_event, key_of(event) + key_of(run), {}); }

void write_transaction::purge_run(const run_record& run, std::string_view function) {
  for (std::uint32_t sequence = 0; sequence < run.step_count; ++sequence) remove(table::steps, step_key(run.id, sequence));
  remove(table::runs_by_function, hashed_key(hash_text(function), run.id));
  if (!run.replay_of.is_nil()) {
    for (const auto& event : events_of(run)) remove(table::runs_by_event, key_of(event) + key_of(run.id));
  }
  remove(table::ended_runs, key_of(run.id));
}

void write_transaction::purge_event(const event_record& event) {
  remove(table::events_by_name, hashed_key(hash_text(event.name), event.id));
  remove(table::events, key_of(event.id));
}

void write_transaction::put_meta(std::string_view name, std::string_view value) { put(table::meta, name, seal(table::meta, name, value)); }

void write_transaction::delete_meta(std::string_view name) { remove(table::meta, name); }

void write_transaction::commit() {
  const auto number = ++owner_.state_->commits;
  if (const auto& hook = owner_.options().before_commit) hook(number);
  transaction_->commit();
  if (const auto& hook = owner_.options().after_commit) hook(number);
}

}  // namespace caesura::storage
