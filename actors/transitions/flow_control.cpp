#include "actors/transitions/flow_control.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "actors/planted_faults.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

using storage::flow_kind;

constexpr std::uint64_t batch_bytes_limit = 10 * 1024 * 1024;
constexpr std::int64_t priority_limit_seconds = 12 * 3600;

std::uint64_t flow_key(const registered_function& fn, flow_kind kind, std::uint64_t value) {
  return storage::hash_text(fn.code.id + '\0' + "flow/" + std::to_string(static_cast<int>(kind)) + '/' + std::to_string(value));
}

// The key under which an event counts; nullopt: its value is `false`, which exempts it. A key without a value is one of its own, shared.
std::optional<std::uint64_t> key_for(turn& now, const registered_function& fn, flow_kind kind, const expression::compiled& key,
                                     const storage::event_record& event, const char* what) {
  if (key.is_always_true()) return flow_key(fn, kind, 0);
  const scope_of scope{event};
  const auto value = key.value_of(*scope);
  if (!value) {
    now.say("function \"" + fn.code.id + "\", " + what + " has no value for event " + to_string(event.id) + ": such events count together");
    return flow_key(fn, kind, 1);
  }
  const storage::document_view seen{value->bytes()};
  const bool may_exempt = kind == flow_kind::rate_limit || kind == flow_kind::singleton;
  if (may_exempt && seen.kind() == storage::value_kind::boolean && !seen.boolean()) return std::nullopt;
  return flow_key(fn, kind, storage::hash_value(seen));
}

// GCRA: how far the theoretical arrival time lies ahead says whether one more may come. In nanoseconds, because a period need not be a multiple of its limit.
struct gcra {
  using nanoseconds = std::chrono::nanoseconds;
  nanoseconds interval{};
  nanoseconds tolerance{};

  static gcra of(std::uint32_t limit, duration period, std::uint32_t more_at_once) {
    constexpr nanoseconds longest = days{36'500};
    const auto interval = std::max(nanoseconds{1}, nanoseconds{period} / std::max<std::uint32_t>(limit, 1));
    return {.interval = interval, .tolerance = interval * std::min<nanoseconds::rep>(more_at_once, longest / interval)};
  }
  // As far as one that was let through just now leaves it: no more may come.
  [[nodiscard]] nanoseconds most() const { return interval + tolerance; }
  // No further than one that was let through just now leaves it: what is stored beyond that was stored while the clock was ahead. Less than zero for what
  // has passed since the millisecond began in which it lies: the clock knows no less, and none of the rate is to be lost over it.
  [[nodiscard]] nanoseconds ahead(const std::optional<storage::flow_record>& record, time_point now) const {
    constexpr duration tick{1};
    if (!record || record->at < now - tick) return {};
    if (record->at < now) return record->beyond_ns > 0 ? nanoseconds{record->beyond_ns} - tick : nanoseconds{0};
    if (record->at - now > std::chrono::ceil<duration>(most())) return most();
    return std::min(most(), nanoseconds{record->at - now} + nanoseconds{record->beyond_ns});
  }
  [[nodiscard]] bool conforms(nanoseconds ahead) const { return ahead <= tolerance; }
  // When the next may come; now, if it may.
  [[nodiscard]] time_point opens(nanoseconds ahead, time_point now) const {
    return now + std::chrono::ceil<duration>(std::max(nanoseconds{0}, ahead - tolerance));
  }
};

storage::flow_record arrival_record(flow_kind kind, const std::string& function, std::chrono::nanoseconds ahead, time_point now) {
  const auto whole = std::chrono::floor<duration>(ahead);
  return {.kind = kind, .function = function, .at = now + whole, .beyond_ns = static_cast<std::uint32_t>((ahead - whole).count())};
}

struct arrivals {
  std::optional<storage::flow_record> record{};
  bool is_damaged{false};
};

arrivals find_arrivals(turn& now, std::uint64_t key) {
  arrivals damaged{.is_damaged = true};
  return read_sound(now, [&] { return arrivals{.record = now.tx.find_flow(key)}; }, damaged);
}

gcra of(const caesura::throttle& rule) { return gcra::of(rule.limit, rule.period, rule.burst); }

bool passes_rate_limit(turn& now, const registered_function& fn, const storage::event_record& event) {
  const auto& rule = *fn.flow->rate_limit;
  const auto key = key_for(now, fn, flow_kind::rate_limit, fn.flow->rate_limit_key, event, "rate_limit.key");
  if (!key) return true;
  constexpr std::uint32_t spread = 10;
  const auto rate = gcra::of(rule.limit, rule.period, rule.limit / spread);
  const auto before = find_arrivals(now, *key);
  // Nobody knows how many came: one too few is told, one too many may be a payment made twice.
  const auto ahead = before.is_damaged ? rate.most() : rate.ahead(before.record, now.now);
  const auto keep = [&](std::chrono::nanoseconds value) { now.tx.put_flow(*key, arrival_record(flow_kind::rate_limit, fn.code.id, value, now.now)); };
  if (!rate.conforms(ahead)) {
    if (before.is_damaged) {
      now.say("function \"" + fn.code.id + "\" is not started by event " + to_string(event.id) + ": what came before it is damaged, and counts as all that its rate limit lets through");
      keep(ahead);
    } else if (before.record->at - now.now > std::chrono::ceil<duration>(ahead)) {
      keep(ahead);  // else it would move along with the clock
    }
    return false;
  }
  keep(ahead + rate.interval);
  return true;
}

bool is_run_of(const router_state& state, const registered_function& fn, const storage::run_record& run) {
  const auto found = state.definitions.find(run.definition);
  return found != state.definitions.end() && found->second->record.function == fn.code.id;
}

// Whether a singleton's record may name the run, as the run's own says.
bool is_alone_under(std::uint64_t key, const storage::run_record& run) {
  const bool was_asked_for = !run.replay_of.is_nil() || !run.parent.is_nil();  // by name: it waits, and is not recorded
  const bool has_decided = run.first_event.is_nil() || run.started_at || run.status == run_status::queued;  // a debounced one decides when it is due
  return run.singleton == key && !was_asked_for && has_decided;
}

// The same for the record of a debounce or a batch.
bool collects_under(turn& now, const registered_function& fn, flow_kind kind, std::uint64_t key, const storage::run_record& run) {
  const bool is_batch = kind == flow_kind::batch;
  const bool collects = run.status == run_status::scheduled && run.replay_of.is_nil() && (is_batch ? !run.events.empty() : !run.first_event.is_nil());
  if (!collects || !is_run_of(now.state, fn, run)) return false;
  const auto event = read_sound(now, [&] { return now.tx.find_event(run.event); }, std::nullopt);
  const auto& rule = is_batch ? fn.flow->batch_key : fn.flow->debounce_key;
  return event && key_for(now, fn, kind, rule, *event, is_batch ? "batch.key" : "debounce.key") == key;
}

// The run that is recorded under a key. A damaged record is made anew from the runs themselves: of those that it may have named, the newest.
std::optional<run_id> recorded_run(turn& now, const registered_function& fn, flow_kind kind, std::uint64_t key) {
  const auto found = find_arrivals(now, key);
  if (!found.is_damaged) return found.record ? std::optional{found.record->run} : std::nullopt;
  std::optional<run_id> newest;
  const auto visit = [&](const storage::run_record& run) {
    if (kind == flow_kind::singleton ? is_alone_under(key, run) : collects_under(now, fn, kind, key, run)) newest = run.id;
    return true;
  };
  now.tx.each_live_run(visit, now.tell_damage());
  if (newest) now.tx.put_flow(key, {.kind = kind, .function = fn.code.id, .run = *newest});
  return newest;
}

// The run that collects events under this key, while it may still take one.
run_ptr collecting(turn& now, const registered_function& fn, flow_kind kind, std::uint64_t key) {
  const auto found = recorded_run(now, fn, kind, key);
  if (!found) return nullptr;
  auto run = settle_sweeps(now, find_live(now, *found));
  const bool collects = run != nullptr && run->status == run_status::scheduled && run->due;
  return collects && (*run->due > now.now || is_planted(fault::batch_joined_late)) ? run : nullptr;
}

// The run's event is this one from now on: it is matched, counted and ordered by it.
storage::run_record with_event(turn& now, const registered_function& fn, const storage::run_record& before, const storage::event_record& event, time_point due) {
  auto after = before;
  const scope_of scope{event};
  after.definition = fn.stored->hash;
  after.event = event.id;
  after.depth = event.depth;
  after.due = due;
  if (!is_planted(fault::first_event_kept)) {
    after.cancel_keys.clear();
    for (const auto& when : fn.stored->cancel_whens) after.cancel_keys.push_back(key_of(when, *scope));
  }
  after.groups = groups_of(now, fn, *scope);
  mark_flow(now, fn, event, after);
  const auto& limit = fn.stored->record.start_timeout;
  after.deadline = limit ? std::optional{saturated(due, *limit)} : std::nullopt;
  return after;
}

run_id debounce(turn& now, const registered_function& fn, const storage::event_record& event) {
  const auto& rule = *fn.flow->debounce;
  const auto key = *key_for(now, fn, flow_kind::debounce, fn.flow->debounce_key, event, "debounce.key");
  if (const auto run = collecting(now, fn, flow_kind::debounce, key)) {
    auto due = now.now + rule.period;
    if (rule.timeout) due = std::min(due, run->created_at + *rule.timeout);
    return replace_run(now, *run, with_event(now, fn, *run, event, due))->id;
  }
  const auto run = create_run(now, fn, event, {.due = now.now + (rule.timeout ? std::min(rule.period, *rule.timeout) : rule.period), .first_event = event.id});
  now.tx.put_flow(key, {.kind = flow_kind::debounce, .function = fn.code.id, .run = run});
  return run;
}

run_id add_to_batch(turn& now, const registered_function& fn, const storage::event_record& event) {
  const auto& rule = *fn.flow->batch;
  const auto key = *key_for(now, fn, flow_kind::batch, fn.flow->batch_key, event, "batch.key");
  const auto bytes = event.content_bytes();
  if (const auto run = collecting(now, fn, flow_kind::batch, key)) {
    auto after = *run;
    after.events.push_back(event.id);
    after.batch_bytes += bytes;
    if (after.events.size() < rule.max_events && after.batch_bytes < batch_bytes_limit) return replace_run(now, *run, std::move(after))->id;
    now.tx.delete_flow(key);
    const auto& limit = now.state.definition_of(*run).record.start_timeout;
    after.deadline = limit ? std::optional{saturated(now.now, *limit)} : std::nullopt;  // it is due now, not when its time would be up
    start_or_queue(now, *run, std::move(after));
    return run->id;
  }
  const auto run = create_run(now, fn, event, {.due = now.now + rule.timeout, .events = {event.id}, .batch_bytes = bytes});
  now.tx.put_flow(key, {.kind = flow_kind::batch, .function = fn.code.id, .run = run});
  return run;
}

bool is_batched(turn& now, const registered_function& fn, const storage::event_record& event) {
  if (!fn.flow->batch) return false;
  if (fn.flow->batch_when.is_always_true()) return true;
  const scope_of scope{event};
  const auto verdict = fn.flow->batch_when.matches(*scope);
  if (verdict.error) now.say("function \"" + fn.code.id + "\", batch.when fails for event " + to_string(event.id) + ", which is not batched: " + *verdict.error);
  return verdict.matches;
}

// The singleton's run under way, other than this one; null when there is none.
run_ptr holder(turn& now, const registered_function& fn, std::uint64_t key, const run_id& other_than) {
  const auto found = recorded_run(now, fn, flow_kind::singleton, key);
  if (!found || *found == other_than) return nullptr;
  auto run = settle_sweeps(now, find_live(now, *found));
  return run != nullptr && !run->cancelled_by ? run : nullptr;
}

std::string skipped_text(const run_id& run) { return "singleton: run " + to_string(run) + " is under way"; }

void replace_holder(turn& now, const storage::run_record& run, std::string why) {
  request_cancel(now, run, {.source = cancel_source::singleton, .reason = std::move(why), .requested_at = now.now});
}

run_id start_alone(turn& now, const registered_function& fn, const storage::event_record& event) {
  const auto key = key_for(now, fn, flow_kind::singleton, fn.flow->singleton_key, event, "singleton.key");
  if (!key) return create_run(now, fn, event);
  if (const auto under_way = holder(now, fn, *key, {})) {
    if (fn.flow->singleton->mode == singleton_mode::skip) return create_run(now, fn, event, {.skipped_because = skipped_text(under_way->id)});
    replace_holder(now, *under_way, "singleton: event " + public_id(event) + " takes its place");
  }
  const auto run = create_run(now, fn, event);
  now.tx.put_flow(*key, {.kind = flow_kind::singleton, .function = fn.code.id, .run = run});
  return run;
}

time_point with_jitter(const flow_rules::cron_trigger& trigger, std::uint64_t key, time_point tick) {
  if (trigger.jitter <= duration{0}) return tick;
  const auto seed = storage::hash_text(std::to_string(key) + '/' + std::to_string(tick.time_since_epoch().count()));
  return tick + duration{static_cast<duration::rep>(seed % static_cast<std::uint64_t>(trigger.jitter.count() + 1))};
}

// The first tick after `last` that is still to come. One that a later jitter of `last` has overtaken counts as such; what came while the process
// was down does not. `came_due`: when `last` did, with its jitter.
std::optional<time_point> tick_after(const flow_rules::cron_trigger& trigger, std::uint64_t key, time_point last, time_point came_due, time_point now) {
  auto next = trigger.schedule.next_after(last);
  while (next) {
    const auto at = with_jitter(trigger, key, *next);
    if (at <= came_due || at > now) return next;
    next = trigger.schedule.next_after(*next <= came_due ? *next : std::max(*next, now - trigger.jitter - duration{1}));
  }
  return next;
}

std::uint64_t cron_key(const registered_function& fn, const flow_rules::cron_trigger& trigger) {
  return flow_key(fn, flow_kind::cron, storage::hash_text(trigger.text));
}

void set_tick(router_state& state, std::uint64_t key, time_point at) {
  state.undo.add([&state, entry = std::pair{at, key}] { state.ticks.erase(entry); });
  state.ticks.insert({at, key});
}

void take_tick(router_state& state, std::pair<time_point, std::uint64_t> entry) {
  state.undo.add([&state, entry] { state.ticks.insert(entry); });
  state.ticks.erase(entry);
}

// The event of a tick: routed like a system event, and it starts this function alone.
void tick(turn& now, const registered_function& fn, const flow_rules::cron_trigger& trigger, time_point at) {
  storage::event_record event{.id = now.next_id<event_id>(),
                              .name = "inngest/scheduled.timer",
                              .data = {{"cron", trigger.text}, {"scheduledAt", to_string(at)}, {"fireAt", to_string(now.now)}},
                              .time = now.now,
                              .received_at = now.now};
  match_event(now, event);
  if (const auto run = start_function(now, fn, event)) event.runs.push_back(*run);
  now.tx.put_event(event);
}

}  // namespace

std::optional<run_id> start_function(turn& now, const registered_function& fn, const storage::event_record& event) {
  // A paused function takes part in nothing: its event is skipped, and no run under way makes room for it.
  const bool is_paused = now.state.pause_of(fn.code.id) != nullptr;
  if (is_planted(fault::pause_counted) && is_paused && fn.flow != nullptr && fn.flow->rate_limit) (void)passes_rate_limit(now, fn, event);
  if (fn.flow == nullptr || is_paused) return create_run(now, fn, event);
  if (fn.flow->rate_limit && !passes_rate_limit(now, fn, event)) return std::nullopt;
  if (is_batched(now, fn, event)) return add_to_batch(now, fn, event);
  if (fn.flow->debounce) return debounce(now, fn, event);
  if (fn.flow->singleton) return start_alone(now, fn, event);
  return create_run(now, fn, event);
}

void mark_flow(turn& now, const registered_function& fn, const storage::event_record& event, storage::run_record& run) {
  run.priority = 0;
  run.throttle = 0;
  run.singleton = 0;
  if (fn.flow == nullptr) return;
  if (!fn.flow->priority.is_always_true()) {
    const scope_of scope{event};
    const auto value = fn.flow->priority.value_of(*scope);
    const storage::document_view seen{value ? value->bytes() : std::string_view{}};
    const bool is_number = value && (seen.kind() == storage::value_kind::integer || seen.kind() == storage::value_kind::real);
    if (!is_number) now.say("function \"" + fn.code.id + "\", priority is no number for event " + to_string(event.id) + ": it counts as 0");
    double seconds = !is_number ? 0 : seen.kind() == storage::value_kind::real ? seen.real() : static_cast<double>(seen.integer());
    if (std::isnan(seconds)) seconds = 0;
    run.priority = static_cast<std::int32_t>(std::clamp(seconds, -static_cast<double>(priority_limit_seconds), static_cast<double>(priority_limit_seconds)));
  }
  if (fn.flow->throttle) run.throttle = *key_for(now, fn, flow_kind::throttle, fn.flow->throttle_key, event, "throttle.key");
  if (fn.flow->singleton) run.singleton = key_for(now, fn, flow_kind::singleton, fn.flow->singleton_key, event, "singleton.key").value_or(0);
}

bool settle_singleton(turn& now, const storage::run_record& run) {
  if (run.singleton == 0 || run.first_event.is_nil() || run.started_at) return true;  // decided when it was created, or before it started
  const auto* fn = now.state.functions->find(now.state.definition_of(run).record.function);
  if (fn == nullptr || fn->flow == nullptr || !fn->flow->singleton) return true;
  if (const auto under_way = holder(now, *fn, run.singleton, run.id)) {
    if (fn->flow->singleton->mode == singleton_mode::skip) {
      auto after = run;
      after.held_because = skipped_text(under_way->id);
      end_run(now, run, std::move(after), run_status::skipped);
      return false;
    }
    replace_holder(now, *under_way, "singleton: run " + to_string(run.id) + " takes its place");
  }
  now.tx.put_flow(run.singleton, {.kind = flow_kind::singleton, .function = fn->code.id, .run = run.id});
  return true;
}

void pass_throttle(turn& now, const storage::run_record& run) {
  if (run.throttle == 0 || is_planted(fault::turn_not_taken)) return;
  const auto* fn = now.state.functions->find(now.state.definition_of(run).record.function);
  if (fn == nullptr || fn->flow == nullptr || !fn->flow->throttle) return;
  const auto rate = of(*fn->flow->throttle);
  // A run that may start conforms: what is stored beyond that was stored while the clock was ahead.
  const auto before = find_arrivals(now, run.throttle);
  const auto ahead = (before.is_damaged ? rate.tolerance : std::min(rate.ahead(before.record, now.now), rate.tolerance)) + rate.interval;
  now.tx.put_flow(run.throttle, arrival_record(flow_kind::throttle, fn->code.id, ahead, now.now));
  if (const auto opens = rate.opens(ahead, now.now); opens > now.now) now.state.queue.close_until(run.throttle, opens, now.state.undo);
}

void enter_flow(turn& now) {
  auto& state = now.state;
  state.queue.open_due(time_point::max(), state.undo);  // what was closed by other rules, or by another clock
  now.tx.each_flow(0, [&](std::uint64_t key, const storage::flow_record& record) {
    const auto* fn = record.kind == flow_kind::throttle ? state.functions->find(record.function) : nullptr;
    if (fn == nullptr || fn->flow == nullptr || !fn->flow->throttle || is_planted(fault::throttle_opened_by_restart)) return true;
    const auto rate = of(*fn->flow->throttle);
    if (const auto opens = rate.opens(rate.ahead(record, now.now), now.now); opens > now.now) state.queue.close_until(key, opens, state.undo);
    return true;
  }, now.tell_damage());
  state.undo.add([&state, ticks = state.ticks, crons = state.crons] {
    state.ticks = ticks;
    state.crons = crons;
  });
  state.ticks.clear();
  state.crons.clear();
  for (const auto& fn : state.functions->all()) {
    if (fn.flow == nullptr) continue;
    for (std::size_t i = 0; i < fn.flow->crons.size(); ++i) {
      const auto& trigger = fn.flow->crons[i];
      const auto key = cron_key(fn, trigger);
      const auto known = find_arrivals(now, key).record;  // a damaged one is that of a new cron: what was missed is not known
      auto next = trigger.schedule.next_after(now.now);
      // A later one than the next but one was stored while the clock was ahead; the next but one is what a clock that steps back by a little leaves behind.
      if (known && next) {
        const auto second = trigger.schedule.next_after(*next);
        if (!second || known->at <= *second) next = known->at;
      } else if (known) {
        next = known->at;
      }
      if (!next) continue;
      if (!known || known->at != *next) now.tx.put_flow(key, {.kind = flow_kind::cron, .function = fn.code.id, .at = *next, .cron = trigger.text});
      state.crons.insert_or_assign(key, cron_place{fn.code.id, i});
      state.ticks.insert({with_jitter(trigger, key, *next), key});
    }
  }
}

void fire_crons(turn& now) {
  auto& state = now.state;
  for (std::size_t left = state.limits.timers_per_turn; left > 0 && !state.ticks.empty() && state.ticks.begin()->first <= now.now; --left) {
    const auto entry = *state.ticks.begin();
    const auto key = entry.second;
    take_tick(state, entry);
    const auto place = state.crons.at(key);
    const auto& fn = *state.functions->find(place.function);
    const auto& trigger = fn.flow->crons[place.index];
    const auto known = find_arrivals(now, key).record;
    const auto last = known ? known->at : entry.first;
    tick(now, fn, trigger, last);
    const auto next = is_planted(fault::ticks_made_up) ? trigger.schedule.next_after(entry.first) : tick_after(trigger, key, last, entry.first, now.now);
    if (!next) continue;
    now.tx.put_flow(key, {.kind = flow_kind::cron, .function = fn.code.id, .at = *next, .cron = trigger.text});
    set_tick(state, key, std::max(with_jitter(trigger, key, *next), entry.first));
  }
}

bool purge_flow(turn& now, purge_state& purge) {
  std::vector<std::uint64_t> over;
  std::size_t left = now.state.limits.purge_slice;
  bool is_done = true;
  now.tx.each_flow(purge.flow, [&](std::uint64_t key, const storage::flow_record& record) {
    if (left-- == 0) {
      purge.flow = key;
      return is_done = false;
    }
    const auto* fn = now.state.functions->find(record.function);
    bool is_over = false;
    switch (record.kind) {
      case flow_kind::rate_limit:
      case flow_kind::throttle: is_over = record.at <= now.now; break;
      case flow_kind::debounce:
      case flow_kind::batch:
      case flow_kind::singleton:
        // A damaged one counts as live: nobody knows better.
        is_over = !read_sound(now, [&] { return now.tx.find_live_run(record.run).has_value(); }, true);
        break;
      case flow_kind::cron: is_over = fn != nullptr && !now.state.crons.contains(key); break;
    }
    if (is_over) over.push_back(key);
    return true;
  }, now.tell_damage());
  for (const auto key : over) now.tx.delete_flow(key);
  return is_done;
}

}  // namespace caesura::actors
