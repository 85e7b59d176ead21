#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <caesura/document.hpp>

namespace caesura::storage {

// Writes msgpack for documents whose shape is known, without building a tree: map(2).text("a").integer(1).text("b").value(doc).
// The caller counts: a map of n takes n pairs of key and value. Values; one thread.
class document_writer {
 public:
  // So many bytes are to come, or about.
  document_writer& reserve(std::size_t bytes) {
    bytes_.reserve(bytes);
    return *this;
  }
  document_writer& map(std::uint32_t pairs) { return head(pairs, 16, 0x80, 0, 0xDE, 0xDF); }
  document_writer& list(std::uint32_t size) { return head(size, 16, 0x90, 0, 0xDC, 0xDD); }
  document_writer& text(std::string_view value) {
    head(static_cast<std::uint32_t>(value.size()), 32, 0xA0, 0xD9, 0xDA, 0xDB);
    bytes_ += value;
    return *this;
  }
  document_writer& integer(std::int64_t value) {
    if (value >= 0 && value < 128) return byte(static_cast<unsigned>(value));
    byte(0xD3);
    return big_endian(static_cast<std::uint64_t>(value), 8);
  }
  // In as few bytes as msgpack allows, which is how documents made from nlohmann::json hold their numbers.
  document_writer& short_unsigned(std::uint64_t value) {
    if (value < 0x80) return byte(static_cast<unsigned>(value));
    if (value <= 0xFF) return byte(0xCC).big_endian(value, 1);
    if (value <= 0xFFFF) return byte(0xCD).big_endian(value, 2);
    if (value <= 0xFFFFFFFF) return byte(0xCE).big_endian(value, 4);
    return byte(0xCF).big_endian(value, 8);
  }
  document_writer& short_integer(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    if (value >= 0) return short_unsigned(bits);
    if (value >= -32) return byte(static_cast<unsigned>(bits & 0xFFU));
    if (value >= -0x80) return byte(0xD0).big_endian(bits, 1);
    if (value >= -0x8000) return byte(0xD1).big_endian(bits, 2);
    if (value >= -0x80000000LL) return byte(0xD2).big_endian(bits, 4);
    return byte(0xD3).big_endian(bits, 8);
  }
  // In 32 bits when that loses nothing.
  document_writer& short_real(double value) {
    constexpr double highest = std::numeric_limits<float>::max();
    if (value >= -highest && value <= highest) {
      const auto narrow = static_cast<float>(value);
      if (std::bit_cast<std::uint64_t>(static_cast<double>(narrow)) == std::bit_cast<std::uint64_t>(value)) {
        return byte(0xCA).big_endian(std::bit_cast<std::uint32_t>(narrow), 4);
      }
    }
    return byte(0xCB).big_endian(std::bit_cast<std::uint64_t>(value), 8);
  }
  document_writer& boolean(bool value) { return byte(value ? 0xC3 : 0xC2); }
  document_writer& null() { return byte(0xC0); }
  document_writer& value(const document& value) {
    bytes_ += value.bytes();
    return *this;
  }

  // What was written, as a document; the writer is empty afterwards.
  [[nodiscard]] document finish() { return document::from_trusted_msgpack(std::move(bytes_)); }

 private:
  document_writer& byte(unsigned value) {
    bytes_ += static_cast<char>(value);
    return *this;
  }
  document_writer& big_endian(std::uint64_t value, int width) {
    for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) byte(static_cast<unsigned>(value >> shift) & 0xFFU);
    return *this;
  }
  // `fix`: the one-byte form below `fix_limit`; forms of 8 (0: none), 16 and 32 bits.
  document_writer& head(std::uint32_t size, std::uint32_t fix_limit, unsigned fix, unsigned form8, unsigned form16, unsigned form32) {
    if (size < fix_limit) return byte(fix | size);
    if (form8 != 0 && size <= 0xFF) return byte(form8).big_endian(size, 1);
    if (size <= 0xFFFF) return byte(form16).big_endian(size, 2);
    return byte(form32).big_endian(size, 4);
  }

  std::string bytes_;
};

}  // namespace caesura::storage
