#include "actors/run_actor.hpp"

#include <optional>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

namespace caesura::actors {

namespace {

struct run_state {
  std::shared_ptr<void> counted;  // first, so that it goes last
  std::shared_ptr<const registered_function> function;  // what the driver refers to, so that it ends after it. Owners: activations, its table
  std::optional<run_driver> driver;
  std::optional<event> trigger;  // of a run that has recorded nothing
  run_id run;
  actors::activation activation{0};
  caf::actor router;
  std::vector<event_id> events;
  storage::store* store = nullptr;
};

using run_actor = caf::stateful_actor<run_state>;

struct run_start {
  run_actor_parts parts;
  caf::actor router;
  activate order;
  std::shared_ptr<start_gate> gate;
  std::shared_ptr<void> counted{};
};

run_driver::ports ports_of(run_actor* self, const run_start& start) {
  return {.to_router = [router = start.router](command_body body) { post(router, std::move(body)); },
          .start = [steps = start.parts.steps](std::shared_ptr<step_job> job) { steps->submit(std::move(job)); },
          .bind = [self](step_job& job) {
            // A strong handle: the actor and its frame stay until the outcome of an executing step is back.
            job.done = [handle = caf::actor{self}](step_outcome outcome) { send_to_run(handle, std::move(outcome)); };
          }};
}

void begin(run_state& state) {
  if (state.trigger) {
    state.driver->begin({std::move(*state.trigger)}, {});
    return;
  }
  std::vector<event> triggers;
  std::vector<step_info> rows;
  {
    const auto snapshot = state.store->begin_read();
    for (const auto& id : state.events) {
      const auto trigger = snapshot->find_event(id);
      if (!trigger) throw error{errc::store_corrupt, "table events: the event " + to_string(id) + " of run " + to_string(state.run) + " is not stored"};
      triggers.push_back(public_event(*trigger));
    }
    rows = snapshot->steps_of(state.run);
  }
  state.driver->begin(std::move(triggers), std::move(rows));
}

// The body is not begun. What is recorded of the run is damaged: it is held until somebody cancels it or the next start tries again. Or it could not be read
// just now, which is no fault of the run: it is queued again.
void give_back(run_actor* self, const error& why) {
  auto& state = self->state;
  state.driver->take(order_run{.run = state.run, .activation = state.activation, .order = order_kind::end});
  const bool is_damaged = why.code() == errc::store_corrupt;
  post(state.router, advance_run{.run = state.run,
                                 .activation = state.activation,
                                 .next = is_damaged ? next_kind::held : next_kind::left,
                                 .held_because = why.what()});
}

void deliver(run_actor* self, run_letter& letter) {
  auto& state = self->state;
  if (!letter.message) {
    try {
      begin(state);
    } catch (const error& e) {
      if (e.code() != errc::store_corrupt && !is_passing(e.code())) throw;
      give_back(self, e);
    }
    return;
  }
  std::visit([&](auto& message) { state.driver->take(std::move(message)); }, *letter.message);
}

caf::behavior run_behavior(run_actor* self, const std::shared_ptr<run_start>& start) {
  auto& state = self->state;
  state.counted = std::move(start->counted);
  state.trigger = std::move(start->order.trigger);
  state.run = start->order.run;
  state.activation = start->order.activation;
  state.router = start->router;
  state.events = storage::events_of(*start->order.record);
  state.store = start->parts.store;
  state.function = start->order.function;
  state.driver.emplace(std::move(start->order), start->gate, *state.function, *start->parts.limits, ports_of(self, *start));
  return {[self](const run_envelope& message) {
    auto& state = self->state;
    try {
      deliver(self, *message.open());
    } catch (const std::exception& e) {
      state.driver->fail(e.what());
    } catch (...) {
      state.driver->fail("something that is no std::exception");
    }
    if (state.driver->is_done()) self->quit();
  }};
}

}  // namespace

std::shared_ptr<void> actor_count::enter() {
  {
    const std::lock_guard lock{mutex_};
    ++count_;
  }
  return {this, [me = shared_from_this()](void*) { me->leave(); }};  // which leaves when it cannot be made
}

void actor_count::leave() {
  const std::lock_guard lock{mutex_};
  if (--count_ == 0) changed_.notify_all();
}

void actor_count::wait_for_none() {
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [this] { return count_ == 0; });
}

void post(const caf::actor& router, command_body body) {
  caf::anon_send(router, router_envelope{std::make_shared<const command>(command{std::move(body)})});
}

void send_to_run(const caf::actor& run, run_message message) {
  caf::anon_send(run, run_envelope{std::make_shared<run_letter>(run_letter{std::move(message)})});
}

void order_run_ahead(const caf::actor& run, order_run message) {
  caf::anon_send<caf::message_priority::high>(run, run_envelope{std::make_shared<run_letter>(run_letter{message})});
}

caf::actor spawn_run(caf::actor_system& system, const run_actor_parts& parts, caf::actor router, activate order,
                     std::shared_ptr<start_gate> gate) {
  auto start = std::make_shared<run_start>(run_start{parts, std::move(router), std::move(order), std::move(gate), parts.count ? parts.count->enter() : nullptr});
  auto handle = system.spawn<caf::lazy_init + caf::hidden>(run_behavior, std::move(start));
  caf::anon_send(handle, run_envelope{std::make_shared<run_letter>()});
  return handle;
}

}  // namespace caesura::actors
