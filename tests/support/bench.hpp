#pragma once

// A router by itself for tests: commands go in one at a time, and the test decides what comes between them.

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "actors/router.hpp"
#include "tests/support/temporary_directory.hpp"

namespace caesura::testing {

using namespace caesura::actors;

class still_clock final : public actors::clock {
 public:
  time_point now() const override { return at; }
  time_point at{duration{1'780'000'000'000}};
};

// A function "f" that "go" starts and "stop" cancels.
inline function usual_function() {
  return {.id = "f",
          .triggers = {{.event = "go"}},
          .cancel_on = {{.event = "stop", .when = "event.data.id == async.data.id"}},
          .body = [](context) -> task<> { co_return; }};
}

// A router over a fresh store; what it lets out is kept. What may hit a run is worked off in slices, unless the limits say otherwise.
struct bench {
  temporary_directory directory;
  storage::store store{{.directory = directory.path() + "/store",
                        .map_size_bytes = std::size_t{64} << 20,
                        .before_commit = [this](std::uint64_t n) {
                          if (fails_at_commit) throw error{errc::storage_failed, "planted"};
                          commits = n;
                        }}};
  still_clock clock;
  bool fails_at_commit = false;
  std::uint64_t commits = 0;

  struct spawned {
    activate order;
    std::shared_ptr<start_gate> gate;
  };
  std::vector<spawned> spawns;
  std::vector<order_run> orders;
  std::vector<std::shared_ptr<step_job>> started;
  std::vector<resume_run> resumes;
  std::deque<command_body> to_self;
  std::vector<std::string> said;
  bool wants_flush = false;
  std::chrono::steady_clock::time_point real{std::chrono::hours{1}};  // goes on only as a test says
  std::chrono::nanoseconds command_takes{0};
  struct slept {
    std::chrono::nanoseconds length;
    bool was_flush_wanted;
  };
  std::vector<slept> sleeps;
  std::unique_ptr<router> core;

  bench() : bench{{usual_function()}, [](limits&) {}} {}
  bench(std::vector<function> functions, const std::function<void(limits&)>& adjust) {
    auto table = std::make_shared<function_table>();
    auto state = std::make_unique<router_state>();
    const auto tx = store.begin_write();
    for (const auto& fn : functions) {
      auto record = definition_record_of(fn);
      const auto hash = tx->intern_definition(record);
      const auto parsed = parse_definition(std::move(record), hash);
      table->add({.code = fn, .stored = parsed, .flow = flow_rules_of(fn)});
      state->definitions.emplace(hash, parsed);
    }
    tx->commit();
    state->functions = std::move(table);
    state->limits.sweep_threshold = 0;
    adjust(state->limits);
    core = std::make_unique<router>(
        store, std::move(state), clock, 7,
        router::ports{.to_self = [this](command_body body) { to_self.push_back(std::move(body)); },
                      .request_flush = [this] { wants_flush = true; },
                      .spawn = [this](activate order, std::shared_ptr<start_gate> gate) { spawns.push_back({std::move(order), std::move(gate)}); },
                      .resume = [this](const run_id&, resume_run message) { resumes.push_back(std::move(message)); },
                      .order = [this](const run_id&, order_run message) { orders.push_back(message); },
                      .forget = [](const run_id&, activation) {},
                      .start = [this](std::shared_ptr<step_job> job) { started.push_back(std::move(job)); },
                      .set_alarm = [](std::optional<time_point>) {},
                      .sleep = [this](std::chrono::nanoseconds length) { sleeps.push_back({length, wants_flush}); },
                      .stopwatch = [this] { return real; },
                      .observer = {.diagnosed = [this](const diagnostic& d) { said.push_back(d.text); }},
                      .watch = {.applying = [this] { real += command_takes; }}});
  }

  void take(command_body body) { core->take(std::make_shared<const command>(command{std::move(body)})); }
  void send(const std::string& name, int id) { take(accept_events{.events = {{.name = name, .data = {{"id", id}}}}}); }
  // One run with an actor, everything durable.
  const spawned& started_run(int id = 1) {
    send("go", id);
    core->flush();
    return spawns.back();
  }
  advance_run report(const spawned& run, next_kind next) {
    return {.run = run.order.run, .activation = run.order.activation, .rows = {{.id = "only", .result = document(7)}}, .next = next};
  }
  // What the router asked itself to do.
  void work_off() {
    while (!to_self.empty()) {
      take(std::move(to_self.front()));
      to_self.pop_front();
      core->flush();
    }
  }
  run_status status(const run_id& run) { return store.begin_read()->find_run(run).value().status; }
  // Changes the store behind the router's back, as only damage does.
  void injure(const std::function<void(storage::write_transaction&)>& change) {
    const auto tx = store.begin_write();
    change(*tx);
    tx->commit();
  }
  bool has_said(std::string_view text) const {
    return std::ranges::any_of(said, [&](const std::string& one) { return one.find(text) != std::string::npos; });
  }
};

}  // namespace caesura::testing
