// caesura events: what was sent, and what it started.

#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/server/http/message.hpp"

namespace caesura::cli {

namespace {

using nlohmann::json;

void list_events(const common& at, const std::string& name, int limit) {
  auto path = "/v1/events?received_after=1970-01-01T00:00:00Z&limit=" + std::to_string(limit);  // the server's default is the last hour
  if (!name.empty()) path += "&name=" + http::encode_percent(name);
  const auto events = at.server().data("GET", path);
  if (at.as_json) return print_json(events);
  constexpr std::size_t shown = 60;
  table lines{{"EVENT", "NAME", "RECEIVED", "DATA"}};
  for (const auto& event : events) {
    auto data = member(event, "data");
    if (data.size() > shown) data = data.substr(0, shown) + "...";
    lines.add({member(event, "internal_id"), member(event, "name"), member(event, "received_at"), data});
  }
  print(lines.text());
}

void show_event(const common& at, const std::string& event) {
  auto server = at.server();
  const auto path = "/v1/events/" + http::encode_percent(event);
  auto shown = server.data("GET", path);
  const auto runs = server.data("GET", path + "/runs");
  if (at.as_json) {
    shown["runs"] = runs;
    return print_json(shown);
  }
  table lines{{"event", member(shown, "internal_id")}};
  lines.add({"name", member(shown, "name")});
  lines.add({"id", member(shown, "id")});
  lines.add({"received", member(shown, "received_at")});
  lines.add({"data", member(shown, "data")});
  print(lines.text());
  print("\n");
  runs.empty() ? print("It started no run.\n") : print_runs(runs);
}

}  // namespace

void add_events(CLI::App& app, common& at) {
  auto* const command = app.add_subcommand("events", "List events, or show one with its runs");
  command->require_subcommand(1);
  const auto name = std::make_shared<std::string>();
  const auto event = std::make_shared<std::string>();
  const auto limit = std::make_shared<int>(20);
  auto* const list = command->add_subcommand("list", "The newest events");
  list->add_option("--name", *name, "Of this name only");
  list->add_option("--limit", *limit, "How many")->check(CLI::PositiveNumber)->capture_default_str();
  list->callback([=, &at] { list_events(at, *name, *limit); });
  auto* const show = command->add_subcommand("show", "One event, and the runs that it started");
  show->add_option("event", *event, "The id that send printed")->required();
  show->callback([=, &at] { show_event(at, *event); });
}

}  // namespace caesura::cli
