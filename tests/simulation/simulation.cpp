#include "tests/simulation/simulation.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include <caesura/verify.hpp>

#include "actors/transitions/transitions.hpp"
#include "runtime/runtime_state.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/world.hpp"

namespace caesura::simulation {

namespace {

using nlohmann::json;
using namespace std::chrono_literals;

std::string key_in(const json& data) { return data.is_object() ? data.value("key", "") : std::string{}; }
int number_in(const json& data) { return data.is_object() ? data.value("n", -1) : -1; }

// Which features a seed has, and how small its limits are.
struct settings {
  language words{};
  std::vector<function_spec> functions{};
  actors::limits limits{};
  std::vector<int> weights{};
  std::size_t length{0};
  std::vector<std::string> chosen{"alpha", "beta", "child"};  // to be paused, replayed and cancelled in bulk
  std::vector<std::string> flow_events{};                     // that start functions with flow control
};

script steps_only(std::vector<std::string> ids) {
  script result{.key = "k1"};
  for (auto& id : ids) result.stages.push_back({.operations = {{.id = std::move(id)}}});
  return result;
}

// "0,10 */4 * * *"
time_point next_pair(time_point after) {
  constexpr auto block = 4h;
  const auto begin = std::chrono::floor<std::chrono::duration<std::int64_t, std::ratio<4 * 3600>>>(after);
  return after < begin + 10min ? begin + 10min : begin + block;
}

// A third of the seeds have functions with flow control.
void add_flow(settings& to, random_source& random, const std::vector<rule_spec>& same_key) {
  const auto some_key = [&] { return happens(random, 60) ? flow_key::by_key : flow_key::none; };
  const auto exempting_key = [&] { return happens(random, 25) ? flow_key::by_key_unless_four : some_key(); };
  const auto some_mode = [&] { return happens(random, 50) ? singleton_mode::skip : singleton_mode::cancel; };

  function_spec late{.id = "late", .trigger = "go/late", .cancel_on = same_key};
  late.debounce = {.period = happens(random, 50) ? 5s : 10min, .key = some_key()};
  if (happens(random, 40)) late.debounce->timeout = late.debounce->period * 2;
  if (happens(random, 30)) late.start_timeout = 10min;
  // A singleton may wait for a run of its own key, which waits for it: the timeout ends that.
  if (happens(random, 30)) {
    late.singleton = {.key = some_key(), .mode = some_mode()};
    late.finish_timeout = 2h;
  }

  function_spec gate{.id = "gate", .trigger = "go/gate", .cancel_on = same_key};
  if (happens(random, 25)) {
    gate.rate_limit = {.limit = 1, .period = 24h, .key = happens(random, 50) ? flow_key::by_key : flow_key::by_key_unless_four};
    gate.is_idempotency = true;
  } else if (happens(random, 60)) {
    const std::uint32_t limit = happens(random, 50) ? 2 : 20;
    gate.rate_limit = {.limit = limit, .period = happens(random, 50) ? 20s : 2h, .more_at_once = limit / 10, .key = exempting_key()};
  }
  const auto limit = static_cast<std::uint32_t>(1 + pick(random, 3));
  gate.throttle = {.limit = limit, .period = limit * (happens(random, 50) ? 10s : 20min), .more_at_once = static_cast<std::uint32_t>(pick(random, 3)), .key = some_key()};
  if (happens(random, 30)) gate.limit = 1;
  if (happens(random, 20)) gate.start_timeout = 1h;
  if (happens(random, 50)) gate.priority = happens(random, 50) ? 60 : 3'600;

  function_spec pile{.id = "pile", .trigger = "go/pile"};
  pile.batch = {.max_events = static_cast<std::uint32_t>(2 + pick(random, 3)), .timeout = happens(random, 50) ? 30s : 1h, .key = some_key(), .spares_fours = happens(random, 30)};
  if (happens(random, 30)) pile.limit = 1;

  function_spec sole{.id = "sole", .trigger = "go/sole", .cancel_on = same_key, .finish_timeout = 2h};
  sole.singleton = {.key = exempting_key(), .mode = some_mode()};
  if (happens(random, 20)) sole.rate_limit = {.limit = 4, .period = 20min, .key = flow_key::by_key};

  script nap = steps_only({"tock"});
  nap.stages.push_back({.operations = {{.kind = step_kind::sleep, .id = "nap", .length = 30 * 60'000}}});
  function_spec clock{.id = "clock", .cancel_on = {{.event = "stop/all"}}, .fixed = nap, .cron = cron_spec{.text = "0,10 */4 * * *", .next_after = next_pair}};
  if (happens(random, 40)) clock.cron->jitter = 3min;
  if (happens(random, 50)) clock.singleton = {.mode = some_mode()};

  to.weights[static_cast<std::size_t>(act::pause)] *= 3;
  to.weights[static_cast<std::size_t>(act::resume)] *= 3;
  for (const auto& fn : {late, gate, pile, sole, clock}) {
    to.functions.push_back(fn);
    to.chosen.push_back(fn.id);
    if (fn.cron) continue;
    to.flow_events.push_back(fn.trigger);
    to.words.children.push_back(fn.id);
  }
  to.chosen.insert(to.chosen.end(), {"gate", "sole"});
  to.flow_events.push_back("go/gate");
}

settings settings_of(std::uint64_t seed) {
  random_source random{seed * 2 + 1};
  settings result;
  auto& words = result.words;
  words = {.sleeps = happens(random, 75), .waits = happens(random, 75), .invokes = happens(random, 60), .sends = happens(random, 40),
           .groups = happens(random, 60), .failures = happens(random, 60), .repeats = happens(random, 30)};
  words.children = {"child", "beta"};
  words.sent = {"note/red", "note/blue", "stop/key"};

  const auto same_key = [](const json& event, const json& async) { return key_in(event) == key_in(async); };
  function_spec alpha{.id = "alpha", .trigger = "go/alpha"};
  alpha.cancel_on = {{.event = "stop/key", .when = "event.data.key == async.data.key", .holds = same_key},
                     {.event = "stop/all", .timeout = 1h},
                     {.event = "stop/big",
                      .when = "async.data.key == event.data.key && async.data.n > 2",
                      .holds = [](const json& event, const json& async) { return key_in(event) == key_in(async) && number_in(async) > 2; }}};
  function_spec beta{.id = "beta", .trigger = "go/beta"};
  beta.cancel_on = {{.event = "stop/key", .when = "async.data.key == 'k1'", .holds = [](const json&, const json& async) { return key_in(async) == "k1"; }}};
  if (happens(random, 40)) beta.finish_timeout = 2h;
  if (happens(random, 30)) beta.start_timeout = 10min;
  function_spec child{.id = "child", .trigger = "go/child"};
  child.cancel_on = {{.event = "stop/child"}};
  if (happens(random, 40)) {
    alpha.limit = static_cast<std::uint32_t>(1 + pick(random, 2));
    alpha.limit_by_key = happens(random, 50);
    alpha.counts_resting = happens(random, 30);
    // Not while it rests: it may wait for a child that needs the slot.
    if (alpha.limit_by_key && !alpha.counts_resting && seed % 2 == 0) {
      alpha.is_shared = beta.is_shared = beta.limit_by_key = true;
      beta.limit = alpha.limit + 1;
    }
  }
  if (happens(random, 20)) child.limit = 1;
  function_spec cleanup{.id = "cleanup", .trigger = "inngest/function.cancelled", .about = "alpha", .fixed = steps_only({"clean"})};
  function_spec audit{.id = "audit", .trigger = "inngest/function.failed", .cancel_on = {{.event = "stop/all"}}, .fixed = steps_only({"note", "file"})};
  result.functions = {alpha, beta, child, cleanup, audit};
  if (happens(random, 25)) result.functions.push_back({.id = "tally", .trigger = "inngest/function.finished", .fixed = steps_only({"count"})});

  auto& limits = result.limits;
  limits.time_per_batch = 1h;  // real time decides nothing here
  limits.keep_runs = limits.keep_events = days{3650};
  const auto one_of = [&](std::initializer_list<std::size_t> values) { return *(values.begin() + static_cast<std::ptrdiff_t>(pick(random, values.size()))); };
  limits.commands_per_batch = one_of({1, 2, 5, 1000});
  limits.live_runs = one_of({1, 2, 4, 100});
  limits.sweep_threshold = one_of({0, 1, 2, 1000});
  limits.sweep_slice = one_of({1, 2, 250});
  limits.bulk_slice = one_of({1, 2, 200});
  limits.outbox_per_turn = one_of({1, 3, 100});

  // One weight an act, in its order; some acts do not happen at all in a seed.
  const std::vector<int> usual{14, 8, 10, 3, 3, 8, 26, 26, 30, 12, 10, 6, 2, 3, 3, 2, 1, 3, 1, 2, 2, 2, 3, 1};
  for (const auto weight : usual) result.weights.push_back(happens(random, 20) ? weight / 4 : weight);
  for (const auto rare : {act::fail_commits, act::fail_write, act::crash, act::crash_at_commit, act::pause}) {
    if (happens(random, 40)) result.weights[static_cast<std::size_t>(rare)] = 0;
  }
  // Half of the seeds know signals.
  words.signals = seed % 2 == 0;
  result.weights.push_back(words.signals ? 8 : 0);
  result.length = 60 + pick(random, 120);
  const bool has_flow = seed % 3 == 2;  // not those of `once_found`: they keep their histories
  result.weights.push_back(has_flow ? 45 : 0);
  if (has_flow) add_flow(result, random, {alpha.cancel_on[0]});
  if (!has_flow && seed % 7 == 6) limits.timers_per_turn = 1;  // more than that are due at once: who is overdue waits behind others
  return result;
}

class player {
 public:
  player(std::uint64_t seed, statistics* counted)
      : settings_{settings_of(seed)},
        counted_{counted},
        committed_{settings_.functions, settings_.limits.interruptions, settings_.limits.timers_per_turn},
        tentative_{committed_},
        effect_{[this](const operation& op) { return perform(op); }} {
    committed_.executions = tentative_.executions = &executions_;
    environment_.clock = &clock_;
    environment_.steps = &steps_;
    environment_.seed = seed;
    environment_.adjust_limits = [this](actors::limits& limits) { limits = settings_.limits; };
    environment_.before_commit = [this](std::uint64_t) { before_commit(); };
    environment_.after_commit = [this](std::uint64_t) { after_commit(); };
    environment_.before_write = [this] { before_write(); };
    environment_.watch = {.applied = [this](const auto& command, const auto& store, const auto& state) { applied(command, store, state); },
                          .committed = [this] { committed(); },
                          .taken_back = [this] { tentative_ = committed_; }};
    options_.map_size_bytes = std::size_t{64} << 20;
  }
  ~player() { abandon(); }

  std::optional<finding> play(const history& actions) {
    try {
      open();
      for (std::size_t i = 0; i < actions.size() && !fault_; ++i) {
        random_source random{actions[i].draw};
        line_ = std::to_string(i) + "  ";
        carry_out(actions[i].what, random);
        if (line_.size() > 4) log_.push_back(line_);
        go_on_after_a_crash();
      }
      if (!fault_) finish();
    } catch (const violation& v) {
      if (!fault_) fault_ = v.what();
    } catch (const std::exception& e) {
      if (!fault_) fault_ = std::string{"an exception came out: "} + e.what();
    }
    if (!fault_) return std::nullopt;
    return finding{.text = *fault_, .log = log_};
  }

 private:
  // ---- the world

  class step_list final : public actors::step_executor {
   public:
    void submit(std::shared_ptr<actors::step_job> job) override { waiting.push_back(std::move(job)); }
    std::vector<std::string> executing() const override { return {}; }
    std::vector<std::shared_ptr<actors::step_job>> waiting;
  };
  struct executing_step {
    std::shared_ptr<actors::step_job> job;
    time_point started_at;
  };

  static void add_flow_control(function& fn, const function_spec& spec) {
    if (const auto& rule = spec.rate_limit) {
      if (spec.is_idempotency) {
        fn.idempotency = text_of(rule->key);
      } else {
        fn.rate_limit = {.limit = rule->limit, .period = rule->period, .key = text_of(rule->key)};
      }
    }
    if (const auto& rule = spec.throttle) fn.throttle = {.limit = rule->limit, .period = rule->period, .burst = rule->more_at_once, .key = text_of(rule->key)};
    if (const auto& rule = spec.debounce) fn.debounce = {.period = rule->period, .key = text_of(rule->key), .timeout = rule->timeout};
    if (const auto& rule = spec.batch) {
      fn.batch = {.max_events = rule->max_events, .timeout = rule->timeout, .key = text_of(rule->key), .when = rule->spares_fours ? "event.data.n != 4" : ""};
    }
    if (const auto& rule = spec.singleton) fn.singleton = {.key = text_of(rule->key), .mode = rule->mode};
    if (const auto& rule = spec.cron) fn.triggers = {{.cron = rule->text, .jitter = rule->jitter}};
    if (spec.priority != 0) fn.priority = "event.data.n * " + std::to_string(spec.priority);
  }

  std::vector<function> functions() {
    std::vector<function> result;
    for (const auto& spec : settings_.functions) {
      function fn{.id = spec.id, .triggers = {{.event = spec.trigger}}};
      if (!spec.about.empty()) fn.triggers[0].when = "event.data.function_id == '" + spec.about + "'";
      for (const auto& rule : spec.cancel_on) fn.cancel_on.push_back({.event = rule.event, .when = rule.when, .timeout = rule.timeout});
      fn.timeouts = {.start = spec.start_timeout, .finish = spec.finish_timeout};
      if (spec.limit > 0) {
        fn.concurrency = {{.limit = spec.limit, .key = spec.limit_by_key ? "event.data.key" : "", .counts_resting = spec.counts_resting, .is_shared = spec.is_shared}};
      }
      fn.retries = {.retries = spec.retries, .delays = {500ms, 1min}, .jitter = {}};
      fn.body = spec.batch ? scripted_batch(effect_) : spec.fixed ? scripted(effect_, *spec.fixed) : scripted(effect_);
      add_flow_control(fn, spec);
      result.push_back(std::move(fn));
    }
    return result;
  }

  std::string directory() const { return directory_.path() + "/store" + std::to_string(generation_); }

  void open() {
    options_.directory = directory();
    is_opening_ = true;
    committed_.restart(clock_.now());
    tentative_ = committed_;
    runtime_ = std::make_unique<caesura::runtime>(options_, functions(), environment_);
    store_ = &runtime_->internals().store();
    is_opening_ = false;
  }

  // The file as it is now is what the next process finds.
  void take_image(const model& as_durable) {
    image_ = as_durable;
    std::filesystem::create_directories(directory_.path() + "/store" + std::to_string(generation_ + 1));
    std::filesystem::copy_file(directory() + "/caesura.mdb", directory_.path() + "/store" + std::to_string(generation_ + 1) + "/caesura.mdb");
    is_dead_ = true;
  }

  void go_on_after_a_crash() {
    if (!is_dead_) return;
    abandon();
    std::filesystem::remove_all(directory());
    ++generation_;
    check_store();
    committed_ = *std::exchange(image_, std::nullopt);
    executions_.clear();
    if (counted_ != nullptr) ++counted_->crashes;
    is_dead_ = false;
    open();
  }

  // Lets go of a runtime: nothing that it still says counts.
  void abandon() {
    is_dead_ = true;
    fail_commits_ = 0;
    fail_write_in_.reset();
    crash_in_.reset();
    steps_.waiting.clear();
    while (!executing_.empty()) {
      auto step = std::move(executing_.back());
      executing_.pop_back();
      performing_ = step.job.get();
      actors::perform_step(*step.job, step.started_at, clock_, SIZE_MAX);
    }
    runtime_.reset();
    steps_.waiting.clear();
    state_ = nullptr;
  }

  void stop_cleanly() {
    settle();
    while (!executing_.empty() && !is_dead_) finish_step(0);
    settle();
    if (is_dead_) return;
    runtime_.reset();
    steps_.waiting.clear();
    executions_.clear();
    if (!is_dead_) open();
  }

  // ---- what the store and the router are made to suffer

  void before_commit() {
    if (is_opening_ || is_dead_) return;
    if (fail_commits_ > 0) {
      --fail_commits_;
      if (counted_ != nullptr) ++counted_->failed_commits;
      throw error{errc::storage_failed, "the disk refuses"};
    }
    if (crash_in_ && !crash_is_after_ && (*crash_in_)-- == 0) {
      crash_in_.reset();
      take_image(committed_);
    }
  }
  void after_commit() {
    if (is_opening_ || is_dead_ || !crash_in_ || !crash_is_after_ || (*crash_in_)-- != 0) return;
    crash_in_.reset();
    take_image(tentative_);
  }
  void before_write() {
    if (is_opening_ || is_dead_ || !fail_write_in_ || (*fail_write_in_)-- != 0) return;
    fail_write_in_.reset();
    if (counted_ != nullptr) ++counted_->failed_commits;
    throw error{errc::storage_failed, "the disk refuses a write"};
  }

  template <class F>
  void guarded(F&& check) {
    if (is_dead_ || fault_) return;
    try {
      check();
    } catch (const violation& v) {
      fault_ = v.what();
    } catch (const std::exception& e) {
      fault_ = std::string{"the check failed: "} + e.what();
    }
  }

  void applied(const actors::command_body& command, const storage::snapshot& store, const actors::router_state& state) {
    state_ = &state;
    if (counted_ != nullptr) ++counted_->commands;
    guarded([&] { tentative_.apply(command, store, clock_.now()); });
  }
  void committed() {
    if (is_dead_) return;
    committed_ = tentative_;
    if (++commits_ % 8 == 0) guarded([&] { check_derived_state(); });
  }

  // What the router keeps in memory is what a restart would make of the store: each resting run its timer, each waiting one its listeners, each
  // executing one its slot, and nothing else.
  void check_derived_state() {
    const auto& state = *state_;
    actors::router_state fresh;
    fresh.limits = state.limits;
    fresh.functions = state.functions;
    fresh.definitions = state.definitions;
    fresh.function_states = state.function_states;
    std::size_t queued_with_actor = 0;
    std::set<std::uint64_t> groups;
    store_->begin_read()->each_live_run([&](const storage::run_record& run) {
      actors::index_run(fresh, run);
      groups.insert(run.groups.begin(), run.groups.end());
      groups.insert({run.throttle, run.singleton});
      if (run.status == run_status::queued && state.live.contains(run.id)) ++queued_with_actor;
      return true;
    });
    const auto require = [](bool holds, const std::string& text) {
      if (!holds) throw violation{text};
    };
    require(state.timers == fresh.timers, "the timers in memory (" + std::to_string(state.timers.size()) + ") are not those of the store (" +
                                              std::to_string(fresh.timers.size()) + ")");
    require(state.listeners.size() == fresh.listeners.size(), "memory has " + std::to_string(state.listeners.size()) +
                                                                  " listeners; the store has " + std::to_string(fresh.listeners.size()));
    require(state.queue.size() + queued_with_actor == fresh.queue.size(), "the queue in memory is not that of the store");
    for (const auto group : groups) require(state.queue.used(group) == fresh.queue.used(group), "a slot has leaked");
    require(state.queue.group_count() <= fresh.queue.group_count() + state.queue.closed_count(), "the queue knows groups that nothing is in");
    check_flow_state();
    for (const auto& name : {"stop/key", "stop/all", "stop/big", "stop/child", "note/red", "note/blue"}) {
      for (const auto& key : keys) {
        const storage::event_record event{.name = name, .data = {{"key", key}, {"n", 3}}};
        const actors::scope_of scope{event};
        const auto found = [&](const actors::router_state& in) {
          actors::listener_index::cursor cursor;
          auto runs = in.listeners.candidates(name, *scope, SIZE_MAX, cursor);
          std::ranges::sort(runs);
          return runs;
        };
        require(found(state) == found(fresh), std::string{"the index finds other runs for "} + name + " than the store has");
      }
    }
  }

  // A throttle whose turn has not come is closed, and each cron's next tick is set.
  void check_flow_state() {
    std::size_t ticks = 0;
    const auto spec_of = [&](const std::string& id) { return *std::ranges::find(settings_.functions, id, &function_spec::id); };
    store_->begin_read()->each_flow(0, [&](std::uint64_t key, const storage::flow_record& record) {
      if (record.kind == storage::flow_kind::throttle) {
        const auto rule = *spec_of(record.function).throttle;
        const bool is_closed = record.at - rule.period / rule.limit * rule.more_at_once > clock_.now();
        if (is_closed && state_->queue.has_slot(key)) throw violation{"a throttle is open before its next turn"};
      } else if (record.kind == storage::flow_kind::cron) {
        ++ticks;
        const auto jitter = spec_of(record.function).cron->jitter;
        const auto found = std::ranges::find(state_->ticks, key, &std::pair<time_point, std::uint64_t>::second);
        if (found == state_->ticks.end() || found->first < record.at || found->first > record.at + jitter) throw violation{"a cron has lost its next tick"};
      }
      return true;
    });
    if (state_->ticks.size() != ticks) throw violation{"a cron has several next ticks"};
  }

  // The file alone, without what the process made of it.
  void check_store() {
    if (fault_) return;
    const auto report = verify(directory());
    if (!report.is_sound()) throw violation{"the store is not sound: " + report.faults.front().text};
  }

  // ---- steps

  // The closure of a step: succeeds, or fails as its script says.
  std::int64_t perform(const operation& op) {
    const auto& attempt = performing_->attempt;
    const bool fails = static_cast<int>(attempt.attempt) <= op.failures;
    const auto token = static_cast<std::int64_t>(++tokens_);
    executions_[{attempt.run, attempt.step, attempt.attempt}] = {.is_ok = !fails, .is_fatal = fails && op.is_fatal, .token = token};
    if (counted_ != nullptr) ++counted_->steps;
    if (!fails) return token;
    if (op.is_fatal) throw non_retriable_error{"as written"};
    throw std::runtime_error{"as written"};
  }

  bool begin_step(std::size_t which) {
    if (steps_.waiting.empty()) return false;
    const auto place = steps_.waiting.begin() + static_cast<std::ptrdiff_t>(which % steps_.waiting.size());
    const auto job = *place;
    steps_.waiting.erase(place);
    if (!actors::begin_step(*job)) return true;
    say("begin " + name(job->attempt.run) + "/" + job->attempt.step);
    executing_.push_back({job, clock_.now()});
    guarded([&] { committed_.check_step_may_start(job->attempt.run, job->attempt.step); });
    return true;
  }
  bool finish_step(std::size_t which) {
    if (executing_.empty()) return false;
    const auto place = executing_.begin() + static_cast<std::ptrdiff_t>(which % executing_.size());
    const auto step = *place;
    executing_.erase(place);
    say("finish " + name(step.job->attempt.run) + "/" + step.job->attempt.step);
    performing_ = step.job.get();
    actors::perform_step(*step.job, step.started_at, clock_, SIZE_MAX);
    return true;
  }

  // ---- commands, not waited for

  void post(actors::command_body body) { runtime_->internals().post(std::move(body)); }

  template <class T>
  actors::reply_to<T> reply(std::function<void(const T&)> check = {}) {
    return [this, generation = generation_, check = std::move(check)](std::variant<T, error> answer) {
      if (generation != generation_ || is_dead_) return;
      if (const auto* value = std::get_if<T>(&answer); value != nullptr && check) guarded([&] { check(*value); });
    };
  }

  // What is sent counts as waiting, as a caller's would.
  void post_admitted(actors::command_body body) {
    runtime_->internals().admit();
    post(std::move(body));
  }

  void send(std::vector<event> events) {
    for (const auto& e : events) say("send " + e.name + " " + e.data.json().dump() + (e.id.empty() ? "" : " id " + e.id));
    post_admitted(actors::accept_events{.events = std::move(events), .reply = reply<std::vector<actors::accepted_event>>([this](const auto& accepted) {
                                          for (const auto& one : accepted) {
                                            for (const auto& run : one.runs) {
                                              if (committed_.find(run) == nullptr) throw violation{"a send was answered with a run that is not durable"};
                                            }
                                          }
                                        })});
  }

  event start_event(random_source& random) {
    static const std::vector<std::string> names{"go/alpha", "go/beta", "go/child"};
    const auto name = names[pick(random, 100) < 60 ? 0 : 1 + pick(random, 2)];
    return {.name = name, .data = document(json(random_script(random, settings_.words))), .id = maybe_id(random)};
  }
  event flow_event(random_source& random) {
    const auto& name = settings_.flow_events[pick(random, settings_.flow_events.size())];
    return {.name = name, .data = document(json(random_script(random, settings_.words, 1))), .id = maybe_id(random)};
  }
  event stop_event(random_source& random) {
    static const std::vector<std::string> names{"stop/key", "stop/key", "stop/key", "stop/big", "stop/all", "stop/child"};
    return small_event(random, names[pick(random, names.size())]);
  }
  event note_event(random_source& random) { return small_event(random, notes[pick(random, notes.size())]); }
  event small_event(random_source& random, const std::string& name) {
    const json data{{"key", keys[pick(random, keys.size())]}, {"n", static_cast<int>(pick(random, 5))}};
    return {.name = name, .data = document(data), .id = maybe_id(random)};
  }
  std::string maybe_id(random_source& random) { return happens(random, 30) ? "e" + std::to_string(++ids_) : ""; }

  std::optional<run_id> any_run(random_source& random, bool prefers_live) {
    std::vector<run_id> runs;
    for (const auto& [id, run] : committed_.runs()) {
      if (!prefers_live || !run.is_ended) runs.push_back(id);
    }
    if (runs.empty()) return std::nullopt;
    return runs[pick(random, runs.size())];
  }

  run_filter some_filter(random_source& random) {
    const auto& ids = settings_.chosen;
    run_filter filter{.function = ids[pick(random, ids.size())]};
    if (happens(random, 30)) filter.function = {};
    if (happens(random, 40) || filter.function.empty()) filter.when = "event.data.key == '" + keys[pick(random, keys.size())] + "'";
    if (happens(random, 30)) filter.status = {run_status::sleeping, run_status::waiting, run_status::queued};
    return filter;
  }

  // ---- one action

  void carry_out(act what, random_source& random) {
    switch (what) {
      case act::start: send({start_event(random)}); break;
      case act::note: send({note_event(random)}); break;
      case act::stop: send({stop_event(random)}); break;
      case act::array: send({start_event(random), note_event(random), stop_event(random), start_event(random)}); break;
      case act::repeat: repeat_event(random); break;
      case act::cancel: cancel_some(random); break;
      case act::begin_step: begin_step(pick(random, 100)); break;
      case act::finish_step: finish_step(pick(random, 100)); break;
      case act::deliver: deliver(1 + pick(random, 4)); break;
      case act::deliver_all: settle(); break;
      case act::tick: pass(duration{static_cast<std::int64_t>(pick(random, 1'200))}); break;
      case act::pass_time: pass_long(random); break;
      case act::pause: pause_some(random); break;
      case act::resume: resume_some(random); break;
      case act::bulk_filter:
      case act::bulk_plan: cancel_many(what == act::bulk_plan, random); break;
      case act::stop_bulk: stop_some_bulk(); break;
      case act::replay: replay_some(random); break;
      case act::replay_all: replay_many(random); break;
      case act::fail_commits:
        fail_commits_ = 1 + static_cast<int>(pick(random, 3));
        say("the next " + std::to_string(fail_commits_) + " commits fail");
        break;
      case act::fail_write:
        fail_write_in_ = pick(random, 12);
        say("a write fails, after " + std::to_string(*fail_write_in_) + " others");
        break;
      case act::crash:
        say("crash");
        take_image(committed_);
        break;
      case act::crash_at_commit:
        crash_in_ = pick(random, 3);
        crash_is_after_ = happens(random, 50);
        say(std::string{"crash "} + (crash_is_after_ ? "after" : "before") + " a commit, " + std::to_string(*crash_in_) + " others later");
        break;
      case act::restart:
        say("stop and start");
        stop_cleanly();
        break;
      case act::send_signal: send_signal(random); break;
      case act::flow_event: send({flow_event(random)}); break;
    }
  }

  void send_signal(random_source& random) {
    const auto& name = signals[pick(random, signals.size())];
    const json data = ++ids_;
    say("signal " + name + " " + data.dump());
    post_admitted(actors::send_signal{.name = name, .data = document(data), .reply = reply<std::optional<run_id>>([this, data](const std::optional<run_id>& answer) {
                                        const auto due = committed_.resumed_by(data);
                                        if (!due) throw violation{"a signal was answered before it was durable"};
                                        if (*due != answer.value_or(run_id{})) throw violation{"signal " + data.dump() + " was answered with another run than was due"};
                                      })});
  }

  void repeat_event(random_source& random) {
    if (sent_with_id_.empty() || happens(random, 50)) {
      auto e = happens(random, 50) ? start_event(random) : stop_event(random);
      e.id = "again" + std::to_string(++ids_);
      sent_with_id_.push_back(e);
      send({e});
    } else {
      auto e = sent_with_id_[pick(random, sent_with_id_.size())];
      if (happens(random, 20)) e.data = document{{"key", "k9"}, {"n", 0}, {"stages", json::array()}};
      send({e});
    }
  }

  void cancel_some(random_source& random) {
    auto run = any_run(random, happens(random, 80));
    if (!run) return;
    const auto by = "c" + std::to_string(++ids_);
    say("cancel " + name(*run));
    post_admitted(actors::cancel_run{.run = *run, .by = by, .reply = reply<cancel_outcome>([this, by, run = *run](const cancel_outcome& answer) {
                                       const auto due = committed_.answer_to(by);
                                       if (!due) throw violation{"a cancel was answered before it was durable"};
                                       if (answer != *due) {
                                         throw violation{"the cancel of run " + name(run) + " was answered " + std::string{to_string(answer)} +
                                                         "; due was " + std::string{to_string(*due)}};
                                       }
                                     })});
  }

  void pause_some(random_source& random) {
    const auto& ids = settings_.chosen;
    static const std::vector<running_runs> modes{running_runs::let_finish, running_runs::hold, running_runs::cancel};
    const auto& id = ids[pick(random, ids.size())];
    const auto mode = modes[pick(random, modes.size())];
    say("pause " + id + (mode == running_runs::hold ? ", hold" : mode == running_runs::cancel ? ", cancel" : ", let finish"));
    post_admitted(actors::pause_function{.function = id, .mode = mode, .reply = reply<actors::paused_function>()});
  }
  void resume_some(random_source& random) {
    auto ids = settings_.chosen;
    // With so many functions few of them are paused: one of these.
    if (!settings_.flow_events.empty()) std::erase_if(ids, [&](const auto& id) { return !committed_.is_paused(id); });
    if (ids.empty()) return;
    const auto& id = ids[pick(random, ids.size())];
    if (!committed_.is_paused(id)) return;
    say("resume " + id);
    post_admitted(actors::resume_function{.function = id, .reply = reply<actors::resumed_function>()});
  }

  // Previews wait for their answers, so they first let everything that waits happen.
  void cancel_many(bool by_plan, random_source& random) {
    const auto filter = some_filter(random);
    say(std::string{"cancel all"} + (by_plan ? " of a preview" : "") + " of " + (filter.function.empty() ? "any function" : filter.function.values[0]) + " " +
        filter.when + (filter.status.empty() ? "" : ", resting or queued"));
    actors::start_bulk command{.by = "bulk", .reply = reply<bulk_id>([this](const bulk_id& id) { bulk_ = id; })};
    try {
      if (by_plan) {
        command.plan = runtime_->preview(filter).token;
      } else {
        command.filter = filter;
      }
    } catch (const error&) {
      return;  // the disk refused
    }
    if (is_dead_) return;
    post_admitted(std::move(command));
  }
  void stop_some_bulk() {
    if (bulk_.is_nil()) return;
    say("stop the last bulk job");
    post_admitted(actors::stop_bulk{.bulk = bulk_, .reply = reply<bool>()});
  }
  void replay_some(random_source& random) {
    const auto run = any_run(random, false);
    if (!run) return;
    const auto* known = committed_.find(*run);
    std::string from;
    if (happens(random, 50) && !known->rows.empty()) from = known->rows[pick(random, known->rows.size())].id;
    say("replay " + name(*run) + (from.empty() ? "" : " from " + from));
    post_admitted(actors::replay_run{.run = *run, .from_step = from, .reply = reply<run_id>()});
  }
  void replay_many(random_source& random) {
    auto filter = some_filter(random);
    filter.status = {run_status::cancelled, run_status::failed, run_status::skipped};
    say("replay all of " + (filter.function.empty() ? std::string{"any function"} : filter.function.values[0]) + " " + filter.when);
    try {
      const auto plan = runtime_->preview(filter);
      if (is_dead_ || plan.count > 4) return;
      post_admitted(actors::start_bulk{.kind = storage::bulk_kind::replay, .plan = plan.token, .reply = reply<bulk_id>()});
    } catch (const error&) {
    }
  }

  // ---- messages and time

  void deliver(std::size_t count) {
    while (count-- > 0 && !is_dead_ && environment_.run_one_message()) {
    }
  }
  void settle() { deliver(100'000); }

  void pass(duration length) {
    clock_.set(clock_.now() + length);
    say("time passes: " + to_string(length));
    ring();
  }
  void ring() {
    if (!environment_.alarm || *environment_.alarm > clock_.now()) return;
    environment_.alarm.reset();
    environment_.fire_timers();
  }
  void pass_long(random_source& random) {
    static const std::vector<duration> lengths{1s, 30s, 61s, 10min, 1h, 3h, 21h};
    pass(lengths[pick(random, lengths.size())]);
  }

  // Nothing fails any more, and everything comes to its end.
  void finish() {
    line_ = "then  ";
    fail_commits_ = 0;
    fail_write_in_.reset();
    crash_in_.reset();
    for (const auto& fn : settings_.functions) post_admitted(actors::resume_function{.function = fn.id, .reply = reply<actors::resumed_function>()});
    for (const auto& fn : settings_.functions) {  // a cron never ends by itself
      if (fn.cron) post_admitted(actors::pause_function{.function = fn.id, .mode = running_runs::let_finish, .reply = reply<actors::paused_function>()});
    }
    constexpr int patience = 3'000;
    for (int i = 0; i < patience && !fault_; ++i) {
      settle();
      bool did_something = begin_step(0);
      did_something = finish_step(0) || did_something;
      if (did_something) continue;
      if (committed_.is_at_rest()) break;
      if (!environment_.alarm) break;
      // A wait without a timeout ends after 366 days, and something is purged every hour.
      clock_.set(std::max(clock_.now() + (i < 500 ? duration{0} : days{1}), *environment_.alarm));
      ring();
    }
    settle();
    guarded([&] { committed_.check_at_the_end(*store_->begin_read()); });
    if (fault_) return;
    take_image(committed_);
    go_on_after_a_crash();
    settle();
    guarded([&] { committed_.check_at_the_end(*store_->begin_read()); });
    runtime_.reset();
    check_store();
    if (counted_ == nullptr) return;
    counted_->runs += committed_.runs().size();
    for (const auto& [id, run] : committed_.runs()) counted_->cancelled += run.status == run_status::cancelled ? 1 : 0;
  }

  static std::string name(const run_id& run) { return to_string(run).substr(18); }
  void say(const std::string& text) { line_ += (line_.ends_with("  ") ? "" : "; ") + text; }

  const settings settings_;
  statistics* const counted_;
  model committed_;
  model tentative_;
  std::optional<model> image_;
  const step_effect effect_;
  testing::temporary_directory directory_;
  testing::manual_clock clock_;
  step_list steps_;
  std::vector<executing_step> executing_;
  actors::step_job* performing_ = nullptr;
  std::map<model::attempt, model::execution> executions_;
  detail::environment environment_;
  options options_;
  std::unique_ptr<runtime> runtime_;
  const storage::store* store_ = nullptr;
  const actors::router_state* state_ = nullptr;
  int generation_ = 0;
  bool is_dead_ = false;
  bool is_opening_ = false;
  int fail_commits_ = 0;
  std::optional<std::size_t> fail_write_in_;
  std::optional<std::size_t> crash_in_;
  bool crash_is_after_ = false;
  std::size_t commits_ = 0;
  std::uint64_t tokens_ = 0;
  int ids_ = 0;
  bulk_id bulk_;
  std::vector<event> sent_with_id_;
  std::optional<std::string> fault_;
  std::string line_;
  std::vector<std::string> log_;
};

}  // namespace

history history_of(std::uint64_t seed) {
  const auto chosen = settings_of(seed);
  random_source random{seed * 2};
  std::discrete_distribution<int> draw{chosen.weights.begin(), chosen.weights.end()};
  history result;
  for (std::size_t i = 0; i < chosen.length; ++i) {
    const auto what = static_cast<act>(draw(random));
    result.push_back({what, random()});
  }
  return result;
}

std::optional<finding> play(std::uint64_t seed, const history& actions, statistics* counted) { return player{seed, counted}.play(actions); }

history shorten(std::uint64_t seed, history actions) {
  constexpr int patience = 300;  // plays
  int plays = 0;
  for (std::size_t size = std::max<std::size_t>(actions.size() / 2, 1); size > 0; size /= 2) {
    for (std::size_t from = 0; from < actions.size();) {
      auto shorter = actions;
      const auto first = shorter.begin() + static_cast<std::ptrdiff_t>(from);
      shorter.erase(first, first + static_cast<std::ptrdiff_t>(std::min(size, shorter.size() - from)));
      if (++plays <= patience && play(seed, shorter)) {
        actions = std::move(shorter);
      } else {
        from += size;
      }
    }
  }
  return actions;
}

std::string report(std::uint64_t seed, const history& actions, const finding& found) {
  const auto shorter = shorten(seed, actions);
  const auto again = play(seed, shorter);
  std::string text = "seed " + std::to_string(seed) + ": " + found.text + "\n  repeat it: tests/run.sh --filter simulation --seed " + std::to_string(seed);
  if (!again) return text;
  text += "\n  in short (" + std::to_string(shorter.size()) + " of " + std::to_string(actions.size()) + " actions): " + again->text;
  for (const auto& line : again->log) text += "\n    " + line;
  return text;
}

}  // namespace caesura::simulation
