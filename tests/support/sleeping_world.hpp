#pragma once

#include "tests/support/world.hpp"

namespace caesura::testing {

// A world with a function that rests and can be cancelled.
struct sleeping_world : world {
  int executed = 0;

  // Sleeps a day; "stop" with its id cancels it.
  function sleeper(const char* id = "f", const char* event = "go") {
    return {.id = id,
            .triggers = {{.event = event}},
            .cancel_on = {{.event = "stop", .when = "event.data.id == async.data.id"}},
            .body = [this](context step) -> task<> {
              co_await step.sleep_for("day", days{1});
              ++executed;
            }};
  }
};

}  // namespace caesura::testing
