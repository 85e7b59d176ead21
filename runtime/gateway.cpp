#include "runtime/gateway.hpp"

#include <algorithm>
#include <functional>
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
#include "runtime/query.hpp"
#include "runtime/runtime_state.hpp"

namespace caesura::detail {

namespace {

// What the gateway does in its turn: it alone may fulfil its promises.
struct finish_request {
  std::shared_ptr<std::function<void()>> finish{};
};

}  // namespace

}  // namespace caesura::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::detail::finish_request)

namespace caesura::detail {

namespace {

using gateway_actor = caf::event_based_actor;

// Also what is no error of ours, memory that fails: whoever asked is told, and the gateway goes on.
caf::error as_caf(const std::exception& why) { return caf::make_error(caf::sec::runtime_error, std::string{why.what()}); }

protocol::event_accepted reply_of(std::vector<actors::accepted_event> accepted) {
  auto& one = accepted.front();
  return {.id = one.id, .runs = std::move(one.runs), .is_duplicate = one.is_duplicate};
}
protocol::cancel_answer reply_of(cancel_outcome outcome) { return {.outcome = outcome}; }
protocol::signal_answer reply_of(const std::optional<run_id>& run) { return {.is_resumed = run.has_value(), .run = run.value_or(run_id{})}; }
protocol::run_ended reply_of(run_info info) { return {.info = std::move(info)}; }

protocol::bulk_started reply_of(bulk_id bulk) { return {.bulk = bulk}; }
protocol::bulk_stopped reply_of(bool was_working) { return {.was_working = was_working}; }
protocol::run_replayed reply_of(run_id run) { return {.run = run}; }
protocol::function_paused reply_of(const actors::paused_function& paused) {
  return {.answer = {.was_paused = paused.was_paused, .cancelling = paused.cancelling}};
}
protocol::function_resumed reply_of(const actors::resumed_function& resumed) {
  return {.answer = {.was_paused = resumed.was_paused, .skipped = resumed.skipped}};
}

void in_turn(const caf::actor& gateway, std::function<void()> what) {
  caf::anon_send(gateway, finish_request{std::make_shared<std::function<void()>>(std::move(what))});
}

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
    in_turn(gateway, std::move(finish));
  };
}

template <class T, class Make>
void forward(gateway_actor* self, runtime_state& runtime, Make&& make) {
  auto promise = self->make_response_promise();
  try {
    auto body = make(reply_through<T>(self, promise));
    if (!std::is_same_v<decltype(body), actors::watch_run>) runtime.admit();
    runtime.post(std::move(body));
  } catch (const std::exception& e) {
    promise.deliver(as_caf(e));
  }
}

protocol::run_found find(runtime_state& runtime, const run_id& id) {
  const auto snapshot = runtime.store().begin_read();
  const auto found = snapshot->find_run(id);
  if (!found) return {};
  return {.exists = true, .info = actors::info_of(*found, runtime.function_of(*snapshot, *found))};
}

protocol::bulk_found find(runtime_state& runtime, const bulk_id& id) {
  const auto job = runtime.store().begin_read()->find_bulk(id);
  if (!job) return {};
  return {.exists = true, .progress = progress_of(id, *job, runtime.now())};
}

protocol::runs_listed list(runtime_state& runtime, const protocol::list_runs& request) {
  check_page(request.page);
  run_query query{runtime.store(), check_filter(request.filter, runtime.limits(), runtime.now(), false), runtime.now(), runtime.damage_teller()};
  protocol::runs_listed listed;
  auto& page = listed.page;
  page.next = query.read(request.page.before, [&](const storage::run_record& run, const std::string& function) {
    page.runs.push_back(actors::info_of(run, function));
    return page.runs.size() < request.page.limit;
  });
  return listed;
}

protocol::bulk_jobs_listed list_jobs(runtime_state& runtime, std::size_t limit) {
  protocol::bulk_jobs_listed listed;
  const auto damaged = [&](const position&, const error& e) { runtime.tell_damage(e.what(), {}); };
  for (const auto& [id, job] : runtime.store().begin_read()->newest_bulks(limit, damaged)) listed.jobs.push_back(progress_of(id, job, runtime.now()));
  return listed;
}

template <class Find>
void answer(gateway_actor* self, Find&& found) {
  auto promise = self->make_response_promise();
  try {
    promise.deliver(found());
  } catch (const std::exception& e) {
    promise.deliver(as_caf(e));
  }
}

// A preview under way: a page, then a chunk of ids, in each of its turns.
class preview_job : public std::enable_shared_from_this<preview_job> {
 public:
  preview_job(caf::actor gateway, runtime_state& runtime, const run_filter& filter, caf::response_promise promise)
      : gateway_{std::move(gateway)},
        runtime_{runtime},
        promise_{std::move(promise)},
        reader_{runtime.store(), filter, check_filter(filter, runtime.limits(), runtime.now(), true), runtime.now(), runtime.damage_teller()} {}

  void go_on() {
    try {
      if (!is_read_ && reader_.read_page()) {
        in_turn(gateway_, [me = shared_from_this()] { me->go_on(); });
        return;
      }
      if (!std::exchange(is_read_, true)) found_ = reader_.take();
      if (chunk_ > 0 && at_ == found_.ids.size()) {
        promise_.deliver(protocol::runs_previewed{.found = std::move(found_.result)});
        return;
      }
      store_chunk();
    } catch (const std::exception& e) {
      promise_.deliver(as_caf(e));
    }
  }

 private:
  void store_chunk() {
    const auto size = std::min(storage::plan_chunk_ids, found_.ids.size() - at_);
    const auto from = found_.ids.begin() + static_cast<std::ptrdiff_t>(at_);
    at_ += size;
    runtime_.admit();
    runtime_.post(actors::store_plan{.plan = found_.result.token,
                                     .filter = found_.result.filter,
                                     .total = found_.ids.size(),
                                     .chunk = chunk_++,
                                     .ids = {from, from + static_cast<std::ptrdiff_t>(size)},
                                     .reply = [me = shared_from_this()](std::variant<plan_id, error> stored) {
                                       in_turn(me->gateway_, [me, stored = std::move(stored)] { me->take(stored); });
                                     }});
  }
  void take(const std::variant<plan_id, error>& stored) {
    if (const auto* refused = std::get_if<error>(&stored)) {
      promise_.deliver(as_caf(*refused));
      return;
    }
    found_.result.token = std::get<plan_id>(stored);
    go_on();
  }

  const caf::actor gateway_;
  runtime_state& runtime_;
  caf::response_promise promise_;
  plan_reader reader_;
  plan_reader::found found_;
  bool is_read_ = false;
  std::size_t at_ = 0;
  std::uint32_t chunk_ = 0;
};

caf::behavior gateway_behavior(gateway_actor* self, runtime_state* runtime) {
  return {
      [=](const protocol::send_event& request) {
        forward<std::vector<actors::accepted_event>>(self, *runtime, [&](auto reply) {
          if (auto fault = actors::fault_of(request.value, runtime->limits())) throw error{errc::invalid_event, *fault};
          return actors::accept_events{.events = {request.value}, .reply = std::move(reply)};
        });
      },
      [=](const protocol::send_signal& request) {
        forward<std::optional<run_id>>(self, *runtime, [&](auto reply) {
          if (const auto fault = actors::fault_of_signal(request.name, request.data, runtime->limits())) throw error{errc::invalid_argument, *fault};
          return actors::send_signal{.name = request.name, .data = request.data, .reply = std::move(reply)};
        });
      },
      [=](const protocol::cancel_run& request) {
        forward<cancel_outcome>(self, *runtime, [&](auto reply) {
          check_text(request.reason, "the reason");
          check_text(request.by, "cancel_run.by");
          return actors::cancel_run{.run = request.run, .reason = request.reason, .by = request.by, .reply = std::move(reply)};
        });
      },
      [=](const protocol::get_run& request) { answer(self, [&] { return find(*runtime, request.run); }); },
      [=](const protocol::get_bulk& request) { answer(self, [&] { return find(*runtime, request.bulk); }); },
      [=](const protocol::list_runs& request) { answer(self, [&] { return list(*runtime, request); }); },
      [=](const protocol::list_bulk_jobs& request) { answer(self, [&] { return list_jobs(*runtime, request.limit); }); },
      [=](const protocol::list_functions&) { answer(self, [&] { return protocol::functions_listed{runtime->functions()}; }); },
      [=](const protocol::get_timeline& request) { answer(self, [&] { return protocol::timeline_told{timeline_of(*runtime, request.run)}; }); },
      [=](const protocol::explain_event& request) {
        answer(self, [&] { return protocol::event_explained{explain(*runtime, request.event, request.run)}; });
      },
      [=](const protocol::preview_runs& request) {
        auto promise = self->make_response_promise();
        try {
          std::make_shared<preview_job>(caf::actor{self}, *runtime, request.filter, promise)->go_on();
        } catch (const std::exception& e) {
          promise.deliver(as_caf(e));
        }
      },
      [=](const protocol::cancel_runs& request) {
        forward<bulk_id>(self, *runtime, [&](auto reply) {
          check_text(request.reason, "the reason");
          check_text(request.by, "cancel_runs.by");
          if (request.token.is_nil()) (void)check_filter(request.filter, runtime->limits(), runtime->now(), true);
          return actors::start_bulk{
              .plan = request.token, .filter = request.filter, .reason = request.reason, .by = request.by, .reply = std::move(reply)};
        });
      },
      [=](const protocol::replay_runs& request) {
        forward<bulk_id>(self, *runtime, [&](auto reply) {
          check_replay(request.request);
          if (request.token.is_nil()) throw error{errc::unknown_plan, "replay_runs has no token: make one with preview_runs"};
          return actors::start_bulk{.kind = storage::bulk_kind::replay,
                                    .plan = request.token,
                                    .by = request.request.by,
                                    .from_step = request.request.from_step,
                                    .rate_per_second = request.request.rate_per_second,
                                    .reply = std::move(reply)};
        });
      },
      [=](const protocol::stop_bulk& request) {
        forward<bool>(self, *runtime, [&](auto reply) { return actors::stop_bulk{.bulk = request.bulk, .reply = std::move(reply)}; });
      },
      [=](const protocol::replay_run& request) {
        forward<run_id>(self, *runtime, [&](auto reply) {
          return actors::replay_run{.run = request.run, .from_step = request.from_step, .reply = std::move(reply)};
        });
      },
      [=](const protocol::pause_function& request) {
        forward<actors::paused_function>(self, *runtime, [&](auto reply) {
          check_text(request.request.reason, "the reason");
          check_text(request.request.by, "pause_request.by");
          return actors::pause_function{.function = request.function,
                                        .mode = request.request.under_way,
                                        .reason = request.request.reason,
                                        .by = request.request.by,
                                        .reply = std::move(reply)};
        });
      },
      [=](const protocol::resume_function& request) {
        forward<actors::resumed_function>(self, *runtime, [&](auto reply) {
          return actors::resume_function{.function = request.function, .reply = std::move(reply)};
        });
      },
      [=](const protocol::watch_run& request) {
        forward<run_info>(self, *runtime, [&](auto reply) {
          return actors::watch_run{.run = request.run, .token = runtime->next_token(), .reply = std::move(reply)};
        });
      },
      [](const finish_request& request) {
        try {
          (*request.finish)();
        } catch (const std::exception&) {  // NOLINT: the promise ends with it, which its other side is told
        }
      },
  };
}

}  // namespace

router_handle spawn_gateway(caf::actor_system& system, runtime_state& runtime) {
  return caf::actor_cast<router_handle>(system.spawn<caf::hidden>(gateway_behavior, &runtime));
}

}  // namespace caesura::detail
