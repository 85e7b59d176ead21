// Three in the morning after a bad deployment: subscriptions of the pro plan are about to be charged wrongly. They are cancelled, exactly
// these; one run's fate is explained; what was skipped and cancelled is made good. Exit status 0 if it went as told.

#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <caesura/caesura.hpp>

namespace {

caesura::function charge_card() {
  return {.id = "charge-card",
          .triggers = {{.event = "subscription/due"}},
          .cancel_on = {{.event = "subscription/ended", .when = "event.data.customer == async.data.customer"}},
          .body = [](caesura::context step) -> caesura::task<> {
            co_await step.sleep_for("until-morning", caesura::days{1});
            co_await step.run("charge", [] {});
          }};
}

std::vector<caesura::run_id> start(caesura::runtime& runtime, int count, const std::string& plan) {
  std::vector<caesura::run_id> runs;
  for (int i = 0; i < count; ++i) {
    const auto sent = runtime.send({.name = "subscription/due", .data = {{"customer", plan + "-" + std::to_string(i)}, {"plan", plan}}});
    runs.push_back(sent.runs.at(0));
  }
  return runs;
}

void wait_for_bulk(caesura::runtime& runtime, const caesura::bulk_id& bulk) {
  while (runtime.progress(bulk)->status == caesura::bulk_progress::state::working) ::usleep(1000);
}

bool tell(const std::string& directory) {
  caesura::options options{.directory = directory};
  options.observer.on_diagnostic = [](const std::string& text, const caesura::run_id&) { std::cerr << text << "\n"; };
  caesura::runtime runtime{std::move(options), {charge_card()}};
  const auto pro = start(runtime, 200, "pro");
  const auto basic = start(runtime, 100, "basic");

  runtime.pause("charge-card", {.reason = "wrong prices since 02:40", .by = "night shift"});
  const auto plan = runtime.preview({.function = "charge-card", .when = "event.data.plan == 'pro'"});  // how many, which, and a token
  std::cout << "a cancel would hit " << plan.count << " runs, such as " << caesura::to_string(plan.sample.at(0).id) << "\n";
  const auto late = start(runtime, 3, "pro");  // while we think about it

  const auto bulk = runtime.cancel_all(plan, {.reason = "wrong prices", .by = "night shift"});  // exactly these
  wait_for_bulk(runtime, bulk);
  const auto progress = runtime.progress(bulk).value();
  std::cout << progress.cancelled << " of " << progress.matched << " cancelled; the late ones are "
            << caesura::to_string(runtime.get(late.at(0))->status) << "\n\n";

  // "We ended basic-7's subscription. Why is it still to be charged?"
  const auto ended = runtime.send({.name = "subscription/ended", .data = {{"customer", "Basic-7"}}});
  std::cout << caesura::to_string(runtime.explain(ended.id, basic.at(7))) << "\n";

  // The prices are right again.
  const auto resumed = runtime.resume("charge-card", {.replay_skipped = true});
  const auto replayed = runtime.replay_all({.function = "charge-card", .status = caesura::run_status::cancelled});
  wait_for_bulk(runtime, resumed.replaying);
  wait_for_bulk(runtime, replayed);
  std::cout << resumed.skipped << " skipped and " << runtime.progress(replayed)->replayed << " cancelled runs were replayed\n\n";
  std::cout << caesura::to_string(runtime.timeline(pro.at(0)));

  return plan.count == 200 && progress.cancelled == 200 && resumed.skipped == 3 && runtime.progress(replayed)->replayed == 200 &&
         runtime.get(basic.at(7))->status != caesura::run_status::cancelled && !runtime.explain(ended.id, basic.at(7)).cancelled;
}

}  // namespace

int main() {
  std::string directory = std::filesystem::temp_directory_path() / "night-shift-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) return 1;
  const bool was_true = tell(directory);
  std::filesystem::remove_all(directory);
  if (!was_true) std::cerr << "It did not go as told.\n";
  return was_true ? 0 : 1;
}
