#include "actors/remote_frame.hpp"

#include <algorithm>
#include <utility>

#include "actors/commands.hpp"

namespace caesura::actors {

namespace {

// Ids of calls: no hash or name of a step looks like this, and a call after new rows has another one.
constexpr std::string_view call_prefix = "call ";

step_kind kind_of(remote::operation::what kind) {
  switch (kind) {
    case remote::operation::what::planned: return step_kind::run;
    case remote::operation::what::sleep: return step_kind::sleep;
    case remote::operation::what::wait_for_event:
    case remote::operation::what::wait_for_signal:
      return step_kind::wait_for_event;
    case remote::operation::what::invoke: return step_kind::invoke;
  }
  return step_kind::run;
}

}  // namespace

struct remote_frame::remote_operation final : detail::operation {
  using operation::operation;
  std::string name{};
};

remote_frame::remote_frame(run_id run, std::string function, std::vector<event> triggers, time_point begun, std::vector<step_info> rows,
                           const storage::run_record& record, std::size_t result_limit_bytes)
    : frame{begun},
      run_{run},
      function_{std::move(function)},
      triggers_{std::move(triggers)},
      result_limit_bytes_{result_limit_bytes},
      restored_{record.pending},
      rows_{std::move(rows)},
      goes_on_at_first_{record.goes_on_at_first} {
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    row_of_.emplace(rows_[i].id, i);
    now_ = std::max(now_, rows_[i].ended_at);
  }
}

remote_frame::~remote_frame() = default;

void remote_frame::start() {
  for (const auto& p : restored_) {
    if (row_of_.contains(p.step)) continue;
    auto op = std::make_unique<remote_operation>(p.kind, p.step);
    op->name = p.name;
    auto& terms = op->own_terms();
    terms.until = p.due;
    (p.kind == step_kind::invoke ? terms.function : terms.event_name) = p.event;
    terms.when = p.when;
    add_operation(std::move(op));
  }
  restored_.clear();
  // An activation is the end of something, or of a call that was out.
  if (pending_.empty() || (goes_on_at_first_ && !is_waiting())) ask();
}

bool remote_frame::add(step_info row) {
  if (!row_of_.emplace(row.id, rows_.size()).second) return false;
  now_ = std::max(now_, row.ended_at);
  auto* const op = find_pending(row.id);
  rows_.push_back(std::move(row));
  if (op == nullptr || op->is_finished) return false;
  op->is_finished = true;
  has_finished_ = true;
  return true;
}

// A call sees everything that was recorded before it was made, so two at once would tell the same twice.
bool remote_frame::is_waiting() const noexcept {
  return std::ranges::any_of(pending_, [&](const auto* op) { return asks(*op) && !op->is_finished; });
}

bool remote_frame::is_ready() const noexcept {
  if (state_ != frame_state::suspended || is_waiting()) return false;
  const bool all = std::ranges::all_of(pending_, [](const auto* op) { return op->is_finished; });
  return all || (goes_on_at_first_ && has_finished_);
}

void remote_frame::resume() {
  std::erase_if(pending_, [](const auto* op) { return op->is_finished; });
  std::erase_if(operations_, [](const auto& op) { return op->is_finished; });
  ask();
}

void remote_frame::ask() {
  has_finished_ = false;
  add_operation(std::make_unique<remote_operation>(step_kind::run, call_id(rows_.size())));
}

remote_frame::remote_operation& remote_frame::add_operation(std::unique_ptr<remote_operation> op) {
  pending_.push_back(op.get());
  return *operations_.emplace_back(std::move(op));
}

std::string remote_frame::call_id(std::size_t rows) { return std::string{call_prefix} + std::to_string(rows); }

bool remote_frame::is_call(std::string_view id) noexcept { return id.starts_with(call_prefix); }

bool remote_frame::asks(const detail::operation& op) const noexcept { return op.kind == step_kind::run && is_call(op.id); }

remote::call remote_frame::call_for(const detail::operation& op) const {
  remote::call call{.run = run_, .function = function_, .events = triggers_, .steps = rows_};
  if (!asks(op)) call.step = op.id;
  call.plans_only = asks(op) && pending_.size() > 1;
  return call;
}

void remote_frame::complete(operation_request& request) const {
  const auto found = std::ranges::find_if(operations_, [&](const auto& op) { return op->id == request.step; });
  request.name = (*found)->name;
  // Kept in the record, so that an activation knows them. A call alone needs no record: whoever waits for nothing asks.
  request.is_planned = request.kind == step_kind::run && !(asks(**found) && pending_.size() == 1);
}

std::vector<step_info> remote_frame::rows_of(std::vector<remote::finished_step> steps, std::uint32_t attempts, time_point started_at,
                                             time_point ended_at) const {
  std::vector<step_info> rows;
  for (auto& step : steps) {
    if (row_of_.contains(step.id) || std::ranges::find(rows, step.id, &step_info::id) != rows.end()) continue;
    step_info row{.id = std::move(step.id),
                  .result = std::move(step.result),
                  .error = std::move(step.error),
                  .attempts = attempts,
                  .started_at = started_at,
                  .ended_at = ended_at,
                  .name = std::move(step.name)};
    if (const auto bytes = row.result.bytes().size(); bytes > result_limit_bytes_) {
      row.result = {};
      row.error = recorded_error{.name = "caesura::error",
                                 .message = "the result of step \"" + (row.name.empty() ? row.id : row.name) + "\" has " + std::to_string(bytes) +
                                            " bytes; the limit is " + std::to_string(result_limit_bytes_)};
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::unique_ptr<remote_frame::remote_operation> remote_frame::operation_of(const remote::operation& named) const {
  auto op = std::make_unique<remote_operation>(kind_of(named.kind), named.id);
  op->name = named.name;
  if (named.kind == remote::operation::what::planned) return op;
  auto& terms = op->own_terms();
  terms.delay = named.delay;
  terms.until = named.until;
  terms.event_name = named.event;
  terms.when = named.when;
  if (named.kind == remote::operation::what::wait_for_signal) {
    terms.event_name = signal_event_of(named.signal);
    terms.conflict = named.conflict;
  }
  terms.function = named.function;
  terms.data = named.data;
  terms.user = named.user;
  terms.version = named.version;
  return op;
}

std::optional<std::string> remote_frame::take(const remote::answer& answer, bool has_rows) {
  if (answer.is_completed) {
    state_ = frame_state::completed;
    output_ = answer.output;
    return std::nullopt;
  }
  const auto is_new = [&](const remote::operation& named) { return !row_of_.contains(named.id) && find_pending(named.id) == nullptr; };
  const bool has_operations = std::ranges::any_of(answer.operations, is_new);
  const bool waits = std::ranges::any_of(pending_, [&](const auto* op) { return !asks(*op) && !op->is_finished; });
  const bool has_missed = has_finished_;  // something was finished while the call was out, which is to be told of it
  if (!has_rows && !has_operations && !waits && !answer.asks_again && !has_missed) {
    return "the answer names nothing that was executed and nothing to wait for";
  }
  for (auto* op : pending_) {
    if (asks(*op)) op->is_finished = true;
  }
  std::erase_if(pending_, [](const auto* op) { return op->is_finished; });
  std::erase_if(operations_, [](const auto& op) { return op->is_finished; });
  for (const auto& named : answer.operations) {
    if (is_new(named)) add_operation(operation_of(named));
  }
  // What names nothing new says nothing of how it is waited for; and a race that has been won leaves losers behind, for which nobody waits.
  const bool has_losers = goes_on_at_first_ && !pending_.empty();
  if (answer.goes_on_at_first || has_operations) goes_on_at_first_ = answer.goes_on_at_first || has_losers;
  has_finished_ = false;
  // What was executed and not followed by anything to wait for: there may be more, even beside what is waited for already.
  if (pending_.empty() || answer.asks_again || (has_rows && !has_operations) || (has_missed && goes_on_at_first_)) ask();
  return std::nullopt;
}

void remote_frame::fail(recorded_error error, document details) {
  state_ = frame_state::failed;
  error_ = std::move(error);
  output_ = std::move(details);
}

}  // namespace caesura::actors
