#pragma once

#include <functional>
#include <string>

#include "actors/commands.hpp"

namespace caesura::actors {

// What the router tells whoever observes; called on its thread, so the receiver queues.
struct observations {
  std::function<void(const run_info&)> run_ended{};
  std::function<void(const diagnostic&)> diagnosed{};
};

}  // namespace caesura::actors
