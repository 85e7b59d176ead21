#include <algorithm>
#include <utility>

#include "actors/transitions/transitions.hpp"
#include "storage/document_view.hpp"

namespace caesura::actors {

namespace {

using mode = storage::listener_key::mode;

bool is_wait_for(const storage::pending_record& p, std::string_view event) {
  return p.kind == step_kind::wait_for_event && p.event == event && p.key.how != mode::never;
}

// All of them: those that are being cancelled stay in the index until their steps are done, so there may be more than one.
std::vector<run_id> listening(const router_state& state, const std::string& event) {
  const storage::event_record sent{.name = event};
  const scope_of scope{sent};
  listener_index::cursor cursor;
  return state.listeners.candidates(event, *scope, state.listeners.size(), cursor);
}

}  // namespace

std::optional<std::string> fault_of_signal(std::string_view name, const document& data, const limits& limits) {
  const std::size_t longest = limits.event_name_bytes - signal_prefix.size();
  if (name.empty()) return "a signal has no name";
  if (!storage::is_utf8(name)) return "a signal's name is not UTF-8";
  if (name.size() > longest) return "a signal's name has " + std::to_string(name.size()) + " bytes; the limit is " + std::to_string(longest);
  if (const auto size = name.size() + data.bytes().size(); size > limits.event_bytes) {
    return "signal \"" + std::string{name} + "\" has " + std::to_string(size) + " bytes; the limit is " + std::to_string(limits.event_bytes);
  }
  return std::nullopt;
}

run_ptr find_signal_wait(turn& now, const std::string& event, const run_id& besides) {
  for (const auto& id : listening(now.state, event)) {
    const auto run = id == besides ? nullptr : find_live(now, id);
    if (run == nullptr || run->cancelled_by) continue;
    if (std::ranges::any_of(run->pending, [&](const auto& p) { return is_wait_for(p, event); })) return run;
  }
  return nullptr;
}

void settle_signal_waits(turn& now, const std::string& event, const run_id& besides) {
  if (now.state.sweeps.empty()) return;
  for (const auto& id : listening(now.state, event)) {
    if (id != besides) settle_sweeps(now, find_live(now, id));
  }
}

void lose_signal(turn& now, const storage::run_record& run, const std::string& event) {
  auto after = run;
  std::vector<step_info> rows;
  std::erase_if(after.pending, [&](storage::pending_record& p) {
    if (!is_wait_for(p, event)) return false;
    p.key = {.how = mode::never};
    if (p.due && *p.due - p.started_at < longest_wait) return false;
    const storage::step_record row{.id = p.step, .kind = p.kind, .started_at = p.started_at, .ended_at = now.now, .name = p.name};
    append_row(now, after, row);
    rows.push_back(row);
    return true;
  });
  if (rows.empty()) {
    replace_run(now, run, std::move(after));
    return;
  }
  const auto losers = withdraw_losers(after);
  wake_run(now, run, std::move(after), std::move(rows), {});
  cancel_losers(now, losers);
}

void apply(turn& now, const send_signal& command) {
  const auto event = signal_event_of(command.name);
  settle_signal_waits(now, event, {});
  const auto run = find_signal_wait(now, event, {});
  if (run == nullptr) {
    now.answer(command.reply, std::nullopt);
    return;
  }
  // An event that is shown in histories like others, and meets this run alone: it starts nothing.
  const storage::event_record record{
      .id = now.next_id<event_id>(), .name = event, .data = command.data, .time = now.now, .received_at = now.now};
  if (hit_by_event(now, run, record) == run) {  // the run's record is damaged
    now.answer(command.reply, std::nullopt);
    return;
  }
  now.tx.put_event(record);
  now.answer(command.reply, run->id);
}

}  // namespace caesura::actors
