// What is said to a runtime by actors: the same answers and refusals as the calls, after the commit.

#include <boost/test/unit_test.hpp>

#include <caf/actor_cast.hpp>
#include <caf/scoped_actor.hpp>

#include <caesura/actor_access.hpp>

#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::world;
using namespace std::chrono_literals;

struct protocol_world : world {
  void open_all() {
    open({{.id = "sleeper",
           .triggers = {{.event = "go"}},
           .cancel_on = {{.event = "stop", .when = "event.data.id == async.data.id"}},
           .body = [](context step) -> task<> { co_await step.sleep_for("long", days{7}); }}});
  }

  // The answer, or the text of the error.
  template <class Answer, class Request>
  std::variant<Answer, std::string> say(const Request& request) {
    const auto router = router_of(runtime());
    auto& system = caf::actor_cast<caf::actor>(router)->home_system();
    caf::scoped_actor self{system};
    auto sent = self->request(router, caf::infinite, request);
    run();
    std::variant<Answer, std::string> got;
    sent.receive([&](const Answer& answer) { got = answer; }, [&](const caf::error& e) { got = to_string(e); });
    return got;
  }
  template <class Answer, class Request>
  Answer ask(const Request& request) {
    auto got = say<Answer>(request);
    if (const auto* text = std::get_if<std::string>(&got)) throw std::runtime_error{*text};
    return std::get<Answer>(std::move(got));
  }
  template <class Answer, class Request>
  void is_refused(const Request& request, const std::string& why) {
    const auto got = say<Answer>(request);
    BOOST_REQUIRE(std::holds_alternative<std::string>(got));
    BOOST_TEST(std::get<std::string>(got).find(why) != std::string::npos, std::get<std::string>(got) << " does not say " << why);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(actor_protocol)

BOOST_FIXTURE_TEST_CASE(a_night_shift_by_messages, protocol_world) {
  open_all();
  const auto one = ask<protocol::event_accepted>(protocol::send_event{{.name = "go", .data = {{"id", 1}}}}).runs.at(0);
  ask<protocol::event_accepted>(protocol::send_event{{.name = "go", .data = {{"id", 2}}}});
  const auto other = ask<protocol::event_accepted>(protocol::send_event{{.name = "stop", .data = {{"id", 7}}}});
  BOOST_TEST(ask<protocol::run_found>(protocol::get_run{one}).exists);
  BOOST_TEST(!ask<protocol::run_found>(protocol::get_run{}).exists);

  BOOST_TEST(ask<protocol::function_paused>(protocol::pause_function{"sleeper", {.reason = "bad"}}).answer.was_paused == false);
  const auto functions = ask<protocol::functions_listed>(protocol::list_functions{}).functions;
  BOOST_REQUIRE(functions.size() == 1U);
  BOOST_TEST(functions[0].is_paused);

  const auto plan = ask<protocol::runs_previewed>(protocol::preview_runs{{.function = "sleeper", .when = "event.data.id == 1"}}).found;
  BOOST_TEST(plan.count == 1U);
  const auto bulk = ask<protocol::bulk_started>(protocol::cancel_runs{.token = plan.token, .reason = "bad", .by = "night"}).bulk;
  const auto job = ask<protocol::bulk_found>(protocol::get_bulk{bulk});
  BOOST_REQUIRE(job.exists);
  BOOST_TEST(job.progress.cancelled == 1U);
  BOOST_TEST(!ask<protocol::bulk_found>(protocol::get_bulk{}).exists);
  BOOST_TEST(ask<protocol::bulk_jobs_listed>(protocol::list_bulk_jobs{}).jobs.size() == 1U);
  BOOST_TEST(!ask<protocol::bulk_stopped>(protocol::stop_bulk{bulk}).was_working);

  BOOST_TEST(ask<protocol::run_ended>(protocol::watch_run{one}).info.cancelled_by->reason == "bad");
  const auto timeline = ask<protocol::timeline_told>(protocol::get_timeline{one}).entries;
  BOOST_REQUIRE(!timeline.empty());
  BOOST_TEST((timeline.back().what == moment::ended));
  BOOST_TEST(!ask<protocol::event_explained>(protocol::explain_event{other.id, one}).found.cancelled);

  ask<protocol::function_resumed>(protocol::resume_function{"sleeper"});
  const auto again = ask<protocol::run_replayed>(protocol::replay_run{.run = one}).run;
  BOOST_TEST((runtime().get(again)->replay_of == one));
  const auto replayed = ask<protocol::bulk_started>(protocol::replay_runs{.token = plan.token}).bulk;
  BOOST_TEST(runtime().progress(replayed)->replayed == 1U);

  const auto first = ask<protocol::runs_listed>(protocol::list_runs{{}, {.limit = 2}}).page;
  BOOST_TEST(first.runs.size() == 2U);
  BOOST_REQUIRE(first.next);
  BOOST_TEST(ask<protocol::runs_listed>(protocol::list_runs{{}, {.before = first.next, .limit = 100}}).page.runs.size() == 2U);
  BOOST_TEST((ask<protocol::cancel_answer>(protocol::cancel_run{again, "r", "b"}).outcome == cancel_outcome::cancelled));
}

BOOST_FIXTURE_TEST_CASE(a_signal_by_message_says_whom_it_resumed, protocol_world) {
  open({{.id = "asker", .triggers = {{.event = "ask"}}, .body = [](context step) -> task<> { co_await step.wait_for_signal("answer"); }}});
  const auto one = start({.name = "ask"});
  run();
  BOOST_TEST(!ask<protocol::signal_answer>(protocol::send_signal{.name = "question"}).is_resumed);
  const auto answered = ask<protocol::signal_answer>(protocol::send_signal{.name = "answer", .data = 42});
  BOOST_TEST(answered.is_resumed);
  BOOST_TEST(answered.run == one);
  BOOST_TEST(status(one) == run_status::completed);
}

BOOST_FIXTURE_TEST_CASE(what_a_call_refuses_is_refused_to_an_actor_with_the_same_sentence, protocol_world) {
  open_all();
  const auto one = start({.name = "go", .data = {{"id", 1}}});
  is_refused<protocol::event_accepted>(protocol::send_event{{.name = "inngest/mine"}}, "inngest/");
  is_refused<protocol::signal_answer>(protocol::send_signal{}, "no name");
  is_refused<protocol::run_ended>(protocol::watch_run{}, "is stored");
  is_refused<protocol::runs_previewed>(protocol::preview_runs{}, "filter");
  is_refused<protocol::runs_previewed>(protocol::preview_runs{{.when = "event.data.id =="}}, "expression");
  is_refused<protocol::bulk_started>(protocol::cancel_runs{}, "filter");
  is_refused<protocol::bulk_started>(protocol::cancel_runs{.token = id_cast<plan_id>(one)}, "no preview");
  is_refused<protocol::bulk_started>(protocol::cancel_runs{.filter = {.function = "sleeper"}, .reason = std::string(4097, 'r')}, "4096");
  is_refused<protocol::cancel_answer>(protocol::cancel_run{.run = one, .reason = std::string(4097, 'r')}, "4096");
  is_refused<protocol::cancel_answer>(protocol::cancel_run{.run = one, .by = "caf\xe9"}, "is not UTF-8");
  is_refused<protocol::bulk_started>(protocol::replay_runs{}, "preview_runs");
  is_refused<protocol::bulk_started>(protocol::replay_runs{.token = id_cast<plan_id>(one)}, "no preview");
  is_refused<protocol::bulk_stopped>(protocol::stop_bulk{}, "no bulk job");
  is_refused<protocol::run_replayed>(protocol::replay_run{.run = one}, "has ended can be replayed");
  is_refused<protocol::run_replayed>(protocol::replay_run{}, "no run");
  is_refused<protocol::function_paused>(protocol::pause_function{"nobody", {}}, "nobody");
  is_refused<protocol::function_resumed>(protocol::resume_function{"nobody"}, "nobody");
  is_refused<protocol::event_explained>(protocol::explain_event{event_id{}, one}, "no event");
  is_refused<protocol::runs_listed>(protocol::list_runs{{}, {.limit = 5'001}}, "1 to 5000");
  is_refused<protocol::runs_listed>(protocol::list_runs{{}, {.limit = 0}}, "1 to 5000");
  BOOST_TEST(status(one) == run_status::sleeping);
  BOOST_TEST(ask<protocol::timeline_told>(protocol::get_timeline{}).entries.empty());
}

BOOST_AUTO_TEST_SUITE_END()
