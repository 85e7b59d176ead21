#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <caesura/filter.hpp>
#include <caesura/ids.hpp>
#include <caesura/run.hpp>
#include <caesura/time.hpp>

namespace caesura {

// What a preview found, and pinned: `token` stands for exactly these runs, for 24 h, in every process that opens the directory.
struct plan {
  plan_id token{};
  run_filter filter{};
  time_point made_at{};
  std::size_t count{0};
  std::map<run_status, std::size_t> by_status{};  // as read
  std::vector<run_info> sample{};                 // the newest, at most 10
};

struct bulk_cancel_request {
  std::string reason{};
  std::string by{};
};

struct bulk_replay_request {
  std::string from_step{};    // empty: from the beginning; else the results recorded before this step are kept, by its id ("ship:1", "notify[0]") or, of code elsewhere, its name
  double rate_per_second{0};  // 0: as fast as it goes
  std::string by{};
};

// How a bulk job stands; a copy, as read.
struct bulk_progress {
  enum class state : std::uint8_t { working, stopped, done };

  bulk_id id{};
  bool is_replay{false};
  state status{state::working};  // it stays working when part of its plan is damaged: the observer is told, and it can be stopped
  run_filter filter{};
  std::string reason{};
  std::string by{};
  time_point started_at{};
  std::optional<time_point> ended_at{};
  std::uint64_t matched{0};        // runs that are meant, as far as looked at; with a token: all of them
  std::uint64_t cancelled{0};
  std::uint64_t cancelling{0};     // found executing a step: they end cancelled once it has completed
  std::uint64_t already_ended{0};  // meant by the token but ended before, or cancelled by somebody else
  std::uint64_t replayed{0};
  std::uint64_t refused{0};        // could not be replayed; the observer is told why, of the first ten
  std::uint64_t left{0};           // still to be looked at, at most
  double per_second{0};            // looked at, since the start
};

struct replay_request {
  std::string from_step{};  // empty: from the beginning; else the results recorded before this step are kept
};

struct pause_request {
  running_runs under_way{running_runs::let_finish};
  std::string reason{};
  std::string by{};
};

struct pause_answer {
  bool was_paused{false};  // before; what is done with runs under way has changed to what was asked now
  bulk_id cancelling{};    // running_runs::cancel: the bulk job that does it
};

struct resume_request {
  bool replay_skipped{false};   // the runs that were skipped meanwhile are replayed, oldest first
  double rate_per_second{0};    // of these replays; 0: as fast as it goes
};

struct resume_answer {
  bool was_paused{false};
  std::uint64_t skipped{0};  // runs skipped during the pause
  bulk_id replaying{};       // the bulk job that replays them; nil: none
};

// A function as this process and the store know it.
struct function_info {
  std::string id{};
  bool is_registered{false};  // this process can execute it
  bool is_paused{false};
  running_runs under_way{running_runs::let_finish};
  std::string pause_reason{};
  std::optional<time_point> paused_at{};
  std::uint64_t skipped{0};
};

}  // namespace caesura
