#pragma once

#include <cstdint>
#include <string>

#include <caesura/document.hpp>

#include "storage/document_view.hpp"

namespace caesura::http {

enum class json_form : std::uint8_t {
  plain,      // keys in the order in which they are stored; a double that is whole keeps its ".0"
  canonical,  // RFC 8785: keys in the order of their UTF-16 code units, every number as ECMAScript writes the double
};

// A value → compact JSON text, without a tree in between. Integers are written as integers, doubles with the fewest digits that
// read back as the same double, NaN and infinities as null. Text that is not ASCII stays as it is. Throws error{invalid_argument}
// when the bytes are not well-formed or nested more than 128 deep: a document's are. Any thread.
[[nodiscard]] std::string write_json(const document& value, json_form form = json_form::plain);
[[nodiscard]] std::string write_json(const storage::document_view& value, json_form form = json_form::plain);

// Adds the value to `text`: for bodies that are put together from stored values.
void append_json(std::string& text, const storage::document_view& value, json_form form = json_form::plain);

// Adds `value` in quotes, escaped.
void append_json_text(std::string& text, std::string_view value);

}  // namespace caesura::http
