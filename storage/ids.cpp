#include <caesura/ids.hpp>

#include <algorithm>

#include "storage/id_generator.hpp"

namespace caesura::detail {

namespace {

constexpr std::string_view digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t text_size = 26;

int digit_value(char c) noexcept {
  if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  const auto place = digits.find(c);
  return place == std::string_view::npos ? -1 : static_cast<int>(place);
}

}  // namespace

// 130 bits in 26 digits: the two bits ahead of the 128 are zero.
std::string ulid_text(const std::array<std::uint8_t, 16>& bytes) {
  std::string text(text_size, '0');
  std::uint32_t bits = 0;
  int have = 0;
  auto at = text.rbegin();
  for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
    bits |= std::uint32_t{*byte} << have;
    for (have += 8; have >= 5; have -= 5, bits >>= 5) *at++ = digits[bits & 31U];
  }
  *at = digits[bits & 31U];
  return text;
}

std::optional<std::array<std::uint8_t, 16>> ulid_bytes(std::string_view text) {
  if (text.size() != text_size || digit_value(text.front()) > 7) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  std::uint32_t bits = 0;
  int have = 0;
  auto byte = bytes.rbegin();
  for (auto c = text.rbegin(); c != text.rend(); ++c) {
    const int value = digit_value(*c);
    if (value < 0) return std::nullopt;
    bits |= static_cast<std::uint32_t>(value) << have;
    have += 5;
    if (have >= 8 && byte != bytes.rend()) {
      *byte++ = static_cast<std::uint8_t>(bits & 0xFFU);
      bits >>= 8;
      have -= 8;
    }
  }
  return bytes;
}

}  // namespace caesura::detail

namespace caesura::storage {

position id_generator::next_position(time_point now, std::uint64_t entropy) {
  const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(now.time_since_epoch().count(), 0));
  if (time_of(last_) >= now) {
    for (auto byte = last_.bytes.rbegin(); byte != last_.bytes.rend(); ++byte) {
      if (++*byte != 0) break;
    }
    return last_;
  }
  for (int i = 0; i < 6; ++i) last_.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  // Two bytes of the mixed entropy, then its eight: the top bit stays clear, so that increments never reach the time.
  const std::uint64_t more = entropy * 0x9E3779B97F4A7C15ULL;
  last_.bytes[6] = static_cast<std::uint8_t>((more >> 56) & 0x7F);
  last_.bytes[7] = static_cast<std::uint8_t>(more >> 48);
  for (int i = 0; i < 8; ++i) last_.bytes[static_cast<std::size_t>(8 + i)] = static_cast<std::uint8_t>(entropy >> (56 - 8 * i));
  return last_;
}

}  // namespace caesura::storage
