#pragma once

// What the command line and the demo of schedule_reminder.cpp share: the services, the runtime on one directory, and questions
// to it.

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "reminder_functions.hpp"

namespace reminders {

// The services live longer than the runtime whose steps use them, hence the order of the members.
class program {
 public:
  explicit program(const std::string& directory, caesura::observer observer = {})
      : pushes_{made(directory) + "/pushes.log"},
        cleanups_{directory + "/cleanups.log"},
        push_{pushes_},
        database_{cleanups_},
        runtime_{{.directory = directory, .observer = std::move(observer)},
                 {schedule_reminder(push_), cleanup_after_cancel(database_)}} {}

  caesura::runtime& runtime() noexcept { return runtime_; }

  // All runs of a function, newest first; an empty name means both functions.
  std::vector<caesura::run_info> all_runs(const std::string& function = {}) {
    std::vector<caesura::run_info> runs;
    caesura::run_filter filter;
    if (!function.empty()) filter.function = function;
    caesura::page_request part{.limit = 5'000};
    for (;;) {
      auto page = runtime_.list(filter, part);
      std::ranges::move(page.runs, std::back_inserter(runs));
      if (!page.next) return runs;
      part.before = page.next;
    }
  }

  // Runs that have not ended, the next to wake first. A held run is not among them: it waits for a change of the program.
  std::vector<caesura::run_info> open_runs() {
    auto runs = all_runs();
    std::erase_if(runs, [](const auto& run) { return is_ended(run.status) || run.status == caesura::run_status::held; });
    std::ranges::stable_sort(runs, {}, [](const auto& run) { return run.wakes_at.value_or(caesura::time_point{}); });
    return runs;
  }

  // Waits until no run is open and each cancelled reminder has its clean-up run; calls `tell` for each run whose end it has
  // seen.
  template <class F>
  void wait_for_all(F tell) {
    for (;;) {
      const auto open = open_runs();
      for (const auto& run : open) {
        const auto ended = runtime_.wait(run.id, std::chrono::minutes{1});
        if (!ended) break;  // look again: another may have ended, or this one is held
        tell(*ended);
      }
      if (open.empty() && has_clean_up_runs()) return;
      if (open.empty()) std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
  }

 private:
  static const std::string& made(const std::string& directory) {
    std::filesystem::create_directories(directory);
    return directory;
  }

  // The decision to emit inngest/function.cancelled is part of the run's end; the run that it starts follows a moment later.
  bool has_clean_up_runs() {
    const auto runs = all_runs("schedule-reminder");
    const auto cancelled = std::ranges::count(runs, caesura::run_status::cancelled, &caesura::run_info::status);
    return std::cmp_greater_equal(all_runs("cleanup-after-cancel").size(), cancelled);
  }

  effect_log pushes_;
  effect_log cleanups_;
  push_service push_;
  reminder_database database_;
  caesura::runtime runtime_;
};

// Why a run ended as it did: "by event tasks/deleted, rule 0: …", "asked by support", the text of an error.
inline std::string reason_of(const caesura::run_info& run) {
  if (run.error) return run.error->name + ": " + run.error->message;
  if (!run.cancelled_by) return {};
  if (run.cancelled_by->source != caesura::cancel_source::event) return run.cancelled_by->reason;
  effect_log unused{"/dev/null"};
  push_service push{unused};
  const auto rules = schedule_reminder(push).cancel_on;
  const auto rule = static_cast<std::size_t>(run.cancelled_by->rule);
  if (rule >= rules.size()) return "by an event";
  return "by event " + rules[rule].event + ", rule " + std::to_string(rule) + ": " + rules[rule].when;
}

}  // namespace reminders
