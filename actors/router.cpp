#include "actors/router.hpp"

#include <algorithm>
#include <concepts>
#include <iterator>
#include <utility>

#include "actors/planted_faults.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

constexpr duration retry_pause = std::chrono::milliseconds{500};
constexpr const char* stopped_text = "the runtime stops, and the run goes on at the next start";

template <class... F>
struct overloaded : F... {
  using F::operator()...;
};
template <class... F>
overloaded(F...) -> overloaded<F...>;

// Codes that a transition throws before it has written anything: the command is refused, the batch goes on.
bool is_refusal(errc code) {
  switch (code) {
    case errc::duplicate_id:
    case errc::invalid_event:
    case errc::invalid_argument:
    case errc::invalid_expression:
    case errc::unknown_run:
    case errc::unknown_function:
    case errc::function_paused:
    case errc::unknown_event:
    case errc::run_not_ended:
    case errc::unknown_plan:
    case errc::unknown_bulk:
      return true;
    case errc::invalid_function:
    case errc::run_not_completed:
    case errc::result_type:
    case errc::overloaded:
    case errc::stopped:
    case errc::storage_full:
    case errc::storage_failed:
    case errc::outcome_unknown:
    case errc::store_corrupt:
    case errc::store_newer:
    case errc::store_locked:
    case errc::step_inside_step:
    case errc::wrong_thread:
      return false;
  }
  return false;
}

error as_error(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(std::move(thrown));
  } catch (const error& e) {
    return e;
  } catch (const std::exception& e) {
    return error{errc::storage_failed, std::string{"the command could not be recorded: "} + e.what()};
  } catch (...) {
    return error{errc::storage_failed, "the command could not be recorded"};
  }
}

// The run whose actor says it; null for what anybody else asks for.
const run_id* reporting_run(const command& command) {
  return std::visit(overloaded{[](const advance_run& c) { return &c.run; }, [](const parked_run& c) { return &c.run; },
                               [](const lost_run& c) { return &c.run; }, [](const auto&) -> const run_id* { return nullptr; }},
                    command.body);
}

std::uint64_t mix(std::uint64_t& state) {  // splitmix64
  std::uint64_t z = (state += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

}  // namespace

router::router(storage::store& store, std::unique_ptr<router_state> state, const clock& clock, std::uint64_t seed, ports ports)
    : store_{store}, state_{std::move(state)}, clock_{clock}, ports_{std::move(ports)}, entropy_{seed}, pace_{state_->limits.commit_delay, state_->limits.commit_siblings} {
  state_->undo.clear();
  if (const auto commits = store_.begin_read()->find_meta("commits")) commits_ = std::stoull(*commits);
  // Each life before this one committed before an activation of it left: numbers from here on are beyond its.
  constexpr int activations_a_commit_bits = 24;
  state_->next_activation = activation{(commits_ << activations_a_commit_bits) + 1};
}

router::~router() = default;

void router::take(command_ptr command) {
  if (take_volatile(*command)) return;
  const bool knows = settle_doubt();
  if (wait_behind_postponed(command)) return;
  if (!knows) {
    could_not(command, *doubt_);
    set_alarm();
    return;
  }
  try {
    open_batch();
    batch_.push_back(command);
    const auto began = ports_.stopwatch();
    apply_one(*command);
    worked_ += ports_.stopwatch() - began;
  } catch (...) {
    auto batch = std::exchange(batch_, {});
    take_back();
    if (batch.empty()) batch.push_back(std::move(command));  // the transaction could not even begin
    retry_alone(std::move(batch));
    return;
  }
  if (is_batch_full()) flush();
}

// Whether the router has sent itself such a command that it has not taken yet; null for commands of others.
bool* router::turn_of(const command& command) {
  return std::visit(overloaded{[&](const route_outbox&) { return &has_outbox_turn_; }, [&](const sweep_slice&) { return &has_sweep_turn_; },
                               [&](const purge_slice&) { return &has_purge_turn_; }, [](const auto&) -> bool* { return nullptr; }},
                    command.body);
}

// Commands that touch no durable state.
bool router::take_volatile(const command& command) {
  if (const auto* request = std::get_if<watch_run>(&command.body)) {
    watch(*request);
    return true;
  }
  if (const auto* request = std::get_if<unwatch_run>(&command.body)) {
    if (const auto found = watchers_.find(request->token); found != watchers_.end()) {
      auto& tokens = watchers_of_[found->second.run];
      std::erase(tokens, request->token);
      if (tokens.empty()) watchers_of_.erase(found->second.run);
      watchers_.erase(found);
    }
    return true;
  }
  if (const auto* request = std::get_if<find_places>(&command.body)) {
    std::vector<std::optional<std::size_t>> places;
    for (const auto& run : request->runs) places.push_back(state_->queue.place_of(run));
    request->reply(std::move(places));
    return true;
  }
  if (const auto* request = std::get_if<stop_runs>(&command.body)) stop_replies_.push_back(request->reply);
  if (bool* has_turn = turn_of(command)) *has_turn = false;
  if (std::holds_alternative<clock_jumped>(command.body)) pull_in_retries();
  if (std::holds_alternative<fire_timers>(command.body)) {
    has_timer_turn_ = false;
    if (settle_doubt()) retry_postponed();
    if (timers_blocked_until_ && clock_.now() < *timers_blocked_until_) {
      set_alarm();
      return true;
    }
    timers_blocked_until_.reset();
    take_due_turns();
  }
  return false;
}

// The alarm rings for bulk jobs with a rate and for the purge, too.
void router::take_due_turns() {
  const auto now = clock_.now();
  if (const auto slice_at = state_->next_slice_at(); slice_at && *slice_at <= now && !std::exchange(has_sweep_turn_, true)) {
    ports_.to_self(sweep_slice{});
  }
  if (state_->purge.next_at <= now && !state_->purge.is_under_way && !std::exchange(has_purge_turn_, true)) ports_.to_self(purge_slice{});
}

// Registered first and looked up after the commit, so that an end in between is not missed.
void router::watch(const watch_run& request) {
  flush();
  std::optional<storage::run_record> run;
  std::string function;
  try {
    run = store_.begin_read()->find_run(request.run);
    if (run) function = state_->definition_of(*run).record.function;
  } catch (const error& e) {
    request.reply(e);
    return;
  }
  if (!run) {
    request.reply(error{errc::unknown_run, "no run " + to_string(request.run) + " is stored"});
  } else if (is_ended(run->status)) {
    request.reply(info_of(*run, std::move(function)));
  } else if (state_->is_stopping && !state_->live.contains(request.run)) {
    request.reply(error{errc::stopped, stopped_text});
  } else {
    watchers_.emplace(request.token, watcher{request.run, request.reply});
    watchers_of_[request.run].push_back(request.token);
  }
}

void router::open_batch() {
  if (tx_) return;
  wait_for_more();
  tx_ = store_.begin_write();
  opened_at_ = ports_.stopwatch();
  worked_ = {};
  ports_.request_flush();
}

// Before flush() is asked for: what comes meanwhile stands ahead of it in the mailbox, and wakes nobody.
void router::wait_for_more() {
  if (!ports_.sleep) return;
  if (const auto length = pace_.wait(state_->live.size()); length > commit_pace::length::zero()) ports_.sleep(length);
}

void router::apply_one(const command& command) {
  turn now{.state = *state_, .tx = *tx_, .out = out_, .now = clock_.now(), .entropy = mix(entropy_)};
  if (ports_.watch.applying) ports_.watch.applying();
  try {
    std::visit(overloaded{[](const watch_run&) {}, [](const unwatch_run&) {}, [](const find_places&) {},
                          [&](const auto& body) { apply(now, body); }},
               command.body);
    dispatch_queue(now);
  } catch (const error& e) {
    if (!is_refusal(e.code())) throw;
    add_refusal(command, e);
  }
  if (is_planted(fault::step_before_commit)) {
    for (auto& value : out_) {
      auto* steps = std::get_if<start_steps>(&value);
      if (steps == nullptr) continue;
      for (auto& job : std::exchange(steps->jobs, {})) ports_.start(std::move(job));
    }
  }
  if (ports_.watch.applied) ports_.watch.applied(command.body, *tx_, *state_);
}

void router::add_refusal(const command& command, const error& why) {
  std::visit(
      [&](const auto& c) {
        if constexpr (requires { c.reply; }) {
          if (c.reply) out_.emplace_back(reply{[answer = c.reply, why] { answer(why); }});
        }
      },
      command.body);
}

bool router::is_batch_full() const {
  const auto& limits = state_->limits;
  return tx_ && (batch_.size() >= limits.commands_per_batch || tx_->written_bytes() >= limits.bytes_per_batch ||
                 worked_ >= limits.time_per_batch);
}

void router::flush() {
  if (!tx_ || doubt_) return;
  try {
    commit();
  } catch (...) {
    const error why = as_error(std::current_exception());
    if (why.code() == errc::outcome_unknown && !tx_) {
      doubt(why);
      return;
    }
    auto batch = std::exchange(batch_, {});
    take_back();
    retry_alone(std::move(batch));
    return;
  }
  if (ports_.sleep) {
    const auto now = ports_.stopwatch();
    pace_.committed(batch_.size(), now - opened_at_, now - committed_at_);
    committed_at_ = now;
  }
  release();
}

void router::commit() {
  const auto& last = state_->ids.last();
  tx_->put_meta("last_id", {reinterpret_cast<const char*>(last.bytes.data()), last.bytes.size()});
  tx_->put_meta("commits", std::to_string(++commits_));
  try {
    tx_->commit();
  } catch (const error& e) {
    if (e.code() != errc::outcome_unknown) throw;
    tx_.reset();
    if (!is_committed_after_all()) throw error{errc::storage_failed, e.what()};
  }
  tx_.reset();
}

// A commit failed half way. Opened anew, the file says whether it has it; one more commit makes that durable before anybody is told.
// Throws error{outcome_unknown} when even this fails: then nobody knows yet.
bool router::is_committed_after_all() {
  try {
    store_.reopen();
    if (store_.begin_read()->find_meta("commits") != std::to_string(commits_)) return false;
    const auto tx = store_.begin_write();
    tx->put_meta("confirmed", std::to_string(commits_));
    tx->commit();
    return true;
  } catch (const error& e) {
    throw error{errc::outcome_unknown, std::string{"a commit failed half way, and whether it is recorded cannot be found out yet: "} + e.what()};
  }
}

// Who waits is told that nobody knows; what the batch has made of memory and what it lets out are kept until somebody does.
void router::doubt(const error& why) {
  doubt_ = why;
  std::erase_if(out_, [](const output& value) { return std::holds_alternative<reply>(value); });
  std::erase_if(batch_, [&](const command_ptr& command) {
    return std::visit(
        [&](const auto& c) {
          using type = std::decay_t<decltype(c)>;
          if constexpr (requires { c.reply; } && !std::same_as<type, stop_runs>) {
            if (c.reply) c.reply(why);
            return true;
          }
          return false;
        },
        command->body);
  });
  timers_blocked_until_ = clock_.now() + retry_pause;
  if (ports_.observer.diagnosed) ports_.observer.diagnosed({.text = why.what()});
  set_alarm();
}

// They were set by a clock that was ahead.
void router::pull_in_retries() {
  const auto latest = clock_.now() + retry_pause;
  if (timers_blocked_until_) timers_blocked_until_ = std::min(*timers_blocked_until_, latest);
  for (auto& entry : postponed_) entry.retry_at = std::min(entry.retry_at, latest);
}

// False: still nobody knows what became of the batch.
bool router::settle_doubt() {
  if (!doubt_) return true;
  bool is_there = false;
  try {
    is_there = is_committed_after_all();
  } catch (const error& e) {
    doubt_ = e;
    return false;
  }
  doubt_.reset();
  if (is_there) {
    release();
  } else {
    auto batch = std::exchange(batch_, {});
    take_back();
    auto later = std::exchange(postponed_, {});  // came behind the batch, and stays behind what of it is postponed now
    retry_alone(std::move(batch));
    std::ranges::move(later, std::back_inserter(postponed_));
  }
  return !doubt_;
}

void router::take_back() {
  tx_.reset();
  if (!is_planted(fault::outputs_outside_transaction)) out_.clear();
  state_->undo.roll_back();
  if (ports_.watch.taken_back) ports_.watch.taken_back();
}

// A batch that failed is tried command by command, so that one that cannot be recorded is refused alone.
void router::retry_alone(std::vector<command_ptr> batch) {
  for (const auto& command : batch) run_alone(command);
}

// What a run reports is recorded in its order: a later report stands on what the earlier ones bring. All that is postponed of a run is due
// at the same time.
bool router::wait_behind_postponed(const command_ptr& command) {
  const auto* run = postponed_.empty() ? nullptr : reporting_run(*command);
  if (run == nullptr) return false;
  const auto ahead = std::ranges::find_if(postponed_, [&](const postponed& entry) {
    const auto* other = reporting_run(*entry.command);
    return other != nullptr && *other == *run;
  });
  if (ahead == postponed_.end()) return false;
  postponed_.push_back({command, ahead->retry_at});
  return true;
}

void router::run_alone(const command_ptr& command) {
  if (wait_behind_postponed(command)) return;
  if (doubt_) {
    could_not(command, *doubt_);
    return;
  }
  try {
    tx_ = store_.begin_write();
    batch_.push_back(command);
    apply_one(*command);
    commit();
  } catch (...) {
    const error why = as_error(std::current_exception());
    if (why.code() == errc::outcome_unknown && !batch_.empty() && !tx_) {
      doubt(why);
      return;
    }
    batch_.clear();
    take_back();
    could_not(command, why);
    set_alarm();
    return;
  }
  if (turn_of(*command) != nullptr) turn_trouble_.clear();
  release();
}

void router::could_not(const command_ptr& command, const error& why) {
  const time_point later = clock_.now() + retry_pause;
  const auto keep = [&] { postponed_.push_back({command, later}); };
  std::visit(overloaded{// What a run reports is never refused: results stay here until they are recorded.
                        [&](const advance_run& c) {
                          if (is_passing(why.code())) {
                            keep();
                          } else {
                            ports_.to_self(quarantine_run{.run = c.run, .why = std::string{"its report could not be recorded: "} + why.what()});
                          }
                        },
                        [&](const fire_timers&) { timers_blocked_until_ = later; },
                        [](const watch_run&) {},
                        [](const unwatch_run&) {},
                        [&](const stop_runs&) { keep(); },
                        [&](const auto& c) {
                          if constexpr (requires { c.reply; }) {
                            if (c.reply) c.reply(why);
                          } else if (bool* has_turn = turn_of(*command); has_turn == nullptr || !std::exchange(*has_turn, true)) {
                            keep();  // a turn of the router's own is to come until then: there is no other meanwhile
                          }
                        }},
             command->body);
  if (turn_of(*command) != nullptr && std::exchange(turn_trouble_, why.what()) == why.what()) return;
  if (ports_.observer.diagnosed) ports_.observer.diagnosed({.text = why.what()});
}

void router::retry_postponed() {
  const auto now = clock_.now();
  std::vector<command_ptr> due;
  std::erase_if(postponed_, [&](const postponed& entry) {
    if (entry.retry_at > now) return false;
    due.push_back(entry.command);
    return true;
  });
  if (due.empty()) return;
  flush();
  for (const auto& command : due) {
    if (bool* has_turn = turn_of(*command)) *has_turn = false;
    run_alone(command);
  }
}

// Everything the batch produced leaves, in its order; but first the gates close, so that no step of a cancelled run starts once the
// cancel is answered.
void router::release() {
  if (ports_.watch.committed) ports_.watch.committed();
  const auto batch = std::exchange(batch_, {});
  state_->undo.clear();
  auto out = std::exchange(out_, std::move(spare_out_));
  std::vector<std::shared_ptr<start_gate>> gates;  // of the activations, in their order
  for (const auto& value : out) {
    if (const auto* activation = std::get_if<activate>(&value)) {
      gates.push_back(std::make_shared<start_gate>());
      gates_[activation->run] = {activation->activation, gates.back()};
    } else if (const auto* order = std::get_if<order_run>(&value); order != nullptr && !is_planted(fault::gate_left_open)) {
      const auto gate = gates_.find(order->run);
      if (gate != gates_.end() && gate->second.first == order->activation) gate->second.second->close();
    }
  }
  auto gate = gates.begin();
  for (auto& value : out) {
    if (auto* activation = std::get_if<activate>(&value)) {
      ports_.spawn(std::move(*activation), std::move(*gate++));
    } else {
      emit(std::move(value));
    }
  }
  for (const auto& command : batch) {
    std::visit(overloaded{[&](const advance_run& c) { forget(c.run); },
                          [&](const parked_run& c) { forget(c.run); },
                          [&](const lost_run& c) { forget(c.run); },
                          [](const auto&) {}},
               command->body);
  }
  out.clear();
  constexpr std::size_t usual_outputs = 512;
  if (out.capacity() <= usual_outputs) spare_out_ = std::move(out);
  after_commit();
}

// Lets go of the gate and actor of a run that is live no more.
void router::forget(const run_id& run) {
  if (state_->live.contains(run)) return;
  const auto gate = gates_.find(run);
  if (gate == gates_.end()) return;
  ports_.forget(run, gate->second.first);
  gates_.erase(gate);
}

void router::emit(output&& value) {
  std::visit(overloaded{[](activate&) {},  // goes out with its gate
                        [&](start_steps& steps) {
                          for (auto& job : steps.jobs) ports_.start(std::move(job));
                        },
                        [&](resume_run& message) {
                          const auto run = message.run;
                          ports_.resume(run, std::move(message));
                        },
                        [&](order_run& message) {
                          const auto run = message.run;
                          ports_.order(run, message);
                          if (message.order == order_kind::end) forget(run);
                        },
                        [&](run_ended& ended) {
                          if (ports_.observer.run_ended) ports_.observer.run_ended(ended.info);
                          const auto tokens = watchers_of_.extract(ended.info.id);
                          if (tokens.empty()) return;
                          for (const auto token : tokens.mapped()) {
                            const auto found = watchers_.find(token);
                            if (found == watchers_.end()) continue;
                            found->second.reply(ended.info);
                            watchers_.erase(found);
                          }
                        },
                        [&](diagnostic& text) {
                          if (ports_.observer.diagnosed) ports_.observer.diagnosed(text);
                        },
                        [](reply& answer) { answer.deliver(); }},
             value);
}

// Work that is bounded a turn goes on behind the commands that wait.
void router::after_commit() {
  if ((state_->outbox_size > 0 || state_->dispatches_again) && !has_outbox_turn_) {
    has_outbox_turn_ = true;
    ports_.to_self(route_outbox{});
  }
  if (const auto slice_at = state_->next_slice_at(); slice_at && *slice_at <= clock_.now() && !std::exchange(has_sweep_turn_, true)) {
    ports_.to_self(sweep_slice{});
  }
  if (state_->purge.is_under_way && !std::exchange(has_purge_turn_, true)) ports_.to_self(purge_slice{});
  set_alarm();
  finish_stop();
}

void router::set_alarm() {
  if (doubt_) {
    ports_.set_alarm(std::max(timers_blocked_until_.value_or(time_point{}), clock_.now() + duration{1}));
    return;
  }
  std::optional<time_point> next;
  if (!state_->timers.empty()) next = state_->timers.begin()->first;
  if (!state_->ticks.empty() && (!next || state_->ticks.begin()->first < *next)) next = state_->ticks.begin()->first;
  if (const auto opens = state_->queue.next_opening(); opens && (!next || *opens < *next)) next = opens;
  const auto also = [&](std::optional<time_point> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  if (!has_sweep_turn_) also(state_->next_slice_at());
  if (!has_purge_turn_ && !state_->purge.is_under_way) also(state_->purge.next_at);
  if (next && timers_blocked_until_) next = std::max(*next, *timers_blocked_until_);
  for (const auto& entry : postponed_) next = next ? std::min(*next, entry.retry_at) : entry.retry_at;
  if (next && *next <= clock_.now()) {
    if (std::exchange(has_timer_turn_, true)) return;
    ports_.to_self(fire_timers{});
    return;
  }
  ports_.set_alarm(next);
}

// Who waits for a run that has no actor any more waits for the next start: it is told, because what waits may be a step, or an actor.
void router::tell_watchers_at_stop() {
  if (!state_->is_stopping || watchers_.empty()) return;
  std::erase_if(watchers_of_, [&](const auto& entry) {
    if (state_->live.contains(entry.first)) return false;
    for (const auto token : entry.second) {
      if (const auto watcher = watchers_.extract(token)) watcher.mapped().reply(error{errc::stopped, stopped_text});
    }
    return true;
  });
}

void router::finish_stop() {
  tell_watchers_at_stop();
  // A result that waits for room holds up the stop; a turn of the router's own, which may never succeed, does not: it comes with the next start.
  const bool waits = std::ranges::any_of(postponed_, [&](const postponed& entry) { return turn_of(*entry.command) == nullptr; });
  if (stop_replies_.empty() || !state_->live.empty() || waits) return;
  const auto replies = std::exchange(stop_replies_, {});
  try {
    const auto tx = store_.begin_write();
    tx->put_meta("clean", "1");
    tx->commit();
  } catch (const error& e) {
    // Without the mark the next start counts an interruption for each run under way, no more.
    if (ports_.observer.diagnosed) ports_.observer.diagnosed({.text = e.what()});
  }
  for (const auto& answer : replies) answer(std::monostate{});
}

}  // namespace caesura::actors
