#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace caesura::http {

// Header fields in the order in which they stand in the message; a name may stand there more than once. Names are compared without
// regard to case. A value.
class header_list {
 public:
  using field = std::pair<std::string, std::string>;

  header_list() = default;
  header_list(std::initializer_list<field> fields) : fields_{fields} {}

  // The first value under `name`; null when there is none. Valid until the list changes.
  [[nodiscard]] const std::string* find(std::string_view name) const noexcept;
  // The same as a value: empty when there is none.
  [[nodiscard]] std::string get(std::string_view name) const;

  void reserve(std::size_t fields) { fields_.reserve(fields); }
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  // Takes the place of every field of this name.
  void set(std::string name, std::string value);

  [[nodiscard]] auto begin() const noexcept { return fields_.begin(); }
  [[nodiscard]] auto end() const noexcept { return fields_.end(); }
  [[nodiscard]] std::size_t size() const noexcept { return fields_.size(); }

 private:
  std::vector<field> fields_;
};

// Why `fields` cannot be sent, as a sentence that names the field: a name that is no token, or a line break or NUL in a value,
// which would let a value add fields of its own. nullopt: they can.
[[nodiscard]] std::optional<std::string> find_fault(const header_list& fields);

// A token as RFC 9110 defines it: what a method and the name of a field may be.
[[nodiscard]] bool is_token(std::string_view text) noexcept;

// Names and values of a query, in order, decoded.
class query_list {
 public:
  using parameter = std::pair<std::string, std::string>;

  query_list() = default;
  explicit query_list(std::vector<parameter> parameters) : parameters_{std::move(parameters)} {}

  // The first value under `name` (case matters); null when there is none. Valid until the list changes.
  [[nodiscard]] const std::string* find(std::string_view name) const noexcept;
  // The same as a value: `fallback` when there is none.
  [[nodiscard]] std::string get(std::string_view name, std::string_view fallback = {}) const;

  [[nodiscard]] auto begin() const noexcept { return parameters_.begin(); }
  [[nodiscard]] auto end() const noexcept { return parameters_.end(); }
  [[nodiscard]] std::size_t size() const noexcept { return parameters_.size(); }

 private:
  std::vector<parameter> parameters_;
};

// Bytes for %XX; with `plus_is_space` also a space for '+', as in a query. nullopt when a '%' is not followed by two hex digits.
[[nodiscard]] std::optional<std::string> decode_percent(std::string_view text, bool plus_is_space = false);

// %XX for every byte but letters, digits and -._~ : what may stand in a path segment, a name or a value of a query.
[[nodiscard]] std::string encode_percent(std::string_view text);

// Reads "a=1&b=x%20y&c": c has an empty value; empty parts are skipped. Also the body of a form (x-www-form-urlencoded). nullopt
// when an escape is malformed.
[[nodiscard]] std::optional<query_list> parse_query(std::string_view text);

// A whole request as it was received: the listener has checked method, target and lengths.
struct request {
  std::string method;
  std::string target;  // as sent: path and query, not decoded
  std::string path;    // decoded; %2F has become '/', so split `target` where that matters
  query_list query;
  header_list headers;
  std::string body;
  bool is_loopback{false};  // the peer's address is on this machine
};

// What is answered. The listener adds Content-Length, Connection and Date itself; fields of these names are left out.
struct response {
  int status{200};
  header_list headers;
  std::string body;

  // `text` is sent as it is, as application/json.
  [[nodiscard]] static response json(int status, std::string text);
  [[nodiscard]] static response text(int status, std::string text);
  // {"error": text, "status": status}
  [[nodiscard]] static response error(int status, std::string_view text);
};

// The usual phrase of a status, such as "Not Found"; empty for one that has none.
[[nodiscard]] std::string_view reason_phrase(int status) noexcept;

// Equal but for the case of ASCII letters.
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

}  // namespace caesura::http
