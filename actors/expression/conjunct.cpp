#include "actors/expression/conjunct.hpp"

#include <algorithm>
#include <utility>

namespace caesura::expression {

namespace {

bool is_document(const std::string& root) { return root == "data" || root == "user"; }

// A path that a look-up can follow: data.…, user.…, id, name, ts or v.
bool is_path_of(const node& n, root_kind root) {
  if (n.kind != node_kind::path || n.root != root) return false;
  const auto& first = n.path.front();
  if (is_document(first)) return n.path.size() > 1;
  return n.path.size() == 1 && (first == "id" || first == "name" || first == "ts" || first == "v");
}

std::optional<index_conjunct> from_equality(const node& async, const node& other) {
  if (!is_path_of(async, root_kind::async)) return std::nullopt;
  if (is_path_of(other, root_kind::event)) return index_conjunct{.async_path = async.path, .event_path = other.path};
  // `== null` also matches what is missing: no hash can find that.
  if (other.kind == node_kind::literal && !other.literal.is_null()) {
    return index_conjunct{.async_path = async.path, .literal = other.literal};
  }
  return std::nullopt;
}

// user and v last, whatever stands on the other side: before they were kept, rules were indexed by what is left, and so are the runs that wait since then.
int rank(const index_conjunct& c) {
  const auto is_late = [](const std::vector<std::string>& path) { return !path.empty() && (path.front() == "user" || path.front() == "v"); };
  if (is_late(c.async_path) || is_late(c.event_path)) return 3;
  if (c.event_path.empty()) return 2;
  return c.async_path.front() == "data" && c.event_path.front() == "data" ? 0 : 1;
}

void collect(const node& n, std::optional<index_conjunct>& best) {
  if (n.kind == node_kind::logical_and) {
    collect(*n.children[0], best);
    collect(*n.children[1], best);
    return;
  }
  if (n.kind != node_kind::equal) return;
  auto found = from_equality(*n.children[0], *n.children[1]);
  if (!found) found = from_equality(*n.children[1], *n.children[0]);
  if (found && (!best || rank(*found) < rank(*best))) best = std::move(found);
}

std::optional<std::uint64_t> hash_at(const std::vector<std::string>& path, const event_scope& scope) {
  if (path.front() == "id") return storage::hash_value(storage::document_view{document(std::string{scope.id}).bytes()});
  if (path.front() == "name") return storage::hash_value(storage::document_view{document(std::string{scope.name}).bytes()});
  if (path.front() == "ts") return storage::hash_value(storage::document_view{document(scope.ts).bytes()});
  if (path.front() == "v") {
    return scope.version.empty() ? std::nullopt : std::optional{storage::hash_value(storage::document_view{document(std::string{scope.version}).bytes()})};
  }
  const auto found = value_at(path.front() == "user" ? scope.user : scope.data, path);
  if (found.is_missing()) return std::nullopt;
  return storage::hash_value(found);
}

}  // namespace

std::optional<index_conjunct> find_conjunct(const node& root) {
  std::optional<index_conjunct> best;
  collect(root, best);
  return best;
}

storage::document_view value_at(const storage::document_view& root, const std::vector<std::string>& path) {
  storage::document_view at = root;
  for (std::size_t i = 1; i < path.size(); ++i) at = at.find(path[i]);
  return at;
}

std::optional<std::uint64_t> async_hash(const index_conjunct& conjunct, const event_scope& incoming) {
  return hash_at(conjunct.async_path, incoming);
}

std::optional<std::uint64_t> event_hash(const index_conjunct& conjunct, const event_scope& trigger) {
  if (conjunct.event_path.empty()) return storage::hash_value(storage::document_view{conjunct.literal.bytes()});
  return hash_at(conjunct.event_path, trigger);
}

}  // namespace caesura::expression
