#pragma once

#include <cstdint>
#include <string_view>

namespace caesura::storage {

// CRC-32C (Castagnoli) of `bytes`, continuing from `seed` (0 to begin). Uses the processor's instruction where there is one.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0) noexcept;

}  // namespace caesura::storage
