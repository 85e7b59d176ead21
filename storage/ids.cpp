#include <caesura/ids.hpp>

namespace caesura::detail {

namespace {

constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t text_size = 26;  // 130 bits: two more than an id has, so the first character is at most 7
constexpr std::uint8_t no_digit = 0xFF;

constexpr std::array<std::uint8_t, 256> make_digits() {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(no_digit);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    const auto upper = static_cast<unsigned char>(alphabet[i]);
    digits[upper] = static_cast<std::uint8_t>(i);
    if (upper >= 'A') digits[upper + ('a' - 'A')] = static_cast<std::uint8_t>(i);
  }
  return digits;
}

constexpr auto digits = make_digits();

}  // namespace

std::string ulid_text(const std::array<std::uint8_t, 16>& bytes) {
  std::string text(text_size, '0');
  std::uint32_t bits = 0;  // those not yet written, the oldest on top
  unsigned count = 2;      // the two bits ahead of the id
  std::size_t at = 0;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8) | byte;
    count += 8;
    while (count >= 5) {
      count -= 5;
      text[at++] = alphabet[(bits >> count) & 31U];
    }
  }
  return text;
}

std::optional<std::array<std::uint8_t, 16>> ulid_bytes(std::string_view text) {
  if (text.size() != text_size || text[0] > '7') return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  std::uint32_t bits = 0;
  unsigned count = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < text_size; ++i) {
    const std::uint8_t digit = digits[static_cast<unsigned char>(text[i])];
    if (digit == no_digit) return std::nullopt;
    bits = (bits << 5) | digit;
    count += i == 0 ? 3 : 5;
    if (count >= 8) {
      count -= 8;
      bytes[at++] = static_cast<std::uint8_t>(bits >> count);
    }
  }
  return bytes;
}

}  // namespace caesura::detail
