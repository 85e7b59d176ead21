#pragma once

#include <string>

#include "actors/router_state.hpp"

namespace caesura::actors {

// Whether a filter means a run, for the router and for readers alike. `now`: what run.age is counted to. An expression that fails is no
// match, and `fault` says why.
[[nodiscard]] bool matches(const compiled_filter& filter, const storage::run_record& run, const std::string& function, time_point now,
                           const storage::snapshot& tx, std::string* fault = nullptr);
// All of it but `when`.
[[nodiscard]] bool can_match(const compiled_filter& filter, const storage::run_record& run, const std::string& function);

}  // namespace caesura::actors
