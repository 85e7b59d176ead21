#include <algorithm>

#include "actors/transitions/match_filter.hpp"
#include "storage/document_writer.hpp"

namespace caesura::actors {

namespace {

// `run` as expressions see it.
document run_scope(const storage::run_record& run, std::string_view function, time_point now) {
  std::uint32_t attempt = 1;
  for (const auto& p : run.pending) attempt = std::max(attempt, p.failed_attempts + 1);
  storage::document_writer out;
  out.map(5).text("id").text(to_string(run.id)).text("function").text(function).text("status").text(to_string(run.status));
  out.text("attempt").integer(attempt).text("age").integer((now - run.created_at).count());
  return out.finish();
}

template <class T>
bool is_among(const std::vector<T>& values, const T& value) {
  return values.empty() || std::ranges::find(values, value) != values.end();
}

}  // namespace

bool can_match(const compiled_filter& filter, const storage::run_record& run, const std::string& function) {
  const auto& text = filter.text;
  return is_among(text.function.values, function) && is_among(text.status.values, run.status) &&
         (filter.runs.empty() || std::ranges::binary_search(filter.runs, run.id)) &&
         (!text.created_after || run.created_at >= *text.created_after) && (!text.created_before || run.created_at < *text.created_before);
}

bool matches(const compiled_filter& filter, const storage::run_record& run, const std::string& function, time_point now,
             const storage::snapshot& tx, std::string* fault) {
  if (!can_match(filter, run, function)) return false;
  if (filter.when.is_always_true()) return true;
  const auto trigger = tx.find_event(run.event);
  if (!trigger) {
    if (fault != nullptr) *fault = "the event of run " + to_string(run.id) + " is not stored any more";
    return false;
  }
  const scope_of event{*trigger};
  const auto shown = run_scope(run, function, now);
  const expression::event_scope second{.data = storage::document_view{shown.bytes()}};
  const auto verdict = filter.when.matches(*event, &second);
  if (verdict.error && fault != nullptr) *fault = "the filter's when fails for run " + to_string(run.id) + ": " + *verdict.error;
  return verdict.matches;
}

}  // namespace caesura::actors
