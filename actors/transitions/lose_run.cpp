#include <utility>

#include "actors/planted_faults.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

void interrupt_run(turn& now, const run_ptr& run) {
  auto after = *run;
  if (after.cancelled_by && !is_planted(fault::cancel_forgotten_by_restart)) {
    end_run(now, *run, std::move(after), run_status::cancelled);
    return;
  }
  // Past the limit the interrupted step is recorded as failed, which resets the count. That not even this can be recorded means that
  // the body itself takes the process down.
  const int hopeless = now.state.limits.interruptions + 3;
  // Code that is elsewhere takes no process of ours down.
  const auto* fn = now.state.functions->find(now.state.definition_of(*run).record.function);
  if (fn != nullptr && fn->code.remote) {
    start_or_queue(now, *run, std::move(after));
    return;
  }
  if (++after.interruptions > hopeless) {
    after.error = recorded_error{.name = step_interrupted, .message = "the process ended " + std::to_string(after.interruptions) +
                                                                          " times while this run executed"};
    end_run(now, *run, std::move(after), run_status::failed);
    return;
  }
  start_or_queue(now, *run, std::move(after));
}

void apply(turn& now, const lost_run& command) {
  auto& state = now.state;
  const auto* live = state.live.find(command.run, command.activation);
  if (live == nullptr) return;
  auto run = live->record;
  now.say("the actor of run " + text_of(command.run) + " ended unexpectedly: " + command.reason, command.run);
  drop_actor(now, command.run);
  run = settle_sweeps(now, run);
  if (run == nullptr) return;
  if (run->status == run_status::running) {
    interrupt_run(now, run);
  } else {
    queue_run(state, *run);
  }
}

}  // namespace caesura::actors
