#pragma once

#include <caesura/time.hpp>

namespace caesura::actors {

// Where the shells read the time; tests give one that stands still. Any thread.
class clock {
 public:
  virtual ~clock() = default;
  [[nodiscard]] virtual time_point now() const = 0;
};

class system_clock final : public clock {
 public:
  time_point now() const override { return std::chrono::floor<duration>(std::chrono::system_clock::now()); }
};

}  // namespace caesura::actors
