#include "actors/expression/expression.hpp"

#include <utility>

#include "actors/expression/conjunct.hpp"
#include "actors/expression/evaluator.hpp"
#include "actors/expression/parser.hpp"

namespace caesura::expression {

struct compiled::shared {
  std::string text;
  node_ptr tree;
  std::optional<index_conjunct> conjunct;
  std::size_t cost;
};

std::variant<compiled, fault> compiled::parse(std::string_view text, roots allowed, const limits& limits) {
  if (text.empty()) return compiled{};
  auto tree = parse_tree(text, allowed, limits);
  if (auto* wrong = std::get_if<fault>(&tree)) return *wrong;
  auto root = std::get<node_ptr>(std::move(tree));
  auto conjunct = find_conjunct(*root);
  compiled result;
  result.root_ = std::make_shared<const shared>(shared{std::string{text}, std::move(root), std::move(conjunct), limits.cost});
  return result;
}

const std::string& compiled::text() const noexcept {
  static const std::string always;
  return root_ ? root_->text : always;
}

const std::optional<index_conjunct>& compiled::conjunct() const noexcept {
  static const std::optional<index_conjunct> none;
  return root_ ? root_->conjunct : none;
}

verdict compiled::matches(const event_scope& event, const event_scope* async) const {
  if (!root_) return {.matches = true};
  evaluation evaluated{event, async, root_->cost};
  const value result = evaluated.run(*root_->tree);
  if (result.type == type::boolean) return {.matches = result.integer != 0};
  if (result.type == type::missing) return {};
  if (result.type == type::error) return {.error = evaluated.error()};
  return {.error = "the result is " + std::string{name_of(result.type)} + ", not true or false"};
}

}  // namespace caesura::expression
