// The last of three steps has a bug. The run fails, somebody is told, the bug is mended, and the run is replayed from that step: what was
// done before is kept, not done again. On the way: steps side by side, a child run, a limit on how many execute at once. Exit status 0
// if it went as told.

#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <iostream>
#include <string>

#include <caesura/caesura.hpp>

namespace {

using namespace std::chrono_literals;

struct warehouse {
  std::atomic<int> reserved{0};
  std::atomic<int> charged{0};
  std::atomic<int> shipped{0};
  std::atomic<bool> has_bug{true};
  std::promise<std::string> told{};
};

caesura::function fulfil_order(warehouse& house) {
  return {.id = "fulfil-order",
          .triggers = {{.event = "order/placed"}},
          .timeouts = {.finish = caesura::days{3}},
          .concurrency = {{.limit = 2, .key = "event.data.customer"}},
          .body = [&house](caesura::context step, nlohmann::json order) -> caesura::task<int> {
            // Two steps side by side.
            const auto [shelf, receipt] = co_await caesura::all(step.run("reserve", [&] { return ++house.reserved; }),
                                                                step.run("charge", [&] { return ++house.charged; }));
            // A run of another function.
            const int weight = co_await step.invoke<int>("weigh", "weigh-parcel", order).timeout(1h);
            co_await step.run("ship", [&] {
              if (house.has_bug) throw caesura::non_retriable_error{"no label for " + std::to_string(weight) + " g"};
              ++house.shipped;
            });
            co_return weight + 0 * (shelf + receipt);
          },
          .on_failure = [&house](caesura::context step, caesura::event failed) -> caesura::task<> {
            const std::string why = failed.data.json()["error"]["message"];
            co_await step.run("tell", [&] { house.told.set_value(why); });
          }};
}

caesura::function weigh_parcel() {
  return {.id = "weigh-parcel",
          .triggers = {{.event = "inngest/function.invoked"}},  // started by invoke only
          .body = [](caesura::context step, nlohmann::json order) -> caesura::task<int> {
            co_return co_await step.run("weigh", [&] { return 100 * order["items"].get<int>(); });
          }};
}

bool tell(const std::string& directory) {
  warehouse house;
  caesura::runtime runtime{{.directory = directory}, {fulfil_order(house), weigh_parcel()}};
  const auto run = runtime.send({.name = "order/placed", .data = {{"customer", "ann"}, {"items", 3}}}).runs.at(0);
  runtime.wait(run, 10s);
  std::cout << "told: " << house.told.get_future().get() << "\n\n" << caesura::to_string(runtime.timeline(run)) << "\n";

  house.has_bug = false;
  const auto again = runtime.replay(run, {.from_step = "ship"});
  runtime.wait(again, 10s);
  std::cout << caesura::to_string(runtime.timeline(again));
  return runtime.result<int>(again) == 300 && house.reserved == 1 && house.charged == 1 && house.shipped == 1 &&
         runtime.get(again)->replay_of == run;
}

}  // namespace

int main() {
  std::string directory = std::filesystem::temp_directory_path() / "replay-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) return 1;
  const bool was_true = tell(directory);
  std::filesystem::remove_all(directory);
  if (!was_true) std::cerr << "It did not go as told.\n";
  return was_true ? 0 : 1;
}
