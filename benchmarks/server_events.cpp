// Question: how many events a second does the server accept over HTTP, and how long does one alone take?
//
// Workload: POST /e/KEY with arrays of 100 events of about 150 bytes, which nothing listens for, over kept connections (4, or the number given as the
// second argument), each of which waits for its answer: durable, so synced. The program `caesura serve` is a process of its own on the same machine;
// the client writes the same bytes again and again. The rate is the median of slices of half a second.
//
// What matters: how many arrays share a commit, so the number of connections; and the two processes share the cores.

#include <atomic>

#include "benchmarks/server_support.hpp"

namespace {

using namespace caesura::benchmarks;

constexpr std::size_t array = 100;
constexpr std::size_t alone_events = 500;

std::string bench_event() {
  return R"({"name":"bench/nobody.listens","data":{"id":"t-4711","userId":"u-4711","text":")" + std::string(80, 'x') + R"("}})";
}

rate_over_time measure(const served& server, std::size_t connections) {
  const auto request = kept_connection::request("POST", "/e/bench", array_of(bench_event(), array));
  std::atomic<std::size_t> accepted{0};
  std::atomic<bool> is_over{false};
  std::vector<std::thread> senders;
  for (std::size_t i = 0; i < connections; ++i) {
    senders.emplace_back([&] {
      kept_connection connection{server.port()};
      while (!is_over) {
        (void)connection.ask(request);
        accepted += array;
      }
    });
  }
  const auto found = measure_rate(server, [&] { return accepted.load(); });
  is_over = true;
  for (auto& sender : senders) sender.join();
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t connections = argc > 2 ? static_cast<std::size_t>(std::atoi(argv[2])) : 4;
  const scratch_directory scratch;
  head("server_events", scratch.path(), "arrays of " + number(array) + " events over " + number(connections) + " kept connections");
  std::vector<double> rates;
  std::vector<double> costs;
  std::vector<double> alone;
  for (std::size_t i = 0; i < repeats(argc, argv); ++i) {
    const served server{scratch.file("store-" + std::to_string(i))};
    const auto found = measure(server, connections);
    rates.push_back(found.per_second);
    costs.push_back(found.server_us);
    kept_connection connection{server.port()};
    const auto request = kept_connection::request("POST", "/e/bench", bench_event());
    for (std::size_t n = 0; n < alone_events; ++n) {
      const auto start = steady::now();
      (void)connection.ask(request);
      alone.push_back(microseconds_since(start));
    }
  }
  row("events accepted per second over HTTP, arrays of " + number(array) + ", " + number(connections) + " connections", number(median(rates)) + " /s",
      "goal: at least 30 000 /s; " + number(median(costs)) + " µs of the server's processor an event");
  row("one event alone over HTTP, sent to answered, durable", "p50 " + micros(percentile(alone, 0.5)) + ", p99 " + micros(percentile(alone, 0.99)), "the disk's sync above");
}
