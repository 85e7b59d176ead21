#pragma once

#include <memory>
#include <vector>

#include <caesura/function.hpp>

#include "actors/limits.hpp"
#include "actors/router_state.hpp"

namespace caesura::detail {

// Checks the functions that a program gives, all of them, and parses their expressions. Throws error{invalid_function} with every
// fault, one a line. Pure.
[[nodiscard]] std::shared_ptr<const actors::function_table> register_functions(std::vector<function> functions,
                                                                               const actors::limits& limits);

}  // namespace caesura::detail
