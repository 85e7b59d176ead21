#pragma once

#include <functional>
#include <string>

#include "actors/commands.hpp"
#include "storage/store.hpp"

namespace caesura::actors {

// What the router tells whoever observes; called on its thread, so the receiver queues.
struct observations {
  std::function<void(const run_info&)> run_ended{};
  std::function<void(const diagnostic&)> diagnosed{};
};

struct router_state;

// What a test watches: the router's commands one by one, in the order that decides every race. Null outside tests. Called on the router's
// thread; must not throw.
struct order_watch {
  std::function<void()> applying{};  // a command is about to be taken; may throw: it is then as if a transition had
  // The command was taken in the open transaction; nothing of it is durable yet. May throw like `applying`.
  std::function<void(const command_body&, const storage::snapshot&, const router_state&)> applied{};
  std::function<void()> committed{};   // all that was applied is durable; nothing has left yet
  std::function<void()> taken_back{};  // all that was applied since the last commit is undone
};

}  // namespace caesura::actors
