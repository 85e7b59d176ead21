#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "actors/expression/expression.hpp"
#include "actors/expression/tree.hpp"
#include "actors/expression/value.hpp"

namespace caesura::expression {

// One evaluation of a tree over events. Charges each node visited, element compared and 16 bytes of text touched to a budget; past it
// everything is an error. No clock, no exception, no heap for plain comparisons.
class evaluation {
 public:
  // `is_key`: what comes out is compared with that of other events, so that a text is joined to what is missing as if that were not asked for. A condition fails
  // over it, lest it hold for an event that has nothing to do with it.
  evaluation(const event_scope& event, const event_scope* second, std::size_t budget, bool is_key = false)
      : event_{event}, second_{second}, budget_{budget}, is_key_{is_key} {}

  [[nodiscard]] value run(const node& n);
  // The first error met; its position is that of the node.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

 private:
  value fail(const node& n, std::string why);
  bool charge(const node& n, std::size_t cost);
  [[nodiscard]] std::optional<bool> condition(const node& n, const value& v);

  value path(const node& n);
  value list(const node& n);
  value logical(const node& n, bool is_and);
  value equality(const node& n);
  value ordering(const node& n);
  value membership(const node& n);
  value arithmetic(const node& n);
  [[nodiscard]] std::optional<std::string> part_of_text(const value& v) const;
  value integers(const node& n, std::int64_t a, std::int64_t b);
  value times(const node& n, const value& a, const value& b);
  value minus(const node& n);
  value index(const node& n);
  value call(const node& n);
  value size(const node& n, const value& v);
  value text_test(const node& n);
  value conversion(const node& n);
  value macro(const node& n);
  value keep(std::string text);

  const event_scope& event_;
  const event_scope* const second_;  // async or run
  std::size_t budget_;
  const bool is_key_;
  std::string error_;
  std::vector<value> variables_;
  std::deque<std::string> texts_;
  std::deque<std::vector<value>> lists_;
};

}  // namespace caesura::expression
