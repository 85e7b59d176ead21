#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include "actors/clock.hpp"
#include "actors/observation.hpp"
#include "actors/router_state.hpp"
#include "actors/run_actor.hpp"

namespace caesura::actors {

// What the router actor is made of; all that is pointed to outlives it.
struct router_parts {
  storage::store* store{nullptr};
  std::unique_ptr<router_state> state{};
  const actors::clock* clock{nullptr};
  step_executor* steps{nullptr};
  std::function<void(std::optional<time_point>)> set_alarm{};  // called on the router's thread
  std::function<void()> took_command{};                        // once for each command taken from outside
  observations observer{};
  order_watch watch{};
  std::uint64_t seed{0};
  std::shared_ptr<actor_count> runs{};
  // executor::post_last, if the program executes the actors: a batch ends behind everything that is ready then.
  std::function<void(std::function<void()>)> post_last{};
  bool is_detached{true};  // false: runs on the scheduler
};

// Spawns the router. End it with an exit message once it has answered stop_runs.
[[nodiscard]] caf::actor spawn_router(caf::actor_system& system, router_parts parts);

}  // namespace caesura::actors
