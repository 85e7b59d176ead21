// Functions whose code is elsewhere, in orders that nobody thought of: an app that answers as an SDK does, and a world in which messages, calls, answers, timers,
// cancels, pauses, stops and crashes come as a seed decides. CAESURA_REMOTE_SEEDS and CAESURA_REMOTE_FIRST choose the seeds.

#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include <caesura/verify.hpp>

#include "tests/support/remote_world.hpp"

namespace {

using namespace caesura;
using namespace caesura::testing;
using namespace std::chrono_literals;
using remote::answer;
using remote::operation;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* const given = std::getenv(name);
  return given == nullptr ? otherwise : std::strtoull(given, nullptr, 10);
}

class dice {
 public:
  explicit dice(std::uint64_t seed) : engine_{seed} {}
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(engine_() % count); }
  bool one_in(std::size_t count) { return below(count) == 0; }

 private:
  std::mt19937_64 engine_;
};

struct planned_operation {
  operation what;
  bool is_step = true;
};
// Promise.all or Promise.race of some operations.
struct stage {
  std::vector<planned_operation> operations;
  bool is_race = false;
};

struct orders_world : remote_world {
  explicit orders_world(std::uint64_t seed) : chance{seed}, is_calm{chance.one_in(2)} {
    const auto stages = 1 + chance.below(4);
    for (std::size_t s = 0; s < stages; ++s) {
      stage made{.is_race = chance.one_in(3)};
      const auto size = 1 + chance.below(4);
      for (std::size_t i = 0; i < size; ++i) made.operations.push_back(any_operation("s" + std::to_string(s) + "-" + std::to_string(i)));
      program.push_back(std::move(made));
    }
  }

  planned_operation any_operation(const std::string& id) {
    switch (chance.below(5)) {
      case 0: return {sleeps(id, 1s * chance.below(30)), false};
      case 1: return {waits(id, "reply", 1s * chance.below(40)), false};
      default: return {plans(id), true};
    }
  }

  // What the code says when it is asked, given what is memoised.
  answer reply_for(const remote::call& call) {
    if (chance.one_in(8)) return failure();
    if (call.step != remote::next_call) return executed(call.run, call.step);
    std::set<std::string> known;
    for (const auto& row : call.steps) known.insert(row.id);
    std::vector<const planned_operation*> open;
    for (const auto& part : program) {
      std::vector<const planned_operation*> left;
      for (const auto& op : part.operations) {
        if (!known.contains(op.what.id)) left.push_back(&op);
      }
      open.insert(open.end(), left.begin(), left.end());
      const bool goes_on = part.is_race ? left.size() < part.operations.size() : left.empty();
      if (!goes_on) {
        if (open.size() == 1 && left.size() == 1 && left[0]->is_step && !call.plans_only) return executed(call.run, left[0]->what.id);
        answer named{.goes_on_at_first = !chance.one_in(4)};
        for (const auto* op : open) named.operations.push_back(op->what);
        return named;
      }
    }
    return completes();
  }
  answer failure() {
    return {.error = recorded_error{.name = "Error", .message = "no"}, .is_final = chance.one_in(10)};
  }
  answer executed(const run_id& run, const std::string& step) {
    executions.insert({run, step});
    return did(step);
  }

  void make_call() {
    const auto before = code->calls.size();
    if (!steps().execute_one() || code->calls.size() == before) return;
    const auto& made = code->calls.back().call;
    BOOST_TEST(!cancelled.contains(made.run), "a call is made after the cancel was answered");
    std::set<std::string> known;
    for (const auto& row : made.steps) BOOST_TEST(known.insert(row.id).second, row.id + " is recorded twice");
    BOOST_TEST(!known.contains(made.step), made.step + " is called although it is recorded");
    for (std::size_t i = 0; i < before; ++i) {
      const auto& other = code->calls[i].call;
      BOOST_TEST((other.run != made.run || other.step != made.step), made.step + " is called twice at once");
    }
    const auto tried = failed_at.find({made.run, made.step});
    if (!has_interruptions && made.step != remote::next_call && tried != failed_at.end()) {
      BOOST_TEST((now() >= tried->second.second + 10s), made.step + " is called again too early");
      BOOST_TEST(made.attempt == tried->second.first + 1);
    }
  }
  void answer_call(std::size_t place) {
    auto call = std::move(code->calls[place]);
    code->calls.erase(code->calls.begin() + static_cast<std::ptrdiff_t>(place));
    auto told = reply_for(call.call);
    if (told.error) failed_at[{call.call.run, call.call.step}] = {call.call.attempt, now()};
    call.done(std::move(told));
  }
  void checkpoint(std::size_t place) {
    const auto& call = code->calls[place].call;
    std::vector<std::string> left;
    for (const auto& part : program) {
      for (const auto& op : part.operations) {
        if (op.is_step && std::ranges::find(call.steps, op.what.id, &step_info::id) == call.steps.end()) left.push_back(op.what.id);
      }
    }
    if (left.empty()) return;
    const auto step = left[chance.below(left.size())];
    executions.insert({call.run, step});
    (void)runtime().checkpoint(call.run, call.activation, {{.id = step}});
  }
  void cancel_one() {
    const auto& run = runs[chance.below(runs.size())];
    const auto outcome = runtime().cancel(run);
    if (outcome == cancel_outcome::cancelling || outcome == cancel_outcome::cancelled) cancelled.insert(run);
  }
  void restart(bool is_clean) {
    has_interruptions = true;
    if (is_clean) {
      runtime().stop(0s);
      while (!code->calls.empty()) {
        if (chance.one_in(2)) {
          auto call = std::move(code->calls.front());
          code->calls.pop_front();
          call.done({.is_given_up = true});
        } else {
          answer_call(0);
        }
        settle();
      }
      close();
      steps().forget();
      code->calls.clear();
    } else {
      crash();
    }
    open(functions());
  }
  void fire() {
    if (!environment().alarm) return;
    if (*environment().alarm > now()) set_clock(*environment().alarm);
    environment().alarm.reset();
    environment().fire_timers();
  }

  void act() {
    switch (chance.below(24)) {
      case 0: fire(); return;
      case 1: if (chance.one_in(6)) cancel_one(); return;
      case 2: runtime().send({.name = "reply", .data = {{"id", "t-1"}}}); return;
      case 3:
        if (is_calm || !chance.one_in(4)) return;
        has_interruptions = true;
        runtime().pause("app-fn", {.under_way = chance.one_in(3) ? running_runs::let_finish : running_runs::hold});
        return;
      case 4: runtime().resume("app-fn"); return;
      case 5: if (!is_calm && chance.one_in(8)) restart(chance.one_in(2)); return;
      case 6: if (!code->calls.empty()) checkpoint(chance.below(code->calls.size())); return;
      case 7: if (chance.one_in(20)) runtime().send({.name = "stop", .data = {{"id", "nobody"}}}); return;
      case 8: case 9: case 10: case 11: make_call(); return;
      case 12: case 13: case 14: if (!code->calls.empty()) answer_call(chance.below(code->calls.size())); return;
      default: (void)environment().run_one_message(); return;
    }
  }
  // Everything that is under way comes to its end.
  void come_to_an_end() {
    runtime().resume("app-fn");
    for (int turn = 0; turn < 2'000; ++turn) {
      settle();
      if (steps().waiting() > 0) {
        make_call();
      } else if (!code->calls.empty()) {
        answer_call(0);
      } else if (std::ranges::all_of(runs, [&](const auto& run) { return runtime().get(run)->ended_at.has_value(); })) {
        return;
      } else {
        set_clock(now() + 1s);
        environment().fire_timers();
      }
    }
  }

  dice chance;
  bool is_calm;  // nothing interrupts: then each retry is known, and when it is due
  std::vector<stage> program;
  std::vector<run_id> runs;
  std::set<run_id> cancelled;
  std::set<std::pair<run_id, std::string>> executions;
  std::map<std::pair<run_id, std::string>, std::pair<std::uint32_t, time_point>> failed_at;
  bool has_interruptions = false;  // which may lose a failure that nobody was told of
};

void play(std::uint64_t seed) {
  orders_world world{seed};
  for (int i = 0; i < 3; ++i) world.runs.push_back(world.start());
  for (int i = 0; i < 400; ++i) world.act();
  world.come_to_an_end();
  std::map<std::string, int> told;
  for (const auto& sent : world.runtime().list_events({.name = "inngest/function.cancelled"}).events) {
    ++told[sent.event.data.json().at("run_id").get<std::string>()];
  }
  for (const auto& run : world.runs) {
    const auto status = world.status(run);
    const bool is_cancelled = world.cancelled.contains(run);
    if (is_cancelled) {
      BOOST_TEST(status == run_status::cancelled);
    } else {
      BOOST_TEST((status == run_status::completed || status == run_status::failed), status << " and nobody cancelled it");
    }
    BOOST_TEST(told[to_string(run)] == (is_cancelled ? 1 : 0));
    std::set<std::string> known;
    for (const auto& row : world.runtime().steps(run)) {
      BOOST_TEST(known.insert(row.id).second, row.id + " is recorded twice");
      if (row.kind == step_kind::run && !row.error) BOOST_TEST(world.executions.contains({run, row.id}), row.id + " is recorded and was not executed");
    }
  }
  world.code->calls.clear();
  world.steps().forget();
  world.close();
  BOOST_TEST(verify(world.directory()).is_sound());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(remote_functions_in_any_order)

BOOST_AUTO_TEST_CASE(every_seed_keeps_the_promises) {
  const auto first = number_from("CAESURA_REMOTE_FIRST", 1);
  const auto count = number_from("CAESURA_REMOTE_SEEDS", 150);
  for (auto seed = first; seed < first + count; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) { play(seed); }
  }
}

BOOST_AUTO_TEST_SUITE_END()
