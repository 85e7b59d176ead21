#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include <caesura/document.hpp>

namespace caesura::storage {

// Writes msgpack for documents whose shape is known, without building a tree: map(2).text("a").integer(1).text("b").value(doc).
// The caller counts: a map of n takes n pairs of key and value. Values; one thread.
class document_writer {
 public:
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
