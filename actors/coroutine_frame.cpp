#include "actors/coroutine_frame.hpp"

#include <algorithm>
#include <utility>

#include "storage/document_view.hpp"

namespace caesura::actors {

coroutine_frame::coroutine_frame(const function_body& body, run_id run, std::vector<event> triggers, time_point begun, std::vector<step_info> rows)
    : frame{begun}, body_{body}, run_{run}, triggers_{std::move(triggers)}, rows_{std::move(rows)} {
  row_of_.reserve(rows_.size());
  for (std::size_t i = 0; i < rows_.size(); ++i) row_of_.emplace(rows_[i].id, i);
}

coroutine_frame::~coroutine_frame() = default;

void coroutine_frame::start() {
  try {
    const detail::inside_body mark;
    instance_ = body_.start(context{*this}, triggers_);
  } catch (const class error& e) {
    error_ = describe_current_exception();
    state_ = frame_state::failed;
    // A run under way is not failed by a new binary that reads its event differently.
    if (e.code() == errc::result_type && !rows_.empty()) {
      state_ = frame_state::held;
      held_because_ = "the triggering event's data no longer fits the code: " + error_.message;
    }
    return;
  } catch (...) {
    error_ = describe_current_exception();
    state_ = frame_state::failed;
    return;
  }
  leaf_ = instance_->handle();
  resume();
}

void coroutine_frame::resume() {
  pending_.clear();
  {
    const detail::inside_body mark;
    std::exchange(leaf_, {}).resume();
  }
  settle_if_done();
}

void coroutine_frame::settle_if_done() {
  if (state_ == frame_state::held || !instance_->handle().done()) return;
  try {
    output_ = instance_->take();
    state_ = frame_state::completed;
  } catch (...) {
    error_ = describe_current_exception();
    state_ = frame_state::failed;
  }
}

bool coroutine_frame::add(step_info row) {
  if (!row_of_.emplace(row.id, rows_.size()).second) return false;
  detail::operation* const op = find_pending(row.id);
  rows_.push_back(std::move(row));
  if (op == nullptr || op->is_finished) return false;
  take_row(*op, rows_.size() - 1);
  if (!op->is_finished) return false;
  --unfinished_;
  return true;
}

bool coroutine_frame::admit(detail::operation& op) {
  if (auto ordinal = uses_of(op.id); ordinal > 0) {
    // Not one that the body has used itself. The same at every replay, because it depends on nothing but the ids before it.
    auto id = op.id + ':' + std::to_string(ordinal);
    while (uses_.contains(id)) id = op.id + ':' + std::to_string(++ordinal);
    uses_.emplace(id, 1);
    op.id = std::move(id);
  }
  const auto place = find_row(op.id);
  if (!place) return false;
  take_row(op, *place);
  return op.is_finished;
}

void coroutine_frame::take_row(detail::operation& op, std::size_t place) {
  const step_info& row = rows_[place];
  op.row = place;
  if (op.finish(row)) {
    now_ = std::max(now_, row.ended_at);
  } else {
    hold(op);
  }
}

void coroutine_frame::hold(const detail::operation& op) {
  if (state_ == frame_state::held) return;
  state_ = frame_state::held;
  held_because_ = "the recorded result of step \"" + op.id + "\" no longer fits the code: " + op.undecodable;
}

void coroutine_frame::suspend(std::coroutine_handle<> leaf, std::span<detail::operation* const> pending, detail::until when) {
  until_ = when;
  leaf_ = leaf;
  pending_.assign(pending.begin(), pending.end());
  unfinished_ = pending_.size();
}

std::uint32_t coroutine_frame::uses_of(std::string_view id) { return uses_[std::string{id}]++; }

std::optional<std::size_t> coroutine_frame::find_row(std::string_view id) const {
  if (row_of_.empty()) return std::nullopt;
  const auto found = row_of_.find(std::string{id});
  return found == row_of_.end() ? std::nullopt : std::optional{found->second};
}

std::string coroutine_frame::uuid(std::string_view name) {
  std::string seed{reinterpret_cast<const char*>(run_.bytes.data()), run_.bytes.size()};
  seed += name;
  seed += '#' + std::to_string(uses_of("\x01uuid/" + std::string{name}));
  const std::uint64_t high = (storage::hash_text(seed + "/high") & 0xFFFF'FFFF'FFFF'0FFFULL) | 0x8000ULL;               // version 8
  const std::uint64_t low = (storage::hash_text(seed + "/low") & 0x3FFF'FFFF'FFFF'FFFFULL) | 0x8000'0000'0000'0000ULL;  // variant 10
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (int nibble = 0; nibble < 32; ++nibble) {
    if (nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20) text += '-';
    const std::uint64_t half = nibble < 16 ? high : low;
    text += digits[(half >> (60 - 4 * (nibble % 16))) & 0xF];
  }
  return text;
}

}  // namespace caesura::actors
