#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include <caesura/error.hpp>

namespace caesura {

class document;

namespace detail {
// Anything that nlohmann::json can be made from, other than the types that have constructors of their own.
template <class T>
concept json_value = !std::same_as<std::remove_cvref_t<T>, document> && !std::same_as<std::remove_cvref_t<T>, nlohmann::json> &&
                     std::constructible_from<nlohmann::json, T>;

// Anything that a document can be converted to.
template <class T>
concept json_readable = std::same_as<T, document> || requires(const nlohmann::json& json) { json.template get<T>(); };

// Refers to what another object holds, or is a container of such.
template <class T>
inline constexpr bool is_view = std::is_pointer_v<T> || std::same_as<T, std::string_view>;
template <class T>
  requires requires { typename T::value_type; } && (!std::same_as<T, typename T::value_type>) && (!std::same_as<T, std::string_view>)
inline constexpr bool is_view<T> = is_view<typename T::value_type>;
}  // namespace detail

// An immutable JSON value, held as msgpack bytes: what events carry and steps return. A value: copying shares the bytes, which
// never change (the owners of the shared_ptr are the copies). Converts from and to nlohmann::json and every type that nlohmann can
// convert. Equality is equality of values: 1 and 1.0 are equal, the order of map keys does not matter. Any thread.
//
// Making one throws error{invalid_argument} when the value is nothing that JSON can hold: binary, text that is not UTF-8, lists and
// maps more than 128 deep. Braces follow nlohmann ({{"id", 1}} is an object, {1, 2} a list), except that braces around one value mean
// that value: document{x} is x. Write nlohmann::json::array({x}) for a list of one.
class document {
 public:
  document() noexcept = default;  // null; allocates nothing
  document(std::nullptr_t) noexcept {}
  document(const nlohmann::json& value);
  document(nlohmann::json::initializer_list_t value);
  template <detail::json_value T>
  document(T&& value) : document(nlohmann::json(std::forward<T>(value))) {}

  // Takes over bytes that are already msgpack. Throws error{invalid_argument} unless they are exactly one well-formed value, at
  // most 128 deep, with text keys, each once in its map, and UTF-8 text only.
  [[nodiscard]] static document from_msgpack(std::string bytes);
  // Same without the check: for bytes that this library wrote and that passed a checksum.
  [[nodiscard]] static document from_trusted_msgpack(std::string bytes);
  // Reads JSON text. Throws error{invalid_argument} with the position when it is malformed.
  [[nodiscard]] static document parse(std::string_view text);

  [[nodiscard]] bool is_null() const noexcept;
  [[nodiscard]] bool is_object() const noexcept;

  // The msgpack bytes; valid as long as this document or a copy of it.
  [[nodiscard]] std::string_view bytes() const noexcept;

  [[nodiscard]] nlohmann::json json() const;
  // As compact JSON text.
  [[nodiscard]] std::string text() const { return json().dump(); }

  // Throws error{result_type} naming the reason when the value cannot be converted. bool, numbers and std::string are read from the
  // bytes and are strict: a number that the type cannot hold is an error, 1.0 is the integer 1, and no boolean is a number.
  template <class T>
  [[nodiscard]] T get() const {
    static_assert(!detail::is_view<T>, "a recorded value is read as a copy, of which this type would only be a view: take std::string");
    static_assert(detail::is_view<T> || detail::json_readable<T>,
                  "nlohmann::json cannot be converted to this type: take a number, std::string, a container of them, nlohmann::json, "
                  "caesura::document, or a struct with NLOHMANN_DEFINE_TYPE_INTRUSIVE(type, members…)");
    if constexpr (std::same_as<T, document>) {
      return *this;
    } else if constexpr (std::same_as<T, nlohmann::json>) {
      return json();
    } else if constexpr (std::same_as<T, bool>) {
      return get_boolean();
    } else if constexpr (std::signed_integral<T>) {
      return static_cast<T>(get_integer(std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    } else if constexpr (std::unsigned_integral<T>) {
      return static_cast<T>(get_unsigned(std::numeric_limits<T>::max()));
    } else if constexpr (std::same_as<T, double> || std::same_as<T, float>) {
      return static_cast<T>(get_real(std::numeric_limits<T>::max()));
    } else if constexpr (std::same_as<T, std::string>) {
      return get_text();
    } else if constexpr (!detail::is_view<T> && detail::json_readable<T>) {
      try {
        return json().template get<T>();
      } catch (const nlohmann::json::exception& e) {
        throw error{errc::result_type, std::string{"value cannot be converted: "} + e.what()};
      }
    }
  }

  // As storage::equal_values: NaN, which no JSON has, equals nothing.
  friend bool operator==(const document& a, const document& b);

 private:
  [[nodiscard]] bool get_boolean() const;
  [[nodiscard]] std::int64_t get_integer(std::int64_t lowest, std::int64_t highest) const;
  [[nodiscard]] std::uint64_t get_unsigned(std::uint64_t highest) const;
  [[nodiscard]] double get_real(double highest) const;
  [[nodiscard]] std::string get_text() const;

  std::shared_ptr<const std::string> bytes_;  // null pointer: the value null
};

// So that documents can be members of types that nlohmann converts. Templates, so that nothing converts to document on the way.
template <std::same_as<document> D>
void to_json(nlohmann::json& out, const D& value) {
  out = value.json();
}
template <std::same_as<document> D>
void from_json(const nlohmann::json& in, D& value) {
  value = D(in);
}

}  // namespace caesura
