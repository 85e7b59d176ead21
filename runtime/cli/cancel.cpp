// caesura cancel: many runs at once.

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/run_selection.hpp"
#include "runtime/cli/terminal.hpp"

namespace caesura::cli {

namespace {

using nlohmann::json;

struct cancel_options {
  run_selection which{};
  std::string reason{};
  bool is_preview{false};
  bool is_sure{false};
  bool is_left_alone{false};  // not waited for
};

json ask(remote_server& server, const cancel_options& given, const json& request) try {
  return server.data("POST", "/v1/cancellations", request);
} catch (const refused& no) {
  if (no.status != 404 || std::string_view{no.what()}.find("function not found") == std::string_view::npos) throw;
  throw std::runtime_error{"no function \"" + given.which.function + "\" is known: caesura functions list shows those that are"};
}

// The job is the server's: whoever watches may go away.
json watch(remote_server& server, json job) {
  constexpr std::chrono::milliseconds between{200};
  progress_bar bar{"cancelling"};
  while (member(job["progress"], "status") == "working") {
    std::this_thread::sleep_for(between);
    job = server.data("GET", "/v1/cancellations/" + job["id"].get<std::string>());
    const auto& p = job["progress"];
    const auto done = p.value("cancelled", std::uint64_t{0}) + p.value("cancelling", std::uint64_t{0}) + p.value("already_ended", std::uint64_t{0});
    bar.show(done, std::max(p.value("matched", std::uint64_t{0}), done + p.value("left", std::uint64_t{0})));
  }
  return job;
}

void tell(const json& job) {
  const auto& p = job["progress"];
  const auto count = [&](const char* name) { return p.value(name, std::uint64_t{0}); };
  std::string text = counted(count("cancelled"), "run") + " cancelled";
  if (count("cancelling") > 0) text += ", " + counted(count("cancelling"), "run") + " executing a step, which completes first";
  if (count("already_ended") > 0) text += ", " + counted(count("already_ended"), "run") + " ended before";
  if (member(p, "status") != "done") text += "; " + member(p, "status");
  print(text + " (cancellation " + member(job, "id") + ")\n");
}

void cancel(const common& at, const cancel_options& given) {
  auto server = at.server();
  const auto now = wall_clock();
  // The window's end is fixed here, so that what is counted is what is cancelled.
  json request{{"app_id", "cli"},
               {"function_id", given.which.function},
               {"started_before", to_string(given.which.before(now).value_or(now))},
               {"if", given.which.when},
               {"reason", given.reason}};
  if (const auto after = given.which.after(now)) request["started_after"] = to_string(*after);
  if (given.is_preview || !given.is_sure) {
    request["dry_run"] = true;
    const auto found = ask(server, given, request);
    const auto count = found.value("count", std::uint64_t{0});
    if (given.is_preview) {
      if (at.as_json) return print_json(found);
      print(counted(count, "run") + (count == 1 ? " is" : " are") + " meant" + (count > found["sample"].size() ? "; the newest of them:\n" : "\n"));
      if (count > 0) print_runs(found["sample"]);
      return;
    }
    if (!is_confirmed("Cancel " + counted(count, "run") + " of " + given.which.function + "?")) throw std::runtime_error{"nothing was cancelled"};
  }
  request.erase("dry_run");  // what only decides is not asked where a preview would be
  auto job = ask(server, given, request);
  if (!given.is_left_alone) job = watch(server, std::move(job));
  at.as_json ? print_json(job) : given.is_left_alone ? print(member(job, "id") + "\n") : tell(job);
}

}  // namespace

void add_cancel(CLI::App& app, common& at) {
  auto* const command = app.add_subcommand("cancel", "Cancel many runs: of a function, in a window, for which an expression holds");
  const auto given = std::make_shared<cancel_options>();
  given->which.add_window(*command);
  command->get_option("--function")->required();
  command->add_option("--reason", given->reason, "For whoever reads the record");
  command->add_flag("--preview", given->is_preview, "Only count, and show a sample");
  command->add_flag("--yes", given->is_sure, "Do not ask");
  command->add_flag("--no-wait", given->is_left_alone, "Print the id of the cancellation as soon as it is decided; the server goes on with it");
  command->callback([given, &at] { cancel(at, *given); });
}

}  // namespace caesura::cli
