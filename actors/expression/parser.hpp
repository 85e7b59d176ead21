#pragma once

#include <string_view>
#include <variant>

#include "actors/expression/expression.hpp"
#include "actors/expression/tree.hpp"

namespace caesura::expression {

// Reads a whole expression; the first fault otherwise. Recursion ends at limits.depth, whatever the text.
[[nodiscard]] std::variant<node_ptr, fault> parse_tree(std::string_view text, roots allowed, const limits& limits);

}  // namespace caesura::expression
