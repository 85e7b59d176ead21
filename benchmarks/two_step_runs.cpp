// Question: how many durable two-step runs does one runtime complete in a second, and how long does one alone take?
//
// Workload: an event of about 150 bytes starts a run of two trivial steps; N runs are kept in flight (1, 100, 1,000), by at most four
// sender threads that send arrays of what is missing. Real syncs. Beside each rate stands the raw limit of storage on the same disk in
// the same run: the same records (event, run and its index entry; step, run; step, ended run) through storage::store by one thread,
// with as many commands a commit as the runtime's commits had, and no actors, steps, matching or answers.
//
// What matters: N, which decides how many commands share a commit. Alone, a run is three commits, one behind the other, so its time
// is compared with three single-record commits.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include <caesura/caesura.hpp>

#include "benchmarks/support.hpp"
#include "storage/store.hpp"

namespace {

using namespace caesura::benchmarks;
namespace storage = caesura::storage;

constexpr std::string_view function_id = "two-steps";
constexpr double measured_seconds = 3;
constexpr std::size_t alone_runs = 1'000;
constexpr std::size_t senders = 4;
constexpr std::size_t largest_array = 100;

caesura::function two_steps() {
  return {.id = std::string{function_id},
          .triggers = {{.event = "bench/two.steps"}},
          .body = [](caesura::context step, caesura::event) -> caesura::task<int> {
            const int one = co_await step.run("first", [] { return 1; });
            const int two = co_await step.run("second", [&] { return one + 1; });
            co_return two;
          }};
}

caesura::event bench_event(std::size_t number) {
  return {.name = "bench/two.steps",
          .data = {{"id", "t-" + std::to_string(number)}, {"userId", "u-4711"}, {"text", std::string(100, 'x')}}};
}

// Hands out one credit for each run that may be in flight.
class window {
 public:
  explicit window(std::size_t size) : free_{size} {}

  // At least one, at most `most`; 0 once closed.
  std::size_t take(std::size_t most) {
    std::unique_lock lock{mutex_};
    has_free_.wait(lock, [&] { return free_ > 0 || is_closed_; });
    if (is_closed_) return 0;
    const auto taken = std::min(free_, most);
    free_ -= taken;
    return taken;
  }
  void give_back() {
    {
      const std::lock_guard lock{mutex_};
      ++free_;
    }
    has_free_.notify_one();
  }
  void close() {
    {
      const std::lock_guard lock{mutex_};
      is_closed_ = true;
    }
    has_free_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable has_free_;
  std::size_t free_;
  bool is_closed_ = false;
};

struct rate {
  double runs_per_second{0};
  double commands_per_commit{0};
  double processor_us_per_run{0};
};

rate measure_runtime(std::size_t in_flight) {
  const scratch_directory directory;
  window free{in_flight};
  std::atomic<std::size_t> ended{0};
  std::uint64_t commits = 0;
  std::size_t counted = 0;
  double took = 0;
  double processor = 0;
  {
    caesura::options options{.directory = directory.path()};
    options.observer.on_run_ended = [&](const caesura::run_info&) {
      ended.fetch_add(1, std::memory_order_relaxed);
      free.give_back();
    };
    caesura::runtime runtime{std::move(options), {two_steps()}};
    std::vector<std::thread> threads;
    const std::size_t share = std::clamp<std::size_t>(in_flight / senders, 1, largest_array);
    for (std::size_t i = 0; i < std::min(senders, in_flight); ++i) {
      threads.emplace_back([&, i] {
        std::size_t number = i << 40;
        std::vector<caesura::event> events;
        while (const auto count = free.take(share)) {
          events.clear();
          for (std::size_t k = 0; k < count; ++k) events.push_back(bench_event(number++));
          runtime.send(events);
        }
      });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{500});  // threads and caches are warm
    const auto commits_before = commits_of(directory.path());
    const auto ended_before = ended.load();
    const auto processor_before = processor_us();
    const auto start = steady::now();
    std::this_thread::sleep_for(std::chrono::duration<double>{measured_seconds});
    processor = processor_us() - processor_before;
    counted = ended.load() - ended_before;
    took = seconds_since(start);
    commits = commits_of(directory.path()) - commits_before;
    free.close();
    for (auto& thread : threads) thread.join();
  }
  const auto runs = static_cast<double>(std::max<std::size_t>(counted, 1));
  return {.runs_per_second = runs / took,
          .commands_per_commit = 3 * runs / static_cast<double>(std::max<std::uint64_t>(commits, 1)),
          .processor_us_per_run = processor / runs};
}

// One run's three commands as the records that the router writes for them.
class raw_run {
 public:
  raw_run(std::uint64_t number, const caesura::event& event) {
    const auto now = std::chrono::floor<caesura::duration>(std::chrono::system_clock::now());
    event_ = {.id = id<caesura::event_id>(2 * number), .name = event.name, .data = event.data, .time = now, .received_at = now};
    run_ = {.id = id<caesura::run_id>(2 * number + 1),
            .definition = 0x1234'5678'9ABC'DEF0,
            .event = event_.id,
            .status = caesura::run_status::running,
            .created_at = now,
            .started_at = now};
    event_.runs = {run_.id};
    step_ = {.id = "first", .result = caesura::document(1), .started_at = now, .ended_at = now};
  }

  void accept(storage::write_transaction& tx) const {
    tx.create_run(run_, function_id);
    tx.put_event(event_);
  }
  void first_step(storage::write_transaction& tx) { add_step(tx, "first"); }
  void end(storage::write_transaction& tx) {
    run_.status = caesura::run_status::completed;
    run_.ended_at = step_.ended_at;
    run_.output = caesura::document(2);
    add_step(tx, "second");
  }

 private:
  template <class Id>
  static Id id(std::uint64_t number) {
    Id result;
    for (std::size_t i = 0; i < 8; ++i) result.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
    return result;
  }
  void add_step(storage::write_transaction& tx, std::string_view name) {
    step_.id = name;
    tx.put_step(run_.id, run_.step_count++, step_);
    run_.state_bytes += step_.result.bytes().size();
    tx.put_run(run_, true);
  }

  storage::event_record event_;
  storage::run_record run_;
  storage::step_record step_;
};

// Commits every `batch` commands, as the router does: the position and then everything at once.
class raw_batches {
 public:
  raw_batches(storage::store& store, std::size_t batch) : store_{store}, batch_{batch} {}

  void add(const std::function<void(storage::write_transaction&)>& command) {
    if (!tx_) tx_ = store_.begin_write();
    command(*tx_);
    if (++commands_ % batch_ != 0) return;
    tx_->put_meta("last_id", "0123456789abcdef");
    tx_->commit();
    tx_.reset();
  }

 private:
  storage::store& store_;
  std::size_t batch_;
  std::size_t commands_ = 0;
  std::unique_ptr<storage::write_transaction> tx_;
};

double measure_raw(double commands_per_commit) {
  const scratch_directory directory;
  storage::store store{{.directory = directory.path()}};
  const auto batch = std::max<std::size_t>(1, static_cast<std::size_t>(commands_per_commit + 0.5));
  const std::size_t group = std::max<std::size_t>(1, batch / 3);
  raw_batches out{store, batch};
  // A pipeline: while one group is accepted, the group before takes its first step and the one before that ends.
  std::vector<raw_run> fresh;
  std::vector<raw_run> stepped;
  const auto event = bench_event(0);  // the data is made once: making it is the sender's work, not the store's
  std::uint64_t number = 1;
  std::size_t ended = 0;
  const auto start = steady::now();
  while (seconds_since(start) < measured_seconds) {
    for (auto& run : stepped) out.add([&](auto& tx) { run.end(tx); });
    ended += stepped.size();
    for (auto& run : fresh) out.add([&](auto& tx) { run.first_step(tx); });
    stepped = std::exchange(fresh, {});
    for (std::size_t i = 0; i < group; ++i) {
      fresh.emplace_back(number++, event);
      out.add([&](auto& tx) { fresh.back().accept(tx); });
    }
  }
  return static_cast<double>(ended) / seconds_since(start);
}

struct alone {
  std::vector<double> run_us;      // from the call of `send` to the observer's word that the run has ended
  std::vector<double> commits_us;  // three single-record commits
};

// In turns, so that both meet the same disk.
alone measure_alone() {
  const scratch_directory directory;
  const scratch_directory raw_directory;
  storage::store store{{.directory = raw_directory.path()}};
  const std::string value(300, 'x');
  std::mutex mutex;
  std::condition_variable has_ended;
  std::size_t ended = 0;
  alone took;
  caesura::options options{.directory = directory.path()};
  options.observer.on_run_ended = [&](const caesura::run_info&) {
    {
      const std::lock_guard lock{mutex};
      ++ended;
    }
    has_ended.notify_one();
  };
  caesura::runtime runtime{std::move(options), {two_steps()}};
  for (std::size_t i = 0; i < alone_runs; ++i) {
    const auto event = bench_event(i);
    auto start = steady::now();
    runtime.send(event);
    {
      std::unique_lock lock{mutex};
      has_ended.wait(lock, [&] { return ended > i; });
    }
    took.run_us.push_back(microseconds_since(start));
    start = steady::now();
    for (int k = 0; k < 3; ++k) {
      const auto tx = store.begin_write();
      tx->put_meta("record", value);
      tx->commit();
    }
    took.commits_us.push_back(microseconds_since(start));
  }
  return took;
}

void ask_alone(std::size_t repeats) {
  std::vector<double> p50;
  std::vector<double> p99;
  std::vector<double> commits;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < repeats; ++i) {
    const auto took = measure_alone();
    p50.push_back(percentile(took.run_us, 0.5));
    p99.push_back(percentile(took.run_us, 0.99));
    commits.push_back(percentile(took.commits_us, 0.5));
    ratios.push_back(p50.back() / commits.back());
  }
  row("one two-step run alone, send to end", "p50 " + micros(median(p50)) + ", p99 " + micros(median(p99)),
      "three single-record LMDB commits: p50 " + micros(median(commits)) + ", ratio " + number(median(ratios)) + " (goal: at most 2)");
}

void ask_rate(std::size_t in_flight, std::size_t repeats) {
  std::vector<double> runs;
  std::vector<double> limits;
  std::vector<double> batches;
  std::vector<double> shares;
  std::vector<double> processor;
  for (std::size_t i = 0; i < repeats; ++i) {
    const auto measured = measure_runtime(in_flight);
    const auto limit = measure_raw(measured.commands_per_commit);
    runs.push_back(measured.runs_per_second);
    batches.push_back(measured.commands_per_commit);
    processor.push_back(measured.processor_us_per_run);
    limits.push_back(limit);
    shares.push_back(measured.runs_per_second / limit);
  }
  row("two-step runs per second, " + number(in_flight) + " in flight",
      number(median(runs)) + " /s, " + number(median(processor)) + " µs of processor a run",
      "raw LMDB limit, same records, " + number(median(batches)) + " commands a commit: " + number(median(limits)) + " /s, share " +
          number(median(shares)));
}

}  // namespace

int main(int argc, char** argv) {
  const auto times = repeats(argc, argv);
  {
    const scratch_directory directory;
    head("two_step_runs", directory.path(), number(measured_seconds) + " s a case, " + std::to_string(times) + " times, 64 step threads");
  }
  // A second argument asks for one case only: for profiling.
  const std::size_t only = argc > 2 ? static_cast<std::size_t>(std::atoi(argv[2])) : 0;
  if (only == 0) ask_alone(times);
  for (const std::size_t in_flight : {std::size_t{1}, std::size_t{100}, std::size_t{1000}}) {
    if (only == 0 || only == in_flight) ask_rate(in_flight, times);
  }
}
