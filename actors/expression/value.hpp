#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "storage/document_view.hpp"

namespace caesura::expression {

enum class type : std::uint8_t { error, missing, null, boolean, integer, unsigned_integer, real, text, binary, list, map, timestamp, duration };

// What a node evaluates to. Owns nothing: texts and elements belong to the events, the tree or the evaluation. `error` stands for an
// evaluation error, whose sentence the evaluation keeps.
struct value {
  expression::type type{expression::type::missing};
  union {
    std::int64_t integer{0};  // integer; boolean; timestamp, duration in milliseconds
    std::uint64_t unsigned_integer;
    double real;
  };
  std::string_view text{};
  storage::document_view view{};              // list, map of an event
  const std::vector<value>* items{nullptr};   // list written in the expression

  [[nodiscard]] bool is_number() const noexcept {
    return type == type::integer || type == type::unsigned_integer || type == type::real;
  }
};

[[nodiscard]] value value_of(const storage::document_view& view) noexcept;
[[nodiscard]] value of_boolean(bool b) noexcept;
[[nodiscard]] value of_integer(std::int64_t i) noexcept;
[[nodiscard]] value of_real(double d) noexcept;
[[nodiscard]] value of_text(std::string_view t) noexcept;
[[nodiscard]] value of_time(type kind, std::int64_t ms) noexcept;

// Exact: no integer is rounded to compare it with a real. unordered with NaN.
[[nodiscard]] std::partial_ordering compare_numbers(const value& a, const value& b) noexcept;

// Equality of values that are neither missing nor errors; different types are unequal, numbers compare by value.
[[nodiscard]] bool are_equal(const value& a, const value& b) noexcept;

[[nodiscard]] std::string_view name_of(type t) noexcept;

}  // namespace caesura::expression
