#include "tests/simulation/model.hpp"

#include <algorithm>
#include <utility>

namespace caesura::simulation {

namespace {

using nlohmann::json;
using storage::sweep_kind;

constexpr auto memory = std::chrono::hours{24};
constexpr int deepest = 3;
constexpr duration longest_wait = days{366};

const std::string finished = "inngest/function.finished";
const std::string failed = "inngest/function.failed";
const std::string cancelled = "inngest/function.cancelled";
const std::string invoked = "inngest/function.invoked";

std::string text(const run_id& run) { return "run " + to_string(run).substr(18); }

std::string key_in(const json& data) { return data.is_object() ? data.value("key", "") : std::string{}; }

run_id id_in(const json& data) { return parse_id<run_id>(data["run_id"].get<std::string>()).value(); }

bool is_rest(run_status status) {
  return status == run_status::sleeping || status == run_status::waiting || status == run_status::backing_off;
}

}  // namespace

const model_pending* model_run::find_pending(const std::string& step) const {
  const auto found = std::ranges::find(pending, step, &model_pending::step);
  return found == pending.end() ? nullptr : &*found;
}

model::model(const std::vector<function_spec>& functions, std::size_t steps_are_interrupted_past, std::size_t timers_a_turn)
    : functions_{&functions}, interruption_limit_{static_cast<int>(steps_are_interrupted_past)}, timers_a_turn_{timers_a_turn} {}

std::size_t model::ended() const {
  return static_cast<std::size_t>(std::ranges::count_if(runs_, [](const auto& entry) { return entry.second.is_ended; }));
}

std::optional<cancel_outcome> model::answer_to(const std::string& by) const {
  const auto found = answers_.find(by);
  return found == answers_.end() ? std::nullopt : std::optional{found->second};
}

std::optional<run_id> model::resumed_by(const json& data) const {
  const auto found = resumed_.find(data);
  return found == resumed_.end() ? std::nullopt : std::optional{found->second};
}

model_run& model::run_at(const run_id& id) {
  auto* run = runs_.change(id);
  if (run == nullptr) fail("a command is about " + text(id) + ", which was never created");
  return *run;
}

// ---- one command

void model::apply(const actors::command_body& command, const storage::snapshot& store, time_point now) {
  store_ = &store;
  now_ = now;
  touched_.clear();
  if (std::exchange(has_restarted_, false)) recover();
  read_new_events();
  std::visit([this](const auto& c) { take(c); }, command);
  settle_changed();
  take_resumed();
  close_sweeps();
  if (!new_events_.empty()) fail("event \"" + new_events_.front().name + "\" was stored, but nothing called for it");
  if (const auto unknown = unknown_runs(); !unknown.empty()) fail(text(unknown.front()) + " was created, but nothing called for it");
  adopt();
  compare();
  store_ = nullptr;
}

void model::take(const actors::accept_events& command) {
  const auto earlier = [&](const event& value) -> const model_event* {
    if (value.id.empty()) return nullptr;
    const auto found = memory_.find({value.name, value.id});
    if (found == memory_.end()) return nullptr;
    const auto& known = events_.at(found->second);
    return known.received_at + memory <= now_ ? nullptr : &known;
  };
  for (const auto& value : command.events) {
    const auto* known = earlier(value);
    if (known != nullptr && known->data != value.data.json()) return;  // refused, all of it
  }
  for (const auto& value : command.events) {
    if (earlier(value) != nullptr) continue;
    const auto event = next_event(value.name);
    require(event.client_id == value.id && event.data == value.data.json(), "event \"" + value.name + "\" was stored with other data");
    require(event.depth == 0, "an event from outside has depth " + std::to_string(event.depth));
    if (!value.id.empty()) memory_[{value.name, value.id}] = event.id;
    route(event, "");
  }
}

void model::take(const actors::cancel_run& command) {
  const auto answer = [&] {
    if (!runs_.contains(command.run)) return cancel_outcome::unknown_run;
    auto& run = run_at(command.run);
    settle(run.id);
    if (!run.is_ended && run.cancelled_by) return cancel_outcome::cancelling;
    if (!run.is_ended) {
      cancel(run, {.source = cancel_source::call, .by = command.by});
      return run.is_ended ? cancel_outcome::cancelled : cancel_outcome::cancelling;
    }
    if (run.status == run_status::completed) return cancel_outcome::already_completed;
    return run.status == run_status::cancelled ? cancel_outcome::already_cancelled : cancel_outcome::already_failed;
  };
  answers_[command.by] = answer();
}

void model::take(const actors::advance_run& command) {
  auto& run = run_at(command.run);
  if (run.is_ended || run.status != run_status::running) return;  // of an actor that has been told to go
  settle(run.id);
  if (run.is_ended) return;
  if (is_overlooked(run) && !run.cancelled_by) cancel(run, {.source = cancel_source::timeout});
  const int interruptions = run.interruptions;
  for (const auto& row : command.rows) {
    check_execution(run, row, interruptions);
    append(run, row);
    std::erase_if(run.pending, [&](const model_pending& p) { return p.step == row.id; });
  }
  // What fails of an `any` that is decided is of no interest.
  const auto due = progress_of(run.what, run.rows).pending;
  for (const auto& failure : command.failures) {
    check_execution(run, failure);
    run.failed_attempts[failure.step] = failure.failed_attempts;
    if (std::ranges::none_of(due, [&](const auto& p) { return p.first == failure.step; })) continue;
    std::erase_if(run.pending, [&](const model_pending& p) { return p.step == failure.step; });
    run.pending.push_back({.step = failure.step, .due = now_ + failure.retry_in, .failed_attempts = failure.failed_attempts});
    run.interruptions = 0;
  }
  const auto losers = withdraw_losers(run);
  if (run.cancelled_by) {
    // An order to try a step again may have crossed this: then the actor has not heard of the cancel, and has its last word still to say.
    const bool is_last_word = command.next != actors::next_kind::executing && command.next != actors::next_kind::operations;
    const bool is_ordered = std::ranges::any_of(run.pending, [](const model_pending& p) { return p.kind == step_kind::run && !p.due; });
    if (command.in_flight == 0 && (is_last_word || !is_ordered)) end(run, run_status::cancelled);
    return;
  }
  const auto where = progress_of(run.what, run.rows);
  switch (command.next) {
    case actors::next_kind::executing: break;
    case actors::next_kind::operations: begin(run, command); break;
    case actors::next_kind::completed:
      require(where.is == progress::state::completed, text(run.id) + " completed before its script was through");
      require(command.output.json() == where.output,
              text(run.id) + " returned " + command.output.json().dump() + ", and its rows say " + where.output);
      run.output = command.output;
      end(run, run_status::completed);
      break;
    case actors::next_kind::failed:
      require(where.is == progress::state::failed, text(run.id) + " failed, and its script does not: " + (command.error ? command.error->message : ""));
      end(run, run_status::failed);
      break;
    case actors::next_kind::held: fail(text(run.id) + " is held: " + command.held_because);
    case actors::next_kind::cancelled: fail(text(run.id) + " honours a cancel that is not recorded");
    case actors::next_kind::left: break;
  }
  cancel_losers(losers);
}

// The outcome of an attempt that this process executed and has not recorded yet; null: there is none.
const model::execution* model::take_execution(const model_run& run, const std::string& step, std::uint32_t attempt) {
  const auto found = executions->find({run.id, step, attempt});
  if (found == executions->end() || !recorded_.insert(found->first).second) return nullptr;
  return &found->second;
}

void model::check_execution(model_run& run, const step_info& row, int interruptions) {
  const auto name = text(run.id) + ": step " + row.id;
  for (const auto& known : run.rows) require(known.id != row.id, name + " is recorded twice");
  const auto before = run.failed_attempts.find(row.id);
  const auto attempt = (before == run.failed_attempts.end() ? 0 : before->second) + 1;
  const auto* done = take_execution(run, row.id, attempt);
  if (done == nullptr) {
    require(row.error && row.error->name == step_interrupted && interruptions > interruption_limit_, name + " is recorded and was not executed");
    return;
  }
  require(row.attempts == attempt, name + " is recorded as attempt " + std::to_string(row.attempts));
  require(done->is_ok == !row.error, name + (row.error ? " is recorded as failed" : " is recorded as done"));
  if (done->is_ok) {
    require(row.result.json() == done->token, name + " is recorded with another result");
  } else {
    require(done->is_fatal || attempt > function_of(run).retries, name + " failed for good too early");
  }
}

void model::check_execution(model_run& run, const actors::failed_attempt& failure) {
  const auto name = text(run.id) + ": step " + failure.step;
  const auto* done = take_execution(run, failure.step, failure.failed_attempts);
  require(done != nullptr, name + " is recorded as failed and was not executed");
  require(!done->is_ok && !done->is_fatal, name + " is to be tried again for no reason");
  require(failure.failed_attempts <= function_of(run).retries, name + " is tried too often");
}

// The body has stopped at operations.
void model::begin(model_run& run, const actors::advance_run& command) {
  // What the body knew when it stopped; rows that were recorded meanwhile are on their way to it.
  const auto seen = std::min<std::size_t>(command.rows_seen, run.rows.size());
  const std::vector<step_info> known(run.rows.begin(), run.rows.begin() + static_cast<std::ptrdiff_t>(seen));
  const auto where = progress_of(run.what, known);
  require(where.is == progress::state::suspended, text(run.id) + " asks for more although its script is through");
  require(where.is_any == command.is_any && where.pending.size() == command.operations.size(), text(run.id) + " stands at another place than its rows say");
  for (std::size_t i = 0; i < where.pending.size(); ++i) {
    require(where.pending[i].first == command.operations[i].step,
            text(run.id) + " asks for " + command.operations[i].step + ", and its rows say " + where.pending[i].first);
  }
  // Open jobs reach whoever waits for the same signal first, and through them maybe this run.
  bool has_signals = false;
  for (const auto& [step, op] : where.pending) {
    if (!is_signal_event(op.event)) continue;
    has_signals = true;
    for (const auto& other : waiting_for(op.event, run.id)) settle(other);
  }
  if (has_signals) settle(run.id);
  if (run.is_ended) return;
  if (run.cancelled_by) {
    end(run, run_status::cancelled);
    return;
  }
  const auto before = std::exchange(run.pending, {});
  const auto consumed = run.consumed;  // waits that begin side by side look back to the same place
  const auto behind = run.behind;
  const auto is_recorded = [&](const auto& entry) { return std::ranges::find(run.rows, entry.first, &step_info::id) != run.rows.end(); };
  // Late rows of another place, of a loser, are none of this `any`.
  const auto rows_before = std::ranges::any_of(where.pending, is_recorded) ? seen : run.rows.size();
  run.any_from = where.is_any ? std::optional{rows_before} : std::nullopt;
  const auto is_decided = [&] { return where.is_any && std::ranges::any_of(where.pending, is_recorded); };
  std::vector<const std::pair<std::string, operation>*> invokes;
  std::vector<const std::pair<std::string, operation>*> sends;
  std::string taken_over;
  event_id latest;
  const auto seen_before = [&](const operation& op) -> const model_event* {
    const auto used = consumed.find(op.event);
    const auto last = std::max(run.event, run.events.empty() ? run.event : run.events.back());
    auto from = used == consumed.end() ? std::max(id_cast<event_id>(run.id), last) : used->second;
    if (!op.look_back) from = std::max(behind, used == consumed.end() ? event_id{} : used->second);
    const model_pending looking{.kind = op.kind, .event = op.event, .rule = op.rule, .since = from};
    const auto seen = std::ranges::find_if(events_, [&](const auto& e) { return wait_is_hit(run, looking, e.second); });
    return seen == events_.end() ? nullptr : &events_.at((*seen).first);
  };
  // Of several of which the first decides, the wait whose event came first is first.
  auto order = where.pending;
  if (where.is_any) {
    const auto came_at = [&](const auto& entry) {
      const auto& [step, op] = entry;
      const bool is_new = std::ranges::find(run.rows, step, &step_info::id) == run.rows.end() && std::ranges::find(before, step, &model_pending::step) == before.end();
      const auto* seen = is_new && op.kind == step_kind::wait_for_event && !is_signal_event(op.event) ? seen_before(op) : nullptr;
      return seen == nullptr ? std::optional<event_id>{} : std::optional{seen->id};
    };
    auto first = order.end();
    for (auto entry = order.begin(); entry != order.end(); ++entry) {
      if (came_at(*entry) && (first == order.end() || *came_at(*entry) < *came_at(*first))) first = entry;
    }
    if (first != order.end()) std::rotate(order.begin(), first, first + 1);
  }
  for (const auto& entry : order) {
    const auto& [step, op] = entry;
    if (std::ranges::find(run.rows, step, &step_info::id) != run.rows.end()) continue;
    const auto begun = std::ranges::find(before, step, &model_pending::step);
    if (is_decided()) {
      if (begun != before.end() && op.kind == step_kind::invoke) run.pending.push_back(*begun);  // withdrawn below
      continue;
    }
    if (begun != before.end()) {
      run.pending.push_back(*begun);
      continue;
    }
    switch (op.kind) {
      case step_kind::run: break;
      case step_kind::sleep: run.pending.push_back({.step = step, .kind = op.kind, .due = now_ + duration{op.length}}); break;
      case step_kind::wait_for_event: {
        model_pending wait{
            .step = step, .kind = op.kind, .due = now_ + duration{op.length}, .event = op.event, .rule = op.rule, .since = last_event_};
        if (is_signal_event(op.event)) {
          wait.waits_for_ever = op.length == 0;
          if (wait.waits_for_ever) wait.due = now_ + longest_wait;
          if (!waiting_for(op.event, run.id).empty()) {
            if (!op.replaces) {
              append(run, {.id = step, .kind = op.kind, .error = recorded_error{.name = signal_conflict_error}});
              end(run, run_status::failed);
              return;
            }
            taken_over = op.event;
          }
        }
        if (!is_signal_event(op.event)) {
          if (const auto seen = seen_before(op); seen != nullptr) {
            const auto& event = *seen;
            run.consumed[op.event] = std::max(run.consumed[op.event], event.id);
            append(run, {.id = step, .kind = op.kind, .result = {{"id", event.client_id.empty() ? to_string(event.id) : event.client_id}}});
            if (!op.look_back) latest = std::max(latest, event.id);
            break;
          }
        }
        run.pending.push_back(std::move(wait));
        break;
      }
      case step_kind::invoke:
        if (is_held_by_pause(run)) break;  // asked for again once it goes on
        if (is_paused(op.event)) {
          append(run, {.id = step, .kind = op.kind, .error = recorded_error{.name = "paused"}});
        } else {
          invokes.push_back(&entry);
        }
        break;
      case step_kind::send_event:
        if (!is_held_by_pause(run)) sends.push_back(&entry);
        break;
    }
  }
  if (!latest.is_nil()) run.behind = std::max(behind, latest);
  cancel_losers(withdraw_losers(run));
  if (!taken_over.empty()) {
    for (const auto& other : waiting_for(taken_over, run.id)) lose(run_at(other), taken_over);
    settle(run.id);
  }
  if (!is_decided()) {
    for (const auto* entry : invokes) {
      const auto& [step, op] = *entry;
      const auto event = next_event(invoked);
      require(event.data == op.script && event.runs.size() == 1, "the event of an invocation is not the one asked for");
      const auto function = std::ranges::find(*functions_, op.event, &function_spec::id);
      events_.set(event.id, event);
      auto& child = create(static_cast<std::size_t>(function - functions_->begin()), event, event.runs[0]);
      child.parent = run.id;
      child.policy = op.is_abandoned ? child_policy::abandon : child_policy::cancel;
      run.has_children = true;
      run.pending.push_back({.step = step,
                             .kind = op.kind,
                             .due = op.length > 0 ? std::optional{now_ + duration{op.length}} : std::nullopt,
                             .child = child.id});
    }
    for (const auto* entry : sends) {
      const auto& [step, op] = *entry;
      if (is_decided()) break;
      const auto event = next_event(op.event);
      require(event.data == json({{"key", op.key}, {"n", 3}}), "a step sent another event than it was asked to");
      route(event, "");
      settle(run.id);
      append(run, {.id = step, .kind = op.kind, .result = to_string(event.id)});
      cancel_losers(withdraw_losers(run));
    }
  }
  if (run.cancelled_by) end(run, run_status::cancelled);
}

void model::take(const actors::fire_timers&) {
  timers_behind_ = now_;
  for (auto left = timers_a_turn_; left > 0; --left) {
    std::optional<std::pair<time_point, run_id>> first;
    for (const auto& [id, run] : runs_) {
      const auto wakes = wake_time(run);
      if (wakes && *wakes <= now_ && (!first || std::pair{*wakes, id} < *first)) first = std::pair{*wakes, id};
    }
    if (!first) break;
    settle(first->second);
    auto& run = run_at(first->second);
    if (const auto wakes = wake_time(run); wakes && *wakes <= now_) fire(run);
  }
  const auto is_due = [&](const auto& entry) {
    const auto wakes = wake_time(entry.second);
    return wakes && *wakes <= now_;
  };
  if (std::ranges::none_of(runs_, is_due)) timers_behind_.reset();
  for (const auto& [function, next] : next_ticks_) tick(function);
}

std::optional<time_point> model::wake_time(const model_run& run) const {
  if (run.is_ended) return std::nullopt;
  std::optional<time_point> first = run.cancelled_by ? std::nullopt : run.deadline;
  if (run.status == run_status::held && !touched_.contains(run.id)) return first;
  if (run.due && (!first || *run.due < *first)) first = run.due;
  for (const auto& p : run.pending) {
    if (p.due && (!first || *p.due < *first)) first = p.due;
  }
  return first;
}

bool model::is_overlooked(const model_run& run) const { return timers_behind_ && run.deadline && *run.deadline <= *timers_behind_; }

// A limit that has passed ends a run that is about to go on, although its timer stands behind others. Whether the router had got to that is the store's word;
// that nobody goes on past a limit is ours.
bool model::ends_overdue(model_run& run) {
  if (run.is_ended || run.cancelled_by || !is_overlooked(run)) return false;
  const auto stored = store_->find_run(run.id);
  if (!stored || !caesura::is_ended(stored->status) || !stored->cancelled_by || stored->cancelled_by->source != cancel_source::timeout) return false;
  run.cancelled_by = cancellation{.source = cancel_source::timeout};
  end(run, run_status::cancelled);
  if (run.has_children) cancel_descendants(run, {});
  return true;
}

void model::fire(model_run& run) {
  if (run.deadline && *run.deadline <= now_ && !run.cancelled_by) {
    cancel(run, {.source = cancel_source::timeout});
    return;
  }
  if (run.due) {
    begin_collected(run);
    return;
  }
  std::vector<step_info> rows;
  std::erase_if(run.pending, [&](model_pending& p) {
    if (!p.due || *p.due > now_) return false;
    if (p.kind == step_kind::run) {
      p.due.reset();
      return false;
    }
    step_info row{.id = p.step, .kind = p.kind, .child = p.child};
    if (p.kind == step_kind::invoke) row.error = recorded_error{.name = "timed out"};
    rows.push_back(std::move(row));
    return true;
  });
  for (auto& row : rows) append(run, std::move(row));
  touched_.insert(run.id);
  cancel_losers(withdraw_losers(run));
}

void model::take(const actors::route_outbox&) {
  while (!new_events_.empty()) {
    const auto event = new_events_.front();
    if (event.name != finished && event.name != failed && event.name != cancelled) return;
    new_events_.pop_front();
    last_event_ = event.id;
    const auto about = id_in(event.data);
    require(outbox_.erase({about, event.name}) == 1, "event " + event.name + " about " + text(about) + " was sent, and nothing decided it");
    const auto& run = run_at(about);
    require(event.data["function_id"] == function_of(run).id, "a system event names another function");
    require(event.depth == run.depth + 1, "a system event has depth " + std::to_string(event.depth));
    route(event, function_of(run).id);
  }
}

void model::take(const actors::start_bulk& command) {
  std::vector<run_id> ids;
  if (!command.plan.is_nil()) {
    const auto plan = store_->find_plan(command.plan);
    if (!plan || plan->created_at + days{1} <= now_) return;  // refused: it was good for 24 h
    ids = store_->plan_ids(command.plan);
  }
  open_bulk(cancel_source::bulk, command.by, command.kind == storage::bulk_kind::replay,
            command.plan.is_nil() ? std::optional{command.filter} : std::nullopt, std::move(ids));
}

void model::take(const actors::replay_run& command) {
  const auto* run = find(command.run);
  if (run == nullptr || !run->is_ended || is_paused(function_of(*run).id)) return;
  std::vector<step_info> kept;
  if (!command.from_step.empty()) {
    const auto from = std::ranges::find(run->rows, command.from_step, &step_info::id);
    if (from == run->rows.end()) return;
    kept.assign(run->rows.begin(), from);
  }
  const auto unknown = unknown_runs();
  require(unknown.size() == 1, "a replay created " + std::to_string(unknown.size()) + " runs");
  auto& again = create(run->function, events_.at(run->event), unknown[0]);
  again.replay_of = run->id;
  again.root = run->root.is_nil() ? run->id : run->root;
  again.rows = std::move(kept);
  again.events = run->events;
  again.what = run->what;
}

void model::take(const actors::pause_function& command) {
  auto& state = paused_[command.function];
  state.mode = command.mode;
  if (command.mode == running_runs::cancel) open_bulk(cancel_source::pause, command.by, false, run_filter{.function = command.function}, {});
}

void model::take(const actors::resume_function& command) { paused_.erase(command.function); }

void model::take(const actors::quarantine_run& command) { fail(text(command.run) + " is quarantined: " + command.why); }

void model::take(const actors::lost_run& command) { fail(text(command.run) + " lost its actor: " + command.reason); }

// ---- events

void model::read_new_events() {
  new_events_.clear();
  store_->each_event(last_event_, [&](const storage::event_record& record) {
    if (record.id == last_event_) return true;
    new_events_.push_back({.id = record.id,
                           .name = record.name,
                           .client_id = record.client_id,
                           .data = record.data.json(),
                           .received_at = record.received_at,
                           .depth = record.depth,
                           .runs = record.runs});
    return true;
  });
}

model_event model::next_event(const std::string& name) {
  require(!new_events_.empty(), "event \"" + name + "\" is not stored");
  auto event = std::move(new_events_.front());
  new_events_.pop_front();
  require(event.name == name, "event \"" + event.name + "\" is stored where \"" + name + "\" was due");
  last_event_ = event.id;
  return event;
}

void model::route(const model_event& event, const std::string& about) {
  events_.set(event.id, event);
  match(event);
  std::size_t started = 0;
  for (std::size_t i = 0; i < functions_->size(); ++i) {
    const auto& fn = (*functions_)[i];
    if (fn.trigger != event.name || fn.id == about || event.depth > deepest) continue;
    if (!fn.about.empty() && event.data["function_id"] != fn.about) continue;
    if (is_limited(i, event)) continue;
    require(started < event.runs.size(), "event \"" + event.name + "\" did not start function " + fn.id);
    start(i, event, event.runs[started++]);
  }
  require(started == event.runs.size(), "event \"" + event.name + "\" started a function that it does not trigger");
}

bool model::wait_is_hit(const model_run& run, const model_pending& wait, const model_event& event) const {
  return wait.kind == step_kind::wait_for_event && wait.event == event.name && event.id > wait.since && !wait.is_taken_over &&
         wait_rules()[static_cast<std::size_t>(wait.rule)].holds(run.data, event.data);
}

std::optional<int> model::rule_hit_by(const model_run& run, const model_event& event) const {
  const auto& rules = function_of(run).cancel_on;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (rules[i].event != event.name) continue;
    if (rules[i].timeout && event.received_at > run.created_at + *rules[i].timeout) continue;
    if (rules[i].holds == nullptr || rules[i].holds(run.data, event.data)) return static_cast<int>(i);
  }
  return std::nullopt;
}

bool model::is_hit_by(const model_run& run, const model_event& event) const {
  if (run.is_ended || run.cancelled_by || event.id < id_cast<event_id>(run.id)) return false;
  return rule_hit_by(run, event) || std::ranges::any_of(run.pending, [&](const auto& p) { return wait_is_hit(run, p, event); });
}

// The store has rows of a wait that the model does not know yet.
bool model::is_wait_over(const model_run& run) const {
  const auto rows = store_->steps_of(run.id);
  return std::any_of(rows.begin() + static_cast<std::ptrdiff_t>(run.rows.size()), rows.end(),
                     [](const step_info& row) { return row.kind == step_kind::wait_for_event && !row.result.is_null(); });
}

// The whole rule of every run: no index.
void model::match(const model_event& event) {
  bool is_sliced = false;
  store_->each_sweep([&](const position& place, const storage::sweep_record& record) {
    is_sliced = is_sliced || (record.kind == sweep_kind::event && place == id_cast<position>(event.id));
    return true;
  });
  if (is_sliced) {
    sweeps_.push_back({.kind = sweep_kind::event, .place = id_cast<position>(event.id), .event = event});
    return;
  }
  // Between a run and one that it invoked any order is right; the store says which was taken.
  std::vector<run_id> first;
  std::vector<run_id> next;
  std::vector<run_id> later;
  for (const auto& [id, run] : runs_) {
    if (!is_hit_by(run, event)) continue;
    const auto stored = store_->find_run(id);
    const bool is_cancelled = stored && stored->cancelled_by;
    const bool is_resumed = stored && stored->step_count > run.rows.size();
    if (is_cancelled && stored->cancelled_by->event != event.id) {
      // It may have been resumed before it was cancelled with the one that invoked it.
      (is_resumed && is_wait_over(run) ? first : later).push_back(id);
    } else {
      (is_cancelled || is_resumed ? next : later).push_back(id);
    }
  }
  first.insert(first.end(), next.begin(), next.end());
  first.insert(first.end(), later.begin(), later.end());
  for (const auto& id : first) {
    settle(id);
    hit(run_at(id), event);
  }
}

void model::hit(model_run& run, const model_event& event) {
  if (!is_hit_by(run, event)) return;
  if (const auto rule = rule_hit_by(run, event)) {
    cancel(run, {.source = cancel_source::event, .event = event.id, .rule = *rule}, id_cast<position>(event.id));
    return;
  }
  std::vector<step_info> rows;
  std::erase_if(run.pending, [&](const model_pending& p) {
    if (!wait_is_hit(run, p, event)) return false;
    rows.push_back({.id = p.step, .kind = p.kind, .result = {{"id", event.client_id.empty() ? to_string(event.id) : event.client_id}, {"data", event.data}}});
    return true;
  });
  const auto behind = run.behind;
  for (auto& row : rows) append(run, std::move(row));
  run.behind = std::max(behind, event.id);
  run.consumed[event.name] = std::max(run.consumed[event.name], event.id);
  touched_.insert(run.id);
  cancel_losers(withdraw_losers(run));
}

// ---- signals: one run at most waits for each

std::vector<run_id> model::waiting_for(const std::string& signal_event, const run_id& besides) const {
  std::vector<run_id> found;
  for (const auto& [id, run] : runs_) {
    const auto waits = [&](const model_pending& p) { return p.kind == step_kind::wait_for_event && p.event == signal_event && !p.is_taken_over; };
    if (id != besides && !run.is_ended && !run.cancelled_by && std::ranges::any_of(run.pending, waits)) found.push_back(id);
  }
  return found;
}

void model::take(const actors::send_signal& command) {
  const auto name = signal_event_of(command.name);
  for (const auto& id : waiting_for(name)) settle(id);
  const auto waiting = waiting_for(name);
  require(waiting.size() <= 1, "more runs than one wait for signal " + command.name);
  resumed_[command.data.json()] = waiting.empty() ? run_id{} : waiting[0];
  if (waiting.empty()) return;
  const auto event = next_event(name);
  require(event.data == command.data.json() && event.runs.empty(), "signal " + command.name + " is stored otherwise than it was sent");
  events_.set(event.id, event);
  hit(run_at(waiting[0]), event);
}

// It waits on, for its timeout alone; without one it has waited in vain.
void model::lose(model_run& run, const std::string& signal_event) {
  std::vector<step_info> rows;
  std::erase_if(run.pending, [&](model_pending& p) {
    if (p.kind != step_kind::wait_for_event || p.event != signal_event || p.is_taken_over) return false;
    p.is_taken_over = true;
    if (!p.waits_for_ever) return false;
    rows.push_back({.id = p.step, .kind = p.kind});
    return true;
  });
  if (rows.empty()) return;
  for (auto& row : rows) append(run, std::move(row));
  touched_.insert(run.id);
  cancel_losers(withdraw_losers(run));
}

// ---- runs

model_run& model::create(std::size_t function, const model_event& event, const run_id& id) {
  require(!runs_.contains(id), text(id) + " was created twice");
  require(id_cast<event_id>(id) > event.id, text(id) + " has a place in the order before its event");
  const auto& fn = (*functions_)[function];
  model_run run{.id = id, .function = function, .event = event.id, .data = event.data, .depth = event.depth, .created_at = now_};
  run.what = fn.fixed ? *fn.fixed : event.data.get<script>();
  if (const auto pause = paused_.find(fn.id); pause != paused_.end()) {
    ++pause->second.skipped;
    skip(run);
  } else if (fn.start_timeout) {
    run.deadline = now_ + *fn.start_timeout;
  }
  touched_.insert(id);
  return runs_.set(id, std::move(run));
}

void model::append(model_run& run, step_info row) {
  run.rows.push_back(std::move(row));
  run.behind = last_event_;
  run.interruptions = 0;
}

std::vector<run_id> model::withdraw_losers(model_run& run) {
  std::vector<run_id> children;
  if (!run.any_from || run.rows.size() <= *run.any_from) return children;
  for (const auto& p : run.pending) {
    if (p.kind == step_kind::invoke) children.push_back(p.child);
  }
  run.pending.clear();
  run.any_from.reset();
  return children;
}

void model::cancel_losers(const std::vector<run_id>& children) {
  for (const auto& id : children) {
    settle(id);
    auto& child = run_at(id);
    if (child.is_ended || child.cancelled_by || child.policy == child_policy::abandon) continue;
    cancel(child, {.source = cancel_source::parent, .parent = child.parent});
  }
}

void model::cancel(model_run& run, cancellation cause, const std::optional<position>& as_of) {
  cancel_alone(run, std::move(cause));
  if (run.has_children) cancel_descendants(run, as_of);
}

void model::cancel_alone(model_run& run, cancellation cause) {
  run.cancelled_by = std::move(cause);
  bool is_executing = run.status == run_status::running;
  if (!is_executing && touched_.contains(run.id)) {
    const auto stored = store_->find_run(run.id);
    is_executing = stored && !caesura::is_ended(stored->status);
    if (is_executing) require(stored->status == run_status::running, text(run.id) + " rests although it was cancelled");
  }
  if (!is_executing) end(run, run_status::cancelled);
}

// What comes after the place of the cancellation comes too late for them.
void model::cancel_descendants(model_run& root, const std::optional<position>& as_of) {
  std::optional<model_sweep> sliced;
  store_->each_sweep([&](const position& place, const storage::sweep_record& record) {
    if (record.kind != sweep_kind::tree || record.root != root.id) return true;
    if (std::ranges::find(sweeps_, place, &model_sweep::place) == sweeps_.end()) {
      sliced = model_sweep{.kind = sweep_kind::tree, .place = place, .root = root.id, .as_of = record.as_of};
    }
    return true;
  });
  if (sliced) {
    sweeps_.push_back(*sliced);
    return;
  }
  std::vector<run_id> found;
  std::vector<run_id> parents{root.id};
  while (!parents.empty()) {
    std::vector<run_id> next;
    for (const auto& parent : parents) {
      for (const auto& [id, run] : runs_) {
        if (run.parent != parent || run.is_ended || run.policy == child_policy::abandon) continue;
        found.push_back(id);
        if (run.has_children) next.push_back(id);
      }
    }
    parents = std::move(next);
  }
  for (const auto& id : found) {
    settle(id, as_of);
    auto& run = run_at(id);
    if (!run.is_ended && !run.cancelled_by) cancel_alone(run, {.source = cancel_source::parent, .parent = run.parent});
  }
}

void model::end(model_run& run, run_status status) {
  require(!run.is_ended, text(run.id) + " ends twice");
  run.is_ended = true;
  run.status = status;
  run.pending.clear();
  run.deadline.reset();
  run.due.reset();
  if (status == run_status::cancelled) outbox_.emplace(run.id, cancelled);
  if (status == run_status::failed) outbox_.emplace(run.id, failed);
  const bool is_heard = std::ranges::any_of(*functions_, [](const auto& fn) { return fn.trigger == finished; });
  if (is_heard) outbox_.emplace(run.id, finished);
  if (!run.parent.is_nil()) tell_parent(run);
}

void model::tell_parent(const model_run& child) {
  settle(child.parent);
  auto& parent = run_at(child.parent);
  if (parent.is_ended) return;
  const auto invoke = std::ranges::find_if(parent.pending, [&](const auto& p) { return p.kind == step_kind::invoke && p.child == child.id; });
  if (invoke == parent.pending.end()) return;
  step_info row{.id = invoke->step, .kind = step_kind::invoke, .child = child.id};
  if (child.status == run_status::completed) {
    row.result = child.output;
  } else {
    row.error = recorded_error{.name = std::string{to_string(child.status)}};
  }
  parent.pending.erase(invoke);
  append(parent, std::move(row));
  touched_.insert(parent.id);
  const auto losers = withdraw_losers(parent);
  (void)ends_overdue(parent);  // at once: who waits for it is told before the next timer
  cancel_losers(losers);
}

// ---- jobs over many runs: each acts on a run at its own place in the order, whenever the router gets to it

void model::settle(const run_id& id, const std::optional<position>& up_to) {
  if (sweeps_.empty()) return;
  auto& run = run_at(id);
  if (run.is_ended) return;
  if (!run.parent.is_nil()) settle(run.parent, up_to);
  std::vector<model_sweep> due;
  for (const auto& sweep : sweeps_) {
    if (up_to && sweep.place > *up_to) continue;
    if (sweep.place > run.asked && sweep.place > id_cast<position>(run.id)) due.push_back(sweep);
  }
  std::ranges::sort(due, {}, &model_sweep::place);
  for (const auto& sweep : due) {
    if (run.is_ended) return;
    run.asked = std::max(run.asked, sweep.place);
    act(run, sweep);
  }
}

void model::act(model_run& run, const model_sweep& sweep) {
  if (sweep.is_replay) return;
  switch (sweep.kind) {
    case sweep_kind::event: hit(run, sweep.event); return;
    case sweep_kind::bulk:
      if (!run.cancelled_by && is_meant(run, sweep)) cancel(run, {.source = sweep.source, .by = sweep.by, .bulk = id_cast<bulk_id>(sweep.place)}, sweep.place);
      return;
    case sweep_kind::tree:
      if (descends(run, sweep)) cancel(run, {.source = cancel_source::parent, .parent = run.parent}, sweep.as_of);
      return;
    case sweep_kind::resume: return;
  }
}

// The run is to be cancelled with the root of its tree: each link follows its parent, and nobody in between ended by itself.
bool model::descends(const model_run& run, const model_sweep& sweep) const {
  if (run.cancelled_by || id_cast<position>(run.id) > sweep.as_of) return false;
  for (const model_run* at = &run; !at->parent.is_nil() && at->policy != child_policy::abandon;) {
    if (at->parent == sweep.root) return true;
    at = find(at->parent);
    if (at->is_ended && at->status != run_status::cancelled) return false;
  }
  return false;
}

bool model::is_meant(const model_run& run, const model_sweep& sweep) const {
  if (!sweep.filter) return std::ranges::binary_search(sweep.ids, run.id);
  const auto& filter = *sweep.filter;
  const auto is_among = [](const auto& values, const auto& value) { return values.empty() || std::ranges::find(values.values, value) != values.values.end(); };
  if (!is_among(filter.function, function_of(run).id) || !is_among(filter.status, status_before(run, sweep))) return false;
  return filter.when.empty() || filter.when == "event.data.key == '" + key_in(run.data) + "'";
}

// What the run is when the job asks it. One that this very command has woken has a place, or waits for one, or is held: the store says which, and
// that the job hit a resting run says that it waited.
run_status model::status_before(const model_run& run, const model_sweep& sweep) const {
  if (run.status == run_status::running || !touched_.contains(run.id)) return run.status;
  const auto stored = store_->find_run(run.id);
  if (!stored) fail(text(run.id) + " is not stored");
  if (!caesura::is_ended(stored->status)) return stored->status;
  return stored->cancelled_by && stored->cancelled_by->bulk == id_cast<bulk_id>(sweep.place) ? run_status::queued : stored->status;
}

void model::open_bulk(cancel_source source, const std::string& by, bool is_replay, const std::optional<run_filter>& filter, std::vector<run_id> ids) {
  const auto newest = store_->newest_bulks(1);
  require(!newest.empty(), "a bulk job is not stored");
  const auto place = id_cast<position>(newest[0].first);
  model_sweep sweep{.kind = sweep_kind::bulk, .place = place, .source = source, .by = by, .is_replay = is_replay, .ids = std::move(ids), .filter = filter};
  sweeps_.push_back(std::move(sweep));
}

std::vector<run_id> model::unknown_runs() const {
  std::vector<run_id> unknown;
  for (const auto& id : store_->runs_of("", {}, 200).runs) {
    if (runs_.contains(id)) break;
    unknown.push_back(id);
  }
  std::ranges::reverse(unknown);
  return unknown;
}

// What bulk replays have done by now: how far each has got is the store's word, what that means for each run is not.
void model::take_replays() {
  for (auto& sweep : sweeps_) {
    if (!sweep.is_replay) continue;
    const auto job = store_->find_bulk(id_cast<bulk_id>(sweep.place));
    require(job && job->next >= sweep.next && job->next <= sweep.ids.size(), "a bulk replay has lost its place");
    for (; sweep.next < job->next; ++sweep.next) {
      const auto* before = find(sweep.ids[sweep.next]);
      if (before == nullptr || !before->is_ended || is_paused(function_of(*before).id)) continue;  // refused
      const auto unknown = unknown_runs();
      require(!unknown.empty(), "a bulk replay has passed over " + text(before->id));
      auto& again = create(before->function, events_.at(before->event), unknown[0]);
      again.replay_of = before->id;
      again.root = before->root.is_nil() ? before->id : before->root;
      again.events = before->events;
      again.what = before->what;
    }
    require(job->status != storage::bulk_status::done || sweep.next == sweep.ids.size(), "a bulk replay ended before it was done");
  }
}

// The router has got to more runs than the command is about.
void model::settle_changed() {
  take_replays();
  if (sweeps_.empty()) return;
  std::vector<run_id> ids;
  for (const auto& [id, run] : runs_) {
    if (!run.is_ended) ids.push_back(id);
  }
  for (const auto& id : ids) {
    const auto stored = store_->find_run(id);
    // A job that was opened afterwards has not acted on it yet.
    if (stored && (stored->swept_to != runs_.at(id).swept_to || caesura::is_ended(stored->status))) settle(id, stored->swept_to);
  }
}

void model::close_sweeps() {
  std::set<position> open;
  store_->each_sweep([&](const position& place, const storage::sweep_record&) {
    open.insert(place);
    return true;
  });
  for (std::size_t i = 0; i < sweeps_.size();) {
    const auto sweep = sweeps_[i];
    if (open.contains(sweep.place)) {
      ++i;
      continue;
    }
    const auto job = sweep.kind == sweep_kind::bulk ? store_->find_bulk(id_cast<bulk_id>(sweep.place)) : std::nullopt;
    const bool is_stopped = job && job->status == storage::bulk_status::stopped;
    if (!is_stopped) {
      std::vector<run_id> ids;
      for (const auto& [id, run] : runs_) {
        if (!run.is_ended) ids.push_back(id);
      }
      // Whoever it hit has been settled; that it missed nobody shows in the comparison.
      for (const auto& id : ids) {
        auto& run = run_at(id);
        // A run in between has ended with a job of its own for what is below it.
        const auto is_left_to = [&](const model_sweep& other) {
          return other.kind == sweep_kind::tree && open.contains(other.place) && descends(run, other);
        };
        if (sweep.kind == sweep_kind::tree && std::ranges::any_of(sweeps_, is_left_to)) continue;
        if (!run.is_ended && run.asked < sweep.place && id_cast<position>(id) < sweep.place) act(run, sweep);
      }
    }
    std::erase_if(sweeps_, [&](const auto& s) { return s.place == sweep.place; });
    i = 0;
  }
}

// ---- the store

void model::adopt() {
  std::vector<run_id> overdue;
  for (const auto& [id, run] : runs_) {
    if (!run.is_ended && run.deadline) overdue.push_back(id);
  }
  // Who was first is the store's word, too: one that has been told of another's end was behind it.
  const auto has_all_rows = [&](const run_id& id) {
    const auto stored = store_->find_run(id);
    return !stored || stored->step_count == run_at(id).rows.size();
  };
  for (bool is_one_ended = true; std::exchange(is_one_ended, false);) {
    for (const auto& id : overdue) {
      if (has_all_rows(id) && ends_overdue(run_at(id))) is_one_ended = true;
    }
  }
  for (const auto& id : overdue) (void)ends_overdue(run_at(id));
  std::vector<run_id> started;
  std::vector<run_id> passed_over;
  for (const auto& [id, known] : runs_) {
    if (known.is_ended) continue;
    const auto stored = store_->find_run(id);
    if (!stored) fail(text(id) + " is not stored");
    const bool waits = known.status == run_status::queued && stored->status == run_status::queued && !stored->started_at;
    if (waits && !touched_.contains(id)) passed_over.push_back(id);
    const bool has_started = !known.started_at && stored->started_at;
    if (known.status == stored->status && known.swept_to == stored->swept_to && !has_started) continue;
    const bool goes_on = stored->status == run_status::running && known.status != run_status::running;
    require(!goes_on || !is_overlooked(known) || known.cancelled_by, text(id) + " goes on although its time is over");
    auto& run = run_at(id);
    run.status = stored->status;
    run.swept_to = stored->swept_to;
    if (has_started) {
      require(*stored->started_at == now_, text(id) + " started at another time than now");
      run.started_at = now_;
      run.behind = id_cast<event_id>(stored->recorded_at);  // where in the command it started is the store's word
      started.push_back(id);
      take_turn(run);
      const auto& limit = function_of(run).finish_timeout;
      run.deadline = limit ? std::optional{now_ + *limit} : std::nullopt;
    }
  }
  for (const auto& id : started) check_priority(id, passed_over);
}

void model::compare() {
  std::size_t live = 0;
  for (const auto& [id, run] : runs_) {
    if (!run.is_ended) ++live;
    if (run.is_seen_ended) continue;
    const auto stored = store_->find_run(id);
    if (!stored) fail(text(id) + " is not stored");
    compare(run, *stored);
    if (stored->step_count != run.rows.size()) {
      fail(text(id) + " has recorded " + std::to_string(stored->step_count) + " steps; " + std::to_string(run.rows.size()) + " are due");
    }
    if (run.compared_rows != run.rows.size()) {
      compare_rows(run);
      run_at(id).compared_rows = run.rows.size();
    }
    if (run.is_ended) run_at(id).is_seen_ended = true;
  }
  require(live == store_->live_count(), "the store has " + std::to_string(store_->live_count()) + " live runs; " + std::to_string(live) + " are due");
  const auto waiting = store_->outbox_count();
  require(waiting == outbox_.size(),
          "the outbox holds " + std::to_string(waiting) + " decisions; " + std::to_string(outbox_.size()) + " are due");
  for (const auto& [function, pause] : paused_) {
    const auto stored = store_->find_function_state(function);
    require(stored && stored->is_paused && stored->mode == pause.mode, "function " + function + " is not paused as asked");
    require(stored->skipped == pause.skipped, "function " + function + " has skipped " + std::to_string(stored->skipped) + " runs; " +
                                                  std::to_string(pause.skipped) + " are due");
  }
  compare_limits();
  compare_rates();
}

void model::compare(const model_run& run, const storage::run_record& stored) const {
  const auto name = text(run.id) + " of " + function_of(run).id;
  require(caesura::is_ended(stored.status) == run.is_ended,
          name + " is " + std::string{to_string(stored.status)} + " and must be " + (run.is_ended ? std::string{to_string(run.status)} : "under way"));
  require(stored.status == run.status, name + " ended " + std::string{to_string(stored.status)} + " and must be " + std::string{to_string(run.status)});
  require(stored.events == run.events, name + " has other events than those that came for it");
  require(stored.event == run.event && stored.parent == run.parent && stored.replay_of == run.replay_of && stored.root == run.root,
          name + " has another origin");
  require(stored.cancelled_by.has_value() == run.cancelled_by.has_value(),
          name + (run.cancelled_by ? " must be cancelled, and no cancel is recorded" : " has a cancel on record that nobody asked for"));
  if (run.cancelled_by) {
    const auto& by = *run.cancelled_by;
    const auto& recorded = *stored.cancelled_by;
    require(recorded.source == by.source && recorded.event == by.event && recorded.rule == by.rule && recorded.bulk == by.bulk &&
                recorded.parent == by.parent && recorded.by == by.by,
            name + " was cancelled by " + std::string{to_string(by.source)} + ", and the record says " + std::string{to_string(recorded.source)});
  }
  if (run.is_ended) return;
  require((stored.status == run_status::scheduled) == run.due.has_value(), name + (run.due ? " starts before it is due" : " goes on collecting events"));
  require(!run.due || stored.due == run.due, name + " is due at another time");
  require(stored.interruptions == run.interruptions, name + " has " + std::to_string(stored.interruptions) + " interruptions on record; " +
                                                         std::to_string(run.interruptions) + " are due");
  require(stored.deadline == run.deadline, name + " has another deadline");
  require(stored.pending.size() == run.pending.size(), name + " waits for " + std::to_string(stored.pending.size()) + " operations; " +
                                                           std::to_string(run.pending.size()) + " are due");
  bool sleeps = false;
  bool waits = false;
  for (std::size_t i = 0; i < run.pending.size(); ++i) {
    const auto& a = stored.pending[i];
    const auto& b = run.pending[i];
    require(a.step == b.step && a.kind == b.kind && a.due == b.due && a.child == b.child && a.failed_attempts == b.failed_attempts,
            name + ": operation " + a.step + " is recorded in another state than is due");
    sleeps = sleeps || b.kind == step_kind::sleep;
    waits = waits || b.kind == step_kind::wait_for_event || b.kind == step_kind::invoke;
  }
  if (is_rest(stored.status)) require(!run.pending.empty(), name + " rests, and nothing will ever wake it");
  if (stored.status == run_status::sleeping) require(sleeps && !waits, name + " sleeps, and it has nothing to sleep for");
  if (stored.status == run_status::waiting) require(waits, name + " waits for nothing");
  require(stored.status != run_status::held || is_held(run), name + " is held, and nothing holds it");
}

bool model::is_held(const model_run& run) const {
  const auto& function = function_of(run).id;
  if (const auto pause = paused_.find(function); pause != paused_.end() && pause->second.mode != running_runs::let_finish) return true;
  bool is_being_resumed = false;
  store_->each_sweep([&](const position&, const storage::sweep_record& record) {
    is_being_resumed = is_being_resumed || (record.kind == sweep_kind::resume && record.function == function);
    return true;
  });
  return is_being_resumed;
}

void model::compare_rows(const model_run& run) const {
  const auto rows = store_->steps_of(run.id);
  require(rows.size() == run.rows.size(), text(run.id) + " has " + std::to_string(rows.size()) + " rows; " + std::to_string(run.rows.size()) + " are due");
  for (auto i = run.compared_rows; i < rows.size(); ++i) {
    const auto& is = rows[i];
    const auto& due = run.rows[i];
    require(is.id == due.id && is.kind == due.kind && is.error.has_value() == due.error.has_value(),
            text(run.id) + ": row " + std::to_string(i) + " is " + is.id + "; due is " + due.id);
    if (is.kind != step_kind::wait_for_event) continue;
    require(is.result.is_null() == due.result.is_null() && (is.result.is_null() || is.result.json()["id"] == due.result.json()["id"]),
            text(run.id) + ": wait " + is.id + " was resumed by another event");
  }
}

void model::compare_limits() const {
  std::map<flow_place, int> alone;
  for (const auto& [id, run] : runs_) {
    const auto& fn = function_of(run);
    if (!fn.singleton || run.is_ended || !run.started_at) continue;
    const auto key = key_of(fn.singleton->key, run.data);
    require(!key || ++alone[{run.function, *key}] == 1, "two runs of singleton " + fn.id + " are under way");
  }
  std::map<std::pair<std::string, std::string>, std::uint32_t> used;
  auto shared = UINT32_MAX;
  for (const auto& fn : *functions_) shared = fn.is_shared ? std::min(shared, fn.limit) : shared;
  for (const auto& [id, run] : runs_) {
    const auto& fn = function_of(run);
    if (fn.limit == 0 || run.is_ended) continue;
    const bool holds = fn.counts_resting ? run.started_at.has_value() : run.status == run_status::running;
    if (!holds) continue;
    const auto count = ++used[{fn.is_shared ? "" : fn.id, fn.limit_by_key ? key_in(run.data) : ""}];
    const auto limit = fn.is_shared ? shared : fn.limit;
    require(count <= limit, "more runs of " + fn.id + " execute at once than the limit of " + std::to_string(limit));
  }
}

// What recovery did with the runs that were live; looked at with the first command, because the store says which trees it slices.
void model::recover() {
  timers_behind_.reset();
  std::vector<run_id> unsettled;
  for (const auto& [id, run] : runs_) {
    if (!run.is_ended && (run.status == run_status::running || run.status == run_status::held)) unsettled.push_back(id);
  }
  for (const auto& id : unsettled) {
    settle(id);
    auto& run = run_at(id);
    if (run.is_ended) continue;
    if (run.status == run_status::running) {
      if (run.cancelled_by) {
        end(run, run_status::cancelled);
        continue;
      }
      if (++run.interruptions > interruption_limit_ + 3) {
        end(run, run_status::failed);
        continue;
      }
    }
    // Held before anything else happens: the timers that are due by now pass it over.
    const bool is_held = is_held_by_pause(run);
    run.status = is_held ? run_status::held : run_status::queued;
    if (run.is_undecided && !is_held) decide(run);
  }
}

void model::check_step_may_start(const run_id& id, const std::string& step) const {
  const auto* run = find(id);
  require(run != nullptr, "a step of " + text(id) + " starts, and the run is not durable");
  const auto name = text(id) + ": step " + step + " starts";
  require(!run->is_ended, name + " after the run has ended " + std::string{to_string(run->status)});
  require(!run->cancelled_by, name + " after its cancel was recorded");
  for (const auto& row : run->rows) require(row.id != step, name + " although its result is recorded");
  const auto stands_in = [&](const progress& at) {
    return std::ranges::any_of(at.pending, [&](const auto& p) { return p.first == step && p.second.kind == step_kind::run; });
  };
  bool is_due = stands_in(progress_of(run->what, run->rows));
  // A loser of an `any` may start until its actor has heard of the winner.
  for (auto known = run->rows; !is_due && !known.empty();) {
    known.pop_back();
    const auto earlier = progress_of(run->what, known);
    is_due = earlier.is_any && stands_in(earlier);
  }
  require(is_due, name + " before the record ahead of it is durable");
  if (const auto* retry = run->find_pending(step)) require(!retry->due || *retry->due <= now_, name + " before its retry is due");
  require(!is_held_by_pause(*run), name + " although its function is paused");
}

void model::check_at_the_end(const storage::snapshot& store) const {
  for (const auto& [id, run] : runs_) {
    require(run.is_ended, text(id) + " of " + function_of(run).id + " never ended: it is " + std::string{to_string(run.status)});
  }
  require(outbox_.empty() && store.outbox_count() == 0, "a decision on a system event was never carried out");
  require(sweeps_.empty(), "a job over many runs was never done");
  std::map<std::pair<run_id, std::string>, int> told;
  for (const auto& [id, event] : events_) {
    if (event.name == cancelled || event.name == failed) ++told[{id_in(event.data), event.name}];
  }
  for (const auto& [id, run] : runs_) {
    const auto count = [&, id = id](const std::string& name) {
      const auto found = told.find({id, name});
      return found == told.end() ? 0 : found->second;
    };
    require(count(cancelled) == (run.status == run_status::cancelled ? 1 : 0), text(id) + " was told as cancelled " + std::to_string(count(cancelled)) + " times");
    require(count(failed) == (run.status == run_status::failed ? 1 : 0), text(id) + " was told as failed " + std::to_string(count(failed)) + " times");
  }
}

}  // namespace caesura::simulation
