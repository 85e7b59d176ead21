#include <caesura/runtime.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

#include <caesura/actor_access.hpp>

#include "actors/frame.hpp"
#include "actors/router_state.hpp"
#include "actors/transitions/transitions.hpp"
#include "runtime/query.hpp"
#include "runtime/runtime_state.hpp"

namespace caesura {

namespace {

sent sent_of(actors::accepted_event accepted) {
  auto id = accepted.client_id.empty() || accepted.client_id.starts_with(seed_prefix) ? to_string(accepted.id) : std::move(accepted.client_id);
  return {.id = accepted.id, .event = std::move(id), .runs = std::move(accepted.runs), .is_duplicate = accepted.is_duplicate};
}

// Refuses what can never be accepted, on the caller's thread, before the router sees it.
void check_events(std::span<const event> events, const actors::limits& limits) {
  if (events.size() > limits.events_per_send) {
    throw error{errc::invalid_event, "one send has " + std::to_string(events.size()) + " events; the limit is " +
                                         std::to_string(limits.events_per_send)};
  }
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (auto fault = actors::fault_of(events[i], limits)) {
      throw error{errc::invalid_event, events.size() == 1 ? *fault : "events[" + std::to_string(i) + "]: " + *fault};
    }
    bytes += actors::size_of(events[i]);
  }
  if (bytes > limits.send_bytes) {
    throw error{errc::invalid_event,
                "one send has " + std::to_string(bytes) + " bytes; the limit is " + std::to_string(limits.send_bytes)};
  }
}

void check_steps(std::vector<remote::finished_step>& steps) {
  for (auto& step : steps) {
    detail::check_step_id(step.id);
    if (step.error) step.error = actors::storable(std::move(*step.error));
  }
}

}  // namespace

runtime::runtime(options options, std::vector<function> functions)
    : state_{std::make_unique<detail::runtime_state>(std::move(options), std::move(functions), nullptr)} {}

runtime::runtime(options options, std::vector<function> functions, detail::environment& environment)
    : state_{std::make_unique<detail::runtime_state>(std::move(options), std::move(functions), &environment)} {}

runtime::~runtime() = default;

sent runtime::send(const event& value) { return std::move(send(std::span{&value, 1}).front()); }

std::vector<sent> runtime::send(std::span<const event> values) {
  state_->check_caller("runtime.send");
  check_events(values, state_->limits());
  if (values.empty()) return {};
  state_->admit();
  auto accepted = state_->ask<std::vector<actors::accepted_event>>(
      [&](auto reply) { return actors::accept_events{.events = {values.begin(), values.end()}, .reply = std::move(reply)}; });
  std::vector<sent> result;
  for (auto& one : accepted.value()) result.push_back(sent_of(std::move(one)));
  return result;
}

std::optional<run_id> runtime::send_signal(const std::string& name, const document& data) {
  state_->check_caller("runtime.send_signal");
  if (const auto fault = actors::fault_of_signal(name, data, state_->limits())) throw error{errc::invalid_argument, *fault};
  state_->admit();
  return state_
      ->ask<std::optional<run_id>>([&](auto reply) { return actors::send_signal{.name = name, .data = data, .reply = std::move(reply)}; })
      .value();
}

cancel_outcome runtime::cancel(const run_id& run, const cancel_request& request) {
  state_->check_caller("runtime.cancel");
  detail::check_text(request.reason, "the reason");
  detail::check_text(request.by, "cancel_request.by");
  state_->admit();
  return state_
      ->ask<cancel_outcome>(
          [&](auto reply) { return actors::cancel_run{.run = run, .reason = request.reason, .by = request.by, .reply = std::move(reply)}; })
      .value();
}

void runtime::define(std::vector<function> functions) {
  state_->check_caller("runtime.define");
  state_->define(std::move(functions));
}

remote::checkpoint_outcome runtime::checkpoint(const run_id& run, std::uint64_t activation, std::vector<remote::finished_step> steps) {
  state_->check_caller("runtime.checkpoint");
  check_steps(steps);
  state_->admit();
  return state_
      ->ask<remote::checkpoint_outcome>([&](auto reply) {
        return actors::checkpoint_run{.run = run, .activation = activation, .steps = std::move(steps), .reply = std::move(reply)};
      })
      .value();
}

void runtime::checkpoint(const run_id& run, std::uint64_t activation, std::vector<remote::finished_step> steps,
                         std::function<void(std::variant<remote::checkpoint_outcome, error>)> done) {
  state_->check_caller("runtime.checkpoint");
  check_steps(steps);
  state_->admit();
  state_->post(actors::checkpoint_run{.run = run, .activation = activation, .steps = std::move(steps), .reply = std::move(done)});
}

std::optional<run_info> runtime::get(const run_id& run) const {
  state_->check_caller("runtime.get");
  std::vector<run_info> one;
  {
    const auto snapshot = state_->store().begin_read();
    const auto found = snapshot->find_run(run);
    if (!found) return std::nullopt;
    one.push_back(actors::info_of(*found, state_->function_of(*snapshot, *found)));
  }
  state_->add_places(one);  // waits for the router, which must not wait for a snapshot
  return std::move(one.front());
}

std::optional<event_info> runtime::find_event(const event_id& event) const {
  state_->check_caller("runtime.find_event");
  auto found = state_->store().begin_read()->find_event(event);
  if (!found) return std::nullopt;
  event_info info{.id = found->id, .event = actors::public_event(*found), .received_at = found->received_at};
  info.runs = std::move(found->runs);
  return info;
}

std::vector<step_info> runtime::steps(const run_id& run) const {
  state_->check_caller("runtime.steps");
  return state_->store().begin_read()->steps_of(run);
}

run_page runtime::list(const run_filter& filter, const page_request& request) const {
  state_->check_caller("runtime.list");
  detail::check_page(request);
  const auto now = state_->now();
  detail::run_query query{state_->store(), detail::check_filter(filter, state_->limits(), now, false), now, state_->damage_teller()};
  run_page page;
  page.next = request.before;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{1};
  do {
    page.next = query.read(page.next, [&](const storage::run_record& run, const std::string& function) {
      page.runs.push_back(actors::info_of(run, function));
      return page.runs.size() < request.limit;
    });
  } while (page.next && page.runs.size() < request.limit && std::chrono::steady_clock::now() < until);
  state_->add_places(page.runs);
  return page;
}

std::optional<run_info> runtime::wait(const run_id& run, duration timeout) {
  state_->check_caller("runtime.wait");
  const auto token = state_->next_token();
  auto ended = state_->ask<run_info>(
      [&](auto reply) { return actors::watch_run{.run = run, .token = token, .reply = std::move(reply)}; }, timeout);
  if (!ended) state_->post(actors::unwatch_run{.token = token});
  return ended;
}

document runtime::completed_output(const run_id& run) const {
  const auto info = get(run);
  if (!info) throw error{errc::unknown_run, "no run " + to_string(run) + " is stored"};
  if (info->status != run_status::completed) {
    throw error{errc::run_not_completed, "run " + to_string(run) + " has no result: it is " + std::string{to_string(info->status)}};
  }
  return info->output;
}

std::vector<std::string> runtime::stop(duration deadline) {
  state_->check_caller("runtime.stop");
  return state_->stop(deadline);
}

router_handle router_of(runtime& runtime) { return runtime.internals().gateway(); }

}  // namespace caesura
