#pragma once

// A world with a function whose code is elsewhere: the test answers its calls.

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/world.hpp"

namespace caesura::testing {

using namespace std::chrono_literals;
using remote::answer;
using remote::operation;

// Keeps the calls that it is asked to make until the test answers them.
class app final : public remote::caller {
 public:
  struct made {
    remote::call call;
    std::stop_token stop;
    std::function<void(answer)> done;
  };
  void make(remote::call value, std::stop_token stop, std::function<void(answer)> done) override {
    if (throws > 0) {
      --throws;
      throw std::runtime_error{"no route to the app"};
    }
    calls.push_back({std::move(value), std::move(stop), std::move(done)});
  }
  std::deque<made> calls{};
  int throws = 0;  // so many calls
};

inline answer did(const std::string& step, document result = {}) { return {.steps = {{.id = step, .result = std::move(result)}}}; }
inline answer completes(document output = {}) { return {.is_completed = true, .output = std::move(output)}; }
inline answer names(std::vector<operation> operations) { return {.operations = std::move(operations)}; }
// The code is asked again as soon as the first of them is finished.
inline answer names_at_first(std::vector<operation> operations) { return {.operations = std::move(operations), .goes_on_at_first = true}; }
inline operation sleeps(const std::string& id, duration length) { return {.kind = operation::what::sleep, .id = id, .delay = length}; }
inline operation plans(const std::string& id) { return {.kind = operation::what::planned, .id = id}; }
inline operation waits(const std::string& id, const std::string& event, duration timeout, const std::string& when = "event.data.id == async.data.id") {
  return {.kind = operation::what::wait_for_event, .id = id, .delay = timeout, .event = event, .when = when};
}
inline operation waits_for_signal(const std::string& id, const std::string& signal, signal_conflict conflict = signal_conflict::fail) {
  return {.kind = operation::what::wait_for_signal, .id = id, .delay = 24h, .signal = signal, .conflict = conflict};
}

struct remote_world : world {
  remote_world() { open(functions()); }
  ~remote_world() {
    code->calls.clear();  // a call that is out refers to its caller
    close();
    code->calls.clear();
  }

  // A call that is out ends with its process, before the process's actors.
  void crash() {
    code->calls.clear();
    world::crash();
    code->calls.clear();
  }
  std::vector<function> functions() {
    return {{.id = "app-fn",
             .triggers = {{.event = "go"}},
             .cancel_on = {{.event = "stop", .when = "event.data.id == async.data.id"}},
             .retries = {.retries = 2, .delays = {10s}, .jitter = duration{0}},
             .remote = code}};
  }
  run_id start() { return world::start({.name = "go", .data = {{"id", "t-1"}}}); }
  // The calls that have been asked for and not answered.
  std::deque<app::made>& calls() {
    settle();
    while (steps().execute_one()) settle();
    return code->calls;
  }
  void reply(answer value) {
    BOOST_REQUIRE(!calls().empty());
    auto call = std::move(calls().front());
    calls().pop_front();
    call.done(std::move(value));
    settle();
  }
  app::made take(const std::string& step) {
    auto& out = calls();
    const auto found = std::ranges::find_if(out, [&](const auto& made) { return made.call.step == step; });
    BOOST_REQUIRE((found != out.end()));
    auto call = std::move(*found);
    out.erase(found);
    return call;
  }
  void reply_to(const std::string& step, answer value) {
    take(step).done(std::move(value));
    settle();
  }
  // How many calls for it are out.
  std::size_t calls_of(const std::string& step) {
    return static_cast<std::size_t>(std::ranges::count_if(calls(), [&](const auto& made) { return made.call.step == step; }));
  }
  std::vector<std::string> recorded(const run_id& run) {
    std::vector<std::string> ids;
    for (const auto& step : runtime().steps(run)) ids.push_back(step.id);
    return ids;
  }

  std::shared_ptr<app> code = std::make_shared<app>();
};

using ids = std::vector<std::string>;

}  // namespace caesura::testing
