#include "runtime/server/http/json_writer.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <vector>

#include "storage/msgpack_head.hpp"

namespace caesura::http {

namespace {

using storage::head;
using storage::read_head;
using storage::value_kind;

[[noreturn]] void refuse() {
  throw error{errc::invalid_argument, "bytes cannot be written as JSON: they are no well-formed value that is at most 128 deep"};
}

template <class Number>
void append_number(std::string& text, Number value) {
  std::array<char, 32> digits{};
  text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
}

// The shortest digits, as ECMAScript places them: a point within 21 digits before or 6 zeros behind it, an exponent beyond.
void append_ecmascript(std::string& text, double value) {
  if (value == 0) {
    text += '0';  // of either sign
    return;
  }
  std::array<char, 32> buffer{};
  const char* const end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(value), std::chars_format::scientific).ptr;
  const std::string_view written{buffer.data(), static_cast<std::size_t>(end - buffer.data())};
  const std::size_t e = written.find('e');
  int exponent = 0;
  const char* const exponent_begin = written.data() + e + (written[e + 1] == '+' ? 2 : 1);
  std::from_chars(exponent_begin, end, exponent);
  std::string digits{written.substr(0, e)};
  std::erase(digits, '.');
  const auto count = static_cast<int>(digits.size());
  const int point = exponent + 1;  // digits before the point

  if (value < 0) text += '-';
  if (point > 21 || point < -5) {
    text += digits.front();
    if (count > 1) text.append(1, '.').append(digits, 1);
    text += exponent < 0 ? "e-" : "e+";
    append_number(text, std::abs(exponent));
  } else if (point <= 0) {
    text.append("0.").append(static_cast<std::size_t>(-point), '0').append(digits);
  } else if (point >= count) {
    text.append(digits).append(static_cast<std::size_t>(point - count), '0');
  } else {
    text.append(digits, 0, static_cast<std::size_t>(point)).append(1, '.').append(digits, static_cast<std::size_t>(point));
  }
}

void append_real(std::string& text, double value, json_form form) {
  if (!std::isfinite(value)) {
    text += "null";
  } else if (form == json_form::canonical) {
    append_ecmascript(text, value);
  } else {
    const std::size_t before = text.size();
    append_number(text, value);
    if (text.find_first_of(".e", before) == std::string::npos) text += ".0";
  }
}

// Adds the UTF-16 code units of well-formed UTF-8.
std::u16string to_utf16(std::string_view text) {
  std::u16string units;
  units.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t width = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    std::uint32_t code = width == 1 ? lead : lead & (0xFFU >> (width + 1));
    for (std::size_t k = 1; k < width && i + k < text.size(); ++k)
      code = (code << 6U) | (static_cast<unsigned char>(text[i + k]) & 0x3FU);
    if (code >= 0x10000) {
      units += static_cast<char16_t>(0xD800 + ((code - 0x10000) >> 10U));
      units += static_cast<char16_t>(0xDC00 + ((code - 0x10000) & 0x3FFU));
    } else {
      units += static_cast<char16_t>(code);
    }
    i += width;
  }
  return units;
}

class json_maker {
 public:
  json_maker(std::string& text, json_form form, const char* limit) : text_{text}, form_{form}, limit_{limit} {}

  // Writes the value at `at`; returns what lies behind it.
  const char* write(const char* at, std::size_t depth_left) {
    const head read = read_head(at, limit_);
    switch (read.kind) {
      case value_kind::missing:
      case value_kind::binary: refuse();
      case value_kind::null: text_ += "null"; break;
      case value_kind::boolean: text_ += read.bits != 0 ? "true" : "false"; break;
      case value_kind::integer: write_integer(static_cast<std::int64_t>(read.bits)); break;
      case value_kind::unsigned_integer: write_integer(read.bits); break;
      case value_kind::real: append_real(text_, std::bit_cast<double>(read.bits), form_); break;
      case value_kind::text: append_json_text(text_, {read.content, read.size}); return read.content + read.size;
      case value_kind::list: return depth_left == 0 ? (refuse(), nullptr) : write_list(read, depth_left - 1);
      case value_kind::map: return depth_left == 0 ? (refuse(), nullptr) : write_map(read, depth_left - 1);
    }
    return read.content;
  }

 private:
  template <class Integer>
  void write_integer(Integer value) {
    if (form_ == json_form::canonical) {
      append_ecmascript(text_, static_cast<double>(value));
    } else {
      append_number(text_, value);
    }
  }

  const char* write_list(const head& list, std::size_t depth_left) {
    text_ += '[';
    const char* at = list.content;
    for (std::size_t i = 0; i < list.size; ++i) {
      if (i > 0) text_ += ',';
      at = write(at, depth_left);
    }
    text_ += ']';
    return at;
  }

  const char* write_map(const head& map, std::size_t depth_left) {
    if (form_ == json_form::canonical) return write_sorted_map(map, depth_left);
    text_ += '{';
    const char* at = map.content;
    for (std::size_t i = 0; i < map.size; ++i) {
      if (i > 0) text_ += ',';
      const std::string_view key = read_key(at);
      append_json_text(text_, key);
      text_ += ':';
      at = write(key.data() + key.size(), depth_left);
    }
    text_ += '}';
    return at;
  }

  const char* write_sorted_map(const head& map, std::size_t depth_left) {
    struct member {
      std::u16string order;
      std::string_view key;
    };
    std::vector<member> members;
    const char* at = map.content;
    for (std::size_t i = 0; i < map.size; ++i) {
      const std::string_view key = read_key(at);
      members.push_back({to_utf16(key), key});
      at = storage::skip_value(key.data() + key.size(), limit_);
      if (at == nullptr) refuse();
    }
    std::stable_sort(members.begin(), members.end(), [](const member& a, const member& b) { return a.order < b.order; });
    text_ += '{';
    for (const member& one : members) {
      if (&one != members.data()) text_ += ',';
      append_json_text(text_, one.key);
      text_ += ':';
      write(one.key.data() + one.key.size(), depth_left);
    }
    text_ += '}';
    return at;
  }

  std::string_view read_key(const char* at) const {
    const head key = read_head(at, limit_);
    if (key.kind != value_kind::text) refuse();
    return {key.content, key.size};
  }

  std::string& text_;
  json_form form_;
  const char* limit_;
};

void append_msgpack(std::string& text, std::string_view bytes, json_form form) {
  const char* const limit = bytes.data() + bytes.size();
  json_maker{text, form, limit}.write(bytes.data(), storage::nesting_limit);
}

}  // namespace

void append_json_text(std::string& text, std::string_view value) {
  constexpr std::string_view digits = "0123456789abcdef";
  text += '"';
  std::size_t written = 0;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto byte = static_cast<unsigned char>(value[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    text.append(value, written, i - written);
    written = i + 1;
    text += '\\';
    switch (byte) {
      case '\b': text += 'b'; break;
      case '\t': text += 't'; break;
      case '\n': text += 'n'; break;
      case '\f': text += 'f'; break;
      case '\r': text += 'r'; break;
      case '"':
      case '\\': text += static_cast<char>(byte); break;
      default: text.append("u00").append(1, digits[byte >> 4U]).append(1, digits[byte & 0x0FU]);
    }
  }
  text.append(value, written);
  text += '"';
}

void append_json(std::string& text, const storage::document_view& value, json_form form) {
  append_msgpack(text, value.bytes(), form);
}

std::string write_json(const storage::document_view& value, json_form form) {
  std::string text;
  append_json(text, value, form);
  return text;
}

std::string write_json(const document& value, json_form form) {
  std::string text;
  append_msgpack(text, value.bytes(), form);
  return text;
}

}  // namespace caesura::http
