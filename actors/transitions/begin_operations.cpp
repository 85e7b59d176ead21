#include <algorithm>
#include <bitset>
#include <functional>
#include <utility>

#include "actors/planted_faults.hpp"
#include "actors/remote_frame.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

// What one suspension makes of a run: its pending operations and those that are finished at once.
class beginning {
 public:
  beginning(turn& now, const run_ptr& run, const advance_run& command)
      : now_{now}, before_{run}, after_{*run}, is_held_{is_held_by_pause(now.state, *run) && !is_planted(fault::pause_ignored)} {
    after_.pending.clear();
    after_.any_from = command.is_any ? std::optional{std::min(command.rows_seen, after_.step_count)} : std::nullopt;
    after_.goes_on_at_first = command.goes_on_at_first;
    for (const auto& request : command.operations) {
      const auto* kept = request.kind == step_kind::wait_for_event ? earlier(request) : nullptr;
      if (kept != nullptr) slots_.set(kept->slot);
    }
    if (after_.step_count > command.rows_seen) read_late_rows(command.operations);
    // What a loser of an earlier `any` recorded late decides nothing here.
    const auto is_late = [&](const operation_request& request) { return std::ranges::find(late_, request.step) != late_.end(); };
    if (after_.any_from && std::ranges::none_of(command.operations, is_late)) after_.any_from = after_.step_count;
  }

  // Another run waits for a signal that this one was to wait for, and is not to lose it.
  [[nodiscard]] bool is_refused() const { return conflict_.has_value(); }

  [[nodiscard]] bool is_decided(const storage::run_record& run) const { return run.any_from && run.step_count > *run.any_from; }

  // The code is to be asked again although others are pending: one is finished, and its row is on the way to the actor or goes there now.
  [[nodiscard]] bool goes_on(const storage::run_record& run) const { return run.goes_on_at_first && !(rows_.empty() && late_.empty()); }

  void begin(const operation_request& request) {
    if (is_refused()) return;  // the run fails
    if (is_decided(after_)) {  // another branch is first: what was invoked before is withdrawn with the rest
      if (const auto* before = earlier(request); before != nullptr && before->kind == step_kind::invoke) after_.pending.push_back(*before);
      return;
    }
    if (std::ranges::find(late_, request.step) != late_.end()) return;
    switch (request.kind) {
      case step_kind::run: keep_retry(request); return;
      case step_kind::sleep: begin_sleep(request); return;
      case step_kind::wait_for_event: begin_wait(request); return;
      case step_kind::invoke: begin_invoke(request); return;
      case step_kind::send_event:
        if (is_held_) return leave_out();
        sends_.push_back(&request);
        return;
    }
  }

  // Of several of which the first decides: the wait whose event came first is first, wherever it stands among them. Null: none has come.
  const operation_request* first_decided(const std::vector<operation_request>& requests) {
    std::optional<storage::event_record> trigger;
    for (const auto& request : requests) {
      if (request.kind != step_kind::wait_for_event || earlier(request) != nullptr || end_of(request) <= now_.now) continue;
      const auto from = looks_from(request);
      if (!from) continue;
      try {
        if (!trigger) trigger = find_trigger();
        const scope_of scope{*trigger};
        auto seen = look(request, *from, scope);
        if (!seen.found || (first_ != nullptr && first_seen_.found->id <= seen.found->id)) continue;  // one event for two: the first of them in their order
        first_ = &request;
        first_seen_ = std::move(seen);
      } catch (const error& e) {
        if (e.code() != errc::invalid_expression) throw;
      }
    }
    return first_;
  }

  // Nothing but rows that were finished before is kept of it.
  void end_refused() {
    after_.error = std::move(conflict_);
    end_run(now_, *before_, std::move(after_), run_status::failed);
  }

  // Stores what was begun, then takes signals over, invokes and sends: each may hit this very run. Null when the run ended over it.
  run_ptr store() {
    // As if it had been waiting: what came behind the event that it got is there for the next wait.
    if (!latest_found_.is_nil()) after_.recorded_at = std::max(before_->recorded_at, id_cast<position>(latest_found_));
    const auto losers = withdraw_losers(after_);  // that an earlier activation invoked; others are invoked below, if nothing is decided
    const bool is_over = is_decided(after_);
    // A step that is executed for the first time leaves nothing in the record: then it stands as it was just written, with the rows before.
    auto run = after_ == *before_ ? before_ : replace_run(now_, *before_, std::move(after_));
    if (!losers.empty()) {
      cancel_losers(now_, losers);
      run = settle_sweeps(now_, find_live(now_, before_->id));
    }
    if (is_over) return run;
    for (const auto& event : taken_over_) {
      run = take_over(event);
      if (run == nullptr || run->cancelled_by) return run;
    }
    if (!invokes_.empty()) {  // one record for all, which may be many
      auto after = *run;
      for (const auto* request : invokes_) invoke(after, *request);
      run = replace_run(now_, *run, std::move(after));
    }
    for (const auto* request : sends_) {
      if (is_decided(*run)) break;
      const auto row = send(*request);
      run = settle_sweeps(now_, find_live(now_, before_->id));  // the event may have begun one that means this run
      if (run == nullptr) return nullptr;
      auto after = *run;
      append_row(now_, after, row);
      rows_.push_back(row);
      const auto losers = withdraw_losers(after);
      run = replace_run(now_, *run, std::move(after));
      cancel_losers(now_, losers);
      run = find_live(now_, before_->id);
      if (run == nullptr) return nullptr;
    }
    return run;
  }

  [[nodiscard]] std::vector<step_info> take_rows() { return std::move(rows_); }

 private:
  struct look_back {
    std::optional<storage::event_record> found{};
    bool is_beyond{false};  // there were more than are looked at
  };

  // An operation was finished while the body was on its way to it, again or still: its row is on the way to the actor. It may stand anywhere, even
  // before rows that the actor knows.
  void read_late_rows(const std::vector<operation_request>& requests) {
    for (auto& row : now_.tx.steps_of(before_->id)) {
      if (std::ranges::find(requests, row.id, &operation_request::step) != requests.end()) late_.push_back(std::move(row.id));
    }
  }

  // The same operation, begun by an earlier activation: it keeps its due time and its place in the order.
  const storage::pending_record* earlier(const operation_request& request) const {
    const auto found = std::ranges::find_if(before_->pending, [&](const storage::pending_record& p) {
      if (p.kind == step_kind::invoke && request.kind == step_kind::invoke) return p.step == request.step && p.event == request.function;
      return p.kind == request.kind && p.step == request.step && p.event == request.event && p.when == request.when;
    });
    return found == before_->pending.end() ? nullptr : &*found;
  }

  void keep_retry(const operation_request& request) {
    if (is_planted(fault::retries_forgotten)) return;
    if (const auto* before = earlier(request)) {
      after_.pending.push_back(*before);
    } else if (request.is_planned) {
      after_.pending.push_back({.kind = step_kind::run, .step = request.step, .started_at = now_.now, .name = request.name});
    }
  }

  void begin_sleep(const operation_request& request) {
    if (const auto* before = earlier(request)) {
      after_.pending.push_back(*before);
      return;
    }
    const time_point due = request.until ? *request.until : saturated(now_.now, request.delay.value_or(duration{0}));
    if (due <= now_.now) {
      finish({.id = request.step, .kind = step_kind::sleep, .started_at = now_.now, .ended_at = now_.now, .name = request.name});
    } else if (due - now_.now > longest_wait) {
      fail(request, "the end of the sleep, " + to_string(due) + ", is more than 366 days away");
    } else {
      after_.pending.push_back({.kind = step_kind::sleep, .step = request.step, .started_at = now_.now, .due = due, .name = request.name});
    }
  }

  void begin_wait(const operation_request& request) {
    if (const auto* before = earlier(request)) {
      after_.pending.push_back(*before);
      return;
    }
    const auto due = end_of(request);
    if (due <= now_.now) {
      finish({.id = request.step, .kind = step_kind::wait_for_event, .started_at = now_.now, .ended_at = now_.now, .name = request.name});
      return;
    }
    try {
      register_wait(request, due);
    } catch (const error& e) {
      if (e.code() != errc::invalid_expression) throw;
      fail(request, e.what());
    }
  }

  time_point end_of(const operation_request& wait) const { return wait.until ? *wait.until : saturated(now_.now, wait.delay.value_or(longest_wait)); }

  void register_wait(const operation_request& request, time_point due) {
    const auto waits = slots_.count();
    if (waits >= now_.state.limits.waits_at_once) {
      fail(request, "the run waits for " + std::to_string(waits) + " events at once; that is the limit");
      return;
    }
    if (!may_listen(request)) return;
    const auto& rule = now_.state.wait_rule(request.when);
    const auto trigger = find_trigger();
    const scope_of scope{trigger};
    if (take_earlier_event(request, scope)) return;
    after_.pending.push_back({.kind = step_kind::wait_for_event,
                              .step = request.step,
                              .started_at = now_.now,
                              .due = due,
                              .event = request.event,
                              .when = request.when,
                              .key = key_of(rule, *scope),
                              .since = now_.next_id<position>(),
                              .slot = take_slot(),
                              .name = request.name});
  }

  storage::event_record find_trigger() const {
    auto trigger = now_.tx.find_event(before_->event);
    if (!trigger) throw error{errc::store_corrupt, "table events: the event of run " + to_string(before_->id) + " is not stored"};
    return std::move(*trigger);
  }

  // There is one, because slots are as many as waits may be.
  [[nodiscard]] std::uint8_t take_slot() {
    std::uint8_t slot = 0;
    while (slots_.test(slot)) ++slot;
    slots_.set(slot);
    return slot;
  }

  // False: the wait fails, or, when another run waits for the signal, the run.
  bool may_listen(const operation_request& request) {
    if (!is_signal_event(request.event)) return true;
    const std::string signal{signal_of(request.event)};
    if (!request.conflict) {
      fail(request, "wait_for_event: names that begin with \"" + std::string{signal_prefix} + "\" are reserved for signals");
      return false;
    }
    if (auto fault = fault_of_signal(signal, {}, now_.state.limits)) {
      fail(request, std::move(*fault));
      return false;
    }
    const auto other = find_signal_wait(now_, request.event, before_->id);
    if (other == nullptr) return true;
    switch (*request.conflict) {
      case signal_conflict::replace:
        if (!is_planted(fault::signal_shared)) taken_over_.push_back(request.event);
        return true;
      case signal_conflict::fail: break;
    }
    conflict_ = recorded_error{.name = signal_conflict_error,
                               .message = "Signal conflict; signal wait already exists for another run: run " + to_string(other->id) +
                                          " waits for signal \"" + signal + "\""};
    refuse(request, conflict_->name, conflict_->message);
    return false;
  }

  run_ptr take_over(const std::string& event) {
    if (const auto other = find_signal_wait(now_, event, before_->id)) lose_signal(now_, *other, event);
    return settle_sweeps(now_, find_live(now_, before_->id));  // the other may have been waiting for this run, too, and cancel it
  }

  void begin_invoke(const operation_request& request) {
    if (const auto* before = earlier(request)) {
      after_.pending.push_back(*before);
    } else if (is_held_) {
      leave_out();
    } else if (now_.state.functions->find(request.function) == nullptr) {
      refuse(request, invoke_error::unknown_function, "function \"" + request.function + "\" is not registered in this process");
    } else if (now_.state.pause_of(request.function) != nullptr) {
      refuse(request, invoke_error::paused, "function \"" + request.function + "\" is paused");
    } else if (before_->nesting >= now_.state.limits.nesting) {
      refuse(request, invoke_error::failed, "runs invoke runs " + std::to_string(now_.state.limits.nesting) + " deep; that is the limit");
    } else if (const auto bytes = request.data.bytes().size(); bytes > now_.state.limits.event_bytes) {
      refuse(request, invoke_error::failed, "the data for \"" + request.function + "\" has " + std::to_string(bytes) +
                                                " bytes; the limit is " + std::to_string(now_.state.limits.event_bytes));
    } else if (const auto fault = fault_of(event{.name = "invoked", .data = request.data.is_object() ? request.data : document{}, .user = request.user, .version = request.version}, now_.state.limits)) {
      refuse(request, invoke_error::failed, *fault);
    } else {
      invokes_.push_back(&request);
    }
  }

  // The next activation asks for it again; one of code elsewhere would wait for what was begun beside it, if it were not to call.
  void leave_out() {
    const auto* fn = now_.state.functions->find(now_.state.definition_of(*before_).record.function);
    const auto is_call = [](const storage::pending_record& p) { return remote_frame::is_call(p.step); };
    if (fn == nullptr || !fn->code.remote || std::ranges::any_of(after_.pending, is_call)) return;
    after_.pending.push_back({.kind = step_kind::run, .step = remote_frame::call_id(after_.step_count), .started_at = now_.now});
  }

  // The child is born in the same transaction as the record that the parent waits for it.
  void invoke(storage::run_record& parent, const operation_request& request) {
    const auto& fn = *now_.state.functions->find(request.function);
    storage::event_record event{.id = now_.next_id<event_id>(),
                                .name = "inngest/function.invoked",
                                .data = request.data,
                                .time = now_.now,
                                .received_at = now_.now,
                                .depth = parent.depth,
                                .user = request.user,
                                .version = request.version};
    const auto child = create_run(now_, fn, event,
                                  {.parent = parent.id,
                                   .on_parent_cancel = request.on_parent_cancel,
                                   .nesting = static_cast<std::uint8_t>(parent.nesting + 1)});
    event.runs.push_back(child);
    now_.tx.put_event(event);
    now_.tx.put_child(parent.id, child);
    parent.has_children = true;
    parent.pending.push_back({.kind = step_kind::invoke,
                             .step = request.step,
                             .started_at = now_.now,
                             .due = request.delay ? std::optional{saturated(now_.now, *request.delay)} : request.until,
                             .event = request.function,
                             .child = child,
                             .name = request.name});
  }

  // The event behind which the wait gets those that have come already. A wait looks back to the record of the step before it: between a sleep, another wait or a
  // child that has ended, and the body's coming to this wait, the run may have stood in a queue or been held. nullopt: nothing has come since then.
  std::optional<event_id> looks_from(const operation_request& request) const {
    const auto used = std::ranges::find(before_->consumed, request.event, &storage::consumed_record::event);
    const auto consumed = used == before_->consumed.end() ? event_id{} : used->last;
    if (!request.look_back) {
      if (is_signal_event(request.event) || before_->recorded_at.is_nil()) return std::nullopt;
      const auto from = std::max(id_cast<event_id>(before_->recorded_at), consumed);
      return now_.state.last_event > from ? std::optional{from} : std::nullopt;
    }
    if (!consumed.is_nil()) return consumed;
    const auto from = std::max(id_cast<event_id>(before_->id), before_->event);  // ids share one order: this is right after the triggering event
    return before_->events.empty() ? from : std::max(from, before_->events.back());
  }

  look_back look(const operation_request& request, const event_id& from, const scope_of& trigger) {
    look_back seen;
    const auto& rule = now_.state.wait_rule(request.when);
    const auto limit = events_looked_at(request, rule);
    const auto is_meant = [&](const storage::event_record& record) {
      const scope_of incoming{record};
      return rule.is_always_true() || rule.matches(*trigger, &*incoming).matches;
    };
    if (const auto& conjunct = rule.conjunct()) {
      look_up(request, *conjunct, key_of(rule, *trigger), from, [&](const storage::event_record& record) {
        if (is_meant(record)) seen.found = record;
        return !seen.found;
      }, seen.is_beyond);
      return seen;
    }
    std::size_t looked_at = 0;
    now_.tx.each_event_named(request.event, from, [&](const storage::event_record& record) {
      if (record.id <= from) return true;
      seen.is_beyond = ++looked_at > limit;
      if (seen.is_beyond) return false;
      if (is_meant(record)) seen.found = record;
      return !seen.found;
    }, now_.tell_damage());
    return seen;
  }

  // What cannot be looked up is evaluated for each event, by each of the runs that go on at once: without being asked to, for fewer.
  std::size_t events_looked_at(const operation_request& request, const expression::compiled& rule) const {
    constexpr std::size_t fewer = 10;
    const auto limit = now_.state.limits.look_back_events;
    return request.look_back || rule.conjunct() || rule.is_always_true() ? limit : limit / fewer;
  }

  // Visits the events behind `from` of which the rule's comparison holds, until the visitor has enough.
  void look_up(const operation_request& request, const expression::index_conjunct& path, const storage::listener_key& key, const event_id& from,
               const std::function<bool(const storage::event_record&)>& visit, bool& is_beyond) {
    if (key.how != storage::listener_key::mode::hashed) return;  // it compares with what the run's own event lacks
    const auto limit = now_.state.limits.look_back_events;
    auto& passed = now_.state.passed;
    const auto read = [&](const event_id& behind, const std::function<bool(const storage::event_record&)>& take) {
      now_.state.undo.add([&passed] { passed.forget(); });
      now_.tx.each_event_named(request.event, behind, take, now_.tell_damage());
    };
    const auto events = passed.behind(request.event, path, from, limit, read);
    is_beyond = events.size() > limit;
    for (const auto& one : events.first(std::min(events.size(), limit))) {
      if (one.hash != key.hash) continue;
      const auto record = read_sound(now_, [&] { return now_.tx.find_event(one.id); }, std::nullopt);
      if (record && !visit(*record)) {
        is_beyond = false;
        return;
      }
    }
  }

  // Gives the wait an event that came before it. True when it is finished by that, or fails.
  bool take_earlier_event(const operation_request& request, const scope_of& trigger) {
    const auto from = looks_from(request);
    if (!from) return false;
    const auto kept_from = now_.state.purge.events_kept_from;
    const auto purged = *from < kept_from ? std::optional{"would read events from " + to_string(time_of(*from)) + " on, and those before " + to_string(time_of(kept_from)) + " have been purged"}
                                          : std::nullopt;
    if (purged && request.look_back) {
      fail(request, "look_back " + *purged);
      return true;
    }
    const auto seen = &request == first_ ? std::move(first_seen_) : look(request, *from, trigger);
    if (seen.found) {
      consume(after_, *seen.found);
      finish({.id = request.step,
              .kind = step_kind::wait_for_event,
              .result = wait_result(*seen.found),
              .started_at = now_.now,
              .ended_at = now_.now,
              .name = request.name});
      if (!request.look_back) latest_found_ = std::max(latest_found_, seen.found->id);
      return true;
    }
    const auto text = std::to_string(events_looked_at(request, now_.state.wait_rule(request.when))) + " events named \"" + request.event + "\"";
    if (seen.is_beyond && request.look_back) {
      fail(request, "look_back would read more than " + text);
      return true;
    }
    // Whoever could not go on for so long waits for what is to come.
    if (purged) now_.say("run " + text_of(before_->id) + ", wait \"" + request.step + "\" " + *purged, before_->id);
    if (seen.is_beyond) {
      now_.say("run " + text_of(before_->id) + ", wait \"" + request.step + "\" has looked at " + text + ", and more have come since the step before, while the run could not go on", before_->id);
    }
    return false;
  }

  storage::step_record send(const operation_request& request) {
    storage::step_record row{.id = request.step, .kind = step_kind::send_event, .started_at = now_.now, .ended_at = now_.now};
    if (auto fault = fault_of(*request.to_send, now_.state.limits)) {
      row.error = storable({.name = "caesura::error", .message = std::move(*fault)});
      return row;
    }
    try {
      row.result = document(to_string(accept_event(now_, *request.to_send, 0).id));
    } catch (const error& e) {
      if (e.code() != errc::duplicate_id) throw;
      row.error = recorded_error{.name = "caesura::error", .message = e.what()};
    }
    return row;
  }

  void finish(const storage::step_record& row) {
    append_row(now_, after_, row);
    rows_.push_back(row);
  }

  void fail(const operation_request& request, std::string why) { refuse(request, "caesura::error", std::move(why)); }

  void refuse(const operation_request& request, std::string_view name, std::string why) {
    finish({.id = request.step,
            .kind = request.kind,
            .error = storable({.name = std::string{name}, .message = std::move(why)}),
            .started_at = now_.now,
            .ended_at = now_.now,
            .name = request.name});
  }

  turn& now_;
  run_ptr before_;
  storage::run_record after_;
  bool is_held_;                   // nothing is sent or invoked: the next activation asks for it again
  std::bitset<256> slots_;         // of the waits that go on and of those begun here: each has its own
  std::vector<std::string> late_;  // steps that are recorded, and the body did not know it
  std::optional<recorded_error> conflict_;
  std::vector<std::string> taken_over_;  // signals for which another run waits
  std::vector<const operation_request*> invokes_;
  std::vector<const operation_request*> sends_;
  std::vector<step_info> rows_;
  const operation_request* first_{nullptr};  // of an `any`: what first_decided has found
  look_back first_seen_;
  event_id latest_found_{};  // of those that a wait was given although they came before it
};

// Open sweeps act on whoever waits for the signals that the run is about to wait for, and through these maybe on the run. Returns it as it is afterwards.
run_ptr settle_signals(turn& now, const run_ptr& run, const advance_run& command) {
  bool has_signals = false;
  for (const auto& request : command.operations) {
    if (!request.conflict) continue;
    has_signals = true;
    settle_signal_waits(now, request.event, run->id);
  }
  return has_signals ? settle_sweeps(now, find_live(now, run->id)) : run;
}

// What the suspension will at least record: a call that asks leaves nothing, a race one row, which it has once such a call is made beside it, and rows that the
// body did not know may be some of these.
std::size_t rows_to_come(const storage::run_record& run, const advance_run& command) {
  const auto unknown = run.step_count - std::min(command.rows_seen, run.step_count);
  const auto calls = static_cast<std::size_t>(std::ranges::count_if(command.operations, [](const auto& request) { return remote_frame::is_call(request.step); }));
  auto asked = command.operations.size() - calls;
  if (command.is_any || command.goes_on_at_first) asked = std::min<std::size_t>(asked, calls > 0 ? 0 : 1);
  return asked - std::min<std::size_t>(unknown, asked);
}

// Once nothing executes any more: what does is recorded first.
void fail_beyond_limit(turn& now, const run_ptr& run, recorded_error limit, const advance_run& command) {
  if (command.in_flight > 0) {
    now.out.emplace_back(order_run{.run = run->id, .activation = command.activation, .order = order_kind::leave});
    return;
  }
  auto after = *run;
  after.error = std::move(limit);
  end_run(now, *run, std::move(after), run_status::failed);
}

// Nothing further starts. The run is as `after` says, at once or, while something executes, once the actor has told what came of it.
void leave(turn& now, const run_ptr& run, storage::run_record after, const advance_run& command) {
  const auto activation = now.state.live.find(run->id)->activation;
  const bool is_left_busy = is_busy(*run, command);
  now.out.emplace_back(order_run{.run = run->id, .activation = activation, .order = is_left_busy ? order_kind::leave : order_kind::end});
  if (is_left_busy) return;
  drop_actor(now, run->id);
  replace_run(now, *run, std::move(after));
}

// The process is stopping: no step starts. The run is queued for the next start.
void leave_for_next_start(turn& now, const run_ptr& run, const advance_run& command) {
  auto after = *run;
  after.status = run_status::queued;
  leave(now, run, std::move(after), command);
}

// The function is paused: the waits and sleeps that were begun are kept, nothing further starts until it is resumed.
void hold_here(turn& now, const run_ptr& run, const advance_run& command) {
  auto after = *run;
  mark_paused(now.state, after);
  leave(now, run, std::move(after), command);
}

// A cancel came in this very command. What executes still is recorded first: the actor has been told.
void honour_cancel(turn& now, const run_ptr& run, const advance_run& command) {
  if (!is_busy(*run, command)) end_run(now, *run, *run, run_status::cancelled);
}

}  // namespace

void begin_operations(turn& now, run_ptr run, const advance_run& command) {
  run = settle_signals(now, run, command);
  if (run == nullptr) return;
  if (run->cancelled_by) {
    honour_cancel(now, run, command);
    return;
  }
  if (auto limit = over_limit(now.state, *run, rows_to_come(*run, command), 0)) {
    fail_beyond_limit(now, run, std::move(*limit), command);
    return;
  }
  beginning begun{now, run, command};
  const auto* const first = command.is_any ? begun.first_decided(command.operations) : nullptr;
  if (first != nullptr) begun.begin(*first);
  for (const auto& request : command.operations) {
    if (&request != first) begun.begin(request);
  }
  if (begun.is_refused()) {
    begun.end_refused();
    return;
  }
  run = begun.store();
  if (run == nullptr) return;
  if (run->cancelled_by) {  // by an event that it sent itself, or by whose signal it took over
    honour_cancel(now, run, command);
    return;
  }
  if (auto limit = over_limit(now.state, *run, 0, 0)) {
    fail_beyond_limit(now, run, std::move(*limit), command);
    return;
  }
  if (is_held_by_pause(now.state, *run)) {
    hold_here(now, run, command);
    return;
  }
  const auto activation = command.activation;
  const bool is_decided = begun.is_decided(*run);
  const bool goes_on = is_decided || begun.goes_on(*run) || (command.jobs.empty() && run->pending.empty());
  if ((!command.jobs.empty() || goes_on) && now.state.is_stopping) {
    leave_for_next_start(now, run, command);
    return;
  }
  auto rows = begun.take_rows();
  if (!rows.empty()) now.out.emplace_back(resume_run{.run = run->id, .activation = activation, .rows = std::move(rows)});
  if (!command.jobs.empty() && !is_decided) {
    now.out.emplace_back(start_steps{command.jobs});
  } else if (!goes_on && !is_busy(*run, command)) {
    rest_run(now, *run, storage::run_record{*run});
  }
}

}  // namespace caesura::actors
