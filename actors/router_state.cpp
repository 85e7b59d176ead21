#include "actors/router_state.hpp"

#include <algorithm>

namespace caesura::actors {

std::string group_name(const function& fn, std::size_t entry) {
  const auto& rule = fn.concurrency[entry];
  return rule.is_shared ? '\0' + rule.key : fn.id + '\0' + std::to_string(entry);
}

std::uint64_t group_source(const function& fn, std::size_t entry) { return storage::hash_text(group_name(fn, entry)); }

std::vector<run_id> live_table::ids() const {
  std::vector<run_id> ids;
  ids.reserve(runs_.size());
  for (const auto& [run, entry] : runs_) ids.push_back(run);
  std::ranges::sort(ids);
  return ids;
}

void live_table::put(const run_id& run, live_run entry) {
  take(run);
  state_bytes_ += entry.record->state_bytes;
  runs_.insert_or_assign(run, std::move(entry));
}

void live_table::take(const run_id& run) {
  const auto found = runs_.find(run);
  if (found == runs_.end()) return;
  state_bytes_ -= found->second.record->state_bytes;
  runs_.erase(found);
}

const live_run& live_table::add(const run_id& run, live_run entry, undo_log& undo) {
  undo.add([this, run] { take(run); });
  put(run, std::move(entry));
  return runs_.at(run);
}

void live_table::drop(const run_id& run, undo_log& undo) {
  const auto found = runs_.find(run);
  if (found == runs_.end()) return;
  undo.add([this, run, entry = found->second] { put(run, entry); });
  take(run);
}

void live_table::set_record(const run_id& run, std::shared_ptr<const storage::run_record> record, undo_log& undo) {
  const auto found = runs_.find(run);
  if (found == runs_.end()) return;
  undo.add([this, run, before = found->second] { put(run, before); });
  auto after = found->second;
  after.record = std::move(record);
  put(run, std::move(after));
}

void live_table::set_parking(const run_id& run, undo_log& undo) {
  auto& entry = runs_.at(run);
  if (entry.is_parking) return;
  undo.add([this, run] {
    if (const auto found = runs_.find(run); found != runs_.end()) found->second.is_parking = false;
  });
  entry.is_parking = true;
}

run_queue::head_table& run_queue::heads_of(std::optional<std::uint64_t> waits_in) { return waits_in ? groups_.find(*waits_in)->second.waiting : ready_; }

// Whatever throws half way leaves what take() takes back.
void run_queue::put(const run_id& run, const standing& as) {
  take(run);
  for (const auto id : as.groups) groups_.try_emplace(id);
  auto& in = *lines_.try_emplace(as.groups).first;
  auto& [groups, whole] = in;
  if (whole.runs.empty()) whole.waits_in = as.waits_in;
  entries_.emplace(run, entry{.at = as.at, .in = &in});
  for (const auto id : groups) ++groups_.find(id)->second.needed_by;
  auto& heads = heads_of(whole.waits_in);
  const auto before = whole.runs.empty() ? std::nullopt : std::optional{first_place(whole)};
  const bool is_first = !before || as.at < *before;
  if (is_first) heads.emplace(as.at, &in);
  whole.runs.insert({as.at, run});
  if (is_first && before) heads.erase(*before);
}

// Throws nothing, so that what is undone stays so.
void run_queue::take(const run_id& run) {
  const auto found = entries_.find(run);
  if (found == entries_.end()) return;
  const entry e = found->second;
  entries_.erase(found);
  auto& [groups, whole] = *e.in;
  auto& heads = heads_of(whole.waits_in);
  auto head = heads.extract(e.at);
  const bool was_in = whole.runs.erase(e.at);
  if (was_in && !head.empty() && !whole.runs.empty()) {
    head.key() = first_place(whole);
    heads.insert(std::move(head));
  }
  for (const auto id : groups) --groups_.find(id)->second.needed_by;
  const auto is_over = whole.runs.empty() ? lines_.extract(groups) : line_table::node_type{};
  for (const auto id : is_over.empty() ? groups : is_over.key()) forget_if_idle(id);
}

void run_queue::remember(std::uint64_t id, undo_log& undo) {
  const auto found = groups_.find(id);
  undo.add([this, id, before = found == groups_.end() ? std::nullopt : std::optional<terms>{found->second}] { restore(id, before); });
}

void run_queue::restore(std::uint64_t id, const std::optional<terms>& before) {
  if (!before && !groups_.contains(id)) return;
  set_opening(id, before ? before->opens : std::nullopt);
  static_cast<terms&>(groups_[id]) = before.value_or(terms{});
  forget_if_idle(id);
}

void run_queue::forget_if_idle(std::uint64_t id) {
  const auto found = groups_.find(id);
  if (found != groups_.end() && found->second.used == 0 && found->second.needed_by == 0 && !found->second.opens) groups_.erase(found);
}

void run_queue::push(const run_id& run, place at, const std::vector<slot>& slots, undo_log& undo) {
  if (entries_.contains(run)) return;
  standing as{.at = at};
  as.groups.reserve(slots.size());
  for (const auto& s : slots) {
    if (!groups_.contains(s.group)) remember(s.group, undo);
    groups_.try_emplace(s.group);
    set_limit(s, undo);
    as.groups.push_back(s.group);
    if (!has_slot(s.group)) as.waits_in = s.group;
  }
  undo.add([this, run] { take(run); });
  put(run, as);
}

bool run_queue::remove(const run_id& run, undo_log& undo) {
  const auto found = entries_.find(run);
  if (found == entries_.end()) return false;
  const auto& [groups, whole] = *found->second.in;
  standing before{.at = found->second.at, .groups = groups, .waits_in = whole.waits_in};
  for (const auto id : before.groups) remember(id, undo);
  undo.add([this, run, before] { put(run, before); });
  take(run);
  if (!before.waits_in) promote_all(before.groups, undo);
  return true;
}

std::optional<run_id> run_queue::next(undo_log& undo) {
  while (!ready_.empty()) {
    auto& first = *ready_.begin()->second;
    const auto& [groups, whole] = first;
    const auto full = std::ranges::find_if(groups, [&](std::uint64_t id) { return !has_slot(id); });
    if (full == groups.end()) return whole.runs.begin()->second;
    move_to(first, *full, undo);
    promote_all(groups, undo);
  }
  return std::nullopt;
}

void run_queue::move_to(line_table::value_type& moved, std::optional<std::uint64_t> waits_in, undo_log& undo) {
  // By its first run: until this is undone the line itself may have ended and begun again.
  undo.add([this, first = moved.second.runs.begin()->second, before = moved.second.waits_in] { set_line(*entries_.at(first).in, before); });
  set_line(moved, waits_in);
}

void run_queue::set_line(line_table::value_type& moved, std::optional<std::uint64_t> waits_in) {
  auto& whole = moved.second;
  if (whole.waits_in == waits_in) return;
  heads_of(waits_in).insert(heads_of(whole.waits_in).extract(first_place(whole)));
  whole.waits_in = waits_in;
}

void run_queue::promote(std::uint64_t id, undo_log& undo) {
  const auto found = groups_.find(id);
  if (found == groups_.end() || found->second.waiting.empty() || !has_slot(id)) return;
  move_to(*found->second.waiting.begin()->second, std::nullopt, undo);
}

void run_queue::promote_all(const std::vector<std::uint64_t>& groups, undo_log& undo) {
  for (const auto id : groups) promote(id, undo);
}

std::optional<std::size_t> run_queue::place_of(const run_id& run) const {
  const auto found = entries_.find(run);
  if (found == entries_.end()) return std::nullopt;
  return found->second.in->second.runs.order_of_key(found->second.at);
}

bool run_queue::has_slot(std::uint64_t id) const {
  const auto found = groups_.find(id);
  return found == groups_.end() || (found->second.used < found->second.limit && !found->second.opens);
}

bool run_queue::may_start(const std::vector<slot>& slots) const {
  return std::ranges::all_of(slots, [&](const slot& s) {
    const auto found = groups_.find(s.group);
    return found == groups_.end() || (has_slot(s.group) && found->second.waiting.empty());
  });
}

void run_queue::set_limit(const slot& s, undo_log& undo) {
  const auto found = groups_.find(s.group);
  if (found == groups_.end()) return;
  auto& known = found->second;
  if (s.source == 0 && known.limit != no_limit) return;
  if (s.limit == known.limit && s.source == known.source) return;
  remember(s.group, undo);
  known.limit = s.limit;
  known.source = s.source;
  promote(s.group, undo);  // who goes takes the next along
}

void run_queue::set_limits(const function_table& functions, undo_log& undo) {
  for (const auto& [id, known] : groups_) {
    if (const auto limit = functions.limit_of(known.source)) set_limit({.group = id, .limit = *limit, .source = known.source}, undo);
  }
}

void run_queue::set_opening(std::uint64_t id, std::optional<time_point> opens) {
  auto& group = groups_[id];
  if (group.opens) closed_.erase({*group.opens, id});
  group.opens = opens;
  if (opens) closed_.insert({*opens, id});
}

void run_queue::close_until(std::uint64_t id, time_point opens, undo_log& undo) {
  remember(id, undo);
  set_opening(id, opens);
}

void run_queue::open_due(time_point now, undo_log& undo) {
  while (!closed_.empty() && closed_.begin()->first <= now) {
    const auto id = closed_.begin()->second;
    remember(id, undo);
    set_opening(id, std::nullopt);
    promote(id, undo);
    forget_if_idle(id);
  }
}

void run_queue::acquire(const slot& s, undo_log& undo) {
  remember(s.group, undo);
  ++groups_[s.group].used;
  set_limit(s, undo);
}

void run_queue::release(std::uint64_t id, undo_log& undo) {
  remember(id, undo);
  --groups_.at(id).used;
  promote(id, undo);
  forget_if_idle(id);
}

std::uint32_t run_queue::used(std::uint64_t id) const {
  const auto found = groups_.find(id);
  return found == groups_.end() ? 0 : found->second.used;
}

namespace {

std::uint64_t memory_key(std::string_view name, std::string_view client_id) {
  std::string text{name};
  text += '\0';
  text += client_id;
  return storage::hash_text(text);
}

}  // namespace

void event_memory::remember(std::string_view name, std::string_view client_id, const known& event, undo_log* undo) {
  const auto key = memory_key(name, client_id);
  const auto before = find(name, client_id);
  if (undo != nullptr) {
    undo->add([this, key, id = event.id, before] {
      if (!oldest_first_.empty() && oldest_first_.back().event.id == id) oldest_first_.pop_back();
      if (before) {
        known_.insert_or_assign(key, *before);
      } else {
        known_.erase(key);
      }
    });
  }
  known_.insert_or_assign(key, event);
  oldest_first_.push_back({key, event});
}

std::optional<event_memory::known> event_memory::find(std::string_view name, std::string_view client_id) const {
  const auto found = known_.find(memory_key(name, client_id));
  if (found == known_.end()) return std::nullopt;
  return found->second;
}

void event_memory::forget_before(time_point horizon, std::size_t at_most) {
  for (; at_most > 0 && !oldest_first_.empty() && oldest_first_.front().event.accepted_at < horizon; --at_most) {
    const entry& oldest = oldest_first_.front();
    if (const auto found = known_.find(oldest.hash); found != known_.end() && found->second.id == oldest.event.id) known_.erase(found);
    oldest_first_.pop_front();
  }
}

void event_memory::pull_in(time_point now) {
  for (auto& entry : oldest_first_) entry.event.accepted_at = std::min(entry.event.accepted_at, now);
  for (auto& [key, event] : known_) event.accepted_at = std::min(event.accepted_at, now);
}

const storage::function_state_record* router_state::pause_of(std::string_view function) const {
  if (function_states.empty()) return nullptr;
  const auto found = function_states.find(function);
  return found != function_states.end() && found->second.is_paused ? &found->second : nullptr;
}

std::optional<time_point> router_state::next_slice_at() const {
  std::optional<time_point> earliest;
  for (const auto& sweep : sweeps) {
    if (sweep.is_stuck) continue;
    const auto at = sweep.job ? sweep.job->next_at.value_or(time_point{}) : time_point{};
    if (!earliest || at < *earliest) earliest = at;
  }
  return earliest;
}

const definition& router_state::definition_of(const storage::run_record& run) const {
  const auto found = definitions.find(run.definition);
  if (found == definitions.end()) {
    throw error{errc::store_corrupt, "table definitions: run " + to_string(run.id) + " names a definition that is not stored"};
  }
  return *found->second;
}

const expression::compiled& router_state::wait_rule(const std::string& text) {
  constexpr std::size_t remembered_rules = 10'000;
  if (const auto found = wait_rules.find(text); found != wait_rules.end()) return found->second;
  if (wait_rules.size() >= remembered_rules) wait_rules.clear();
  auto parsed = expression::compiled::parse(text, expression::roots::event_and_async);
  if (const auto* fault = std::get_if<expression::fault>(&parsed)) {
    throw error{errc::invalid_expression, "wait_for_event: at byte " + std::to_string(fault->position) + " of \"" + text + "\": " +
                                              fault->text};
  }
  return wait_rules.emplace(text, std::get<expression::compiled>(std::move(parsed))).first->second;
}

namespace {

expression::compiled parse_rule(const std::string& text, expression::roots allowed, const std::string& where) {
  if (text.empty()) return {};
  auto parsed = expression::compiled::parse(text, allowed);
  if (const auto* fault = std::get_if<expression::fault>(&parsed)) {
    throw error{errc::invalid_expression,
                where + ": at byte " + std::to_string(fault->position) + " of \"" + text + "\": " + fault->text};
  }
  return std::get<expression::compiled>(std::move(parsed));
}

}  // namespace

std::shared_ptr<const definition> parse_definition(storage::definition_record record, std::uint64_t hash) {
  auto result = std::make_shared<definition>();
  const std::string function = "function \"" + record.function + "\"";
  for (std::size_t i = 0; i < record.triggers.size(); ++i) {
    result->trigger_whens.push_back(
        parse_rule(record.triggers[i].when, expression::roots::event, function + ", triggers[" + std::to_string(i) + "].when"));
  }
  for (std::size_t i = 0; i < record.cancel_on.size(); ++i) {
    result->cancel_whens.push_back(parse_rule(record.cancel_on[i].when, expression::roots::event_and_async,
                                              function + ", cancel_on[" + std::to_string(i) + "].when"));
  }
  for (std::size_t i = 0; i < record.concurrency.size(); ++i) {
    result->concurrency_keys.push_back(
        parse_rule(record.concurrency[i].key, expression::roots::event, function + ", concurrency[" + std::to_string(i) + "].key"));
  }
  result->record = std::move(record);
  result->hash = hash;
  return result;
}

std::shared_ptr<const flow_rules> flow_rules_of(const function& fn) {
  const std::string where = "function \"" + fn.id + "\", ";
  const auto parse = [&](const std::string& text, const char* member) { return parse_rule(text, expression::roots::event, where + member); };
  auto rules = std::make_shared<flow_rules>();
  if (!fn.idempotency.empty()) {
    rules->rate_limit = caesura::rate_limit{.limit = 1, .period = days{1}, .key = fn.idempotency};
    rules->rate_limit_key = parse(fn.idempotency, "idempotency");
  } else if (fn.rate_limit) {
    rules->rate_limit = fn.rate_limit;
    rules->rate_limit_key = parse(fn.rate_limit->key, "rate_limit.key");
  }
  if ((rules->throttle = fn.throttle)) rules->throttle_key = parse(fn.throttle->key, "throttle.key");
  if ((rules->debounce = fn.debounce)) rules->debounce_key = parse(fn.debounce->key, "debounce.key");
  if ((rules->batch = fn.batch)) {
    rules->batch_key = parse(fn.batch->key, "batch.key");
    rules->batch_when = parse(fn.batch->when, "batch.when");
  }
  if ((rules->singleton = fn.singleton)) rules->singleton_key = parse(fn.singleton->key, "singleton.key");
  rules->priority = parse(fn.priority, "priority");
  for (const auto& t : fn.triggers) {
    if (t.cron.empty()) continue;
    auto parsed = cron_schedule::parse(t.cron);
    if (const auto* fault = std::get_if<std::string>(&parsed)) throw error{errc::invalid_function, where + *fault};
    rules->crons.push_back({.text = t.cron, .schedule = std::get<cron_schedule>(std::move(parsed)), .jitter = t.jitter});
  }
  const bool has_any = rules->rate_limit || rules->throttle || rules->debounce || rules->batch || rules->singleton || !rules->priority.is_always_true() || !rules->crons.empty();
  return has_any ? rules : nullptr;
}

storage::definition_record definition_record_of(const function& fn) {
  storage::definition_record record{.function = fn.id};
  for (const auto& t : fn.triggers) {
    if (t.cron.empty()) record.triggers.push_back({.event = t.event, .when = t.when});
  }
  record.start_timeout = fn.timeouts.start;
  record.finish_timeout = fn.timeouts.finish;
  for (const auto& c : fn.concurrency) record.concurrency.push_back({.limit = c.limit, .key = c.key, .counts_resting = c.counts_resting, .is_shared = c.is_shared});
  for (const auto& c : fn.cancel_on) record.cancel_on.push_back({.event = c.event, .when = c.when, .timeout = c.timeout, .until = c.until});
  return record;
}

compiled_filter compiled_filter::of(run_filter filter) {
  compiled_filter result{.when = {}, .runs = filter.run.values};
  if (!filter.when.empty()) {
    auto parsed = expression::compiled::parse(filter.when, expression::roots::event_and_run);
    if (const auto* fault = std::get_if<expression::fault>(&parsed)) {
      throw error{errc::invalid_expression,
                  "the filter's when: at byte " + std::to_string(fault->position) + " of \"" + filter.when + "\": " + fault->text};
    }
    result.when = std::get<expression::compiled>(std::move(parsed));
  }
  std::ranges::sort(result.runs);
  const auto twice = std::ranges::unique(result.runs);
  result.runs.erase(twice.begin(), twice.end());
  result.text = std::move(filter);
  return result;
}

std::string public_id(const storage::event_record& record) {
  return record.client_id.empty() || record.client_id.starts_with(seed_prefix) ? to_string(record.id) : record.client_id;
}

scope_of::scope_of(const storage::event_record& record)
    : id_{public_id(record)},
      scope_{.id = id_,
             .name = record.name,
             .ts = record.time.time_since_epoch().count(),
             .data = storage::document_view{record.data.bytes()},
             .user = record.user.is_null() ? storage::document_view{} : storage::document_view{record.user.bytes()},
             .version = record.version} {}

event public_event(const storage::event_record& record) {
  return {.name = record.name, .data = record.data, .id = public_id(record), .time = record.time, .user = record.user, .version = record.version};
}

std::optional<time_point> wake_time(const storage::run_record& run) {
  if (is_ended(run.status)) return std::nullopt;
  std::optional<time_point> earliest = run.cancelled_by ? std::nullopt : run.deadline;
  if (run.status == run_status::held) return earliest;
  if (run.status == run_status::scheduled && run.due && (!earliest || *run.due < *earliest)) earliest = run.due;
  for (const auto& pending : run.pending) {
    if (pending.due && (!earliest || *pending.due < *earliest)) earliest = pending.due;
  }
  return earliest;
}

run_info info_of(const storage::run_record& run, std::string function) {
  return {.id = run.id,
          .function = std::move(function),
          .status = run.status,
          .is_cancelling = run.cancelled_by.has_value() && !is_ended(run.status),
          .event = run.event,
          .events = run.events,
          .created_at = run.created_at,
          .started_at = run.started_at,
          .ended_at = run.ended_at,
          .wakes_at = wake_time(run),
          .step_count = run.step_count,
          .output = run.output,
          .error = run.error,
          .cancelled_by = run.cancelled_by,
          .held_because = run.held_because,
          .replay_of = run.replay_of,
          .root = run.root,
          .parent = run.parent};
}

}  // namespace caesura::actors
