#pragma once

// Opt-in, for programs made of CAF actors: what may be said to a runtime's router. Includes CAF. Messages are structs; every reply comes
// after the commit. A request that times out is unknown, not failed: send it again with the same event id.

#include <string>
#include <vector>

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <caesura/event.hpp>
#include <caesura/run.hpp>

namespace caesura::protocol {

// As runtime.send. What runtime.send throws arrives as an error: caf::sec::runtime_error with the text.
struct send_event {
  event value{};
};
struct event_accepted {
  event_id id{};
  std::vector<run_id> runs{};
  bool is_duplicate{false};
};

// As runtime.cancel.
struct cancel_run {
  run_id run{};
  std::string reason{};
};
struct cancel_answer {
  cancel_outcome outcome{cancel_outcome::unknown_run};
};

// As runtime.get.
struct get_run {
  run_id run{};
};
struct run_found {
  bool exists{false};
  run_info info{};
};

// Answered once the run has ended, at once if it has. An unknown run is an error.
struct watch_run {
  run_id run{};
};
struct run_ended {
  run_info info{};
};

}  // namespace caesura::protocol

namespace caesura {

using router_handle = caf::typed_actor<caf::replies_to<protocol::send_event>::with<protocol::event_accepted>,
                                       caf::replies_to<protocol::cancel_run>::with<protocol::cancel_answer>,
                                       caf::replies_to<protocol::get_run>::with<protocol::run_found>,
                                       caf::replies_to<protocol::watch_run>::with<protocol::run_ended>>;

}  // namespace caesura

// The runtime is in this process: its messages are not sent over a network.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::send_event)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::event_accepted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::cancel_run)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::cancel_answer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::get_run)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::run_found)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::watch_run)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::protocol::run_ended)
