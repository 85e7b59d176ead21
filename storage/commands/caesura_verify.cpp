// caesura-verify DIRECTORY: checks a store that no runtime has open. 0: sound, 1: faults, 2: it could not be checked.

#include <cstdio>
#include <exception>
#include <string>

#include <caesura/error.hpp>
#include <caesura/verify.hpp>

namespace {

constexpr auto usage =
    "caesura-verify DIRECTORY\n"
    "  Checks the store of a directory, page by page and record by record, and changes nothing.\n"
    "  The runtime that owns it must be stopped. One line a fault.\n"
    "  Ends with 0 when everything is sound, with 1 when there are faults, with 2 when it could not be checked.\n";

void print(const caesura::verify_report& report) {
  std::printf("%llu transactions, %llu pages in use, %llu free\n", static_cast<unsigned long long>(report.commits),
              static_cast<unsigned long long>(report.pages), static_cast<unsigned long long>(report.free_pages));
  for (const auto& [table, count] : report.records) {
    if (count > 0) std::printf("  %-17s %llu\n", table.c_str(), static_cast<unsigned long long>(count));
  }
  for (const auto& fault : report.faults) std::printf("fault: %s\n", fault.text.c_str());
  std::printf("%s\n", report.is_sound() ? "sound" : (std::to_string(report.faults.size()) + " faults").c_str());
}

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
  try {
    const auto report = caesura::verify(argument, {.in_child = true});
    print(report);
    return report.is_sound() ? 0 : 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "caesura-verify: %s\n", e.what());
    return 2;
  }
}
