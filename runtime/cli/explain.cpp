// caesura explain: why a run is where it is, or what an event did to it.

#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/server/http/message.hpp"

namespace caesura::cli {

namespace {

using nlohmann::json;

void print_rules(const json& event) {
  print(std::string{"\n"}.append(printable(member(event, "conclusion"))).append("\n"));
  for (const auto& rule : event["rules"]) {
    const auto when = member(rule, "when");
    print(printable("  " + member(rule, "rule") + " on \"" + member(rule, "event") + "\"" + (when.empty() ? "" : " when " + when)) + "\n    " + printable(member(rule, "why")) + "\n");
    for (const auto& [path, value] : rule["values"].items()) print("    " + printable(path + " = " + value.get<std::string>()) + "\n");
  }
}

void explain(const common& at, const std::string& run, const std::string& event) {
  auto path = "/v1/runs/" + http::encode_percent(run) + "/explain";
  if (!event.empty()) path += "?event=" + http::encode_percent(event);
  const auto told = at.server().data("GET", path);
  if (at.as_json) return print_json(told);
  print(printable("run " + member(told, "run_id") + " of " + member(told, "function") + " is " + member(told, "state") + ": " + member(told, "because")) + "\n");
  for (const auto& wait : told["waits_for"]) print("  " + printable(wait.get<std::string>()) + "\n");
  print("\n");
  table lines{{"AT", "WHAT"}};
  for (const auto& entry : told["timeline"]) lines.add({member(entry, "at"), member(entry, "text")});
  print(lines.text());
  if (told.contains("event")) print_rules(told["event"]);
}

}  // namespace

void add_explain(CLI::App& app, common& at) {
  auto* const command = app.add_subcommand("explain", "Tell why a run is where it is: what happened to it, and what it waits for");
  const auto run = std::make_shared<std::string>();
  const auto event = std::make_shared<std::string>();
  command->add_option("run", *run, "Its id")->required();
  command->add_option("--event", *event, "Tell as well why this event did or did not cancel or resume it, rule by rule");
  command->callback([=, &at] { explain(at, *run, *event); });
}

}  // namespace caesura::cli
