#pragma once

#include <cstdint>
#include <string>

namespace caesura::cli {

// Asks on standard error whether to go on, and reads the answer from standard input. False: anything but yes. Throws std::runtime_error with
// `question` and what to do instead when standard input is no terminal: a script says --yes.
[[nodiscard]] bool is_confirmed(const std::string& question);

// How far a long piece of work is, on one line of standard error that is written over; nothing when that is no terminal.
class progress_bar {
 public:
  explicit progress_bar(std::string what);
  // Leaves the line.
  ~progress_bar();
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;

  // `total`: as far as known, and may grow.
  void show(std::uint64_t done, std::uint64_t total);

 private:
  const std::string what_;
  const bool is_shown_;
  bool is_begun_ = false;
};

}  // namespace caesura::cli
