#include "runtime/server/http/json_reader.hpp"

#include <simdjson.h>

#include <algorithm>
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

// What simdjson does not take: either it is at fault, or it is one of the few texts that nlohmann takes nevertheless, such as those
// with integers outside 64 bits.
document parse_slowly(std::string_view text) {
  refuse_nul(text);
  fault_finder finder;
  nlohmann::json::sax_parse(text.begin(), text.end(), &finder);
  if (!finder.fault().empty()) throw error{errc::invalid_argument, finder.fault()};
  return document::parse(text);
}

struct member {
  std::string_view key;
  dom::element value;
};

// In ascending order of the keys, and of equal keys the last: what nlohmann's map holds.
std::vector<member> sorted_members(const dom::object& object) {
  std::vector<member> members;
  members.reserve(object.size());
  for (const auto& field : object) members.push_back({field.key, field.value});
  std::stable_sort(members.begin(), members.end(), [](const member& a, const member& b) { return a.key < b.key; });
  const auto has_equal_successor = [&](const member& one) {
    const auto* const next = &one + 1;
    return next != members.data() + members.size() && next->key == one.key;
  };
  std::vector<member> last_ones;
  last_ones.reserve(members.size());
  std::copy_if(members.begin(), members.end(), std::back_inserter(last_ones),
               [&](const member& one) { return !has_equal_successor(one); });
  return last_ones;
}

class msgpack_maker {
 public:
  // Returns false when the value is nested more deeply than a document may be.
  bool write(const dom::element& value, std::size_t depth_left) {
    switch (value.type()) {
      case dom::element_type::NULL_VALUE: writer_.null(); return true;
      case dom::element_type::BOOL: writer_.boolean(value.get_bool().value_unsafe()); return true;
      case dom::element_type::INT64: writer_.short_integer(value.get_int64().value_unsafe()); return true;
      case dom::element_type::UINT64: writer_.short_unsigned(value.get_uint64().value_unsafe()); return true;
      case dom::element_type::DOUBLE: writer_.short_real(value.get_double().value_unsafe()); return true;
      case dom::element_type::STRING: writer_.text(value.get_string().value_unsafe()); return true;
      case dom::element_type::ARRAY: return depth_left > 0 && write_list(value.get_array().value_unsafe(), depth_left - 1);
      case dom::element_type::OBJECT: return depth_left > 0 && write_map(value.get_object().value_unsafe(), depth_left - 1);
    }
    return false;
  }

  document finish() { return writer_.finish(); }

 private:
  bool write_list(const dom::array& list, std::size_t depth_left) {
    // array::size() counts no further than 2^24 - 1.
    writer_.list(static_cast<std::uint32_t>(std::distance(list.begin(), list.end())));
    for (const dom::element element : list) {
      if (!write(element, depth_left)) return false;
    }
    return true;
  }

  bool write_map(const dom::object& map, std::size_t depth_left) {
    const auto members = sorted_members(map);
    writer_.map(static_cast<std::uint32_t>(members.size()));
    for (const member& one : members) {
      writer_.text(one.key);
      if (!write(one.value, depth_left)) return false;
    }
    return true;
  }

  storage::document_writer writer_;
};

}  // namespace

struct json_reader::parser {
  dom::parser simdjson;
};

json_reader::json_reader() : parser_{std::make_unique<parser>()} {}

json_reader::~json_reader() = default;

document json_reader::parse(std::string_view text) {
  dom::element root;
  if (parser_->simdjson.parse(text.data(), text.size()).get(root) != simdjson::SUCCESS) return parse_slowly(text);
  msgpack_maker maker;
  if (!maker.write(root, nesting_limit)) return parse_slowly(text);
  return maker.finish();
}

document parse_json(std::string_view text) { return json_reader{}.parse(text); }

}  // namespace caesura::http
