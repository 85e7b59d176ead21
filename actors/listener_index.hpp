#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <absl/container/btree_set.h>

#include <caesura/ids.hpp>

#include "actors/expression/expression.hpp"
#include "storage/records.hpp"

namespace caesura::actors {

// One thing that one run listens for: a cancel rule (slot = its index) or a wait (slot = first_wait_slot + its own number).
struct listener {
  std::string_view event{};
  const expression::compiled* rule{nullptr};
  storage::listener_key key{};
  run_id run{};
  std::uint8_t slot{0};
};

inline constexpr std::uint8_t first_wait_slot = 32;

// Finds the runs that may listen for an event: for each event name and each path that rules of that name compare by `==`, the runs
// by the hash of the value they ask for; and the runs whose rules have no such comparison. Only a filter: the caller evaluates the
// rule. 24 bytes an entry plus the tree's slack. Ordered, so that nothing depends on hash iteration. One thread.
class listener_index {
 public:
  // Nothing for keys that say `never`.
  void insert(const listener& entry);
  void erase(const listener& entry) noexcept;

  // Where a look-up goes on. The index may change between two calls.
  struct cursor {
    std::size_t bucket{0};
    std::uint64_t key{0};
    run_id run{};
    bool is_started{false};
    bool is_done{false};
  };
  // The next at most `limit` candidates for the event, in an order that is a pure function of the index's content. A run stands in it
  // once for each of its listeners.
  [[nodiscard]] std::vector<run_id> candidates(std::string_view event, const expression::event_scope& incoming, std::size_t limit,
                                               cursor& from) const;

  [[nodiscard]] bool has_listener(std::string_view event) const;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  using entry = std::pair<std::uint64_t, run_id>;  // hash in the upper 56 bits, slot in the lower 8
  struct bucket {
    bool is_scan{false};
    expression::index_conjunct path{};  // the async side
    absl::btree_set<entry> entries{};
  };
  struct name_index {
    std::vector<bucket> buckets{};
  };

  // Looked up by name without making a string of it.
  struct name_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
  };

  static bucket* find_bucket(name_index& names, const listener& entry) noexcept;
  static bucket& bucket_for(name_index& names, const listener& entry);
  static entry entry_of(const listener& entry) noexcept;

  std::unordered_map<std::string, name_index, name_hash, std::equal_to<>> names_;
  std::size_t size_ = 0;
};

// The key under which a rule of a run is found: `never` when the value it compares is missing in the triggering event.
[[nodiscard]] storage::listener_key key_of(const expression::compiled& rule, const expression::event_scope& trigger);

}  // namespace caesura::actors
