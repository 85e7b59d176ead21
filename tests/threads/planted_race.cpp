// A race of our own, in a message that goes through CAF and in what a step does: TSan must report it in spite of our suppressions.

#include <thread>

#include <caesura/caesura.hpp>

#include "tests/support/temporary_directory.hpp"

int main() {
  using namespace caesura;
  const caesura::testing::temporary_directory directory;
  int unguarded = 0;
  runtime runtime{{.directory = directory.path(), .map_size_bytes = std::size_t{256} << 20},
                  {{.id = "f", .triggers = {{.event = "go"}}, .body = [&](context step) -> task<> {
                      co_await step.run("race", [&] { ++unguarded; });
                    }}}};
  for (int i = 0; i < 200; ++i) {
    runtime.send({.name = "go"});
    ++unguarded;
  }
  return 0;
}
