// caesura: a server for functions in apps (serve), and a client of one (everything else).

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "runtime/cli/remote_server.hpp"
#include "runtime/server/http/signature.hpp"
#include "runtime/server/http/url.hpp"
#include "runtime/server/server.hpp"

namespace {

using caesura::cli::remote_server;
using nlohmann::json;

struct settings {
  std::string url{"http://127.0.0.1:8288"};
  std::string signing_key{};
  bool as_json{false};

  [[nodiscard]] remote_server server() const {
    return {url, signing_key.empty() ? std::string{} : caesura::http::hashed_key(signing_key)};
  }
};

void show_runs(const json& runs, bool as_json) {
  if (as_json) {
    std::cout << runs.dump(1) << '\n';
    return;
  }
  std::printf("%-26s  %-12s  %-32s  %s\n", "run", "status", "function", "since");
  for (const auto& run : runs) {
    std::printf("%-26s  %-12s  %-32s  %s\n", run.value("run_id", "").c_str(), run.value("state", "").c_str(), run.value("function", "").c_str(),
                run.value("run_started_at", "").c_str());
  }
}

void show(const json& value, bool as_json) {
  if (as_json || !value.is_object()) {
    std::cout << value.dump(1) << '\n';
    return;
  }
  for (const auto& [name, member] : value.items()) {
    std::printf("%-20s %s\n", name.c_str(), member.is_string() ? member.get<std::string>().c_str() : member.dump().c_str());
  }
}

json data_of(const remote_server::reply& reply) { return reply.body.is_object() && reply.body.contains("data") ? reply.body["data"] : reply.body; }

// Serves until SIGINT or SIGTERM.
int serve(const caesura::server::server_options& options) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  caesura::server::server server{options};
  std::printf("caesura serves %s at http://%s:%u\n", options.directory.c_str(), options.host.c_str(), server.port());
  std::fflush(stdout);
  int which = 0;
  sigwait(&ends, &which);
  std::printf("stopping: calls that are out have 10 s\n");
  server.stop(std::chrono::seconds{10});
  return 0;
}

void add_serve(CLI::App& app, int& result) {
  auto* const command = app.add_subcommand("serve", "Serve apps and the HTTP API out of a directory");
  auto* const options = new caesura::server::server_options{};  // lives as long as the program
  auto* const retry_interval = new std::string{};
  options->observer.on_diagnostic = [](const std::string& text, const caesura::run_id&) { std::fprintf(stderr, "%s\n", text.c_str()); };
  command->add_option("--dir", options->directory, "The directory of the store; made when it is missing")->required();
  command->add_option("--host", options->host, "The address to listen on")->capture_default_str();
  command->add_option("--port", options->port, "The port; 0: any free one")->capture_default_str();
  command->add_option("--signing-key", options->signing_key, "The key that calls are signed with")->envname("INNGEST_SIGNING_KEY");
  command->add_option("--event-key", options->event_keys, "A key that may send events; none: any may");
  command->add_option("--retry-interval", *retry_interval, "The delay before each retry, such as 1s, in place of the table");
  command->callback([=, &result] {
    if (!retry_interval->empty()) {
      options->retry_interval = caesura::parse_duration(*retry_interval);
      if (!options->retry_interval) throw CLI::ValidationError{"--retry-interval", "\"" + *retry_interval + "\" is no duration such as 1s"};
    }
    result = serve(*options);
  });
}

void add_send(CLI::App& app, const settings& at) {
  auto* const command = app.add_subcommand("send", "Send an event");
  auto* const name = new std::string{};
  auto* const data = new std::string{"{}"};
  auto* const id = new std::string{};
  command->add_option("name", *name, "The event's name")->required();
  command->add_option("data", *data, "Its data, a JSON object");
  command->add_option("--id", *id, "Makes sending it again harmless for 24 h");
  command->callback([=, &at] {
    json event{{"name", *name}, {"data", json::parse(*data, nullptr, false)}};
    if (!event["data"].is_object()) throw std::runtime_error{"the data is \"" + *data + "\", which is no JSON object such as {\"id\": \"t-17\"}"};
    if (!id->empty()) event["id"] = *id;
    const auto sent = at.server().ask("POST", "/e/cli", json::array({event}));
    std::cout << sent.body["ids"][0].get<std::string>() << '\n';
  });
}

void add_runs(CLI::App& app, const settings& at) {
  auto* const command = app.add_subcommand("runs", "List, show, cancel or replay runs");
  command->require_subcommand(1);
  auto* const run = new std::string{};
  auto* const function = new std::string{};
  auto* const when = new std::string{};
  auto* const reason = new std::string{};
  auto* const from_step = new std::string{};
  auto* const limit = new int{20};

  auto* const list = command->add_subcommand("list", "The newest runs");
  list->add_option("--function", *function, "Of this function only");
  list->add_option("--if", *when, "Those for which an expression over event and run holds");
  list->add_option("--limit", *limit, "How many")->capture_default_str();
  list->callback([=, &at] {
    const auto path = "/v1/runs?limit=" + std::to_string(*limit) + "&function_id=" + caesura::http::encode_percent(*function) +
                      "&if=" + caesura::http::encode_percent(*when);
    show_runs(data_of(at.server().ask("GET", path)), at.as_json);
  });
  auto* const one = command->add_subcommand("show", "One run");
  one->add_option("run", *run)->required();
  one->callback([=, &at] { show(data_of(at.server().ask("GET", "/v1/runs/" + *run)), at.as_json); });
  auto* const cancel = command->add_subcommand("cancel", "Cancel one run; a step that executes completes first");
  cancel->add_option("run", *run)->required();
  cancel->add_option("--reason", *reason, "For whoever reads the record");
  cancel->callback([=, &at] {
    const auto reply = at.server().ask("DELETE", "/v1/runs/" + *run + "?reason=" + caesura::http::encode_percent(*reason));
    std::cout << reply.headers.get("x-caesura-outcome") << '\n';
  });
  auto* const replay = command->add_subcommand("replay", "Run the event of an ended run again");
  replay->add_option("run", *run)->required();
  replay->add_option("--from-step", *from_step, "Keep what was recorded before this step");
  replay->callback([=, &at] {
    const auto reply = at.server().ask("POST", "/v1/runs/" + *run + "/replay", {{"from_step", *from_step}});
    std::cout << data_of(reply).value("run_id", "") << '\n';
  });
}

void add_bulk_cancel(CLI::App& app, const settings& at) {
  auto* const command = app.add_subcommand("cancel", "Cancel many runs: of a function, in a window, that match an expression");
  auto* const function = new std::string{};
  auto* const from = new std::string{};
  auto* const to = new std::string{};
  auto* const when = new std::string{};
  auto* const reason = new std::string{};
  auto* const preview = new bool{false};
  auto* const yes = new bool{false};
  command->add_option("--function", *function, "The function's id")->required();
  command->add_option("--from", *from, "Runs created at this time or later (RFC 3339)");
  command->add_option("--to", *to, "Runs created before this time; default: now");
  command->add_option("--if", *when, "Those for which an expression over event holds");
  command->add_option("--reason", *reason, "For whoever reads the record");
  command->add_flag("--preview", *preview, "Only count and show a sample");
  command->add_flag("--yes", *yes, "Do not ask");
  command->callback([=, &at] {
    auto server = at.server();
    const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    json request{{"app_id", "cli"}, {"function_id", *function}, {"started_before", to->empty() ? caesura::to_string(now) : *to}, {"if", *when}, {"reason", *reason}};
    if (!from->empty()) request["started_after"] = *from;
    request["dry_run"] = true;
    const auto found = data_of(server.ask("POST", "/v1/cancellations", request));
    std::cout << found.value("count", 0) << " runs are meant\n";
    if (*preview) {
      show_runs(found["sample"], at.as_json);
      return;
    }
    if (!*yes) {
      std::cout << "Cancel them? [y/N] " << std::flush;
      std::string answer;
      std::getline(std::cin, answer);
      if (answer != "y" && answer != "Y") return;
    }
    request["dry_run"] = false;
    show(data_of(server.ask("POST", "/v1/cancellations", request)), at.as_json);
  });
}

void add_functions(CLI::App& app, const settings& at) {
  auto* const command = app.add_subcommand("functions", "List, pause or resume functions");
  command->require_subcommand(1);
  auto* const function = new std::string{};
  auto* const reason = new std::string{};
  auto* const running = new std::string{"let_finish"};
  auto* const replay = new bool{false};
  command->add_subcommand("list", "All of them")->callback([&at] { std::cout << data_of(at.server().ask("GET", "/v1/functions")).dump(1) << '\n'; });
  auto* const pause = command->add_subcommand("pause", "Start no new runs of a function");
  pause->add_option("function", *function)->required();
  pause->add_option("--reason", *reason);
  pause->add_option("--running", *running, "What becomes of runs under way: let_finish, hold, cancel")->capture_default_str();
  pause->callback([=, &at] { show(data_of(at.server().ask("POST", "/v1/functions/" + *function + "/pause", {{"reason", *reason}, {"running", *running}})), at.as_json); });
  auto* const resume = command->add_subcommand("resume", "Start runs of a function again");
  resume->add_option("function", *function)->required();
  resume->add_flag("--replay-skipped", *replay, "Replay what was skipped meanwhile");
  resume->callback([=, &at] { show(data_of(at.server().ask("POST", "/v1/functions/" + *function + "/resume", {{"replay_skipped", *replay}})), at.as_json); });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Durable functions made of steps, which can be cancelled"};
  app.require_subcommand(1);
  settings at;
  int result = 0;
  app.add_option("--url", at.url, "The server")->envname("CAESURA_URL")->capture_default_str();
  app.add_option("--key", at.signing_key, "The server's signing key")->envname("INNGEST_SIGNING_KEY");
  app.add_flag("--json", at.as_json, "For programs");
  add_serve(app, result);
  add_send(app, at);
  add_runs(app, at);
  add_bulk_cancel(app, at);
  add_functions(app, at);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "caesura: %s\n", e.what());
    return 1;
  }
  return result;
}
