// caesura events: what was sent, and what it started.

#include <algorithm>

#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/run_selection.hpp"
#include "runtime/server/http/message.hpp"
#include "storage/document_view.hpp"

namespace caesura::cli {

namespace {

using nlohmann::json;

struct list_options {
  std::string name{};
  std::string from{"1970-01-01T00:00:00Z"};  // the server's default is the last hour
  std::string to{};
  std::size_t limit{20};
};

// Newest first, read page by page.
json find_events(remote_server& server, const list_options& given) {
  constexpr std::size_t page = 1'000;
  const auto now = wall_clock();
  const auto time = [&](const std::string& text) { return http::encode_percent(to_string(read_time(text, now).value())); };
  auto filter = "&received_after=" + time(given.from);
  if (!given.to.empty()) filter += "&received_before=" + time(given.to);
  if (!given.name.empty()) filter += "&name=" + http::encode_percent(given.name);
  json found = json::array();
  for (std::string cursor;;) {
    const auto wanted = std::min(page, given.limit - found.size());
    const auto reply = server.ask("GET", "/v1/events?limit=" + std::to_string(wanted) + filter + (cursor.empty() ? "" : "&cursor=" + cursor));
    for (const auto& event : reply.body.at("data")) found.push_back(event);
    cursor = reply.headers.get("x-caesura-next");
    if (cursor.empty() || found.size() >= given.limit) return found;
  }
}

void list_events(const common& at, const list_options& given) {
  auto server = at.server();
  const auto events = find_events(server, given);
  if (at.as_json) return print_json(events);
  constexpr std::size_t shown = 60;
  table lines{{"EVENT", "NAME", "RECEIVED", "DATA"}};
  for (const auto& event : events) {
    lines.add({member(event, "internal_id"), member(event, "name"), member(event, "received_at"), storage::to_utf8(member(event, "data"), shown)});
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
  for (const char* const name : {"user", "v"}) {
    if (shown.contains(name)) lines.add({name, member(shown, name)});
  }
  print(lines.text());
  print("\n");
  runs.empty() ? print("It started no run.\n") : print_runs(runs);
}

}  // namespace

void add_events(CLI::App& app, common& at) {
  auto* const command = app.add_subcommand("events", "List events, or show one with its runs");
  command->require_subcommand(1);
  const auto given = std::make_shared<list_options>();
  const auto event = std::make_shared<std::string>();
  auto* const list = command->add_subcommand("list", "The newest events");
  list->add_option("--name", given->name, "Of this name only");
  list->add_option("--from", given->from, "Received at this time or later: RFC 3339, or 2h for two hours ago; default: all that are stored")->check(fault_of_time);
  list->add_option("--to", given->to, "Received before this time; default: now")->check(fault_of_time);
  list->add_option("--limit", given->limit, "How many")->check(CLI::PositiveNumber)->capture_default_str();
  list->callback([given, &at] { list_events(at, *given); });
  auto* const show = command->add_subcommand("show", "One event, and the runs that it started");
  show->add_option("event", *event, "The id that send printed")->required();
  show->callback([=, &at] { show_event(at, *event); });
}

}  // namespace caesura::cli
