#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <caesura/time.hpp>

namespace caesura::actors {

inline constexpr std::size_t error_text_bytes = 16 * 1024;  // of the name of a recorded error, and of its message: what is longer is cut

// Every bound of the engine, so that no transaction, message or memory is unbounded. The runtime's options set some of them; the README of runtime/
// tells users of all that they can meet.
struct limits {
  std::size_t event_bytes{512 * 1024};
  std::size_t events_per_send{5'000};
  std::size_t send_bytes{16 * 1024 * 1024};
  std::size_t event_id_bytes{256};
  std::size_t event_name_bytes{255};
  std::size_t function_id_bytes{128};
  std::size_t triggers_per_function{10};
  std::size_t cancel_rules_per_function{20};
  std::uint32_t retries{20};
  std::size_t step_result_bytes{4 * 1024 * 1024};
  std::uint64_t run_state_bytes{32 * 1024 * 1024};
  std::uint32_t steps_per_run{10'000};
  std::size_t waits_at_once{200};           // of one run
  std::size_t look_back_events{10'000};
  std::size_t live_runs{2'000};
  std::uint64_t live_state_bytes{std::uint64_t{1} << 30};  // recorded results of all live runs
  std::size_t concurrency_entries{2};       // of one function
  std::uint8_t nesting{100};                // runs invoked by runs invoked by runs …
  std::size_t filter_items{10'000};         // functions, or run ids, of one filter
  std::size_t bulk_slice{200};              // runs of a bulk job between other commands; benchmarks/bulk_cancel: 500 is 1.4 times as fast, and a send waits 1.6 times as long
  std::size_t purge_slice{500};             // records looked at by a purge between other commands
  duration keep_runs{days{7}};              // ended runs
  duration keep_events{days{7}};
  duration keep_plans{std::chrono::hours{24}};
  duration purge_every{std::chrono::hours{1}};
  std::size_t sweep_threshold{1'000};       // an event with more candidate listeners becomes a sweep
  std::size_t sweep_slice{250};             // candidates looked at between other commands
  std::size_t timers_per_turn{256};
  std::size_t outbox_per_turn{100};
  std::size_t commands_per_batch{1'000};
  std::size_t bytes_per_batch{8 * 1024 * 1024};
  std::chrono::steady_clock::duration time_per_batch{std::chrono::milliseconds{5}};  // that its commands take, not that passes between them
  std::chrono::nanoseconds commit_delay{0};  // see commit_pace
  std::size_t commit_siblings{16};
  std::uint8_t interruptions{3};            // a step that was executing at more crashes than this fails
  std::uint8_t depth{3};                    // runs started by system events about runs started by system events …
  duration parks_above{std::chrono::seconds{1}};  // a longer rest gives up the coroutine
  duration event_memory{std::chrono::hours{24}};
};

}  // namespace caesura::actors
