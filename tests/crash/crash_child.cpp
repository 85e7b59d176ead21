// The process that is killed. crash_child DIRECTORY KILL_AT WHEN: opens a runtime over the directory, plays a scenario, and kills itself
// with SIGKILL at commit number KILL_AT, WHEN = before | after it; 0 plays to the end. What must be known of it afterwards goes to
// DIRECTORY/log, a line each, written with O_APPEND before anything else happens: the page cache survives the process.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <caesura/caesura.hpp>

#include "actors/step_threads.hpp"
#include "runtime/environment.hpp"

namespace {

using namespace caesura;
using namespace std::chrono_literals;

int log_file = -1;

void log_line(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(log_file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
}

// Two steps and a short sleep; the steps say when they start and end.
function work() {
  return {.id = "work",
          .triggers = {{.event = "work/created"}},
          .cancel_on = {{.event = "work/deleted", .when = "event.data.id == async.data.id"}},
          .body = [](context step) -> task<> {
            const auto run = to_string(step.id());
            co_await step.run("first", [&] { log_line("step " + run + " first"); });
            co_await step.sleep_for("blink", 20ms);
            co_await step.run("second", [&] { log_line("step " + run + " second"); });
          }};
}

function cleanup() {
  return {.id = "cleanup",
          .triggers = {{.event = "inngest/function.cancelled"}},
          .body = [](context step, event e) -> task<> {
            const auto about = e.data.json().at("run_id").get<std::string>();
            co_await step.run("clean", [&] { log_line("cleanup " + about); });
          }};
}

// The cancel was answered. While the run has not ended, a step that passed its gate before may still be about to say so.
void log_cancel(runtime& runtime, const run_id& run) {
  const auto status = runtime.get(run).value().status;
  if (status == run_status::completed) return;  // before the event
  log_line((is_ended(status) ? "cancelled " : "cancelling ") + to_string(run));
}

void play(runtime& runtime, int generation) {
  for (int i = 0; i < 24; ++i) {
    const std::string id = "w-" + std::to_string(generation) + "-" + std::to_string(i);
    const auto sent = runtime.send({.name = "work/created", .data = {{"id", id}}, .id = id});
    for (const auto& run : sent.runs) log_line("accepted " + to_string(run));
    if (i % 3 == 0) {
      const event deleted{.name = "work/deleted", .data = {{"id", id}}};
      runtime.send(deleted);
      for (const auto& run : sent.runs) log_cancel(runtime, run);
    } else if (i % 3 == 1) {
      const auto outcome = runtime.cancel(sent.runs.at(0));
      if (outcome != cancel_outcome::already_completed) log_cancel(runtime, sent.runs.at(0));
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) return 2;
  const std::string directory = arguments[1];
  const auto kill_at = std::strtoull(arguments[2], nullptr, 10);
  const bool before = std::string{arguments[3]} == "before";
  log_file = ::open((directory + "/log").c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (log_file < 0) return 2;

  std::atomic<std::uint64_t> commits{0};
  const auto die = [&](std::uint64_t number) {
    commits = number;
    if (number == kill_at) ::kill(::getpid(), SIGKILL);
  };
  const auto count_only = [&](std::uint64_t number) { commits = number; };
  detail::environment hooks;
  hooks.is_real = true;
  hooks.before_commit = before ? std::function<void(std::uint64_t)>{die} : count_only;
  hooks.after_commit = before ? std::function<void(std::uint64_t)>{count_only} : die;
  {
    runtime runtime{{.directory = directory + "/store", .step_threads = 4, .map_size_bytes = std::size_t{256} << 20}, {work(), cleanup()}, hooks};
    if (kill_at != 0 || std::string{arguments[3]} == "play") play(runtime, static_cast<int>(::getpid()));
    // All that was accepted ends, and each cancelled run's cleanup after it.
    for (bool is_all_ended = false; !is_all_ended;) {
      is_all_ended = true;
      std::ptrdiff_t cancelled = 0;
      std::ptrdiff_t cleanups = 0;
      for (page_request part{.limit = 5000};;) {
        const auto page = runtime.list({}, part);
        for (const auto& run : page.runs) {
          if (run.function == "cleanup") ++cleanups;
          if (run.status == run_status::cancelled) ++cancelled;
          if (is_ended(run.status)) continue;
          is_all_ended = false;
          (void)runtime.wait(run.id, 30s);
        }
        if (!page.next) break;
        part.before = page.next;
      }
      if (cancelled != cleanups) is_all_ended = false;  // its event is still in the outbox
    }
    for (const auto& run : runtime.list({}, {.limit = 5000}).runs) {
      log_line("end " + to_string(run.id) + " " + std::string{to_string(run.status)} + " " + run.function);
    }
  }
  log_line("commits " + std::to_string(commits.load()));
  return 0;
}
