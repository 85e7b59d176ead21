// Question: how long after an event that cancels a run is sent is the run's terminal status durable, while many runs sleep?
//
// Workload: 10,000 runs sleep for a day; each listens for `bench/deleted` with "event.data.id == async.data.id". Then each is cancelled
// by an event of its own: one event at a time (latency), the next one once the run before has ended. `send` returns after the commit
// that ends the run, so the time to its return is the time to durability; the time to the observer's word is shown beside it.
//
// What matters: the commit. The look-up among 10,000 listeners costs about a microsecond.

#include <atomic>
#include <condition_variable>
#include <mutex>

#include <caesura/caesura.hpp>

#include "benchmarks/support.hpp"
#include "storage/store.hpp"

namespace {

using namespace caesura::benchmarks;

constexpr std::size_t sleeping_runs = 10'000;
constexpr std::size_t array = 1'000;
constexpr std::size_t commits_every = 10;

std::string key(std::size_t number) { return "t-" + std::to_string(number); }

caesura::function sleeper() {
  return {.id = "sleeper",
          .triggers = {{.event = "bench/created"}},
          .cancel_on = {{.event = "bench/deleted", .when = "event.data.id == async.data.id"}},
          .body = [](caesura::context step, caesura::event) -> caesura::task<> {
            co_await step.sleep_for("rest", caesura::days{1});
            co_await step.run("push", [] {});
          }};
}

// One record, one commit, in a store of its own.
double commit_us(caesura::storage::store& store) {
  static const std::string value(300, 'x');
  const auto start = steady::now();
  const auto tx = store.begin_write();
  tx->put_meta("record", value);
  tx->commit();
  return microseconds_since(start);
}

void wait_until_all_sleep(const caesura::runtime& runtime, std::size_t count) {
  const auto start = steady::now();
  for (std::size_t sleeping = 0; sleeping < count;) {
    if (seconds_since(start) > 120) throw std::runtime_error{"only " + std::to_string(sleeping) + " runs sleep after two minutes"};
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
    sleeping = 0;
    caesura::page_request part{.limit = 5'000};
    do {
      const auto page = runtime.list({.status = caesura::run_status::sleeping}, part);
      sleeping += page.runs.size();
      part.before = page.next;
    } while (part.before);
  }
}

}  // namespace

int main() {
  const scratch_directory directory;
  head("cancel_latency", directory.path(), number(sleeping_runs) + " sleeping runs, each cancelled by an event of its own");
  const scratch_directory raw_directory;
  caesura::storage::store raw{{.directory = raw_directory.path()}};

  std::mutex mutex;
  std::condition_variable has_ended;
  std::size_t ended = 0;
  std::size_t cancelled = 0;
  caesura::options options{.directory = directory.path()};
  options.observer.on_run_ended = [&](const caesura::run_info& run) {
    {
      const std::lock_guard lock{mutex};
      ++ended;
      if (run.status == caesura::run_status::cancelled) ++cancelled;
    }
    has_ended.notify_one();
  };
  caesura::runtime runtime{std::move(options), {sleeper()}};
  std::vector<caesura::event> events;
  for (std::size_t i = 0; i < sleeping_runs; ++i) {
    events.push_back({.name = "bench/created", .data = {{"id", key(i)}, {"text", std::string(100, 'x')}}});
    if (events.size() == array) runtime.send(std::exchange(events, {}));
  }
  wait_until_all_sleep(runtime, sleeping_runs);

  std::vector<double> durable;
  std::vector<double> told;
  std::vector<double> commits;
  for (std::size_t i = 0; i < sleeping_runs; ++i) {
    const std::size_t victim = i * 7'919 % sleeping_runs;  // in no order of creation: 7,919 is prime
    const caesura::event deleted{.name = "bench/deleted", .data = {{"id", key(victim)}}};
    const auto start = steady::now();
    runtime.send(deleted);
    durable.push_back(microseconds_since(start));
    std::unique_lock lock{mutex};
    if (!has_ended.wait_for(lock, std::chrono::seconds{10}, [&] { return ended > i; })) throw std::runtime_error{"a run was not cancelled"};
    told.push_back(microseconds_since(start));
    lock.unlock();
    if (i % commits_every == 0) commits.push_back(commit_us(raw));  // in between, so that both meet the same disk
  }
  if (cancelled != sleeping_runs) throw std::runtime_error{"a run ended, but not cancelled"};

  const double commit_p50 = percentile(commits, 0.5);
  const double p50 = percentile(durable, 0.5);
  row("cancel event sent to terminal status durable, 10 000 sleeping runs", "p50 " + micros(p50) + ", p99 " + micros(percentile(durable, 0.99)),
      "one single-record LMDB commit: p50 " + micros(commit_p50) + ", p99 " + micros(percentile(commits, 0.99)) + ", ratio of p50 " +
          number(p50 / commit_p50));
  row("cancel event sent to the observer's word", "p50 " + micros(percentile(told, 0.5)) + ", p99 " + micros(percentile(told, 0.99)),
      "sent to durable: p50 " + micros(p50));
}
