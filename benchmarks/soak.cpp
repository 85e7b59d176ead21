// Question: under a mixed load that goes on and on, do memory, file and latency stay flat?
//
// Workload: some 400 runs a second that execute steps (one in ten fails once), sleep, wait and invoke; a fifth of them is cancelled by an event, some by
// call, some by preview and bulk cancel; replays, pauses and resumes, lists and look-ups in between. What has ended is kept for a tenth of the
// time, then purged, so that after the first fifth as much goes as comes. Which is what matters: the second fifth is compared with the last one; latencies as
// multiples of a sync at that time, because a disk that is written to for long, or shared, has moods.
//
// soak [SECONDS], 60 unless told. A line each twentieth of the time; ends with 1 when something grows.

#include <atomic>
#include <map>
#include <optional>
#include <random>

#include <caesura/caesura.hpp>
#include <caesura/verify.hpp>

#include "benchmarks/support.hpp"
#include "runtime/environment.hpp"

namespace {

using namespace caesura::benchmarks;
using namespace std::chrono_literals;

constexpr int slices = 20;
constexpr int runs_a_second = 400;
constexpr int ticks_a_second = 20;

caesura::task<int> do_job(caesura::context step, caesura::event e) {
  const auto n = e.data.json().at("n").get<int>();
  bool fails = n % 10 == 0;
  const int got = co_await step.run("get", [fails]() mutable {
    if (std::exchange(fails, false) && std::rand() % 2 == 0) throw std::runtime_error{"as it may"};
    return 1;
  });
  if (n % 3 == 0) co_await step.wait_for_event("job/answered").when("event.data.id == async.data.id").timeout(2s);
  if (n % 7 == 0) co_await step.invoke<int>("call", "child", nlohmann::json::object());
  co_await step.sleep_for("rest", caesura::duration{n % 3'000});
  co_return got + co_await step.run("put", [] { return 1; });
}

caesura::task<int> be_child(caesura::context step) {
  co_return co_await step.run("only", [] { return 3; });
}

caesura::task<> clean_up(caesura::context step) {
  co_await step.run("clean", [] {});
}

std::vector<caesura::function> functions() {
  caesura::function job{.id = "job",
                        .triggers = {{.event = "job/created"}},
                        .cancel_on = {{.event = "job/deleted", .when = "event.data.id == async.data.id"}},
                        .body = do_job};
  job.retries.retries = 2;
  job.retries.delays.assign(1, 100ms);
  return {std::move(job),
          {.id = "child", .triggers = {{.event = "child/created"}}, .body = be_child},
          {.id = "cleanup", .triggers = {{.event = "inngest/function.cancelled"}}, .body = clean_up}};
}

std::size_t entries_of(const char* directory) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{directory}, std::filesystem::directory_iterator{}));
}

struct slice {
  double runs_a_second, send_p50, send_p99, cancel_p50, sync_p50, memory_mib, file_mib;
  std::size_t threads, descriptors;

  // Latencies in syncs of the same moment: what else the machine does, and what the disk thinks of it, is in both.
  double send_syncs = send_p50 / sync_p50;
  double cancel_syncs = cancel_p50 / sync_p50;
};

double mean(const std::vector<slice>& all, int from, int to, double slice::*what) {
  double sum = 0;
  for (int i = from; i < to; ++i) sum += all[static_cast<std::size_t>(i)].*what;
  return sum / (to - from);
}

}  // namespace

int main(int argc, char** argv) {
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 60;
  if (seconds < 20) {
    std::fprintf(stderr, "soak [SECONDS]: at least 20, or nothing is purged in time\n");
    return 2;
  }
  const scratch_directory directory;
  const auto keep = caesura::duration{seconds * 100};
  std::printf("# machine: %s, %u cores, memory %s; commit %s\n", first_line_after("/proc/cpuinfo", "model name").c_str(), std::thread::hardware_concurrency(),
              first_line_after("/proc/meminfo", "MemTotal").c_str(), commit().c_str());
  std::printf("# soak: %d s, %d runs/s sent, ended runs and events kept for %s; disk sync p50 %s\n", seconds, runs_a_second, caesura::to_string(keep).c_str(),
              micros(disk_sync_p50_us(directory.path())).c_str());

  std::atomic<std::size_t> ended{0};
  caesura::detail::environment hooks;
  hooks.is_real = true;
  hooks.adjust_limits = [keep](caesura::actors::limits& limits) {
    limits.keep_runs = limits.keep_events = limits.keep_plans = limits.event_memory = keep;
    limits.purge_every = keep / 20;
  };
  std::vector<slice> all;
  {
    caesura::options options{.directory = directory.path()};
    options.observer.on_run_ended = [&](const caesura::run_info&) { ++ended; };
    caesura::runtime runtime{std::move(options), functions(), hooks};
    std::mt19937 random{1};
    std::vector<caesura::run_id> sent_runs;
    std::vector<double> sends, cancels;
    int next = 0;
    std::size_t ended_before = 0;
    const auto start = steady::now();
    auto slice_start = start;
    std::printf("| second | runs ended/s | send p50 | p99 | cancel p50 | sync p50 | memory MiB | file MiB | threads | descriptors |\n");
    std::printf("|---|---|---|---|---|---|---|---|---|---|\n");
    for (int tick = 0; static_cast<int>(all.size()) < slices; ++tick) {
      std::this_thread::sleep_until(start + std::chrono::milliseconds{1'000 / ticks_a_second} * tick);
      std::vector<caesura::event> events;
      for (int i = 0; i < runs_a_second / ticks_a_second; ++i, ++next) {
        events.push_back({.name = "job/created", .data = {{"id", next}, {"n", next}, {"group", next % 50}, {"text", std::string(200, 'x')}}});
        if (next % 5 == 0 && next > 500) events.push_back({.name = "job/deleted", .data = {{"id", next - 200}}});
        if (next % 6 == 0 && next > 500) events.push_back({.name = "job/answered", .data = {{"id", next - 150}}});
      }
      auto at = steady::now();
      for (const auto& sent : runtime.send(events)) sent_runs.insert(sent_runs.end(), sent.runs.begin(), sent.runs.end());
      sends.push_back(microseconds_since(at));
      const auto some_run = [&] { return sent_runs[random() % sent_runs.size()]; };
      at = steady::now();
      (void)runtime.cancel(some_run());
      cancels.push_back(microseconds_since(at));
      (void)runtime.get(some_run());
      if (tick % ticks_a_second == 0) {
        (void)runtime.list({.function = "job"}, {.limit = 100});
        (void)runtime.cancel_all(runtime.preview({.function = "job", .when = "event.data.group == " + std::to_string(random() % 50)}));
        const auto page = runtime.list({.function = "job", .status = caesura::run_status::cancelled}, {.limit = 1});
        try {
          if (!page.runs.empty()) (void)runtime.replay(page.runs[0].id);
        } catch (const caesura::error&) {  // purged, or paused: as it may be
        }
        const auto second = tick / ticks_a_second % 10;
        if (second == 4) runtime.pause("child", {.under_way = caesura::running_runs::hold});
        if (second == 5) runtime.resume("child");
      }
      if (sent_runs.size() > 1'000) sent_runs.erase(sent_runs.begin(), sent_runs.end() - 800);

      if (seconds_since(slice_start) * slices < seconds) continue;
      all.push_back({.runs_a_second = static_cast<double>(ended - ended_before) / seconds_since(slice_start),
                     .send_p50 = percentile(sends, 0.5),
                     .send_p99 = percentile(sends, 0.99),
                     .cancel_p50 = percentile(cancels, 0.5),
                     .sync_p50 = disk_sync_p50_us(directory.path()),
                     .memory_mib = static_cast<double>(anonymous_bytes()) / (1 << 20),
                     .file_mib = static_cast<double>(disk_bytes(directory.path())) / (1 << 20),
                     .threads = entries_of("/proc/self/task"),
                     .descriptors = entries_of("/proc/self/fd")});
      const auto& s = all.back();
      std::printf("| %.0f | %s | %s | %s | %s | %s | %.1f | %.1f | %zu | %zu |\n", seconds_since(start), number(s.runs_a_second).c_str(),
                  micros(s.send_p50).c_str(), micros(s.send_p99).c_str(), micros(s.cancel_p50).c_str(), micros(s.sync_p50).c_str(), s.memory_mib, s.file_mib,
                  s.threads, s.descriptors);
      std::fflush(stdout);
      ended_before = ended;
      slice_start = steady::now();
      sends.clear();
      cancels.clear();
    }
  }

  // The bounds: a tenth more memory or file, and half as much again of latency, with an allowance for what is small.
  bool is_flat = true;
  const auto compare = [&](const char* name, double slice::*what, double factor, double allowance) {
    const double early = mean(all, slices / 5, 2 * slices / 5, what);
    const double late = mean(all, 4 * slices / 5, slices, what);
    const bool holds = late <= early * factor + allowance;
    is_flat = is_flat && holds;
    std::printf("# %s: %.1f in the second fifth, %.1f in the last: %s\n", name, early, late, holds ? "flat" : "GROWS");
  };
  compare("memory, MiB", &slice::memory_mib, 1.1, 4);
  compare("file, MiB", &slice::file_mib, 1.1, 2);
  compare("send p50, syncs", &slice::send_syncs, 1.5, 2);
  compare("cancel p50, syncs", &slice::cancel_syncs, 1.5, 2);
  constexpr std::size_t most_threads = 64 + 10;  // options.step_threads, made on demand, and the runtime's own
  const bool leaks = all.back().threads > most_threads || all.back().descriptors > all[slices / 5].descriptors;
  if (leaks) std::printf("# threads or descriptors: GROW\n");
  const auto report = caesura::verify(directory.path());
  std::printf("# %zu runs ended; the store is %s\n", ended.load(), report.is_sound() ? "sound" : report.faults[0].text.c_str());
  return is_flat && !leaks && report.is_sound() ? 0 : 1;
}
