// Equality and order of values: equal_values, compare_numbers.

#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/document_view.hpp"
#include "storage/msgpack_head.hpp"

namespace caesura::storage {

namespace {

constexpr double two_to_63 = 9223372036854775808.0;
constexpr double two_to_64 = 18446744073709551616.0;

// Where two numbers compare equal up to the whole part, the fraction decides.
std::partial_ordering by_fraction(double fraction) noexcept { return 0.0 <=> fraction; }

}  // namespace

std::partial_ordering compare_numbers(std::int64_t a, std::uint64_t b) noexcept {
  if (a < 0) return std::partial_ordering::less;
  return static_cast<std::uint64_t>(a) <=> b;
}

std::partial_ordering compare_numbers(std::int64_t a, double b) noexcept {
  if (std::isnan(b)) return std::partial_ordering::unordered;
  if (b >= two_to_63) return std::partial_ordering::less;
  if (b < -two_to_63) return std::partial_ordering::greater;
  const double whole = std::trunc(b);
  const std::strong_ordering order = a <=> static_cast<std::int64_t>(whole);
  if (order != std::strong_ordering::equal) return order;
  return by_fraction(b - whole);
}

std::partial_ordering compare_numbers(std::uint64_t a, double b) noexcept {
  if (std::isnan(b)) return std::partial_ordering::unordered;
  if (b >= two_to_64) return std::partial_ordering::less;
  if (b < 0) return std::partial_ordering::greater;
  const double whole = std::trunc(b);
  const std::strong_ordering order = a <=> static_cast<std::uint64_t>(whole);
  if (order != std::strong_ordering::equal) return order;
  return by_fraction(b - whole);
}

namespace {

std::partial_ordering reversed(std::partial_ordering order) noexcept { return 0 <=> order; }

bool is_number(value_kind kind) noexcept {
  return kind == value_kind::integer || kind == value_kind::unsigned_integer || kind == value_kind::real;
}

// Heads rather than views, so that equality can walk the bytes with them.
std::partial_ordering compare_heads(const head& a, const head& b) noexcept {
  if (!is_number(a.kind) || !is_number(b.kind)) return std::partial_ordering::unordered;
  const auto integer = [](const head& number) { return static_cast<std::int64_t>(number.bits); };
  const auto real = [](const head& number) { return std::bit_cast<double>(number.bits); };
  if (a.kind == value_kind::integer) {
    if (b.kind == value_kind::integer) return integer(a) <=> integer(b);
    return b.kind == value_kind::real ? compare_numbers(integer(a), real(b)) : compare_numbers(integer(a), b.bits);
  }
  if (b.kind == value_kind::integer) return reversed(compare_heads(b, a));
  if (a.kind == value_kind::unsigned_integer) {
    return b.kind == value_kind::real ? compare_numbers(a.bits, real(b)) : std::partial_ordering{a.bits <=> b.bits};
  }
  if (b.kind == value_kind::unsigned_integer) return reversed(compare_heads(b, a));
  return real(a) <=> real(b);
}

head head_of(const document_view& number) noexcept {
  switch (number.kind()) {
    case value_kind::integer: return {.kind = number.kind(), .bits = static_cast<std::uint64_t>(number.integer())};
    case value_kind::unsigned_integer: return {.kind = number.kind(), .bits = number.unsigned_integer()};
    case value_kind::real: return {.kind = number.kind(), .bits = std::bit_cast<std::uint64_t>(number.real())};
    case value_kind::missing:
    case value_kind::null:
    case value_kind::boolean:
    case value_kind::text:
    case value_kind::binary:
    case value_kind::list:
    case value_kind::map: break;
  }
  return {};
}

}  // namespace

std::partial_ordering compare_numbers(const document_view& a, const document_view& b) noexcept {
  return compare_heads(head_of(a), head_of(b));
}

namespace {

// A place in each of two documents. Both move in step over equal values, so that nested values are walked once.
struct places {
  const char* a{nullptr};
  const char* limit_a{nullptr};
  const char* b{nullptr};
  const char* limit_b{nullptr};
};

// True when the values at both places are equal; both places are then behind them. Left anywhere otherwise.
bool equal_next(places& at, std::size_t depth_left);

bool equal_elements(places& at, std::size_t count, std::size_t depth_left) {
  for (; count > 0; --count) {
    if (!equal_next(at, depth_left)) return false;
  }
  return true;
}

struct pair {
  std::string_view key;
  const char* value;
};

// The next `count` pairs from `at`, sorted by key, in their own order where keys are equal; empty when malformed.
std::vector<pair> sorted_pairs(const char*& at, const char* limit, std::size_t count) {
  std::vector<pair> pairs;
  pairs.reserve(count);
  for (; count > 0; --count) {
    const head key = read_head(at, limit);
    if (key.kind != value_kind::text) return {};
    const char* const value = key.content + key.size;
    at = skip_value(value, limit);
    if (at == nullptr) return {};
    pairs.push_back({{key.content, key.size}, value});
  }
  std::ranges::stable_sort(pairs, std::ranges::less{}, &pair::key);
  return pairs;
}

bool equal_sorted_pairs(places& at, std::size_t count, std::size_t depth_left) {
  const std::vector<pair> a = sorted_pairs(at.a, at.limit_a, count);
  const std::vector<pair> b = sorted_pairs(at.b, at.limit_b, count);
  if (a.size() != count || b.size() != count) return false;
  for (std::size_t i = 0; i < count; ++i) {
    places values{.a = a[i].value, .limit_a = at.limit_a, .b = b[i].value, .limit_b = at.limit_b};
    if (a[i].key != b[i].key || !equal_next(values, depth_left)) return false;
  }
  return true;
}

// While both maps have the same ascending keys, a difference between two values decides: neither key stood there before. From the
// first key that breaks this, what is left of both is sorted.
bool equal_pairs(places& at, std::size_t count, std::size_t depth_left) {
  std::string_view last;
  for (bool is_first = true; count > 0; --count, is_first = false) {
    const head key_a = read_head(at.a, at.limit_a);
    const head key_b = read_head(at.b, at.limit_b);
    if (key_a.kind != value_kind::text || key_b.kind != value_kind::text) return false;
    const std::string_view key{key_a.content, key_a.size};
    const bool is_same = key == std::string_view{key_b.content, key_b.size};
    if (!is_same || (!is_first && key <= last)) return equal_sorted_pairs(at, count, depth_left);
    at.a = key_a.content + key_a.size;
    at.b = key_b.content + key_b.size;
    if (!equal_next(at, depth_left)) return false;
    last = key;
  }
  return true;
}

bool equal_next(places& at, std::size_t depth_left) {
  const head a = read_head(at.a, at.limit_a);
  const head b = read_head(at.b, at.limit_b);
  at.a = a.content;
  at.b = b.content;
  if (is_number(a.kind)) return compare_heads(a, b) == std::partial_ordering::equivalent;
  if (a.kind != b.kind || a.size != b.size) return false;
  switch (a.kind) {
    case value_kind::null: return true;
    case value_kind::boolean: return a.bits == b.bits;
    case value_kind::text:
    case value_kind::binary:
      at.a += a.size;
      at.b += b.size;
      return std::string_view{a.content, a.size} == std::string_view{b.content, b.size};
    case value_kind::list: return depth_left > 0 && equal_elements(at, a.size, depth_left - 1);
    case value_kind::map: return depth_left > 0 && equal_pairs(at, a.size, depth_left - 1);
    case value_kind::missing:
    case value_kind::integer:
    case value_kind::unsigned_integer:
    case value_kind::real: break;
  }
  return false;
}

}  // namespace

bool equal_values(const document_view& a, const document_view& b) {
  if (is_number(a.kind())) return compare_numbers(a, b) == std::partial_ordering::equivalent;
  const std::string_view bytes_a = a.bytes();
  const std::string_view bytes_b = b.bytes();
  places at{.a = bytes_a.data(),
            .limit_a = bytes_a.data() + bytes_a.size(),
            .b = bytes_b.data(),
            .limit_b = bytes_b.data() + bytes_b.size()};
  return equal_next(at, nesting_limit);
}

}  // namespace caesura::storage
