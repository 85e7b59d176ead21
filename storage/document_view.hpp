#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace caesura::storage {

enum class value_kind : std::uint8_t { missing, null, boolean, integer, unsigned_integer, real, text, binary, list, map };

// A cursor on one value within well-formed msgpack bytes; it owns nothing and is valid as long as the bytes. Builds no tree: `find`
// and `at` walk the bytes. A default view is the missing value. On malformed bytes every question answers `missing`: no read ever
// leaves the given range. `unsigned_integer` is used only above INT64_MAX. Any thread.
class document_view {
 public:
  document_view() noexcept = default;
  explicit document_view(std::string_view msgpack) noexcept;

  [[nodiscard]] value_kind kind() const noexcept { return kind_; }
  [[nodiscard]] bool is_missing() const noexcept { return kind_ == value_kind::missing; }

  // Each is valid for its own kind only.
  [[nodiscard]] bool boolean() const noexcept { return bits_.integer != 0; }
  [[nodiscard]] std::int64_t integer() const noexcept { return bits_.integer; }
  [[nodiscard]] std::uint64_t unsigned_integer() const noexcept { return bits_.unsigned_integer; }
  [[nodiscard]] double real() const noexcept { return bits_.real; }
  [[nodiscard]] std::string_view text() const noexcept;  // text and binary
  [[nodiscard]] std::size_t size() const noexcept { return size_; }  // elements of a list, pairs of a map, bytes of text

  // map: the value under `key`, the last one if it stands there twice; missing when absent or when this is no map. O(bytes).
  [[nodiscard]] document_view find(std::string_view key) const noexcept;
  // list: the element; missing when out of range or when this is no list. O(bytes).
  [[nodiscard]] document_view at(std::size_t index) const noexcept;

  // The same, with how many bytes were walked to answer: what a caller that budgets its work charges.
  struct walk;
  [[nodiscard]] walk walk_to(std::string_view key) const noexcept;
  [[nodiscard]] walk walk_to(std::size_t index) const noexcept;

  // Walks a list (value only) or a map (key and value): for (auto item = view.first(); item; item = item.next()).
  class item;
  [[nodiscard]] item first() const noexcept;

  // The bytes of exactly this value.
  [[nodiscard]] std::string_view bytes() const noexcept;

 private:
  friend class item;

  const char* begin_ = nullptr;    // first byte of the value
  const char* content_ = nullptr;  // text: first character; list, map: first element
  const char* limit_ = nullptr;    // end of the whole buffer
  std::size_t size_ = 0;
  value_kind kind_ = value_kind::missing;
  union {
    std::int64_t integer;
    std::uint64_t unsigned_integer;
    double real;
  } bits_{0};
};

struct document_view::walk {
  document_view value{};
  std::size_t bytes{0};
};

// A place in a list or map; false behind the last one and where the bytes are malformed.
class document_view::item {
 public:
  item() noexcept = default;

  explicit operator bool() const noexcept { return left_ > 0; }
  [[nodiscard]] const document_view& key() const noexcept { return key_; }  // missing for lists
  [[nodiscard]] const document_view& value() const noexcept { return value_; }
  [[nodiscard]] item next() const noexcept;

 private:
  friend class document_view;
  item(const char* at, const char* limit, std::size_t left, bool is_map) noexcept;

  document_view key_;
  document_view value_;
  const char* after_ = nullptr;
  const char* limit_ = nullptr;
  std::size_t left_ = 0;
  bool is_map_ = false;
};

// The order of two numbers (integer, unsigned_integer, real) by their exact values: no integer is rounded to a double. Unordered
// with NaN and with anything that is no number.
[[nodiscard]] std::partial_ordering compare_numbers(const document_view& a, const document_view& b) noexcept;
[[nodiscard]] std::partial_ordering compare_numbers(std::int64_t a, std::uint64_t b) noexcept;
[[nodiscard]] std::partial_ordering compare_numbers(std::int64_t a, double b) noexcept;
[[nodiscard]] std::partial_ordering compare_numbers(std::uint64_t a, double b) noexcept;

// True when the values are equal: numbers by value across integer and real, maps in any order, lists element by element. A key that
// stands twice in a map counts twice. NaN, missing values and values more than 128 deep equal nothing. O(bytes); maps whose keys
// are not in one common ascending order are sorted first, which allocates.
[[nodiscard]] bool equal_values(const document_view& a, const document_view& b);

// Equal values have equal hashes. Stored in run records, so it never changes: XXH64 of texts, the same mixing for everything else.
// hash_text and hash_integer give what hash_value gives for a text and an integer.
[[nodiscard]] std::uint64_t hash_value(const document_view& value) noexcept;
[[nodiscard]] std::uint64_t hash_text(std::string_view text) noexcept;
[[nodiscard]] std::uint64_t hash_integer(std::int64_t number) noexcept;

// Lists and maps nested within each other, at most.
inline constexpr std::size_t nesting_limit = 128;

// Where bytes stop being exactly one well-formed value, as an offset; nullopt when they are one. At most 128 deep, keys are text,
// text is UTF-8, and there is no binary and no extension type, because JSON has neither. Bytes behind the value are a fault.
[[nodiscard]] std::optional<std::size_t> first_fault(std::string_view msgpack) noexcept;

[[nodiscard]] bool is_utf8(std::string_view text) noexcept;
// The text with U+FFFD in place of each byte that is no UTF-8; what is longer than `most_bytes` is cut between characters and ends in an ellipsis.
[[nodiscard]] std::string to_utf8(std::string_view text, std::size_t most_bytes);

}  // namespace caesura::storage
