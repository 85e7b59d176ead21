#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <absl/container/btree_set.h>

#include <ext/pb_ds/assoc_container.hpp>
#include <ext/pb_ds/tree_policy.hpp>

#include <caesura/function.hpp>

#include "actors/commands.hpp"
#include "actors/cron.hpp"
#include "actors/expression/expression.hpp"
#include "actors/limits.hpp"
#include "actors/listener_index.hpp"
#include "actors/passed_events.hpp"
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
  std::vector<expression::compiled> concurrency_keys{};
};

// A function's flow control with its expressions parsed. Not stored: what matters is the present one. Immutable.
struct flow_rules {
  struct cron_trigger {
    std::string text{};
    cron_schedule schedule{};
    duration jitter{0};
  };
  std::optional<caesura::rate_limit> rate_limit{};  // also idempotency
  expression::compiled rate_limit_key{};
  std::optional<caesura::throttle> throttle{};
  expression::compiled throttle_key{};
  std::optional<caesura::debounce> debounce{};
  expression::compiled debounce_key{};
  std::optional<caesura::batch> batch{};
  expression::compiled batch_key{};
  expression::compiled batch_when{};
  std::optional<caesura::singleton> singleton{};
  expression::compiled singleton_key{};
  expression::compiled priority{};
  std::vector<cron_trigger> crons{};
};

// Throws error{invalid_expression}, error{invalid_function}. Null when the function has none.
[[nodiscard]] std::shared_ptr<const flow_rules> flow_rules_of(const function& fn);

// A function that this process can execute.
struct registered_function {
  function code{};
  std::shared_ptr<const definition> stored{};  // owners: this and the definitions
  std::shared_ptr<const flow_rules> flow{};    // null: an event starts a run at once. Owners: copies of this
  std::vector<std::uint64_t> group_sources{};  // of its concurrency entries; function_table::add fills it in
};

// What the groups of a function's concurrency entry have in common: a shared one is named by its key alone. No id of a function is empty.
[[nodiscard]] std::string group_name(const function& fn, std::size_t entry);
[[nodiscard]] std::uint64_t group_source(const function& fn, std::size_t entry);

// The functions of a runtime by id, in the order given. Immutable once built; read by router and run actors.
class function_table : public std::enable_shared_from_this<function_table> {
 public:
  void add(registered_function fn) {
    for (std::size_t i = 0; i < fn.code.concurrency.size(); ++i) {
      const auto limit = fn.code.concurrency[i].limit;
      auto& lowest = limits_.emplace(fn.group_sources.emplace_back(group_source(fn.code, i)), limit).first->second;
      lowest = std::min(lowest, limit);
    }
    by_id_.emplace(fn.code.id, functions_.size());
    functions_.push_back(std::move(fn));
  }
  [[nodiscard]] const registered_function* find(std::string_view id) const {
    const auto found = by_id_.find(std::string{id});
    return found == by_id_.end() ? nullptr : &functions_[found->second];
  }
  // Keeps the whole table alive.
  [[nodiscard]] std::shared_ptr<const registered_function> share(std::string_view id) const { return {shared_from_this(), find(id)}; }
  [[nodiscard]] const std::deque<registered_function>& all() const noexcept { return functions_; }
  // How many runs may execute at once in each group of this source: the lowest limit of those who share it. nullopt: no function has it.
  [[nodiscard]] std::optional<std::uint32_t> limit_of(std::uint64_t source) const {
    const auto found = limits_.find(source);
    return found == limits_.end() ? std::nullopt : std::optional{found->second};
  }

 private:
  std::deque<registered_function> functions_;  // addresses stay valid
  std::unordered_map<std::uint64_t, std::uint32_t> limits_;  // by source
  std::unordered_map<std::string, std::size_t> by_id_;
};

// A run that has an actor.
struct live_run {
  actors::activation activation{0};
  std::shared_ptr<const storage::run_record> record{};  // as the open transaction has it; owners: this and activations
  bool is_parking{false};
};

// The runs that have an actor. One thread.
class live_table {
 public:
  [[nodiscard]] const live_run* find(const run_id& run) const {
    const auto found = runs_.find(run);
    return found == runs_.end() ? nullptr : &found->second;
  }
  // The run's entry if this is its present life; a report of an earlier one concerns nobody.
  [[nodiscard]] const live_run* find(const run_id& run, actors::activation life) const {
    const auto* found = find(run);
    return found != nullptr && found->activation == life ? found : nullptr;
  }
  [[nodiscard]] bool contains(const run_id& run) const { return runs_.contains(run); }
  [[nodiscard]] std::size_t size() const noexcept { return runs_.size(); }
  [[nodiscard]] bool empty() const noexcept { return runs_.empty(); }
  [[nodiscard]] std::uint64_t state_bytes() const noexcept { return state_bytes_; }  // recorded results
  [[nodiscard]] std::vector<run_id> ids() const;  // ascending

  const live_run& add(const run_id& run, live_run entry, undo_log& undo);
  void drop(const run_id& run, undo_log& undo);
  void set_record(const run_id& run, std::shared_ptr<const storage::run_record> record, undo_log& undo);
  void set_parking(const run_id& run, undo_log& undo);

 private:
  void put(const run_id& run, live_run entry);
  void take(const run_id& run);

  std::unordered_map<run_id, live_run> runs_;
  std::uint64_t state_bytes_ = 0;
};

// Runs that may go on as soon as there is room: those under way before new ones, each first in first out; and the slots of concurrency
// groups. Runs that need the same slots stand in one line. A line whose first run needs a slot of a full group waits there as a whole until one is free, so that
// it holds up nobody else, and what it takes to move it does not depend on how many stand in it. A group is known while a run holds a slot of it, a queued one
// needs a slot of it, or time closes it. One thread.
class run_queue {
 public:
  using place = std::pair<bool, position>;  // new ones (true) after those under way

  static constexpr std::uint32_t no_limit = UINT32_MAX;
  // A group with the limit that a run knows. `source` is 0 when no function that is there stands behind it: then it holds only where none is known.
  struct slot {
    std::uint64_t group{0};
    std::uint32_t limit{no_limit};
    std::uint64_t source{0};
  };

  // `slots`: those that the run needs and does not hold yet.
  void push(const run_id& run, place at, const std::vector<slot>& slots, undo_log& undo);
  // False when the run is not queued.
  bool remove(const run_id& run, undo_log& undo);
  // The first run that may go on.
  [[nodiscard]] std::optional<run_id> next(undo_log& undo);
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] bool is_anyone_ready() const noexcept { return !ready_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  // How many go before the run in the line in which it stands; nullopt: not queued. O(log n).
  [[nodiscard]] std::optional<std::size_t> place_of(const run_id& run) const;

  // Limits come with the functions. Who waits goes on when there are more slots than before.
  void set_limit(const slot& s, undo_log& undo);
  void set_limits(const function_table& functions, undo_log& undo);
  // A throttle: nobody gets a slot of the group before `opens`. Later ones replace earlier ones.
  void close_until(std::uint64_t group, time_point opens, undo_log& undo);
  void open_due(time_point now, undo_log& undo);
  [[nodiscard]] std::optional<time_point> next_opening() const {
    return closed_.empty() ? std::nullopt : std::optional{closed_.begin()->first};
  }
  [[nodiscard]] bool has_slot(std::uint64_t group) const;
  // True when a run that needs these slots may start without passing anybody who waits for one of them.
  [[nodiscard]] bool may_start(const std::vector<slot>& slots) const;
  void acquire(const slot& s, undo_log& undo);
  void release(std::uint64_t group, undo_log& undo);
  [[nodiscard]] std::uint32_t used(std::uint64_t group) const;
  [[nodiscard]] std::size_t group_count() const noexcept { return groups_.size(); }
  [[nodiscard]] std::size_t closed_count() const noexcept { return closed_.size(); }

 private:
  struct terms {
    std::uint32_t limit{no_limit};
    std::uint64_t source{0};
    std::uint32_t used{0};
    std::optional<time_point> opens{};
  };
  using members = __gnu_pbds::tree<place, run_id, std::less<>, __gnu_pbds::rb_tree_tag, __gnu_pbds::tree_order_statistics_node_update>;
  struct line {
    members runs{};
    std::optional<std::uint64_t> waits_in{};  // nullopt: its first run is ready
  };
  using line_table = std::map<std::vector<std::uint64_t>, line>;  // by the groups that its runs need a slot of
  using head_table = std::map<place, line_table::value_type*>;    // lines by their first run
  struct group : terms {
    std::uint32_t needed_by{0};  // queued runs, in lines that wait here or elsewhere
    head_table waiting{};
  };
  struct entry {
    place at{};
    line_table::value_type* in{nullptr};
  };
  // As which a run stands in the queue, for those who take it out and put it back.
  struct standing {
    place at{};
    std::vector<std::uint64_t> groups{};
    std::optional<std::uint64_t> waits_in{};  // of a line that begins with it
  };
  void put(const run_id& run, const standing& as);
  void take(const run_id& run);
  [[nodiscard]] head_table& heads_of(std::optional<std::uint64_t> waits_in);
  static place first_place(const line& of) { return of.runs.begin()->first; }
  void set_line(line_table::value_type& moved, std::optional<std::uint64_t> waits_in);
  void move_to(line_table::value_type& moved, std::optional<std::uint64_t> waits_in, undo_log& undo);
  // Undoes what happens to the group from here on, but for its line.
  void remember(std::uint64_t group, undo_log& undo);
  void restore(std::uint64_t group, const std::optional<terms>& before);
  void forget_if_idle(std::uint64_t group);
  // The line with the first run that waits in a group with a free slot becomes ready.
  void promote(std::uint64_t group, undo_log& undo);
  void promote_all(const std::vector<std::uint64_t>& groups, undo_log& undo);

  void set_opening(std::uint64_t group, std::optional<time_point> opens);

  head_table ready_;
  std::unordered_map<run_id, entry> entries_;
  line_table lines_;
  std::unordered_map<std::uint64_t, group> groups_;
  absl::btree_set<std::pair<time_point, std::uint64_t>> closed_;  // groups with an opening
};

// Which (name, client id) pairs were accepted within the event memory. Holds hashes; the event's record decides. One thread.
class event_memory {
 public:
  struct known {
    event_id id{};
    time_point accepted_at{};
  };
  void remember(std::string_view name, std::string_view client_id, const known& event, undo_log* undo);
  [[nodiscard]] std::optional<known> find(std::string_view name, std::string_view client_id) const;
  // Forgets events accepted before `horizon`; a few at a time.
  void forget_before(time_point horizon, std::size_t at_most);
  // The clock was ahead: what was accepted by it was accepted now at the latest.
  void pull_in(time_point now);
  [[nodiscard]] std::size_t size() const noexcept { return known_.size(); }

 private:
  struct entry {
    std::uint64_t hash;
    known event;
  };
  std::unordered_map<std::uint64_t, known> known_;
  std::deque<entry> oldest_first_;
};

// A filter made ready: which runs are meant.
struct compiled_filter {
  run_filter text{};
  expression::compiled when{};
  std::vector<run_id> runs{};  // sorted

  // Throws error{invalid_expression} with the position.
  [[nodiscard]] static compiled_filter of(run_filter filter);
};

struct open_sweep {
  position place{};
  storage::sweep_record record{};
  std::shared_ptr<const storage::event_record> event{};  // event; owners: this
  listener_index::cursor cursor{};                       // event
  std::shared_ptr<storage::bulk_record> job{};           // bulk; owners: this. Changed through change_job alone
  std::shared_ptr<const compiled_filter> filter{};       // bulk without a plan
  std::shared_ptr<const storage::pinned_ids> ids{};      // bulk with a plan
  run_id walked{};                                       // tree, resume: done up to here
  bool is_stuck{false};                                  // bulk: what is left of its plan is damaged, so that it neither goes on nor ends

  // True when every transition on a run must ask it first, so that the outcome is that of doing it all at once at its place.
  [[nodiscard]] bool asks_runs() const noexcept {
    return record.kind == storage::sweep_kind::event || record.kind == storage::sweep_kind::tree ||
           (record.kind == storage::sweep_kind::bulk && job->kind == storage::bulk_kind::cancel);
  }
};

// Which cron trigger: of a function of the present table.
struct cron_place {
  std::string function{};
  std::size_t index{0};  // in flow_rules::crons
};

// Where the purge of what is old stands.
struct purge_state {
  time_point next_at{};         // nil: not set yet
  time_point not_before{};      // after a clock jumped
  bool is_under_way{false};
  run_id runs{};                // looked at up to here
  event_id events{};
  std::uint64_t flow{0};
  bool has_flow_left{false};
  event_id events_kept_from{};  // stored: all events before it may be gone
};

// All that the transitions read and write besides the store: derived from the store's live runs, rebuilt at start, kept equal to it by
// replace_run alone. Deterministic: the same commands in the same order give the same content. One thread, the router's.
struct router_state {
  actors::limits limits{};
  std::shared_ptr<const function_table> functions{};  // replaced by define_functions. Owners: runtime, router, run actors
  std::unordered_map<std::uint64_t, std::shared_ptr<const definition>> definitions{};
  std::unordered_map<std::string, expression::compiled> wait_rules{};  // by text
  listener_index listeners{};
  passed_events passed{};
  absl::btree_set<std::pair<time_point, run_id>> timers{};
  absl::btree_set<std::pair<time_point, std::uint64_t>> ticks{};  // of cron triggers, by the key of their flow record
  std::unordered_map<std::uint64_t, cron_place> crons{};           // those of the present functions
  run_queue queue{};
  live_table live{};
  std::map<std::string, storage::function_state_record, std::less<>> function_states{};
  event_memory memory{};
  std::vector<open_sweep> sweeps{};  // in their order
  purge_state purge{};
  std::optional<time_point> timers_behind{};  // not all timers have been fired that were due when a turn for them came: set while others of these turns are to come
  std::size_t outbox_size{0};   // decisions beyond `outbox_seen`
  position outbox_seen{};       // decisions up to here have been looked at: those that are still stored cannot be routed
  storage::id_generator ids{};
  actors::activation next_activation{1};  // grows across restarts: the router begins it at the number of commits there were, with room for those of one commit
  std::set<std::string> said_once{};      // what is damaged, and has been told
  std::set<run_id> left_alone{};          // sound runs whose definition is damaged: of them nothing is indexed, and nothing happens to them
  bool is_a_pause_unread{false};          // nobody knows which function it is of
  bool is_stopping{false};
  event_id last_event{};                  // no later one has come; it may be that of a commit that failed
  bool dispatches_again{false};           // more of the queue was to be held than a turn holds
  undo_log undo{};

  [[nodiscard]] bool has_room() const noexcept { return !is_stopping && live.size() < limits.live_runs && live.state_bytes() < limits.live_state_bytes; }
  // Set while the function is paused.
  [[nodiscard]] const storage::function_state_record* pause_of(std::string_view function) const;
  // The earliest time at which a bulk job goes on by itself.
  [[nodiscard]] std::optional<time_point> next_slice_at() const;
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
  // Once in this process: of what is met again and again.
  void say_once(std::string text, const run_id& about = {}) {
    constexpr std::size_t most_remembered = 1'000;  // what is beyond is not said
    auto& said = state.said_once;
    if (said.size() >= most_remembered || !said.insert(text).second) return;
    state.undo.add([&said, text] { said.erase(text); });
    say(std::move(text), about);
  }
  // For walks that pass over what is damaged. Valid during the turn.
  [[nodiscard]] storage::damage_visitor tell_damage() {
    return [this](const position&, const error& why) { say_once(why.what()); };
  }
  template <class T>
  void answer(const reply_to<T>& to, std::type_identity_t<T> value) {
    if (to) out.emplace_back(reply{[to, value = std::move(value)]() mutable { to(std::move(value)); }});
  }
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
