#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <caesura/function.hpp>
#include <caesura/remote.hpp>

#include "runtime/server/http/json_reader.hpp"
#include "runtime/server/http/message.hpp"

// What Inngest's SDKs and the server say to each other, as values: registration → functions, call → request body, response → answer. Pure: no
// sockets, no clock, no runtime.
namespace caesura::server {

// A function of an app, and where it is called.
struct app_function {
  std::string id{};    // with the app's name in front, as the SDK gives it
  std::string name{};
  std::string url{};   // of the call that asks; a planned step has another stepId in it
  caesura::function definition{};  // without `remote`
  document registered{};           // as the SDK sent it
};

struct app_registration {
  std::string name{};
  std::string url{};
  std::string sdk{};
  std::vector<app_function> functions{};
};

// Reads the body of POST /fn/register. Throws error{invalid_function} with every fault, one a line, naming function and option: also for each option that
// this server does not honour, because an option that is ignored is worse than one that is refused.
[[nodiscard]] app_registration read_registration(const document& body);

// The body that POST /fn/register would have had, of an app that has told its functions in the answer to a PUT (in-band sync). Throws
// error{invalid_argument} naming what is missing.
[[nodiscard]] document registration_in_band(std::string_view answer, std::string_view url);

// The URL of a call of `step` of a function whose asking call goes to `url`: the parameter stepId says which. nullopt: it is no URL.
[[nodiscard]] std::optional<std::string> url_of_step(std::string_view url, std::string_view step);

// Names a call, whichever attempt it is, and one attempt of it: for its body, and for the headers x-inngest-job-id and x-request-id.
[[nodiscard]] std::string job_id_of(const remote::call& call);
[[nodiscard]] std::string request_id_of(const remote::call& call);

// The body of a call request. State of more than 4 MiB is left out: the SDK asks for it (use_api).
[[nodiscard]] std::string call_body(const remote::call& call);
// Event and recorded steps as SDKs ask for them when a body would be too large.
[[nodiscard]] std::string events_body(const std::vector<event>& triggers);
[[nodiscard]] std::string steps_body(const std::vector<step_info>& steps);

// The name of the signal that a recorded wait got; nullopt: it got none, or the row is none of a signal.
[[nodiscard]] std::optional<std::string> signal_got(const step_info& row);

// The headers of a response to a call that are read; nobody asks for others.
struct answer_header {
  static constexpr std::string_view sdk = "x-inngest-sdk";
  static constexpr std::string_view no_retry = "x-inngest-no-retry";
  static constexpr std::string_view retry_after = "retry-after";
  static constexpr std::string_view request_version = "x-inngest-req-version";
  static constexpr std::string_view signature = "x-inngest-signature";
  static constexpr std::array all{sdk, no_retry, retry_after, request_version, signature};
};

// What an app's response to a call means. Throws nothing of its own: what cannot be read is a failed attempt.
[[nodiscard]] remote::answer read_response(const http::response& response);

// The steps of a checkpoint. Throws error{invalid_argument} naming what cannot be checkpointed.
struct checkpoint {
  std::uint64_t activation{0};
  std::vector<remote::finished_step> steps{};
};
[[nodiscard]] checkpoint read_checkpoint(const document& body);
// What read_checkpoint reads of a body.
[[nodiscard]] const http::kept_members& members_of_checkpoint();

// Members `user` and `v` of an event, or of what an invocation is given. Throws error{invalid_event} naming what is wrong.
void read_user_and_version(const nlohmann::json& from, event& e);

// An event as a client sends it. Throws error{invalid_event} naming what is wrong.
[[nodiscard]] event read_event(const nlohmann::json& json);

// A name-based UUID, for ids that SDKs want as UUIDs.
[[nodiscard]] std::string uuid_of(std::string_view name);

}  // namespace caesura::server
