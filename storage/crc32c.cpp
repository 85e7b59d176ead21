#include "storage/crc32c.hpp"

#include <array>
#include <cstring>

namespace caesura::storage {

namespace {

constexpr std::uint32_t reflected_polynomial = 0x82F63B78U;

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1U) != 0 ? reflected_polynomial : 0U);
    table[i] = value;
  }
  return table;
}

std::uint32_t with_table(std::string_view bytes, std::uint32_t state) noexcept {
  static constexpr auto table = make_table();
  for (const char c : bytes) state = table[(state ^ static_cast<std::uint8_t>(c)) & 0xFFU] ^ (state >> 8);
  return state;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t with_instruction(std::string_view bytes, std::uint32_t state) noexcept {
  std::uint64_t wide = state;
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    wide = __builtin_ia32_crc32di(wide, word);
    bytes.remove_prefix(8);
  }
  auto narrow = static_cast<std::uint32_t>(wide);
  for (const char c : bytes) narrow = __builtin_ia32_crc32qi(narrow, static_cast<std::uint8_t>(c));
  return narrow;
}
#endif

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed) noexcept {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return ~with_instruction(bytes, ~seed);
#endif
  return ~with_table(bytes, ~seed);
}

}  // namespace caesura::storage
