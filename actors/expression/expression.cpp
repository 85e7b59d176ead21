#include "actors/expression/expression.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "actors/expression/conjunct.hpp"
#include "actors/expression/evaluator.hpp"
#include "actors/expression/parser.hpp"
#include "storage/document_writer.hpp"

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

verdict compiled::matches(const event_scope& event, const event_scope* second) const {
  if (!root_) return {.matches = true};
  evaluation evaluated{event, second, root_->cost};
  const value result = evaluated.run(*root_->tree);
  if (result.type == type::boolean) return {.matches = result.integer != 0};
  if (result.type == type::missing) return {};
  if (result.type == type::error) return {.error = evaluated.error()};
  return {.error = "the result is " + std::string{name_of(result.type)} + ", not true or false"};
}

namespace {

document document_of(const std::vector<value>& items);

// A value as a document, so that it can be hashed and shown.
document document_of(const value& v) {
  switch (v.type) {
    case type::boolean: return document(v.integer != 0);
    case type::integer: return document(v.integer);
    case type::unsigned_integer: return document(v.unsigned_integer);
    case type::real: return document(v.real);
    case type::text: return document(std::string{v.text});
    case type::timestamp:
    case type::duration: return document(v.integer);
    case type::list:
    case type::map:
      if (v.items == nullptr) return document::from_trusted_msgpack(std::string{v.view.bytes()});
      return document_of(*v.items);
    case type::binary: return document("(binary " + std::to_string(storage::hash_text(v.text)) + ")");
    case type::error:
    case type::missing:
    case type::null: return {};
  }
  return {};
}

document document_of(const std::vector<value>& items) {
  storage::document_writer out;
  out.list(static_cast<std::uint32_t>(items.size()));
  for (const auto& item : items) out.value(document_of(item));
  return out.finish();
}

void collect_paths(const node& n, std::vector<const node*>& paths) {
  if (n.kind == node_kind::path) paths.push_back(&n);
  for (const auto& child : n.children) collect_paths(*child, paths);
}

std::string text_of(const node& path) {
  std::string text = path.root == root_kind::event ? "event" : path.root == root_kind::async ? "async" : "run";
  for (const auto& step : path.path) text += '.' + step;
  return text;
}

}  // namespace

std::optional<document> compiled::value_of(const event_scope& event) const {
  if (!root_) return std::nullopt;
  evaluation evaluated{event, nullptr, root_->cost, true};
  const value result = evaluated.run(*root_->tree);
  if (result.type == type::error || result.type == type::missing) return std::nullopt;
  return document_of(result);
}

std::optional<std::uint64_t> compiled::hash(const event_scope& event) const {
  const auto found = value_of(event);
  return found ? std::optional{storage::hash_value(storage::document_view{found->bytes()})} : std::nullopt;
}

std::vector<seen_value> compiled::values(const event_scope& event, const event_scope* second) const {
  constexpr std::size_t shown_bytes = 200;
  std::vector<seen_value> seen;
  if (!root_) return seen;
  std::vector<const node*> paths;
  collect_paths(*root_->tree, paths);
  for (const auto* path : paths) {
    auto text = text_of(*path);
    if (std::ranges::find(seen, text, &seen_value::path) != seen.end()) continue;
    evaluation evaluated{event, second, root_->cost};
    const value found = evaluated.run(*path);
    auto shown = found.type == type::missing || found.type == type::error ? std::string{found.type == type::missing ? "missing" : "error"} : document_of(found).json().dump();
    if (shown.size() > shown_bytes) shown = shown.substr(0, shown_bytes) + "…";
    seen.push_back({.path = std::move(text), .value = std::move(shown)});
  }
  return seen;
}

}  // namespace caesura::expression
