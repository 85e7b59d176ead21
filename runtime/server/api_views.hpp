#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <caesura/runtime.hpp>

#include "runtime/server/app_registry.hpp"

// How runs, events and bulk jobs are shown over HTTP. Pure.
namespace caesura::server {

[[nodiscard]] std::string_view status_text(run_status status) noexcept;
[[nodiscard]] nlohmann::json time_or_null(const std::optional<time_point>& time);
// One, or all of a batch in their order.
[[nodiscard]] std::vector<event_id> triggers_of(const run_info& run);
[[nodiscard]] nlohmann::json run_json(const run_info& run);
// The error of a run that has one, with what else its code gave of it: stack, cause.
[[nodiscard]] nlohmann::json whole_error(const run_info& run);
[[nodiscard]] nlohmann::json event_json(const event_info& stored);
// Where it has them.
void add_user_and_version(nlohmann::json& shown, const event& e);
[[nodiscard]] nlohmann::json cancellation_json(const bulk_progress& job);
[[nodiscard]] nlohmann::json function_json(const app_registration& app, const app_function& fn);

}  // namespace caesura::server
