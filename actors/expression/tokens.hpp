#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "actors/expression/expression.hpp"

namespace caesura::expression {

enum class token_kind : std::uint8_t { end, name, integer, real, text, symbol };

struct token {
  token_kind kind{token_kind::end};
  std::size_t position{0};
  std::string text{};  // names and symbols as written; texts without quotes and escapes
  std::int64_t integer{0};
  double real{0};
};

// Splits an expression; the last token is `end`. The first malformed place is a fault.
[[nodiscard]] std::variant<std::vector<token>, fault> split(std::string_view text);

}  // namespace caesura::expression
