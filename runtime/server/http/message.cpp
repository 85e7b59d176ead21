#include "runtime/server/http/message.hpp"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

namespace caesura::http {

namespace {

constexpr char to_lower(char letter) noexcept {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + ('a' - 'A')) : letter;
}

constexpr bool is_letter_or_digit(char letter) noexcept {
  return (letter >= '0' && letter <= '9') || (to_lower(letter) >= 'a' && to_lower(letter) <= 'z');
}

// -1: no hex digit.
constexpr int hex_value(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  const char lower = to_lower(digit);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

constexpr bool breaks_a_line(char letter) noexcept { return letter == '\r' || letter == '\n' || letter == '\0'; }

template <class Fields>
const std::string* find_value(const Fields& fields, const auto& is_wanted) noexcept {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return is_wanted(field.first); });
  return found == fields.end() ? nullptr : &found->second;
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return to_lower(x) == to_lower(y); });
}

const std::string* header_list::find(std::string_view name) const noexcept {
  return find_value(fields_, [&](std::string_view other) { return equal_ignoring_case(name, other); });
}

std::string header_list::get(std::string_view name) const {
  const std::string* const found = find(name);
  return found == nullptr ? std::string{} : *found;
}

void header_list::set(std::string name, std::string value) {
  std::erase_if(fields_, [&](const field& other) { return equal_ignoring_case(name, other.first); });
  add(std::move(name), std::move(value));
}

bool is_token(std::string_view text) noexcept {
  static constexpr auto may_stand = [] {
    std::array<bool, 256> letters{};
    for (std::size_t i = 0; i < letters.size(); ++i) letters[i] = is_letter_or_digit(static_cast<char>(i));
    for (const char other : std::string_view{"!#$%&'*+-.^_`|~"}) letters[static_cast<unsigned char>(other)] = true;
    return letters;
  }();
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char letter) { return may_stand[static_cast<unsigned char>(letter)]; });
}

std::optional<std::string> find_fault(const header_list& fields) {
  for (const auto& [name, value] : fields) {
    if (!is_token(name)) return "the header name \"" + name + "\" is no token";
    if (std::any_of(value.begin(), value.end(), breaks_a_line))
      return "the header " + name + " has a line break or NUL in its value";
  }
  return std::nullopt;
}

const std::string* query_list::find(std::string_view name) const noexcept {
  return find_value(parameters_, [&](std::string_view other) { return name == other; });
}

std::string query_list::get(std::string_view name, std::string_view fallback) const {
  const std::string* const found = find(name);
  return found == nullptr ? std::string{fallback} : *found;
}

std::optional<std::string> decode_percent(std::string_view text, bool plus_is_space) {
  if (text.find_first_of(plus_is_space ? "%+" : "%") == std::string_view::npos) return std::string{text};
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return decoded;
}

std::string encode_percent(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  constexpr std::string_view unreserved = "-._~";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char letter : text) {
    if (is_letter_or_digit(letter) || unreserved.find(letter) != std::string_view::npos) {
      encoded += letter;
    } else {
      const auto byte = static_cast<unsigned char>(letter);
      encoded += '%';
      encoded += digits[byte >> 4U];
      encoded += digits[byte & 0x0FU];
    }
  }
  return encoded;
}

std::optional<query_list> parse_query(std::string_view text) {
  std::vector<query_list::parameter> parameters;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    if (part.empty()) continue;
    const std::size_t equals = std::min(part.find('='), part.size());
    auto name = decode_percent(part.substr(0, equals), true);
    auto value = decode_percent(part.substr(std::min(equals + 1, part.size())), true);
    if (!name || !value) return std::nullopt;
    parameters.emplace_back(std::move(*name), std::move(*value));
  }
  return query_list{std::move(parameters)};
}

response response::json(int status, std::string text) {
  return {.status = status, .headers = {{"Content-Type", "application/json"}}, .body = std::move(text)};
}

response response::text(int status, std::string text) {
  return {.status = status, .headers = {{"Content-Type", "text/plain; charset=utf-8"}}, .body = std::move(text)};
}

response response::error(int status, std::string_view text) {
  const nlohmann::json body{{"error", text}, {"status", status}};
  return json(status, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return {};
  }
}

}  // namespace caesura::http
