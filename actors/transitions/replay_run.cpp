#include <algorithm>
#include <utility>

#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

// The rows recorded before the first one of `step`, whose ordinal counts: "charge" is the first, "charge:1" the second. Where ids are hashes, the name that only
// one has stands for it.
std::vector<storage::step_record> rows_before(turn& now, const storage::run_record& run, const std::string& step) {
  if (step.empty()) return {};
  auto rows = now.tx.steps_of(run.id);
  auto found = std::ranges::find(rows, step, &storage::step_record::id);
  if (found == rows.end()) {
    found = std::ranges::find(rows, step, &storage::step_record::name);
    if (std::ranges::count(rows, step, &storage::step_record::name) > 1) {
      throw error{errc::invalid_argument, "run " + to_string(run.id) + " has recorded several steps named \"" + step + "\": say which by its id"};
    }
  }
  if (found != rows.end()) {
    rows.erase(found, rows.end());
    return rows;
  }
  throw error{errc::invalid_argument, "run " + to_string(run.id) + " has recorded no step \"" + step + "\" to replay from"};
}

}  // namespace

bool is_refused_replay(errc code) {
  return code == errc::unknown_run || code == errc::run_not_ended || code == errc::unknown_event || code == errc::unknown_function ||
         code == errc::function_paused || code == errc::invalid_argument || code == errc::store_corrupt;
}

replay_source read_replay(turn& now, const run_id& id, const std::string& from_step) {
  auto run = now.tx.find_run(id);
  if (!run) throw error{errc::unknown_run, "no run " + to_string(id) + " is stored"};
  if (!is_ended(run->status)) {
    throw error{errc::run_not_ended, "run " + to_string(id) + " is " + std::string{to_string(run->status)} + ": only a run that has ended can be "
                                     "replayed; cancel it first"};
  }
  const auto& function = now.state.definition_of(*run).record.function;
  const auto* fn = now.state.functions->find(function);
  if (fn == nullptr) throw error{errc::unknown_function, "function \"" + function + "\" of run " + to_string(id) + " is not registered in this process"};
  if (now.state.pause_of(function) != nullptr) throw error{errc::function_paused, "function \"" + function + "\" is paused: resume it first"};
  auto trigger = now.tx.find_event(run->event);
  const bool has_all = trigger && std::ranges::all_of(run->events, [&](const event_id& event) { return now.tx.find_event(event).has_value(); });
  if (!has_all) throw error{errc::unknown_event, "the event of run " + to_string(id) + " is not stored any more"};
  auto kept = rows_before(now, *run, from_step);
  return {.run = std::move(*run), .function = fn, .trigger = std::move(*trigger), .kept = std::move(kept)};
}

run_id replay(turn& now, const replay_source& from) {
  const auto& run = from.run;
  const auto replayed = create_run(now, *from.function, from.trigger,
                                   {.replay_of = run.id,
                                    .root = run.root.is_nil() ? run.id : run.root,
                                    .kept = from.kept,
                                    .events = run.events});
  for (const auto& event : storage::events_of(run)) now.tx.put_replay(event, replayed);  // each is kept as long as the replay
  return replayed;
}

void apply(turn& now, const replay_run& command) { now.answer(command.reply, replay(now, read_replay(now, command.run, command.from_step))); }

}  // namespace caesura::actors
