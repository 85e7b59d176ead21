#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include "actors/commands.hpp"
#include "actors/envelope.hpp"
#include "actors/limits.hpp"
#include "actors/router_state.hpp"
#include "actors/step_job.hpp"
#include "storage/store.hpp"

namespace caesura::actors {

// How many run actors there are. Any thread.
class actor_count : public std::enable_shared_from_this<actor_count> {
 public:
  // Counts one until the last copy is gone.
  [[nodiscard]] std::shared_ptr<void> enter();
  void wait_for_none();

 private:
  void leave();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
};

// What run actors share; outlives them.
struct run_actor_parts {
  storage::store* store{nullptr};
  const actors::limits* limits{nullptr};
  step_executor* steps{nullptr};
  std::shared_ptr<actor_count> count{};  // null: who ends the actor system waits for them all
};

// Spawns the actor of one activation and tells it to begin. It ends by itself.
[[nodiscard]] caf::actor spawn_run(caf::actor_system& system, const run_actor_parts& parts, caf::actor router, activate order,
                                   std::shared_ptr<start_gate> gate);

void send_to_run(const caf::actor& run, run_message message);
void order_run_ahead(const caf::actor& run, order_run message);

// Posts a command behind what waits already.
void post(const caf::actor& router, command_body body);

}  // namespace caesura::actors
