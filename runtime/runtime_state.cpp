#include "runtime/runtime_state.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include <caf/atom.hpp>
#include <caf/defaults.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/router_actor.hpp"
#include "actors/step_threads.hpp"
#include "runtime/gateway.hpp"
#include "runtime/hosted_scheduler.hpp"
#include "runtime/recovery.hpp"
#include "runtime/registry.hpp"
#include "runtime/waiting_answer.hpp"

namespace caesura::detail {

namespace {

actors::limits limits_of(const options& options, const environment* environment) {
  actors::limits limits;
  limits.live_runs = std::max<std::size_t>(options.live_runs, 1);
  limits.live_state_bytes = options.live_state_bytes;
  limits.commit_delay = std::max(options.commit_delay, duration{0});
  limits.commit_siblings = options.commit_siblings;
  limits.keep_runs = std::max(options.keep_runs, duration{0});
  limits.keep_events = std::max(options.keep_events, limits.event_memory);
  if (environment != nullptr && !environment->is_real) limits.time_per_batch = std::chrono::hours{1};  // in virtual time the test alone ends a batch
  if (environment != nullptr && environment->adjust_limits) environment->adjust_limits(limits);
  return limits;
}

storage::store_options store_options_of(const options& options, const environment* environment) {
  if (options.directory.empty()) throw error{errc::invalid_argument, "options.directory is empty: name the directory for the store"};
  storage::store_options result{.directory = options.directory, .map_size_bytes = options.map_size_bytes};
  if (environment != nullptr) {
    result.before_commit = environment->before_commit;
    result.after_commit = environment->after_commit;
    result.before_write = environment->before_write;
    result.before_read = environment->before_read;
  }
  return result;
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

}  // namespace

runtime_state::runtime_state(options given, std::vector<function> functions, environment* environment)
    : options_{std::move(given)},
      environment_{environment != nullptr && !environment->is_real ? environment : nullptr},
      limits_{limits_of(options_, environment)},
      process_{::getpid()},
      clock_{environment_ != nullptr ? *environment_->clock : system_clock_},
      observers_{options_.observer, environment_ != nullptr || options_.executor != nullptr},
      store_{store_options_of(options_, environment)} {
  start_router(std::move(functions));
}

void runtime_state::start_system() {
  if (options_.actor_system != nullptr) {
    if (options_.executor != nullptr) throw error{errc::invalid_argument, "options.executor and options.actor_system are both set: actors are executed by one of them"};
    system_ = options_.actor_system;
    const auto policy = caf::get_or(system_->config(), "scheduler.policy", caf::defaults::scheduler::policy);
    if (policy == caf::atom("stealing")) {
      observers_.tell_diagnostic("the borrowed actor system schedules by work stealing: set scheduler.policy to sharing, or long queues of "
                                 "run actors starve",
                                 {});
    }
    return;
  }
  config_ = std::make_unique<caf::actor_system_config>();
  config_->set("scheduler.policy", environment_ != nullptr ? caf::atom("testing") : caf::atom("sharing"));
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  config_->set("scheduler.max-threads", options_.scheduler_threads == 0 ? cores : options_.scheduler_threads);
  config_->set("scheduler.max-throughput", std::size_t{64});
  if (options_.executor != nullptr) hosted_scheduler::install(*config_, *options_.executor);
  own_system_ = std::make_unique<caf::actor_system>(*config_);
  system_ = own_system_.get();
  if (options_.executor != nullptr) hosted_ = dynamic_cast<hosted_scheduler*>(&system_->scheduler());
}

void runtime_state::start_router(std::vector<function> functions) {
  auto table = register_functions(std::move(functions), limits_);
  const auto seed = environment_ != nullptr ? environment_->seed : random_seed();
  table_ = table;
  auto recovered = recover(store_, std::move(table), limits_, clock_.now(), seed);
  start_system();
  for (const auto& told : recovered.told) {
    if (const auto* text = std::get_if<actors::diagnostic>(&told)) observers_.tell_diagnostic(text->text, text->run);
    if (const auto* ended = std::get_if<actors::run_ended>(&told)) observers_.tell_ended(ended->info);
  }
  actors::step_executor* steps = environment_ != nullptr ? environment_->steps : nullptr;
  if (steps == nullptr) {
    own_steps_ = std::make_unique<actors::step_threads>(
        std::max<std::size_t>(options_.step_threads, 1), clock_, limits_.step_result_bytes,
        actors::step_thread_ports{.diagnosed = [this](const std::string& text) { tell(text, {}); }});
    steps = own_steps_.get();
  }
  if (environment_ == nullptr) {
    alarm_ = std::make_unique<alarm>(alarm::calls{.ring = [this] { post(actors::fire_timers{}); },
                                                  .jumped = [this](duration by) { post(actors::clock_jumped{.by = by}); },
                                                  .look = [this] { return look_at_steps(); }});
  } else {
    environment_->run_messages = [this] { run_messages(); };
    environment_->run_one_message = [this] { return dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler()).try_run_once(); };
    environment_->fire_timers = [this] { post(actors::fire_timers{}); };
  }
  router_ = actors::spawn_router(
      *system_, {.store = &store_,
                 .state = std::move(recovered.state),
                 .clock = &clock_,
                 .steps = steps,
                 .set_alarm =
                     [this](std::optional<time_point> when) {
                       if (environment_ != nullptr) {
                         environment_->alarm = when;
                       } else {
                         alarm_->set(when);
                       }
                     },
                 .took_command = [this] { waiting_.fetch_sub(1, std::memory_order_relaxed); },
                 .observer = {.run_ended = [this](const run_info& run) { observers_.tell_ended(run); },
                              .diagnosed = [this](const actors::diagnostic& d) { observers_.tell_diagnostic(d.text, d.run); }},
                 .watch = environment_ != nullptr ? environment_->watch : actors::order_watch{},
                 .seed = seed + 1,
                 .runs = options_.actor_system != nullptr ? runs_ : nullptr,
                 .post_last = options_.executor == nullptr ? std::function<void(std::function<void()>)>{}
                                                           : [to = options_.executor](std::function<void()> work) { to->post_last(std::move(work)); },
                 .is_detached = environment_ == nullptr && options_.executor == nullptr});
  gateway_ = spawn_gateway(*system_, *this);
  post(actors::fire_timers{});  // starts what was recovered
}

runtime_state::~runtime_state() {
  if (hosted_ != nullptr && hosted_->is_this_thread()) {
    std::fprintf(stderr, "caesura: the process ends, because a runtime is destroyed on the thread of its options.executor, which is to execute its end\n");
    std::terminate();
  }
  stop(std::nullopt);
  const auto gateway = caf::actor_cast<caf::actor>(std::exchange(gateway_, nullptr));
  caf::anon_send_exit(gateway, caf::exit_reason::user_shutdown);
  wait_for(gateway);
  caf::anon_send_exit(router_, caf::exit_reason::user_shutdown);
  wait_for(router_);
  // Only now does nobody set the alarm or submit a step any more.
  alarm_.reset();
  own_steps_.reset();
  if (environment_ == nullptr) runs_->wait_for_none();  // bodies refer to what is the program's
  router_ = nullptr;
  if (environment_ != nullptr) {
    environment_->run_messages = {};
    environment_->run_one_message = {};
    environment_->fire_timers = {};
  }
}

void runtime_state::wait_for(const caf::actor& ending) {
  if (environment_ != nullptr) {
    run_messages();
    return;
  }
  caf::scoped_actor self{*system_};
  self->wait_for(ending);
}

void runtime_state::run_messages() {
  dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler()).run();
}

void runtime_state::check_caller(std::string_view what) const {
  if (::getpid() != process_) {
    throw error{errc::wrong_thread, std::string{what} + " was called after fork: the runtime belongs to the parent process"};
  }
  if (is_inside_body()) {
    throw error{errc::wrong_thread, std::string{what} + " was called from a function's body between steps, where it would be repeated at "
                                                        "every replay: put it into a step, or co_await step.send_event"};
  }
  if (observers_.is_this_thread()) {
    throw error{errc::wrong_thread, std::string{what} + " was called by an observer, whose thread must not wait for the runtime"};
  }
}

void runtime_state::refuse_on_executor(const actors::command_body& command) {
  if (hosted_ == nullptr || !hosted_->is_this_thread()) return;
  if (actors::is_admitted(command)) waiting_.fetch_sub(1, std::memory_order_relaxed);
  throw error{errc::wrong_thread, "a call that waits for the runtime was made on the thread of options.executor, which is to answer it: call it on another "
                                  "thread, or send a message to router_of(runtime)"};
}

void runtime_state::admit() {
  if (is_stopped_) throw error{errc::stopped, "the runtime is stopping"};
  if (waiting_.fetch_add(1, std::memory_order_relaxed) >= options_.waiting_commands) {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    throw error{errc::overloaded, std::to_string(options_.waiting_commands) + " commands are waiting (options.waiting_commands): try again "
                                                                              "later"};
  }
}

void runtime_state::add_places(std::vector<run_info>& runs) {
  std::vector<run_id> queued;
  for (const auto& run : runs) {
    if (run.status == run_status::queued) queued.push_back(run.id);
  }
  if (queued.empty() || (hosted_ != nullptr && hosted_->is_this_thread())) return;  // reading is fine there, waiting is not
  const auto places = ask<std::vector<std::optional<std::size_t>>>(
      [&](auto reply) { return actors::find_places{.runs = queued, .reply = std::move(reply)}; });
  std::size_t next = 0;
  for (auto& run : runs) {
    if (run.status == run_status::queued) run.place_in_queue = places.value()[next++];
  }
}

void runtime_state::define(std::vector<function> functions) {
  auto table = register_functions(std::move(functions), limits_);
  admit();
  const std::lock_guard alone{defining_};  // so that the table here is the router's
  ask<std::monostate>([&](auto reply) { return actors::define_functions{.functions = table, .reply = std::move(reply)}; }).value();
  const std::lock_guard lock{table_mutex_};
  table_ = std::move(table);
}

std::vector<function_info> runtime_state::functions() {
  std::map<std::string, function_info> known;
  const auto snapshot = store_.begin_read();
  snapshot->each_definition(
      [&](std::uint64_t, const storage::definition_record& record) {
        known[record.function].id = record.function;
        return true;
      },
      pass_over());
  const auto table = [this] {
    const std::lock_guard lock{table_mutex_};
    return table_;
  }();
  for (const auto& fn : table->all()) {
    auto& info = known[fn.code.id];
    info.id = fn.code.id;
    info.is_registered = true;
  }
  snapshot->each_function_state(
      [&](std::string_view id, const storage::function_state_record& state) {
        if (!state.is_paused) return true;
        auto& info = known[std::string{id}];
        info.is_paused = true;
        info.under_way = state.mode;
        info.pause_reason = state.reason;
        info.paused_at = state.changed_at;
        info.skipped = state.skipped;
        return true;
      },
      [this](std::string_view, const error& why) { tell_damage(why.what(), {}); });
  std::vector<function_info> result;
  for (auto& [id, info] : known) result.push_back(std::move(info));
  return result;
}

void runtime_state::tell_damage(const std::string& text, const run_id& about) {
  {
    constexpr std::size_t most_remembered = 1'000;  // what is beyond is not told
    const std::lock_guard lock{damage_mutex_};
    if (damage_told_.size() >= most_remembered || !damage_told_.insert(text).second) return;
  }
  tell(text, about);
}

void runtime_state::tell(const std::string& text, const run_id& about) {
  if (options_.executor == nullptr) {
    observers_.tell_diagnostic(text, about);
  } else if (const auto& tell = options_.observer.on_diagnostic) {
    options_.executor->post([tell, text, about] { tell(text, about); });
  }
}

// A thread for steps that could not be made is asked for again; slow steps are told. Gives when to look again.
std::optional<duration> runtime_state::look_at_steps() {
  constexpr duration soon = std::chrono::milliseconds{500};
  const auto next = tell_slow_steps();
  if (own_steps_ == nullptr || own_steps_->ask_again()) return next;
  return std::min(next.value_or(soon), soon);
}

// When to look again.
std::optional<duration> runtime_state::tell_slow_steps() {
  if (own_steps_ == nullptr || !options_.observer.on_slow_step || options_.slow_step <= duration{0}) return std::nullopt;
  for (const auto& slow : own_steps_->take_slow(clock_.now() - options_.slow_step)) {
    auto tell = [this, slow, so_far = clock_.now() - slow.started_at] { observers_.tell_slow_step(slow.step, so_far); };
    options_.executor != nullptr ? options_.executor->post(std::move(tell)) : tell();
  }
  return std::max<duration>(options_.slow_step / 4, std::chrono::milliseconds{10});
}

void runtime_state::post(actors::command_body body) { actors::post(router_, std::move(body)); }

std::string runtime_state::function_of(const storage::snapshot& snapshot, const storage::run_record& run) const {
  try {
    const auto found = snapshot.find_definition(run.definition);
    return found ? found->function : std::string{};
  } catch (const error& e) {
    if (e.code() != errc::store_corrupt) throw;
    return {};  // told at the start
  }
}

std::vector<std::string> runtime_state::stop(std::optional<duration> deadline) {
  if (has_left_) return {};
  refuse_on_executor(actors::stop_runs{});
  is_stopped_ = true;
  const auto left = ask<std::monostate>([](actors::reply_to<std::monostate> reply) { return actors::stop_runs{std::move(reply)}; },
                                        deadline);
  if (left) {
    has_left_ = true;
    return {};
  }
  return environment_ != nullptr ? environment_->steps->executing() : own_steps_->executing();
}

}  // namespace caesura::detail
