#include "storage/keys.hpp"

namespace caesura::storage {

namespace {

template <class Number>
key_bytes<sizeof(Number)> big_endian(Number value) noexcept {
  key_bytes<sizeof(Number)> key;
  for (std::size_t i = sizeof(Number); i > 0; --i, value >>= 8) key.bytes[i - 1] = static_cast<char>(value & 0xFF);
  return key;
}

}  // namespace

key_bytes<8> key_of(std::uint64_t number) noexcept { return big_endian(number); }

key_bytes<id_bytes + 4> step_key(const run_id& run, std::uint32_t sequence) noexcept { return key_of(run) + big_endian(sequence); }

std::uint64_t number_at(std::string_view key) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8 && i < key.size(); ++i) value = (value << 8) | static_cast<std::uint8_t>(key[i]);
  return value;
}

std::string hex(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += digits[static_cast<std::uint8_t>(c) >> 4];
    text += digits[static_cast<std::uint8_t>(c) & 0xF];
  }
  return text;
}

}  // namespace caesura::storage
