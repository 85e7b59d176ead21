#pragma once

// Whether some single order explains what several threads were answered: each operation takes effect at one point between its call and its
// answer, and the answers are those that the promises give in that order (Wing and Gong's search, with memory of what was tried).
//
// One history is about one key: an event "go" with a client id, the runs that it and replays made, and the event "stop" that cancels them. Keys
// share nothing, so each is checked alone. Two things happen by themselves, at any time: a run that was asked to end ends cancelled, and a run
// that may complete does.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <caesura/ids.hpp>
#include <caesura/run.hpp>

namespace caesura::testing {

enum class asked : std::uint8_t { start, stop, cancel, replay, read };
enum class told : std::uint8_t { nothing, made, duplicate, conflict, not_ended, cancelled, cancelling, already_cancelled, already_completed, live };

struct operation {
  std::uint64_t called{0};    // ticks of one counter that all threads share
  std::uint64_t answered{0};
  asked what{asked::read};
  run_id run{};               // cancel, replay, read: of which
  int data{0};                // start: what the event carries
  told answer{told::nothing};
  run_id made{};              // made, duplicate
};

// What the promises permit, in one order. A run is in one of the states of its set: which, only an answer tells.
class sequential_runs {
 public:
  explicit sequential_runs(bool may_complete) : may_complete_{may_complete} {}

  // False: no state gives this answer.
  bool take(const operation& op) {
    let_happen();
    switch (op.what) {
      case asked::start:
        if (!data_) {
          data_ = op.data;
          first_ = op.made;
          add(op.made);
          return op.answer == told::made;
        }
        return *data_ == op.data ? op.answer == told::duplicate && op.made == first_ : op.answer == told::conflict;
      case asked::stop:
        for (auto& [run, states] : runs_) {
          if ((states & live) != 0) states = (states & ~live) | asked_to_end;
        }
        return op.answer == told::nothing;
      case asked::cancel: return take_cancel(op);
      case asked::replay: return take_replay(op);
      case asked::read: return narrow(op.run, state_of(op.answer));
    }
    return false;
  }

  [[nodiscard]] std::string text() const {
    std::string all = data_ ? std::to_string(*data_) : "-";
    for (const auto& [run, states] : runs_) all += to_string(run) + std::to_string(states);
    return all;
  }

 private:
  static constexpr unsigned live = 1;
  static constexpr unsigned asked_to_end = 2;
  static constexpr unsigned cancelled = 4;
  static constexpr unsigned completed = 8;

  static unsigned state_of(told answer) {
    switch (answer) {
      case told::live: return live;
      case told::cancelling: return asked_to_end;
      case told::already_cancelled: return cancelled;
      case told::already_completed: return completed;
      case told::nothing:
      case told::made:
      case told::duplicate:
      case told::conflict:
      case told::not_ended:
      case told::cancelled:
        return 0;
    }
    return 0;
  }

  void let_happen() {
    for (auto& [run, states] : runs_) {
      if ((states & asked_to_end) != 0) states |= cancelled;
      if (may_complete_ && (states & live) != 0) states |= completed;
    }
  }
  void add(const run_id& run) { runs_.emplace_back(run, live); }
  unsigned* find(const run_id& run) {
    const auto found = std::ranges::find(runs_, run, &std::pair<run_id, unsigned>::first);
    return found == runs_.end() ? nullptr : &found->second;
  }
  bool narrow(const run_id& run, unsigned to) {
    auto* states = find(run);
    return states != nullptr && (*states &= to) != 0;
  }
  bool take_cancel(const operation& op) {
    auto* states = find(op.run);
    if (states == nullptr) return false;
    if (op.answer == told::cancelled || op.answer == told::cancelling) {
      const auto from = op.answer == told::cancelled ? live : live | asked_to_end;
      if ((*states & from) == 0) return false;
      *states = op.answer == told::cancelled ? cancelled : asked_to_end;
      return true;
    }
    return narrow(op.run, state_of(op.answer));
  }
  bool take_replay(const operation& op) {
    if (op.answer == told::not_ended) return narrow(op.run, live | asked_to_end);
    if (op.answer != told::made || !narrow(op.run, cancelled | completed)) return false;
    add(op.made);
    return true;
  }

  bool may_complete_;
  std::optional<int> data_;
  run_id first_;
  std::vector<std::pair<run_id, unsigned>> runs_;
};

class order_search {
 public:
  order_search(std::vector<operation> history, bool may_complete) : history_{std::move(history)}, done_(history_.size(), false) {
    is_found_ = go_on(sequential_runs{may_complete}, history_.size());
  }
  [[nodiscard]] bool is_found() const noexcept { return is_found_; }

 private:
  bool go_on(const sequential_runs& state, std::size_t left) {
    if (left == 0) return true;
    std::string seen = state.text();
    for (const bool done : done_) seen += done ? 'x' : '.';
    if (!tried_.insert(std::move(seen)).second) return false;
    // Whatever was called after another one had been answered comes after it.
    std::uint64_t first_answer = UINT64_MAX;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (!done_[i]) first_answer = std::min(first_answer, history_[i].answered);
    }
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (done_[i] || history_[i].called > first_answer) continue;
      auto next = state;
      if (!next.take(history_[i])) continue;
      done_[i] = true;
      if (go_on(next, left - 1)) return true;
      done_[i] = false;
    }
    return false;
  }

  std::vector<operation> history_;
  std::vector<bool> done_;
  std::set<std::string> tried_;
  bool is_found_ = false;
};

[[nodiscard]] inline bool is_linearizable(std::vector<operation> history, bool may_complete) {
  return order_search{std::move(history), may_complete}.is_found();
}

[[nodiscard]] inline std::string text_of(const std::vector<operation>& history) {
  static constexpr std::string_view questions[] = {"start", "stop", "cancel", "replay", "read"};
  static constexpr std::string_view answers[] = {"nothing",   "made",       "duplicate",         "conflict",          "not ended",
                                                 "cancelled", "cancelling", "already cancelled", "already completed", "live"};
  std::string text;
  for (const auto& op : history) {
    text += "\n  " + std::to_string(op.called) + ".." + std::to_string(op.answered) + " " + std::string{questions[static_cast<int>(op.what)]} +
            (op.what == asked::start ? " " + std::to_string(op.data) : op.run.is_nil() ? "" : " " + to_string(op.run)) + ": " +
            std::string{answers[static_cast<int>(op.answer)]} + (op.made.is_nil() ? "" : " " + to_string(op.made));
  }
  return text;
}

}  // namespace caesura::testing
