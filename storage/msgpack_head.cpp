#include "storage/msgpack_head.hpp"

#include <bit>
#include <limits>
#include <type_traits>

namespace caesura::storage {

namespace {

// A big-endian number of the width of `Unsigned`, and where it ends; null: it does not lie within the limit.
template <class Unsigned>
struct field {
  const char* after{nullptr};
  Unsigned value{0};
};

template <class Unsigned>
field<Unsigned> read_field(const char* at, const char* limit) noexcept {
  if (limit - at < static_cast<std::ptrdiff_t>(sizeof(Unsigned))) return {};
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(Unsigned); ++i) value = (value << 8) | static_cast<unsigned char>(at[i]);
  return {at + sizeof(Unsigned), static_cast<Unsigned>(value)};
}

template <class Unsigned>
head unsigned_head(const char* at, const char* limit) noexcept {
  const auto read = read_field<Unsigned>(at, limit);
  if (read.after == nullptr) return {};
  const std::uint64_t value = read.value;
  const bool fits = value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return {.kind = fits ? value_kind::integer : value_kind::unsigned_integer, .content = read.after, .bits = value};
}

template <class Unsigned>
head signed_head(const char* at, const char* limit) noexcept {
  const auto read = read_field<Unsigned>(at, limit);
  if (read.after == nullptr) return {};
  const auto value = static_cast<std::int64_t>(static_cast<std::make_signed_t<Unsigned>>(read.value));
  return {.kind = value_kind::integer, .content = read.after, .bits = static_cast<std::uint64_t>(value)};
}

head real32_head(const char* at, const char* limit) noexcept {
  const auto read = read_field<std::uint32_t>(at, limit);
  if (read.after == nullptr) return {};
  const auto value = static_cast<double>(std::bit_cast<float>(read.value));
  return {.kind = value_kind::real, .content = read.after, .bits = std::bit_cast<std::uint64_t>(value)};
}

head real64_head(const char* at, const char* limit) noexcept {
  const auto read = read_field<std::uint64_t>(at, limit);
  if (read.after == nullptr) return {};
  return {.kind = value_kind::real, .content = read.after, .bits = read.value};
}

// A text, binary, list or map whose content begins at `at`, provided that so much can lie before the limit.
head sized_head(value_kind kind, const char* at, const char* limit, std::size_t size) noexcept {
  const auto left = static_cast<std::size_t>(limit - at);
  const std::size_t least_bytes = kind == value_kind::map ? size * 2 : size;
  if (least_bytes > left) return {};
  return {.kind = kind, .content = at, .size = size};
}

template <class Unsigned>
head sized_head(value_kind kind, const char* at, const char* limit) noexcept {
  const auto size = read_field<Unsigned>(at, limit);
  if (size.after == nullptr) return {};
  return sized_head(kind, size.after, limit, size.value);
}

head small_head(value_kind kind, const char* after, std::uint64_t bits) noexcept {
  return {.kind = kind, .content = after, .bits = bits};
}

}  // namespace

head read_head(const char* at, const char* limit) noexcept {
  if (at == limit) return {};
  const auto tag = static_cast<unsigned char>(*at++);
  if (tag <= 0x7F) return small_head(value_kind::integer, at, tag);
  if (tag >= 0xE0) return small_head(value_kind::integer, at, static_cast<std::uint64_t>(static_cast<std::int64_t>(tag) - 0x100));
  if (tag <= 0x8F) return sized_head(value_kind::map, at, limit, tag & 0x0FU);
  if (tag <= 0x9F) return sized_head(value_kind::list, at, limit, tag & 0x0FU);
  if (tag <= 0xBF) return sized_head(value_kind::text, at, limit, tag & 0x1FU);
  switch (tag) {
    case 0xC0: return small_head(value_kind::null, at, 0);
    case 0xC2: return small_head(value_kind::boolean, at, 0);
    case 0xC3: return small_head(value_kind::boolean, at, 1);
    case 0xC4: return sized_head<std::uint8_t>(value_kind::binary, at, limit);
    case 0xC5: return sized_head<std::uint16_t>(value_kind::binary, at, limit);
    case 0xC6: return sized_head<std::uint32_t>(value_kind::binary, at, limit);
    case 0xCA: return real32_head(at, limit);
    case 0xCB: return real64_head(at, limit);
    case 0xCC: return unsigned_head<std::uint8_t>(at, limit);
    case 0xCD: return unsigned_head<std::uint16_t>(at, limit);
    case 0xCE: return unsigned_head<std::uint32_t>(at, limit);
    case 0xCF: return unsigned_head<std::uint64_t>(at, limit);
    case 0xD0: return signed_head<std::uint8_t>(at, limit);
    case 0xD1: return signed_head<std::uint16_t>(at, limit);
    case 0xD2: return signed_head<std::uint32_t>(at, limit);
    case 0xD3: return signed_head<std::uint64_t>(at, limit);
    case 0xD9: return sized_head<std::uint8_t>(value_kind::text, at, limit);
    case 0xDA: return sized_head<std::uint16_t>(value_kind::text, at, limit);
    case 0xDB: return sized_head<std::uint32_t>(value_kind::text, at, limit);
    case 0xDC: return sized_head<std::uint16_t>(value_kind::list, at, limit);
    case 0xDD: return sized_head<std::uint32_t>(value_kind::list, at, limit);
    case 0xDE: return sized_head<std::uint16_t>(value_kind::map, at, limit);
    case 0xDF: return sized_head<std::uint32_t>(value_kind::map, at, limit);
    default: return {};  // reserved, or an extension type
  }
}

const char* skip_value(const char* at, const char* limit) noexcept {
  std::size_t values_left = 1;
  while (values_left > 0) {
    const head read = read_head(at, limit);
    at = read.content;
    --values_left;
    switch (read.kind) {
      case value_kind::missing: return nullptr;
      case value_kind::text:
      case value_kind::binary: at += read.size; break;
      case value_kind::list: values_left += read.size; break;
      case value_kind::map: values_left += read.size * 2; break;
      case value_kind::null:
      case value_kind::boolean:
      case value_kind::integer:
      case value_kind::unsigned_integer:
      case value_kind::real: break;
    }
    if (values_left > static_cast<std::size_t>(limit - at)) return nullptr;  // each takes a byte at least
  }
  return at;
}

}  // namespace caesura::storage
