#pragma once

#include <cstdint>
#include <string>

namespace caesura::storage {

enum class report_format : std::uint8_t { text, json };

// Verifies the store of a directory and prints the report on standard output: what `caesura-verify` and `caesura verify` do. What hinders it is told
// on standard error, as a sentence that begins with `program`. Returns the exit status: 0 sound, 1 faults, 2 it could not be checked. The check is made
// in a fork: for programs that have no other thread.
[[nodiscard]] int verify_command(const std::string& directory, report_format format, const std::string& program);

}  // namespace caesura::storage
