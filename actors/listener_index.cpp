#include "actors/listener_index.hpp"

#include <algorithm>

namespace caesura::actors {

namespace {

constexpr std::uint64_t hash_bits = ~std::uint64_t{0xFF};

}  // namespace

listener_index::entry listener_index::entry_of(const listener& entry) noexcept {
  const std::uint64_t hash = entry.key.how == storage::listener_key::mode::hashed ? entry.key.hash & hash_bits : 0;
  return {hash | entry.slot, entry.run};
}

listener_index::bucket* listener_index::find_bucket(name_index& names, const listener& entry) noexcept {
  const bool is_scan = entry.key.how == storage::listener_key::mode::scan;
  const auto found = std::ranges::find_if(names.buckets, [&](const bucket& b) {
    return b.is_scan == is_scan && (is_scan || b.path.async_path == entry.rule->conjunct()->async_path);
  });
  return found == names.buckets.end() ? nullptr : &*found;
}

listener_index::bucket& listener_index::bucket_for(name_index& names, const listener& entry) {
  if (auto* const found = find_bucket(names, entry)) return *found;
  bucket added{.is_scan = entry.key.how == storage::listener_key::mode::scan};
  if (!added.is_scan) added.path.async_path = entry.rule->conjunct()->async_path;
  return names.buckets.emplace_back(std::move(added));
}

void listener_index::insert(const listener& entry) {
  if (entry.key.how == storage::listener_key::mode::never) return;
  auto& target = bucket_for(names_[std::string{entry.event}], entry);
  if (target.entries.insert(entry_of(entry)).second) ++size_;
}

void listener_index::erase(const listener& entry) noexcept {
  if (entry.key.how == storage::listener_key::mode::never) return;
  const auto found = names_.find(entry.event);
  if (found == names_.end()) return;
  auto& buckets = found->second.buckets;
  if (auto* const bucket = find_bucket(found->second, entry)) size_ -= bucket->entries.erase(entry_of(entry));
  // Signals have names of their own, which would add up. With several buckets the name stays: cursors count them.
  if (buckets.size() == 1 && buckets.front().entries.empty()) names_.erase(found);
}

std::vector<run_id> listener_index::candidates(std::string_view event, const expression::event_scope& incoming, std::size_t limit,
                                               cursor& from) const {
  std::vector<run_id> found;
  const auto names = names_.find(event);
  if (names == names_.end()) {
    from.is_done = true;
    return found;
  }
  const auto& buckets = names->second.buckets;
  for (; from.bucket < buckets.size(); ++from.bucket, from.is_started = false) {
    const bucket& b = buckets[from.bucket];
    std::uint64_t low = 0;
    if (!b.is_scan) {
      const auto hash = expression::async_hash(b.path, incoming);
      if (!hash) continue;
      low = *hash & hash_bits;
    }
    const std::uint64_t high = low | 0xFF;
    auto at = from.is_started ? b.entries.upper_bound(entry{from.key, from.run}) : b.entries.lower_bound(entry{low, run_id{}});
    for (; at != b.entries.end() && at->first <= high; ++at) {
      if (found.size() == limit) return found;
      found.push_back(at->second);
      from.key = at->first;
      from.run = at->second;
      from.is_started = true;
    }
  }
  from.is_done = true;
  return found;
}

bool listener_index::has_listener(std::string_view event) const {
  const auto names = names_.find(event);
  return names != names_.end() &&
         std::ranges::any_of(names->second.buckets, [](const bucket& b) { return !b.entries.empty(); });
}

storage::listener_key key_of(const expression::compiled& rule, const expression::event_scope& trigger) {
  using mode = storage::listener_key::mode;
  const auto& conjunct = rule.conjunct();
  if (!conjunct) return {.how = mode::scan};
  const auto hash = expression::event_hash(*conjunct, trigger);
  if (!hash) return {.how = mode::never};
  return {.how = mode::hashed, .hash = *hash};
}

}  // namespace caesura::actors
