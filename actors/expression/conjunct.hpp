#pragma once

#include <optional>

#include "actors/expression/expression.hpp"
#include "actors/expression/tree.hpp"

namespace caesura::expression {

// The comparison to index a rule by: one `==` among the top `&&`s between a path of `async` and a path of `event` or a literal.
[[nodiscard]] std::optional<index_conjunct> find_conjunct(const node& root);

}  // namespace caesura::expression
