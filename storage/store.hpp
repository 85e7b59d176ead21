#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <caesura/ids.hpp>

#include "storage/pack_buffer.hpp"
#include "storage/records.hpp"

namespace caesura::storage {

struct store_options {
  std::string directory{};
  std::size_t map_size_bytes{std::size_t{1} << 40};  // halved down to 8 GiB when the address space refuses more
  std::uint32_t max_readers{256};                    // reads at a time: one more waits for its turn for up to a second
  // Called inside write_transaction::commit, just before and after LMDB commits, with the number of the commit (from 1, per open).
  // `before_commit` may throw to make the commit fail: the transaction is then aborted. For tests.
  std::function<void(std::uint64_t)> before_commit{};
  std::function<void(std::uint64_t)> after_commit{};
  // Called before each put and delete; may throw to make it fail. For tests.
  std::function<void()> before_write{};
  // Called before each read begins, by its thread; may throw to make it fail. For tests.
  std::function<void()> before_read{};
};

class store;
class lmdb_environment;  // lmdb.hpp
enum class table : std::uint8_t;  // codec.hpp
class lmdb_transaction;

struct id_page {
  std::vector<run_id> runs;  // newest first
  bool has_more{false};
};

// Told of a record that cannot be decoded, by the id at the end of its key (nil: there is none).
using damage_visitor = std::function<void(const position&, const error&)>;
// The same for a table whose keys are names.
using named_damage_visitor = std::function<void(std::string_view, const error&)>;

// The ids of a plan by their places. Where a part of the plan cannot be read, its places have none.
struct pinned_ids {
  std::vector<run_id> ids{};         // ascending: all that can be read
  std::vector<std::uint32_t> lost{};  // ascending: the chunks that cannot

  [[nodiscard]] std::optional<run_id> at(std::uint64_t place) const;
};

// A consistent snapshot. Reading what is not there is an expected miss (nullopt, empty); a record that fails its checksum or does not
// decode throws error{store_corrupt} naming table and key. Used by one thread, for a short time only: a snapshot that is held makes
// the file grow. Neither copies nor moves out of its thread.
class snapshot {
 public:
  virtual ~snapshot();
  snapshot(const snapshot&) = delete;
  snapshot& operator=(const snapshot&) = delete;

  [[nodiscard]] std::optional<event_record> find_event(const event_id& id) const;
  // Live runs first, then ended ones.
  [[nodiscard]] std::optional<run_record> find_run(const run_id& id) const;
  [[nodiscard]] std::optional<run_record> find_live_run(const run_id& id) const;
  // In the order of recording, from sequence number `from`, at most `limit`.
  [[nodiscard]] std::vector<step_record> steps_of(const run_id& id, std::uint32_t from = 0, std::size_t limit = SIZE_MAX) const;
  [[nodiscard]] std::optional<definition_record> find_definition(std::uint64_t hash) const;

  // Calls `visit` for each, in key order, until it returns false. Where `damaged` is given, it is told of what cannot be decoded, and the walk goes on.
  void each_definition(const std::function<bool(std::uint64_t, const definition_record&)>& visit, const damage_visitor& damaged = {}) const;
  void each_live_run(const std::function<bool(const run_record&)>& visit, const damage_visitor& damaged = {}) const;
  void each_live_status(const std::function<bool(run_status)>& visit, const damage_visitor& damaged = {}) const;
  void each_event(const event_id& from, const std::function<bool(const event_record&)>& visit, const damage_visitor& damaged = {}) const;
  // Events with this name whose id is >= `from`, oldest first.
  void each_event_named(std::string_view name, const event_id& from, const std::function<bool(const event_record&)>& visit,
                        const damage_visitor& damaged = {}) const;
  // Events with this name (empty: all) whose id is < `before` (nil: from the newest), newest first.
  void each_event_before(std::string_view name, const event_id& before, const std::function<bool(const event_record&)>& visit,
                         const damage_visitor& damaged = {}) const;
  void each_sweep(const std::function<bool(const position&, const sweep_record&)>& visit, const damage_visitor& damaged = {}) const;
  // Those beyond `after`.
  void each_outbox(const position& after, const std::function<bool(const position&, const outbox_record&)>& visit, const damage_visitor& damaged = {}) const;
  [[nodiscard]] std::size_t outbox_count() const;

  // Live runs with ids beyond `after`, oldest first, at most `limit`. Reads keys only.
  [[nodiscard]] std::vector<run_id> live_ids(const run_id& after, std::size_t limit) const;
  [[nodiscard]] std::size_t live_count() const;
  // Ended runs from `from` on, oldest first.
  void each_ended_run(const run_id& from, const std::function<bool(const run_record&)>& visit, const damage_visitor& damaged = {}) const;
  // Runs invoked by `parent` that have not ended, with ids beyond `after`, at most `limit`.
  [[nodiscard]] std::vector<run_id> children_of(const run_id& parent, const run_id& after, std::size_t limit) const;
  // True when a replay of a run of this event is stored.
  [[nodiscard]] bool has_replay(const event_id& event) const;

  [[nodiscard]] std::optional<bulk_record> find_bulk(const bulk_id& id) const;
  // Newest first, at most `limit`.
  [[nodiscard]] std::vector<std::pair<bulk_id, bulk_record>> newest_bulks(std::size_t limit, const damage_visitor& damaged = {}) const;
  void each_plan(const std::function<bool(const plan_id&, const plan_record&)>& visit, const damage_visitor& damaged = {}) const;
  [[nodiscard]] std::optional<plan_record> find_plan(const plan_id& id) const;
  // All ids of a plan, ascending.
  [[nodiscard]] std::vector<run_id> plan_ids(const plan_id& id) const;
  // Those of a plan of `count` ids that can be read; `damaged` is told of each part that is damaged or missing.
  [[nodiscard]] pinned_ids readable_plan_ids(const plan_id& id, std::uint64_t count, const damage_visitor& damaged) const;
  [[nodiscard]] std::optional<function_state_record> find_function_state(std::string_view function) const;
  void each_function_state(const std::function<bool(std::string_view, const function_state_record&)>& visit, const named_damage_visitor& damaged = {}) const;

  [[nodiscard]] std::optional<flow_record> find_flow(std::uint64_t id) const;
  void each_flow(std::uint64_t from, const std::function<bool(std::uint64_t, const flow_record&)>& visit, const damage_visitor& damaged = {}) const;

  // Run ids of one function (empty: of all), strictly older than `before` (nil: from the newest), newest first.
  [[nodiscard]] id_page runs_of(std::string_view function, const run_id& before, std::size_t limit) const;

  // Small named values: "last_id", "clean".
  [[nodiscard]] std::optional<std::string> find_meta(std::string_view name) const;

 protected:
  explicit snapshot(std::unique_ptr<lmdb_transaction> transaction);
  friend class store;

  std::unique_ptr<lmdb_transaction> transaction_;
};

// The one writer. Sees its own writes. Destroying it without commit leaves the store as it was. Writes throw error{storage_full} or
// error{storage_failed}; after a throw only destroying it makes sense.
class write_transaction final : public snapshot {
 public:
  ~write_transaction() override;

  void put_event(const event_record& event);
  // In the table of live or of ended runs, as is_ended(status) says; moves it from one to the other when that changed.
  // `was_live`: the store holds it as a live run now.
  void put_run(const run_record& run, bool was_live);
  // Also enters the run in the index by function.
  void create_run(const run_record& run, std::string_view function);
  void put_step(const run_id& run, std::uint32_t sequence, const step_record& step);
  // Stores the definition unless it is there; returns its hash. Throws error{store_corrupt} if another has the same hash. Where `damaged` is given, it is
  // told of a record that cannot be decoded, which is then stored again: the hash says what it was.
  std::uint64_t intern_definition(const definition_record& definition, const damage_visitor& damaged = {});
  void put_outbox(const position& place, const outbox_record& record);
  void delete_outbox(const position& place);
  void put_sweep(const position& place, const sweep_record& record);
  void delete_sweep(const position& place);
  void put_bulk(const bulk_id& id, const bulk_record& record);
  void delete_bulk(const bulk_id& id);
  void put_plan(const plan_id& id, const plan_record& record);
  void put_plan_chunk(const plan_id& id, std::uint32_t chunk, const plan_chunk_record& record);
  void delete_plan(const plan_id& id);
  void put_function_state(std::string_view function, const function_state_record& record);
  void put_flow(std::uint64_t id, const flow_record& record);
  void delete_flow(std::uint64_t id);
  void put_child(const run_id& parent, const run_id& child);
  void delete_child(const run_id& parent, const run_id& child);
  void put_replay(const event_id& event, const run_id& run);
  // Forgets an ended run with all that is stored for it alone.
  void purge_run(const run_record& run, std::string_view function);
  void purge_event(const event_record& event);
  void put_meta(std::string_view name, std::string_view value);
  void delete_meta(std::string_view name);

  // Durable once it returns. Throws error{storage_full}, error{storage_failed} (nothing was recorded) or error{outcome_unknown}
  // (LMDB reports panic; the store must be reopened).
  void commit();

  // An estimate of the bytes put so far.
  [[nodiscard]] std::size_t written_bytes() const noexcept { return written_bytes_; }

 private:
  friend class store;
  write_transaction(std::unique_ptr<lmdb_transaction> transaction, store& owner);
  void put(table where, std::string_view key, std::string_view value);
  template <class Record>
  void put_record(table where, std::string_view key, const Record& record);
  void remove(table where, std::string_view key);

  store& owner_;
  pack_buffer packed_;  // of the record that is put
  std::size_t written_bytes_ = 0;
};

// Key order hash of a definition's bytes, as intern_definition would give it.
[[nodiscard]] std::uint64_t definition_hash(const definition_record& definition);

// A directory with one LMDB file. One process and one `store` at a time may open it: the constructor throws error{store_locked} with
// the holder's name and process id. Throws error{store_newer} on a newer format, error{storage_failed} when the directory cannot be
// made or used. begin_write: one at a time, by one thread; opens the file anew where that has become necessary. begin_read: any thread; error{storage_failed}
// while the file could not be opened anew.
class store {
 public:
  explicit store(store_options options);
  ~store();
  store(const store&) = delete;
  store& operator=(const store&) = delete;

  [[nodiscard]] std::unique_ptr<snapshot> begin_read() const;
  [[nodiscard]] std::unique_ptr<write_transaction> begin_write();

  // After error{outcome_unknown}: closes and opens the file anew, waiting until snapshots under way are gone. When that fails, the next call or the next
  // begin_write tries again.
  void reopen();

  [[nodiscard]] const store_options& options() const noexcept;
  [[nodiscard]] std::size_t file_size_bytes() const;

 private:
  friend class write_transaction;
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace caesura::storage
