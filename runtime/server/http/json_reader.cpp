#include "runtime/server/http/json_reader.hpp"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/document_view.hpp"
#include "storage/document_writer.hpp"

namespace caesura::http {

namespace {

namespace dom = simdjson::dom;
using storage::nesting_limit;

// Walks a text that simdjson has refused with nlohmann's parser, without building anything, to learn where it is at fault.
class fault_finder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& why) override {
    fault_ = "JSON is malformed at byte " + std::to_string(position) + ": " + why.what();
    return false;
  }

  [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

 private:
  bool enter() {
    if (++depth_ <= nesting_limit) return true;
    fault_ = "JSON has lists and maps nested more than " + std::to_string(nesting_limit) + " deep";
    return false;
  }
  bool leave() {
    --depth_;
    return true;
  }

  std::string fault_;
  std::size_t depth_{0};
};

// nlohmann takes a NUL for the end of the text; it is a fault here.
void refuse_nul(std::string_view text) {
  if (const std::size_t at = text.find('\0'); at != std::string_view::npos) {
    throw error{errc::invalid_argument, "JSON is malformed at byte " + std::to_string(at + 1) + ": NUL"};
  }
}

// The unit that "\uXXXX" at `at` stands for; nullopt: there is no such escape.
std::optional<std::uint32_t> unit_at(std::string_view text, std::size_t at) {
  constexpr std::size_t length = 6;
  if (text.size() < at + length || text[at] != '\\' || text[at + 1] != 'u') return std::nullopt;
  std::uint32_t unit = 0;
  const char* const end = text.data() + at + length;
  const auto [read, wrong] = std::from_chars(text.data() + at + 2, end, unit, 16);
  return read == end ? std::optional{unit} : std::nullopt;
}

// The text with "\ufffd" for each escape that is half of a surrogate pair without its other half, at the same places; nullopt: it has none.
std::optional<std::string> without_halves(std::string_view text) {
  const auto is_high = [](std::optional<std::uint32_t> unit) { return unit && *unit >= 0xD800 && *unit < 0xDC00; };
  const auto is_low = [](std::optional<std::uint32_t> unit) { return unit && *unit >= 0xDC00 && *unit < 0xE000; };
  constexpr std::size_t length = 6;
  std::optional<std::string> made;
  for (auto at = text.find('\\'); at != std::string_view::npos; at = text.find('\\', at)) {
    const auto unit = unit_at(text, at);
    if (is_high(unit) && is_low(unit_at(text, at + length))) {
      at += 2 * length;
    } else if (is_high(unit) || is_low(unit)) {
      if (!made) made = text;
      made->replace(at, length, "\\ufffd");
      at += length;
    } else {
      at += 2;
    }
  }
  return made;
}

// What simdjson does not take: either it is at fault, or it is one of the few texts that nlohmann takes nevertheless, such as those
// with integers outside 64 bits.
document parse_slowly(std::string_view text) {
  refuse_nul(text);
  fault_finder finder;
  nlohmann::json::sax_parse(text.begin(), text.end(), &finder);
  if (!finder.fault().empty()) throw error{errc::invalid_argument, finder.fault()};
  return document::parse(text);
}

class msgpack_maker {
 public:
  // `kept`: null keeps all; otherwise most of the text is left out.
  msgpack_maker(std::size_t text_bytes, const kept_members* kept) : kept_{kept} {
    constexpr std::size_t usual_bytes_kept = 512;
    writer_.reserve(kept == nullptr ? text_bytes : std::min(text_bytes, usual_bytes_kept));
  }

  // Returns false when the value is nested more deeply than a document may be.
  bool write(const dom::element& value, std::size_t depth_left) { return write(value, depth_left, kept_ != nullptr); }

  document finish() { return writer_.finish(); }

 private:
  struct member {
    std::string_view key;
    std::size_t place;  // in the text
    dom::element value;
  };

  bool write(const dom::element& value, std::size_t depth_left, bool is_outer) {
    switch (value.type()) {
      case dom::element_type::NULL_VALUE: writer_.null(); return true;
      case dom::element_type::BOOL: writer_.boolean(value.get_bool().value_unsafe()); return true;
      case dom::element_type::INT64: writer_.short_integer(value.get_int64().value_unsafe()); return true;
      case dom::element_type::UINT64: writer_.short_unsigned(value.get_uint64().value_unsafe()); return true;
      case dom::element_type::DOUBLE: writer_.short_real(value.get_double().value_unsafe()); return true;
      case dom::element_type::STRING: writer_.text(value.get_string().value_unsafe()); return true;
      case dom::element_type::ARRAY: return depth_left > 0 && write_list(value.get_array().value_unsafe(), depth_left - 1, is_outer);
      case dom::element_type::OBJECT: return depth_left > 0 && write_map(value.get_object().value_unsafe(), depth_left - 1, is_outer);
    }
    return false;
  }

  bool write_list(const dom::array& list, std::size_t depth_left, bool is_outer) {
    // array::size() counts no further than 2^24 - 1.
    writer_.list(static_cast<std::uint32_t>(std::distance(list.begin(), list.end())));
    for (const dom::element element : list) {
      if (!write(element, depth_left, is_outer)) return false;
    }
    return true;
  }

  bool write_map(const dom::object& map, std::size_t depth_left, bool is_outer) {
    const auto [begin, end] = add_members(map, is_outer);
    writer_.map(static_cast<std::uint32_t>(end - begin));
    for (auto i = begin; i < end; ++i) {
      const auto key = members_[i].key;
      writer_.text(key);
      const auto value = members_[i].value;  // a copy: maps within it add members
      if (!write(value, depth_left, is_outer && key == kept_->within)) return false;
    }
    members_.resize(begin);
    return true;
  }

  // In ascending order of the keys, and of equal keys the last: what nlohmann's map holds.
  std::pair<std::size_t, std::size_t> add_members(const dom::object& map, bool is_outer) {
    const auto begin = members_.size();
    for (const auto& field : map) {
      if (!is_outer || is_kept(field.key)) members_.push_back({field.key, members_.size(), field.value});
    }
    const auto first = members_.begin() + static_cast<std::ptrdiff_t>(begin);
    // Of equal keys the last stands first, and is the one that stays.
    std::sort(first, members_.end(), [](const member& a, const member& b) { return a.key != b.key ? a.key < b.key : a.place > b.place; });
    members_.erase(std::unique(first, members_.end(), [](const member& a, const member& b) { return a.key == b.key; }), members_.end());
    return {begin, members_.size()};
  }

  [[nodiscard]] bool is_kept(std::string_view key) const { return std::ranges::find(kept_->names, key) != kept_->names.end(); }

  const kept_members* const kept_;
  storage::document_writer writer_;
  std::vector<member> members_;  // of the maps that are being written, the innermost one behind
};

}  // namespace

struct json_reader::parser {
  dom::parser simdjson;
};

json_reader::json_reader() : parser_{std::make_unique<parser>()} {}

json_reader::~json_reader() = default;

document json_reader::parse(std::string_view text) { return parse(text, nullptr); }

document json_reader::parse(std::string_view text, const kept_members& kept) { return parse(text, &kept); }

document json_reader::parse(std::string_view text, const kept_members* kept) {
  dom::element root;
  if (parser_->simdjson.parse(text.data(), text.size()).get(root) != simdjson::SUCCESS) {
    const auto mended = without_halves(text);
    return mended ? parse(*mended, kept) : parse_slowly(text);
  }
  msgpack_maker maker{text.size(), kept};
  if (!maker.write(root, nesting_limit)) return parse_slowly(text);
  return maker.finish();
}

namespace {

// A reader keeps the room that its largest text took.
template <class... Kept>
document parse_any(std::string_view text, const Kept&... kept) {
  constexpr std::size_t small_bytes = 16'384;
  if (text.size() > small_bytes) return json_reader{}.parse(text, kept...);
  thread_local json_reader small;
  return small.parse(text, kept...);
}

}  // namespace

document parse_json(std::string_view text) { return parse_any(text); }

document parse_json(std::string_view text, const kept_members& kept) { return parse_any(text, kept); }

}  // namespace caesura::http
