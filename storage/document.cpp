#include <caesura/document.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "storage/document_view.hpp"

namespace caesura {

namespace {

using storage::document_view;
using storage::value_kind;

constexpr std::string_view null_bytes{"\xC0", 1};

// Why the value cannot become a document; empty: it can. Recursion ends at the nesting limit, so that nlohmann's, which follows, does.
std::string_view find_fault(const nlohmann::json& value, std::size_t depth_left) {
  using kind = nlohmann::json::value_t;
  switch (value.type()) {
    case kind::discarded: return "the JSON value is discarded: its text was malformed";
    case kind::binary: return "JSON has no binary values: encode the bytes as text";
    case kind::string:
      return storage::is_utf8(value.get_ref<const std::string&>()) ? std::string_view{} : "a text is not UTF-8";
    case kind::array:
    case kind::object: {
      if (depth_left == 0) return "lists and maps are nested more than 128 deep";
      for (const auto& [key, element] : value.items()) {
        if (value.is_object() && !storage::is_utf8(key)) return "a key is not UTF-8";
        if (const auto fault = find_fault(element, depth_left - 1); !fault.empty()) return fault;
      }
      return {};
    }
    case kind::null:
    case kind::boolean:
    case kind::number_integer:
    case kind::number_unsigned:
    case kind::number_float: break;
  }
  return {};
}

std::shared_ptr<const std::string> encode(const nlohmann::json& value) {
  if (const auto fault = find_fault(value, storage::nesting_limit); !fault.empty()) {
    throw error{errc::invalid_argument, "value cannot become a document: " + std::string{fault}};
  }
  if (value.is_null()) return nullptr;
  auto bytes = std::make_shared<std::string>();
  nlohmann::json::to_msgpack(value, nlohmann::detail::output_adapter<char>{*bytes});
  return bytes;
}

// A key that stands twice in a map would be one thing to whoever looks it up and another to whoever compares. Of well-formed bytes, whose depth has a limit.
std::optional<std::string_view> find_repeated_key(const document_view& value) {
  std::vector<std::string_view> keys;
  for (auto item = value.first(); item; item = item.next()) {
    if (!item.key().is_missing()) keys.push_back(item.key().text());
    if (const auto inside = find_repeated_key(item.value())) return inside;
  }
  std::ranges::sort(keys);
  const auto found = std::ranges::adjacent_find(keys);
  return found == keys.end() ? std::nullopt : std::optional{*found};
}

// See the class comment: one value in braces is that value, unless it is a key with its value.
nlohmann::json unwrap(nlohmann::json::initializer_list_t values) {
  nlohmann::json made(values);
  if (values.size() != 1 || !made.is_array()) return made;
  nlohmann::json only = std::move(made.front());
  return only;
}

}  // namespace

document::document(const nlohmann::json& value) : bytes_(encode(value)) {}

document::document(nlohmann::json::initializer_list_t value) : bytes_(encode(unwrap(value))) {}

document document::from_msgpack(std::string bytes) {
  if (const auto fault = storage::first_fault(bytes)) {
    throw error{errc::invalid_argument, "bytes are not one msgpack value with text keys and UTF-8 text: at byte " +
                                            std::to_string(*fault) + " of " + std::to_string(bytes.size())};
  }
  if (const auto key = find_repeated_key(document_view{bytes})) {
    constexpr std::size_t shown_bytes = 60;
    throw error{errc::invalid_argument, "bytes are msgpack in which key \"" + std::string{key->substr(0, shown_bytes)} + "\" stands twice in a map"};
  }
  return from_trusted_msgpack(std::move(bytes));
}

document document::from_trusted_msgpack(std::string bytes) {
  document made;
  if (bytes != null_bytes) made.bytes_ = std::make_shared<const std::string>(std::move(bytes));
  return made;
}

document document::parse(std::string_view text) {
  try {
    return document(nlohmann::json::parse(text.begin(), text.end()));
  } catch (const nlohmann::json::parse_error& e) {
    throw error{errc::invalid_argument, "JSON is malformed at byte " + std::to_string(e.byte) + ": " + e.what()};
  } catch (const nlohmann::json::out_of_range& e) {
    throw error{errc::invalid_argument, std::string{"JSON has a number that is too large: "} + e.what()};
  }
}

bool document::is_null() const noexcept { return bytes_ == nullptr; }

bool document::is_object() const noexcept { return document_view{bytes()}.kind() == value_kind::map; }

std::string_view document::bytes() const noexcept { return bytes_ == nullptr ? null_bytes : std::string_view{*bytes_}; }

nlohmann::json document::json() const {
  if (bytes_ == nullptr) return nullptr;
  try {
    return nlohmann::json::from_msgpack(bytes_->begin(), bytes_->end());
  } catch (const nlohmann::json::exception& e) {
    throw error{errc::result_type, std::string{"the bytes are not msgpack that JSON can hold: "} + e.what()};
  }
}

bool operator==(const document& a, const document& b) {
  return storage::equal_values(document_view{a.bytes()}, document_view{b.bytes()});
}

namespace {

[[noreturn]] void refuse(const document& value, std::string_view wanted) {
  constexpr std::size_t shown_bytes = 60;
  std::string text = value.json().dump(-1, ' ', true);
  if (text.size() > shown_bytes) text = text.substr(0, shown_bytes) + "…";
  throw error{errc::result_type, "value cannot be converted: " + text + " is not " + std::string{wanted}};
}

}  // namespace

bool document::get_boolean() const {
  const document_view value{bytes()};
  if (value.kind() != value_kind::boolean) refuse(*this, "a boolean");
  return value.boolean();
}

std::int64_t document::get_integer(std::int64_t lowest, std::int64_t highest) const {
  const document_view value{bytes()};
  if (value.kind() == value_kind::integer && value.integer() >= lowest && value.integer() <= highest) return value.integer();
  if (value.kind() == value_kind::real && value.real() == std::trunc(value.real()) &&
      storage::compare_numbers(lowest, value.real()) <= 0 && storage::compare_numbers(highest, value.real()) >= 0) {
    return static_cast<std::int64_t>(value.real());
  }
  refuse(*this, "an integer from " + std::to_string(lowest) + " to " + std::to_string(highest));
}

std::uint64_t document::get_unsigned(std::uint64_t highest) const {
  const document_view value{bytes()};
  if (value.kind() == value_kind::unsigned_integer && value.unsigned_integer() <= highest) return value.unsigned_integer();
  if (value.kind() == value_kind::integer && value.integer() >= 0 && static_cast<std::uint64_t>(value.integer()) <= highest) {
    return static_cast<std::uint64_t>(value.integer());
  }
  if (value.kind() == value_kind::real && value.real() >= 0 && value.real() == std::trunc(value.real()) &&
      storage::compare_numbers(highest, value.real()) >= 0) {
    return static_cast<std::uint64_t>(value.real());
  }
  refuse(*this, "an integer from 0 to " + std::to_string(highest));
}

double document::get_real(double highest) const {
  const document_view value{bytes()};
  if (value.kind() == value_kind::integer) return static_cast<double>(value.integer());
  if (value.kind() == value_kind::unsigned_integer) return static_cast<double>(value.unsigned_integer());
  if (value.kind() != value_kind::real) refuse(*this, "a number");
  if (std::isfinite(value.real()) && std::abs(value.real()) > highest) refuse(*this, "a number that the type can hold");
  return value.real();
}

std::string document::get_text() const {
  const document_view value{bytes()};
  if (value.kind() != value_kind::text) refuse(*this, "a text");
  return std::string{value.text()};
}


}  // namespace caesura
