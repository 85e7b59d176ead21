#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include <caesura/ids.hpp>

namespace caesura::storage {

// The tables; README.md lists their keys and values. The numbers enter every checksum and the names are stored: neither ever changes.
enum class table : std::uint8_t {
  meta = 0,
  events = 1,
  events_by_name = 2,
  live_runs = 3,
  ended_runs = 4,
  runs_by_function = 5,
  steps = 6,
  definitions = 7,
  outbox = 8,
  sweeps = 9,
};

inline constexpr std::size_t table_count = 10;

// The name that the table has in the file, such as "live_runs".
[[nodiscard]] const char* name_of(table where) noexcept;

// A key of at most 24 bytes, compared bytewise like LMDB does. A value; converts to the bytes, which it owns.
class key {
 public:
  static constexpr std::size_t capacity = 24;

  [[nodiscard]] std::string_view bytes() const noexcept { return {bytes_.data(), size_}; }
  operator std::string_view() const noexcept { return bytes(); }

  key& append(const std::array<std::uint8_t, 16>& id) noexcept;
  key& append(std::uint64_t number) noexcept;  // 8 bytes, big-endian
  key& append(std::uint32_t number) noexcept;  // 4 bytes, big-endian

 private:
  std::array<char, capacity> bytes_{};
  std::size_t size_ = 0;
};

// events, live_runs, ended_runs, outbox, sweeps: 16 bytes, in the order of issue.
template <class Tag>
[[nodiscard]] key id_key(const basic_id<Tag>& id) noexcept {
  return key{}.append(id.bytes);
}

// definitions: 8 bytes.
[[nodiscard]] key hash_key(std::uint64_t hash) noexcept;

// events_by_name and runs_by_function: the hash of the text, then the id, so that the ids of one text are neighbours in their order.
// Two texts may share a hash: who reads compares the text.
template <class Tag>
[[nodiscard]] key hashed_text_key(std::uint64_t text_hash, const basic_id<Tag>& id) noexcept {
  return key{}.append(text_hash).append(id.bytes);
}

// steps: the run, then the sequence number.
[[nodiscard]] key step_key(const run_id& run, std::uint32_t sequence) noexcept;

// The same way back; nullopt when the key has another size, which only a damaged file can bring. The id is that of an id_key, or the
// one behind the hash of a hashed_text_key.
template <class Id>
[[nodiscard]] std::optional<Id> id_of_key(std::string_view bytes) noexcept {
  Id id;
  if (bytes.size() != 16 && bytes.size() != 24) return std::nullopt;
  std::memcpy(id.bytes.data(), bytes.data() + (bytes.size() - 16), 16);
  return id;
}
[[nodiscard]] std::optional<std::uint64_t> hash_of_key(std::string_view bytes) noexcept;
[[nodiscard]] std::optional<std::uint32_t> sequence_of_key(std::string_view bytes) noexcept;

// For error texts: "live_runs 01J…", "steps 01J…/3", "definitions 00c0ffee…", "meta \"format\"".
[[nodiscard]] std::string describe(table where, std::string_view key);

}  // namespace caesura::storage
