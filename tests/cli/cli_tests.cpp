// The command `caesura` as people and scripts start it, against a server in this process and an app that is a listener.

#include <boost/test/unit_test.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>

#include "runtime/server/http/client.hpp"
#include "runtime/server/http/listener.hpp"
#include "runtime/server/http/signature.hpp"
#include "runtime/server/server.hpp"
#include "storage/document_view.hpp"
#include "tests/cli/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace caesura;
using namespace std::chrono_literals;
using nlohmann::json;
using testing::ended_program;
using testing::execute;
using testing::program;

// Function app-f: sleeps for a day where the event says so, else returns what the event carries. app-other does the same for another event.
class fake_app {
 public:
  fake_app()
      : listener_{{.port = 0}, [](http::request&& request, const http::responder& respond) {
                    const auto call = json::parse(request.body);
                    const auto data = call["event"]["data"];
                    const bool sleeps = data.value("sleeps", false);
                    auto response = sleeps ? http::response::json(206, json::array({{{"op", "Sleep"}, {"id", "h1"}, {"displayName", "rest"}, {"name", "24h"}}}).dump())
                                           : http::response::json(200, data.dump());
                    response.headers.add("x-inngest-sdk", "test");
                    respond(std::move(response));
                  }} {}
  [[nodiscard]] json registration() const {
    const auto url = "http://127.0.0.1:" + std::to_string(listener_.port()) + "/api?fnId=app-f&stepId=step";
    const json steps{{"step", {{"runtime", {{"url", url}}}}}};
    return {{"appName", "app"},
            {"url", url},
            {"functions",
             {{{"id", "app-f"}, {"triggers", {{{"event", "go"}}}}, {"cancel", {{{"event", "stop"}, {"if", "event.data.id == async.data.id"}}}}, {"steps", steps}},
              {{"id", "app-other"}, {"triggers", {{{"event", "go/other"}}}}, {"steps", steps}}}}};
  }

 private:
  http::listener listener_;
};

class command_world {
 public:
  explicit command_world(server::server_options options = {}) {
    key_ = options.signing_key;
    options.directory = directory_.path() + "/store";
    options.port = 0;
    server_ = std::make_unique<server::server>(std::move(options));
    http::outgoing request{.url = url() + "/fn/register", .body = app_.registration().dump()};
    if (!key_.empty()) request.headers.add("authorization", "Bearer " + http::hashed_key(key_));
    http::client client;
    std::promise<http::outcome> answered;
    client.send(std::move(request), [&](http::outcome outcome) { answered.set_value(std::move(outcome)); });
    BOOST_REQUIRE(std::get<http::response>(answered.get_future().get()).status == 200);
  }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  [[nodiscard]] ended_program call(std::vector<std::string> arguments, std::string input = {}, bool on_terminal = false) const {
    return execute({.arguments = std::move(arguments), .input = std::move(input), .on_terminal = on_terminal, .environment = {{"CAESURA_URL", url()}}});
  }
  // What a command answers with --json; it has to succeed.
  [[nodiscard]] json ask(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    const auto ended = call(arguments);
    BOOST_TEST(ended.err == "");
    BOOST_REQUIRE_MESSAGE(ended.status == 0, arguments.at(0) << " ended with " << ended.status);
    return ended.json();
  }
  std::string start(const json& data, const char* event = "go") {
    const auto sent = server_->runtime().send({.name = event, .data = data});
    return to_string(sent.runs.at(0));
  }
  std::string start_sleeping(const std::string& id) {
    const auto run = start({{"id", id}, {"sleeps", true}});
    while (server_->runtime().get(*parse_id<run_id>(run))->status != run_status::sleeping) {
      BOOST_REQUIRE(!server_->runtime().wait(*parse_id<run_id>(run), 1ms).has_value());
    }
    return run;
  }
  std::string start_and_end(const json& data) {
    const auto run = start(data);
    BOOST_REQUIRE(server_->runtime().wait(*parse_id<run_id>(run), 60s).has_value());
    return run;
  }
  [[nodiscard]] run_status status_of(const std::string& run) const { return server_->runtime().get(*parse_id<run_id>(run))->status; }
  server::server& server() { return *server_; }
  [[nodiscard]] std::string directory() const { return directory_.path() + "/store"; }
  void close() { server_.reset(); }

 private:
  testing::temporary_directory directory_;
  std::string key_;
  fake_app app_;
  std::unique_ptr<server::server> server_;
};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

// So that Boost prints one.
namespace caesura {
static std::ostream& boost_test_print_type(std::ostream& out, run_status status) { return out << to_string(status); }
}  // namespace caesura

BOOST_AUTO_TEST_SUITE(command)

BOOST_AUTO_TEST_CASE(bad_usage_ends_with_2_and_help_with_0) {
  const auto status = [](std::vector<std::string> arguments) { return execute({.arguments = std::move(arguments)}).status; };
  BOOST_TEST(status({"--help"}) == 0);
  BOOST_TEST(status({"runs", "list", "--help"}) == 0);
  BOOST_TEST(status({"--version"}) == 0);
  BOOST_TEST(status({}) == 2);
  BOOST_TEST(status({"dance"}) == 2);
  BOOST_TEST(status({"runs"}) == 2);
  BOOST_TEST(status({"runs", "show"}) == 2);
  BOOST_TEST(status({"runs", "list", "--limit", "0"}) == 2);
  BOOST_TEST(status({"runs", "list", "--status", "happy"}) == 2);
  BOOST_TEST(status({"runs", "list", "--from", "soon"}) == 2);
  BOOST_TEST(status({"cancel", "--preview"}) == 2);
  BOOST_TEST(status({"replay"}) == 2);
  BOOST_TEST(status({"replay", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "--function", "f"}) == 2);
  BOOST_TEST(status({"replay", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "--preview"}) == 2);
  BOOST_TEST(status({"functions", "pause", "f", "--running", "away"}) == 2);
  BOOST_TEST(status({"serve"}) == 2);
  BOOST_TEST(status({"serve", "--dir", "d", "--retry-interval", "soon"}) == 2);
  BOOST_TEST(status({"completion", "ksh"}) == 2);
}

BOOST_AUTO_TEST_CASE(without_a_server_one_sentence_says_where_none_is) {
  const auto ended = execute({.arguments = {"--url", "http://127.0.0.1:1", "runs", "list"}});
  BOOST_TEST(ended.status == 1);
  BOOST_TEST(ended.out == "");
  BOOST_TEST(contains(ended.err, "http://127.0.0.1:1/v1/runs"));
  BOOST_TEST(contains(ended.err, "caesura serve"));
  BOOST_TEST(std::ranges::count(ended.err, '\n') == 1);
}

BOOST_AUTO_TEST_CASE(what_is_no_server_is_said_to_be_none) {
  const http::listener other{{.port = 0}, [](http::request&&, const http::responder& respond) { respond(http::response::text(200, "<html>")); }};
  const auto ended = execute({.arguments = {"--url", "http://127.0.0.1:" + std::to_string(other.port()) + "/", "functions", "list"}});
  BOOST_TEST(ended.status == 1);
  BOOST_TEST(contains(ended.err, "no JSON"));
}

BOOST_AUTO_TEST_CASE(an_event_is_sent_and_shown_with_its_runs) {
  command_world world;
  const auto event = world.ask({"send", "go", R"({"id": "t-1", "sleeps": true})", "--id", "e-1"})["ids"][0].get<std::string>();
  BOOST_TEST(world.call({"send", "go", R"({"id": "t-1", "sleeps": true})", "--id", "e-1"}).out == event + "\n");
  const auto shown = world.ask({"events", "show", event});
  BOOST_TEST(shown["name"] == "go");
  BOOST_TEST(shown["runs"].size() == 1);
  BOOST_TEST(contains(world.call({"events", "show", event}).out, shown["runs"][0]["run_id"].get<std::string>()));
  const auto alone = world.call({"send", "nobody/listens"}).out;
  BOOST_TEST(contains(world.call({"events", "show", alone.substr(0, 26)}).out, "no run"));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_sent_is_named) {
  command_world world;
  const auto no_object = world.call({"send", "go", "[1"});
  BOOST_TEST(no_object.status == 1);
  BOOST_TEST(contains(no_object.err, "[1"));
  const auto reserved = world.call({"send", "inngest/x"});
  BOOST_TEST(reserved.status == 1);
  BOOST_TEST(contains(reserved.err, "inngest/x"));
  BOOST_TEST(world.call({"events", "show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"}).status == 1);
  BOOST_TEST(contains(world.call({"events", "show", "../functions"}).err, "../functions"));
}

BOOST_AUTO_TEST_CASE(events_are_listed_newest_first_by_name_and_number) {
  command_world world;
  for (const char* n : {"1", "2", "3"}) BOOST_TEST(world.call({"send", "a b", std::string{R"({"n": )"} + n + "}"}).status == 0);
  const auto other = world.call({"send", "other"}).out.substr(0, 26);
  BOOST_TEST(world.ask({"events", "list"}).size() == 4);
  BOOST_TEST(world.ask({"events", "list"})[0]["internal_id"] == other);
  const auto named = world.ask({"events", "list", "--name", "a b", "--limit", "2"});
  BOOST_REQUIRE(named.size() == 2);
  BOOST_TEST(named[0]["data"]["n"] == 3);
  BOOST_TEST(named[1]["data"]["n"] == 2);
  const auto shown = world.call({"events", "list", "--name", "a b", "--limit", "1"});
  BOOST_TEST(shown.status == 0);
  BOOST_TEST(shown.out.starts_with("EVENT "));
  BOOST_TEST(contains(shown.out, R"({"n":3})"));
  BOOST_TEST(world.ask({"events", "list", "--from", "1h", "--limit", "2000"}).size() == 4);
  BOOST_TEST(world.ask({"events", "list", "--to", "1h"}).empty());
  BOOST_TEST(world.call({"events", "list", "--from", "soon"}).status == 2);
}

// Whoever may send events writes to the operator's terminal.
BOOST_AUTO_TEST_CASE(what_others_sent_does_not_control_the_terminal) {
  const command_world world;
  const std::string name = "a\x1b]0;title\x07\x1b[2J\nforged\xC2\x9B" "31m";
  BOOST_TEST(world.call({"send", name, R"({"t":"\u001b[2J \u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"})"}).status == 0);
  const auto shown = world.call({"events", "list"}).out;
  for (const char* const control : {"\x1b", "\x07", "\xC2\x9B", "\nforged"}) BOOST_TEST(shown.find(control) == std::string::npos, shown);
  BOOST_TEST(shown.find("forged") != std::string::npos);
  BOOST_TEST(storage::is_utf8(shown), shown);  // what is cut is cut between characters
  const auto told = world.call({"events", "list", "--json"});
  BOOST_TEST(told.json().at(0)["name"] == name);
  for (const char* const control : {"\x1b", "\xC2\x9B"}) BOOST_TEST(told.out.find(control) == std::string::npos, told.out);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_printed_whole_is_no_success) {
  const command_world world;
  BOOST_TEST(std::system((std::string{CAESURA_COMMAND} + " --url " + world.url() + " functions list > /dev/full 2> /dev/null").c_str()) == 1 << 8);
}

BOOST_AUTO_TEST_CASE(runs_are_listed_by_function_status_expression_and_window) {
  command_world world;
  const auto first = world.start_and_end({{"id", "t-1"}});
  const auto second = world.start_sleeping("t-2");
  const auto third = world.start({{"id", "t-3"}}, "go/other");
  const auto listed = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {"runs", "list"});
    std::vector<std::string> ids;
    for (const auto& run : world.ask(options)) ids.push_back(run["run_id"]);
    return ids;
  };
  const auto is = [](std::vector<std::string> given, const std::vector<std::string>& expected) {
    BOOST_TEST(given == expected, boost::test_tools::per_element());
  };
  is(listed({}), {third, second, first});
  is(listed({"--limit", "1"}), {third});
  is(listed({"--function", "app-f"}), {second, first});
  is(listed({"--status", "sleeping"}), {second});
  is(listed({"--function", "app-f", "--status", "sleeping", "--status", "completed"}), {second, first});
  is(listed({"--if", "event.data.id == 't-1'"}), {first});
  is(listed({"--if", "event.data.id == 't-1' || event.data.id == 't-2'", "--status", "sleeping"}), {second});
  is(listed({"--from", "1h"}), {third, second, first});
  is(listed({"--to", "1h"}), {});
  is(listed({"--from", "2100-01-01T00:00:00Z"}), {});
  const auto shown = world.call({"runs", "list", "--function", "app-f"});
  BOOST_TEST(contains(shown.out, "RUN"));
  BOOST_TEST(contains(shown.out, second + "  sleeping   app-f"));
  const auto wrong = world.call({"runs", "list", "--if", "event.data.id =="});
  BOOST_TEST(wrong.status == 1);
  BOOST_TEST(wrong.err != "");
}

BOOST_AUTO_TEST_CASE(one_run_is_shown_cancelled_and_replayed) {
  command_world world;
  const auto run = world.start_sleeping("t-1");
  BOOST_TEST(world.ask({"runs", "show", run})["state"] == "sleeping");
  BOOST_TEST(contains(world.call({"runs", "replay", run}).err, run));  // it has not ended
  BOOST_TEST(world.call({"runs", "cancel", run, "--reason", "asked & told"}).out == "cancelled\n");
  BOOST_TEST(world.ask({"runs", "cancel", run})["outcome"] == "already_cancelled");
  const auto shown = world.call({"runs", "show", run});
  BOOST_TEST(contains(shown.out, "asked & told"));
  const auto again = world.ask({"runs", "replay", run})["run_id"].get<std::string>();
  BOOST_TEST(world.ask({"runs", "show", again})["original_run_id"] == run);
  for (const char* verb : {"show", "cancel", "replay"}) {
    const auto unknown = world.call({"runs", verb, "01ARZ3NDEKTSV4RRFFQ69G5FAV"});
    BOOST_TEST(unknown.status == 1);
    BOOST_TEST(contains(unknown.err, "01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    BOOST_TEST(world.call({"runs", verb, "no id"}).status == 1);
  }
}

BOOST_AUTO_TEST_CASE(a_bulk_cancel_previews_asks_and_cancels_exactly_what_is_meant) {
  command_world world;
  const auto one = world.start_sleeping("t-1");
  const auto two = world.start_sleeping("t-2");
  const auto other = world.start({{"id", "t-1"}, {"sleeps", true}}, "go/other");
  const std::vector<std::string> meant{"cancel", "--function", "app-f", "--if", "event.data.id == 't-1'", "--reason", "wrong price"};
  const auto with = [&](const char* option) {
    auto arguments = meant;
    arguments.emplace_back(option);
    return arguments;
  };
  BOOST_TEST(world.ask(with("--preview"))["count"] == 1);
  BOOST_TEST(contains(world.call(with("--preview")).out, one));
  const auto refused = world.call(meant);
  BOOST_TEST(refused.status == 1);
  BOOST_TEST(contains(refused.err, "1 run of app-f"));
  BOOST_TEST(contains(refused.err, "--yes"));
  const auto declined = world.call(meant, "n\n", true);
  BOOST_TEST(declined.status == 1);
  BOOST_TEST(contains(declined.err, "Cancel 1 run of app-f?"));
  BOOST_TEST(world.status_of(one) == run_status::sleeping);

  const auto agreed = world.call(meant, "y\n", true);
  BOOST_TEST(agreed.status == 0);
  BOOST_TEST(agreed.out.starts_with("1 run cancelled"));
  BOOST_TEST(world.status_of(one) == run_status::cancelled);
  BOOST_TEST(world.status_of(two) == run_status::sleeping);
  BOOST_TEST(!is_ended(world.status_of(other)));
  const auto job = world.ask({"cancel", "--function", "app-f", "--yes"});
  BOOST_TEST(job["progress"]["status"] == "done");
  BOOST_TEST(job["progress"]["cancelled"] == 1);
  BOOST_TEST(world.ask({"cancel", "--function", "app-f", "--yes", "--no-wait"}).contains("id"));
}

BOOST_AUTO_TEST_CASE(a_bulk_cancel_that_cannot_be_names_why) {
  command_world world;
  const auto unknown = world.call({"cancel", "--function", "nothing", "--yes"});
  BOOST_TEST(unknown.status == 1);
  BOOST_TEST(contains(unknown.err, "\"nothing\""));
  const auto window = world.call({"cancel", "--function", "app-f", "--from", "1h", "--to", "2h", "--yes"});
  BOOST_TEST(window.status == 1);
  BOOST_TEST(contains(window.err, "started_after"));
}

BOOST_AUTO_TEST_CASE(long_work_shows_a_bar_on_a_terminal_only) {
  std::atomic<int> looks{0};
  const auto job = [&](bool is_done) {
    const json progress{{"status", is_done ? "done" : "working"}, {"matched", 4}, {"cancelled", is_done ? 3 : 2}, {"cancelling", is_done ? 1 : 0}, {"already_ended", 0}, {"left", is_done ? 0 : 2}};
    return http::response::json(200, json{{"data", {{"id", "01J"}, {"progress", progress}}}}.dump());
  };
  const http::listener server{{.port = 0}, [&](http::request&& request, const http::responder& respond) {
                                respond(job(request.method == "GET" && ++looks % 2 == 0));
                              }};
  const std::vector<std::string> arguments{"cancel", "--function", "app-f", "--yes", "--url", "http://127.0.0.1:" + std::to_string(server.port())};
  const auto seen = execute({.arguments = arguments, .on_terminal = true});
  BOOST_TEST(seen.status == 0);
  BOOST_TEST(contains(seen.err, "cancelling [###############               ] 2 of 4"));
  BOOST_TEST(seen.out == "3 runs cancelled, 1 run executing a step, which completes first (cancellation 01J)\n");
  BOOST_TEST(execute({.arguments = arguments}).err == "");
}

BOOST_AUTO_TEST_CASE(runs_are_replayed_by_id_and_in_bulk) {
  command_world world;
  const auto one = world.start_and_end({{"id", "t-1"}});
  const auto two = world.start_and_end({{"id", "t-2"}});
  const auto sleeping = world.start_sleeping("t-3");
  BOOST_TEST(world.ask({"replay", one})["replayed"][0]["replay_of"] == one);
  const auto mixed = world.call({"replay", two, sleeping});
  BOOST_TEST(mixed.status == 1);
  BOOST_TEST(std::ranges::count(mixed.out, '\n') == 1);
  BOOST_TEST(contains(mixed.err, "1 run of 2 could not be replayed"));
  BOOST_TEST(contains(mixed.err, sleeping));

  // What has completed is done again only if that is said.
  BOOST_TEST(world.ask({"replay", "--function", "app-f", "--to", "0", "--preview"})["count"] == 0);
  const std::vector<std::string> meant{"replay", "--function", "app-f", "--status", "completed", "--if", "event.data.id == 't-1'", "--to", "0"};
  auto preview = meant;
  preview.emplace_back("--preview");
  const auto found = world.ask(preview);
  BOOST_TEST(found["runs"][0]["run_id"] == one);
  BOOST_TEST(world.call(meant).status == 1);  // nobody can be asked
  const auto agreed = world.call(meant, "y\n", true);
  BOOST_TEST(agreed.status == 0);
  BOOST_TEST(static_cast<std::size_t>(std::ranges::count(agreed.out, '\n')) == found["count"].get<std::size_t>());
}

BOOST_AUTO_TEST_CASE(functions_are_listed_paused_and_resumed) {
  command_world world;
  BOOST_TEST(world.ask({"functions", "list"}).size() == 2);
  BOOST_TEST(world.call({"functions", "pause", "app-f", "--reason", "wrong price"}).out == "app-f is paused\n");
  const auto skipped = world.start({{"id", "t-1"}});
  BOOST_TEST(world.status_of(skipped) == run_status::skipped);
  const auto listed = world.call({"functions", "list"});
  BOOST_TEST(contains(listed.out, "app-f      paused  1        wrong price"));
  BOOST_TEST(contains(listed.out, "app-other  active"));
  BOOST_TEST(world.ask({"functions", "resume", "app-f", "--replay-skipped"})["skipped"] == 1);
  BOOST_TEST(world.call({"functions", "resume", "app-f"}).out == "app-f was not paused\n");
  const auto unknown = world.call({"functions", "pause", "nothing"});
  BOOST_TEST(unknown.status == 1);
  BOOST_TEST(contains(unknown.err, "nothing"));
}

BOOST_AUTO_TEST_CASE(explain_tells_what_a_run_waits_for_and_what_an_event_did_to_it) {
  command_world world;
  const auto run = world.start_sleeping("t-1");
  const auto told = world.ask({"explain", run});
  BOOST_TEST(told["state"] == "sleeping");
  BOOST_TEST(told["because"].get<std::string>().starts_with("it sleeps until 20"));
  BOOST_TEST(told["waits_for"].size() == 1);
  BOOST_TEST(told["timeline"][0]["what"] == "created");
  const auto missed = world.call({"send", "stop", R"({"id": "T-1"})"}).out.substr(0, 26);
  const auto why = world.call({"explain", run, "--event", missed});
  BOOST_TEST(contains(why.out, "no rule applies"));
  BOOST_TEST(contains(why.out, "event.data.id = \"t-1\""));
  const auto hit = world.call({"send", "stop", R"({"id": "t-1"})"}).out.substr(0, 26);
  BOOST_TEST(contains(world.call({"explain", run}).out, "is cancelled: asked by event " + hit));
  BOOST_TEST(world.ask({"explain", run, "--event", hit})["event"]["cancelled"] == true);
  BOOST_TEST(world.call({"explain", "01ARZ3NDEKTSV4RRFFQ69G5FAV"}).status == 1);
  BOOST_TEST(world.call({"explain", run, "--event", "nothing"}).status == 1);
}

BOOST_AUTO_TEST_CASE(with_keys_the_command_shows_them) {
  command_world world{{.signing_key = "signkey-test-00ff", .event_keys = {"right"}}};
  BOOST_TEST(world.call({"functions", "list"}).status == 1);
  BOOST_TEST(world.call({"functions", "list", "--key", "signkey-test-00ff"}).status == 0);
  BOOST_TEST(world.call({"send", "go"}).status == 1);
  BOOST_TEST(world.call({"send", "go", "--event-key", "right"}).status == 0);
}

// It would be taken for the key with which commands ask a server, and the server would start without any.
BOOST_AUTO_TEST_CASE(a_server_is_not_started_without_the_key_that_was_meant_for_it) {
  const testing::temporary_directory directory;
  const std::vector<std::string> serve{"serve", "--dir", directory.path() + "/store", "--port", "0"};
  auto behind = serve;
  behind.insert(behind.end(), {"--key", "signkey-test-00ff"});
  auto before = serve;
  before.insert(before.begin(), {"--key", "signkey-test-00ff"});
  for (const auto& arguments : {behind, before}) {
    const auto refused = execute({.arguments = arguments});
    BOOST_TEST(refused.status == 2);
    BOOST_TEST(contains(refused.err, "--signing-key"), refused.err);
    BOOST_TEST(refused.out == "");
  }
  program server{{.arguments = serve, .environment = {{"INNGEST_SIGNING_KEY", "signkey-test-00ff"}}}};
  const auto line = server.line();
  BOOST_REQUIRE(contains(line, "http://"));
  BOOST_TEST(execute({.arguments = {"functions", "list", "--url", line.substr(line.find("http://"))}}).status == 1);
  server.signal(SIGTERM);
  BOOST_TEST(server.end().status == 0);
}

BOOST_AUTO_TEST_CASE(verify_is_what_caesura_verify_is) {
  command_world world;
  world.start_sleeping("t-1");
  BOOST_TEST(execute({.arguments = {"verify", world.directory()}}).status == 2);  // a server has it
  world.close();
  const auto sound = execute({.arguments = {"verify", world.directory(), "--json"}});
  BOOST_TEST(sound.status == 0);
  BOOST_TEST(sound.json()["is_sound"] == true);
  BOOST_TEST(sound.json()["records"]["live_runs"] == 1);
  const auto none = execute({.arguments = {"verify", world.directory() + "/elsewhere"}});
  BOOST_TEST(none.status == 2);
  BOOST_TEST(contains(none.err, "elsewhere"));
}

BOOST_AUTO_TEST_CASE(a_served_directory_is_released_at_sigterm) {
  const testing::temporary_directory directory;
  program server{{.arguments = {"serve", "--dir", directory.path() + "/store", "--port", "0"}}};
  const auto line = server.line();
  const auto url = line.substr(line.find("http://"));
  BOOST_TEST(execute({.arguments = {"functions", "list", "--json", "--url", url}}).json() == json::array());
  const auto taken = execute({.arguments = {"serve", "--dir", directory.path() + "/store", "--port", "0"}});
  BOOST_TEST(taken.status == 1);
  BOOST_TEST(contains(taken.err, directory.path()));
  const auto keyless = execute({.arguments = {"serve", "--dir", directory.path() + "/other", "--port", "0", "--signing-key-fallback", "signkey-test-00ff"}});
  BOOST_TEST(keyless.status == 1);
  BOOST_TEST(contains(keyless.err, "no signing key"));
  server.signal(SIGTERM);
  const auto ended = server.end();
  BOOST_TEST(ended.status == 0);
  BOOST_TEST(execute({.arguments = {"verify", directory.path() + "/store"}}).status == 0);
}

BOOST_AUTO_TEST_CASE(the_completion_knows_every_command_and_option) {
  const testing::temporary_directory directory;
  const auto script = execute({.arguments = {"completion", "bash"}});
  BOOST_TEST(script.status == 0);
  const auto file = directory.path() + "/script";
  std::ofstream{file} << script.out;
  const auto completed = [&](const std::string& words, int at) {
    const auto out = directory.path() + "/out";
    const auto command = "bash -c 'source " + file + "; COMP_WORDS=(" + words + "); COMP_CWORD=" + std::to_string(at) + "; _caesura; echo ${COMPREPLY[*]}' >" + out;
    BOOST_REQUIRE(std::system(command.c_str()) == 0);
    std::string text;
    std::getline(std::ifstream{out}, text);
    return text;
  };
  BOOST_TEST(completed("caesura fun", 1) == "functions");
  BOOST_TEST(completed("caesura runs \"\"", 2).find("cancel") != std::string::npos);
  BOOST_TEST(completed("caesura --json runs li", 3) == "list");
  BOOST_TEST(completed("caesura cancel --pre", 2) == "--preview");
  BOOST_TEST(completed("caesura runs list --u", 3) == "--url");
  BOOST_TEST(completed("caesura runs list --status sl", 4) == "sleeping");
  BOOST_TEST(completed("caesura completion b", 2) == "bash");
  ::mkdir((directory.path() + "/stores").c_str(), 0700);
  BOOST_TEST(completed("caesura verify " + directory.path() + "/st", 2) == directory.path() + "/stores");
}

BOOST_AUTO_TEST_SUITE_END()
