// caesura functions: list, pause, resume.

#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/server/http/message.hpp"

namespace caesura::cli {

namespace {

using nlohmann::json;

std::string path_of(const std::string& function, const char* verb) { return "/v1/functions/" + http::encode_percent(function) + "/" + verb; }

void list_functions(const common& at) {
  const auto functions = at.server().data("GET", "/v1/functions");
  if (at.as_json) return print_json(functions);
  table lines{{"FUNCTION", "STATE", "SKIPPED", "REASON"}};
  for (const auto& one : functions) {
    const auto* const state = member(one, "is_paused") == "true" ? "paused" : member(one, "is_registered") == "true" ? "active" : "missing";
    lines.add({member(one, "id"), state, member(one, "skipped"), member(one, "pause_reason")});
  }
  print(lines.text());
}

struct functions_options {
  std::string function{};
  std::string reason{};
  std::string running{"let_finish"};
  bool is_replaying{false};
};

void pause(const common& at, const functions_options& given) {
  const auto done = at.server().data("POST", path_of(given.function, "pause"), {{"reason", given.reason}, {"running", given.running}});
  if (at.as_json) return print_json(done);
  print(given.function + (member(done, "was_paused") == "true" ? " was paused before\n" : " is paused\n"));
}

void resume(const common& at, const functions_options& given) {
  const auto done = at.server().data("POST", path_of(given.function, "resume"), {{"replay_skipped", given.is_replaying}});
  if (at.as_json) return print_json(done);
  const auto skipped = counted(done.value("skipped", std::uint64_t{0}), "run");
  print(given.function + (member(done, "was_paused") == "true" ? " starts runs again; " + skipped + (given.is_replaying ? " that were skipped are replayed\n" : " skipped meanwhile\n")
                                                               : " was not paused\n"));
}

}  // namespace

void add_functions(CLI::App& app, common& at) {
  auto* const command = app.add_subcommand("functions", "List, pause or resume functions");
  command->require_subcommand(1);
  const auto given = std::make_shared<functions_options>();
  command->add_subcommand("list", "All that are registered or have runs")->callback([&at] { list_functions(at); });
  auto* const pausing = command->add_subcommand("pause", "Start no new runs of a function: its events make skipped runs");
  pausing->add_option("function", given->function, "Its whole id, such as app-charge-card")->required();
  pausing->add_option("--reason", given->reason, "For whoever reads the list");
  pausing->add_option("--running", given->running, "What becomes of runs under way")->check(CLI::IsMember({"let_finish", "hold", "cancel"}))->capture_default_str();
  pausing->callback([=, &at] { pause(at, *given); });
  auto* const resuming = command->add_subcommand("resume", "Start runs of a function again");
  resuming->add_option("function", given->function, "Its whole id")->required();
  resuming->add_flag("--replay-skipped", given->is_replaying, "Replay what was skipped meanwhile, oldest first");
  resuming->callback([=, &at] { resume(at, *given); });
}

}  // namespace caesura::cli
