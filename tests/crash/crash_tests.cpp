// Real processes, really killed: SIGKILL at every commit of a scenario, just before and just after it.

#include <boost/test/unit_test.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <caesura/verify.hpp>

#include "tests/support/temporary_directory.hpp"

namespace {

int run_child(const std::string& directory, std::uint64_t kill_at, const std::string& when) {
  const auto at = std::to_string(kill_at);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(CRASH_CHILD, CRASH_CHILD, directory.c_str(), at.c_str(), when.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

// What the child wrote, in its order.
struct history {
  std::vector<std::vector<std::string>> lines;
  std::uint64_t commits = 0;

  explicit history(const std::string& directory) {
    std::ifstream in{directory + "/log"};
    for (std::string line; std::getline(in, line);) {
      std::istringstream words{line};
      lines.emplace_back(std::istream_iterator<std::string>{words}, std::istream_iterator<std::string>{});
      if (lines.back().at(0) == "commits") commits = std::stoull(lines.back().at(1));
    }
  }
};

// The promises that no crash may break. `restarts_at`: the line where the second process began.
void check(const history& seen, std::size_t restarts_at) {
  std::map<std::string, std::string> ends;
  for (const auto& line : seen.lines) {
    if (line[0] == "end") ends[line[1]] = line[2];
  }
  std::set<std::string> cancelled;
  std::map<std::string, int> in_flight;
  std::map<std::string, int> cleanups;
  std::map<std::string, std::vector<std::size_t>> starts;
  for (std::size_t i = 0; i < seen.lines.size(); ++i) {
    const auto& line = seen.lines[i];
    if (line[0] == "accepted") BOOST_TEST(ends.contains(line[1]), "accepted run " << line[1] << " has not ended");
    if (line[0] == "cancelled" || line[0] == "cancelling") {
      // `cancelling`: the one step that executes may say so late, in this process; none starts in the next.
      if (line[0] == "cancelled") cancelled.insert(line[1]);
      else in_flight[line[1]] = 1;
      BOOST_TEST(ends[line[1]] == "cancelled", "run " << line[1] << " was cancelled and ended " << ends[line[1]]);
    }
    if (line[0] == "cleanup") ++cleanups[line[1]];
    if (line[0] != "step") continue;
    if (const auto found = in_flight.find(line[1]); found != in_flight.end()) {
      BOOST_TEST((i < restarts_at && found->second-- > 0), "step " << line[2] << " of run " << line[1] << " started after its cancel was answered");
    }
    BOOST_TEST(!cancelled.contains(line[1]), "step " << line[2] << " of run " << line[1] << " started after its cancel was answered");
    starts[line[1] + "/" + line[2]].push_back(i);
    // What stands behind a started second step is recorded: the first never starts again.
    if (line[2] == "first") {
      BOOST_TEST(!starts.contains(line[1] + "/second"), "the recorded first step of run " << line[1] << " executed again");
    }
  }
  for (const auto& [step, at] : starts) {
    // Once in a process; again only if the crash came between the effect and its record.
    BOOST_TEST(at.size() <= 2U, step << " executed " << at.size() << " times");
    if (at.size() == 2U) BOOST_TEST((at[0] < restarts_at && at[1] >= restarts_at), step << " executed twice in one process");
  }
  for (const auto& [run, status] : ends) {
    if (status == "cancelled") BOOST_TEST(cleanups[run] >= 1, "nobody was told of cancelled run " << run);
    BOOST_TEST(cleanups[run] <= 2, "run " << run << " was cleaned up " << cleanups[run] << " times");
  }
}

void check_store(const std::string& directory, const std::string& when, std::uint64_t commit) {
  const auto report = caesura::verify(directory + "/store");
  for (const auto& fault : report.faults) BOOST_ERROR("killed " << when << " commit " << commit << ": " << fault.text);
}

std::uint64_t commits_of_the_whole_scenario() {
  const caesura::testing::temporary_directory directory;
  BOOST_REQUIRE(run_child(directory.path(), 0, "play") == 0);
  const history seen{directory.path()};
  check(seen, seen.lines.size());
  return seen.commits;
}

void kill_at_every_commit(const std::string& when) {
  const auto commits = commits_of_the_whole_scenario();
  BOOST_TEST(commits >= 50U);
  std::uint64_t killed = 0;
  for (std::uint64_t at = 1; at <= commits; ++at) {
    const caesura::testing::temporary_directory directory;
    const int status = run_child(directory.path(), at, when);
    if (!WIFSIGNALED(status)) continue;  // batches differ between runs: this one had fewer commits
    ++killed;
    const auto restarts_at = history{directory.path()}.lines.size();
    check_store(directory.path(), when, at);
    BOOST_REQUIRE_MESSAGE(run_child(directory.path(), 0, "recover") == 0, "no recovery from a kill " << when << " commit " << at);
    check_store(directory.path(), when, at);
    BOOST_TEST_CONTEXT("killed " << when << " commit " << at) { check(history{directory.path()}, restarts_at); }
  }
  BOOST_TEST_MESSAGE("killed " << when << " " << killed << " of " << commits << " commits");
  BOOST_TEST(killed >= 50U);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(crash)

BOOST_AUTO_TEST_CASE(a_kill_before_any_commit_breaks_no_promise) { kill_at_every_commit("before"); }

BOOST_AUTO_TEST_CASE(a_kill_after_any_commit_and_before_its_answer_breaks_no_promise) { kill_at_every_commit("after"); }

BOOST_AUTO_TEST_SUITE_END()
