// caesura: a server for functions in apps (serve), a check of a store (verify), and a client of a server (everything else).

#include <cstdio>
#include <exception>

#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/server/http/signature.hpp"

namespace caesura::cli {

remote_server common::server() const { return {url, signing_key.empty() ? std::string{} : http::hashed_key(signing_key)}; }

}  // namespace caesura::cli

int main(int argc, char** argv) {
  using namespace caesura::cli;
  CLI::App app{"Durable functions made of steps, which can be cancelled", "caesura"};
  app.require_subcommand(1);
  app.fallthrough();  // the options of all commands may stand behind the command, too
  app.set_version_flag("--version", "caesura " CAESURA_VERSION);
  common at;
  app.add_option("--url", at.url, "The server")->envname("CAESURA_URL")->capture_default_str();
  app.add_option("--key", at.signing_key, "The server's signing key")->envname("INNGEST_SIGNING_KEY");
  app.add_flag("--json", at.as_json, "Write JSON, for programs");
  add_serve(app, at);
  add_send(app, at);
  add_events(app, at);
  add_runs(app, at);
  add_explain(app, at);
  add_cancel(app, at);
  add_replay(app, at);
  add_functions(app, at);
  add_verify(app, at);
  add_completion(app, at);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    constexpr int bad_usage = 2;
    return app.exit(e) == 0 ? 0 : bad_usage;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "caesura: %s\n", printable_lines(e.what()).c_str());
    return 1;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    std::fprintf(stderr, "caesura: what was to be printed could not be written whole\n");
    return 1;
  }
  return at.status;
}
