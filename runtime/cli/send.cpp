// caesura send: one event.

#include <stdexcept>

#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/server/http/message.hpp"

namespace caesura::cli {

namespace {

using nlohmann::json;

struct send_options {
  std::string name{};
  std::string data{"{}"};
  std::string id{};
  std::string user{};
  std::string key{"cli"};
};

void send(const common& at, const send_options& given) {
  json event{{"name", given.name}, {"data", json::parse(given.data, nullptr, false)}};
  if (!event["data"].is_object()) throw std::runtime_error{"the data is \"" + given.data + "\", which is no JSON object such as {\"id\": \"t-17\"}"};
  if (!given.id.empty()) event["id"] = given.id;
  if (!given.user.empty()) {
    event["user"] = json::parse(given.user, nullptr, false);
    if (!event["user"].is_object()) throw std::runtime_error{"the user is \"" + given.user + "\", which is no JSON object such as {\"id\": \"u-4\"}"};
  }
  const auto key = given.key.substr(0, given.key.find(','));  // the variable may hold several, as `serve` takes it
  const auto answer = at.server().ask("POST", "/e/" + http::encode_percent(key), json::array({event})).body;
  at.as_json ? print_json(answer) : print(answer.at("ids").at(0).get<std::string>() + "\n");
}

}  // namespace

void add_send(CLI::App& app, common& at) {
  auto* const command = app.add_subcommand("send", "Send an event; prints the id under which it is stored");
  const auto given = std::make_shared<send_options>();
  command->add_option("name", given->name, "The event's name")->required();
  command->add_option("data", given->data, "Its data, a JSON object");
  command->add_option("--id", given->id, "Makes sending it again harmless for 24 h");
  command->add_option("--user", given->user, "Who did it, a JSON object: event.user in expressions");
  command->add_option("--event-key", given->key, "The key, where the server asks for one")->envname("INNGEST_EVENT_KEY");
  command->callback([given, &at] { send(at, *given); });
}

}  // namespace caesura::cli
