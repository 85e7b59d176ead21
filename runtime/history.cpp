// Timelines and explanations, made from what is recorded anyway: nothing is written for them.

#include <algorithm>
#include <utility>

#include <caesura/runtime.hpp>

#include "actors/router_state.hpp"
#include "actors/transitions/transitions.hpp"
#include "runtime/query.hpp"
#include "runtime/runtime_state.hpp"

namespace caesura {

std::string_view to_string(moment what) noexcept {
  switch (what) {
    case moment::created: return "created";
    case moment::scheduled: return "scheduled";
    case moment::queued: return "queued";
    case moment::skipped: return "skipped";
    case moment::started: return "started";
    case moment::kept: return "kept";
    case moment::attempt_failed: return "attempt_failed";
    case moment::step_completed: return "step_completed";
    case moment::step_failed: return "step_failed";
    case moment::slept: return "slept";
    case moment::event_arrived: return "event_arrived";
    case moment::wait_timed_out: return "wait_timed_out";
    case moment::event_sent: return "event_sent";
    case moment::child_ended: return "child_ended";
    case moment::under_way: return "under_way";
    case moment::cancel_requested: return "cancel_requested";
    case moment::ended: return "ended";
  }
  return "unknown";
}

namespace {

std::string quoted(const std::string& text) { return '"' + text + '"'; }
// What a wait is for.
std::string awaited(const std::string& event) {
  return is_signal_event(event) ? "signal " + quoted(std::string{signal_of(event)}) : "event " + quoted(event);
}
bool is_taken_over(const storage::pending_record& wait) {
  return is_signal_event(wait.event) && wait.key.how == storage::listener_key::mode::never;
}
// For people, who do not know the hashes that some ids are.
std::string shown(const std::string& id, const std::string& name) { return quoted(name.empty() ? id : name); }
std::string shown(const storage::step_record& row) { return shown(row.id, row.name); }
std::string shown(const storage::pending_record& pending) { return shown(pending.step, pending.name); }
std::string rule_of(const std::string& event, const std::string& step) { return (is_signal_event(event) ? "wait_for_signal " : "wait_for_event ") + step; }
// How a wait ended that took so long.
std::string arrival(const storage::step_record& row, const std::string& took) {
  if (row.error) return ": could not wait";
  if (row.result.is_null()) return ": nothing came within " + took;
  const auto json = row.result.json();
  const auto event = json.value("name", std::string{});
  return (is_signal_event(event) ? ": " + awaited(event) : ": event " + json.value("id", std::string{})) + " arrived after " + took;
}
std::string text_of(const recorded_error& error) { return error.name + ": " + error.message; }

// Writes the timeline of one run.
class chronicle {
 public:
  chronicle(const storage::run_record& run, std::string function) : run_{run}, function_{std::move(function)} {}

  void birth(const std::optional<storage::event_record>& trigger) {
    std::string how = "run of " + quoted(function_) + " created by event ";
    how += trigger ? quoted(trigger->name) + " (" + actors::public_id(*trigger) + ")" : to_string(run_.event) + " (purged)";
    if (!run_.parent.is_nil()) how = "run of " + quoted(function_) + " invoked by run " + to_string(run_.parent);
    if (!run_.replay_of.is_nil()) how += ", as a replay of run " + to_string(run_.replay_of);
    add({.at = run_.created_at, .what = moment::created, .text = std::move(how)});
    if (run_.status == run_status::skipped) {
      add({.at = run_.created_at, .what = moment::skipped, .text = "never started: " + run_.held_because});
      return;
    }
    const auto due = trigger ? trigger->time : run_.created_at;
    if (due > run_.created_at) add({.at = run_.created_at, .what = moment::scheduled, .text = "starts at " + to_string(due)});
    const auto could_start = std::max(run_.created_at, due);
    if (run_.started_at && *run_.started_at > could_start) {
      add({.at = *run_.started_at, .what = moment::queued, .since = could_start,
           .text = "waited " + to_string(*run_.started_at - could_start) + " for a slot"});
    }
    if (run_.started_at) add({.at = *run_.started_at, .what = moment::started, .text = "started"});
  }

  void step(const storage::step_record& row, bool is_kept) {
    if (is_kept) {
      add({.at = run_.created_at, .what = moment::kept, .step = row.id, .text = "step " + shown(row) + ": result kept from the run before"});
      return;
    }
    attempts(row.id, shown(row), row.failures);
    timeline_entry entry{.at = row.ended_at, .step = row.id, .since = row.started_at};
    const auto took = to_string(row.ended_at - row.started_at);
    switch (row.kind) {
      case step_kind::run:
        entry.what = row.error ? moment::step_failed : moment::step_completed;
        entry.attempt = row.attempts;
        entry.text = "step " + shown(row) + (row.error ? " failed for good at attempt " : " completed at attempt ") +
                     std::to_string(row.attempts) + " after " + took;
        break;
      case step_kind::sleep:
        entry.what = moment::slept;
        entry.text = shown(row) + ": slept " + took;
        break;
      case step_kind::wait_for_event:
        entry.what = row.result.is_null() ? moment::wait_timed_out : moment::event_arrived;
        entry.text = shown(row) + arrival(row, took);
        break;
      case step_kind::send_event:
        entry.what = moment::event_sent;
        entry.text = shown(row) + ": sent an event";
        break;
      case step_kind::invoke:
        entry.what = moment::child_ended;
        entry.text = shown(row) + ": run " + to_string(row.child) + " ended after " + took;
        break;
    }
    if (row.error) entry.text += ": " + text_of(*row.error);
    add(std::move(entry));
  }

  void present(time_point now) {
    for (const auto& p : run_.pending) {
      attempts(p.step, shown(p), p.failures);
      std::string text = shown(p);
      switch (p.kind) {
        case step_kind::run: text += p.due ? ": is tried again at " + to_string(*p.due) : ": is tried again"; break;
        case step_kind::sleep: text += ": sleeps until " + to_string(p.due.value_or(now)); break;
        case step_kind::wait_for_event:
          text += ": waits for " + awaited(p.event) + (p.when.empty() ? "" : " when " + p.when) +
                  (p.due ? " until " + to_string(*p.due) : "") + (is_taken_over(p) ? ", which another run has taken over" : "");
          break;
        case step_kind::invoke: text += ": waits for run " + to_string(p.child) + " of " + quoted(p.event); break;
        case step_kind::send_event: break;
      }
      add({.at = p.started_at, .what = moment::under_way, .step = p.step, .text = std::move(text)});
    }
    if (run_.status == run_status::held) add({.at = now, .what = moment::under_way, .text = "held: " + run_.held_because});
  }

  void end() {
    if (const auto& c = run_.cancelled_by) {
      std::string text = "cancel requested by " + std::string{to_string(c->source)};
      if (!c->by.empty()) text += " (" + c->by + ")";
      if (c->source == cancel_source::event) text += ", event " + to_string(c->event) + ", cancel_on[" + std::to_string(c->rule) + "]";
      if (!c->bulk.is_nil()) text += ", bulk job " + to_string(c->bulk);
      if (!c->parent.is_nil()) text += ", run " + to_string(c->parent);
      if (!c->reason.empty()) text += ": " + c->reason;
      add({.at = c->requested_at, .what = moment::cancel_requested, .text = std::move(text)});
    }
    if (!run_.ended_at || run_.status == run_status::skipped) return;
    std::string text = "ended " + std::string{to_string(run_.status)};
    if (run_.status == run_status::failed && run_.error) text += ": " + text_of(*run_.error);
    add({.at = *run_.ended_at, .what = moment::ended, .text = std::move(text)});
  }

  std::vector<timeline_entry> take() {
    std::ranges::stable_sort(entries_, {}, [](const timeline_entry& e) { return std::pair{e.at, e.what == moment::ended}; });
    return std::move(entries_);
  }

 private:
  void attempts(const std::string& step, const std::string& shown, const std::vector<attempt_failure>& failures) {
    for (std::size_t i = 0; i < failures.size(); ++i) {
      const auto& f = failures[i];
      add({.at = f.ended_at,
           .what = moment::attempt_failed,
           .step = step,
           .attempt = static_cast<std::uint32_t>(i + 1),
           .since = f.started_at,
           .text = "step " + shown + " failed at attempt " + std::to_string(i + 1) + " after " + to_string(f.ended_at - f.started_at) +
                   ": " + text_of(f.error)});
    }
  }
  void add(timeline_entry entry) { entries_.push_back(std::move(entry)); }

  const storage::run_record& run_;
  const std::string function_;
  std::vector<timeline_entry> entries_;
};

// Says how the rules of one run relate to one event.
class inquiry {
 public:
  inquiry(const storage::run_record& run, const storage::definition_record& definition, const storage::event_record& trigger,
          const storage::event_record& incoming)
      : run_{run}, definition_{definition}, incoming_{incoming}, trigger_scope_{trigger}, incoming_scope_{incoming} {}

  explanation explain(const std::vector<storage::step_record>& rows) {
    for (std::size_t i = 0; i < definition_.cancel_on.size(); ++i) cancel_rule(i);
    for (const auto& p : run_.pending) {
      if (p.kind == step_kind::wait_for_event) pending_wait(p);
    }
    for (const auto& row : rows) {
      if (row.kind == step_kind::wait_for_event) recorded_wait(row);
    }
    conclude();
    return std::move(result_);
  }

 private:
  [[nodiscard]] bool is_earlier() const { return id_cast<position>(incoming_.id) < id_cast<position>(run_.id); }

  void check_when(explained_rule& rule, const std::string& when) {
    rule.when = when;
    if (when.empty()) {
      rule.applies = true;
      rule.why = "every event of this name";
      return;
    }
    auto parsed = expression::compiled::parse(when, expression::roots::event_and_async);
    if (const auto* fault = std::get_if<expression::fault>(&parsed)) {
      rule.why = "the expression does not parse: " + fault->text;
      return;
    }
    const auto& compiled = std::get<expression::compiled>(parsed);
    for (auto& seen : compiled.values(*trigger_scope_, &*incoming_scope_)) rule.values.emplace_back(std::move(seen.path), std::move(seen.value));
    const auto verdict = compiled.matches(*trigger_scope_, &*incoming_scope_);
    rule.applies = verdict.matches;
    rule.why = verdict.matches ? "the expression is true" : verdict.error ? "the expression fails: " + *verdict.error : "the expression is false";
    const bool lacks_both = !verdict.matches && !verdict.error && rule.values.size() > 1 &&
                            std::ranges::all_of(rule.values, [](const auto& v) { return v.second == "missing"; });
    if (lacks_both) rule.why += ": what both events lack is no match";
  }

  void cancel_rule(std::size_t i) {
    const auto& stored = definition_.cancel_on[i];
    explained_rule rule{.rule = "cancel_on[" + std::to_string(i) + "]", .event = stored.event, .when = stored.when};
    if (stored.event != incoming_.name) {
      rule.why = "it listens for " + quoted(stored.event) + ", the event is " + quoted(incoming_.name);
    } else {
      check_when(rule, stored.when);
      if (rule.applies && stored.until && incoming_.received_at > *stored.until) {
        rule.applies = false;
        rule.why += ", but the rule applied only until " + to_string(*stored.until);
      }
      if (rule.applies && stored.timeout && incoming_.received_at > actors::saturated(run_.created_at, *stored.timeout)) {
        rule.applies = false;
        rule.why += ", but the rule applied only for " + to_string(*stored.timeout) + " after the run's creation";
      }
      refuse_earlier(rule);
    }
    result_.rules.push_back(std::move(rule));
  }

  void refuse_earlier(explained_rule& rule) const {
    if (!rule.applies || !is_earlier()) return;
    rule.applies = false;
    rule.why += incoming_.id == run_.event ? ", but the event is what started the run" : ", but the event came before the run was created";
  }

  void pending_wait(const storage::pending_record& wait) {
    explained_rule rule{.rule = rule_of(wait.event, shown(wait)), .event = wait.event};
    if (wait.event != incoming_.name) {
      rule.why = "it waits for " + quoted(wait.event) + ", the event is " + quoted(incoming_.name);
    } else if (is_taken_over(wait)) {
      rule.why = "another run has taken the signal over";
    } else {
      check_when(rule, wait.when);
      if (rule.applies && id_cast<position>(incoming_.id) < wait.since) {
        rule.applies = false;
        rule.why += ", but the event came before the wait began; look_back() would see it";
      }
    }
    result_.rules.push_back(std::move(rule));
  }

  void recorded_wait(const storage::step_record& row) {
    if (row.result.is_null()) return;
    const auto json = row.result.json();
    const bool is_this = json.value("name", std::string{}) == incoming_.name && json.value("id", std::string{}) == actors::public_id(incoming_);
    if (is_this) result_.resumed = true;
    const auto event = json.value("name", std::string{});
    result_.rules.push_back({.rule = rule_of(event, shown(row)),
                             .event = event,
                             .applies = is_this,
                             .why = is_this ? "it got this event" : "it got event " + json.value("id", std::string{})});
  }

  void conclude() {
    const auto& by = run_.cancelled_by;
    result_.cancelled = by && by->source == cancel_source::event && by->event == incoming_.id;
    const bool applies = std::ranges::any_of(result_.rules, [](const auto& r) { return r.applies && r.rule.starts_with("cancel_on"); });
    const auto run = "run " + to_string(run_.id);
    if (result_.cancelled) {
      result_.conclusion = "the event cancelled " + run + " by cancel_on[" + std::to_string(by->rule) + "]";
    } else if (applies && by) {
      result_.conclusion = "the event would cancel " + run + ", which had been cancelled before by " + std::string{to_string(by->source)};
    } else if (applies && is_ended(run_.status)) {
      result_.conclusion = "the event would cancel " + run + ", which had ended " + std::string{to_string(run_.status)} + " before";
    } else if (applies) {
      result_.conclusion = "the event cancels " + run;
    } else if (result_.resumed) {
      result_.conclusion = "the event resumed " + run;
    } else {
      result_.conclusion = "the event did nothing to " + run + ": " + (result_.rules.empty() ? "it listens for nothing" : "no rule applies");
    }
  }

  const storage::run_record& run_;
  const storage::definition_record& definition_;
  const storage::event_record& incoming_;
  const actors::scope_of trigger_scope_;
  const actors::scope_of incoming_scope_;
  explanation result_;
};

}  // namespace

std::vector<timeline_entry> detail::timeline_of(const runtime_state& runtime, const run_id& id) {
  const auto snapshot = runtime.store().begin_read();
  const auto run = snapshot->find_run(id);
  if (!run) return {};
  chronicle told{*run, runtime.function_of(*snapshot, *run)};
  told.birth(snapshot->find_event(run->event));
  std::uint32_t sequence = 0;
  for (const auto& row : snapshot->steps_of(id)) told.step(row, sequence++ < run->kept_steps);
  told.present(runtime.now());
  told.end();
  return told.take();
}

explanation detail::explain(const runtime_state& runtime, const event_id& event, const run_id& id) {
  const auto snapshot = runtime.store().begin_read();
  const auto run = snapshot->find_run(id);
  if (!run) throw error{errc::unknown_run, "no run " + to_string(id) + " is stored"};
  const auto incoming = snapshot->find_event(event);
  if (!incoming) throw error{errc::unknown_event, "no event " + to_string(event) + " is stored"};
  const auto trigger = snapshot->find_event(run->event);
  const auto definition = snapshot->find_definition(run->definition);
  if (!trigger || !definition) throw error{errc::unknown_event, "the event of run " + to_string(id) + " is not stored any more"};
  return inquiry{*run, *definition, *trigger, *incoming}.explain(snapshot->steps_of(id));
}

std::vector<timeline_entry> runtime::timeline(const run_id& id) const {
  state_->check_caller("runtime.timeline");
  return detail::timeline_of(*state_, id);
}

explanation runtime::explain(const event_id& event, const run_id& id) const {
  state_->check_caller("runtime.explain");
  return detail::explain(*state_, event, id);
}

std::string to_string(const std::vector<timeline_entry>& timeline) {
  std::string text;
  for (const auto& entry : timeline) text += to_string(entry.at) + "  " + entry.text + "\n";
  return text;
}

std::string to_string(const explanation& explained) {
  std::string text = explained.conclusion + "\n";
  for (const auto& rule : explained.rules) {
    text += "  " + rule.rule + " on " + quoted(rule.event) + (rule.when.empty() ? "" : " when " + rule.when) + "\n    " + rule.why + "\n";
    for (const auto& [path, value] : rule.values) text += "    " + path + " = " + value + "\n";
  }
  return text;
}

}  // namespace caesura
