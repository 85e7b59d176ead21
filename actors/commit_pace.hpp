#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace caesura::actors {

// How long the first command of a commit waits for others to come along (group commit). Each commit and each wake-up costs the same whether one command
// is in it or fifty; when many runs wait for slow steps, their commands come one by one, and nobody notices if each waits a little.
//
// "A little" is an eighth of what a run needs from one command to the next, which by Little's law is the number of runs under way times the mean time
// between two commands. A wait that could save no more than a few commits is not worth it, so quick runs never wait: on a busy machine commands come in
// while the commit before is made, and a wait would only let cores idle. Pure: no clock of its own. One thread.
class commit_pace {
 public:
  using length = std::chrono::nanoseconds;

  // `most`: the longest wait; zero: never any. `siblings`: fewer runs under way than this wait for nobody.
  commit_pace(length most, std::size_t siblings) : most_{most}, siblings_{siblings} {}

  // A commit of so many commands took `took` from its first one on, waiting not counted, and ended `since_last` after the one before. An hour without
  // any counts no more than the longest wait, or the first of a busy time would wait as if it were a slow one.
  void committed(std::size_t commands, length took, length since_last) {
    if (commands == 0) return;
    add(commands_, static_cast<double>(commands));
    add(elapsed_, static_cast<double>(std::min(since_last, most_).count()));
    add(took_, static_cast<double>(std::min(took, most_).count()));
  }
  [[nodiscard]] length wait(std::size_t under_way) const {
    if (most_ == length::zero() || under_way < siblings_ || commands_ <= 0) return length::zero();
    const auto wait = elapsed_ / commands_ * static_cast<double>(under_way) / share;
    return wait < few * took_ ? length::zero() : std::min(most_, length{static_cast<length::rep>(wait)});
  }

 private:
  // Means of the last commits, the newest counting most; of each by itself, because most commands come in large commits.
  static void add(double& mean, double value) { mean += (value - mean) / 8; }

  static constexpr double share = 8;
  static constexpr double few = 4;

  length most_;
  std::size_t siblings_;
  double commands_ = 0;
  double elapsed_ = 0;  // ns
  double took_ = 0;     // ns
};

}  // namespace caesura::actors
