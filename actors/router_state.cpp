#include "actors/router_state.hpp"

#include <algorithm>

namespace caesura::actors {

void run_queue::put(const run_id& run, place at) {
  order_.emplace(at, run);
  places_.emplace(run, at);
}

void run_queue::take(const run_id& run) {
  const auto found = places_.find(run);
  if (found == places_.end()) return;
  order_.erase(found->second);
  places_.erase(found);
}

void run_queue::push(const run_id& run, bool is_under_way, undo_log& undo) {
  if (places_.contains(run)) return;
  put(run, {!is_under_way, next_++});
  undo.add([this, run] { take(run); });
}

bool run_queue::remove(const run_id& run, undo_log& undo) {
  const auto found = places_.find(run);
  if (found == places_.end()) return false;
  const place at = found->second;
  take(run);
  undo.add([this, run, at] { put(run, at); });
  return true;
}

std::optional<run_id> run_queue::front() const {
  if (order_.empty()) return std::nullopt;
  return order_.begin()->second;
}

namespace {

std::uint64_t memory_key(std::string_view name, std::string_view client_id) {
  std::string text{name};
  text += '\0';
  text += client_id;
  return storage::hash_text(text);
}

}  // namespace

void event_memory::remember(std::string_view name, std::string_view client_id, const event_id& id, undo_log* undo) {
  const auto key = memory_key(name, client_id);
  const auto before = find(name, client_id);
  ids_.insert_or_assign(key, id);
  oldest_first_.push_back({key, id});
  if (undo == nullptr) return;
  undo->add([this, key, before] {
    oldest_first_.pop_back();
    if (before) {
      ids_.insert_or_assign(key, *before);
    } else {
      ids_.erase(key);
    }
  });
}

std::optional<event_id> event_memory::find(std::string_view name, std::string_view client_id) const {
  const auto found = ids_.find(memory_key(name, client_id));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

void event_memory::forget_before(time_point horizon, std::size_t at_most) {
  for (; at_most > 0 && !oldest_first_.empty() && time_of(oldest_first_.front().id) < horizon; --at_most) {
    const entry& oldest = oldest_first_.front();
    if (const auto found = ids_.find(oldest.hash); found != ids_.end() && found->second == oldest.id) ids_.erase(found);
    oldest_first_.pop_front();
  }
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
  result->record = std::move(record);
  result->hash = hash;
  return result;
}

storage::definition_record definition_record_of(const function& fn) {
  storage::definition_record record{.function = fn.id};
  for (const auto& t : fn.triggers) record.triggers.push_back({.event = t.event, .when = t.when});
  for (const auto& c : fn.cancel_on) record.cancel_on.push_back({.event = c.event, .when = c.when, .timeout = c.timeout});
  return record;
}

std::string public_id(const storage::event_record& record) {
  return record.client_id.empty() ? to_string(record.id) : record.client_id;
}

scope_of::scope_of(const storage::event_record& record)
    : id_{public_id(record)},
      scope_{.id = id_,
             .name = record.name,
             .ts = record.time.time_since_epoch().count(),
             .data = storage::document_view{record.data.bytes()}} {}

event public_event(const storage::event_record& record) {
  return {.name = record.name, .data = record.data, .id = public_id(record), .time = record.time};
}

std::optional<time_point> wake_time(const storage::run_record& run) {
  if (is_ended(run.status) || run.status == run_status::held) return std::nullopt;
  std::optional<time_point> earliest = run.status == run_status::scheduled ? run.due : std::nullopt;
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
          .created_at = run.created_at,
          .started_at = run.started_at,
          .ended_at = run.ended_at,
          .wakes_at = wake_time(run),
          .step_count = run.step_count,
          .output = run.output,
          .error = run.error,
          .cancelled_by = run.cancelled_by,
          .held_because = run.held_because};
}

}  // namespace caesura::actors
