#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include <caesura/executor.hpp>
#include <caesura/observer.hpp>
#include <caesura/time.hpp>

namespace caf {
class actor_system;
}

namespace caesura {

// How a runtime is set up. Sizes in bytes. A limit is named in the error that it causes; runtime/README.md has those that are no options.
struct options {
  std::string directory{};                 // made when missing; one runtime at a time may use it
  std::size_t step_threads{64};            // steps that execute at once; grown on demand
  std::size_t scheduler_threads{0};        // run actors between steps; 0: one a core. Not used with `actor_system`
  std::size_t live_runs{2'000};            // runs that hold a coroutine; more wait in the queue, durable
  std::size_t waiting_commands{100'000};   // sends and cancels in flight before `overloaded`
  std::size_t map_size_bytes{std::size_t{1} << 40};  // the most the file may grow to; an address range, not disk or memory
  std::uint64_t live_state_bytes{std::uint64_t{1} << 30};  // recorded results of all live runs; beyond it more wait in the queue
  duration keep_runs{days{7}};              // ended runs, with their steps; then purged
  duration keep_events{days{7}};            // events that no stored run needs; at least 24 h
  // A commit may wait so long for more commands to share it, while at least `commit_siblings` runs are under way, and never longer than an eighth of what
  // these need from one command to the next: less work for the machine when many runs have slow steps, for answers that come so much later. None waits
  // where that could save but a few commits, as with quick steps. Zero: never.
  duration commit_delay{0};
  std::size_t commit_siblings{16};
  duration slow_step{std::chrono::minutes{10}};  // the observer is told of a step that executes longer; zero: never
  caesura::observer observer{};
  // Borrowed: the program's event loop; it outlives the runtime. Actors and commits then have no threads of their own but are executed by it, and observers
  // are called on its thread (of what the constructor finds, on the constructor's): what one leads to in another costs no wake-up, which is less work for
  // the machine as long as one core is enough for it. On that thread calls that wait for the runtime (send, cancel, wait, stop) throw
  // error{wrong_thread}; reading is fine. `commit_delay` is then the loop's own affair (executor::post_last). Steps keep their threads. Null: threads of the
  // runtime's own. Not with `actor_system`.
  caesura::executor* executor{nullptr};
  // Borrowed: the runtime's actors live in it, and it outlives the runtime. Null: the runtime has one of its own. Its scheduler should
  // use the policy "sharing": work stealing walks its queue and starves long ones, which is told as a diagnostic.
  caf::actor_system* actor_system{nullptr};
};

}  // namespace caesura
