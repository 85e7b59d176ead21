#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

// The query language of GraphQL as far as clients of this server use it: operations with variables, fields with aliases and arguments, fragments, @skip and
// @include. No type definitions, no subscriptions. Pure: text → values.
namespace caesura::server::graphql {

// What is wrong with a text, with line and column.
struct syntax_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// What is wrong with a request whose text is well-formed.
struct request_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// An argument as written: variables have no value yet.
struct input {
  enum class what : std::uint8_t { literal, variable, list, object };
  what kind{what::literal};
  nlohmann::json literal{};  // an enum's name is a string
  std::string variable{};
  std::vector<input> items{};
  std::vector<std::pair<std::string, input>> members{};
};

struct directive {
  std::string name{};
  std::vector<std::pair<std::string, input>> arguments{};
};

struct selection {
  enum class what : std::uint8_t { field, inline_fragment, spread };
  what kind{what::field};
  std::string name{};   // of the field, or of the fragment that is spread
  std::string alias{};  // field: the key in the answer; the name if none is given
  std::string on{};     // inline fragment: the type; may be empty
  std::vector<std::pair<std::string, input>> arguments{};
  std::vector<directive> directives{};
  std::vector<selection> selections{};
};

struct variable_definition {
  std::string name{};
  std::string type{};  // as written, such as "[ULID!]!"
  std::optional<input> initial{};
};

struct operation {
  bool is_mutation{false};
  std::string name{};
  std::vector<variable_definition> variables{};
  std::vector<selection> selections{};
};

struct fragment {
  std::string on{};
  std::vector<selection> selections{};
};

struct document {
  std::vector<operation> operations{};
  std::map<std::string, fragment> fragments{};
};

inline constexpr std::size_t text_limit_bytes = 256 * 1024;
inline constexpr std::size_t depth_limit = 32;      // of selections and of lists and objects
inline constexpr std::size_t field_limit = 2'000;  // in one request, fragments spread out
inline constexpr std::size_t object_limit = 100'000;  // in one answer: lists within lists multiply
inline constexpr std::size_t answer_field_limit = 1'000'000;  // in one answer, of all its objects
inline constexpr std::size_t answer_limit_bytes = 64 * 1024 * 1024;  // names and values of an answer, before they are escaped

// Throws syntax_error.
[[nodiscard]] document parse(std::string_view text);

// The operation of this name, or the only one. Throws request_error.
[[nodiscard]] const operation& operation_of(const document& text, const std::string& name);

// The values of the operation's variables: as given, else as its definition says. Throws request_error for one that is missing or unknown.
[[nodiscard]] nlohmann::json variables_of(const operation& chosen, const nlohmann::json& given);

// The value of an argument. Throws request_error for a variable that is not defined.
[[nodiscard]] nlohmann::json value_of(const input& written, const nlohmann::json& variables);

// False when @skip or @include leaves it out. Throws request_error for another directive.
[[nodiscard]] bool is_wanted(const selection& one, const nlohmann::json& variables);

}  // namespace caesura::server::graphql
