#include "runtime/server/graphql.hpp"

#include <algorithm>
#include <cstdlib>

namespace caesura::server::graphql {

namespace {

using nlohmann::json;

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(std::string& text, unsigned code) {
  const auto put = [&](unsigned byte) { text += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

// One pass, no tokens stored: each read_… expects its thing at the present place and leaves the place behind it and what may be ignored.
class parser {
 public:
  explicit parser(std::string_view text) : text_{text} {
    if (text_.size() > text_limit_bytes) fail("the text has more than " + std::to_string(text_limit_bytes) + " bytes");
    skip_ignored();
  }

  document read_document() {
    document read;
    if (is_at_end()) fail("there is no operation");
    while (!is_at_end()) {
      if (peek() == '{') {
        read.operations.push_back({.selections = read_selections()});
        continue;
      }
      const auto word = read_name("query, mutation, fragment or \"{\"");
      if (word == "fragment") {
        read_fragment(read);
      } else if (word == "query" || word == "mutation") {
        read.operations.push_back(read_operation(word == "mutation"));
      } else {
        fail("\"" + word + "\" is none of query, mutation and fragment");
      }
    }
    return read;
  }

 private:
  // ---- characters

  [[nodiscard]] bool is_at_end() const { return at_ == text_.size(); }
  [[nodiscard]] char peek() const { return is_at_end() ? '\0' : text_[at_]; }

  [[noreturn]] void fail(const std::string& why) const {
    const auto before = text_.substr(0, at_);
    const auto line = 1 + std::ranges::count(before, '\n');
    const auto start = before.rfind('\n');
    const auto column = start == std::string_view::npos ? at_ + 1 : at_ - start;
    throw syntax_error{"Syntax Error: " + why + " (line " + std::to_string(line) + ", column " + std::to_string(column) + ")"};
  }

  void skip_ignored() {
    while (!is_at_end()) {
      const char c = text_[at_];
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',') {
        ++at_;
      } else if (text_.substr(at_).starts_with("\xEF\xBB\xBF")) {
        at_ += 3;
      } else {
        return;
      }
    }
  }

  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    skip_ignored();
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(std::string{"expected \""} + c + "\"");
  }

  std::string read_name(const char* what) {
    if (!is_name_start(peek())) fail(std::string{"expected "} + what);
    const auto begin = at_;
    while (is_name_start(peek()) || is_digit(peek())) ++at_;
    std::string name{text_.substr(begin, at_ - begin)};
    skip_ignored();
    return name;
  }

  struct deeper {
    explicit deeper(parser& of) : depth{of.depth_} {
      if (++depth > depth_limit) of.fail("it is nested more than " + std::to_string(depth_limit) + " deep");
    }
    ~deeper() { --depth; }
    deeper(const deeper&) = delete;
    deeper& operator=(const deeper&) = delete;
    std::size_t& depth;
  };

  // ---- operations

  operation read_operation(bool is_mutation) {
    operation read{.is_mutation = is_mutation};
    if (is_name_start(peek())) read.name = read_name("a name");
    if (take('(')) {
      while (!take(')')) read.variables.push_back(read_variable());
    }
    (void)read_directives();
    read.selections = read_selections();
    return read;
  }

  variable_definition read_variable() {
    expect('$');
    variable_definition read{.name = read_name("the variable's name")};
    expect(':');
    read.type = read_type();
    if (take('=')) read.initial = read_input();
    (void)read_directives();
    return read;
  }

  std::string read_type() {
    const deeper here{*this};
    std::string type;
    if (take('[')) {
      type = "[" + read_type() + "]";
      expect(']');
    } else {
      type = read_name("a type");
    }
    if (take('!')) type += '!';
    return type;
  }

  void read_fragment(document& read) {
    const auto name = read_name("the fragment's name");
    if (read_name("\"on\"") != "on") fail("expected \"on\"");
    fragment made{.on = read_name("a type")};
    (void)read_directives();
    made.selections = read_selections();
    if (!read.fragments.emplace(name, std::move(made)).second) fail("there are two fragments \"" + name + "\"");
  }

  std::vector<selection> read_selections() {
    const deeper here{*this};
    expect('{');
    std::vector<selection> read;
    while (!take('}')) read.push_back(read_selection());
    if (read.empty()) fail("a selection is empty");
    return read;
  }

  selection read_selection() {
    selection read;
    if (peek() == '.') {
      if (!text_.substr(at_).starts_with("...")) fail("expected \"...\"");
      at_ += 3;
      skip_ignored();
      read_spread(read);
      return read;
    }
    read.name = read_name("a field");
    read.alias = read.name;
    if (take(':')) read.name = read_name("a field");
    read.arguments = read_arguments();
    read.directives = read_directives();
    if (peek() == '{') read.selections = read_selections();
    return read;
  }

  void read_spread(selection& read) {
    read.kind = selection::what::inline_fragment;
    if (is_name_start(peek())) {
      const auto word = read_name("a name");
      if (word == "on") {
        read.on = read_name("a type");
      } else {
        read.kind = selection::what::spread;
        read.name = word;
      }
    }
    read.directives = read_directives();
    if (read.kind == selection::what::inline_fragment) read.selections = read_selections();
  }

  std::vector<directive> read_directives() {
    std::vector<directive> read;
    while (take('@')) {
      directive one{.name = read_name("the directive's name")};
      one.arguments = read_arguments();
      read.push_back(std::move(one));
    }
    return read;
  }

  std::vector<std::pair<std::string, input>> read_arguments() {
    std::vector<std::pair<std::string, input>> read;
    if (!take('(')) return read;
    while (!take(')')) read.push_back(read_member());
    return read;
  }

  std::pair<std::string, input> read_member() {
    auto name = read_name("a name");
    expect(':');
    return {std::move(name), read_input()};
  }

  // ---- values

  input read_input() {
    const deeper here{*this};
    input read;
    const char c = peek();
    if (take('$')) {
      read.kind = input::what::variable;
      read.variable = read_name("the variable's name");
    } else if (take('[')) {
      read.kind = input::what::list;
      while (!take(']')) read.items.push_back(read_input());
    } else if (take('{')) {
      read.kind = input::what::object;
      while (!take('}')) read.members.push_back(read_member());
    } else if (c == '"') {
      read.literal = text_.substr(at_).starts_with("\"\"\"") ? read_block() : read_string();
    } else if (c == '-' || is_digit(c)) {
      read.literal = read_number();
    } else {
      const auto word = read_name("a value");
      read.literal = word == "true" ? json(true) : word == "false" ? json(false) : word == "null" ? json(nullptr) : json(word);
    }
    return read;
  }

  json read_number() {
    const auto begin = at_;
    if (peek() == '-') ++at_;
    if (!is_digit(peek())) fail("expected a digit");
    while (is_digit(peek()) || peek() == '.' || peek() == 'e' || peek() == 'E' || peek() == '+' || peek() == '-') ++at_;
    auto number = json::parse(text_.substr(begin, at_ - begin), nullptr, false);
    if (!number.is_number()) fail("expected a number");
    skip_ignored();
    return number;
  }

  unsigned read_hex() {
    unsigned code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = peek();
      const int digit = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
      if (digit < 0) fail("expected four hex digits");
      code = code * 16 + static_cast<unsigned>(digit);
    }
    return code;
  }

  void read_escape(std::string& read) {
    constexpr std::string_view letters = "\"\\/bfnrt";
    constexpr std::string_view meant = "\"\\/\b\f\n\r\t";
    const char c = peek();
    if (is_at_end()) fail("a string has no end");
    ++at_;
    if (c != 'u') {
      const auto which = letters.find(c);
      if (which == std::string_view::npos) fail("an escape is unknown");
      read += meant[which];
      return;
    }
    auto code = read_hex();
    if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
      at_ += 2;
      const auto low = read_hex();
      if (low < 0xDC00 || low > 0xDFFF) fail("a surrogate stands alone");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code >= 0xD800 && code <= 0xDFFF) fail("a surrogate stands alone");
    append_utf8(read, code);
  }

  std::string read_string() {
    ++at_;
    std::string read;
    while (peek() != '"' || is_at_end()) {
      if (is_at_end() || peek() == '\n') fail("a string has no end");
      if (peek() == '\\') {
        ++at_;
        read_escape(read);
      } else {
        read += text_[at_++];
      }
    }
    ++at_;
    skip_ignored();
    return read;
  }

  // As it stands, without taking the common indentation away.
  std::string read_block() {
    at_ += 3;
    const auto end = text_.find("\"\"\"", at_);
    if (end == std::string_view::npos) fail("a string has no end");
    std::string read{text_.substr(at_, end - at_)};
    at_ = end + 3;
    skip_ignored();
    return read;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
};

}  // namespace

document parse(std::string_view text) { return parser{text}.read_document(); }

const operation& operation_of(const document& text, const std::string& name) {
  if (name.empty()) {
    if (text.operations.size() != 1) throw request_error{"operationName is required: the text has " + std::to_string(text.operations.size()) + " operations"};
    return text.operations.front();
  }
  const auto found = std::ranges::find(text.operations, name, &operation::name);
  if (found == text.operations.end()) throw request_error{"Unknown operation named \"" + name + "\"."};
  return *found;
}

json variables_of(const operation& chosen, const json& given) {
  if (!given.is_null() && !given.is_object()) throw request_error{"variables is no object"};
  json values = json::object();
  for (const auto& one : chosen.variables) {
    const auto found = given.is_object() ? given.find(one.name) : given.end();
    if (given.is_object() && found != given.end()) {
      values[one.name] = *found;
    } else if (one.initial) {
      values[one.name] = value_of(*one.initial, json::object());
    } else {
      values[one.name] = nullptr;
    }
    if (one.type.ends_with('!') && values[one.name].is_null()) throw request_error{"Variable \"$" + one.name + "\" of required type \"" + one.type + "\" was not provided."};
  }
  return values;
}

json value_of(const input& written, const json& variables) {
  switch (written.kind) {
    case input::what::literal: return written.literal;
    case input::what::variable: {
      const auto found = variables.find(written.variable);
      if (found == variables.end()) throw request_error{"Variable \"$" + written.variable + "\" is not defined."};
      return *found;
    }
    case input::what::list: {
      json items = json::array();
      for (const auto& one : written.items) items.push_back(value_of(one, variables));
      return items;
    }
    case input::what::object: {
      json members = json::object();
      for (const auto& [name, one] : written.members) members[name] = value_of(one, variables);
      return members;
    }
  }
  return nullptr;
}

bool is_wanted(const selection& one, const json& variables) {
  bool wanted = true;
  for (const auto& directive : one.directives) {
    if (directive.name != "skip" && directive.name != "include") throw request_error{"Unknown directive \"@" + directive.name + "\"."};
    const auto condition = std::ranges::find(directive.arguments, "if", &std::pair<std::string, input>::first);
    const auto value = condition == directive.arguments.end() ? json{} : value_of(condition->second, variables);
    if (!value.is_boolean()) throw request_error{"The argument \"if\" of \"@" + directive.name + "\" is no boolean."};
    if (value.get<bool>() == (directive.name == "skip")) wanted = false;
  }
  return wanted;
}

}  // namespace caesura::server::graphql
