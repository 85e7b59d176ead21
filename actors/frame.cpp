#include "actors/frame.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <typeinfo>
#include <utility>

#include "storage/document_view.hpp"

namespace caesura::actors {

namespace {

std::string readable(const std::type_info& type) {
  int status = 0;
  char* const name = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
  std::string result = status == 0 && name != nullptr ? name : type.name();
  std::free(name);  // NOLINT: __cxa_demangle allocates with malloc
  return result;
}

}  // namespace

recorded_error describe_current_exception() {
  const std::type_info* const type = abi::__cxa_current_exception_type();
  recorded_error result{.name = type != nullptr ? readable(*type) : "unknown", .message = {}};
  try {
    throw;
  } catch (const std::exception& e) {
    result.message = e.what();
  } catch (const std::string& text) {
    result.message = text;
  } catch (const char* text) {
    result.message = text;
  } catch (...) {
    result.message = "an exception that is no std::exception";
  }
  return result;
}

frame::frame(const function_body& body, run_id run, event trigger, time_point begun, std::vector<step_info> rows)
    : body_{body}, run_{run}, trigger_{std::move(trigger)}, now_{begun}, rows_{std::move(rows)} {
  row_of_.reserve(rows_.size());
  for (std::size_t i = 0; i < rows_.size(); ++i) row_of_.emplace(rows_[i].id, i);
}

frame::~frame() = default;

void frame::start() {
  try {
    const detail::inside_body mark;
    instance_ = body_.start(context{*this}, trigger_);
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

void frame::resume() {
  pending_.clear();
  {
    const detail::inside_body mark;
    std::exchange(leaf_, {}).resume();
  }
  settle_if_done();
}

void frame::settle_if_done() {
  if (!instance_->handle().done()) return;
  try {
    output_ = instance_->take();
    state_ = frame_state::completed;
  } catch (...) {
    error_ = describe_current_exception();
    state_ = frame_state::failed;
  }
}

bool frame::add(step_info row) {
  if (!row_of_.emplace(row.id, rows_.size()).second) return false;
  detail::operation* const op = find_pending(row.id);
  rows_.push_back(std::move(row));
  if (op == nullptr || op->is_finished) return false;
  take_row(*op, rows_.size() - 1);
  if (!op->is_finished) return false;
  --unfinished_;
  return true;
}

detail::operation* frame::find_pending(std::string_view id) const noexcept {
  const auto found = std::ranges::find_if(pending_, [&](const detail::operation* op) { return op->id == id; });
  return found == pending_.end() ? nullptr : *found;
}

bool frame::admit(detail::operation& op) {
  if (const auto uses = uses_of(op.id); uses > 0) op.id.append(1, ':').append(std::to_string(uses));
  const auto place = find_row(op.id);
  if (!place) return false;
  take_row(op, *place);
  return op.is_finished;
}

void frame::take_row(detail::operation& op, std::size_t place) {
  const step_info& row = rows_[place];
  op.row = place;
  if (op.finish(row)) {
    now_ = std::max(now_, row.ended_at);
  } else {
    hold(op);
  }
}

void frame::hold(const detail::operation& op) {
  if (state_ == frame_state::held) return;
  state_ = frame_state::held;
  held_because_ = "the recorded result of step \"" + op.id + "\" no longer fits the code: " + op.undecodable;
}

void frame::suspend(std::coroutine_handle<> leaf, std::span<detail::operation* const> pending, detail::until when) {
  until_ = when;
  leaf_ = leaf;
  pending_.assign(pending.begin(), pending.end());
  unfinished_ = pending_.size();
}

std::uint32_t frame::uses_of(std::string_view id) { return uses_[std::string{id}]++; }

std::optional<std::size_t> frame::find_row(std::string_view id) const {
  if (row_of_.empty()) return std::nullopt;
  const auto found = row_of_.find(std::string{id});
  return found == row_of_.end() ? std::nullopt : std::optional{found->second};
}

std::string frame::uuid(std::string_view name) {
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
