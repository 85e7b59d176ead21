#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <caesura/time.hpp>

namespace caesura {

// A ULID: 48 bits of milliseconds, 80 bits that grow. Ids issued by one store are strictly increasing in the order in which the
// router took its commands, across restarts and clocks set back, so comparing two ids compares their places in that order.
// `Tag` keeps ids of different things apart. Values; compared bytewise; the default one is nil and never issued.
template <class Tag>
struct basic_id {
  std::array<std::uint8_t, 16> bytes{};

  auto operator<=>(const basic_id&) const = default;

  [[nodiscard]] bool is_nil() const noexcept { return *this == basic_id{}; }
};

struct run_tag;
struct event_tag;
struct position_tag;
struct plan_tag;
struct bulk_tag;
using run_id = basic_id<run_tag>;
using event_id = basic_id<event_tag>;
using position = basic_id<position_tag>;  // a bare place in the router's order
using plan_id = basic_id<plan_tag>;       // the token of a preview
using bulk_id = basic_id<bulk_tag>;       // a bulk cancel or replay

// Same bytes, other meaning: ids of all kinds are drawn from one sequence, so their order is comparable.
template <class To, class From>
[[nodiscard]] constexpr To id_cast(const From& id) noexcept {
  return To{id.bytes};
}

namespace detail {
[[nodiscard]] std::string ulid_text(const std::array<std::uint8_t, 16>& bytes);
[[nodiscard]] std::optional<std::array<std::uint8_t, 16>> ulid_bytes(std::string_view text);
}  // namespace detail

// 26 characters of Crockford base 32.
template <class Tag>
[[nodiscard]] std::string to_string(const basic_id<Tag>& id) {
  return detail::ulid_text(id.bytes);
}

// Reads those 26 characters, upper or lower case; nullopt otherwise.
template <class Id>
[[nodiscard]] std::optional<Id> parse_id(std::string_view text) {
  if (auto bytes = detail::ulid_bytes(text)) return Id{*bytes};
  return std::nullopt;
}

// The millisecond part.
template <class Tag>
[[nodiscard]] time_point time_of(const basic_id<Tag>& id) {
  std::int64_t ms = 0;
  for (int i = 0; i < 6; ++i) ms = (ms << 8) | id.bytes[static_cast<std::size_t>(i)];
  return time_point{duration{ms}};
}

}  // namespace caesura

template <class Tag>
struct std::hash<caesura::basic_id<Tag>> {
  std::size_t operator()(const caesura::basic_id<Tag>& id) const noexcept {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::memcpy(&high, id.bytes.data(), 8);
    std::memcpy(&low, id.bytes.data() + 8, 8);
    return static_cast<std::size_t>((high * 0x9E3779B97F4A7C15ULL) ^ (low * 0xC2B2AE3D27D4EB4FULL));
  }
};
