#pragma once

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace caesura::actors {

// How to take back what a batch did to the router's memory. First remember, then change: whatever throws in between, or half way through the
// change, is taken back; so an entry must do no harm when its change did not happen. Entries are applied newest first. They may allocate; when that
// fails, the process ends, and nothing durable is harmed.
class undo_log {
 public:
  template <class F>
  void add(F&& entry) {
    entries_.emplace_back(std::forward<F>(entry));
  }
  void roll_back() noexcept {
    while (!entries_.empty()) {
      entries_.back()();
      entries_.pop_back();
    }
  }
  void clear() noexcept { entries_.clear(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  std::vector<std::function<void()>> entries_;
};

}  // namespace caesura::actors
