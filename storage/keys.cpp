#include "storage/keys.hpp"

#include <cstring>

namespace caesura::storage {

namespace {

constexpr std::size_t id_size = 16;
constexpr std::size_t hash_size = 8;
constexpr std::size_t sequence_size = 4;

template <class Unsigned>
Unsigned read_big_endian(std::string_view bytes) noexcept {
  Unsigned value = 0;
  for (const char byte : bytes) value = (value << 8) | static_cast<unsigned char>(byte);
  return value;
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view hex_digits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += hex_digits[static_cast<unsigned char>(byte) >> 4];
    text += hex_digits[static_cast<unsigned char>(byte) & 15U];
  }
  return text;
}

std::string id_text(std::string_view bytes) {
  std::array<std::uint8_t, id_size> id{};
  std::memcpy(id.data(), bytes.data(), id_size);
  return detail::ulid_text(id);
}

std::string key_text(table where, std::string_view key) {
  switch (where) {
    case table::meta: return '"' + std::string{key} + '"';
    case table::events:
    case table::live_runs:
    case table::ended_runs:
    case table::outbox:
    case table::sweeps:
      if (key.size() == id_size) return id_text(key);
      break;
    case table::events_by_name:
    case table::runs_by_function:
      if (key.size() == hash_size + id_size) return hex(key.substr(0, hash_size)) + '/' + id_text(key.substr(hash_size));
      break;
    case table::steps:
      if (const auto sequence = sequence_of_key(key)) return id_text(key) + '/' + std::to_string(*sequence);
      break;
    case table::definitions: break;
  }
  return hex(key);
}

}  // namespace

const char* name_of(table where) noexcept {
  switch (where) {
    case table::meta: return "meta";
    case table::events: return "events";
    case table::events_by_name: return "events_by_name";
    case table::live_runs: return "live_runs";
    case table::ended_runs: return "ended_runs";
    case table::runs_by_function: return "runs_by_function";
    case table::steps: return "steps";
    case table::definitions: return "definitions";
    case table::outbox: return "outbox";
    case table::sweeps: return "sweeps";
  }
  return "unknown";
}

key& key::append(const std::array<std::uint8_t, 16>& id) noexcept {
  std::memcpy(bytes_.data() + size_, id.data(), id.size());
  size_ += id.size();
  return *this;
}

key& key::append(std::uint64_t number) noexcept {
  return append(static_cast<std::uint32_t>(number >> 32)).append(static_cast<std::uint32_t>(number));
}

key& key::append(std::uint32_t number) noexcept {
  for (int shift = 24; shift >= 0; shift -= 8) bytes_[size_++] = static_cast<char>(number >> shift);
  return *this;
}

key hash_key(std::uint64_t hash) noexcept { return key{}.append(hash); }

key step_key(const run_id& run, std::uint32_t sequence) noexcept { return id_key(run).append(sequence); }

std::optional<std::uint64_t> hash_of_key(std::string_view bytes) noexcept {
  if (bytes.size() != hash_size) return std::nullopt;
  return read_big_endian<std::uint64_t>(bytes);
}

std::optional<std::uint32_t> sequence_of_key(std::string_view bytes) noexcept {
  if (bytes.size() != id_size + sequence_size) return std::nullopt;
  return read_big_endian<std::uint32_t>(bytes.substr(id_size));
}

std::string describe(table where, std::string_view key) { return std::string{name_of(where)} + ' ' + key_text(where, key); }

}  // namespace caesura::storage
