#pragma once

#include <cstdint>

#include <caesura/ids.hpp>
#include <caesura/time.hpp>

namespace caesura::storage {

// Issues strictly increasing ids: next = max(clock, last + 1). Within a millisecond, and while the clock is behind the last id, it
// increments the last one; in a new millisecond the low 80 bits are made from `entropy`, top bit clear so that they can grow.
// Deterministic: the same calls give the same ids. One thread.
class id_generator {
 public:
  id_generator() = default;
  explicit id_generator(const position& last) : last_{last} {}

  template <class Id>
  [[nodiscard]] Id next(time_point now, std::uint64_t entropy) {
    return id_cast<Id>(next_position(now, entropy));
  }
  [[nodiscard]] position next_position(time_point now, std::uint64_t entropy);
  [[nodiscard]] const position& last() const noexcept { return last_; }

 private:
  position last_{};
};

}  // namespace caesura::storage
