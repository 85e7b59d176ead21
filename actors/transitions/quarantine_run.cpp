#include <utility>

#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

void apply(turn& now, const quarantine_run& command) {
  auto& state = now.state;
  const auto run = settle_sweeps(now, find_live(now, command.run));
  if (const auto* live = state.live.find(command.run)) {
    now.out.emplace_back(order_run{.run = command.run, .activation = live->activation, .order = order_kind::end});
    drop_actor(now, command.run);
  }
  const bool is_cancelled = run != nullptr && run->cancelled_by;
  now.say("run " + text_of(command.run) + (is_cancelled ? " ends cancelled, and " : " is held: ") + command.why, command.run);
  if (run == nullptr) return;
  if (is_cancelled) {  // nothing of it goes on, and whoever cleans up is told
    end_run(now, *run, *run, run_status::cancelled);
    return;
  }
  auto after = *run;
  after.status = run_status::held;
  after.held_because = command.why;
  replace_run(now, *run, std::move(after));
}

}  // namespace caesura::actors
