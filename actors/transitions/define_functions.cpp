#include <utility>

#include "actors/transitions/flow_control.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

// Runs keep the rules that they were created with; which code executes them is the newest. What was held because its function was missing goes on.
void apply(turn& now, const define_functions& command) {
  auto& state = now.state;
  for (const auto& fn : command.functions->all()) {
    now.tx.intern_definition(fn.stored->record, now.tell_damage());
    state.definitions.emplace(fn.stored->hash, fn.stored);  // known for good: what refers to it is what is taken back
  }
  const auto before = state.functions;
  state.undo.add([&state, before] { state.functions = before; });
  state.functions = command.functions;
  state.queue.set_limits(*state.functions, state.undo);
  pause_unread_functions(now);
  enter_flow(now);
  for (const auto& fn : command.functions->all()) {
    if (before->find(fn.code.id) == nullptr) try_held_runs(now, fn.code.id, now.next_id<position>());
  }
  now.answer(command.reply, std::monostate{});
}

}  // namespace caesura::actors
