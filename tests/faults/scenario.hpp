#pragma once

// One story that touches most of what the runtime stores, told to a runtime that is made to suffer: what was answered is remembered, what was refused
// may have any of the documented reasons, and in the end every promise about it holds.

#include <map>
#include <set>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include <caesura/verify.hpp>

#include "tests/support/world.hpp"

namespace caesura::testing {

struct scenario : world {
  // ---- what is known of it

  std::vector<run_id> accepted;                      // send was answered with these
  std::map<run_id, cancel_outcome> cancels;          // cancel was answered with this
  std::map<std::string, run_id> sent_with_id;        // send with this client id was answered
  std::map<std::string, std::vector<int>> executed;  // by run/step: in which process, each time
  std::map<std::string, int> cleanups;               // by run: its event came
  std::set<std::string> recorded;                    // run/step that the API showed as recorded
  int processes = 0;
  int refused = 0;

  scenario() { options().map_size_bytes = std::size_t{64} << 20; }

  std::vector<function> functions() {
    const auto note = [this](const run_id& run, const std::string& step) { executed[to_string(run) + "/" + step].push_back(processes); };
    return {{.id = "f",
             .triggers = {{.event = "go"}},
             .cancel_on = {{.event = "stop", .when = "event.data.n == async.data.n"}},
             .concurrency = {{.limit = 50}},
             .body = [note](context step) -> task<int> {
               const auto run = step.id();
               co_await step.run("a", [&] { note(run, "a"); });
               co_await step.sleep_for("hour", std::chrono::hours{1});
               co_await step.run("b", [&] { note(run, "b"); });
               co_return 7;
             }},
            {.id = "parent",
             .triggers = {{.event = "invoke"}},
             .body = [](context step) -> task<int> {
               const auto [child, paid] = co_await all(step.invoke<int>("call", "child", nlohmann::json::object()),
                                                       step.wait_for_event("answer").timeout(std::chrono::hours{2}));
               co_return child + (paid ? 1 : 0);
             }},
            {.id = "child", .triggers = {{.event = "unused"}}, .body = [note](context step) -> task<int> {
               const auto run = step.id();
               co_return co_await step.run("only", [&] {
                 note(run, "only");
                 return 3;
               });
             }},
            {.id = "stubborn",
             .triggers = {{.event = "retry"}},
             .retries = {.retries = 2, .delays = {std::chrono::minutes{1}}, .jitter = {}},
             .body = [](context step) -> task<> {
               co_await step.run("never", [] { throw std::runtime_error{"as it must"}; });
             }},
            {.id = "cleanup", .triggers = {{.event = "inngest/function.cancelled"}}, .body = [this](context step, event e) -> task<> {
               const auto about = e.data.json()["run_id"].get<std::string>();
               co_await step.run("clean", [&] { ++cleanups[about]; });
             }}};
  }

  void open_again() {
    ++processes;
    open(functions());
  }

  // Over the directory in options(), which holds a file already.
  void open_in_place() {
    ++processes;
    open_at(options().directory, functions());
  }

  // ---- the story

  // `last`: how long the runs sleep before it is over; what fails is tried again twice a second.
  void play(duration last = std::chrono::minutes{30}) {
    for (int n = 0; n < 4; ++n) send({.name = "go", .data = {{"n", n}}, .id = "go-" + std::to_string(n)});
    send({.name = "invoke"});
    send({.name = "retry"});
    run();
    note_recorded();
    if (!accepted.empty()) cancel(accepted[0]);
    send({.name = "stop", .data = {{"n", 1}}});
    run();
    attempt([&] { (void)runtime().cancel_all(runtime().preview({.function = "f", .when = "event.data.n == 2"}).token); });
    run();
    attempt([&] { runtime().pause("f", {.under_way = running_runs::hold, .reason = "for a while"}); });
    send({.name = "go", .data = {{"n", 9}}});
    attempt([&] { runtime().resume("f"); });
    send({.name = "answer"});
    if (!accepted.empty()) attempt([&] { (void)runtime().replay(accepted[0]); });
    run();
    advance(last);
    note_recorded();
  }

  // Nothing fails any more: all comes to its end.
  void end() {
    attempt([&] { runtime().resume("f"); });
    for (int i = 0; i < 4; ++i) advance(std::chrono::hours{3});
  }

  void check() {
    BOOST_TEST_CONTEXT(refused << " refusals, " << processes << " processes") {
      for (const auto& run : accepted) {
        const auto info = runtime().get(run);
        BOOST_TEST(info.has_value(), "run " << run << " was accepted and is gone");
        if (info) BOOST_TEST(is_ended(info->status), "run " << run << " has not ended: it is " << info->status << " " << info->held_because);
      }
      for (const auto& [run, outcome] : cancels) {
        if (outcome == cancel_outcome::cancelled || outcome == cancel_outcome::cancelling || outcome == cancel_outcome::already_cancelled) {
          BOOST_TEST(status(run) == run_status::cancelled, "the cancel of run " << run << " was answered " << outcome);
        }
      }
      for (const auto& [id, run] : sent_with_id) {
        const auto again = runtime().send({.name = "go", .data = {{"n", id.back() - '0'}}, .id = id});
        BOOST_TEST(again.is_duplicate, "event " << id << " was accepted, and is accepted again");
        if (again.is_duplicate) BOOST_TEST((again.runs.at(0) == run));
      }
      int cancelled = 0;
      for (const auto& run : runtime().list({}, {.limit = 1000}).runs) {
        if (run.status != run_status::cancelled) continue;
        ++cancelled;
        BOOST_TEST(cleanups[to_string(run.id)] >= 1, "nobody was told of cancelled run " << run.id);
      }
      const auto told = runtime().list({.function = "cleanup"}, {.limit = 1000}).runs.size();
      BOOST_TEST(told == static_cast<std::size_t>(cancelled), told << " cancelled events for " << cancelled << " cancelled runs");
      for (const auto& [step, at] : executed) {
        std::set<int> in(at.begin(), at.end());
        BOOST_TEST(in.size() == at.size(), step << " was executed twice in one process");
        if (recorded.contains(step)) BOOST_TEST(at.size() == 1U, step << " was recorded and executed again");
      }
    }
    close();
    const auto report = verify(directory());
    for (const auto& fault : report.faults) BOOST_ERROR(fault.text);
  }

  // ---- calls that may be refused

  template <class F>
  bool attempt(F&& call) {
    try {
      call();
      return true;
    } catch (const error& e) {
      const bool is_clear = e.code() == errc::storage_failed || e.code() == errc::storage_full || e.code() == errc::outcome_unknown ||
                            e.code() == errc::run_not_ended || e.code() == errc::unknown_plan || e.code() == errc::unknown_run ||
                            e.code() == errc::function_paused;  // the resume before it was refused
      BOOST_TEST(is_clear, "refused with " << e.code() << ": " << e.what());
      ++refused;
    }
    return false;
  }
  void send(const event& value) {
    attempt([&] {
      const auto answer = runtime().send(value);
      accepted.insert(accepted.end(), answer.runs.begin(), answer.runs.end());
      if (!value.id.empty()) sent_with_id[value.id] = answer.runs.at(0);
    });
  }
  void cancel(const run_id& run) {
    attempt([&] { cancels[run] = runtime().cancel(run); });
  }
  void note_recorded() {
    for (const auto& run : accepted) {
      attempt([&] {
        for (const auto& step : runtime().steps(run)) recorded.insert(to_string(run) + "/" + step.id);
      });
    }
  }
};

}  // namespace caesura::testing
