#include <string_view>

#include "storage/document_view.hpp"
#include "tests/fuzz/targets.hpp"

#include <caesura/document.hpp>
#include <caesura/error.hpp>

namespace caesura::fuzz {

namespace {

caesura::document through_json(const caesura::document& value) {
  const auto json = value.json();
  return caesura::document(json);  // not in braces, which would read ["a", 1] as a key with its value
}

void check_value(const caesura::document& value) {
  const storage::document_view view{value.bytes()};
  const auto again = through_json(value);
  const storage::document_view other{again.bytes()};
  // NaN equals nothing, itself included.
  if (storage::equal_values(view, view)) {
    require(storage::equal_values(view, other), "a value changes on its way through JSON");
    require(storage::hash_value(view) == storage::hash_value(other), "equal values have other hashes");
  }
}

// Well-formed bytes are refused for one reason only: a key stands twice, of which JSON keeps one.
void check_msgpack(const std::string& bytes) {
  try {
    check_value(caesura::document::from_msgpack(bytes));
  } catch (const error& e) {
    require(e.code() == errc::invalid_argument, "what is no document is refused as something else");
    require(through_json(caesura::document::from_trusted_msgpack(bytes)) != caesura::document::from_trusted_msgpack(bytes), "a document is refused");
  }
}

}  // namespace

void document(bytes input) {
  const std::string text{reinterpret_cast<const char*>(input.data()), input.size()};
  const auto fault = storage::first_fault(text);
  require(!fault || *fault <= text.size(), "a fault lies outside the bytes");
  (void)storage::hash_value(storage::document_view{text});
  (void)storage::equal_values(storage::document_view{text}, storage::document_view{text});
  if (!fault) check_msgpack(text);
  try {
    check_value(caesura::document::parse(text));
  } catch (const error& e) {
    require(e.code() == errc::invalid_argument, "malformed JSON is refused as something else");
  }
}

}  // namespace caesura::fuzz
