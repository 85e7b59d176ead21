// Question: how fast does a bulk cancel end runs at rest, and how long do other commands wait meanwhile?
//
// Workload: 100,000 runs sleep for a day; one cancel_all of the whole function; beside it another thread sends one event at a time that
// matches nothing, until the job is done. The rate is that of the job's record: runs cancelled between its start and its end.
//
// What matters: slices. Each commit takes a slice of the job and whatever else waits.

#include <atomic>
#include <thread>

#include <caesura/caesura.hpp>

#include "benchmarks/support.hpp"

namespace {

using namespace caesura::benchmarks;

constexpr std::size_t array = 1'000;

caesura::function sleeper() {
  return {.id = "sleeper", .triggers = {{.event = "bench/created"}}, .body = [](caesura::context step) -> caesura::task<> {
            co_await step.sleep_for("rest", caesura::days{1});
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

}  // namespace

int main(int argc, char** argv) {
  const std::size_t runs = argc > 2 ? std::stoul(argv[2]) : 100'000;
  const scratch_directory directory;
  head("bulk_cancel", directory.path(), number(runs) + " sleeping runs, one bulk cancel, one sender beside it");
  caesura::runtime runtime{{.directory = directory.path()}, {sleeper()}};
  for (std::size_t sent = 0; sent < runs; sent += array) runtime.send(std::vector<caesura::event>(array, {.name = "bench/created", .data = {{"n", sent}}}));
  while (count_sleeping(runtime) < runs) std::this_thread::sleep_for(std::chrono::milliseconds{50});

  std::vector<double> alone;
  std::vector<double> beside;
  const auto send_one = [&](std::vector<double>& into) {
    const auto start = steady::now();
    runtime.send({.name = "bench/other"});
    into.push_back(microseconds_since(start));
  };
  constexpr int alone_sends = 500;
  for (int i = 0; i < alone_sends; ++i) send_one(alone);
  const auto bulk = runtime.cancel_all({.function = "sleeper"}, {.reason = "bench"});
  while (runtime.progress(bulk)->status == caesura::bulk_progress::state::working) send_one(beside);
  const auto progress = runtime.progress(bulk).value();
  if (progress.cancelled != runs) throw std::runtime_error{"only " + std::to_string(progress.cancelled) + " runs were cancelled"};
  row("bulk cancel of " + number(runs) + " runs at rest", number(progress.per_second) + " runs/s",
      "goal: at least 50 000 /s; an event sent meanwhile: p50 " + micros(percentile(beside, 0.5)) + ", p99 " + micros(percentile(beside, 0.99)) +
          "; sent alone: p99 " + micros(percentile(alone, 0.99)));
}
