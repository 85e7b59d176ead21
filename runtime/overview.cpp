#include <caesura/runtime.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

#include "actors/router_state.hpp"
#include "runtime/runtime_state.hpp"

namespace caesura {

namespace {

constexpr std::size_t events_a_snapshot = 5'000;
constexpr auto time_a_snapshot = std::chrono::milliseconds{20};
constexpr auto time_a_page = std::chrono::seconds{1};

// The first id of a millisecond.
event_id first_id_at(time_point time) {
  auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(time.time_since_epoch().count(), 0));
  event_id id;
  for (std::size_t i = 6; i > 0; --i) {
    id.bytes[i - 1] = static_cast<std::uint8_t>(ms);
    ms >>= 8U;
  }
  return id;
}

void check(const event_filter& filter, const event_page_request& page) {
  constexpr std::size_t page_limit = 5'000;
  if (page.limit == 0 || page.limit > page_limit) {
    throw error{errc::invalid_argument, "list_events: limit is " + std::to_string(page.limit) + "; it must be 1 to 5000"};
  }
  if (filter.received_after && filter.received_before && *filter.received_after >= *filter.received_before) {
    throw error{errc::invalid_argument, "the filter's window is empty: it begins at " + to_string(*filter.received_after) + " and ends before " +
                                            to_string(*filter.received_before)};
  }
}

event_info info_of(storage::event_record&& stored) {
  event_info info{.id = stored.id, .event = actors::public_event(stored), .received_at = stored.received_at};
  info.runs = std::move(stored.runs);
  return info;
}

// One snapshot's part of a page. False: there is no more.
bool read_events(const storage::snapshot& snapshot, const event_filter& filter, std::size_t limit, event_page& page, const storage::damage_visitor& damaged) {
  const auto until = std::chrono::steady_clock::now() + time_a_snapshot;
  bool has_more = false;
  std::size_t seen = 0;
  const auto visit = [&](const storage::event_record& stored) {
    if (filter.received_after && time_of(stored.id) < *filter.received_after) return false;
    if (page.events.size() == limit || seen == events_a_snapshot || std::chrono::steady_clock::now() > until) {
      has_more = true;
      return false;
    }
    ++seen;
    page.next = stored.id;
    const bool is_system = stored.name.starts_with("inngest/") || is_signal_event(stored.name) || stored.name.starts_with("caesura/invoke:");
    if (filter.system == system_events::included || !is_system) page.events.push_back(info_of(storage::event_record{stored}));
    return true;
  };
  snapshot.each_event_before(filter.name, page.next.value_or(event_id{}), visit, damaged);
  return has_more;
}

}  // namespace

event_page runtime::list_events(const event_filter& filter, const event_page_request& request) const {
  state_->check_caller("runtime.list_events");
  check(filter, request);
  event_page page{.next = request.before};
  if (filter.received_before) {
    const auto end = first_id_at(*filter.received_before);
    if (end.is_nil()) return {};  // before the first time of all, where no event is
    if (!page.next || end < *page.next) page.next = end;
  }
  const auto until = std::chrono::steady_clock::now() + time_a_page;
  bool has_more = true;
  while (has_more && page.events.size() < request.limit && std::chrono::steady_clock::now() < until) {
    has_more = read_events(*state_->store().begin_read(), filter, request.limit, page, state_->pass_over());
  }
  if (!has_more) page.next = std::nullopt;
  return page;
}

runtime_stats runtime::stats() const {
  state_->check_caller("runtime.stats");
  constexpr std::size_t most_counted = 100'000;
  runtime_stats stats{.waiting_commands = state_->waiting_commands(), .store_bytes = state_->store().file_size_bytes()};
  const auto snapshot = state_->store().begin_read();
  stats.open_runs = snapshot->live_count();
  const auto count = [&](run_status status) {
    ++stats.open_by_status[status];
    return ++stats.counted < most_counted;
  };
  snapshot->each_live_status(count, state_->pass_over());
  return stats;
}

}  // namespace caesura
