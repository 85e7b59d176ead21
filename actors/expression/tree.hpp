#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <caesura/document.hpp>

namespace re2 {
class RE2;
}

namespace caesura::expression {

enum class node_kind : std::uint8_t {
  literal,      // value
  path,         // root, then steps
  variable,     // of a macro: `name` is its depth among the macros around it
  list,         // children
  unary_not,    // 1 child
  unary_minus,  // 1
  logical_and,
  logical_or,
  conditional,  // 3
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  add,
  subtract,
  multiply,
  divide,
  remainder,
  select,  // 1 child, name: a member of what is no plain path
  index,   // 2 children
  call,    // function, children
  all,     // macro: children are the range and the condition
  exists,
  exists_one,
};

enum class function_kind : std::uint8_t {
  size,
  has,
  starts_with,
  ends_with,
  contains,
  matches,
  to_int,
  to_double,
  to_string,
  timestamp,
  duration,
};

enum class root_kind : std::uint8_t { event, async, run };

// One node of a parsed expression. Immutable once parsed.
struct node {
  node_kind kind{node_kind::literal};
  std::size_t position{0};  // byte offset in the text
  std::vector<std::unique_ptr<node>> children{};

  document literal{};                 // literal
  root_kind root{root_kind::event};   // path
  std::vector<std::string> path{};    // path: steps below the root, by name
  std::string name{};                 // select
  std::size_t slot{0};                // variable; macros: the slot of their variable
  function_kind function{function_kind::size};
  std::shared_ptr<const re2::RE2> pattern{};  // matches with a literal pattern; owners: this
};

using node_ptr = std::unique_ptr<node>;

}  // namespace caesura::expression
