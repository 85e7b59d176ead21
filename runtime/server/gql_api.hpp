#pragma once

#include <nlohmann/json.hpp>

#include "runtime/server/api.hpp"
#include "runtime/server/gql_execution.hpp"

namespace caesura::server {

// The types of POST /v0/gql: the part of upstream's that test helpers use.
[[nodiscard]] const graphql::schema& gql_schema();

// Answers the body of a request, {query, variables, operationName?}.
[[nodiscard]] nlohmann::json gql_answer(const api_parts& parts, const nlohmann::json& body);

}  // namespace caesura::server
