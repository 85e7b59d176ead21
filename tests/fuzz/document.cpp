#include <string_view>

#include "storage/document_view.hpp"
#include "tests/fuzz/targets.hpp"

#include <caesura/document.hpp>
#include <caesura/error.hpp>

namespace caesura::fuzz {

namespace {

void check_value(const caesura::document& value) {
  const storage::document_view view{value.bytes()};
  const auto json = value.json();
  const caesura::document again(json);  // not in braces, which would read ["a", 1] as a key with its value
  const storage::document_view other{again.bytes()};
  // NaN equals nothing, itself included.
  if (storage::equal_values(view, view)) {
    require(storage::equal_values(view, other), "a value changes on its way through JSON");
    require(storage::hash_value(view) == storage::hash_value(other), "equal values have other hashes");
  }
}

}  // namespace

void document(bytes input) {
  const std::string text{reinterpret_cast<const char*>(input.data()), input.size()};
  const auto fault = storage::first_fault(text);
  require(!fault || *fault <= text.size(), "a fault lies outside the bytes");
  (void)storage::hash_value(storage::document_view{text});
  (void)storage::equal_values(storage::document_view{text}, storage::document_view{text});
  const auto check = [&](caesura::document (*read)(std::string_view)) {
    try {
      check_value(read(text));
    } catch (const error& e) {
      require(e.code() == errc::invalid_argument, "what is no document is refused as something else");
    }
  };
  if (!fault) check([](std::string_view bytes) { return caesura::document::from_msgpack(std::string{bytes}); });
  check([](std::string_view json) { return caesura::document::parse(json); });
}

}  // namespace caesura::fuzz
