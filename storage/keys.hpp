#pragma once

// Keys whose bytes sort as the things they stand for: ids as they are, numbers big-endian.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <caesura/ids.hpp>

namespace caesura::storage {

template <class Tag>
[[nodiscard]] std::string key_of(const basic_id<Tag>& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

[[nodiscard]] std::string key_of(std::uint64_t number);
[[nodiscard]] std::string step_key(const run_id& run, std::uint32_t sequence);
// (hash of a text, id): all ids of one text stand together, oldest first.
template <class Tag>
[[nodiscard]] std::string hashed_key(std::uint64_t hash, const basic_id<Tag>& id) {
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
