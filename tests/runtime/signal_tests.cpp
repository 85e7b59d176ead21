// Signals: one run waits for a name, one call resumes it.

#include <boost/test/unit_test.hpp>

#include <caesura/verify.hpp>

#include "tests/support/refusal.hpp"
#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::refusal;
using caesura::testing::world;
using namespace std::chrono_literals;

const std::string nothing = "nothing";

std::string told(const std::optional<received_signal>& got) { return got ? got->name + ": " + got->data.json().dump() : nothing; }

struct signal_world : world {
  bool has_slice = false;

  std::vector<function> functions() {
    return {{.id = "asks", .triggers = {{.event = "go"}}, .cancel_on = {{.event = "stop"}}, .body = [](context step) -> task<std::string> {
               const auto got = co_await step.wait_for_signal("approval").timeout(24h);
               co_return told(got);
             }},
            {.id = "asks-without-end", .triggers = {{.event = "go/endless"}}, .body = [](context step) -> task<std::string> {
               const auto got = co_await step.wait_for_signal("approval");
               co_return told(got);
             }},
            {.id = "takes-over", .triggers = {{.event = "go/replace"}}, .body = [](context step) -> task<std::string> {
               const auto got = co_await step.wait_for_signal("approval").timeout(days{2}).replace();
               co_return told(got);
             }}};
  }
  void open_all() { open(functions()); }
  void open_one(function_body body) { open({{.id = "f", .triggers = {{.event = "go"}}, .body = std::move(body)}}); }
  run_id start_and_run(const std::string& event) {
    const auto run_of = start({.name = event});
    run();
    return run_of;
  }
  std::optional<run_id> approve(const document& data = {}) {
    auto resumed = runtime().send_signal("approval", data);
    run();
    return resumed;
  }
  std::string result(const run_id& run_of) { return runtime().result<std::string>(run_of); }
  std::size_t events_stored() { return runtime().list_events().events.size(); }
  // The store as a process would leave it that is killed now.
  void crash_and_verify() {
    crash();
    BOOST_TEST(verify(directory()).is_sound());
  }
  // A run that waits, and that an event has cancelled whose sweep has not got to it.
  run_id start_before_an_open_sweep() {
    environment().adjust_limits = [](actors::limits& limits) { limits.sweep_threshold = 0; };
    environment().watch.applied = [this](const actors::command_body& command, const auto&, const auto&) {
      has_slice = has_slice || std::holds_alternative<actors::sweep_slice>(command);
    };
    open_all();
    const auto one = start_and_run("go");
    before_commit = [this](std::uint64_t) {
      if (std::exchange(has_slice, false)) throw error{errc::storage_failed, "the disk refuses"};
    };
    runtime().send({.name = "stop"});
    BOOST_TEST(status(one) == run_status::waiting);
    return one;
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(signals)

BOOST_FIXTURE_TEST_CASE(a_signal_resumes_the_run_that_waits_for_it_with_whatever_was_sent, signal_world) {
  open_all();
  const std::vector<std::pair<document, std::string>> sent{
      {document{{"by", "ann"}}, "{\"by\":\"ann\"}"}, {document{7}, "7"}, {document{"yes"}, "\"yes\""}, {document{}, "null"}};
  for (const auto& [data, text] : sent) {
    const auto one = start_and_run("go");
    BOOST_TEST(status(one) == run_status::waiting);
    BOOST_TEST((approve(data) == one));
    BOOST_TEST(result(one) == "approval: " + text);
  }
}

BOOST_FIXTURE_TEST_CASE(a_signal_that_no_run_waits_for_is_answered_with_none_and_records_nothing, signal_world) {
  open_all();
  const auto one = start_and_run("go");
  const auto before = events_stored();
  BOOST_TEST(!runtime().send_signal("approval/other", document{{"by", "ann"}}).has_value());
  BOOST_TEST(events_stored() == before);
  BOOST_TEST(status(one) == run_status::waiting);
}

BOOST_FIXTURE_TEST_CASE(a_signal_is_taken_once, signal_world) {
  open_all();
  const auto one = start_and_run("go");
  BOOST_TEST((approve(1) == one));
  BOOST_TEST(!approve(2).has_value());
  BOOST_TEST(result(one) == "approval: 1");
}

BOOST_FIXTURE_TEST_CASE(a_signal_that_is_sent_while_the_step_ahead_of_the_wait_executes_is_not_kept, signal_world) {
  std::optional<run_id> during;
  open_one([&](context step) -> task<std::string> {
    co_await step.run("prepare", [&] { during = runtime().send_signal("approval", 1); });
    const auto got = co_await step.wait_for_signal("approval").timeout(1h);
    co_return told(got);
  });
  const auto one = start_and_run("go");
  BOOST_TEST(!during.has_value());
  BOOST_TEST(status(one) == run_status::waiting);
  BOOST_TEST((approve(2) == one));
  BOOST_TEST(result(one) == "approval: 2");
}

BOOST_FIXTURE_TEST_CASE(a_wait_for_a_signal_gives_nothing_after_its_timeout, signal_world) {
  open_all();
  const auto one = start_and_run("go");
  advance(24h - 1ms);
  BOOST_TEST(status(one) == run_status::waiting);
  advance(1ms);
  BOOST_TEST(result(one) == nothing);
  BOOST_TEST(!approve().has_value());
}

BOOST_FIXTURE_TEST_CASE(a_short_wait_whose_run_stays_in_memory_is_found_like_a_long_one, signal_world) {
  open_one([](context step) -> task<std::string> {
    const auto first = co_await step.wait_for_signal("approval").timeout(500ms);
    const auto second = co_await step.wait_for_signal("approval").timeout(500ms);
    co_return told(first) + ", " + told(second);
  });
  const auto one = start_and_run("go");
  BOOST_TEST((approve(1) == one));
  advance(1s);
  BOOST_TEST(result(one) == "approval: 1, nothing");
}

BOOST_FIXTURE_TEST_CASE(the_same_run_may_wait_again_for_a_signal_that_it_has_got, signal_world) {
  open_one([](context step) -> task<std::string> {
    std::string all;
    for (int i = 0; i < 3; ++i) {
      const auto got = co_await step.wait_for_signal("approval").timeout(24h);
      all += got ? got->data.json().dump() : nothing;
    }
    co_return all;
  });
  const auto one = start_and_run("go");
  for (int i = 1; i <= 3; ++i) BOOST_TEST((approve(i) == one));
  BOOST_TEST(result(one) == "123");
}

BOOST_FIXTURE_TEST_CASE(a_signal_races_other_operations_like_an_event, signal_world) {
  open_one([](context step) -> task<std::string> {
    const auto first = co_await caesura::any(step.wait_for_signal("approval"), step.sleep_for("patience", 1h));
    co_return first.index() == 0 ? told(std::get<0>(first)) : "too late";
  });
  const auto one = start_and_run("go");
  BOOST_TEST((approve(1) == one));
  BOOST_TEST(result(one) == "approval: 1");
  const auto two = start_and_run("go");
  advance(1h);
  BOOST_TEST(result(two) == "too late");
  BOOST_TEST(!approve(2).has_value());  // the loser listens no more
}

// ---- one run at most

BOOST_FIXTURE_TEST_CASE(a_second_run_that_begins_to_wait_for_a_signal_fails_and_says_who_waits, signal_world) {
  open_all();
  const auto one = start_and_run("go");
  const auto two = start_and_run("go");
  BOOST_TEST(status(one) == run_status::waiting);
  BOOST_TEST(status(two) == run_status::failed);
  const auto why = runtime().get(two)->error.value();
  BOOST_TEST(why.name == signal_conflict_error);
  for (const auto& part : {std::string{"Signal conflict; signal wait already exists for another run"}, std::string{"\"approval\""}, to_string(one)}) {
    BOOST_TEST(why.message.find(part) != std::string::npos, why.message << " does not say " << part);
  }
  BOOST_REQUIRE(runtime().steps(two).size() == 1U);
  BOOST_TEST(runtime().steps(two)[0].error->message == why.message);
  advance(days{1} - 1ms);  // nothing is tried again
  BOOST_TEST(runtime().list().runs.size() == 2U);
  BOOST_TEST((approve(1) == one));
  BOOST_TEST(result(one) == "approval: 1");
  crash_and_verify();
}

BOOST_FIXTURE_TEST_CASE(a_conflict_is_not_thrown_into_the_body_and_nothing_beside_it_is_begun, signal_world) {
  bool is_caught = false;
  auto all = functions();
  all.push_back({.id = "stubborn", .triggers = {{.event = "go/stubborn"}}, .body = [&](context step) -> task<> {
                   const event note{.name = "noted"};
                   try {
                     co_await caesura::all(step.sleep_for("none", 0s), step.wait_for_signal("approval"), step.send_event("note", note),
                                           step.run("work", [&] { is_caught = true; }), step.sleep_for("beside", 0s));
                   } catch (const std::exception&) {
                     is_caught = true;
                   }
                 }});
  open(all);
  start_and_run("go");
  const auto two = start_and_run("go/stubborn");
  BOOST_TEST(status(two) == run_status::failed);
  BOOST_TEST(!is_caught);
  BOOST_TEST(runtime().steps(two).size() == 2U);  // what stands before it, and the conflict
  BOOST_TEST(runtime().list_events({.name = "noted"}).events.empty());
  crash_and_verify();
}

BOOST_FIXTURE_TEST_CASE(a_run_that_replaces_gets_the_signal_and_the_one_before_ends_by_its_timeout, signal_world) {
  open_all();
  const auto one = start_and_run("go");
  const auto two = start_and_run("go/replace");
  BOOST_TEST(status(one) == run_status::waiting);
  BOOST_TEST(status(two) == run_status::waiting);
  BOOST_TEST((approve(1) == two));
  BOOST_TEST(result(two) == "approval: 1");
  BOOST_TEST(!approve(2).has_value());
  advance(24h);
  BOOST_TEST(result(one) == nothing);
  crash_and_verify();
}

BOOST_FIXTURE_TEST_CASE(a_wait_that_was_replaced_and_has_no_timeout_gives_nothing_at_once, signal_world) {
  open_all();
  const auto one = start_and_run("go/endless");
  BOOST_TEST(status(one) == run_status::waiting);
  const auto two = start_and_run("go/replace");
  BOOST_TEST(result(one) == nothing);
  BOOST_TEST((approve(1) == two));
}

BOOST_FIXTURE_TEST_CASE(replacing_a_replacement_leaves_one_run_that_waits, signal_world) {
  open_all();
  const auto one = start_and_run("go/replace");
  const auto two = start_and_run("go/replace");
  const auto three = start_and_run("go/replace");
  BOOST_TEST((approve(1) == three));
  BOOST_TEST(!approve(2).has_value());
  advance(days{2});
  BOOST_TEST(result(one) == nothing);
  BOOST_TEST(result(two) == nothing);
}

BOOST_FIXTURE_TEST_CASE(a_child_that_takes_its_parents_signal_over_is_cancelled_as_the_loser_that_it_is, signal_world) {
  open({{.id = "parent", .triggers = {{.event = "go"}}, .body = [](context step) -> task<std::string> {
           const auto none = nlohmann::json::object();
           const auto first = co_await caesura::any(step.wait_for_signal("approval"), step.invoke<std::string>("child", "child", none));
           co_return first.index() == 0 ? told(std::get<0>(first)) : std::get<1>(first);
         }},
        {.id = "child", .triggers = {{.event = "go/child"}}, .body = [](context step) -> task<std::string> {
           const auto got = co_await step.wait_for_signal("approval").replace();
           co_return told(got);
         }}});
  const auto parent = start_and_run("go");
  BOOST_TEST(result(parent) == nothing);
  const auto children = runtime().list({.function = "child"}).runs;
  BOOST_REQUIRE(children.size() == 1U);
  BOOST_TEST(children[0].status == run_status::cancelled);
  BOOST_TEST(!approve().has_value());
  crash_and_verify();
}

// ---- beside cancels, pauses, crashes

BOOST_FIXTURE_TEST_CASE(a_run_that_was_cancelled_while_it_waited_gets_no_signal_and_makes_room, signal_world) {
  open_all();
  const auto one = start_and_run("go");
  BOOST_TEST(runtime().cancel(one) == cancel_outcome::cancelled);
  BOOST_TEST(!approve(1).has_value());
  const auto two = start_and_run("go");
  BOOST_TEST((approve(2) == two));
  BOOST_TEST(status(one) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(a_run_whose_cancel_is_recorded_while_its_step_executes_gets_no_signal, signal_world) {
  run_id one;
  std::optional<cancel_outcome> outcome;
  std::optional<run_id> resumed;
  open_one([&](context step) -> task<> {
    const auto work = [&] {
      outcome = runtime().cancel(one);
      resumed = runtime().send_signal("approval", 1);
    };
    co_await caesura::all(step.run("work", [&] { work(); }), step.wait_for_signal("approval"));
  });
  one = start({.name = "go"});
  run();
  BOOST_TEST((outcome == cancel_outcome::cancelling));
  BOOST_TEST(!resumed.has_value());
  BOOST_TEST(status(one) == run_status::cancelled);
}

BOOST_FIXTURE_TEST_CASE(a_signal_finds_the_run_of_an_earlier_process_and_a_replaced_wait_stays_replaced, signal_world) {
  open_all();
  const auto one = start_and_run("go");
  crash_and_verify();
  open_all();
  const auto two = start_and_run("go/replace");
  crash_and_verify();
  open_all();
  BOOST_TEST((approve(1) == two));
  BOOST_TEST(!approve(2).has_value());
  crash();
  open_all();
  BOOST_TEST(result(two) == "approval: 1");
  advance(24h);
  BOOST_TEST(result(one) == nothing);
}

BOOST_FIXTURE_TEST_CASE(a_conflict_counts_runs_of_an_earlier_process, signal_world) {
  open_all();
  start_and_run("go");
  close();
  open_all();
  BOOST_TEST(status(start_and_run("go")) == run_status::failed);
}

BOOST_FIXTURE_TEST_CASE(a_signal_that_could_not_be_recorded_resumes_nobody_and_may_be_sent_again, signal_world) {
  open_all();
  const auto one = start_and_run("go");
  before_commit = [](std::uint64_t) { throw error{errc::storage_full, "the disk is full"}; };
  BOOST_TEST(refusal([&] { (void)runtime().send_signal("approval", 1); }).find("the disk is full") != std::string::npos);
  before_commit = {};
  run();
  BOOST_TEST(status(one) == run_status::waiting);
  BOOST_TEST((approve(2) == one));
  BOOST_TEST(result(one) == "approval: 2");
}

BOOST_FIXTURE_TEST_CASE(a_signal_to_a_held_run_is_kept_until_its_function_is_resumed, signal_world) {
  open_all();
  const auto one = start_and_run("go");
  runtime().pause("asks", {.under_way = running_runs::hold});
  BOOST_TEST((approve(1) == one));
  BOOST_TEST(status(one) == run_status::held);
  runtime().resume("asks");
  run();
  BOOST_TEST(result(one) == "approval: 1");
}

// The order rule: what is worked off in slices has happened at its place.
BOOST_FIXTURE_TEST_CASE(a_run_that_an_open_sweep_cancels_gets_no_signal, signal_world) {
  const auto one = start_before_an_open_sweep();
  BOOST_TEST(!runtime().send_signal("approval", 1).has_value());
  BOOST_TEST(status(one) == run_status::cancelled);
  before_commit = {};
  advance(1s);
}

BOOST_FIXTURE_TEST_CASE(a_run_that_an_open_sweep_cancels_is_in_nobodys_way, signal_world) {
  const auto one = start_before_an_open_sweep();
  const auto two = start_and_run("go");
  BOOST_TEST(status(one) == run_status::cancelled);
  BOOST_TEST(status(two) == run_status::waiting);
  before_commit = {};
  advance(1s);
  BOOST_TEST((approve(1) == two));
}

// ---- names and histories

BOOST_FIXTURE_TEST_CASE(a_signal_starts_no_function_not_even_one_of_all_events, signal_world) {
  auto all = functions();
  all.push_back({.id = "any", .triggers = {{.event = "*"}}, .body = [](context) -> task<> { co_return; }});
  all.push_back({.id = "ours", .triggers = {{.event = "caesura/*"}}, .body = [](context) -> task<> { co_return; }});
  open(all);
  const auto one = runtime().send({.name = "go"}).runs;  // of "asks" and "any"
  run();
  BOOST_TEST(one.size() == 2U);
  BOOST_TEST(approve(1).has_value());
  BOOST_TEST(runtime().list().runs.size() == 2U);
}

BOOST_FIXTURE_TEST_CASE(only_signals_have_the_names_of_signals, signal_world) {
  open_one([](context step, event e) -> task<> {
    if (e.data.is_null()) co_await step.wait_for_event("caesura/signal:approval");
    const event forged{.name = "caesura/signal:approval"};
    co_await step.send_event("forge", forged);
  });
  BOOST_TEST(refusal([&] { runtime().send({.name = "caesura/signal:approval"}); }).find("reserved for signals") != std::string::npos);
  for (const auto& one : {start_and_run("go"), start({.name = "go", .data = {{"forge", true}}})}) {
    run();
    BOOST_TEST(status(one) == run_status::failed);
    BOOST_TEST(runtime().get(one)->error->message.find("reserved for signals") != std::string::npos);
  }
  close();
  const auto open_with = [&](std::vector<trigger> triggers, std::vector<cancel_rule> rules) {
    return refusal([&] {
      open({{.id = "f", .triggers = std::move(triggers), .cancel_on = std::move(rules), .body = [](context) -> task<> { co_return; }}});
    });
  };
  BOOST_TEST(open_with({{.event = "caesura/signal:approval"}}, {}).find("triggers[0].event") != std::string::npos);
  BOOST_TEST(open_with({{.event = "go"}}, {{.event = "caesura/signal:approval"}}).find("cancel_on[0].event") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(histories_tell_of_signals_by_their_names, signal_world) {
  open_all();
  const auto one = start_and_run("go");
  const auto waits = to_string(runtime().timeline(one));
  BOOST_TEST(waits.find("waits for signal \"approval\" until") != std::string::npos, waits);
  const auto two = start_and_run("go/replace");
  const auto replaced = to_string(runtime().timeline(one));
  BOOST_TEST(replaced.find("taken over") != std::string::npos, replaced);
  approve(1);
  const auto got = to_string(runtime().timeline(two));
  BOOST_TEST(got.find("signal \"approval\" arrived") != std::string::npos, got);

  const auto events = runtime().list_events().events;
  BOOST_REQUIRE(!events.empty());
  BOOST_TEST(events[0].event.name == "caesura/signal:approval");
  BOOST_TEST(events[0].event.data.get<int>() == 1);
  for (const auto& shown : runtime().list_events({.system = system_events::left_out}).events) BOOST_TEST(!is_signal_event(shown.event.name));
  const auto explained = runtime().explain(events[0].id, two);
  BOOST_TEST(explained.resumed);
  BOOST_TEST(explained.rules.back().rule == "wait_for_signal \"approval\"");
  const auto missed = runtime().explain(events[0].id, one);
  BOOST_TEST(!missed.resumed);
  BOOST_TEST(missed.rules.back().why.find("taken the signal over") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
