#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "runtime/cli/remote_server.hpp"

namespace caesura::cli {

// What every command knows: where the server is, and for whom it writes. Lives as long as the parser.
struct common {
  std::string url{"http://127.0.0.1:8288"};
  std::string signing_key{};
  bool as_json{false};  // for programs: JSON on standard output, and nothing else there
  int status{0};        // the exit status, where a command has one of its own

  [[nodiscard]] remote_server server() const;
};

// Each adds one command to `app`; the command is executed while `app` parses. What fails is thrown as a sentence.
void add_serve(CLI::App& app, common& at);
void add_send(CLI::App& app, common& at);
void add_events(CLI::App& app, common& at);
void add_runs(CLI::App& app, common& at);
void add_explain(CLI::App& app, common& at);
void add_cancel(CLI::App& app, common& at);
void add_replay(CLI::App& app, common& at);
void add_functions(CLI::App& app, common& at);
void add_verify(CLI::App& app, common& at);
void add_completion(CLI::App& app, common& at);

}  // namespace caesura::cli
