// Question: how many events per second are matched against the runs that wait, and does it depend on how many wait?
//
// Workload, the index alone: 10 thousand and a million runs listen for `bench/deleted` with "event.data.id == async.data.id", each for
// an id of its own; events that hit one run and events that hit none are looked up, candidates are counted. One thread, no disk.
// End to end: arrays of 1,000 events that match no run are sent to a runtime in which 10,000 runs sleep; four threads, real syncs.
//
// What matters: the number of waiting runs. Evaluating every rule would grow with it; the index looks at one hash. What an event costs
// by evaluating all rules of 10 thousand runs is measured beside it.

#include <atomic>

#include <caesura/caesura.hpp>

#include "actors/listener_index.hpp"
#include "benchmarks/support.hpp"

namespace {

using namespace caesura::benchmarks;
namespace expression = caesura::expression;

constexpr std::string_view event_name = "bench/deleted";
constexpr std::string_view rule_text = "event.data.id == async.data.id";

std::string key(std::size_t number) { return "t-" + std::to_string(number); }

caesura::document data_of(std::size_t number) { return {{"id", key(number)}, {"userId", "u-4711"}, {"reason", "asked for"}}; }

expression::event_scope scope_of(const caesura::document& data) {
  return {.id = "e-1", .name = event_name, .ts = 0, .data = caesura::storage::document_view{data.bytes()}};
}

expression::compiled rule() {
  auto parsed = expression::compiled::parse(rule_text, expression::roots::event_and_async);
  if (const auto* fault = std::get_if<expression::fault>(&parsed)) throw std::runtime_error{"the rule does not parse: " + fault->text};
  return std::get<expression::compiled>(std::move(parsed));
}

caesura::run_id run_number(std::size_t number) {
  caesura::run_id run;
  for (std::size_t i = 0; i < 8; ++i) run.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  return run;
}

struct looked_up {
  double events_per_second{0};
  double candidates{0};
  double bytes_per_run{0};
};

looked_up look_up(const expression::compiled& compiled, std::size_t waiting, std::size_t first_event) {
  constexpr std::size_t distinct = 100'000;
  constexpr std::size_t look_ups = 1'000'000;
  caesura::actors::listener_index index;
  const auto before = allocated_bytes();
  for (std::size_t i = 0; i < waiting; ++i) {
    const auto data = data_of(i);
    index.insert({.event = event_name, .rule = &compiled, .key = caesura::actors::key_of(compiled, scope_of(data)), .run = run_number(i)});
  }
  const auto memory = allocated_bytes() - before;
  std::vector<caesura::document> incoming;
  for (std::size_t i = 0; i < distinct; ++i) incoming.push_back(data_of(first_event + i * 7'919 % waiting));
  std::size_t found = 0;
  const auto start = steady::now();
  for (std::size_t i = 0; i < look_ups; ++i) {
    caesura::actors::listener_index::cursor from;
    found += index.candidates(event_name, scope_of(incoming[i % distinct]), 1'001, from).size();
  }
  const double took = seconds_since(start);
  return {.events_per_second = static_cast<double>(look_ups) / took,
          .candidates = static_cast<double>(found) / static_cast<double>(look_ups),
          .bytes_per_run = static_cast<double>(memory) / static_cast<double>(waiting)};
}

// The same without an index: every rule of every run is evaluated.
double evaluate_all(const expression::compiled& compiled, std::size_t waiting) {
  constexpr std::size_t events = 50;
  std::vector<caesura::document> triggers;
  for (std::size_t i = 0; i < waiting; ++i) triggers.push_back(data_of(i));
  std::size_t found = 0;
  const auto start = steady::now();
  for (std::size_t i = 0; i < events; ++i) {
    const auto data = data_of(i);
    const auto incoming = scope_of(data);
    for (const auto& trigger : triggers) found += compiled.matches(scope_of(trigger), &incoming).matches ? 1 : 0;
  }
  if (found != events) throw std::runtime_error{"each event matches one rule, yet " + std::to_string(found) + " matched"};
  return events / seconds_since(start);
}

void ask_index(std::size_t waiting, const expression::compiled& compiled, std::size_t repeats, double linear) {
  std::vector<double> hits;
  std::vector<double> misses;
  double bytes = 0;
  for (std::size_t i = 0; i < repeats; ++i) {
    const auto hit = look_up(compiled, waiting, 0);
    const auto miss = look_up(compiled, waiting, 2 * waiting);
    if (hit.candidates < 0.999 || miss.candidates > 0.001) throw std::runtime_error{"the index finds too few or too many"};
    hits.push_back(hit.events_per_second);
    misses.push_back(miss.events_per_second);
    bytes = std::max(bytes, hit.bytes_per_run);
  }
  row("events matched per second by the index alone, " + number(waiting) + " waiting runs",
      number(median(hits)) + " /s that hit one, " + number(median(misses)) + " /s that hit none",
      number(1e6 / median(hits)) + " µs an event, " + number(bytes) + " bytes a run" +
          (linear > 0 ? "; evaluating every rule: " + number(linear) + " /s" : std::string{}));
}

caesura::function sleeper() {
  return {.id = "sleeper",
          .triggers = {{.event = "bench/created"}},
          .cancel_on = {{.event = std::string{event_name}, .when = std::string{rule_text}}},
          .body = [](caesura::context step, caesura::event) -> caesura::task<> { co_await step.sleep_for("rest", caesura::days{1}); }};
}

// Events per second, sent in arrays by four threads, with `waiting` runs asleep.
double send_unmatched(std::size_t waiting) {
  constexpr std::size_t array = 1'000;
  constexpr std::size_t senders = 4;
  constexpr double seconds = 3;
  const scratch_directory directory;
  caesura::runtime runtime{{.directory = directory.path()}, {sleeper()}};
  for (std::size_t sent = 0; sent < waiting; sent += array) {
    std::vector<caesura::event> events;
    for (std::size_t i = 0; i < array; ++i) events.push_back({.name = "bench/created", .data = data_of(sent + i)});
    runtime.send(events);
  }
  std::atomic<std::size_t> accepted{0};
  std::atomic<bool> is_over{false};
  std::vector<std::thread> threads;
  const auto start = steady::now();
  for (std::size_t i = 0; i < senders; ++i) {
    threads.emplace_back([&, i] {
      std::vector<caesura::event> events;
      for (std::size_t k = 0; k < array; ++k) events.push_back({.name = std::string{event_name}, .data = data_of((i + 2) * 10'000'000 + k)});
      while (!is_over) accepted += runtime.send(events).size();
    });
  }
  std::this_thread::sleep_for(std::chrono::duration<double>{seconds});
  is_over = true;
  for (auto& thread : threads) thread.join();
  return static_cast<double>(accepted.load()) / seconds_since(start);
}

}  // namespace

int main(int argc, char** argv) {
  const auto times = repeats(argc, argv);
  {
    const scratch_directory directory;
    head("event_matching", directory.path(), "rule " + std::string{rule_text} + ", " + std::to_string(times) + " times");
  }
  const auto compiled = rule();
  ask_index(10'000, compiled, times, evaluate_all(compiled, 10'000));
  ask_index(1'000'000, compiled, times, 0);
  std::vector<double> with;
  std::vector<double> without;
  for (std::size_t i = 0; i < times; ++i) {
    without.push_back(send_unmatched(0));
    with.push_back(send_unmatched(10'000));
  }
  row("events per second sent that match no run, arrays of 1 000, 10 000 sleeping runs", number(median(with)) + " /s",
      "no sleeping run: " + number(median(without)) + " /s");
}
