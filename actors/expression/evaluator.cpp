#include "actors/expression/evaluator.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include <caesura/time.hpp>

namespace caesura::expression {

namespace {

constexpr std::size_t bytes_a_step = 16;

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// Bytes or elements that comparing the value may touch.
std::size_t weight(const value& v) {
  if (v.type == type::text || v.type == type::binary) return v.text.size() / bytes_a_step;
  if (v.items != nullptr) return v.items->size();
  if (v.type == type::list || v.type == type::map) return v.view.bytes().size() / bytes_a_step;
  return 0;
}

bool is_null_literal(const node& n) { return n.kind == node_kind::literal && n.literal.is_null(); }

value error_value() {
  value v;
  v.type = type::error;
  return v;
}

}  // namespace

value evaluation::fail(const node& n, std::string why) {
  if (error_.empty()) error_ = "at byte " + std::to_string(n.position) + ": " + std::move(why);
  return error_value();
}

bool evaluation::charge(const node& n, std::size_t cost) {
  if (cost >= budget_) {
    budget_ = 0;
    fail(n, "the evaluation costs more than its limit");
    return false;
  }
  budget_ -= cost;
  return true;
}

value evaluation::keep(std::string text) { return of_text(texts_.emplace_back(std::move(text))); }

value evaluation::run(const node& n) {
  if (!charge(n, 1)) return error_value();
  switch (n.kind) {
    case node_kind::literal: return value_of(storage::document_view{n.literal.bytes()});
    case node_kind::path: return path(n);
    case node_kind::variable: return variables_[n.slot];
    case node_kind::list: return list(n);
    case node_kind::unary_not: {
      const auto operand = condition(*n.children[0], run(*n.children[0]));
      return operand ? of_boolean(!*operand) : error_value();
    }
    case node_kind::unary_minus: return minus(n);
    case node_kind::logical_and: return logical(n, true);
    case node_kind::logical_or: return logical(n, false);
    case node_kind::conditional: {
      const auto chosen = condition(*n.children[0], run(*n.children[0]));
      if (!chosen) return error_value();
      return run(*n.children[*chosen ? 1 : 2]);
    }
    case node_kind::equal:
    case node_kind::not_equal: return equality(n);
    case node_kind::less:
    case node_kind::less_equal:
    case node_kind::greater:
    case node_kind::greater_equal: return ordering(n);
    case node_kind::in: return membership(n);
    case node_kind::add:
    case node_kind::subtract:
    case node_kind::multiply:
    case node_kind::divide:
    case node_kind::remainder: return arithmetic(n);
    case node_kind::select: {
      const value of = run(*n.children[0]);
      if (of.type == type::error) return of;
      if (of.type != type::map || !charge(n, weight(of))) return of.type == type::map ? error_value() : value{};
      return value_of(of.view.find(n.name));
    }
    case node_kind::index: return index(n);
    case node_kind::call: return call(n);
    case node_kind::all:
    case node_kind::exists:
    case node_kind::exists_one: return macro(n);
  }
  return error_value();
}

value evaluation::path(const node& n) {
  const event_scope* const scope = n.root == root_kind::event ? &event_ : second_;
  if (scope == nullptr) return {};
  const auto& first = n.path.front();
  const bool is_run = n.root == root_kind::run;
  const bool is_user = first == "user";
  if (is_run || is_user || first == "data") {
    storage::document_view at = is_user && !is_run ? scope->user : scope->data;
    for (std::size_t i = is_run ? 0 : 1; i < n.path.size(); ++i) {
      const auto step = at.walk_to(n.path[i]);
      if (!charge(n, 1 + step.bytes / bytes_a_step)) return error_value();
      at = step.value;
    }
    return value_of(at);
  }
  if (n.path.size() > 1) return {};
  if (first == "id") return of_text(scope->id);
  if (first == "name") return of_text(scope->name);
  if (first == "ts") return of_integer(scope->ts);
  if (first == "v" && !scope->version.empty()) return of_text(scope->version);
  return {};
}

value evaluation::list(const node& n) {
  std::vector<value> items;
  items.reserve(n.children.size());
  for (const auto& child : n.children) {
    items.push_back(run(*child));
    if (items.back().type == type::error) return items.back();
  }
  value v;
  v.type = type::list;
  v.items = &lists_.emplace_back(std::move(items));
  return v;
}

std::optional<bool> evaluation::condition(const node& n, const value& v) {
  if (v.type == type::boolean) return v.integer != 0;
  if (v.type == type::missing) return false;
  if (v.type != type::error) fail(n, "a condition must be true or false, and this is " + std::string{name_of(v.type)});
  return std::nullopt;
}

// An error on one side is absorbed when the other decides, in either order.
value evaluation::logical(const node& n, bool is_and) {
  const bool decides = !is_and;
  const auto left = condition(*n.children[0], run(*n.children[0]));
  if (left && *left == decides) return of_boolean(decides);
  const auto right = condition(*n.children[1], run(*n.children[1]));
  if (right && *right == decides && budget_ > 0) return of_boolean(decides);
  if (!left || !right) return error_value();
  return of_boolean(!decides);
}

value evaluation::equality(const node& n) {
  const value a = run(*n.children[0]);
  if (a.type == type::error) return a;
  const value b = run(*n.children[1]);
  if (b.type == type::error) return b;
  const bool wants_equal = n.kind == node_kind::equal;
  const bool a_is_missing = a.type == type::missing;
  const bool b_is_missing = b.type == type::missing;
  if (a_is_missing || b_is_missing) {
    // What is not there equals nothing but the literal null; two things that are not there are neither equal nor different.
    const bool is_null = (a_is_missing && is_null_literal(*n.children[1])) || (b_is_missing && is_null_literal(*n.children[0]));
    if (is_null) return of_boolean(wants_equal);
    return of_boolean(!wants_equal && a_is_missing != b_is_missing);
  }
  if (!charge(n, std::min(weight(a), weight(b)))) return error_value();
  return of_boolean(are_equal(a, b) == wants_equal);
}

value evaluation::ordering(const node& n) {
  const value a = run(*n.children[0]);
  if (a.type == type::error) return a;
  const value b = run(*n.children[1]);
  if (b.type == type::error) return b;
  std::partial_ordering order = std::partial_ordering::unordered;
  if (a.is_number() && b.is_number()) {
    order = compare_numbers(a, b);
  } else if (a.type == b.type && a.type == type::text) {
    if (!charge(n, std::min(weight(a), weight(b)))) return error_value();
    order = a.text <=> b.text;
  } else if (a.type == b.type && (a.type == type::timestamp || a.type == type::duration)) {
    order = a.integer <=> b.integer;
  } else {
    return fail(n, std::string{name_of(a.type)} + " and " + std::string{name_of(b.type)} + " have no order");
  }
  switch (n.kind) {
    case node_kind::less: return of_boolean(order < 0);
    case node_kind::less_equal: return of_boolean(order <= 0);
    case node_kind::greater: return of_boolean(order > 0);
    default: return of_boolean(order >= 0);
  }
}

value evaluation::membership(const node& n) {
  const value wanted = run(*n.children[0]);
  if (wanted.type == type::error) return wanted;
  const value in = run(*n.children[1]);
  if (in.type == type::error) return in;
  if (wanted.type == type::missing || in.type == type::missing) return of_boolean(false);
  if (in.type == type::map) {
    if (wanted.type != type::text) return fail(n, "the keys of a map are texts");
    if (!charge(n, weight(in))) return error_value();
    return of_boolean(!in.view.find(wanted.text).is_missing());
  }
  if (in.type != type::list) return fail(n, "\"in\" takes a list or a map, and this is " + std::string{name_of(in.type)});
  if (in.items != nullptr) {
    for (const auto& item : *in.items) {
      if (!charge(n, 1 + std::min(weight(item), weight(wanted)))) return error_value();
      if (are_equal(item, wanted)) return of_boolean(true);
    }
    return of_boolean(false);
  }
  for (auto item = in.view.first(); item; item = item.next()) {
    const auto candidate = value_of(item.value());
    if (!charge(n, 1 + std::min(weight(candidate), weight(wanted)))) return error_value();
    if (are_equal(candidate, wanted)) return of_boolean(true);
  }
  return of_boolean(false);
}

value evaluation::arithmetic(const node& n) {
  const value a = run(*n.children[0]);
  if (a.type == type::error) return a;
  const value b = run(*n.children[1]);
  if (b.type == type::error) return b;
  if (a.type == type::integer && b.type == type::integer) return integers(n, a.integer, b.integer);
  if (a.is_number() && b.is_number() && a.type != type::unsigned_integer && b.type != type::unsigned_integer) {
    const double x = a.type == type::real ? a.real : static_cast<double>(a.integer);
    const double y = b.type == type::real ? b.real : static_cast<double>(b.integer);
    if (n.kind == node_kind::add) return of_real(x + y);
    if (n.kind == node_kind::subtract) return of_real(x - y);
    if (n.kind == node_kind::multiply) return of_real(x * y);
    if (n.kind == node_kind::divide) return of_real(x / y);
    return fail(n, "% takes integers");
  }
  if (n.kind == node_kind::add && (a.type == type::text || b.type == type::text)) {
    if (!charge(n, weight(a) + weight(b))) return error_value();
    const auto left = part_of_text(a);
    const auto right = part_of_text(b);
    if (left && right) return keep(*left + *right);
  }
  return times(n, a, b);
}

// What a text is joined with: 5.0 reads as 5, because JSON does not tell them apart.
std::optional<std::string> evaluation::part_of_text(const value& v) const {
  constexpr double exact = 9007199254740992.0;
  switch (v.type) {
    case type::text: return std::string{v.text};
    case type::boolean: return v.integer != 0 ? "true" : "false";
    case type::integer: return std::to_string(v.integer);
    case type::unsigned_integer: return std::to_string(v.unsigned_integer);
    case type::real:
      if (std::abs(v.real) < exact && v.real == std::trunc(v.real)) return std::to_string(static_cast<std::int64_t>(v.real));
      return nlohmann::json(v.real).dump();
    case type::missing:
    case type::null: return is_key_ ? std::optional{std::string{}} : std::nullopt;
    default: return std::nullopt;
  }
}

value evaluation::integers(const node& n, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool overflows = false;
  switch (n.kind) {
    case node_kind::add: overflows = __builtin_add_overflow(a, b, &result); break;
    case node_kind::subtract: overflows = __builtin_sub_overflow(a, b, &result); break;
    case node_kind::multiply: overflows = __builtin_mul_overflow(a, b, &result); break;
    default:
      if (b == 0) return fail(n, "division by zero");
      if (b == -1) {
        overflows = n.kind == node_kind::divide && __builtin_sub_overflow(std::int64_t{0}, a, &result);
        break;  // a remainder by -1 is 0
      }
      result = n.kind == node_kind::divide ? a / b : a % b;
  }
  return overflows ? fail(n, "the result does not fit an integer of 64 bits") : of_integer(result);
}

value evaluation::times(const node& n, const value& a, const value& b) {
  const bool is_sum = n.kind == node_kind::add;
  const bool is_difference = n.kind == node_kind::subtract;
  std::optional<type> result;
  if (a.type == type::timestamp && b.type == type::duration && (is_sum || is_difference)) result = type::timestamp;
  if (a.type == type::duration && b.type == type::timestamp && is_sum) result = type::timestamp;
  if (a.type == type::duration && b.type == type::duration && (is_sum || is_difference)) result = type::duration;
  if (a.type == type::timestamp && b.type == type::timestamp && is_difference) result = type::duration;
  if (!result) {
    return fail(n, "this operator does not take " + std::string{name_of(a.type)} + " and " + std::string{name_of(b.type)});
  }
  const value sum = integers(n, a.integer, b.integer);
  return sum.type == type::error ? sum : of_time(*result, sum.integer);
}

value evaluation::minus(const node& n) {
  const value v = run(*n.children[0]);
  if (v.type == type::real) return of_real(-v.real);
  if (v.type == type::error) return v;
  if (v.type != type::integer && v.type != type::duration) return fail(n, "- does not take " + std::string{name_of(v.type)});
  if (v.integer == std::numeric_limits<std::int64_t>::min()) return fail(n, "the result does not fit an integer of 64 bits");
  return of_time(v.type, -v.integer);
}

value evaluation::index(const node& n) {
  const value of = run(*n.children[0]);
  if (of.type == type::error) return of;
  const value key = run(*n.children[1]);
  if (key.type == type::error) return key;
  if (of.type == type::missing || key.type == type::missing) return {};
  if (!charge(n, weight(of))) return error_value();
  if (of.type == type::map && key.type == type::text) return value_of(of.view.find(key.text));
  if (of.type == type::list && key.type == type::integer) {
    if (key.integer < 0) return {};
    const auto place = static_cast<std::size_t>(key.integer);
    if (of.items == nullptr) return value_of(of.view.at(place));
    return place < of.items->size() ? (*of.items)[place] : value{};
  }
  if (of.type != type::map && of.type != type::list) return {};
  return fail(n, std::string{name_of(of.type)} + " has no element under " + std::string{name_of(key.type)});
}

value evaluation::call(const node& n) {
  switch (n.function) {
    case function_kind::size: return size(n, run(*n.children[0]));
    case function_kind::has: {
      const value v = run(*n.children[0]);
      return v.type == type::error ? v : of_boolean(v.type != type::missing);
    }
    case function_kind::starts_with:
    case function_kind::ends_with:
    case function_kind::contains:
    case function_kind::matches: return text_test(n);
    case function_kind::to_int:
    case function_kind::to_double:
    case function_kind::to_string:
    case function_kind::timestamp:
    case function_kind::duration: return conversion(n);
  }
  return error_value();
}

value evaluation::size(const node& n, const value& v) {
  if (v.type == type::error) return v;
  if (!charge(n, v.type == type::text ? weight(v) : 0)) return error_value();
  if (v.type == type::text) return of_integer(static_cast<std::int64_t>(code_points(v.text)));
  if (v.type == type::list && v.items != nullptr) return of_integer(static_cast<std::int64_t>(v.items->size()));
  if (v.type == type::list || v.type == type::map) return of_integer(static_cast<std::int64_t>(v.view.size()));
  return fail(n, "size does not take " + std::string{name_of(v.type)});
}

value evaluation::text_test(const node& n) {
  const value text = run(*n.children[0]);
  if (text.type == type::error) return text;
  const value part = run(*n.children[1]);
  if (part.type == type::error) return part;
  if (text.type != type::text || part.type != type::text) {
    return fail(n, "it takes two texts, and these are " + std::string{name_of(text.type)} + " and " + std::string{name_of(part.type)});
  }
  if (!charge(n, weight(text) + weight(part))) return error_value();
  if (n.function == function_kind::starts_with) return of_boolean(text.text.starts_with(part.text));
  if (n.function == function_kind::ends_with) return of_boolean(text.text.ends_with(part.text));
  if (n.function == function_kind::contains) return of_boolean(text.text.find(part.text) != std::string_view::npos);
  const re2::StringPiece subject{text.text.data(), text.text.size()};
  if (n.pattern) return of_boolean(RE2::PartialMatch(subject, *n.pattern));
  constexpr std::size_t compiling = 1000;  // a pattern that is no literal is compiled at every evaluation
  if (!charge(n, compiling)) return error_value();
  RE2::Options options{RE2::Quiet};
  options.set_max_mem(std::int64_t{1} << 20);
  const RE2 pattern{re2::StringPiece{part.text.data(), part.text.size()}, options};
  if (!pattern.ok()) return fail(n, "the pattern is malformed: " + pattern.error());
  return of_boolean(RE2::PartialMatch(subject, pattern));
}

value evaluation::conversion(const node& n) {
  const value v = run(*n.children[0]);
  if (v.type == type::error || !charge(n, weight(v))) return error_value();
  const auto refuse = [&] { return fail(n, "this conversion does not take " + std::string{name_of(v.type)} + (v.type == type::text ? " like this" : "")); };
  switch (n.function) {
    case function_kind::to_int: {
      constexpr double limit = 9223372036854775808.0;
      if (v.type == type::integer) return v;
      if (v.type == type::timestamp) return of_integer(v.integer / 1000);
      if (v.type == type::real && v.real >= -limit && v.real < limit) return of_integer(static_cast<std::int64_t>(v.real));
      std::int64_t parsed = 0;
      const char* const end = v.text.data() + v.text.size();
      if (v.type != type::text || v.text.empty()) return refuse();
      const auto [read, fault] = std::from_chars(v.text.data(), end, parsed);
      if (fault == std::errc::result_out_of_range) return fail(n, "the text does not fit an integer of 64 bits");
      return read == end && fault == std::errc{} ? of_integer(parsed) : refuse();
    }
    case function_kind::to_double: {
      if (v.type == type::real) return v;
      if (v.type == type::integer) return of_real(static_cast<double>(v.integer));
      if (v.type == type::unsigned_integer) return of_real(static_cast<double>(v.unsigned_integer));
      double parsed = 0;
      const char* const end = v.text.data() + v.text.size();
      if (v.type != type::text || v.text.empty()) return refuse();
      const auto [read, fault] = std::from_chars(v.text.data(), end, parsed);
      if (fault == std::errc::result_out_of_range) return fail(n, "the text does not fit a real number of 64 bits");
      return read == end && fault == std::errc{} ? of_real(parsed) : refuse();
    }
    case function_kind::to_string:
      if (v.type == type::text) return v;
      if (v.type == type::boolean) return of_text(v.integer != 0 ? "true" : "false");
      if (v.type == type::integer) return keep(std::to_string(v.integer));
      if (v.type == type::unsigned_integer) return keep(std::to_string(v.unsigned_integer));
      if (v.type == type::real) return keep(nlohmann::json(v.real).dump());
      if (v.type == type::timestamp) return keep(caesura::to_string(time_point{caesura::duration{v.integer}}));
      if (v.type == type::duration) return keep(caesura::to_string(caesura::duration{v.integer}));
      return refuse();
    case function_kind::timestamp:
      if (v.type == type::timestamp) return v;
      if (v.type == type::integer) return of_time(type::timestamp, v.integer);  // milliseconds, as event.ts
      if (v.type == type::text) {
        if (const auto time = parse_time(v.text)) return of_time(type::timestamp, time->time_since_epoch().count());
      }
      return refuse();
    default:
      if (v.type == type::duration) return v;
      if (v.type == type::text) {
        if (const auto length = parse_duration(v.text)) return of_time(type::duration, length->count());
      }
      return refuse();
  }
}

// all, exists, exists_one over the elements of a list or the keys of a map.
value evaluation::macro(const node& n) {
  const value range = run(*n.children[0]);
  if (range.type == type::error) return range;
  if (range.type != type::list && range.type != type::map) return fail(n, "this macro does not take " + std::string{name_of(range.type)});
  std::size_t matches = 0;
  bool has_error = false;
  bool is_decided = false;
  const auto look_at = [&](const value& element) {
    variables_.resize(n.slot);
    variables_.push_back(element);
    const auto holds = condition(*n.children[1], run(*n.children[1]));
    if (!holds) {
      has_error = true;
    } else if (*holds) {
      ++matches;
    }
    const bool is_false = holds && !*holds;
    is_decided = budget_ == 0 || (n.kind == node_kind::all && is_false) || (n.kind == node_kind::exists && holds && *holds);
    return !is_decided;
  };
  std::size_t elements = 0;
  if (range.items != nullptr) {
    for (const auto& item : *range.items) {
      ++elements;
      if (!look_at(item)) break;
    }
  } else {
    for (auto item = range.view.first(); item; item = item.next()) {
      ++elements;
      if (!look_at(value_of(range.type == type::map ? item.key() : item.value()))) break;
    }
  }
  variables_.resize(n.slot);
  if (budget_ == 0) return error_value();
  if (n.kind == node_kind::all && is_decided) return of_boolean(false);
  if (n.kind == node_kind::exists && is_decided) return of_boolean(true);
  if (has_error) return error_value();
  if (n.kind == node_kind::all) return of_boolean(matches == elements);
  return of_boolean(n.kind == node_kind::exists_one && matches == 1);
}

}  // namespace caesura::expression
