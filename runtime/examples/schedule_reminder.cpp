// Reminders that survive a crash: each is a run that sleeps until its time and then sends a push. Deleting the task cancels it.
//
//   schedule_reminder --demo                           a story of ten seconds: create, delete, crash, recover, remind
//   schedule_reminder --directory DIR --events FILE    sends the events of FILE ("-": standard input), one JSON object a
//                                                      line, then waits until every run in DIR has ended
//   schedule_reminder --directory DIR                  goes on with what is under way in DIR
//
// End it as you like, Ctrl-C or kill -9: the next start on the same directory goes on.

#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "reminder_demo.hpp"
#include "reminder_program.hpp"

namespace {

using namespace reminders;

constexpr const char* usage =
    "usage: schedule_reminder [--directory DIR] [--events FILE|-] [--no-wait]\n"
    "       schedule_reminder --demo\n"
    "\n"
    "  --directory DIR   where the runs are kept (default: ./reminders); made when missing\n"
    "  --events FILE     events to send, one JSON object a line: {\"name\", \"data\", \"id\", \"ts\"}, of which\n"
    "                    \"id\" and \"ts\" (ms since 1970) are optional; - reads standard input\n"
    "  --no-wait         ends once the events are sent; the runs go on at the next start\n"
    "  --demo            a story of about ten seconds, which checks itself\n"
    "\n"
    "Exit status: 0; 1 when a line could not be sent; 2 when the command line or the directory cannot be used.\n";

struct arguments {
  std::string directory{"reminders"};
  std::optional<std::string> events{};
  bool waits{true};
  std::optional<demo_arguments> demo{};
};

// Throws std::invalid_argument with a sentence.
arguments parse(const std::vector<std::string>& words) {
  arguments result;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto value = [&] {
      if (i + 1 == words.size()) throw std::invalid_argument{words[i] + " needs a value"};
      return words[++i];
    };
    if (words[i] == "--directory") {
      result.directory = value();
    } else if (words[i] == "--events") {
      result.events = value();
    } else if (words[i] == "--no-wait") {
      result.waits = false;
    } else if (words[i] == "--demo") {
      result.demo.emplace();
    } else if (words[i] == "--demo-part") {  // how the demo starts its processes
      result.demo.emplace();
      result.demo->part = std::stoi(value());
      result.demo->directory = value();
      result.demo->begun = caesura::time_point{caesura::duration{std::stoll(value())}};
    } else {
      throw std::invalid_argument{"unknown argument \"" + words[i] + "\""};
    }
  }
  return result;
}

// Throws nlohmann::json::exception or std::invalid_argument with a sentence.
caesura::event parse_event(const std::string& line) {
  const auto json = nlohmann::json::parse(line);
  if (!json.is_object()) throw std::invalid_argument{"the line is not a JSON object"};
  if (!json.contains("name")) throw std::invalid_argument{"the event has no \"name\""};
  caesura::event event{.name = json["name"].get<std::string>(), .data = json.value("data", nlohmann::json{})};
  if (json.contains("id") && !json["id"].is_null()) event.id = json["id"].get<std::string>();
  if (json.contains("ts") && !json["ts"].is_null()) event.time = json["ts"].get<caesura::time_point>();
  return event;
}

struct numbered_event {
  std::size_t line{0};
  caesura::event event{};
};

// Sends the lines of a stream and prints one line for each.
class event_sender {
 public:
  explicit event_sender(program& program) : program_{program} {
    for (const auto& run : program.open_runs()) open_.push_back(run.id);
  }

  // Reads until the end. Lines that are there already are sent together, at most a thousand: one commit instead of many.
  void send_all(std::istream& in, bool is_terminal_or_pipe) {
    std::vector<numbered_event> waiting;
    std::string line;
    for (std::size_t number = 1; std::getline(in, line); ++number) {
      if (line.find_first_not_of(" \t\r") != std::string::npos) {
        try {
          waiting.push_back({number, parse_event(line)});
        } catch (const std::exception& e) {
          send(waiting);
          complain(number, e);
        }
      }
      if (waiting.size() == 1'000 || (is_terminal_or_pipe && !has_more(in))) send(waiting);
    }
    send(waiting);
  }

  // Calls `tell` for each run that was open, or was started, and has ended; but not for those reported as cancelled.
  template <class F>
  void tell_ended(F tell) {
    for (const auto& id : open_) {
      const auto run = program_.runtime().get(id);
      if (run && is_ended(run->status)) tell(*run);
    }
  }

  [[nodiscard]] bool has_complained() const noexcept { return has_complained_; }

 private:
  static bool has_more(std::istream& in) {
    if (in.rdbuf()->in_avail() > 0) return true;
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    return ::poll(&input, 1, 0) > 0 && (input.revents & POLLHUP) == 0;
  }

  void send(std::vector<numbered_event>& waiting) {
    if (waiting.empty()) return;
    std::vector<caesura::event> events;
    for (const auto& entry : waiting) events.push_back(entry.event);
    try {
      report(waiting, program_.runtime().send(events));
    } catch (const caesura::error&) {
      send_singly(waiting);  // an array is accepted as a whole or not at all; singly, only the faulty ones are refused
    }
    waiting.clear();
  }

  void send_singly(const std::vector<numbered_event>& waiting) {
    for (const auto& entry : waiting) {
      try {
        report({entry}, {program_.runtime().send(entry.event)});
      } catch (const caesura::error& e) {
        complain(entry.line, e);
      }
    }
  }

  void report(const std::vector<numbered_event>& events, const std::vector<caesura::sent>& answers) {
    for (const auto& answer : answers) {
      if (!answer.is_duplicate) open_.insert(open_.end(), answer.runs.begin(), answer.runs.end());
    }
    const bool may_cancel = std::ranges::any_of(events, [](const auto& entry) { return entry.event.name == "tasks/deleted"; });
    const auto cancelled = may_cancel ? take_cancelled() : cancelled_runs{};
    for (std::size_t i = 0; i < events.size(); ++i) {
      std::string did;
      const auto append = [&](const std::string& text) { did += (did.empty() ? "" : ", ") + text; };
      const std::string verb = answers[i].is_duplicate ? "duplicate of what started run " : "started run ";
      for (const auto& run : answers[i].runs) append(verb + to_string(run));
      if (answers[i].is_duplicate && did.empty()) append("duplicate");
      if (const auto found = cancelled.find(answers[i].id); found != cancelled.end() && !answers[i].is_duplicate) {
        for (const auto& text : found->second) append(text);
      }
      if (did.empty()) append("nothing started, nothing cancelled");
      std::cout << "line " << events[i].line << ": " << events[i].event.name << " " << answers[i].event << ": " << did << "\n";
    }
    std::cout << std::flush;
  }

  // What the events just sent have cancelled, by event. Looks at the runs that were open.
  using cancelled_runs = std::unordered_map<caesura::event_id, std::vector<std::string>>;
  cancelled_runs take_cancelled() {
    cancelled_runs result;
    std::erase_if(open_, [&](const caesura::run_id& id) {
      const auto run = program_.runtime().get(id);
      if (run && run->cancelled_by && run->cancelled_by->source == caesura::cancel_source::event) {
        const bool is_over = run->status == caesura::run_status::cancelled;
        result[run->cancelled_by->event].push_back((is_over ? "cancelled run " : "cancelling run ") + to_string(id));
        return is_over;
      }
      return false;
    });
    return result;
  }

  void complain(std::size_t line, const std::exception& why) {
    has_complained_ = true;
    std::cerr << "line " << line << ": " << why.what() << std::endl;
  }

  program& program_;
  std::vector<caesura::run_id> open_;
  bool has_complained_ = false;
};

// Prints how runs ended, each once.
class end_printer {
 public:
  void print(const caesura::run_info& run) {
    if (!printed_.insert(run.id).second) return;
    const auto reason = reason_of(run);
    std::cout << "run " << to_string(run.id) << " of " << run.function << ": " << to_string(run.status)
              << (reason.empty() ? "" : " (" + reason + ")") << std::endl;
  }

 private:
  std::unordered_set<caesura::run_id> printed_;
};

int run(const arguments& given) {
  std::ifstream file;
  const bool is_standard_input = given.events == "-";
  if (given.events && !is_standard_input) {
    file.open(*given.events);
    if (!file) throw std::invalid_argument{"cannot read " + *given.events};
  }
  const auto diagnose = [](const std::string& text, const caesura::run_id&) { std::cerr << "note: " << text << std::endl; };
  program program{given.directory, {.on_diagnostic = diagnose}};
  for (const auto& run : program.open_runs()) {
    std::cout << "under way: run " << to_string(run.id) << " of " << run.function << ", " << to_string(run.status)
              << (run.wakes_at ? " until " + caesura::to_string(*run.wakes_at) : "") << "\n";
  }
  event_sender sender{program};
  if (given.events) sender.send_all(is_standard_input ? std::cin : file, is_standard_input);
  end_printer ends;
  const auto tell = [&](const caesura::run_info& run) { ends.print(run); };
  sender.tell_ended(tell);
  if (given.waits) program.wait_for_all(tell);
  sender.tell_ended(tell);  // those that ended while nobody looked
  return sender.has_complained() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  try {
    const auto given = parse({argv + 1, argv + argc});
    return given.demo ? tell_demo(*given.demo) : run(given);
  } catch (const std::invalid_argument& e) {
    std::cerr << e.what() << "\n\n" << usage;
    return 2;
  } catch (const std::exception& e) {
    std::cerr << "schedule_reminder: " << e.what() << "\n";
    return 2;
  }
}
