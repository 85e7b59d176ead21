// caesura serve: a server, until SIGINT or SIGTERM.

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/server/server.hpp"

namespace caesura::cli {

namespace {

void serve(const server::server_options& options) {
  constexpr std::chrono::seconds patience{10};
  // Blocked before the first thread is started, so that none of them takes the signal.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  server::server server{options};
  const auto host = options.host.find(':') == std::string::npos ? options.host : "[" + options.host + "]";
  std::printf("caesura serves %s at http://%s:%u\n", options.directory.c_str(), host.c_str(), server.port());
  std::fflush(stdout);
  int which = 0;
  sigwait(&ends, &which);
  std::printf("stopping: calls that are out have %lld s\n", static_cast<long long>(patience.count()));
  std::fflush(stdout);
  server.stop(patience);
}

std::string fault_of_duration(const std::string& text) {
  return parse_duration(text) ? std::string{} : "\"" + text + "\" is no duration such as 1s";
}

}  // namespace

void add_serve(CLI::App& app, common& at) {
  auto* const command = app.add_subcommand("serve", "Serve apps and the HTTP API out of a directory");
  const auto options = std::make_shared<server::server_options>();
  const auto retry_interval = std::make_shared<std::string>();
  const auto app_interval = std::make_shared<std::string>("5s");
  options->observer.on_diagnostic = [](const std::string& text, const run_id&) { std::fprintf(stderr, "%s\n", printable_lines(text).c_str()); };
  command->add_option("--dir", options->directory, "The directory of the store; made when it is missing")
      ->envname("CAESURA_DIRECTORY")
      ->type_name("DIRECTORY")
      ->required();
  command->add_option("--host", options->host, "The address to listen on")->envname("CAESURA_HOST")->capture_default_str();
  command->add_option("--port", options->port, "The port; 0: any free one")->envname("CAESURA_PORT")->capture_default_str();
  command->add_option("--signing-key", options->signing_key, "The key that calls are signed with")->envname("INNGEST_SIGNING_KEY");
  command->add_option("--signing-key-fallback", options->signing_key_fallback, "A second key that is good beside it, while keys are replaced")
      ->envname("INNGEST_SIGNING_KEY_FALLBACK");
  command->add_option("--event-key", options->event_keys, "A key that may send events, or several with commas; none: any may")
      ->envname("INNGEST_EVENT_KEY")
      ->delimiter(',');
  command->add_option("--allow-host", options->allowed_hosts, "A name under which a server without a signing key is asked, beside addresses and localhost")
      ->envname("CAESURA_ALLOW_HOST")
      ->delimiter(',');
  command->add_option("--app", options->apps, "The URL of an app that is asked for its functions, at once and again and again, or several with commas; none: apps register by themselves")
      ->envname("CAESURA_APP")
      ->type_name("URL")
      ->delimiter(',');
  command->add_option("--app-interval", *app_interval, "How long after it was asked an app is asked again")->check(fault_of_duration)->capture_default_str();
  command->add_option("--retry-interval", *retry_interval, "The delay before each retry, such as 1s, in place of the table")->check(fault_of_duration);
  command->callback([options, retry_interval, app_interval, &at] {
    // The option of all commands, with which they ask a server; it is read from the same variable as the server's own.
    const char* const variable = std::getenv("INNGEST_SIGNING_KEY");
    if (!at.signing_key.empty() && (variable == nullptr || at.signing_key != variable)) {
      throw CLI::ValidationError{"--key is for commands that ask a server: write --signing-key for the key of the one that is to be served"};
    }
    if (!retry_interval->empty()) options->retry_interval = parse_duration(*retry_interval);
    options->app_interval = parse_duration(*app_interval).value();
    serve(*options);
  });
}

}  // namespace caesura::cli
