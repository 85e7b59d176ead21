// Cancelling as a table: each state a run can be in, each source that can cancel it, each order of the two.

#include <boost/test/unit_test.hpp>

#include <array>
#include <future>
#include <map>
#include <thread>

#include <caf/actor_cast.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>

#include <caesura/actor_access.hpp>

#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using caesura::testing::world;
using namespace std::chrono_literals;

enum class source { event, call, bulk, plan, timeout, parent, pause };
constexpr std::array sources{source::event,   source::call,   source::bulk, source::plan,
                             source::timeout, source::parent, source::pause};
constexpr std::array source_names{"event", "call", "bulk", "plan", "timeout", "parent", "pause"};

// Relative to what moves the run on. `crash`: before it, and the process ends right after the answer. `ahead` and `behind`: in one
// batch with it, taken before or after it. `after`: the run has ended.
enum class order { before, crash, ahead, behind, after };
constexpr std::array orders{order::before, order::crash, order::ahead, order::behind, order::after};
constexpr std::array order_names{"before", "before, then a crash", "in one batch, ahead", "in one batch, behind", "after"};

// `limited`: the function has .concurrency, and another run waits behind this one. `sliced`: whatever can hit more than one run is
// worked off in slices of one.
enum class variant { plain, limited, sliced };
constexpr std::array variant_names{"plain", "limited", "sliced"};

enum class state {
  queued,           // no room
  queued_again,     // woken, no room
  queued_for_slot,  // of its concurrency group
  scheduled,
  awaiting_thread,
  executing_first,
  executing_last,
  sleeping,
  waiting,
  backing_off,
  held,             // by a pause, under way
  held_unstarted,   // by a pause
  held_missing,     // this process does not have the function
  invoking,
  invoking_abandoned,
  all_executing,    // of a step and a sleep: the step executes
  all_resting,      // the step is recorded
  any_executing,    // of a step and a wait
  any_resting,      // of a wait and a sleep
};

// What moves the run on.
enum class mover { none, a_step, the_clock, an_event, a_resume };

using name_list = std::vector<std::string>;

// A row of the table. Steps are named in the order of their records.
struct scenario {
  state is;
  const char* name;
  run_status found;     // when it is hit
  name_list recorded;       // then
  name_list executing;      // then; at most one
  mover moves;
  name_list moved;          // recorded by the move
  run_status moved_to;  // right after the move
  name_list whole;          // recorded when nobody cancels

  [[nodiscard]] bool is_started() const { return found == run_status::running || !recorded.empty(); }
};

const std::vector<scenario>& scenarios() {
  using enum run_status;
  static const std::vector<scenario> table{
      {state::queued, "queued", queued, {}, {}, mover::a_step, {}, running, {"first", "last"}},
      {state::queued_again, "queued again", queued, {"first", "rest"}, {}, mover::a_step, {}, running, {"first", "rest", "last"}},
      {state::queued_for_slot, "queued for a slot", queued, {}, {}, mover::a_step, {}, running, {"first", "last"}},
      {state::scheduled, "scheduled", scheduled, {}, {}, mover::the_clock, {}, running, {"first", "last"}},
      {state::awaiting_thread, "awaiting a thread", running, {}, {}, mover::none, {}, running, {"first", "last"}},
      {state::executing_first, "executing the first step", running, {}, {"first"}, mover::a_step, {"first"}, running,
       {"first", "last"}},
      {state::executing_last, "executing the last step", running, {"first"}, {"last"}, mover::a_step, {"last"}, completed,
       {"first", "last"}},
      {state::sleeping, "sleeping", sleeping, {"first"}, {}, mover::the_clock, {"rest"}, running, {"first", "rest", "last"}},
      {state::waiting, "waiting", waiting, {"first"}, {}, mover::an_event, {"ping"}, running, {"first", "ping", "last"}},
      {state::backing_off, "backing off", backing_off, {"first"}, {}, mover::the_clock, {}, running, {"first", "fragile", "last"}},
      {state::held, "held", held, {"first", "rest"}, {}, mover::a_resume, {}, running, {"first", "rest", "last"}},
      {state::held_unstarted, "held before its start", held, {}, {}, mover::a_resume, {}, running, {"first", "last"}},
      {state::held_missing, "held without its function", held, {"first", "rest"}, {}, mover::none, {}, running,
       {"first", "rest", "last"}},
      {state::invoking, "invoking", waiting, {"first"}, {}, mover::a_step, {"call"}, running, {"first", "call", "last"}},
      {state::invoking_abandoned, "invoking, abandons", waiting, {"first"}, {}, mover::a_step, {"call"}, running,
       {"first", "call", "last"}},
      {state::all_executing, "all, a step executes", running, {"first"}, {"left"}, mover::a_step, {"left"}, sleeping,
       {"first", "left", "right", "last"}},
      {state::all_resting, "all, at rest", sleeping, {"first", "left"}, {}, mover::the_clock, {"right"}, running,
       {"first", "left", "right", "last"}},
      {state::any_executing, "any, a step executes", running, {"first"}, {"left"}, mover::a_step, {"left"}, running,
       {"first", "left", "last"}},
      {state::any_resting, "any, at rest", waiting, {"first"}, {}, mover::an_event, {"ping"}, running, {"first", "ping", "last"}},
  };
  return table;
}

struct combination {
  const scenario* run;
  source by;
  order at;
  variant in;

  [[nodiscard]] std::string name() const {
    return std::string{run->name} + " / " + source_names[static_cast<std::size_t>(by)] + " / " +
           order_names[static_cast<std::size_t>(at)] + " / " + variant_names[static_cast<std::size_t>(in)];
  }
  [[nodiscard]] bool is_limited() const { return in == variant::limited; }
  // A step stands still in its middle while the run is hit.
  [[nodiscard]] bool is_mid_step() const { return (at == order::before || at == order::crash) && !run->executing.empty(); }
  [[nodiscard]] bool is_crossing() const { return at == order::ahead || at == order::behind; }
  [[nodiscard]] bool is_invoking() const { return run->is == state::invoking || run->is == state::invoking_abandoned; }

  [[nodiscard]] bool is_legal() const {
    const bool is_scheduled = run->is == state::scheduled;
    if (by == source::parent && is_scheduled) return false;   // a child starts when it is invoked
    if (by == source::timeout && is_scheduled && at != order::after) return false;  // timeouts.start counts from the event's time
    if (is_crossing() && run->moves == mover::none) return false;
    if (is_crossing() && by == source::timeout && run->moves == mover::the_clock) return false;  // one command does both
    if (in == variant::sliced && (at == order::after || !has_slices())) return false;
    return is_limited() || run->is != state::queued_for_slot;
  }
  [[nodiscard]] bool has_slices() const { return (by != source::call && by != source::timeout) || is_invoking(); }
  // Nothing is left to cancel: the run has ended, or it has begun in time.
  [[nodiscard]] bool is_missed() const {
    if (at == order::after) return true;
    if (at != order::behind) return false;
    return run->moved_to == run_status::completed || (by == source::timeout && !run->is_started());
  }
  [[nodiscard]] cancel_outcome answer() const {
    if (is_missed()) return cancel_outcome::already_completed;
    const auto found = at == order::behind ? run->moved_to : run->found;
    return found == run_status::running ? cancel_outcome::cancelling : cancel_outcome::cancelled;
  }
  // The steps that are recorded in the end.
  [[nodiscard]] name_list recorded() const {
    if (is_missed()) return run->whole;
    name_list result = run->recorded;
    if (at == order::crash) return result;  // the interrupted step is not executed again
    const auto& more = at == order::behind ? run->moved : run->executing;
    result.insert(result.end(), more.begin(), more.end());
    return result;
  }
  // How often each step executes, in all.
  [[nodiscard]] std::map<std::string, int> executed() const {
    std::map<std::string, int> result;
    for (const auto& step : recorded()) {
      if (step != "rest" && step != "ping" && step != "call" && step != "right") result[step] = 1;
    }
    if (run->is == state::backing_off) ++result["fragile"];  // its first attempt fails
    if (at == order::crash && is_mid_step()) ++result[run->executing.at(0)];
    return result;
  }
  // A pause hits new runs of the function and a timeout those that have waited too: then the next run comes after them.
  [[nodiscard]] bool is_followed_later() const { return by == source::pause || by == source::timeout; }
};

// What the source was told, and when.
struct blow {
  time_point at{};
  event_id event{};
  bulk_id bulk{};
  std::optional<cancel_outcome> answer{};
};

// Talks to a runtime by messages, so that several commands are under way at once. They arrive in the order in which they are sent.
class messenger {
 public:
  explicit messenger(runtime& runtime) : router_{router_of(runtime)}, self_{caf::actor_cast<caf::actor>(router_)->home_system()} {}

  // Sends; the result waits for the answer.
  template <class Answer, class Request>
  std::function<Answer()> send(const Request& request) {
    auto sent = self_->request(router_, caf::infinite, request);
    auto under_way = std::make_shared<decltype(sent)>(std::move(sent));
    return [this, under_way] {
      Answer got;
      under_way->receive([&](const Answer& answer) { got = answer; },
                         [&](const caf::error& e) { BOOST_ERROR("an answer is an error: " << self_->home_system().render(e)); });
      return got;
    };
  }
  // Does this when its turn comes.
  void send(const std::function<void()>& what) {
    self_->home_system().spawn([](const std::function<void()>& act) { act(); }, what);
  }

 private:
  router_handle router_;
  caf::scoped_actor self_;
};

// One run of "subject" and everybody around it.
class stage : public world {
 public:
  explicit stage(const combination& c) : c_{c} {
    if (has_blocker() || c.run->is == state::queued_again) options().live_runs = 1;
    if (c.in == variant::sliced) {
      environment().adjust_limits = [](actors::limits& limits) {
        limits.sweep_threshold = 0;
        limits.sweep_slice = 1;
        limits.bulk_slice = 1;
      };
    }
  }

  void play() {
    open(functions());
    bring_about();
    BOOST_TEST(status(subject_) == c_.run->found);
    if (c_.by == source::plan) make_plan();
    hit();
    if (c_.at == order::crash) open(functions());
    if (!c_.is_mid_step()) check_answer();
    run();
    check_end();
    BOOST_TEST(runtime().cancel(subject_, {.reason = "again"}) ==
               (c_.is_missed() ? cancel_outcome::already_completed : cancel_outcome::already_cancelled));
    let_the_others_go_on();
    check_end();
    check_others();
    crash();
    open(functions());
    advance(1h);
    check_end();
    check_others();
  }

 private:
  static constexpr duration rest = 10h;

  // ---- the functions

  std::string execute(const run_id& run, const std::string& step) {
    const int times = ++executions_[run][step];
    if (run == subject_ && during_ && step == c_.run->executing.at(0)) std::exchange(during_, nullptr)();
    if (step == "fragile" && times == 1) throw std::runtime_error{"not yet"};
    return step + " done";
  }

  task<> middle(context step, run_id me) {
    const auto left = [this, me] { return execute(me, "left"); };
    switch (c_.run->is) {
      case state::queued:
      case state::queued_for_slot:
      case state::scheduled:
      case state::awaiting_thread:
      case state::executing_first:
      case state::executing_last:
      case state::held_unstarted:
        break;
      case state::sleeping:
      case state::queued_again:
      case state::held:
      case state::held_missing:
        co_await step.sleep_for("rest", rest);
        break;
      case state::waiting:
        co_await step.wait_for_event("ping").when("event.data.id == async.data.id");
        break;
      case state::backing_off:
        co_await step.run("fragile", [&] { return execute(me, "fragile"); }).retry_delay(rest);
        break;
      case state::invoking:
        co_await step.invoke<>("call", "child", "s");
        break;
      case state::invoking_abandoned:
        co_await step.invoke<>("call", "child", "s").on_parent_cancel(child_policy::abandon);
        break;
      case state::all_executing:
      case state::all_resting:
        co_await all(step.run("left", left), step.sleep_for("right", rest));
        break;
      case state::any_executing:
        co_await any(step.run("left", left), step.wait_for_event("ping"));
        break;
      case state::any_resting:
        co_await any(step.wait_for_event("ping"), step.sleep_for("right", rest));
        break;
    }
  }

  function subject() {
    function made{.id = "subject",
                  .triggers = {{.event = "begin"}},
                  .cancel_on = {{.event = "unrelated"}, {.event = "stop", .when = "event.data.id == async.data.id"}},
                  .body = [this](context step, event trigger) -> task<> {
                    const run_id me = step.id();
                    const std::string who = trigger.data.json()["id"];
                    co_await step.run("first", [&] { return execute(me, "first"); });
                    if (who != "s") co_return;
                    co_await middle(step, me);
                    co_await step.run("last", [&] { return execute(me, "last"); });
                  }};
    if (c_.by == source::timeout) made.timeouts = {.start = timeout(), .finish = timeout()};
    if (c_.is_limited()) made.concurrency = {{.limit = 1, .counts_resting = true}};
    return made;
  }

  function listener(const std::string& id, const std::string& event_name, std::map<std::string, int>& told) {
    return {.id = id, .triggers = {{.event = event_name}}, .body = [&told](context step, event e) -> task<> {
              const std::string about = e.data.json()["run_id"];
              co_await step.run("count", [&] { ++told[about]; });
            }};
  }

  std::vector<function> functions() {
    std::vector<function> all{
        {.id = "blocker",
         .triggers = {{.event = "block"}},
         .body = [](context step) -> task<> { co_await step.run("only", [] {}); }},
        {.id = "parent",
         .triggers = {{.event = "begin-parent"}},
         .body = [](context step) -> task<> {
           const nlohmann::json data{{"id", "s"}};
           co_await step.invoke<>("subject", "subject", data);
           co_await step.sleep_for("afterwards", days{30});
         }},
        {.id = "child", .triggers = {{.event = "begin-child"}}, .body = [this](context step) -> task<> {
           const run_id me = step.id();
           co_await step.sleep_for("rest", rest);
           co_await step.run("work", [&] { return execute(me, "work"); });
         }},
        listener("told-cancelled", "inngest/function.cancelled", cancelled_told_),
        listener("told-finished", "inngest/function.finished", finished_told_)};
    if (!is_missing_) all.push_back(subject());
    return all;
  }

  // ---- bringing the run into its state

  // What passes before a timeout strikes, from the state on.
  [[nodiscard]] duration patience() const { return c_.at == order::after ? duration{60h} : duration{5h}; }
  [[nodiscard]] duration timeout() const {
    const bool has_rested = c_.run->is == state::queued_again || c_.run->is == state::held || c_.run->is == state::held_missing ||
                            (c_.is_invoking() && c_.is_crossing());
    return patience() + (has_rested ? rest : duration{0});
  }
  // Another function's run has the only place.
  [[nodiscard]] bool has_blocker() const { return c_.run->is == state::queued || c_.run->is == state::held_unstarted; }
  static event begin(const std::string& id) { return {.name = "begin", .data = {{"id", id}}}; }
  static event ping() { return {.name = "ping", .data = {{"id", "s"}}}; }

  // Time passes and timers ring; no step executes.
  void lapse(duration length) {
    set_clock(now() + length);
    environment().fire_timers();
    settle();
  }
  run_id only_run_of(const std::string& function, const std::string& when = "") {
    const auto found = runtime().list({.function = function, .when = when}).runs;
    return found.size() == 1 ? found.front().id : run_id{};
  }

  void create_subject() {
    const bool is_child = c_.by == source::parent;
    auto trigger = is_child ? event{.name = "begin-parent"} : begin("s");
    if (c_.run->is == state::scheduled) trigger.time = now() + rest;
    std::vector<event> all{trigger};
    // The parent invokes, and gives up its place to the blocker, before the child begins.
    if (has_blocker()) all.insert(is_child ? all.end() : all.begin(), {.name = "block"});
    if (c_.run->is == state::queued_for_slot) all = {begin("ahead"), trigger};
    runtime().send(all);
    settle();
    if (is_child) parent_ = only_run_of("parent");
    subject_ = only_run_of("subject", "event.data.id == 's'");
    if (c_.is_limited() && !c_.is_followed_later()) next_ = start(begin("next"));
    settle();
  }

  void bring_about() {
    create_subject();
    switch (c_.run->is) {
      case state::queued:
      case state::queued_for_slot:
      case state::awaiting_thread:
      case state::executing_first:
        return;
      case state::scheduled:
        run();  // the next one is not held up
        return;
      case state::executing_last:
      case state::all_executing:
      case state::any_executing:
        execute_step();
        return;
      case state::sleeping:
      case state::waiting:
      case state::backing_off:
      case state::all_resting:
      case state::any_resting:
        run();
        return;
      case state::queued_again:
        run();
        start({.name = "block"});
        settle();
        lapse(rest);
        return;
      case state::held:
        run();
        runtime().pause("subject", running_runs::hold);
        lapse(rest);
        return;
      case state::held_unstarted:
        runtime().pause("subject", running_runs::hold);
        run();
        return;
      case state::held_missing:
        run();
        close();
        is_missing_ = true;
        open(functions());
        lapse(rest);
        return;
      case state::invoking:
      case state::invoking_abandoned:
        run();
        child_ = only_run_of("child");
        if (c_.is_crossing()) lapse(rest);  // its last step is about to execute
        return;
    }
  }

  void let_it_end() {
    if (is_missing_) bring_back();
    if (c_.run->moves == mover::an_event) runtime().send(ping());
    if (c_.run->moves == mover::a_resume) runtime().resume("subject");
    advance(rest + 1h);
    BOOST_TEST(status(subject_) == run_status::completed);
  }
  void bring_back() {
    close();
    is_missing_ = false;
    open(functions());
  }

  // ---- the cancellation

  static pause_request for_now() { return {.under_way = running_runs::cancel, .reason = "for now", .by = "matrix"}; }
  static run_filter filter() { return {.function = "subject", .when = "event.data.id == 's'"}; }

  void make_plan() {
    const auto plan = runtime().preview(filter());
    BOOST_TEST(plan.count == 1U);
    BOOST_TEST(plan.by_status.at(c_.run->found) == 1U);
    plan_ = plan.token;
  }

  void hit() {
    if (c_.is_crossing()) {
      cross();
    } else if (c_.is_mid_step()) {
      hit_during_the_step();
    } else {
      if (c_.at == order::after) let_it_end();
      blow_ = strike();
      if (c_.at == order::crash) crash();
    }
  }

  // The step executes on a thread of its own, and stands still while the run is hit.
  void hit_during_the_step() {
    std::promise<void> is_inside;
    std::promise<void> may_end;
    during_ = [&] {
      is_inside.set_value();
      may_end.get_future().wait();
    };
    std::thread thread{[&] {
      steps().execute_one();
      if (during_) is_inside.set_value();  // it was another step
    }};
    is_inside.get_future().wait();
    BOOST_TEST(!during_);
    blow_ = strike();
    check_answer();
    const auto stored = options().directory + "/caesura.mdb";
    std::filesystem::copy_file(stored, stored + ".saved");
    may_end.set_value();
    thread.join();
    if (c_.at == order::before) return;
    // As if the process had ended in the middle of the step.
    close();
    std::filesystem::rename(stored + ".saved", stored);
    steps().forget();
    ended.clear();
  }

  blow strike() {
    blow result{.at = now()};
    switch (c_.by) {
      case source::event:
        result.event = runtime().send({.name = "stop", .data = {{"id", "s"}}}).id;
        break;
      case source::call:
        result.answer = runtime().cancel(subject_, {.reason = "asked", .by = "matrix"});
        break;
      case source::bulk:
        result.bulk = runtime().cancel_all(filter(), {.reason = "cleared", .by = "matrix"});
        break;
      case source::plan:
        result.bulk = runtime().cancel_all(plan_, {.reason = "cleared", .by = "matrix"});
        break;
      case source::timeout:
        lapse(patience());
        result.at = now();
        break;
      case source::parent:
        BOOST_TEST(runtime().cancel(parent_) == cancel_outcome::cancelled);
        break;
      case source::pause:
        result.bulk = runtime().pause("subject", for_now()).cancelling;
        break;
    }
    return result;
  }

  // The same by messages: sends, and gives what waits for the answer.
  std::function<blow()> strike(messenger& to) {
    const blow sent{.at = now()};
    switch (c_.by) {
      case source::event: {
        const auto answer = to.send<protocol::event_accepted>(protocol::send_event{{.name = "stop", .data = {{"id", "s"}}}});
        return [=] { return blow{.at = sent.at, .event = answer().id}; };
      }
      case source::call: {
        const auto answer = to.send<protocol::cancel_answer>(protocol::cancel_run{subject_, "asked", "matrix"});
        return [=] { return blow{.at = sent.at, .answer = answer().outcome}; };
      }
      case source::bulk:
      case source::plan: {
        protocol::cancel_runs request{.reason = "cleared", .by = "matrix"};
        if (c_.by == source::plan) request.token = plan_;
        if (c_.by == source::bulk) request.filter = filter();
        const auto answer = to.send<protocol::bulk_started>(request);
        return [=] { return blow{.at = sent.at, .bulk = answer().bulk}; };
      }
      case source::timeout:
        to.send([this] { environment().fire_timers(); });
        return [=] { return sent; };
      case source::parent: {
        const auto answer = to.send<protocol::cancel_answer>(protocol::cancel_run{.run = parent_});
        return [=] {
          answer();
          return sent;
        };
      }
      case source::pause: {
        const auto answer = to.send<protocol::function_paused>(protocol::pause_function{"subject", for_now()});
        return [=] { return blow{.at = sent.at, .bulk = answer().answer.cancelling}; };
      }
    }
    return {};
  }

  // Sets off what takes the run out of its state; it reaches the router as one command, after those sent before.
  void move_on(messenger& to) {
    switch (c_.run->moves) {
      case mover::none: break;
      case mover::a_step: steps().execute_one(); break;
      case mover::the_clock: to.send([this] { environment().fire_timers(); }); break;
      case mover::an_event: to.send<protocol::event_accepted>(protocol::send_event{ping()}); break;
      case mover::a_resume: to.send<protocol::function_resumed>(protocol::resume_function{"subject"}); break;
    }
  }

  // The cancellation and the move arrive in one batch.
  void cross() {
    if (c_.by == source::timeout) set_clock(now() + patience());
    if (c_.run->moves == mover::the_clock) set_clock(now() + rest);
    messenger to{runtime()};
    std::function<blow()> answer;
    if (c_.at == order::ahead) answer = strike(to);
    move_on(to);
    if (c_.at == order::behind) answer = strike(to);
    int commits = 0;
    before_commit = [&](std::uint64_t) {
      if (++commits == 2) check_first_commit();
    };
    settle();
    before_commit = {};
    BOOST_TEST(commits >= 2);
    blow_ = answer();
  }
  void check_first_commit() {
    if (c_.is_missed() || c_.in == variant::sliced) return;
    BOOST_TEST(count(moment::cancel_requested) == 1);
    if (c_.at == order::ahead) BOOST_TEST(count(moment::ended) == 1);
  }

  // ---- what must be so

  std::ptrdiff_t count(moment what) {
    const auto entries = runtime().timeline(subject_);
    return std::ranges::count(entries, what, &timeline_entry::what);
  }

  // Right after the answer.
  void check_answer() {
    const auto info = runtime().get(subject_).value();
    if (blow_.answer) BOOST_TEST(*blow_.answer == c_.answer());
    BOOST_TEST(info.cancelled_by.has_value() == !c_.is_missed());
    if (c_.is_mid_step()) {
      BOOST_TEST(info.status == run_status::running);
      BOOST_TEST(info.is_cancelling);
      BOOST_TEST(runtime().cancel(subject_, {.reason = "again"}) == cancel_outcome::cancelling);
    } else if (!c_.is_missed()) {
      BOOST_TEST(info.status == run_status::cancelled);
    }
  }

  void check_end() {
    const auto info = runtime().get(subject_).value();
    const bool is_cancelled = !c_.is_missed();
    BOOST_TEST(info.status == (is_cancelled ? run_status::cancelled : run_status::completed));
    BOOST_TEST(!info.is_cancelling);
    BOOST_TEST(info.cancelled_by.has_value() == is_cancelled);
    if (info.cancelled_by) check_cancellation(*info.cancelled_by);
    check_steps();
    check_timeline();
    check_bulk();
    const auto id = to_string(subject_);
    BOOST_TEST(cancelled_told_[id] == (is_cancelled ? 1 : 0));
    BOOST_TEST(finished_told_[id] == 1);
    BOOST_TEST(std::ranges::count(ended, subject_, &run_info::id) == 1);
  }

  void check_cancellation(const caesura::cancellation& c) {
    const bool is_bulk = c_.by == source::bulk || c_.by == source::plan || c_.by == source::pause;
    BOOST_TEST(c.requested_at.time_since_epoch().count() == blow_.at.time_since_epoch().count());
    BOOST_TEST(c.event == blow_.event);
    BOOST_TEST(c.event.is_nil() == (c_.by != source::event));
    BOOST_TEST(c.rule == (c_.by == source::event ? 1 : -1));
    BOOST_TEST(c.bulk == blow_.bulk);
    BOOST_TEST(c.bulk.is_nil() == !is_bulk);
    BOOST_TEST(c.parent == parent_);
    BOOST_TEST(c.by == (is_bulk || c_.by == source::call ? "matrix" : ""));
    switch (c_.by) {
      case source::event:
        BOOST_TEST(c.source == cancel_source::event);
        break;
      case source::call:
        BOOST_TEST(c.source == cancel_source::call);
        BOOST_TEST(c.reason == "asked");
        break;
      case source::bulk:
      case source::plan:
        BOOST_TEST(c.source == cancel_source::bulk);
        BOOST_TEST(c.reason == "cleared");
        break;
      case source::timeout:
        BOOST_TEST(c.source == cancel_source::timeout);
        BOOST_TEST(c.reason.starts_with(c_.run->is_started() || c_.at == order::behind ? "timeouts.finish" : "timeouts.start"));
        break;
      case source::parent:
        BOOST_TEST(c.source == cancel_source::parent);
        BOOST_TEST(c.reason.find(to_string(parent_)) != std::string::npos);
        break;
      case source::pause:
        BOOST_TEST(c.source == cancel_source::pause);
        BOOST_TEST(c.reason.ends_with("for now"));
        break;
    }
  }

  void check_steps() {
    name_list recorded;
    for (const auto& row : runtime().steps(subject_)) {
      recorded.push_back(row.id);
      if (row.kind == step_kind::run) BOOST_TEST(row.result.get<std::string>() == row.id + " done");
    }
    BOOST_TEST(recorded == c_.recorded(), boost::test_tools::per_element());
    BOOST_TEST((executions_[subject_] == c_.executed()), "executed: " << nlohmann::json(executions_[subject_]));
  }

  void check_timeline() {
    const auto entries = runtime().timeline(subject_);
    BOOST_TEST(count(moment::cancel_requested) == (c_.is_missed() ? 0 : 1));
    BOOST_TEST(count(moment::ended) == 1);
    BOOST_TEST(count(moment::under_way) == 0);
    BOOST_TEST((entries.back().what == moment::ended));
    for (const auto& entry : entries) {
      if (entry.what != moment::cancel_requested) continue;
      const auto said = c_.by == source::plan ? "bulk" : source_names[static_cast<std::size_t>(c_.by)];
      BOOST_TEST(entry.text.find(said) != std::string::npos, entry.text);
      BOOST_TEST((entry.at == blow_.at));
    }
  }

  void check_bulk() {
    if (blow_.bulk.is_nil()) return;
    const auto job = runtime().progress(blow_.bulk).value();
    // A pause also hits the run ahead in the queue for a slot, unless that has completed.
    const bool is_early = c_.at != order::after && c_.at != order::behind;
    const bool hits_another = c_.by == source::pause && c_.run->is == state::queued_for_slot && is_early;
    const std::uint64_t hits = (c_.is_missed() ? 0U : 1U) + (hits_another ? 1U : 0U);
    BOOST_TEST((job.status == bulk_progress::state::done));
    BOOST_TEST(job.cancelled == hits);
    BOOST_TEST(job.cancelling == 0U);
    BOOST_TEST(job.matched == (c_.by == source::plan ? 1U : hits));
    BOOST_TEST(job.already_ended == (c_.by == source::plan && c_.is_missed() ? 1U : 0U));
    BOOST_TEST(job.left == 0U);
  }

  // The function is there and goes on; the run behind gets the slot.
  void let_the_others_go_on() {
    if (is_missing_) bring_back();
    if (c_.run->moves == mover::a_resume || c_.by == source::pause) runtime().resume("subject");
    if (c_.is_limited() && c_.is_followed_later()) next_ = start(begin("next"));
    advance(2 * rest);
  }

  void check_others() {
    if (!next_.is_nil()) BOOST_TEST(status(next_) == run_status::completed);
    if (!parent_.is_nil()) {
      BOOST_TEST(status(parent_) == run_status::cancelled);
      BOOST_TEST(cancelled_told_[to_string(parent_)] == 1);
    }
    if (!c_.is_invoking()) return;
    const auto child = runtime().get(child_).value();
    const bool is_spared = c_.is_missed() || c_.at == order::behind || c_.run->is == state::invoking_abandoned;
    BOOST_TEST(child.status == (is_spared ? run_status::completed : run_status::cancelled));
    BOOST_TEST(cancelled_told_[to_string(child_)] == (is_spared ? 0 : 1));
    BOOST_TEST(executions_[child_]["work"] == (is_spared || c_.at == order::ahead ? 1 : 0));
    BOOST_REQUIRE(child.cancelled_by.has_value() == !is_spared);
    if (is_spared) return;
    BOOST_TEST(child.cancelled_by->source == cancel_source::parent);
    BOOST_TEST(child.cancelled_by->parent == subject_);
  }

  const combination c_;
  bool is_missing_ = false;
  run_id subject_, parent_, child_, next_;
  plan_id plan_;
  blow blow_;
  std::function<void()> during_;
  std::map<run_id, std::map<std::string, int>> executions_;
  std::map<std::string, int> cancelled_told_, finished_told_;
};

// Plays all legal combinations; how many there are.
int play_all(variant in) {
  int played = 0;
  for (const auto& run : scenarios()) {
    for (const auto by : sources) {
      for (const auto at : orders) {
        const combination c{&run, by, at, in};
        if (!c.is_legal()) continue;
        ++played;
        BOOST_TEST_CONTEXT(c.name()) {
          try {
            stage{c}.play();
          } catch (const std::exception& e) {
            BOOST_ERROR("it ended in " << e.what());
          }
        }
      }
    }
  }
  BOOST_TEST_MESSAGE(played << " combinations played");
  return played;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(matrix)

BOOST_AUTO_TEST_CASE(every_source_cancels_every_state_in_every_order) {
  const int played = play_all(variant::plain);
  BOOST_TEST(played >= 500);
}

BOOST_AUTO_TEST_CASE(the_same_with_a_concurrency_limit_whose_slot_the_next_run_gets) {
  const int played = play_all(variant::limited);
  BOOST_TEST(played >= 500);
}

BOOST_AUTO_TEST_CASE(the_same_worked_off_in_slices) {
  const int played = play_all(variant::sliced);
  BOOST_TEST(played >= 300);
}

BOOST_AUTO_TEST_SUITE_END()
