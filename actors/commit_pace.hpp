#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace caesura::actors {

// How long the first command of a commit waits for others to come along (group commit). Each commit and each wake-up costs the same whether one command
// is in it or fifty; when many runs wait for slow steps, their commands come one by one, and nobody notices if each waits a little.
//
// "A little" is an eighth of what a run needs from one command to the next, which by Little's law is the number of runs under way times the mean time
// between two commands. Few runs, or quick ones, therefore wait next to nothing. Pure: no clock of its own. One thread.
class commit_pace {
 public:
  using length = std::chrono::nanoseconds;

  // `most`: the longest wait; zero: never any. `siblings`: fewer runs under way than this wait for nobody.
  commit_pace(length most, std::size_t siblings) : most_{most}, siblings_{siblings} {}

  // A commit of so many commands ended `since_last` after the one before. An hour without any counts no more than the longest wait, or the first of a
  // busy time would wait as if it were a slow one.
  void committed(std::size_t commands, length since_last) {
    if (commands == 0) return;
    const auto each = std::min(since_last / static_cast<length::rep>(commands), most_);
    interval_ += (each - interval_) / smoothing;
  }
  [[nodiscard]] length wait(std::size_t under_way) const {
    if (most_ == length::zero() || under_way < siblings_) return length::zero();
    return std::min(most_, interval_ * static_cast<length::rep>(under_way) / share);
  }

 private:
  static constexpr int smoothing = 8;  // commits until two thirds of a change are seen
  static constexpr int share = 8;

  length most_;
  std::size_t siblings_;
  length interval_{0};  // between two commands, smoothed
};

}  // namespace caesura::actors
