// What SDKs and senders of events ask for.

#include <algorithm>
#include <memory>

#include "runtime/server/api_call.hpp"
#include "runtime/server/api_views.hpp"
#include "runtime/server/app_sync.hpp"
#include "runtime/server/http/signature.hpp"
#include "runtime/server/invocation.hpp"
#include "runtime/server/metrics.hpp"
#include "runtime/server/run_feed.hpp"
#include "runtime/server/sdk_protocol.hpp"

namespace caesura::server {

using http::response;
using nlohmann::json;

namespace {

// Re-sending with the same seed repeats the ids of events that have none of their own.
void add_seeded_ids(const http::request& asked, std::vector<event>& events) {
  const auto seed = asked.headers.get("x-inngest-event-id-seed");
  if (seed.empty() || seed.size() > 100) return;
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (events[i].id.empty()) events[i].id = std::string{seed_prefix} + http::sha256_hex(seed + "/" + std::to_string(i)).substr(0, 32);
  }
}

std::vector<event> events_in(const api_call& call) {
  const auto told = call.body().json();
  std::vector<event> events;
  if (told.is_array()) {
    for (const auto& one : told) events.push_back(read_event(one));
  } else {
    events.push_back(read_event(told));
  }
  add_seeded_ids(call.asked, events);
  return events;
}

// As the SDKs expect it of this route.
response not_sent(int status, const std::string& why) { return plain(status, {{"ids", json::array()}, {"status", status}, {"error", why}}); }

// What an app's answer to a sync came to.
response synced(const api_parts& parts, const std::string& url, const http::outcome& outcome) try {
  const auto made = take_sync(parts, url, outcome);
  if (!made.is_in_band) return enveloped({{"kind", "out_of_band"}, {"url", url}});
  return enveloped({{"kind", "in_band"}, {"url", url}, {"app", made.app}, {"modified", made.is_new}, {"functions", made.functions}});
} catch (const refusal& no) {
  return response::error(no.status, no.text);
} catch (const error& e) {
  return response::error(status_of(e.code()), e.what());
}

// The trigger for invocations was one too many.
bool has_no_room(const api_parts& parts, const std::string& function) {
  for (const auto& app : parts.apps.all()) {
    const auto found = std::ranges::find(app.functions, function, &app_function::id);
    if (found != app.functions.end()) return found->definition.triggers.size() >= most_triggers;
  }
  return false;
}

response checkpointed(const run_id& run, const std::variant<remote::checkpoint_outcome, error>& came) {
  if (const auto* refused = std::get_if<error>(&came)) return response::error(status_of(refused->code()), refused->what());
  switch (std::get<remote::checkpoint_outcome>(came)) {
    case remote::checkpoint_outcome::recorded: return response::json(200, "{}");
    case remote::checkpoint_outcome::stale:
      return response::error(409, "run " + to_string(run) + " is being cancelled, has ended or is executed elsewhere: stop here");
    case remote::checkpoint_outcome::unknown_run: break;
  }
  return response::error(404, "no run " + to_string(run) + " is stored");
}

}  // namespace

void tell_sent(const api_parts& parts, const sent& one) {
  parts.counts.count_event(one.is_duplicate);
  if (one.is_duplicate || parts.feed.clients() == 0) return;
  for (const auto& id : one.runs) {
    if (id < id_cast<run_id>(one.id)) continue;  // was there before: it collects events
    if (const auto run = parts.runtime.get(id)) parts.feed.tell("run.created", run->function, id, {{"event_id", to_string(one.id)}, {"at", to_string(run->created_at)}});
  }
}

invoked invoke_function(const api_parts& parts, const std::string& function, const json& told) {
  const auto data = told.value("data", json{});
  if (!data.is_object() && !data.is_null()) throw refusal{400, "data is no object"};
  caesura::event event{.data = document(data.is_null() ? json::object() : data)};
  read_user_and_version(told, event);
  event.name = invoke_event_of(function);
  const auto known = parts.runtime.functions();
  const auto found = std::ranges::find(known, function, &function_info::id);
  if (found == known.end() || !found->is_registered) throw refusal{404, "no function \"" + function + "\" is registered"};
  if (found->is_paused) throw refusal{409, "function \"" + function + "\" is paused"};
  if (has_no_room(parts, function)) throw refusal{409, "function \"" + function + "\" has as many triggers as a function may have: it cannot be invoked"};
  const auto done = parts.runtime.send(event);
  tell_sent(parts, done);
  for (const auto& id : done.runs) {  // a trigger "*" of another function has started one, too
    if (const auto run = parts.runtime.get(id); run && run->function == function) return {.event = done.id, .run = id};
  }
  throw refusal{409, "function \"" + function + "\" starts no run now: its rateLimit or idempotency does not let it"};
}

namespace api {

response dev(const api_call& call) {
  json functions = json::array();
  const bool is_open = call.parts.signing_keys.empty();
  for (const auto& app : is_open ? call.parts.apps.all() : std::vector<app_registration>{}) {
    for (const auto& fn : app.functions) {
      const auto registered = fn.registered.json();
      functions.push_back({{"id", fn.id}, {"name", fn.name}, {"slug", fn.id}, {"triggers", registered.value("triggers", json::array())}});
    }
  }
  return plain(200, {{"version", "caesura"},
                     {"authed", false},
                     {"startOpts", json::object()},
                     {"functions", functions},
                     {"handlers", json::array()},
                     {"isSingleNodeService", true},
                     {"isMissingSigningKey", is_open},
                     {"isMissingEventKeys", call.parts.event_keys.empty()},
                     {"features", json::object()}});
}

response register_app(const api_call& call) {
  if (call.asked.headers.get("x-inngest-expected-server-kind") == "cloud") throw refusal{400, "Expected server kind cloud, got dev"};
  const auto told = call.body();
  const auto app = read_registration(told);
  const bool is_new = call.parts.register_app(app, told);
  return plain(200, {{"ok", true}, {"modified", is_new}, {"sync_id", uuid_of(app.name + "/sync")}, {"app_id", uuid_of(app.name)}});
}

void sync_app(const api_call& call) {
  const auto told = call.object_of({"url"});
  const auto url = told.value("url", "");
  if (url.empty()) throw refusal{400, "url is required: the URL at which the app serves its functions"};
  call.parts.ask_app(url, [&parts = call.parts, respond = call.respond, url](http::outcome outcome) {
    auto shared = std::make_shared<http::outcome>(std::move(outcome));
    parts.post([&parts, respond, url, shared] {
      auto made = synced(parts, url, *shared);
      parts.counts.count_response(made.status);
      respond(std::move(made));
    });
  });
}

response send_events(const api_call& call) try {
  const auto& keys = call.parts.event_keys;
  if (!keys.empty() && std::ranges::none_of(keys, [&](const std::string& key) { return http::equal_in_constant_time(key, call.arguments[0]); })) {
    return plain(401, {{"status", 401}, {"message", ""}, {"error", "Event key not found"}});
  }
  const auto events = events_in(call);
  json ids = json::array();
  if (!events.empty()) {
    for (const auto& sent : call.parts.runtime.send(events)) {
      ids.push_back(to_string(sent.id));
      tell_sent(call.parts, sent);
    }
  }
  return plain(200, {{"ids", ids}, {"status", 200}});
} catch (const refusal& no) {
  return not_sent(no.status, no.text);
} catch (const error& e) {
  return not_sent(status_of(e.code()), e.what());
}

response invoke(const api_call& call) {
  const auto told = call.object_of({"data", "user", "v"});
  const auto done = invoke_function(call.parts, call.arguments[0], told);
  return plain(200, {{"id", to_string(done.event)}, {"run_id", to_string(done.run)}, {"status", 200}});
}

response send_signal(const api_call& call) {
  const auto told = call.object_of({"signal", "data"});
  const auto signal = told.find("signal");
  if (signal == told.end() || !signal->is_string() || signal->get_ref<const std::string&>().empty()) throw refusal{400, "signal is required: the name of the signal, a text"};
  const auto data = told.find("data");
  const auto run = call.parts.runtime.send_signal(signal->get<std::string>(), data == told.end() ? document{} : document(*data));
  if (!run) throw refusal{404, "No signal found"};
  return enveloped({{"run_id", to_string(*run)}});
}

void checkpoint(const api_call& call) {
  auto told = read_checkpoint(call.body(&members_of_checkpoint()));
  const auto run = api_call::id_of<run_id>(call.arguments[0], "run");
  call.parts.runtime.checkpoint(run, told.activation, std::move(told.steps),
                                [&counts = call.parts.counts, respond = call.respond, run](std::variant<remote::checkpoint_outcome, error> came) {
                                  auto made = checkpointed(run, came);
                                  counts.count_response(made.status);
                                  respond(std::move(made));
                                });
}

response batch_of_run(const api_call& call) {
  std::vector<event> triggers;
  for (const auto& id : triggers_of(call.run())) {
    auto trigger = call.parts.runtime.find_event(id);
    if (!trigger) throw refusal{404, "no event " + to_string(id) + " is stored"};
    trigger->event.name = shown_name(trigger->event.name);
    triggers.push_back(std::move(trigger->event));
  }
  return response::json(200, events_body(triggers));
}

response actions_of_run(const api_call& call) { return response::json(200, steps_body(call.parts.runtime.steps(call.run().id))); }

}  // namespace api

}  // namespace caesura::server
