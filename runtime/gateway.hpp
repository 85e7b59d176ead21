#pragma once

#include <caf/actor_system.hpp>

#include <caesura/protocol.hpp>

namespace caesura::detail {

class runtime_state;

// Spawns the actor that turns typed requests into the router's commands and the router's answers into replies. It blocks nobody: an
// answer comes back to it as a message.
[[nodiscard]] router_handle spawn_gateway(caf::actor_system& system, runtime_state& runtime);

}  // namespace caesura::detail
