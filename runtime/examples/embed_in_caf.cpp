// A program made of CAF actors borrows its actor system to a runtime and talks to it by messages: one actor sends an event,
// watches the run that it started, and cancels it. Exit status 0 if the run ended cancelled and the actor was told.

#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <string>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/atom.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>

#include <caesura/actor_access.hpp>
#include <caesura/caesura.hpp>

namespace {

using namespace std::chrono_literals;
namespace protocol = caesura::protocol;

caesura::function remind_tomorrow() {
  return {.id = "remind-tomorrow",
          .triggers = {{.event = "tasks/created"}},
          .body = [](caesura::context step) -> caesura::task<> {
            co_await step.sleep_for("a-day", 24h);
            co_await step.run("remind", [] { std::cout << "reminded" << std::endl; });
          }};
}

// What this program learns.
struct report {
  bool was_told_of_the_end{false};
  caesura::cancel_outcome outcome{caesura::cancel_outcome::unknown_run};
  std::string reason{};
  int answers{0};  // the two come in either order
};

// Every answer comes after the commit. A request that times out is unknown, not failed: send it again with the same event id.
// The actor takes no messages of its own, so it ends once its requests are answered.
void customer(caf::event_based_actor* self, caesura::router_handle router, report* learned) {
  const auto give_up = [self](const caf::error& e) {
    std::cout << "an error: " << self->system().render(e) << std::endl;
  };
  const caesura::event created{.name = "tasks/created", .data = {{"task", "t-1"}}, .id = "t-1"};
  self->request(router, 10s, protocol::send_event{created})
      .then(
          [=](const protocol::event_accepted& accepted) {
            const auto run = accepted.runs.at(0);
            std::cout << "the event is durable; it started run " << to_string(run) << std::endl;
            self->request(router, caf::infinite, protocol::watch_run{run})
                .then(
                    [=](const protocol::run_ended& ended) {
                      std::cout << "the run has ended: " << to_string(ended.info.status) << std::endl;
                      learned->was_told_of_the_end = ended.info.status == caesura::run_status::cancelled;
                      if (ended.info.cancelled_by) learned->reason = ended.info.cancelled_by->reason;
                      if (++learned->answers == 2) self->quit();
                    },
                    give_up);
            self->request(router, 10s, protocol::cancel_run{run, "the customer left"})
                .then(
                    [=](const protocol::cancel_answer& answer) {
                      std::cout << "the cancel is durable: " << to_string(answer.outcome) << std::endl;
                      learned->outcome = answer.outcome;
                      if (++learned->answers == 2) self->quit();
                    },
                    give_up);
          },
          give_up);
}

int talk(const std::string& directory) {
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("sharing"));  // work stealing starves long queues of run actors
  caf::actor_system system{config};
  caesura::runtime runtime{{.directory = directory, .actor_system = &system}, {remind_tomorrow()}};

  report learned;
  caf::scoped_actor self{system};
  const auto actor = system.spawn(customer, caesura::router_of(runtime), &learned);
  self->wait_for(actor);

  // The cancel may find the run asleep (cancelled) or still on its way there (cancelling); either way it ends cancelled.
  const bool was_cancelled =
      learned.outcome == caesura::cancel_outcome::cancelled || learned.outcome == caesura::cancel_outcome::cancelling;
  return learned.was_told_of_the_end && was_cancelled && learned.reason == "the customer left" ? 0 : 1;
}

}  // namespace

int main() {
  std::string directory = (std::filesystem::temp_directory_path() / "caesura-caf-XXXXXX").string();
  if (::mkdtemp(directory.data()) == nullptr) return 2;
  int status = 1;
  try {
    status = talk(directory);
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
  }
  std::filesystem::remove_all(directory);
  return status;
}
