#include "actors/router_actor.hpp"

#include <cstdio>
#include <exception>
#include <thread>
#include <unordered_map>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/router.hpp"

namespace caesura::actors {

namespace {

struct handle_of_run {
  actors::activation activation;
  caf::actor actor;
};

struct router_actor_state {
  std::unordered_map<run_id, handle_of_run> runs;
  std::optional<router> core;
};

using router_actor = caf::stateful_actor<router_actor_state>;

router::ports ports_of(router_actor* self, const std::shared_ptr<router_parts>& parts, const run_actor_parts& shared) {
  auto* const runs = &self->state.runs;
  auto* const system = &self->system();
  return {
      .to_self = [self](command_body body) { post(caf::actor{self}, std::move(body)); },
      .request_flush =
          [self, post_last = parts->post_last] {
            auto ask = [handle = caf::actor{self}] { caf::anon_send(handle, flush_request{}); };
            post_last ? post_last(std::move(ask)) : ask();
          },
      .spawn =
          [self, runs, system, shared](activate order, std::shared_ptr<start_gate> gate) {
            const auto run = order.run;
            const auto activation = order.activation;
            (*runs)[run] = {activation, spawn_run(*system, shared, caf::actor{self}, std::move(order), std::move(gate))};
          },
      .resume =
          [runs](const run_id& run, resume_run message) {
            const auto found = runs->find(run);
            if (found != runs->end() && found->second.activation == message.activation) send_to_run(found->second.actor, std::move(message));
          },
      .order =
          [runs](const run_id& run, order_run message) {
            const auto found = runs->find(run);
            if (found != runs->end() && found->second.activation == message.activation) order_run_ahead(found->second.actor, message);
          },
      .forget =
          [runs](const run_id& run, activation life) {
            const auto found = runs->find(run);
            if (found != runs->end() && found->second.activation == life) runs->erase(found);
          },
      .start = [steps = parts->steps](std::shared_ptr<step_job> job) { steps->submit(std::move(job)); },
      .set_alarm = parts->set_alarm,
      .sleep = parts->is_detached ? [](std::chrono::nanoseconds length) { std::this_thread::sleep_for(length); }
                                  : std::function<void(std::chrono::nanoseconds)>{},
      .observer = parts->observer,
      .watch = parts->watch,
  };
}

// Commands and commits answer for what fails in them. What fails beyond, while what is durable is let out, cannot be made good: memory would disagree with the
// store, and whoever waits would wait for ever. The next start recovers.
template <class Work>
void without_return(Work&& work) noexcept {
  try {
    work();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "caesura: the process ends, because the router cannot go on: %s\n", e.what());
    std::terminate();
  }
}

caf::behavior router_behavior(router_actor* self, const std::shared_ptr<router_parts>& parts) {
  auto& state = self->state;
  const run_actor_parts shared{.store = parts->store,
                               .limits = &parts->state->limits,
                               .steps = parts->steps,
                               .count = parts->runs};
  auto ports = ports_of(self, parts, shared);
  state.core.emplace(*parts->store, std::move(parts->state), *parts->clock, parts->seed, std::move(ports));
  return {
      [self, took = parts->took_command](const router_envelope& message) {
        const auto& command = message.open();
        if (is_admitted(command->body)) took();
        without_return([&] { self->state.core->take(command); });
      },
      [self](flush_request) { without_return([&] { self->state.core->flush(); }); },
  };
}

}  // namespace

caf::actor spawn_router(caf::actor_system& system, router_parts parts) {
  const bool is_detached = parts.is_detached;
  auto shared = std::make_shared<router_parts>(std::move(parts));
  if (is_detached) return system.spawn<caf::detached + caf::hidden>(router_behavior, std::move(shared));
  return system.spawn<caf::hidden>(router_behavior, std::move(shared));
}

}  // namespace caesura::actors
