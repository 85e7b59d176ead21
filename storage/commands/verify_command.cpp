#include "storage/commands/verify_command.hpp"

#include <cstdio>
#include <exception>

#include <caesura/error.hpp>
#include <caesura/verify.hpp>

#include <nlohmann/json.hpp>

namespace caesura::storage {

namespace {

void print_text(const verify_report& report) {
  std::printf("%llu transactions, %llu pages in use, %llu free\n", static_cast<unsigned long long>(report.commits),
              static_cast<unsigned long long>(report.pages), static_cast<unsigned long long>(report.free_pages));
  for (const auto& [table, count] : report.records) {
    if (count > 0) std::printf("  %-17s %llu\n", table.c_str(), static_cast<unsigned long long>(count));
  }
  for (const auto& fault : report.faults) std::printf("fault: %s\n", fault.text.c_str());
  std::printf("%s\n", report.is_sound() ? "sound" : (std::to_string(report.faults.size()) + " faults").c_str());
}

void print_json(const verify_report& report) {
  auto out = nlohmann::json{{"is_sound", report.is_sound()}, {"commits", report.commits}, {"pages", report.pages}, {"free_pages", report.free_pages},
                            {"records", nlohmann::json::object()}, {"faults", nlohmann::json::array()}};
  for (const auto& [table, count] : report.records) out["records"][table] = count;
  for (const auto& fault : report.faults) {
    out["faults"].push_back({{"page", fault.page}, {"table", fault.table}, {"record", fault.record}, {"text", fault.text}});
  }
  // A damaged record's name may hold any bytes.
  std::printf("%s\n", out.dump(1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace

int verify_command(const std::string& directory, report_format format, const std::string& program) {
  try {
    const auto report = verify(directory, {.in_child = true});
    format == report_format::json ? print_json(report) : print_text(report);
    return report.is_sound() ? 0 : 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", program.c_str(), e.what());
    return 2;
  }
}

}  // namespace caesura::storage
