// Functions: listed, paused, resumed.

#include <algorithm>

#include "runtime/server/api_call.hpp"
#include "runtime/server/api_views.hpp"

namespace caesura::server {

using http::response;
using nlohmann::json;

namespace api {

response list_functions(const api_call& call) {
  json functions = json::array();
  for (const auto& fn : call.parts.runtime.functions()) {
    functions.push_back({{"id", fn.id}, {"is_registered", fn.is_registered}, {"is_paused", fn.is_paused}, {"pause_reason", fn.pause_reason},
                         {"paused_at", time_or_null(fn.paused_at)}, {"skipped", fn.skipped}});
  }
  return enveloped(std::move(functions));
}

response functions_of_app(const api_call& call) {
  const auto& name = call.arguments[0];
  const auto apps = call.parts.apps.all();
  const auto app = std::ranges::find(apps, name, &app_registration::name);
  if (app == apps.end()) throw refusal{404, "no app \"" + name + "\" is registered"};
  json functions = json::array();
  for (const auto& fn : app->functions) functions.push_back(function_json(*app, fn));
  return enveloped(std::move(functions));
}

response pause_function(const api_call& call) {
  const auto told = call.object_of({"reason", "running"});
  pause_request pause{.reason = told.value("reason", ""), .by = "api"};
  const auto how = told.value("running", "let_finish");
  if (how == "hold") {
    pause.under_way = running_runs::hold;
  } else if (how == "cancel") {
    pause.under_way = running_runs::cancel;
  } else if (how != "let_finish") {
    throw refusal{400, "running is \"" + how + "\"; it is one of let_finish, hold, cancel"};
  }
  const auto done = call.parts.runtime.pause(call.arguments[0], pause);
  return enveloped({{"was_paused", done.was_paused}});
}

response resume_function(const api_call& call) {
  const auto told = call.object_of({"replay_skipped"});
  const auto done = call.parts.runtime.resume(call.arguments[0], {.replay_skipped = told.value("replay_skipped", false)});
  return enveloped({{"was_paused", done.was_paused}, {"skipped", done.skipped}});
}

}  // namespace api

}  // namespace caesura::server
