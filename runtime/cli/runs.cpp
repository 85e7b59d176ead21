// caesura runs: list, show, cancel, replay.

#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/run_selection.hpp"
#include "runtime/server/http/message.hpp"

namespace caesura::cli {

namespace {

using nlohmann::json;

std::string path_of(const std::string& run) { return "/v1/runs/" + http::encode_percent(run); }

void show_run(const common& at, const std::string& run) {
  const auto found = at.server().data("GET", path_of(run));
  if (at.as_json) return print_json(found);
  table lines{{"run", member(found, "run_id")}};
  lines.add({"function", member(found, "function")});
  lines.add({"status", member(found, "state") + (member(found, "cancelling") == "true" ? ", cancelling" : "")});
  lines.add({"event", member(found, "event_id")});
  lines.add({"started", member(found, "run_started_at")});
  for (const auto& [title, name] : {std::pair{"ended", "ended_at"}, {"output", "output"}, {"held", "held_because"}, {"replay of", "original_run_id"}}) {
    if (const auto text = member(found, name); !text.empty()) lines.add({title, text});
  }
  if (found.contains("cancelled_by")) {
    const auto& by = found["cancelled_by"];
    const auto event = member(by, "event_id");
    const auto reason = member(by, "reason");
    lines.add({"cancelled by", member(by, "source") + (event.empty() ? "" : " " + event) + (reason.empty() ? "" : ": " + reason)});
  }
  print(lines.text());
}

void cancel_run(const common& at, const std::string& run, const std::string& reason) {
  const auto outcome = at.server().ask("DELETE", path_of(run) + "?reason=" + http::encode_percent(reason)).headers.get("x-caesura-outcome");
  at.as_json ? print_json({{"run_id", run}, {"outcome", outcome}}) : print(outcome + "\n");
}

void replay_run(const common& at, const std::string& run, const std::string& from_step) {
  const auto replayed = at.server().data("POST", path_of(run) + "/replay", {{"from_step", from_step}});
  at.as_json ? print_json(replayed) : print(member(replayed, "run_id") + "\n");
}

}  // namespace

void add_runs(CLI::App& app, common& at) {
  auto* const command = app.add_subcommand("runs", "List, show, cancel or replay runs");
  command->require_subcommand(1);
  const auto run = std::make_shared<std::string>();
  const auto which = std::make_shared<run_selection>();
  const auto limit = std::make_shared<std::size_t>(20);
  const auto text = std::make_shared<std::string>();

  auto* const list = command->add_subcommand("list", "The newest runs");
  which->add_window(*list);
  which->add_status(*list);
  list->add_option("--limit", *limit, "How many")->check(CLI::PositiveNumber)->capture_default_str();
  list->callback([=, &at] {
    auto server = at.server();
    const auto runs = find_runs(server, *which, *limit);
    at.as_json ? print_json(runs) : print_runs(runs);
  });
  auto* const show = command->add_subcommand("show", "One run");
  show->add_option("run", *run, "Its id")->required();
  show->callback([=, &at] { show_run(at, *run); });
  auto* const cancel = command->add_subcommand("cancel", "Cancel one run; a step that executes completes first");
  cancel->add_option("run", *run, "Its id")->required();
  cancel->add_option("--reason", *text, "For whoever reads the record");
  cancel->callback([=, &at] { cancel_run(at, *run, *text); });
  auto* const replay = command->add_subcommand("replay", "Make a new run from the event of one that has ended");
  replay->add_option("run", *run, "Its id")->required();
  replay->add_option("--from-step", *text, "Keep what was recorded before this step");
  replay->callback([=, &at] { replay_run(at, *run, *text); });
}

}  // namespace caesura::cli
