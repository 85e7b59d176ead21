#include "storage/keys.hpp"

namespace caesura::storage {

namespace {

void append_big_endian(std::string& out, std::uint64_t value, int width) {
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xFF);
}

}  // namespace

std::string key_of(std::uint64_t number) {
  std::string key;
  append_big_endian(key, number, 8);
  return key;
}

std::string step_key(const run_id& run, std::uint32_t sequence) {
  std::string key = key_of(run);
  append_big_endian(key, sequence, 4);
  return key;
}

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
