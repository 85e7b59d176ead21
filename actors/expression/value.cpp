#include "actors/expression/value.hpp"

#include <array>
#include <cmath>

namespace caesura::expression {

value of_boolean(bool b) noexcept {
  value v;
  v.type = type::boolean;
  v.integer = b ? 1 : 0;
  return v;
}
value of_integer(std::int64_t i) noexcept {
  value v;
  v.type = type::integer;
  v.integer = i;
  return v;
}
value of_real(double d) noexcept {
  value v;
  v.type = type::real;
  v.real = d;
  return v;
}
value of_text(std::string_view t) noexcept {
  value v;
  v.type = type::text;
  v.text = t;
  return v;
}
value of_time(type kind, std::int64_t ms) noexcept {
  value v = of_integer(ms);
  v.type = kind;
  return v;
}

value value_of(const storage::document_view& view) noexcept {
  using storage::value_kind;
  value v;
  v.view = view;
  switch (view.kind()) {
    case value_kind::missing: return {};
    case value_kind::null: v.type = type::null; return v;
    case value_kind::boolean: return of_boolean(view.boolean());
    case value_kind::integer: return of_integer(view.integer());
    case value_kind::unsigned_integer:
      v.type = type::unsigned_integer;
      v.unsigned_integer = view.unsigned_integer();
      return v;
    case value_kind::real: return of_real(view.real());
    case value_kind::text: return of_text(view.text());
    case value_kind::binary:
      v = of_text(view.text());
      v.type = type::binary;
      return v;
    case value_kind::list: v.type = type::list; return v;
    case value_kind::map: v.type = type::map; return v;
  }
  return {};
}

namespace {

std::partial_ordering compare(std::int64_t a, double b) noexcept {
  constexpr double limit = 9223372036854775808.0;  // 2^63
  if (std::isnan(b)) return std::partial_ordering::unordered;
  if (b >= limit) return std::partial_ordering::less;
  if (b < -limit) return std::partial_ordering::greater;
  const auto whole = static_cast<std::int64_t>(b);
  if (a != whole) return a <=> whole;
  return 0.0 <=> (b - static_cast<double>(whole));
}

std::partial_ordering compare(std::uint64_t a, double b) noexcept {  // a is above every std::int64_t
  constexpr double limit = 18446744073709551616.0;  // 2^64
  if (std::isnan(b)) return std::partial_ordering::unordered;
  if (b >= limit) return std::partial_ordering::less;
  if (b < 0) return std::partial_ordering::greater;
  const auto whole = static_cast<std::uint64_t>(b);
  if (a != whole) return a <=> whole;
  return 0.0 <=> (b - static_cast<double>(whole));
}

std::partial_ordering reversed(std::partial_ordering order) noexcept { return 0 <=> order; }

}  // namespace

std::partial_ordering compare_numbers(const value& a, const value& b) noexcept {
  if (a.type == b.type) {
    if (a.type == type::integer) return a.integer <=> b.integer;
    if (a.type == type::unsigned_integer) return a.unsigned_integer <=> b.unsigned_integer;
    return a.real <=> b.real;
  }
  if (b.type == type::real) return a.type == type::integer ? compare(a.integer, b.real) : compare(a.unsigned_integer, b.real);
  if (a.type == type::real) return reversed(compare_numbers(b, a));
  return a.type == type::integer ? std::partial_ordering::less : std::partial_ordering::greater;  // unsigned ones are above 2^63
}

namespace {

bool are_equal_lists(const value& a, const value& b) noexcept {
  if (a.items == nullptr && b.items == nullptr) return storage::equal_values(a.view, b.view);
  if (a.items != nullptr && b.items != nullptr) {
    if (a.items->size() != b.items->size()) return false;
    for (std::size_t i = 0; i < a.items->size(); ++i) {
      if (!are_equal((*a.items)[i], (*b.items)[i])) return false;
    }
    return true;
  }
  const auto& written = a.items != nullptr ? *a.items : *b.items;
  const auto& view = a.items != nullptr ? b.view : a.view;
  if (written.size() != view.size()) return false;
  auto item = view.first();
  for (const auto& one : written) {
    if (!item || !are_equal(one, value_of(item.value()))) return false;
    item = item.next();
  }
  return true;
}

}  // namespace

bool are_equal(const value& a, const value& b) noexcept {
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.type != b.type) return false;
  switch (a.type) {
    case type::error:
    case type::missing: return false;
    case type::null: return true;
    case type::boolean:
    case type::timestamp:
    case type::duration: return a.integer == b.integer;
    case type::text:
    case type::binary: return a.text == b.text;
    case type::list: return are_equal_lists(a, b);
    case type::map: return storage::equal_values(a.view, b.view);
    case type::integer:
    case type::unsigned_integer:
    case type::real: break;  // compared above
  }
  return false;
}

std::string_view name_of(type t) noexcept {
  constexpr std::array<std::string_view, 13> names{"an error", "a missing value", "null", "a boolean", "an integer", "an integer", "a double",
                                                  "a text",   "binary",          "a list", "a map",   "a timestamp", "a duration"};
  return names[static_cast<std::size_t>(t)];
}

}  // namespace caesura::expression
