#pragma once

#include <atomic>
#include <cstdint>

namespace caesura::actors {

// Decides, for one live run, whether a step starts before or after the run's cancel. A step thread passes it to start a step; the
// router closes it once the cancel is durable and before the cancel is answered. Any thread.
class start_gate {
 public:
  // False once closed: the step does not start.
  [[nodiscard]] bool try_pass() noexcept {
    auto seen = state_.load(std::memory_order_relaxed);
    while ((seen & closed_bit) == 0) {
      if (state_.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) return true;
    }
    return false;
  }
  // No step passes after this.
  void close() noexcept { state_.fetch_or(closed_bit, std::memory_order_acq_rel); }
  // How many steps have passed; final once closed.
  [[nodiscard]] std::uint32_t passed() const noexcept { return state_.load(std::memory_order_acquire) & ~closed_bit; }

 private:
  static constexpr std::uint32_t closed_bit = 0x8000'0000U;
  std::atomic<std::uint32_t> state_{0};
};

}  // namespace caesura::actors
