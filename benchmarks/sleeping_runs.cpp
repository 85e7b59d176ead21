// Question: what does a sleeping run cost in memory and on disk, and how long does a start take with many of them?
//
// Workload: 100,000 runs (or the number given as the second argument) sleep for a day; each has one cancel rule that compares an id and
// came from an event of about 150 bytes. Memory is the growth of the process's anonymous pages from the started runtime to all runs
// at rest, and, after a restart, from before the construction of the runtime. Disk is the growth of the store's file.
//
// What matters: the number of runs. A start reads each live run once and rebuilds index and timers.

#include <optional>

#include <caesura/caesura.hpp>

#include "benchmarks/support.hpp"

namespace {

using namespace caesura::benchmarks;

constexpr std::size_t array = 1'000;

caesura::function sleeper() {
  return {.id = "sleeper",
          .triggers = {{.event = "bench/created"}},
          .cancel_on = {{.event = "bench/deleted", .when = "event.data.id == async.data.id"}},
          .body = [](caesura::context step, caesura::event) -> caesura::task<> {
            co_await step.sleep_for("rest", caesura::days{1});
            co_await step.run("push", [] {});
          }};
}

std::size_t count_sleeping(const caesura::runtime& runtime) {
  std::size_t sleeping = 0;
  caesura::page_request part{.limit = 5'000};
  do {
    const auto page = runtime.list({.status = caesura::run_status::sleeping}, part);
    sleeping += page.runs.size();
    part.before = page.next;
  } while (part.before);
  return sleeping;
}

// What the allocator keeps for later is no cost of a run.
std::size_t settled_memory() {
  ::malloc_trim(0);
  return anonymous_bytes();
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t count = argc > 2 ? static_cast<std::size_t>(std::atoi(argv[2])) : 100'000;
  const auto runs = static_cast<double>(count);
  const scratch_directory scratch;
  head("sleeping_runs", scratch.path(), number(count) + " sleeping runs, each with one cancel rule");
  const std::string directory = scratch.file("store");

  std::optional<caesura::runtime> runtime;
  runtime.emplace(caesura::options{.directory = directory}, std::vector{sleeper()});
  const auto disk_before = disk_bytes(directory);
  const auto memory_before = settled_memory();
  const auto start = steady::now();
  for (std::size_t sent = 0; sent < count; sent += array) {
    std::vector<caesura::event> events;
    for (std::size_t i = 0; i < std::min(array, count - sent); ++i) {
      events.push_back({.name = "bench/created",
                        .data = {{"id", "t-" + std::to_string(sent + i)}, {"userId", "u-4711"}, {"text", std::string(100, 'x')}}});
    }
    runtime->send(events);
  }
  for (std::size_t sleeping = 0; sleeping < count; sleeping = count_sleeping(*runtime)) {
    if (seconds_since(start) > 600) throw std::runtime_error{"only " + std::to_string(sleeping) + " runs sleep after ten minutes"};
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  const double to_rest = seconds_since(start);
  std::this_thread::sleep_for(std::chrono::milliseconds{500});  // the last actors are gone
  const auto memory = static_cast<double>(settled_memory() - memory_before) / runs;
  const auto disk = static_cast<double>(disk_bytes(directory) - disk_before) / runs;

  runtime.reset();
  const auto memory_closed = settled_memory();
  const auto reopen = steady::now();
  runtime.emplace(caesura::options{.directory = directory}, std::vector{sleeper()});
  const double to_open = seconds_since(reopen);
  const auto memory_opened = static_cast<double>(settled_memory() - memory_closed) / runs;
  if (count_sleeping(*runtime) != count) throw std::runtime_error{"a sleeping run is lost"};

  row("memory per sleeping run, " + number(count) + " of them", number(memory) + " bytes", "after a restart: " + number(memory_opened) + " bytes");
  row("disk per sleeping run, with its event", number(disk) + " bytes", "its event's data: about 140 bytes");
  row("start with " + number(count) + " sleeping runs", number(1000 * to_open) + " ms",
      number(1e6 * to_open / runs) + " µs a run, files in the page cache");
  row("runs per second from event to sleep", number(runs / to_rest) + " /s", "two commits a run, 2 000 live at once");
}
