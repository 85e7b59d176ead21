#pragma once

// Keys whose bytes sort as the things they stand for: ids as they are, numbers big-endian.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <caesura/ids.hpp>

namespace caesura::storage {

// A key on the stack: one is made for every record that is read or written.
template <std::size_t Size>
struct key_bytes {
  std::array<char, Size> bytes{};

  operator std::string_view() const noexcept { return {bytes.data(), Size}; }  // NOLINT: a key is its bytes
};
template <std::size_t Left, std::size_t Right>
[[nodiscard]] key_bytes<Left + Right> operator+(const key_bytes<Left>& left, const key_bytes<Right>& right) noexcept {
  key_bytes<Left + Right> both;
  std::ranges::copy(right.bytes, std::ranges::copy(left.bytes, both.bytes.begin()).out);
  return both;
}

inline constexpr std::size_t id_bytes = 16;

template <class Tag>
[[nodiscard]] key_bytes<id_bytes> key_of(const basic_id<Tag>& id) noexcept {
  return {std::bit_cast<std::array<char, id_bytes>>(id.bytes)};
}

[[nodiscard]] key_bytes<8> key_of(std::uint64_t number) noexcept;
[[nodiscard]] key_bytes<id_bytes + 4> step_key(const run_id& run, std::uint32_t sequence) noexcept;
// (hash of a text, id): all ids of one text stand together, oldest first.
template <class Tag>
[[nodiscard]] key_bytes<8 + id_bytes> hashed_key(std::uint64_t hash, const basic_id<Tag>& id) noexcept {
  return key_of(hash) + key_of(id);
}

// The id in the last 16 bytes of a key; nullopt when the key is shorter.
template <class Id>
[[nodiscard]] std::optional<Id> id_at_end(std::string_view key) {
  Id id;
  if (key.size() < id.bytes.size()) return std::nullopt;
  key.remove_prefix(key.size() - id.bytes.size());
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(key[i]);
  return id;
}
[[nodiscard]] std::uint64_t number_at(std::string_view key) noexcept;

// For messages about a key.
[[nodiscard]] std::string hex(std::string_view bytes);

}  // namespace caesura::storage
