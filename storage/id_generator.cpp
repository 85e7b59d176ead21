#include "storage/id_generator.hpp"

#include <algorithm>

#include <caesura/error.hpp>

namespace caesura::storage {

namespace {

constexpr std::int64_t latest_ms = (std::int64_t{1} << 48) - 1;

// splitmix64: one word of entropy becomes two that look unrelated.
std::uint64_t mix(std::uint64_t value) noexcept {
  value += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

void write_big_endian(std::uint64_t value, std::uint8_t* first, std::size_t width) noexcept {
  for (std::size_t i = width; i-- > 0; value >>= 8) first[i] = static_cast<std::uint8_t>(value);
}

position first_of_millisecond(std::int64_t ms, std::uint64_t entropy) noexcept {
  const std::uint64_t low = mix(entropy);
  const std::uint64_t high = mix(low) & 0x7FFFU;  // top bit clear: room for 2^79 increments
  position made;
  write_big_endian(static_cast<std::uint64_t>(ms), made.bytes.data(), 6);
  write_big_endian(high, made.bytes.data() + 6, 2);
  write_big_endian(low, made.bytes.data() + 8, 8);
  return made;
}

// `last` comes from disk, so even the end of the range is an error and not an assertion.
position successor(position last) {
  for (std::size_t i = last.bytes.size(); i-- > 0;) {
    if (++last.bytes[i] != 0) return last;
  }
  throw error{errc::store_corrupt, "the last id is the greatest one: no id can follow it"};
}

}  // namespace

position id_generator::next_position(time_point now, std::uint64_t entropy) {
  const std::int64_t ms = std::min<std::int64_t>(now.time_since_epoch().count(), latest_ms);
  const bool is_new_millisecond = ms > time_of(last_).time_since_epoch().count();
  last_ = is_new_millisecond ? first_of_millisecond(ms, entropy) : successor(last_);
  return last_;
}

}  // namespace caesura::storage
