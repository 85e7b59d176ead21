// caesura replay: one run, or many.

#include <algorithm>
#include <iterator>
#include <limits>
#include <stdexcept>

#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/run_selection.hpp"
#include "runtime/cli/terminal.hpp"
#include "runtime/server/http/message.hpp"

namespace caesura::cli {

namespace {

using nlohmann::json;

struct replay_options {
  std::vector<std::string> runs{};
  run_selection which{};
  std::string from_step{};
  bool is_preview{false};
  bool is_sure{false};
};

// Of the ended ones; what has completed is done again only if that is said.
constexpr const char* usual_statuses[] = {"failed", "cancelled", "skipped"};

// Oldest first, so that the new runs stand in the order of the old ones.
json runs_meant(remote_server& server, replay_options given) {
  if (given.which.status.empty()) given.which.status.assign(std::begin(usual_statuses), std::end(usual_statuses));
  auto found = find_runs(server, given.which, std::numeric_limits<std::size_t>::max());
  std::reverse(found.begin(), found.end());
  return found;
}

// One call a run: what was replayed before it ends, for whatever reason, stays so.
json replay_each(remote_server& server, const std::vector<std::string>& runs, const std::string& from_step) {
  json done{{"replayed", json::array()}, {"refused", json::array()}};
  progress_bar bar{"replaying"};
  std::uint64_t count = 0;
  for (const auto& run : runs) {
    try {
      const auto made = server.data("POST", "/v1/runs/" + http::encode_percent(run) + "/replay", {{"from_step", from_step}});
      done["replayed"].push_back({{"run_id", made["run_id"]}, {"replay_of", run}});
    } catch (const refused& no) {
      done["refused"].push_back({{"run_id", run}, {"error", no.what()}});
    } catch (const std::exception& e) {  // the server is gone: what was made is told all the same
      done["refused"].push_back({{"run_id", run}, {"error", e.what()}});
      done["stopped"] = true;
      return done;
    }
    if (runs.size() > 1) bar.show(++count, runs.size());
  }
  return done;
}

void replay(common& at, const replay_options& given) {
  if (given.runs.empty() && given.which.function.empty()) throw CLI::ValidationError{"replay", "which runs? Name some, or say --function"};
  auto server = at.server();
  auto runs = given.runs;
  if (runs.empty()) {
    const auto found = runs_meant(server, given);
    if (given.is_preview) {
      if (at.as_json) return print_json({{"count", found.size()}, {"runs", found}});
      print(counted(found.size(), "run") + (found.size() == 1 ? " is" : " are") + " meant\n");
      if (!found.empty()) print_runs(found);
      return;
    }
    if (!given.is_sure && !is_confirmed("Replay " + counted(found.size(), "run") + " of " + given.which.function + "?")) {
      throw std::runtime_error{"nothing was replayed"};
    }
    for (const auto& run : found) runs.push_back(member(run, "run_id"));
  }
  const auto done = replay_each(server, runs, given.from_step);
  const auto& no = done["refused"];
  if (at.as_json) print_json(done);
  for (const auto& one : done["replayed"]) {
    if (!at.as_json) print(member(one, "run_id") + "\n");
  }
  if (no.empty()) return;
  std::string text = member(no[0], "error");
  if (text.find(member(no[0], "run_id")) == std::string::npos) text = "run " + member(no[0], "run_id") + ": " + text;
  if (done.contains("stopped")) {
    text = "after " + counted(done["replayed"].size(), "run") + " of " + std::to_string(runs.size()) + " the server was not to be reached, and the others were not tried: " + member(no.back(), "error");
  } else if (runs.size() > 1) text = counted(no.size(), "run") + " of " + std::to_string(runs.size()) + " could not be replayed; " + text;
  throw std::runtime_error{text};
}

}  // namespace

void add_replay(CLI::App& app, common& at) {
  auto* const command = app.add_subcommand("replay", "Make new runs from the events of those that have ended: by id, or many of a function");
  const auto given = std::make_shared<replay_options>();
  command->add_option("run", given->runs, "Ids of runs");
  given->which.add_window(*command);
  given->which.add_status(*command);
  for (const auto* name : {"--function", "--from", "--to", "--if", "--status"}) command->get_option(name)->excludes(command->get_option("run"));
  command->add_option("--from-step", given->from_step, "Keep what was recorded before this step");
  command->add_flag("--preview", given->is_preview, "Only show which runs are meant")->excludes(command->get_option("run"));
  command->add_flag("--yes", given->is_sure, "Do not ask");
  command->callback([given, &at] { replay(at, *given); });
}

}  // namespace caesura::cli
