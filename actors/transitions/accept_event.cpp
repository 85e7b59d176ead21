#include <algorithm>
#include <utility>

#include "actors/transitions/flow_control.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

constexpr std::string_view reserved_prefix = "inngest/";

bool starts_with_reserved(std::string_view name) {
  return name.size() >= reserved_prefix.size() &&
         std::ranges::equal(name.substr(0, reserved_prefix.size()), reserved_prefix,
                            [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

bool name_matches(std::string_view pattern, std::string_view name) {
  if (!pattern.ends_with('*')) return pattern == name;
  pattern.remove_suffix(1);
  return !starts_with_reserved(name) && name.starts_with(pattern);
}

bool is_triggered(turn& now, const registered_function& fn, const storage::event_record& record, const scope_of& scope) {
  const auto& triggers = fn.stored->record.triggers;
  for (std::size_t i = 0; i < triggers.size(); ++i) {
    if (!name_matches(triggers[i].event, record.name)) continue;
    const auto& when = fn.stored->trigger_whens[i];
    if (when.is_always_true()) return true;
    const auto verdict = when.matches(*scope);
    if (verdict.matches) return true;
    if (verdict.error) {
      now.say("function \"" + fn.code.id + "\", triggers[" + std::to_string(i) + "].when does not match event " + to_string(record.id) +
              ", because it fails: " + *verdict.error);
    }
  }
  return false;
}

accepted_event answer_of(const storage::event_record& record, bool is_duplicate) {
  return {.id = record.id, .client_id = record.client_id, .runs = record.runs, .is_duplicate = is_duplicate};
}

// Of one that was stored before user and version were kept, or without them, nothing is known that the other could contradict.
template <class Earlier>
bool says_the_same(const Earlier& earlier, const event& value) {
  return earlier.data == value.data && (earlier.user.is_null() || earlier.user == value.user) && (earlier.version.empty() || earlier.version == value.version);
}

// The record of an earlier event with this name and id within the event memory. Throws error{duplicate_id} when its data, user or version differs.
std::optional<storage::event_record> find_duplicate(turn& now, const event& value) {
  if (value.id.empty()) return std::nullopt;
  const auto known = now.state.memory.find(value.name, value.id);
  if (!known || known->accepted_at + now.state.limits.event_memory <= now.now) return std::nullopt;
  auto earlier = now.tx.find_event(known->id);
  if (!earlier || earlier->name != value.name || earlier->client_id != value.id) return std::nullopt;
  if (!says_the_same(*earlier, value)) {
    throw error{errc::duplicate_id, "event \"" + value.name + "\" with id \"" + value.id +
                                        "\" was accepted with other data within the last 24 h: give the new one an id of its own"};
  }
  return earlier;
}

// All of an array or nothing: conflicts are found before the first write. Also within the array.
void refuse_conflicts(turn& now, const std::vector<event>& events) {
  std::unordered_map<std::string, const event*> seen;
  for (const auto& value : events) {
    if (value.id.empty()) continue;
    (void)find_duplicate(now, value);
    const auto [earlier, is_new] = seen.try_emplace(value.name + '\0' + value.id, &value);
    if (!is_new && !says_the_same(*earlier->second, value)) {
      throw error{errc::duplicate_id,
                  "event \"" + value.name + "\" with id \"" + value.id + "\" stands twice in the array, with different data"};
    }
  }
}

}  // namespace

std::size_t size_of(const event& value) noexcept {
  return value.name.size() + value.id.size() + value.version.size() + value.content_bytes();
}

std::optional<std::string> fault_of(const event& value, const limits& limits) {
  const auto quoted = "event \"" + value.name.substr(0, 80) + "\"";
  if (value.name.empty()) return "an event has no name";
  if (!storage::is_utf8(value.name)) return "an event's name is not UTF-8";
  if (value.name.size() > limits.event_name_bytes) {
    return quoted + "…: the name has " + std::to_string(value.name.size()) + " bytes; the limit is " +
           std::to_string(limits.event_name_bytes);
  }
  if (starts_with_reserved(value.name)) return quoted + ": names that begin with \"inngest/\" are reserved for system events";
  if (is_signal_event(value.name)) {
    return quoted + ": names that begin with \"" + std::string{signal_prefix} + "\" are reserved for signals";
  }
  if (!value.data.is_null() && !value.data.is_object()) return quoted + ": data must be an object";
  if (!value.user.is_null() && !value.user.is_object()) return quoted + ": user must be an object";
  if (!storage::is_utf8(value.version)) return quoted + ": the version is not UTF-8";
  if (value.version.size() > limits.event_name_bytes) {
    return quoted + ": the version has " + std::to_string(value.version.size()) + " bytes; the limit is " + std::to_string(limits.event_name_bytes);
  }
  if (!storage::is_utf8(value.id)) return quoted + ": the id is not UTF-8";
  if (value.id.size() > limits.event_id_bytes) {
    return quoted + ": the id has " + std::to_string(value.id.size()) + " bytes; the limit is " + std::to_string(limits.event_id_bytes);
  }
  const std::size_t size = size_of(value);
  if (size > limits.event_bytes) {
    return quoted + " has " + std::to_string(size) + " bytes; the limit is " + std::to_string(limits.event_bytes);
  }
  return std::nullopt;
}

accepted_event route_event(turn& now, storage::event_record record, std::string_view about) {
  record.id = now.next_id<event_id>();
  record.received_at = now.now;
  match_event(now, record);
  const scope_of scope{record};
  for (const auto& fn : now.state.functions->all()) {
    if (fn.code.id == about || !is_triggered(now, fn, record, scope)) continue;
    if (record.depth > now.state.limits.depth) {
      now.say("event " + record.name + " of run " + record.client_id + " does not start function \"" + fn.code.id +
              "\": it is system event number " + std::to_string(record.depth) + " in a row, and the limit is " +
              std::to_string(now.state.limits.depth));
      continue;
    }
    if (const auto run = start_function(now, fn, record)) record.runs.push_back(*run);
  }
  now.tx.put_event(record);
  return answer_of(record, false);
}

accepted_event accept_event(turn& now, const event& value, std::uint8_t depth) {
  if (const auto earlier = find_duplicate(now, value)) return answer_of(*earlier, true);
  auto accepted = route_event(now,
                              {.name = value.name,
                               .client_id = value.id,
                               .data = value.data,
                               .time = value.time.value_or(now.now),
                               .depth = depth,
                               .user = value.user,
                               .version = value.version},
                              {});
  if (value.id.empty()) return accepted;
  constexpr std::size_t forgotten_for_one = 16;  // more than is taken, so that what has piled up goes, too
  now.state.memory.forget_before(now.now - now.state.limits.event_memory, forgotten_for_one);
  now.state.memory.remember(value.name, value.id, {accepted.id, now.now}, &now.state.undo);
  return accepted;
}

void apply(turn& now, const accept_events& command) {
  refuse_conflicts(now, command.events);
  std::vector<accepted_event> accepted;
  accepted.reserve(command.events.size());
  for (const auto& value : command.events) accepted.push_back(accept_event(now, value, 0));
  if (command.reply) {
    now.out.emplace_back(reply{[answer = command.reply, accepted = std::move(accepted)]() mutable { answer(std::move(accepted)); }});
  }
}

}  // namespace caesura::actors
