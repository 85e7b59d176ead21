#pragma once

#include <memory>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include "actors/commands.hpp"
#include "actors/envelope.hpp"
#include "actors/limits.hpp"
#include "actors/router_state.hpp"
#include "actors/step_job.hpp"
#include "storage/store.hpp"

namespace caesura::actors {

// What run actors share; outlives them.
struct run_actor_parts {
  storage::store* store{nullptr};
  const actors::limits* limits{nullptr};
  step_executor* steps{nullptr};
};

// Spawns the actor of one activation and tells it to begin. It ends by itself.
[[nodiscard]] caf::actor spawn_run(caf::actor_system& system, const run_actor_parts& parts, caf::actor router, activate order,
                                   std::shared_ptr<start_gate> gate);

void send_to_run(const caf::actor& run, run_message message);
void order_run_ahead(const caf::actor& run, order_run message);

// Posts a command behind what waits already.
void post(const caf::actor& router, command_body body);

}  // namespace caesura::actors
