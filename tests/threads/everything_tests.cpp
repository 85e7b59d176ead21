// Everything that a runtime can be asked, from several threads at once, while its own threads work: not what each answer must be (the simulation and
// linearizability_tests ask that) but that nothing races, nothing hangs, every run ends, and the file is sound. CAESURA_ROUNDS says how long.

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <caesura/caesura.hpp>
#include <caesura/verify.hpp>

#include "tests/support/program_loop.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace caesura;
using namespace std::chrono_literals;
using nlohmann::json;

constexpr duration longest_wait = 120s;
constexpr int keys = 5;

int rounds() {
  const char* text = std::getenv("CAESURA_ROUNDS");
  return text == nullptr ? 300 : std::stoi(text);
}

class everything {
 public:
  explicit everything(const std::string& directory, executor* executor = nullptr) : runtime_{settings(directory, executor), functions()} {}

  void play(std::uint64_t seed, const std::function<void(everything&, std::mt19937_64&)>& act) {
    threads_.emplace_back([this, seed, act] {
      std::mt19937_64 random{seed};
      for (int i = 0; i < rounds(); ++i) {
        try {
          act(*this, random);
        } catch (const error& e) {
          if (is_expected(e.code())) continue;
          const std::lock_guard lock{mutex_};
          unexpected_.emplace_back(e.what());
        }
      }
    });
  }
  void join() {
    for (auto& thread : threads_) thread.join();
  }

  void send(std::mt19937_64& random) {
    static const std::vector<std::string> names{"go/steps", "go/family", "go/waits", "go/signal", "go/single", "go/batch", "go/late", "go/flaky", "news", "stop"};
    std::vector<event> events;
    for (auto count = 1 + random() % 3; count > 0; --count) {
      events.push_back({.name = names[random() % names.size()], .data = {{"key", random() % keys}, {"urgent", random() % 100}}});
    }
    for (const auto& one : runtime_.send(events)) {
      const std::lock_guard lock{mutex_};
      known_.insert(known_.end(), one.runs.begin(), one.runs.end());
      if (!one.runs.empty()) last_event_ = one.id;
    }
    if (random() % 2 == 0) runtime_.send_signal("signal/" + std::to_string(random() % keys), json{{"n", 1}});
  }

  void change(std::mt19937_64& random) {
    static const std::vector<std::string> pausable{"steps", "leaf", "single", "late"};
    const auto& function = pausable[random() % pausable.size()];
    switch (random() % 8) {
      case 0: runtime_.pause(function, static_cast<running_runs>(random() % 3)); break;
      case 1: runtime_.resume(function); break;
      case 2: runtime_.cancel_all(run_filter{.function = function, .when = "event.data.key == " + std::to_string(random() % keys)}); break;
      case 3: runtime_.cancel_all(runtime_.preview({.function = "family"}), {.reason = "test", .by = "change"}); break;
      case 4: runtime_.replay_all(run_filter{.function = "flaky", .status = run_status::failed}, {.rate_per_second = 500}); break;
      case 5:
        for (const auto& job : runtime_.bulk_jobs(3)) runtime_.stop(job.id);
        break;
      case 6: runtime_.define(functions()); break;
      default: {
        const auto run = any_known(random);
        runtime_.cancel(run, {.reason = "test", .by = "change"});
        if (random() % 2 == 0) runtime_.replay(run);
      }
    }
  }

  void read(std::mt19937_64& random) {
    const auto run = any_known(random);
    (void)runtime_.get(run);
    (void)runtime_.steps(run);
    (void)runtime_.timeline(run);
    (void)runtime_.list({.status = run_status::cancelled}, {.limit = 20});
    (void)runtime_.list_events({}, {.limit = 20});
    (void)runtime_.functions();
    (void)runtime_.stats();
    for (const auto& job : runtime_.bulk_jobs()) (void)runtime_.progress(job.id);
    (void)runtime_.wait(run, 1ms);
    (void)runtime_.explain(last_event(), run);
  }

  // Nothing more is asked: whatever was begun comes to its end.
  void end() {
    for (const auto& one : runtime_.functions()) runtime_.resume(one.id);
    std::map<std::string, int> ended;
    for (page_request page{.limit = 5'000};;) {
      const auto runs = runtime_.list({}, page);
      for (const auto& run : runs.runs) BOOST_TEST(runtime_.wait(run.id, longest_wait).has_value(), "run " << to_string(run.id) << " of " << run.function);
      for (const auto& run : runs.runs) ++ended[run.function + " " + std::string{to_string(runtime_.get(run.id)->status)}];
      if (!runs.next) break;
      page.before = runs.next;
    }
    for (const auto& [what, count] : ended) BOOST_TEST_MESSAGE(what << ": " << count);
    BOOST_TEST(steps_ > 0);
    BOOST_TEST(cleaned_ > 0);
    for (const auto* one : {"steps completed", "steps cancelled", "family cancelled", "leaf completed", "signal completed", "single cancelled", "batched completed",
                            "flaky failed", "flaky completed", "waits completed"}) {
      BOOST_TEST(ended[one] > 0, one);
    }
    const std::lock_guard lock{mutex_};
    for (const auto& text : unexpected_) BOOST_ERROR(text);
    for (const auto& run : told_twice_) BOOST_ERROR(run + " was told as ended twice");
  }

 private:
  [[nodiscard]] options settings(const std::string& directory, executor* executor) {
    return {.directory = directory,
            .step_threads = 4,
            .live_runs = 50,
            .map_size_bytes = std::size_t{256} << 20,
            .observer = {.on_run_ended = [this](const run_info& run) {
              const std::lock_guard lock{mutex_};
              if (!told_.insert(run.id).second) told_twice_.push_back(to_string(run.id));
            }},
            .executor = executor};
  }

  // What the other threads may have done meanwhile; and a thread may ask before there is any run.
  static bool is_expected(errc code) {
    return code == errc::run_not_ended || code == errc::function_paused || code == errc::unknown_run || code == errc::unknown_event;
  }

  // Kept small in time: what waits, waits some milliseconds.
  [[nodiscard]] std::vector<function> functions() {
    const auto count = [this] { return ++steps_; };
    const std::vector<cancel_rule> stop_by_key{{.event = "stop", .when = "event.data.key == async.data.key"}};
    std::vector<function> all;
    all.push_back({.id = "steps",
                   .triggers = {{.event = "go/steps"}},
                   .cancel_on = stop_by_key,
                   .concurrency = {{.limit = 2, .key = "event.data.key"}},
                   .priority = "event.data.urgent",
                   .body = [count](context step) -> task<int> {
                     const int a = co_await step.run("a", count);
                     co_await step.sleep_for("blink", 2ms);
                     co_return a + co_await step.run("b", count);
                   },
                   .on_cancel = [this](context step, event) -> task<> { co_await step.run("clean", [this] { ++cleaned_; }); }});
    all.push_back({.id = "family", .triggers = {{.event = "go/family"}}, .cancel_on = stop_by_key, .body = [](context step, json data) -> task<> {
                     co_await caesura::all(step.invoke("one", "leaf", data), step.invoke("two", "leaf", data), step.sleep_for("nap", 3ms));
                   }});
    all.push_back({.id = "leaf", .triggers = {{.event = "inngest/function.invoked"}}, .body = [count](context step) -> task<int> {
                     co_await step.sleep_for("nap", 2ms);
                     co_return co_await step.run("leaf", count);
                   }});
    all.push_back({.id = "waits", .triggers = {{.event = "go/waits"}}, .cancel_on = stop_by_key, .timeouts = {.finish = 200ms}, .body = [count](context step) -> task<> {
                     (void)co_await caesura::any(step.wait_for_event("news").when("event.data.key == async.data.key").timeout(20ms), step.sleep_for("limit", 10ms));
                     co_await step.run("after", count);
                   }});
    all.push_back({.id = "signal", .triggers = {{.event = "go/signal"}}, .body = [](context step, json data) -> task<> {
                     const auto name = "signal/" + std::to_string(data["key"].get<int>());
                     (void)co_await step.wait_for_signal(name).timeout(15ms).replace();
                   }});
    all.push_back({.id = "single",
                   .triggers = {{.event = "go/single"}},
                   .singleton = singleton{.key = "event.data.key", .mode = singleton_mode::cancel},
                   .body = [](context step) -> task<> { co_await step.sleep_for("nap", 5ms); }});
    all.push_back({.id = "batched",
                   .triggers = {{.event = "go/batch"}},
                   .batch = batch{.max_events = 4, .timeout = 1s, .key = "event.data.key"},
                   .body = [count](context step, std::vector<event> events) -> task<std::size_t> {
                     co_await step.run("all", count);
                     co_return events.size();
                   }});
    all.push_back({.id = "late",
                   .triggers = {{.event = "go/late"}},
                   .debounce = debounce{.period = 1s, .key = "event.data.key", .timeout = 2s},
                   .body = [count](context step) -> task<> { co_await step.run("late", count); }});
    all.push_back({.id = "flaky",
                   .triggers = {{.event = "go/flaky"}},
                   .retries = {.retries = 1, .delays = {1ms}, .jitter = 0ms},
                   .throttle = throttle{.limit = 2'000, .period = 1s, .burst = 100},
                   .body = [this](context step) -> task<> {
                     co_await step.run("flaky", [this] {
                       if (++steps_ % 3 != 0) throw std::runtime_error{"not now"};
                     });
                   }});
    return all;
  }

  run_id any_known(std::mt19937_64& random) {
    const std::lock_guard lock{mutex_};
    return known_.empty() ? run_id{} : known_[random() % known_.size()];
  }
  event_id last_event() {
    const std::lock_guard lock{mutex_};
    return last_event_;
  }

  std::atomic<int> steps_{0};
  std::atomic<int> cleaned_{0};
  std::mutex mutex_;
  std::set<run_id> told_;
  std::vector<std::string> told_twice_;
  std::vector<std::string> unexpected_;
  std::vector<run_id> known_;
  event_id last_event_{};
  runtime runtime_;
  std::vector<std::thread> threads_;
};

void play_everything(executor* executor) {
  const caesura::testing::temporary_directory directory;
  {
    everything world{directory.path(), executor};
    for (const std::uint64_t seed : {std::uint64_t{1}, std::uint64_t{2}}) world.play(seed, [](everything& at, std::mt19937_64& random) { at.send(random); });
    world.play(3, [](everything& at, std::mt19937_64& random) { at.change(random); });
    world.play(4, [](everything& at, std::mt19937_64& random) { at.read(random); });
    world.join();
    world.end();
  }
  const auto report = verify(directory.path());
  for (const auto& fault : report.faults) BOOST_ERROR(fault.text);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(threads)

BOOST_AUTO_TEST_CASE(everything_at_once_comes_to_its_end_and_leaves_a_sound_file) { play_everything(nullptr); }

BOOST_AUTO_TEST_CASE(everything_at_once_does_so_too_on_the_loop_of_the_program) {
  caesura::testing::program_loop loop;
  play_everything(&loop);
}

BOOST_AUTO_TEST_SUITE_END()
