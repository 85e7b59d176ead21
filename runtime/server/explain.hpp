#pragma once

#include <optional>

#include <caesura/runtime.hpp>
#include <nlohmann/json.hpp>

namespace caesura::server {

// Why a run is where it is: a sentence, what it waits for, and its timeline; with an event also what that did to it, rule by rule. Throws
// error{unknown_event}. Reads; waits for nothing.
[[nodiscard]] nlohmann::json explain_run(const caesura::runtime& runtime, const run_info& run, const std::optional<event_id>& event);

}  // namespace caesura::server
