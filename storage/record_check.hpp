#pragma once

// What the tables of a store promise: each record for itself, and then each other. Works on a file whose pages may be damaged.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <caesura/verify.hpp>

#include "storage/page_file.hpp"

namespace caesura::storage {

// Checks everything that `verify` promises over the bytes of one file. Throws nothing but for memory.
[[nodiscard]] verify_report check_file(const page_source& source, std::size_t most_faults);

}  // namespace caesura::storage
