#pragma once

// The story that `schedule_reminder --demo` tells, and the check that it was true.
//
// The parent starts this program twice on one directory, as part 1 and part 2, and kills part 1. It opens a runtime of its own
// only after both have ended, to read what is recorded: a process that holds a runtime must not fork.

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include "reminder_program.hpp"

namespace reminders {

using namespace std::chrono_literals;

struct demo_arguments {
  int part{0};  // 0: the parent
  std::string directory{};
  caesura::time_point begun{};
};

// A line that part 1 prints for its parent, not for the reader: everything is durable that the story needs.
inline constexpr const char* ready_mark = "@ready";

inline caesura::time_point wall_clock() { return std::chrono::floor<caesura::duration>(std::chrono::system_clock::now()); }

inline std::string seconds_since(caesura::time_point begun, caesura::time_point time) {
  char text[32];
  std::snprintf(text, sizeof text, "%5.1f s", std::chrono::duration<double>(time - begun).count());
  return text;
}

inline std::vector<reminder> demo_reminders(caesura::time_point begun) {
  return {{.id = "t-1", .userId = "ann", .reminderBody = "water the plants", .remindAt = begun + 8s},
          {.id = "t-2", .userId = "bob", .reminderBody = "call the bank", .remindAt = begun + 9s},
          {.id = "t-3", .userId = "cem", .reminderBody = "feed the cat", .remindAt = begun + 10s}};
}

// The task's id is the event's id too, so that sending it again changes nothing.
inline caesura::event created(const reminder& r) { return {.name = "tasks/reminder.created", .data = r, .id = r.id}; }

// One of the two processes of the story: says what it does, with the seconds since the story began.
class storyteller {
 public:
  explicit storyteller(const demo_arguments& given)
      : begun_{given.begun},
        program_{given.directory,
                 {.on_diagnostic = [this](const std::string& text, const caesura::run_id&) { say("note: " + text); }}} {}

  void create_and_cancel() {
    for (const auto& r : demo_reminders(begun_)) {
      program_.runtime().send(created(r));
      say("created " + r.id + ": \"" + r.reminderBody + "\" for " + r.userId + ", due at" + seconds_since(begun_, r.remindAt));
    }
    std::this_thread::sleep_for(1500ms);
    program_.runtime().send({.name = "tasks/deleted", .data = {{"id", "t-2"}}});
    say("deleted t-2: the event tasks/deleted cancels the run that has the same data.id, and no other");
    while (program_.all_runs("cleanup-after-cancel").empty()) std::this_thread::sleep_for(20ms);
    program_.runtime().wait(program_.all_runs("cleanup-after-cancel").front().id, 30s);
    say("its cancellation is an event as well (inngest/function.cancelled): it has started cleanup-after-cancel");
    std::cout << ready_mark << std::endl;
    std::this_thread::sleep_for(60s);  // until the parent kills this process
  }

  void go_on() {
    const auto tasks = tasks_by_run();
    for (const auto& run : program_.open_runs()) {
      say("recovered " + tasks.at(run.id) + ": its run is " + std::string{to_string(run.status)} + " until" +
          seconds_since(begun_, run.wakes_at.value_or(caesura::time_point{})));
    }
    program_.wait_for_all([&](const caesura::run_info& run) {
      say("reminded of " + tasks.at(run.id) + ": its run has " + std::string{to_string(run.status)});
    });
    say("no run is left: the process ends");
  }

 private:
  // Sending an event again gives the answer of the first time, also hours and crashes later: this is how to find its run.
  std::map<caesura::run_id, std::string> tasks_by_run() {
    std::map<caesura::run_id, std::string> tasks;
    for (const auto& r : demo_reminders(begun_)) tasks[program_.runtime().send(created(r)).runs.at(0)] = r.id;
    return tasks;
  }

  void say(const std::string& text) { std::cout << seconds_since(begun_, wall_clock()) + "  " + text + "\n" << std::flush; }

  const caesura::time_point begun_;
  program program_;
};

// The parent's side.

// A child that executes this program again; what it prints is read through a pipe.
class child_process {
 public:
  child_process(int part, const std::string& directory, caesura::time_point begun) {
    const std::vector<std::string> words{"schedule_reminder", "--demo-part", std::to_string(part), directory,
                                         std::to_string(begun.time_since_epoch().count())};
    std::vector<char*> argv;
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    int ends[2];
    if (::pipe(ends) != 0) throw std::system_error{errno, std::generic_category(), "pipe"};
    pid_ = ::fork();
    if (pid_ < 0) throw std::system_error{errno, std::generic_category(), "fork"};
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(ends[1], STDOUT_FILENO);
      ::close(ends[0]);
      ::close(ends[1]);
      ::execv("/proc/self/exe", argv.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    output_ = ::fdopen(ends[0], "r");
  }
  ~child_process() {
    if (output_ != nullptr) std::fclose(output_);
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  // Prints what the child prints until it ends or prints `mark`; true for the mark.
  bool echo_until(const std::string& mark) {
    char* line = nullptr;
    std::size_t size = 0;
    bool is_found = false;
    while (!is_found && ::getline(&line, &size, output_) > 0) {
      is_found = line == mark + "\n";
      if (!is_found) std::cout << line << std::flush;
    }
    std::free(line);
    return is_found;
  }

  void kill() { ::kill(pid_, SIGKILL); }

  // What waitpid says of its end.
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return status;
  }

 private:
  pid_t pid_ = 0;
  std::FILE* output_ = nullptr;
};

inline std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// What the parent saw itself; everything else is read from the runtime.
struct demo_facts {
  caesura::time_point begun{};
  caesura::time_point killed{};
  caesura::time_point restarted{};
  bool was_killed{false};
  bool second_ended_well{false};
};

// Reads what is recorded, prints it as a timeline, and checks the story.
class demo_verdict {
 public:
  demo_verdict(program& program, std::string directory, const demo_facts& facts)
      : program_{program}, directory_{std::move(directory)}, facts_{facts} {}

  bool tell() {
    add(facts_.killed, "process", "killed with SIGKILL", "by this demo, while two runs slept");
    add(facts_.restarted, "process", "started again", "the same directory: runs and due times are read from disk");
    check(facts_.was_killed && facts_.second_ended_well, "the first process was killed, the second one ended by itself");
    for (const auto& r : demo_reminders(facts_.begun)) follow(r);
    follow_cleanups();
    print_timeline();
    check(lines_of(directory_ + "/pushes.log") ==
              std::vector<std::string>{"push to ann: water the plants", "push to cem: feed the cat"},
          "ann and cem got one push each, bob none");
    check(lines_of(directory_ + "/cleanups.log") == std::vector<std::string>{"forget t-2"},
          "the clean-up was done once, for t-2");
    check(program_.open_runs().empty() && program_.all_runs().size() == 4,
          "three reminders and one clean-up ran, nothing else");
    std::cout << "\nChecked:\n";
    bool is_story_true = true;
    for (const auto& [sentence, is_true] : checks_) {
      std::cout << (is_true ? "  true      " : "  NOT TRUE  ") << sentence << "\n";
      is_story_true = is_story_true && is_true;
    }
    return is_story_true;
  }

 private:
  void add(caesura::time_point when, std::string who, std::string what, std::string why) {
    timeline_.emplace_back(when, timeline_.size(), std::move(who), std::move(what), std::move(why));
  }
  void check(bool is_true, std::string sentence) { checks_.emplace_back(std::move(sentence), is_true); }

  void follow(const reminder& r) {
    const auto answer = program_.runtime().send(created(r));
    check(answer.is_duplicate && answer.runs.size() == 1,
          r.id + ": sending its event again starts nothing and names its one run");
    if (answer.runs.size() != 1) return;
    const auto run = program_.runtime().get(answer.runs.front()).value();
    add(run.created_at, r.id, "created", "event tasks/reminder.created");
    add(run.started_at.value_or(run.created_at), r.id, "sleeping until" + seconds_since(facts_.begun, r.remindAt),
        "step sleep-until-remind-at-time");
    if (r.id == "t-2") {
      follow_cancelled(run);
    } else {
      follow_completed(r, run);
    }
  }

  void follow_cancelled(const caesura::run_info& run) {
    const bool is_as_told = run.status == caesura::run_status::cancelled && run.cancelled_by &&
                            run.cancelled_by->source == caesura::cancel_source::event && run.cancelled_by->rule == 0;
    check(is_as_told && program_.runtime().steps(run.id).empty(),
          "t-2: cancelled by the event, rule 0, and no step of it was executed");
    add(run.ended_at.value_or(run.created_at), "t-2", std::string{to_string(run.status)}, reason_of(run));
  }

  void follow_completed(const reminder& r, const caesura::run_info& run) {
    const auto steps = program_.runtime().steps(run.id);
    const bool has_steps =
        run.status == caesura::run_status::completed && steps.size() == 2 && steps[1].id == "send-reminder-push";
    check(has_steps, r.id + ": completed, with its two steps recorded");
    if (!has_steps) return;
    const auto& push = steps[1];
    const auto due = std::max(r.remindAt, facts_.restarted);
    check(push.started_at >= r.remindAt && push.started_at <= due + 3s && push.started_at > facts_.restarted &&
              run.created_at < facts_.killed,
          r.id + ": created by the first process, pushed by the second, on time");
    add(push.started_at, r.id, "push sent to " + r.userId, "step send-reminder-push, attempt " + std::to_string(push.attempts));
    add(run.ended_at.value_or(push.ended_at), r.id, std::string{to_string(run.status)}, "");
  }

  void follow_cleanups() {
    const auto runs = program_.all_runs("cleanup-after-cancel");
    check(runs.size() == 1 && runs.front().status == caesura::run_status::completed,
          "the cancelled run has exactly one clean-up run");
    for (const auto& run : runs) {
      add(run.created_at, "clean-up", "created", "event inngest/function.cancelled");
      for (const auto& step : program_.runtime().steps(run.id)) {
        add(step.started_at, "clean-up", "t-2 forgotten", "step " + step.id + ", attempt " + std::to_string(step.attempts));
      }
      add(run.ended_at.value_or(run.created_at), "clean-up", std::string{to_string(run.status)}, "");
    }
  }

  void print_timeline() {
    std::ranges::stable_sort(timeline_);
    std::cout << "\nThe timeline, read from the directory (what was recorded at the time):\n";
    for (const auto& [when, place, who, what, why] : timeline_) {
      std::cout << seconds_since(facts_.begun, when) << "  " << padded(who, 10) << (why.empty() ? what : padded(what, 24) + why)
                << "\n";
    }
  }
  static std::string padded(std::string text, std::size_t width) {
    text.resize(std::max(width, text.size() + 2), ' ');
    return text;
  }

  program& program_;
  const std::string directory_;
  const demo_facts facts_;
  std::vector<std::tuple<caesura::time_point, std::size_t, std::string, std::string, std::string>> timeline_;
  std::vector<std::pair<std::string, bool>> checks_;
};

inline demo_facts play(const std::string& directory) {
  demo_facts facts{.begun = wall_clock()};
  std::cout
      << "A reminder is a run: it sleeps until its time, then sends a push. A process creates three, one of them is deleted,\n"
         "then the process is killed. A second process goes on where the first one was.\n\n"
         "The first process:\n";
  {
    child_process first{1, directory, facts.begun};
    if (!first.echo_until(ready_mark)) return facts;
    std::this_thread::sleep_for(500ms);
    first.kill();
    const int status = first.wait();
    facts.killed = wall_clock();
    facts.was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }
  std::cout << seconds_since(facts.begun, facts.killed)
            << "  killed with SIGKILL: it had no chance to save anything. For two seconds nothing runs\n"
            << std::flush;
  std::this_thread::sleep_for(2s);
  facts.restarted = wall_clock();
  std::cout << "\nThe second process:\n" << std::flush;
  child_process second{2, directory, facts.begun};
  second.echo_until({});
  const int status = second.wait();
  facts.second_ended_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return facts;
}

inline int tell_story() {
  std::string directory = (std::filesystem::temp_directory_path() / "caesura-demo-XXXXXX").string();
  if (::mkdtemp(directory.data()) == nullptr) throw std::system_error{errno, std::generic_category(), directory};
  const auto facts = play(directory);
  bool is_true = false;
  {
    program program{directory};
    is_true = demo_verdict{program, directory, facts}.tell();
  }
  if (is_true) {
    std::filesystem::remove_all(directory);
    std::cout << "\nThe story was true.\n";
  } else {
    std::cout << "\nThe story was not true. What is recorded is in " << directory << "\n";
  }
  return is_true ? 0 : 1;
}

// The exit status: 0 only if the story was true.
inline int tell_demo(const demo_arguments& given) {
  if (given.part == 0) return tell_story();
  storyteller teller{given};
  given.part == 1 ? teller.create_and_cancel() : teller.go_on();
  return 0;
}

}  // namespace reminders
