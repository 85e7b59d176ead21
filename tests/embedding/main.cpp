// The README's example, as a program of its own.

#include <filesystem>
#include <iostream>
#include <string>

#include <caesura/caesura.hpp>

struct push_service {
  std::string last;
  void push(const std::string& user, const std::string& text) { last = user + ": " + text; }
};

struct reminder {
  std::string id, userId, reminderBody;
  caesura::time_point remindAt;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(reminder, id, userId, reminderBody, remindAt)
};

caesura::function schedule_reminder(push_service& push) {
  return {.id = "schedule-reminder",
          .triggers = {{.event = "tasks/reminder.created"}},
          .cancel_on = {{.event = "tasks/deleted", .when = "event.data.id == async.data.id"}},
          .body = [&push](caesura::context step, reminder r) -> caesura::task<> {
            co_await step.sleep_until("sleep-until-remind-at-time", r.remindAt);
            co_await step.run("send-reminder-push", [&] { push.push(r.userId, r.reminderBody); });
          }};
}

int main() {
  using namespace std::chrono_literals;
  const auto directory = std::filesystem::temp_directory_path() / "caesura-outside";
  std::filesystem::remove_all(directory);
  push_service push;
  bool is_true = false;
  {
    caesura::runtime runtime{{.directory = directory.string()}, {schedule_reminder(push)}};
    const auto later = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const auto kept = runtime.send({.name = "tasks/reminder.created",
                                    .data = {{"id", "t-1"}, {"userId", "u-1"}, {"reminderBody", "tea"}, {"remindAt", caesura::to_string(later)}}});
    const auto dropped = runtime.send({.name = "tasks/reminder.created",
                                       .data = {{"id", "t-2"},
                                                {"userId", "u-1"},
                                                {"reminderBody", "tea"},
                                                {"remindAt", caesura::to_string(later + caesura::days{7})}}});
    runtime.send({.name = "tasks/deleted", .data = {{"id", "t-2"}}});
    const auto one = runtime.wait(kept.runs.at(0), 30s);
    const auto two = runtime.wait(dropped.runs.at(0), 30s);
    is_true = one && one->status == caesura::run_status::completed && two && two->status == caesura::run_status::cancelled &&
              push.last == "u-1: tea";
  }
  std::filesystem::remove_all(directory);
  std::cout << (is_true ? "embedded\n" : "not as promised\n");
  return is_true ? 0 : 1;
}
