#include <algorithm>
#include <utility>

#include "actors/remote_frame.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

using remote::checkpoint_outcome;

// A checkpoint is sent again when its answer got lost: what it tells then stands among the newest rows.
constexpr std::uint32_t rows_looked_at = 256;

bool is_recorded(const std::vector<storage::step_record>& rows, const std::string& id) {
  return std::ranges::find(rows, id, &storage::step_record::id) != rows.end();
}

void record_steps(turn& now, const run_ptr& run, const checkpoint_run& command) {
  auto after = *run;
  std::vector<storage::step_record> newest;
  if (run->step_count > 0) newest = now.tx.steps_of(run->id, run->step_count - std::min(run->step_count, rows_looked_at));
  std::vector<step_info> rows;
  for (const auto& step : command.steps) {
    if (is_recorded(newest, step.id) || is_recorded(rows, step.id)) continue;
    rows.push_back({.id = step.id, .result = step.result, .error = step.error, .started_at = now.now, .ended_at = now.now, .name = step.name});
  }
  if (rows.empty()) return;
  std::size_t bytes = 0;
  for (const auto& row : rows) bytes += row.result.bytes().size();
  if (const auto limit = over_limit(now.state, *run, rows.size(), bytes)) throw error{errc::invalid_argument, limit->message};  // the call's answer fails the run
  for (const auto& row : rows) {
    append_row(now, after, row);
    std::erase_if(after.pending, [&](const storage::pending_record& p) { return p.step == row.id; });
  }
  for (auto& p : after.pending) {
    if (remote_frame::is_call(p.step)) p.failed_attempts = 0;  // recorded steps begin a new count
  }
  const bool is_cancelled = after.cancelled_by.has_value();
  replace_run(now, *run, std::move(after));
  if (!is_cancelled) now.out.emplace_back(resume_run{.run = command.run, .activation = command.activation, .rows = std::move(rows)});
}

}  // namespace

void apply(turn& now, const checkpoint_run& command) {
  for (const auto& step : command.steps) {
    if (const auto bytes = step.result.bytes().size(); bytes > now.state.limits.step_result_bytes) {
      throw error{errc::invalid_argument, "the result of step \"" + (step.name.empty() ? step.id : step.name) + "\" has " + std::to_string(bytes) +
                                              " bytes; the limit is " + std::to_string(now.state.limits.step_result_bytes)};
    }
  }
  const auto* live = now.state.live.find(command.run, command.activation);
  if (live == nullptr || live->is_parking || live->record->status != run_status::running) {
    now.answer(command.reply, now.tx.find_run(command.run) ? checkpoint_outcome::stale : checkpoint_outcome::unknown_run);
    return;
  }
  const auto run = settle_sweeps(now, live->record);
  if (run == nullptr) {
    now.answer(command.reply, checkpoint_outcome::stale);
    return;
  }
  record_steps(now, run, command);
  // The cancel rule, and that of a pause which holds: what was executed is recorded, and nothing further starts.
  now.answer(command.reply, run->cancelled_by || is_held_by_pause(now.state, *run) ? checkpoint_outcome::stale : checkpoint_outcome::recorded);
}

}  // namespace caesura::actors
