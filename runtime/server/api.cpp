#include "runtime/server/api.hpp"

#include <algorithm>
#include <array>
#include <variant>

#include "runtime/server/api_call.hpp"
#include "runtime/server/http/json_reader.hpp"
#include "runtime/server/http/signature.hpp"
#include "runtime/server/http/url.hpp"
#include "runtime/server/metrics.hpp"
#include "runtime/server/run_feed.hpp"

namespace caesura::server {

namespace {

using http::request;
using http::response;
using nlohmann::json;

enum class access : std::uint8_t {
  open,     // anybody
  own_key,  // the route checks a key of its own
  key,      // the hashed signing key, where the server has one
};

struct entry {
  route where{};
  access who{access::key};
  response (*at_once)(const api_call&){nullptr};
  void (*later)(const api_call&){nullptr};  // answers through call.respond
  bool waits{true};                         // for a commit, a lock or a disk
  bool takes_long{false};                   // it may look at every run that is stored
};

constexpr std::array table{
    entry{{"GET", "/health"}, access::open, api::health, nullptr, false},
    entry{{"GET", "/openapi.json"}, access::open, api::openapi},
    entry{{"GET", "/metrics"}, access::key, api::metrics_text},
    entry{{"GET", "/dev"}, access::open, api::dev},
    entry{{"POST", "/fn/register"}, access::key, api::register_app},
    entry{{"POST", "/e/{event_key}"}, access::own_key, api::send_events},
    entry{{"POST", "/invoke/{function_id}"}, access::key, api::invoke},
    entry{{"POST", "/v0/gql"}, access::key, api::graphql, nullptr, true, true},
    entry{{"GET", "/v0/runs/{run_id}/batch"}, access::key, api::batch_of_run},
    entry{{"GET", "/v0/runs/{run_id}/actions"}, access::key, api::actions_of_run},
    entry{{"POST", "/v1/checkpoint/{run_id}/async"}, access::key, nullptr, api::checkpoint, false},
    entry{{"POST", "/v1/signals"}, access::key, api::send_signal},
    entry{{"POST", "/v1/syncs"}, access::key, nullptr, api::sync_app},
    entry{{"GET", "/v1/stream"}, access::key, nullptr, api::stream_runs},
    entry{{"GET", "/v1/events"}, access::key, api::list_events},
    entry{{"GET", "/v1/events/{event_id}"}, access::key, api::show_event},
    entry{{"GET", "/v1/events/{event_id}/runs"}, access::key, api::runs_of_event},
    entry{{"GET", "/v1/runs"}, access::key, api::list_runs},
    entry{{"GET", "/v1/runs/{run_id}"}, access::key, api::show_run},
    entry{{"DELETE", "/v1/runs/{run_id}"}, access::key, api::cancel_run},
    entry{{"POST", "/v1/runs/{run_id}/replay"}, access::key, api::replay_run},
    entry{{"GET", "/v1/runs/{run_id}/explain"}, access::key, api::explain},
    entry{{"GET", "/v1/runs/{run_id}/jobs"}, access::key, api::jobs_of_run},
    entry{{"POST", "/v1/cancellations"}, access::key, api::cancel_many, nullptr, true, true},
    entry{{"GET", "/v1/cancellations"}, access::key, api::list_cancellations},
    entry{{"GET", "/v1/cancellations/{cancellation_id}"}, access::key, api::show_cancellation},
    entry{{"DELETE", "/v1/cancellations/{cancellation_id}"}, access::key, api::stop_cancellation},
    entry{{"GET", "/v1/functions"}, access::key, api::list_functions},
    entry{{"GET", "/v1/apps/{app_name}/functions"}, access::key, api::functions_of_app},
    entry{{"POST", "/v1/functions/{function_id}/pause"}, access::key, api::pause_function},
    entry{{"POST", "/v1/functions/{function_id}/resume"}, access::key, api::resume_function},
};

// The next segment of a path that is not empty; what is behind it stays in `path`. Empty: there is none.
std::string_view take_segment(std::string_view& path) {
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  const auto segment = path.substr(0, path.find('/'));
  path.remove_prefix(segment.size());
  return segment;
}

// Decoded by itself: what is escaped in it is no separator.
std::string decoded(std::string_view segment) { return http::decode_percent(segment).value_or(std::string{segment}); }

bool stands_for(std::string_view segment, std::string_view name) {
  return segment == name || (segment.find('%') != std::string_view::npos && decoded(segment) == name);
}

// What stands for the {names} of the pattern; nullopt: the target's path is another one.
std::optional<std::vector<std::string>> match(std::string_view pattern, std::string_view target) {
  std::vector<std::string> arguments;
  auto path = target.substr(0, target.find('?'));
  for (;;) {
    const auto part = take_segment(pattern);
    const auto segment = take_segment(path);
    if (part.empty() || segment.empty()) return part.empty() && segment.empty() ? std::optional{std::move(arguments)} : std::nullopt;
    if (part.starts_with('{')) {
      arguments.push_back(decoded(segment));
    } else if (!stands_for(segment, part)) {
      return std::nullopt;
    }
  }
}

void check_key(const api_parts& parts, const request& asked) {
  if (parts.hashed_keys.empty()) return;
  const auto given = asked.headers.get("authorization");
  constexpr std::string_view scheme = "Bearer ";
  const auto is_given = [&](const std::string& key) {
    return given.starts_with(scheme) && http::equal_in_constant_time(http::without_prefix(std::string_view{given}.substr(scheme.size())), http::without_prefix(key));
  };
  if (std::ranges::none_of(parts.hashed_keys, is_given)) {
    throw refusal{401, "the header authorization carries neither the hashed signing key nor its fallback"};
  }
}

// The host that a URL names, if it is one that `is_meant` or that the server was told of.
template <class Meant>
bool names_allowed_host(const api_parts& parts, const std::string& text, const Meant& is_meant) {
  const auto parsed = http::parse_url(text);
  const auto* const named = std::get_if<http::url>(&parsed);
  return named != nullptr && (is_meant(named->host) || std::ranges::find(parts.allowed_hosts, named->host) != parts.allowed_hosts.end());
}

// Where no key is asked for whoever reaches the server may do everything, and a page of any origin reaches it through a browser on this machine, which names
// the origin. Programs name none, and neither does a browser that GETs what is of the page's own origin: of a page that has its name lead here, that is this
// server, under that name.
void check_origin(const api_parts& parts, const request& asked, access who) {
  const bool asks_for_key = who == access::own_key ? !parts.event_keys.empty() : !parts.hashed_keys.empty();
  if (asks_for_key) return;
  for (const auto& [name, value] : asked.headers) {
    if (http::equal_ignoring_case(name, "origin") && !names_allowed_host(parts, value, http::is_loopback_host)) {
      throw refusal{403, "the origin \"" + value + "\" is not on this machine, and where no key is asked for no page of another one is answered"};
    }
    if (http::equal_ignoring_case(name, "host") && !names_allowed_host(parts, "http://" + value, http::is_fixed_host)) {
      throw refusal{403, "the host is \"" + value + "\", and where no key is asked for only addresses, localhost and the names of --allow-host are answered"};
    }
  }
}

// nullopt: the route answers for itself.
std::optional<response> perform(const api_parts& parts, const request& asked, const http::responder& respond) {
  const std::string_view method = asked.method == "HEAD" ? "GET" : std::string_view{asked.method};
  std::string allowed;
  for (const auto& one : table) {
    auto arguments = match(one.where.path, asked.target);
    if (!arguments) continue;
    if (one.where.method != method) {
      allowed += (allowed.empty() ? "" : ", ") + std::string{one.where.method};
      continue;
    }
    check_origin(parts, asked, one.who);
    if (one.who == access::key) check_key(parts, asked);
    const api_call call{.parts = parts, .asked = asked, .respond = respond, .arguments = std::move(*arguments)};
    if (one.at_once != nullptr) return one.at_once(call);
    one.later(call);
    return std::nullopt;
  }
  if (allowed.empty()) throw refusal{404, asked.method + " " + asked.path + " is not part of this server's API: see /openapi.json"};
  auto refused = response::error(405, asked.method + " is not a method of " + asked.path + ", which takes " + allowed);
  refused.headers.add("allow", allowed);
  return refused;
}

std::optional<response> guarded(const api_parts& parts, const request& asked, const http::responder& respond) try {
  return perform(parts, asked, respond);
} catch (const refusal& no) {
  return response::error(no.status, no.text);
} catch (const error& e) {
  return response::error(status_of(e.code()), e.what());
} catch (const json::exception& e) {
  return response::error(400, std::string{"a member has another type than it should: "} + e.what());
} catch (const std::exception& e) {
  return response::error(500, e.what());
}

}  // namespace

void answer(const api_parts& parts, const request& request, const http::responder& respond) {
  if (auto made = guarded(parts, request, respond)) {
    parts.counts.count_response(made->status);
    respond(std::move(*made));
  }
}

bool may_wait(const request& asked) {
  constexpr std::size_t small_body_bytes = 4'096;  // read in less time than another thread needs to wake up
  if (asked.body.size() > small_body_bytes) return true;
  return std::ranges::none_of(table, [&](const entry& one) { return !one.waits && one.where.method == asked.method && match(one.where.path, asked.target); });
}

bool may_take_long(const request& asked) {
  const auto is_asked = [&](const entry& one) { return one.takes_long && one.where.method == asked.method && match(one.where.path, asked.target); };
  const auto* const found = std::ranges::find_if(table, is_asked);
  // A bulk cancel only decides; a preview looks.
  return found != table.end() && (found->where.path != "/v1/cancellations" || asked.body.find("dry_run") != std::string::npos);
}

std::vector<route> routes() {
  std::vector<route> all;
  for (const auto& one : table) all.push_back(one.where);
  return all;
}

// ---- what the routes share

document api_call::body(const http::kept_members* kept) const {
  try {
    return kept == nullptr ? http::parse_json(asked.body) : http::parse_json(asked.body, *kept);
  } catch (const error& e) {
    throw refusal{400, std::string{"the body is no JSON: "} + e.what()};
  }
}

json api_call::object() const {
  if (asked.body.empty()) return json::object();
  auto told = body().json();
  if (!told.is_object()) throw refusal{400, "the body is no object"};
  return told;
}

json api_call::object_of(std::initializer_list<std::string_view> members) const {
  auto told = object();
  for (const auto& [name, value] : told.items()) {
    if (std::ranges::find(members, name) != members.end()) continue;
    std::string known;
    for (const auto member : members) known.append(known.empty() ? "" : ", ").append(member);
    throw refusal{400, "\"" + name + "\" is no member of this request, which takes " + known};
  }
  std::erase_if(told.get_ref<json::object_t&>(), [](const auto& one) { return one.second.is_null(); });
  return told;
}

std::optional<time_point> api_call::query_time(const char* name) const {
  const auto text = asked.query.get(name);
  if (text.empty()) return std::nullopt;
  const auto time = parse_time(text);
  if (!time) throw refusal{400, std::string{name} + " is \"" + text + "\", which is no RFC 3339 time"};
  return time;
}

std::size_t api_call::query_limit(std::size_t usual, std::size_t highest) const {
  const auto text = asked.query.get("limit");
  if (text.empty()) return usual;
  const bool is_number = text.size() <= 9 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  const std::size_t limit = is_number ? std::stoul(text) : 0;
  if (limit == 0 || limit > highest) throw refusal{400, "limit is \"" + text + "\"; it must be 1 to " + std::to_string(highest)};
  return limit;
}

run_info api_call::run() const {
  auto found = parts.runtime.get(id_of<run_id>(arguments.at(0), "run"));
  if (!found) throw refusal{404, "no run " + arguments.at(0) + " is stored"};
  return std::move(*found);
}

event_info api_call::event() const {
  auto found = parts.runtime.find_event(id_of<event_id>(arguments.at(0), "event"));
  if (!found) throw refusal{404, "no event " + arguments.at(0) + " is stored"};
  return std::move(*found);
}

response plain(int status, const json& body) { return response::json(status, body.dump(-1, ' ', false, json::error_handler_t::replace)); }

std::string now_text() { return to_string(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now())); }

response enveloped(json data) {
  return plain(200, {{"data", std::move(data)}, {"metadata", {{"fetched_at", now_text()}, {"cached_until", nullptr}}}});
}

int status_of(errc code) noexcept {
  switch (code) {
    case errc::unknown_run:
    case errc::unknown_function:
    case errc::unknown_event:
    case errc::unknown_bulk:
    case errc::unknown_plan:
      return 404;
    case errc::duplicate_id:
    case errc::run_not_ended:
    case errc::function_paused:
    case errc::run_not_completed:
      return 409;
    case errc::overloaded:
    case errc::stopped:
      return 503;
    case errc::storage_full: return 507;
    case errc::invalid_function:
    case errc::invalid_event:
    case errc::invalid_expression:
    case errc::invalid_argument:
    case errc::result_type:
      return 400;
    case errc::storage_failed:
    case errc::outcome_unknown:
    case errc::store_corrupt:
    case errc::store_newer:
    case errc::store_locked:
    case errc::step_inside_step:
    case errc::wrong_thread:
      return 500;
  }
  return 500;
}

namespace api {

response health(const api_call&) { return plain(200, {{"status", 200}, {"message", "OK"}}); }
response openapi(const api_call&) { return response::json(200, std::string{openapi_text()}); }
response metrics_text(const api_call& call) {
  return {.status = 200, .headers = {{"content-type", "text/plain; version=0.0.4; charset=utf-8"}}, .body = call.parts.counts.text(call.parts.runtime.stats(), call.parts.feed.clients())};
}

}  // namespace api

}  // namespace caesura::server
