#pragma once

// What must happen, written down a second time from the promises alone: a small model of runs, events and cancellations that hears the router's
// commands in their order and says what each run must be afterwards. It shares no code with the transitions. Where a promise leaves a choice
// (who gets a free place, whether a large job is sliced), it looks at the choice and holds the library to what follows from it.

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "actors/commands.hpp"
#include "storage/store.hpp"
#include "tests/simulation/script.hpp"
#include "tests/simulation/shared_map.hpp"

namespace caesura::simulation {

// A function of the simulation, as the model knows it; `simulation.cpp` makes a caesura::function of it.
struct rule_spec {
  std::string event{};
  std::string when{};
  bool (*holds)(const nlohmann::json& event, const nlohmann::json& async){nullptr};
  std::optional<duration> timeout{};
};
// Under which key an event counts: all together, by data.key, or by it unless data.n is 4, which is exempt.
enum class flow_key : std::uint8_t { none, by_key, by_key_unless_four };
const char* text_of(flow_key how);  // as an expression
std::optional<std::string> key_of(flow_key how, const nlohmann::json& data);  // nullopt: exempt

struct rate_spec {
  std::uint32_t limit{1};
  duration period{0};
  std::uint32_t more_at_once{0};
  flow_key key{flow_key::none};
};
struct debounce_spec {
  duration period{0};
  std::optional<duration> timeout{};
  flow_key key{flow_key::none};
};
struct batch_spec {
  std::uint32_t max_events{2};
  duration timeout{0};
  flow_key key{flow_key::none};
  bool spares_fours{false};  // an event whose data.n is 4 is not batched
};
struct singleton_spec {
  flow_key key{flow_key::none};
  singleton_mode mode{singleton_mode::skip};
};
struct cron_spec {
  std::string text{};
  time_point (*next_after)(time_point){nullptr};
  duration jitter{0};
};

struct function_spec {
  std::string id{};
  std::string trigger{};
  std::string about{};  // system events: of this function only; empty: of all
  std::vector<rule_spec> cancel_on{};
  std::optional<duration> start_timeout{};
  std::optional<duration> finish_timeout{};
  std::uint32_t retries{2};
  std::uint32_t limit{0};  // concurrency; 0: none
  bool limit_by_key{false};
  bool counts_resting{false};
  bool is_shared{false};  // with all others of which this is true
  std::optional<script> fixed{};
  std::optional<rate_spec> rate_limit{};
  bool is_idempotency{false};  // said so, instead of as a rate limit
  std::optional<rate_spec> throttle{};
  std::optional<debounce_spec> debounce{};
  std::optional<batch_spec> batch{};
  std::optional<singleton_spec> singleton{};
  std::optional<cron_spec> cron{};
  int priority{0};  // seconds for each of data.n
};

// The library did what it must not. The text says what.
struct violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct model_event {
  event_id id{};
  std::string name{};
  std::string client_id{};
  nlohmann::json data{};
  time_point received_at{};
  int depth{0};
  std::vector<run_id> runs{};
};

struct model_pending {
  std::string step{};
  step_kind kind{step_kind::run};
  std::optional<time_point> due{};
  std::string event{};  // wait
  int rule{0};          // wait
  event_id since{};     // wait: events up to this one came before it
  bool is_taken_over{false};   // wait for a signal: another run waits in its place
  bool waits_for_ever{false};  // wait for a signal: it has no timeout
  std::uint32_t failed_attempts{0};
  run_id child{};
};

struct model_run {
  run_id id{};
  std::size_t function{0};
  event_id event{};
  std::vector<event_id> events{};   // of a batch
  std::optional<time_point> due{};  // it collects events until then
  bool is_undecided{false};         // it was held when it was due: a singleton decides when it goes on
  script what{};
  nlohmann::json data{};
  run_id parent{};
  child_policy policy{child_policy::cancel};
  run_id replay_of{};
  run_id root{};
  int depth{0};
  time_point created_at{};
  std::optional<time_point> started_at{};
  std::optional<time_point> deadline{};
  std::vector<step_info> rows{};
  std::vector<model_pending> pending{};
  std::optional<std::size_t> any_from{};
  std::map<std::string, event_id> consumed{};
  event_id behind{};                       // the last event before its last row, or before it started: a wait gets what came since
  std::map<std::string, std::uint32_t> failed_attempts{};  // by step, recorded; those of an `any`'s losers, too
  std::optional<cancellation> cancelled_by{};
  run_status status{run_status::queued};  // as the store has it; which place in the queue it gets is not the model's choice
  bool is_ended{false};
  bool is_seen_ended{false};              // compared with the store for the last time
  bool has_children{false};
  int interruptions{0};
  position asked{};                       // open jobs up to this place have acted on it
  position swept_to{};                    // the store's
  std::size_t compared_rows{0};
  document output{};

  [[nodiscard]] const model_pending* find_pending(const std::string& step) const;
};

// A cancellation of many runs that the router works off in slices.
struct model_sweep {
  storage::sweep_kind kind{storage::sweep_kind::event};
  position place{};
  model_event event{};
  cancel_source source{cancel_source::bulk};
  std::string by{};
  bool is_replay{false};
  std::vector<run_id> ids{};           // pinned
  std::optional<run_filter> filter{};  // or by filter; `when` is empty or a key
  std::size_t next{0};                 // replay: what comes before has been replayed or refused
  run_id root{};
  position as_of{};
};

class model {
 public:
  model(const std::vector<function_spec>& functions, std::size_t steps_are_interrupted_past, std::size_t timers_a_turn);

  // One command of the router and the store after it, not yet committed. Throws violation.
  void apply(const actors::command_body& command, const storage::snapshot& store, time_point now);
  // The process ended and another one has recovered the store.
  void restart(time_point now);
  // Whether a step that passes its gate now may do so, given what is durable. Throws violation.
  void check_step_may_start(const run_id& run, const std::string& step) const;
  // Everything has come to rest and nothing is left to do: the store must say so, too. Throws violation.
  void check_at_the_end(const storage::snapshot& store) const;

  [[nodiscard]] const shared_map<run_id, model_run>& runs() const noexcept { return runs_; }
  [[nodiscard]] const model_run* find(const run_id& run) const { return runs_.find(run); }
  [[nodiscard]] const function_spec& function_of(const model_run& run) const { return (*functions_)[run.function]; }
  [[nodiscard]] std::size_t ended() const;
  // Every run has ended, and nothing that was decided is still to be carried out.
  [[nodiscard]] bool is_at_rest() const { return ended() == runs_.size() && outbox_.empty() && sweeps_.empty(); }
  [[nodiscard]] bool is_paused(const std::string& function) const { return paused_.contains(function); }
  // The predicted answer of a cancel, by its `by`; nullopt: not taken yet.
  [[nodiscard]] std::optional<cancel_outcome> answer_to(const std::string& by) const;
  // The run that the signal with this data resumes, nil: none waits; nullopt: it is not taken yet.
  [[nodiscard]] std::optional<run_id> resumed_by(const nlohmann::json& data) const;
  // What steps have come to in this process, as the simulation executed them.
  struct execution {
    bool is_ok{true};
    bool is_fatal{false};
    std::int64_t token{0};
  };
  using attempt = std::tuple<run_id, std::string, std::uint32_t>;
  const std::map<attempt, execution>* executions{nullptr};  // outlives the model

 private:
  struct pause {
    running_runs mode{running_runs::let_finish};
    std::uint64_t skipped{0};
  };

  void take(const actors::accept_events& command);
  void take(const actors::cancel_run& command);
  void take(const actors::advance_run& command);
  void take(const actors::fire_timers&);
  void take(const actors::route_outbox&);
  void take(const actors::start_bulk& command);
  void take(const actors::replay_run& command);
  void take(const actors::send_signal& command);
  void take(const actors::pause_function& command);
  void take(const actors::resume_function& command);
  void take(const actors::quarantine_run& command);
  void take(const actors::lost_run& command);
  template <class Other>
  void take(const Other&) {}

  // Events
  void read_new_events();
  model_event next_event(const std::string& name);
  void route(const model_event& event, const std::string& about);
  void match(const model_event& event);
  [[nodiscard]] std::optional<int> rule_hit_by(const model_run& run, const model_event& event) const;
  [[nodiscard]] bool is_hit_by(const model_run& run, const model_event& event) const;
  [[nodiscard]] bool wait_is_hit(const model_run& run, const model_pending& wait, const model_event& event) const;
  [[nodiscard]] bool is_wait_over(const model_run& run) const;
  void hit(model_run& run, const model_event& event);
  [[nodiscard]] std::vector<run_id> waiting_for(const std::string& signal_event, const run_id& besides = {}) const;
  void lose(model_run& run, const std::string& signal_event);

  // Flow control
  [[nodiscard]] bool is_limited(std::size_t function, const model_event& event);
  void start(std::size_t function, const model_event& event, const run_id& id);
  [[nodiscard]] model_run* collector(std::size_t function, const std::string& key);
  void start_debounced(std::size_t function, const model_event& event, const run_id& id);
  void start_batched(std::size_t function, const model_event& event, const run_id& id);
  void start_alone(std::size_t function, const model_event& event, const run_id& id);
  [[nodiscard]] model_run* holder(const model_run& besides, const std::string& key);
  void skip(model_run& run);
  void begin_collected(model_run& run);
  void decide(model_run& run);
  void take_resumed();
  [[nodiscard]] bool is_held_by_pause(const model_run& run) const;
  void tick(std::size_t function);
  void take_turn(const model_run& run);
  void compare_rates() const;
  void check_priority(const run_id& started, const std::vector<run_id>& waiting) const;
  [[nodiscard]] time_point place_of(const model_run& run) const;

  // Runs
  model_run& create(std::size_t function, const model_event& event, const run_id& id);
  model_run& run_at(const run_id& id);
  void append(model_run& run, step_info row);
  std::vector<run_id> withdraw_losers(model_run& run);
  void cancel_losers(const std::vector<run_id>& children);
  void cancel(model_run& run, cancellation cause, const std::optional<position>& as_of = {});
  void cancel_alone(model_run& run, cancellation cause);
  void cancel_descendants(model_run& root, const std::optional<position>& as_of);
  void end(model_run& run, run_status status);
  void tell_parent(const model_run& child);
  void begin(model_run& run, const actors::advance_run& command);
  void fire(model_run& run);
  [[nodiscard]] bool is_overlooked(const model_run& run) const;
  bool ends_overdue(model_run& run);
  [[nodiscard]] const execution* take_execution(const model_run& run, const std::string& step, std::uint32_t attempt);
  void check_execution(model_run& run, const step_info& row, int interruptions);
  void check_execution(model_run& run, const actors::failed_attempt& failure);
  [[nodiscard]] std::optional<time_point> wake_time(const model_run& run) const;
  [[nodiscard]] bool is_held(const model_run& run) const;

  void recover();

  // Jobs over many runs
  void settle(const run_id& id, const std::optional<position>& up_to = {});
  void act(model_run& run, const model_sweep& sweep);
  [[nodiscard]] bool descends(const model_run& run, const model_sweep& sweep) const;
  [[nodiscard]] bool is_meant(const model_run& run, const model_sweep& sweep) const;
  [[nodiscard]] run_status status_before(const model_run& run, const model_sweep& sweep) const;
  void open_bulk(cancel_source source, const std::string& by, bool is_replay, const std::optional<run_filter>& filter, std::vector<run_id> ids);
  void take_replays();
  void settle_changed();
  void close_sweeps();
  [[nodiscard]] std::vector<run_id> unknown_runs() const;

  // The store
  void adopt();
  void compare();
  void compare(const model_run& run, const storage::run_record& stored) const;
  void compare_rows(const model_run& run) const;
  void compare_limits() const;
  [[noreturn]] static void fail(const std::string& text) { throw violation{text}; }
  static void require(bool holds, const std::string& text) {
    if (!holds) fail(text);
  }

  const std::vector<function_spec>* functions_;
  int interruption_limit_;
  std::size_t timers_a_turn_;
  std::optional<time_point> timers_behind_;  // a turn for timers that were due by then has not got to all
  shared_map<run_id, model_run> runs_;
  shared_map<event_id, model_event> events_;
  std::map<std::pair<std::string, std::string>, event_id> memory_;
  std::set<std::pair<run_id, std::string>> outbox_;
  std::map<std::string, pause> paused_;
  std::vector<model_sweep> sweeps_;
  std::map<std::string, cancel_outcome> answers_;
  using flow_place = std::pair<std::size_t, std::string>;  // function and key
  struct bucket {
    duration credit{0};
    time_point at{};
  };
  [[nodiscard]] static bool take_from(std::map<flow_place, bucket>& buckets, const flow_place& place, const rate_spec& rate, time_point now);
  std::map<flow_place, bucket> rates_;
  std::map<flow_place, bucket> turns_;          // of throttles
  std::map<flow_place, run_id> collectors_;     // the run that took the latest event
  std::map<flow_place, run_id> holders_;        // singletons: the latest run that an event started
  struct next_tick {
    time_point at{};
    time_point named_at{};  // when it was found to be the next
  };
  std::map<std::size_t, next_tick> next_ticks_;
  std::map<nlohmann::json, run_id> resumed_;  // by the data of the signal
  std::set<attempt> recorded_;  // executions of this process whose outcome has been recorded
  event_id last_event_{};
  bool has_restarted_{false};

  // During one command.
  const storage::snapshot* store_{nullptr};
  time_point now_{};
  std::deque<model_event> new_events_;
  std::set<run_id> touched_;  // woken or created by this command: what became of them is the store's word
};

}  // namespace caesura::simulation
