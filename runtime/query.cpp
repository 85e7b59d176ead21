#include "runtime/query.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "actors/transitions/match_filter.hpp"
#include "storage/document_view.hpp"

namespace caesura::detail {

namespace {

constexpr std::size_t runs_a_snapshot = 5'000;
constexpr auto time_a_snapshot = std::chrono::milliseconds{20};

void check_count(std::size_t count, std::size_t limit, const char* what) {
  if (count > limit) {
    throw error{errc::invalid_argument, "the filter names " + std::to_string(count) + " " + what + "; the limit is " + std::to_string(limit)};
  }
}

}  // namespace

void check_text(const std::string& text, const char* what) {
  constexpr std::size_t limit = 4096;
  if (text.size() > limit) {
    throw error{errc::invalid_argument, std::string{what} + " has " + std::to_string(text.size()) + " bytes; the limit is 4096"};
  }
  if (!storage::is_utf8(text)) throw error{errc::invalid_argument, std::string{what} + " is not UTF-8"};
}

void check_page(const page_request& page) {
  constexpr std::size_t page_limit = 5'000;
  if (page.limit == 0 || page.limit > page_limit) {
    throw error{errc::invalid_argument, "list: limit is " + std::to_string(page.limit) + "; it must be 1 to 5000"};
  }
}

void check_replay(const bulk_replay_request& request) {
  check_text(request.by, "bulk_replay_request.by");
  constexpr double highest = 1e6;
  if (!(request.rate_per_second >= 0 && request.rate_per_second <= highest)) {
    throw error{errc::invalid_argument, "rate_per_second is " + std::to_string(request.rate_per_second) + "; it must be 0 (no limit) to 1000000"};
  }
}

actors::compiled_filter check_filter(const run_filter& filter, const actors::limits& limits, time_point now, bool is_bulk) {
  check_count(filter.function.values.size(), limits.filter_items, "functions");
  check_count(filter.run.values.size(), limits.filter_items, "runs");
  for (const auto& function : filter.function.values) {
    if (function.empty()) throw error{errc::invalid_argument, "the filter names a function with an empty id"};
  }
  if (filter.created_after && filter.created_before && *filter.created_after >= *filter.created_before) {
    throw error{errc::invalid_argument, "the filter's window is empty: it begins at " + to_string(*filter.created_after) + " and ends before " +
                                            to_string(*filter.created_before)};
  }
  if (is_bulk) {
    if (filter == run_filter{}) {
      throw error{errc::invalid_argument, "the filter has no condition and would mean every run: name a function, a status, runs, a window or "
                                          "an expression"};
    }
    if (filter.created_before && *filter.created_before > now) {
      throw error{errc::invalid_argument, "the filter's window ends in the future, at " + to_string(*filter.created_before) + "; now is " +
                                              to_string(now)};
    }
    if (filter.created_after && *filter.created_after > now) {
      throw error{errc::invalid_argument,
                  "the filter's window begins in the future, at " + to_string(*filter.created_after) + "; now is " + to_string(now)};
    }
  }
  return actors::compiled_filter::of(filter);
}

std::optional<run_id> run_query::read(const std::optional<run_id>& before, const visitor& visit) {
  damages met;
  auto reached = read(before, visit, met);
  for (const auto& [text, run] : met) told_(text, run);
  return reached;
}

namespace {

std::optional<storage::run_record> find_sound(const storage::snapshot& snapshot, const run_id& id, std::vector<std::pair<std::string, run_id>>& met) {
  try {
    return snapshot.find_run(id);
  } catch (const error& e) {
    if (e.code() != errc::store_corrupt) throw;
    met.emplace_back(e.what(), id);
    return std::nullopt;
  }
}

}  // namespace

bool run_query::is_meant(const storage::snapshot& snapshot, const storage::run_record& run, damages& met) {
  try {
    return actors::matches(filter_, run, function_of(snapshot, run, met), now_, snapshot);
  } catch (const error& e) {
    if (e.code() != errc::store_corrupt) throw;
    met.emplace_back(e.what(), run.id);
    return false;
  }
}

std::optional<run_id> run_query::read(const std::optional<run_id>& before, const visitor& visit, damages& met) {
  const auto snapshot = store_.begin_read();
  const auto ids = candidates(*snapshot, before.value_or(run_id{}));
  const auto until = std::chrono::steady_clock::now() + time_a_snapshot;
  const auto& after = filter_.text.created_after;
  std::optional<run_id> reached = before;
  std::size_t seen = 0;
  for (const auto& id : ids.runs) {
    // An id's time is never before the run's creation.
    if (after && time_of(id) < *after) return std::nullopt;
    reached = id;
    ++seen;
    const auto run = find_sound(*snapshot, id, met);
    if (!run) continue;
    if (is_meant(*snapshot, *run, met) && !visit(*run, function_of(*snapshot, *run, met))) {
      return seen < ids.runs.size() || ids.has_more ? reached : std::nullopt;
    }
    if (std::chrono::steady_clock::now() > until) return seen < ids.runs.size() || ids.has_more ? reached : std::nullopt;
  }
  return ids.has_more ? reached : std::nullopt;
}

bool plan_reader::read_page() {
  constexpr std::size_t sampled = 10;
  before_ = query_.read(before_, [&](const storage::run_record& run, const std::string& function) {
    found_.ids.push_back(run.id);
    ++found_.result.by_status[run.status];
    if (found_.result.sample.size() < sampled) found_.result.sample.push_back(actors::info_of(run, function));
    return true;
  });
  return before_.has_value();
}

plan_reader::found plan_reader::take() {
  std::ranges::reverse(found_.ids);
  found_.result.count = found_.ids.size();
  return std::move(found_);
}

storage::id_page run_query::candidates(const storage::snapshot& snapshot, const run_id& before) const {
  if (!filter_.runs.empty()) {
    storage::id_page page;
    for (auto id = filter_.runs.rbegin(); id != filter_.runs.rend(); ++id) {
      if (!before.is_nil() && *id >= before) continue;
      if (page.runs.size() == runs_a_snapshot) {
        page.has_more = true;
        break;
      }
      page.runs.push_back(*id);
    }
    return page;
  }
  const auto& functions = filter_.text.function.values;
  return snapshot.runs_of(functions.size() == 1 ? functions.front() : std::string{}, before, runs_a_snapshot);
}

const std::string& run_query::function_of(const storage::snapshot& snapshot, const storage::run_record& run, damages& met) {
  const auto found = functions_.find(run.definition);
  if (found != functions_.end()) return found->second;
  std::string function;
  try {
    if (auto definition = snapshot.find_definition(run.definition)) function = std::move(definition->function);
  } catch (const error& e) {
    if (e.code() != errc::store_corrupt) throw;
    met.emplace_back(e.what(), run.id);
  }
  return functions_.emplace(run.definition, std::move(function)).first->second;
}

}  // namespace caesura::detail
