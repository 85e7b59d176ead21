#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <absl/container/btree_set.h>

#include <caesura/function.hpp>

#include "actors/commands.hpp"
#include "actors/expression/expression.hpp"
#include "actors/limits.hpp"
#include "actors/listener_index.hpp"
#include "actors/undo_log.hpp"
#include "storage/id_generator.hpp"
#include "storage/records.hpp"
#include "storage/store.hpp"

namespace caesura::actors {

// A function's stored part with its expressions parsed. Immutable.
struct definition {
  std::uint64_t hash{0};
  storage::definition_record record{};
  std::vector<expression::compiled> trigger_whens{};
  std::vector<expression::compiled> cancel_whens{};
};

// A function that this process can execute.
struct registered_function {
  function code{};
  std::shared_ptr<const definition> stored{};  // owners: this and the definitions
};

// The functions of a runtime by id, in the order given. Immutable once built; read by router and run actors.
class function_table {
 public:
  void add(registered_function fn) {
    by_id_.emplace(fn.code.id, functions_.size());
    functions_.push_back(std::move(fn));
  }
  [[nodiscard]] const registered_function* find(std::string_view id) const {
    const auto found = by_id_.find(std::string{id});
    return found == by_id_.end() ? nullptr : &functions_[found->second];
  }
  [[nodiscard]] const std::deque<registered_function>& all() const noexcept { return functions_; }

 private:
  std::deque<registered_function> functions_;  // addresses stay valid
  std::unordered_map<std::string, std::size_t> by_id_;
};

// A run that has an actor.
struct live_run {
  actors::activation activation{0};
  std::shared_ptr<const storage::run_record> record{};  // as the open transaction has it; owners: this and activations
  bool is_parking{false};
};

// Runs that may go on as soon as there is room: those under way before new ones, each first in first out. One thread.
class run_queue {
 public:
  void push(const run_id& run, bool is_under_way, undo_log& undo);
  // False when the run is not queued.
  bool remove(const run_id& run, undo_log& undo);
  [[nodiscard]] std::optional<run_id> front() const;
  [[nodiscard]] bool empty() const noexcept { return order_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return order_.size(); }

 private:
  using place = std::pair<bool, std::uint64_t>;  // new ones (true) after those under way
  void put(const run_id& run, place at);
  void take(const run_id& run);

  std::map<place, run_id> order_;
  std::unordered_map<run_id, place> places_;
  std::uint64_t next_ = 0;
};

// Which (name, client id) pairs were accepted within the event memory. Holds hashes; the event's record decides. One thread.
class event_memory {
 public:
  void remember(std::string_view name, std::string_view client_id, const event_id& id, undo_log* undo);
  [[nodiscard]] std::optional<event_id> find(std::string_view name, std::string_view client_id) const;
  // Forgets events accepted before `horizon`; a few at a time.
  void forget_before(time_point horizon, std::size_t at_most);
  [[nodiscard]] std::size_t size() const noexcept { return ids_.size(); }

 private:
  struct entry {
    std::uint64_t hash;
    event_id id;
  };
  std::unordered_map<std::uint64_t, event_id> ids_;
  std::deque<entry> oldest_first_;
};

struct open_sweep {
  position place{};
  std::shared_ptr<const storage::event_record> event{};  // owners: this
  listener_index::cursor cursor{};
};

// All that the transitions read and write besides the store: derived from the store's live runs, rebuilt at start, kept equal to it by
// replace_run alone. Deterministic: the same commands in the same order give the same content. One thread, the router's.
struct router_state {
  actors::limits limits{};
  std::shared_ptr<const function_table> functions{};  // owners: runtime, router, run actors
  std::unordered_map<std::uint64_t, std::shared_ptr<const definition>> definitions{};
  std::unordered_map<std::string, expression::compiled> wait_rules{};  // by text
  listener_index listeners{};
  absl::btree_set<std::pair<time_point, run_id>> timers{};
  run_queue queue{};
  std::unordered_map<run_id, live_run> live{};
  event_memory memory{};
  std::vector<open_sweep> sweeps{};
  std::size_t outbox_size{0};
  storage::id_generator ids{};
  actors::activation next_activation{1};
  bool is_stopping{false};
  undo_log undo{};

  [[nodiscard]] bool has_room() const noexcept { return !is_stopping && live.size() < limits.live_runs; }
  // Throws error{store_corrupt} naming the run when its definition is not stored.
  [[nodiscard]] const definition& definition_of(const storage::run_record& run) const;
  // Parsed once; nullptr when the text does not parse (checked when the wait began).
  [[nodiscard]] const expression::compiled& wait_rule(const std::string& text);
};

// One command's place in the order: what a transition may touch. It reads no clock and no random source: both come with the command.
struct turn {
  router_state& state;
  storage::write_transaction& tx;
  outputs& out;
  time_point now;
  std::uint64_t entropy;

  template <class Id>
  [[nodiscard]] Id next_id() {
    return state.ids.next<Id>(now, entropy);
  }
  void say(std::string text, const run_id& about = {}) { out.emplace_back(diagnostic{std::move(text), about}); }
};

// Parses the expressions of a stored definition. Throws error{invalid_expression} naming function, rule and position.
[[nodiscard]] std::shared_ptr<const definition> parse_definition(storage::definition_record record, std::uint64_t hash);

// The stored part of a function.
[[nodiscard]] storage::definition_record definition_record_of(const function& fn);

// An event record as expressions see it. Keeps the texts that the scope refers to: lives at least as long as the scope's use.
class scope_of {
 public:
  explicit scope_of(const storage::event_record& record);
  scope_of(const scope_of&) = delete;
  scope_of& operator=(const scope_of&) = delete;
  [[nodiscard]] const expression::event_scope& operator*() const noexcept { return scope_; }

 private:
  std::string id_;
  expression::event_scope scope_;
};

// The event as bodies and system events show it.
[[nodiscard]] event public_event(const storage::event_record& record);
[[nodiscard]] std::string public_id(const storage::event_record& record);

[[nodiscard]] run_info info_of(const storage::run_record& run, std::string function);

// When at the latest the run goes on by itself.
[[nodiscard]] std::optional<time_point> wake_time(const storage::run_record& run);

}  // namespace caesura::actors
