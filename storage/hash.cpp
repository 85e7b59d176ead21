// Hashes of values: hash_value, hash_text, hash_integer. They are stored: no constant here may ever change.

#include <bit>
#include <cmath>
#include <cstring>

#include "storage/document_view.hpp"
#include "storage/msgpack_head.hpp"

namespace caesura::storage {

namespace {

constexpr std::uint64_t prime_1 = 0x9E3779B185EBCA87ULL;
constexpr std::uint64_t prime_2 = 0xC2B2AE3D27D4EB4FULL;
constexpr std::uint64_t prime_3 = 0x165667B19E3779F9ULL;
constexpr std::uint64_t prime_4 = 0x85EBCA77C2B2AE63ULL;
constexpr std::uint64_t prime_5 = 0x27D4EB2F165667C5ULL;

// Little-endian whatever the machine, so that stored hashes mean the same everywhere.
template <class Unsigned>
std::uint64_t load(const char* at) noexcept {
  Unsigned value = 0;
  std::memcpy(&value, at, sizeof value);
  if constexpr (std::endian::native == std::endian::big) {
    value = static_cast<Unsigned>(sizeof value == 8 ? __builtin_bswap64(value) : __builtin_bswap32(static_cast<std::uint32_t>(value)));
  }
  return value;
}

std::uint64_t round(std::uint64_t lane, std::uint64_t input) noexcept { return std::rotl(lane + input * prime_2, 31) * prime_1; }

std::uint64_t merge(std::uint64_t hash, std::uint64_t lane) noexcept { return (hash ^ round(0, lane)) * prime_1 + prime_4; }

std::uint64_t avalanche(std::uint64_t hash) noexcept {
  hash = (hash ^ (hash >> 33)) * prime_2;
  hash = (hash ^ (hash >> 29)) * prime_3;
  return hash ^ (hash >> 32);
}

std::uint64_t hash_tail(std::uint64_t hash, const char* at, const char* end) noexcept {
  for (; end - at >= 8; at += 8) hash = std::rotl(hash ^ round(0, load<std::uint64_t>(at)), 27) * prime_1 + prime_4;
  for (; end - at >= 4; at += 4) hash = std::rotl(hash ^ (load<std::uint32_t>(at) * prime_1), 23) * prime_2 + prime_3;
  for (; at != end; ++at) hash = std::rotl(hash ^ (static_cast<unsigned char>(*at) * prime_5), 11) * prime_1;
  return avalanche(hash);
}

}  // namespace

std::uint64_t hash_text(std::string_view text) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  std::uint64_t hash = prime_5;
  if (text.size() >= 32) {
    std::uint64_t lanes[4] = {prime_1 + prime_2, prime_2, 0, 0 - prime_1};
    for (; end - at >= 32; at += 32) {
      for (int i = 0; i < 4; ++i) lanes[i] = round(lanes[i], load<std::uint64_t>(at + 8 * i));
    }
    hash = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
    for (const std::uint64_t lane : lanes) hash = merge(hash, lane);
  }
  return hash_tail(hash + text.size(), at, end);
}

namespace {

// What tells values of different kinds apart. Stored within every hash.
enum class hash_tag : std::uint64_t { null = 1, boolean = 2, integer = 3, unsigned_integer = 4, real = 5, binary = 6, list = 7, map = 8 };

std::uint64_t hash_tagged(hash_tag tag, std::uint64_t bits) noexcept {
  return avalanche(merge(prime_5 + static_cast<std::uint64_t>(tag) * prime_3, bits));
}

// A real that is a whole number hashes as that integer, because it equals it.
std::uint64_t hash_real(double value) noexcept {
  constexpr double two_to_63 = 9223372036854775808.0;
  if (value == std::trunc(value)) {
    if (value >= -two_to_63 && value < two_to_63) return hash_integer(static_cast<std::int64_t>(value));
    if (value > 0 && value < 2 * two_to_63) return hash_tagged(hash_tag::unsigned_integer, static_cast<std::uint64_t>(value));
  }
  return hash_tagged(hash_tag::real, std::bit_cast<std::uint64_t>(value));
}

// A hash and where its value ends, so that nested values are walked once; null: malformed or too deep, and equal to nothing.
struct hashed {
  std::uint64_t hash{0};
  const char* after{nullptr};
};

hashed hash_next(const char* at, const char* limit, std::size_t depth_left) noexcept;

hashed hash_list(const head& list, const char* limit, std::size_t depth_left) noexcept {
  hashed all{hash_tagged(hash_tag::list, list.size), list.content};
  for (std::size_t left = list.size; left > 0 && all.after != nullptr; --left) {
    const hashed element = hash_next(all.after, limit, depth_left);
    all = {merge(all.hash, element.hash), element.after};
  }
  return {avalanche(all.hash), all.after};
}

// A sum, so that the order of the pairs does not matter.
hashed hash_map(const head& map, const char* limit, std::size_t depth_left) noexcept {
  std::uint64_t sum = map.size;
  const char* at = map.content;
  for (std::size_t left = map.size; left > 0; --left) {
    const hashed key = hash_next(at, limit, depth_left);
    const hashed value = key.after == nullptr ? hashed{} : hash_next(key.after, limit, depth_left);
    if (value.after == nullptr) return {};
    sum += avalanche(merge(key.hash, value.hash));
    at = value.after;
  }
  return {hash_tagged(hash_tag::map, sum), at};
}

hashed hash_next(const char* at, const char* limit, std::size_t depth_left) noexcept {
  const head read = read_head(at, limit);
  const std::string_view text{read.content, read.size};
  switch (read.kind) {
    case value_kind::missing: break;
    case value_kind::null: return {hash_tagged(hash_tag::null, 0), read.content};
    case value_kind::boolean: return {hash_tagged(hash_tag::boolean, read.bits), read.content};
    case value_kind::integer: return {hash_tagged(hash_tag::integer, read.bits), read.content};
    case value_kind::unsigned_integer: return {hash_tagged(hash_tag::unsigned_integer, read.bits), read.content};
    case value_kind::real: return {hash_real(std::bit_cast<double>(read.bits)), read.content};
    case value_kind::text: return {hash_text(text), text.data() + text.size()};
    case value_kind::binary: return {hash_tagged(hash_tag::binary, hash_text(text)), text.data() + text.size()};
    case value_kind::list: return depth_left > 0 ? hash_list(read, limit, depth_left - 1) : hashed{};
    case value_kind::map: return depth_left > 0 ? hash_map(read, limit, depth_left - 1) : hashed{};
  }
  return {};
}

}  // namespace

std::uint64_t hash_integer(std::int64_t number) noexcept {
  return hash_tagged(hash_tag::integer, static_cast<std::uint64_t>(number));
}

std::uint64_t hash_value(const document_view& value) noexcept {
  const std::string_view bytes = value.bytes();
  return hash_next(bytes.data(), bytes.data() + bytes.size(), nesting_limit).hash;
}

}  // namespace caesura::storage
