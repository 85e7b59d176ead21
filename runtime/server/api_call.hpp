#pragma once

// Internal to the API: what the functions behind its routes share.

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/server/api.hpp"
#include "runtime/server/http/json_reader.hpp"

namespace caesura::server {

// Thrown to answer with a status other than 200.
struct refusal {
  int status;
  std::string text;
};

// One request on its way through the API.
struct api_call {
  const api_parts& parts;
  const http::request& asked;
  const http::responder& respond;
  std::vector<std::string> arguments{};  // what stands for the {names} of the route's path, in their order

  // Throw refusal{400} naming what is wrong.
  [[nodiscard]] document body(const http::kept_members* kept = nullptr) const;
  [[nodiscard]] nlohmann::json object() const;  // an empty body is {}
  // With no other members than these: what is misspelt would be done without it.
  [[nodiscard]] nlohmann::json object_of(std::initializer_list<std::string_view> members) const;
  [[nodiscard]] std::optional<time_point> query_time(const char* name) const;
  [[nodiscard]] std::size_t query_limit(std::size_t usual, std::size_t highest) const;
  template <class Id>
  static Id id_of(const std::string& text, const char* what) {
    const auto id = parse_id<Id>(text);
    if (!id) throw refusal{400, std::string{"Invalid "} + what + " ID: " + text};
    return *id;
  }

  // Ids of functions, for which the UUIDs stand by which this API shows them, too.
  [[nodiscard]] std::vector<std::string> functions_of_query() const;

  // What the first argument names; throw refusal{400} for what is no id, refusal{404} for what is not stored.
  [[nodiscard]] run_info run() const;
  [[nodiscard]] event_info event() const;
};

[[nodiscard]] http::response plain(int status, const nlohmann::json& body);
// {"data": …, "metadata": {…}}
[[nodiscard]] http::response enveloped(nlohmann::json data);
[[nodiscard]] int status_of(errc code) noexcept;
[[nodiscard]] std::string now_text();

// Counts an event that was accepted and tells of the runs that it created.
void tell_sent(const api_parts& parts, const sent& one);
// Starts a run of exactly this function, whatever its triggers. Throws refusal.
struct invoked {
  event_id event{};
  run_id run{};
};
invoked invoke_function(const api_parts& parts, const std::string& function, const nlohmann::json& told);
// Counts and tells of a request to cancel.
cancel_outcome cancel_one(const api_parts& parts, const run_id& run, const std::string& reason);

// The functions behind the routes; each answers one request. What they throw becomes a response.
namespace api {

http::response health(const api_call& call);
http::response openapi(const api_call& call);
http::response metrics_text(const api_call& call);
http::response graphql(const api_call& call);
void stream_runs(const api_call& call);

// SDKs and senders
http::response dev(const api_call& call);
http::response register_app(const api_call& call);
void sync_app(const api_call& call);
http::response send_events(const api_call& call);
http::response invoke(const api_call& call);
http::response send_signal(const api_call& call);
void checkpoint(const api_call& call);
http::response batch_of_run(const api_call& call);
http::response actions_of_run(const api_call& call);

// runs and events
http::response list_events(const api_call& call);
http::response show_event(const api_call& call);
http::response runs_of_event(const api_call& call);
http::response list_runs(const api_call& call);
http::response show_run(const api_call& call);
http::response cancel_run(const api_call& call);
http::response replay_run(const api_call& call);
http::response jobs_of_run(const api_call& call);
http::response explain(const api_call& call);

// many runs
http::response cancel_many(const api_call& call);
http::response list_cancellations(const api_call& call);
http::response show_cancellation(const api_call& call);
http::response stop_cancellation(const api_call& call);

// functions
http::response list_functions(const api_call& call);
http::response functions_of_app(const api_call& call);
http::response pause_function(const api_call& call);
http::response resume_function(const api_call& call);

}  // namespace api

}  // namespace caesura::server
