#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/server/graphql.hpp"

// Validates a request against a schema and carries it out over nodes that know their fields. Knows no runs.
namespace caesura::server::graphql {

struct field_type {
  std::string_view name{};
  std::string_view type{};  // of what it leads to; empty: a scalar
  std::vector<std::string_view> arguments{};
  std::vector<std::string_view> required{};  // among the arguments
};

struct object_type {
  std::string_view name{};
  std::vector<field_type> fields{};
  std::vector<std::string_view> members{};  // of a union; it has no fields then
};

using schema = std::vector<object_type>;  // with "Query" and "Mutation"

struct node;
using node_ptr = std::shared_ptr<const node>;  // null: null
using field_value = std::variant<nlohmann::json, node_ptr, std::vector<node_ptr>>;

// An object of a type: scalars that are there, and what is looked up when it is asked for.
struct node {
  std::string_view type{};
  nlohmann::json scalars = nlohmann::json::object();
  std::map<std::string_view, std::function<field_value(const nlohmann::json& arguments)>> lookups{};
};

// {"data": …} or {"errors": [{"message": …}]} or both. What a lookup throws is an error with its path and a null in the data; what the schema does not know is
// an error before anything is carried out. Throws nothing of its own.
[[nodiscard]] nlohmann::json execute(const schema& types, const node_ptr& query, const node_ptr& mutation, std::string_view text, const nlohmann::json& variables,
                                     const std::string& operation_name);

}  // namespace caesura::server::graphql
