#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/server/api.hpp"
#include "runtime/server/gql_execution.hpp"

namespace caesura::server {

// The types of POST /v0/gql: the part of upstream's that test helpers use.
[[nodiscard]] const graphql::schema& gql_schema();

// What GraphQL's clients know of a page whose items have these cursors: they go on behind `endCursor` as long as there may be more, so that it is `next`
// then, also of a page that is empty because looking for items took its time. Pure.
[[nodiscard]] nlohmann::json page_info(const std::vector<std::string>& cursors, const std::optional<std::string>& next, bool has_previous);

// Answers the body of a request, {query, variables, operationName?}.
[[nodiscard]] nlohmann::json gql_answer(const api_parts& parts, const nlohmann::json& body);

}  // namespace caesura::server
