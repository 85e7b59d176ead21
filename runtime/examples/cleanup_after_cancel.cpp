// An order is cancelled while it charges the card. The charge is not interrupted, its result is recorded, nothing is shipped,
// and a second function gives the money back. Exit status 0 if that is what happened.

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

// Stands for the world outside.
struct shop {
  std::atomic<int> charged{0};
  std::atomic<int> shipped{0};
  std::promise<void> is_charging{};      // a card is being charged
  std::promise<void> may_finish{};       // the bank takes this long
  std::promise<std::string> refunded{};  // the clean-up has been done: for which order
};

caesura::function place_order(shop& shop) {
  return {
      .id = "place-order",
      .triggers = {{.event = "orders/placed"}},
      .cancel_on = {{.event = "orders/withdrawn", .when = "event.data.order == async.data.order"}},
      .body = [&shop](caesura::context step) -> caesura::task<> {
        co_await step.run("charge-card", [&] {
          shop.is_charging.set_value();
          shop.may_finish.get_future().wait();
          return ++shop.charged;
        });
        co_await step.run("ship", [&] { ++shop.shipped; });
      }};
}

caesura::function refund_cancelled_order(shop& shop) {
  return {
      .id = "refund-cancelled-order",
      .triggers = {{.event = "inngest/function.cancelled", .when = "event.data.function_id == 'place-order'"}},
      .body = [&shop](caesura::context step, caesura::event cancelled) -> caesura::task<> {
        const auto data = cancelled.data.json();
        co_await step.run("refund", [&] { shop.refunded.set_value(data["event"]["data"]["order"].get<std::string>()); });
      }};
}

int failures = 0;

void check(bool is_true, const std::string& sentence) {
  std::cout << (is_true ? "true      " : "NOT TRUE  ") << sentence << "\n";
  if (!is_true) ++failures;
}

void tell(const std::string& directory) {
  shop shop;  // lives longer than the runtime whose steps use it
  caesura::runtime runtime{{.directory = directory}, {place_order(shop), refund_cancelled_order(shop)}};

  const auto order = runtime.send({.name = "orders/placed", .data = {{"order", "o-17"}}});  // returns once durable
  const auto run = order.runs.at(0);
  shop.is_charging.get_future().wait();  // its first step executes

  const auto answer = runtime.cancel(run, {.reason = "asked by support"});  // cancelling: it ends once the step has completed
  check(answer == caesura::cancel_outcome::cancelling, "the cancel is durable and answered while the step executes");
  runtime.send({.name = "orders/withdrawn", .data = {{"order", "o-17"}}});  // asking again, in another way, is harmless
  check(runtime.cancel(run) == caesura::cancel_outcome::cancelling, "asking again is harmless");
  check(!runtime.wait(run, 100ms), "the run waits for its step");

  shop.may_finish.set_value();
  const auto ended = runtime.wait(run, 30s);
  check(ended && ended->status == caesura::run_status::cancelled, "then it ends cancelled");
  check(ended && ended->cancelled_by->reason == "asked by support", "the first reason is kept");
  const auto steps = runtime.steps(run);
  check(steps.size() == 1 && steps[0].id == "charge-card" && steps[0].result.get<int>() == 1,
        "the result of the step is recorded");
  check(shop.charged == 1 && shop.shipped == 0, "nothing was shipped");
  check(runtime.cancel(run) == caesura::cancel_outcome::already_cancelled, "a cancel of an ended run says so");

  auto refunded = shop.refunded.get_future();
  check(refunded.wait_for(30s) == std::future_status::ready && refunded.get() == "o-17",
        "the order was refunded by the second function");
}

}  // namespace

int main() {
  std::string directory = (std::filesystem::temp_directory_path() / "caesura-cleanup-XXXXXX").string();
  if (::mkdtemp(directory.data()) == nullptr) return 2;
  try {
    tell(directory);
  } catch (const std::exception& e) {
    check(false, e.what());
  }
  std::filesystem::remove_all(directory);
  return failures == 0 ? 0 : 1;
}
