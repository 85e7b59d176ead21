#pragma once

// The two functions of the reminder example, and the services that they use. This is what a program writes.

#include <fcntl.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

#include <caesura/caesura.hpp>

namespace reminders {

// Stands for the world outside: a file to which each effect appends one line, in one write, so that it outlives any crash of
// the process. Any thread.
class effect_log {
 public:
  explicit effect_log(const std::string& path) : file_{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)} {
    if (file_ < 0) throw std::runtime_error{"cannot open " + path};
  }
  ~effect_log() { ::close(file_); }
  effect_log(const effect_log&) = delete;
  effect_log& operator=(const effect_log&) = delete;

  void add(const std::string& text) {
    const std::string line = text + "\n";
    const auto written = ::write(file_, line.data(), line.size());
    if (written != static_cast<ssize_t>(line.size())) throw std::runtime_error{"cannot write the log"};
  }

 private:
  int file_;
};

struct push_service {
  effect_log& log;
  void push(const std::string& user, const std::string& body) { log.add("push to " + user + ": " + body); }
};

struct reminder_database {
  effect_log& log;
  void forget(const std::string& id) { log.add("forget " + id); }
};

// The listing of the README begins here.

struct reminder {
  std::string id, userId, reminderBody;
  caesura::time_point remindAt;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(reminder, id, userId, reminderBody, remindAt)
};

inline caesura::function schedule_reminder(push_service& push) {
  return {
      .id = "schedule-reminder",
      .triggers = {{.event = "tasks/reminder.created"}},
      .cancel_on = {{.event = "tasks/deleted", .when = "event.data.id == async.data.id"}},
      .body = [&push](caesura::context step, reminder r) -> caesura::task<> {
        co_await step.sleep_until("sleep-until-remind-at-time", r.remindAt);
        co_await step.run("send-reminder-push", [&] { push.push(r.userId, r.reminderBody); });
      }};
}

inline caesura::function cleanup_after_cancel(reminder_database& database) {
  return {
      .id = "cleanup-after-cancel",
      .triggers = {{.event = "inngest/function.cancelled", .when = "event.data.function_id == 'schedule-reminder'"}},
      .body = [&database](caesura::context step, caesura::event cancelled) -> caesura::task<> {
        const std::string id = cancelled.data.json()["event"]["data"]["id"];
        co_await step.run("forget-reminder", [&] { database.forget(id); });
      }};
}

}  // namespace reminders
