#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <caesura/function.hpp>

namespace caesura::server {

// The flow control of one registered function: throttle, rateLimit, idempotency, debounce, batchEvents, priority, singleton. What has the wrong form is added to
// `faults`, each with `where` and the option's name; bounds are checked where functions are defined. Pure.
void read_flow(const nlohmann::json& registered, const std::string& where, function& into, std::vector<std::string>& faults);

// A trigger {"cron": …, "jitter"?: …}.
[[nodiscard]] trigger read_cron(const nlohmann::json& registered, const std::string& where, std::vector<std::string>& faults);

}  // namespace caesura::server
