#pragma once

#include <functional>
#include <optional>
#include <unordered_map>
#include <string>
#include <vector>

#include <caesura/runtime.hpp>

#include "actors/router_state.hpp"
#include "storage/store.hpp"

namespace caesura::detail {

class runtime_state;

// Refuses a text for people beyond 4 KiB or that is not UTF-8: error{invalid_argument} naming `what`.
void check_text(const std::string& text, const char* what);

// Throws error{invalid_argument} naming the limit of 5,000 runs a page.
void check_page(const page_request& page);

void check_replay(const bulk_replay_request& request);

// Throws error{invalid_argument} or error{invalid_expression} naming what is wrong. `is_bulk`: conditions are needed, and a window must
// have ended, so that the filter means now what it will mean when it is carried out.
[[nodiscard]] actors::compiled_filter check_filter(const run_filter& filter, const actors::limits& limits, time_point now, bool is_bulk);

// Reads the runs that a filter means, newest first, on the caller's thread, in snapshots of at most 5,000 runs or 20 ms each.
class run_query {
 public:
  // Told of a damaged record that a page has passed over, once the page's snapshot is gone.
  using damage = std::function<void(const std::string& text, const run_id&)>;

  run_query(const storage::store& store, actors::compiled_filter filter, time_point now, damage told)
      : store_{store}, filter_{std::move(filter)}, now_{now}, told_{std::move(told)} {}

  // One snapshot: calls `visit` for each match created before `before` until it returns false. Returns where to go on; nullopt: there is
  // no more.
  using visitor = std::function<bool(const storage::run_record&, const std::string& function)>;
  std::optional<run_id> read(const std::optional<run_id>& before, const visitor& visit);

 private:
  using damages = std::vector<std::pair<std::string, run_id>>;
  std::optional<run_id> read(const std::optional<run_id>& before, const visitor& visit, damages& met);
  [[nodiscard]] bool is_meant(const storage::snapshot& snapshot, const storage::run_record& run, damages& met);
  [[nodiscard]] storage::id_page candidates(const storage::snapshot& snapshot, const run_id& before) const;
  const std::string& function_of(const storage::snapshot& snapshot, const storage::run_record& run, damages& met);  // empty: its definition is damaged

  const storage::store& store_;
  const actors::compiled_filter filter_;
  const time_point now_;
  const damage told_;
  std::unordered_map<std::uint64_t, std::string> functions_;  // by definition
};

// Makes a plan, a page at a time.
class plan_reader {
 public:
  plan_reader(const storage::store& store, run_filter text, actors::compiled_filter filter, time_point now, run_query::damage told)
      : query_{store, std::move(filter), now, std::move(told)}, found_{.result = {.filter = std::move(text), .made_at = now}} {}

  struct found {
    plan result{};            // without its token
    std::vector<run_id> ids{};  // ascending
  };
  // Reads one snapshot; false when it was the last.
  bool read_page();
  [[nodiscard]] found take();

 private:
  run_query query_;
  std::optional<run_id> before_;
  found found_;
};

// As runtime.timeline and runtime.explain.
[[nodiscard]] std::vector<timeline_entry> timeline_of(const runtime_state& runtime, const run_id& id);
[[nodiscard]] explanation explain(const runtime_state& runtime, const event_id& event, const run_id& id);

[[nodiscard]] bulk_progress progress_of(const bulk_id& id, const storage::bulk_record& job, time_point now);

}  // namespace caesura::detail
