// caesura verify: the same as caesura-verify.

#include "runtime/cli/commands.hpp"
#include "storage/commands/verify_command.hpp"

namespace caesura::cli {

void add_verify(CLI::App& app, common& at) {
  auto* const command = app.add_subcommand("verify", "Check the store of a directory whose server is stopped; ends with 0: sound, 1: faults, 2: it could not be checked");
  const auto directory = std::make_shared<std::string>();
  command->add_option("directory", *directory, "The directory of the store")->type_name("DIRECTORY")->required();
  command->callback([directory, &at] {
    at.status = storage::verify_command(*directory, at.as_json ? storage::report_format::json : storage::report_format::text, "caesura verify");
  });
}

}  // namespace caesura::cli
