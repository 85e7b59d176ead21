// caesura-verify DIRECTORY: checks a store that no runtime has open. 0: sound, 1: faults, 2: it could not be checked.

#include <cstdio>
#include <string>

#include "storage/commands/verify_command.hpp"

namespace {

constexpr auto usage =
    "caesura-verify DIRECTORY\n"
    "  Checks the store of a directory, page by page and record by record, and changes nothing.\n"
    "  The runtime that owns it must be stopped. One line a fault.\n"
    "  Ends with 0 when everything is sound, with 1 when there are faults, with 2 when it could not be checked.\n";

}  // namespace

int main(int count, char** arguments) {
  const std::string argument = count == 2 ? arguments[1] : "";
  if (argument == "--help" || argument == "-h") {
    std::fputs(usage, stdout);
    return 0;
  }
  if (argument.empty() || argument.front() == '-') {
    std::fputs(usage, stderr);
    return 2;
  }
  return caesura::storage::verify_command(argument, caesura::storage::report_format::text, "caesura-verify");
}
