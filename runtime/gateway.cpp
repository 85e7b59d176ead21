#include "runtime/gateway.hpp"

#include <memory>
#include <utility>
#include <variant>

#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>
#include <caf/sec.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/router_state.hpp"
#include "actors/transitions/transitions.hpp"
#include "runtime/runtime_state.hpp"

namespace caesura::detail {

namespace {

// A reply on its way back: executed by the gateway, which alone may fulfil its promises.
struct finish_request {
  std::shared_ptr<std::function<void()>> finish{};
};

}  // namespace

}  // namespace caesura::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::detail::finish_request)

namespace caesura::detail {

namespace {

using gateway_actor = caf::event_based_actor;

caf::error as_caf(const error& why) { return caf::make_error(caf::sec::runtime_error, std::string{why.what()}); }

protocol::event_accepted reply_of(std::vector<actors::accepted_event> accepted) {
  auto& one = accepted.front();
  return {.id = one.id, .runs = std::move(one.runs), .is_duplicate = one.is_duplicate};
}
protocol::cancel_answer reply_of(cancel_outcome outcome) { return {.outcome = outcome}; }
protocol::run_ended reply_of(run_info info) { return {.info = std::move(info)}; }

// Makes a reply_to that fulfils `promise` on the gateway.
template <class T>
actors::reply_to<T> reply_through(gateway_actor* self, caf::response_promise promise) {
  auto shared = std::make_shared<caf::response_promise>(std::move(promise));
  return [gateway = caf::actor{self}, shared](std::variant<T, error> answer) {
    auto finish = [shared, answer = std::move(answer)]() mutable {
      if (auto* refused = std::get_if<error>(&answer)) {
        shared->deliver(as_caf(*refused));
      } else {
        shared->deliver(reply_of(std::move(std::get<T>(answer))));
      }
    };
    caf::anon_send(gateway, finish_request{std::make_shared<std::function<void()>>(std::move(finish))});
  };
}

template <class T, class Make>
void forward(gateway_actor* self, runtime_state& runtime, Make&& make) {
  auto promise = self->make_response_promise();
  try {
    auto body = make(reply_through<T>(self, promise));
    if (!std::is_same_v<decltype(body), actors::watch_run>) runtime.admit();
    runtime.post(std::move(body));
  } catch (const error& e) {
    promise.deliver(as_caf(e));
  }
}

protocol::run_found find(runtime_state& runtime, const run_id& id) {
  const auto snapshot = runtime.store().begin_read();
  const auto found = snapshot->find_run(id);
  if (!found) return {};
  return {.exists = true, .info = actors::info_of(*found, runtime.function_of(*snapshot, *found))};
}

caf::behavior gateway_behavior(gateway_actor* self, runtime_state* runtime) {
  return {
      [=](const protocol::send_event& request) {
        forward<std::vector<actors::accepted_event>>(self, *runtime, [&](auto reply) {
          if (auto fault = actors::fault_of(request.value, runtime->limits())) throw error{errc::invalid_event, *fault};
          return actors::accept_events{.events = {request.value}, .reply = std::move(reply)};
        });
      },
      [=](const protocol::cancel_run& request) {
        forward<cancel_outcome>(self, *runtime, [&](auto reply) {
          return actors::cancel_run{.run = request.run, .reason = request.reason, .reply = std::move(reply)};
        });
      },
      [=](const protocol::get_run& request) {
        auto promise = self->make_response_promise();
        try {
          promise.deliver(find(*runtime, request.run));
        } catch (const error& e) {
          promise.deliver(as_caf(e));
        }
      },
      [=](const protocol::watch_run& request) {
        forward<run_info>(self, *runtime, [&](auto reply) {
          return actors::watch_run{.run = request.run, .token = runtime->next_token(), .reply = std::move(reply)};
        });
      },
      [](const finish_request& request) { (*request.finish)(); },
  };
}

}  // namespace

router_handle spawn_gateway(caf::actor_system& system, runtime_state& runtime) {
  return caf::actor_cast<router_handle>(system.spawn<caf::hidden>(gateway_behavior, &runtime));
}

}  // namespace caesura::detail
