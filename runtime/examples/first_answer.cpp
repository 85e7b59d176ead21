// A courier is asked for, and asked again and again whether one is free. Whatever comes first decides: a courier, or the end of patience; the
// step that still polls is asked to stop, not interrupted. The same request reaches it when the run is cancelled. Exit status 0 if it went as
// told.

#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <string>
#include <thread>

#include <caesura/caesura.hpp>

namespace {

using namespace std::chrono_literals;

struct courier_service {
  std::atomic<bool> is_free{false};
  std::atomic<int> polls{0};
};

caesura::function find_courier(courier_service& couriers) {
  return {.id = "find-courier",
          .triggers = {{.event = "parcel/packed"}},
          .cancel_on = {{.event = "parcel/unpacked", .when = "event.data.id == async.data.id"}},
          .body = [&couriers](caesura::context step, nlohmann::json parcel) -> caesura::task<std::string> {
            const auto patience = std::chrono::seconds{parcel["patience"].get<int>()};
            const auto poll = [&](std::stop_token stop) {
              while (!couriers.is_free && !stop.stop_requested()) {
                ++couriers.polls;
                std::this_thread::sleep_for(10ms);
              }
              return couriers.is_free.load();
            };
            const auto first = co_await caesura::any(step.run("poll", poll), step.sleep_for("patience", patience));
            if (first.index() == 1) co_return "kept in store";
            co_return "collected";
          }};
}

void wait_for_polls(const courier_service& couriers, int polls) {
  while (couriers.polls < polls) std::this_thread::sleep_for(5ms);
}

bool tell(const std::string& directory) {
  courier_service couriers;
  caesura::runtime runtime{{.directory = directory}, {find_courier(couriers)}};
  const auto pack = [&](const char* id, int patience) {
    return runtime.send({.name = "parcel/packed", .data = {{"id", id}, {"patience", patience}}}).runs.at(0);
  };

  const auto late = pack("p-1", 1);
  runtime.wait(late, 10s);
  std::cout << "p-1: " << runtime.result<std::string>(late) << "\n";

  const auto unpacked = pack("p-2", 3'600);
  wait_for_polls(couriers, couriers.polls + 3);
  runtime.send({.name = "parcel/unpacked", .data = {{"id", "p-2"}}});  // the step hears of it, ends early, and its result is recorded
  const auto end = runtime.wait(unpacked, 10s);
  const auto recorded = runtime.steps(unpacked);
  std::cout << "p-2:\n" << caesura::to_string(runtime.timeline(unpacked));

  const auto early = pack("p-3", 3'600);
  wait_for_polls(couriers, couriers.polls + 3);
  couriers.is_free = true;
  runtime.wait(early, 10s);
  std::cout << "p-3: " << runtime.result<std::string>(early) << "\n";

  return runtime.result<std::string>(late) == "kept in store" && end && end->status == caesura::run_status::cancelled && recorded.size() == 1 &&
         recorded[0].result == caesura::document{false} && runtime.result<std::string>(early) == "collected";
}

}  // namespace

int main() {
  std::string directory = std::filesystem::temp_directory_path() / "courier-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) return 1;
  const bool was_true = tell(directory);
  std::filesystem::remove_all(directory);
  if (!was_true) std::cerr << "It did not go as told.\n";
  return was_true ? 0 : 1;
}
