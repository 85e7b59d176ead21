#include "actors/passed_events.hpp"

#include <algorithm>

#include "actors/router_state.hpp"

namespace caesura::actors {

std::span<const passed_events::passed> passed_events::behind(const std::string& event, const expression::index_conjunct& path, const event_id& from, std::size_t enough,
                                                             const reader& read) {
  auto name = event;
  for (const auto& part : path.async_path) name.append(1, '\0').append(part);
  if (size_ >= capacity) forget();
  auto& known = series_[name];
  if (known.events.empty() || from < known.from) {  // else it goes on behind what is known
    size_ -= known.events.size();
    known = {.from = from};
  }
  const auto first_behind = [&] { return std::ranges::upper_bound(known.events, from, {}, &passed::id); };
  auto left = enough - std::min<std::size_t>(enough, static_cast<std::size_t>(known.events.end() - first_behind()));
  const auto last = known.events.empty() ? known.from : known.events.back().id;
  if (known.events.end() - first_behind() <= static_cast<std::ptrdiff_t>(enough)) {
    read(last, [&](const storage::event_record& record) {
      if (record.id <= last) return true;
      const scope_of scope{record};
      known.events.push_back({.id = record.id, .hash = expression::async_hash(path, *scope)});
      ++size_;
      return left-- > 0;
    });
  }
  const auto first = first_behind();
  return {first, known.events.end()};
}

void passed_events::forget() noexcept {
  series_.clear();
  size_ = 0;
}

}  // namespace caesura::actors
