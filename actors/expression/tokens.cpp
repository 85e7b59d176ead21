#include "actors/expression/tokens.hpp"

#include <array>
#include <charconv>
#include <optional>

namespace caesura::expression {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

class splitter {
 public:
  explicit splitter(std::string_view text) : text_{text} {}

  std::variant<std::vector<token>, fault> run() {
    while (!fault_) {
      while (at_ < text_.size() && is_space(text_[at_])) ++at_;
      if (at_ == text_.size()) break;
      next();
    }
    if (fault_) return *fault_;
    tokens_.push_back({.kind = token_kind::end, .position = text_.size()});
    return std::move(tokens_);
  }

 private:
  void fail(std::size_t position, std::string why) {
    if (!fault_) fault_ = fault{position, std::move(why)};
  }

  void next() {
    const char c = text_[at_];
    if (is_name_start(c)) {
      name();
    } else if (is_digit(c) || (c == '.' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]))) {
      number();
    } else if (c == '"' || c == '\'') {
      quoted();
    } else {
      symbol();
    }
  }

  void name() {
    const auto from = at_;
    while (at_ < text_.size() && (is_name_start(text_[at_]) || is_digit(text_[at_]))) ++at_;
    tokens_.push_back({.kind = token_kind::name, .position = from, .text = std::string{text_.substr(from, at_ - from)}});
  }

  void number() {
    const auto from = at_;
    bool is_real = false;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const bool is_sign = (c == '+' || c == '-') && at_ > from && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E');
      if (c == '.' || c == 'e' || c == 'E') is_real = true;
      if (!is_digit(c) && c != '.' && c != 'e' && c != 'E' && !is_sign) break;
      ++at_;
    }
    token result{.kind = is_real ? token_kind::real : token_kind::integer, .position = from};
    const char* const begin = text_.data() + from;
    const char* const end = text_.data() + at_;
    const auto parsed = is_real ? std::from_chars(begin, end, result.real) : std::from_chars(begin, end, result.integer);
    if (parsed.ec == std::errc::result_out_of_range) {
      fail(from, "this number does not fit: integers have 64 bits");
    } else if (parsed.ec != std::errc{} || parsed.ptr != end || (at_ < text_.size() && is_name_start(text_[at_]))) {
      fail(from, "this number is malformed");
    }
    tokens_.push_back(std::move(result));
  }

  void quoted() {
    const auto from = at_;
    const char quote = text_[at_++];
    std::string value;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\') {
        escape(value);
      } else {
        value += text_[at_++];
      }
    }
    if (at_ >= text_.size()) {
      fail(from, "this text has no closing quote");
      return;
    }
    ++at_;
    tokens_.push_back({.kind = token_kind::text, .position = from, .text = std::move(value)});
  }

  void escape(std::string& value) {
    const auto from = at_++;
    const char c = at_ < text_.size() ? text_[at_++] : '\0';
    switch (c) {
      case 'n': value += '\n'; return;
      case 'r': value += '\r'; return;
      case 't': value += '\t'; return;
      case '\\':
      case '"':
      case '\'': value += c; return;
      case 'u': break;
      default: fail(from, R"(this escape is unknown: use \\ \" \' \n \r \t or \uXXXX)"); return;
    }
    std::uint32_t code = 0;
    const auto digits = text_.substr(at_, 4);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (digits.size() != 4 || parsed.ptr != digits.data() + 4 || is_surrogate) {
      fail(from, "\\u takes four hexadecimal digits that are no surrogate");
      return;
    }
    at_ += 4;
    append_utf8(value, code);
  }

  void symbol() {
    static constexpr std::array<std::string_view, 23> symbols{"==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*",
                                                             "/",  "%",  "?",  ":",  "(",  ")",  "[", "]", ",", ".", "{"};
    const auto rest = text_.substr(at_);
    if (rest.starts_with("===") || rest.starts_with("!==")) {
      fail(at_, "write == or !=: there is no " + std::string{rest.substr(0, 3)});
      return;
    }
    for (const auto one : symbols) {
      if (!rest.starts_with(one) || one == "{") continue;
      tokens_.push_back({.kind = token_kind::symbol, .position = at_, .text = std::string{one}});
      at_ += one.size();
      return;
    }
    std::size_t bytes = 1;
    while (bytes < rest.size() && (static_cast<unsigned char>(rest[bytes]) & 0xC0U) == 0x80U) ++bytes;
    fail(at_, "unexpected character '" + std::string{rest.substr(0, bytes)} + "'" +
                  (rest.starts_with("=") ? ": write == to compare" : "") + (rest.starts_with("&") ? ": write &&" : "") +
                  (rest.starts_with("|") ? ": write ||" : ""));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<token> tokens_;
  std::optional<fault> fault_;
};

}  // namespace

std::variant<std::vector<token>, fault> split(std::string_view text) { return splitter{text}.run(); }

}  // namespace caesura::expression
