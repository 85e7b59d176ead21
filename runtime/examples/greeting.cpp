// The smallest whole program: one function, one event, one run. Started again on the same directory it goes on with what was under way. Exit status 0
// if the run has completed.

#include <chrono>
#include <iostream>
#include <string>

#include <caesura/caesura.hpp>

using namespace std::chrono_literals;

int main(int argc, char** argv) {
  const caesura::function greet{
      .id = "greet",
      .triggers = {{.event = "user/signed.up"}},
      .cancel_on = {{.event = "user/left", .when = "event.data.name == async.data.name"}},
      .body = [](caesura::context step, nlohmann::json user) -> caesura::task<std::string> {
        co_await step.sleep_for("a-moment", 2s);
        co_return co_await step.run("greet", [&] { return "hello " + user["name"].get<std::string>(); });
      }};
  caesura::runtime runtime{{.directory = argc > 1 ? argv[1] : "greetings"}, {greet}};
  const auto run = runtime.send({.name = "user/signed.up", .data = {{"name", "ann"}}}).runs.at(0);
  const auto ended = runtime.wait(run, 1min);
  if (!ended || ended->status != caesura::run_status::completed) return 1;
  std::cout << runtime.result<std::string>(run) << "\n";
}
