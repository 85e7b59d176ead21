#include "runtime/cli/run_selection.hpp"

#include <algorithm>
#include <chrono>

#include <caesura/ids.hpp>

#include "runtime/cli/output.hpp"
#include "runtime/server/http/message.hpp"

namespace caesura::cli {

using nlohmann::json;

time_point wall_clock() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

std::optional<time_point> read_time(const std::string& text, time_point now) {
  if (const auto time = parse_time(text)) return time;
  if (const auto ago = parse_duration(text); ago && *ago >= duration{0}) return now - *ago;
  return std::nullopt;
}

std::string fault_of_time(const std::string& text) {
  return read_time(text, wall_clock()) ? std::string{} : "\"" + text + "\" is neither an RFC 3339 time such as 2026-03-01T09:00:00Z nor a duration such as 2h, for two hours ago";
}

void run_selection::add_window(CLI::App& command) {
  command.add_option("--function", function, "Runs of this function; its whole id, such as app-charge-card");
  command.add_option("--from", from, "Runs created at this time or later: RFC 3339, or 2h for two hours ago")->check(fault_of_time);
  command.add_option("--to", to, "Runs created before this time; default: now")->check(fault_of_time);
  command.add_option("--if", when, "Runs for which this expression over event and run holds, such as \"event.data.userId == 'u-4'\"");
}

void run_selection::add_status(CLI::App& command) {
  command.add_option("--status", status, "Runs with this status; may be given several times")
      ->check(CLI::IsMember({"scheduled", "queued", "running", "sleeping", "waiting", "backing_off", "held", "completed", "failed", "cancelled", "skipped"}))
      ->expected(1)
      ->take_all();
}

std::optional<time_point> run_selection::after(time_point now) const { return from.empty() ? std::nullopt : read_time(from, now); }
std::optional<time_point> run_selection::before(time_point now) const { return to.empty() ? std::nullopt : read_time(to, now); }

std::string run_selection::expression() const {
  std::string statuses;
  for (const auto& one : status) statuses += (statuses.empty() ? "run.status == '" : " || run.status == '") + one + "'";
  if (statuses.empty() || when.empty()) return statuses + when;
  return std::string{"("}.append(when).append(") && (").append(statuses).append(")");
}

json find_runs(remote_server& server, const run_selection& which, std::size_t limit) {
  constexpr std::size_t page = 1'000;
  const auto now = wall_clock();
  const auto after = which.after(now);
  const auto before = which.before(now);
  std::string filter;
  if (!which.function.empty()) filter.append("&function_id=").append(http::encode_percent(which.function));
  if (const auto when = which.expression(); !when.empty()) filter.append("&if=").append(http::encode_percent(when));
  if (after) filter.append("&started_after=").append(http::encode_percent(to_string(*after)));
  if (before) filter.append("&started_before=").append(http::encode_percent(to_string(*before)));
  json found = json::array();
  for (std::string cursor;;) {
    const auto wanted = std::min(page, limit - found.size());
    const auto reply = server.ask("GET", "/v1/runs?limit=" + std::to_string(wanted) + filter + (cursor.empty() ? "" : "&cursor=" + cursor));
    for (const auto& run : reply.body.at("data")) {
      found.push_back(run);
      if (found.size() == limit) return found;
    }
    cursor = reply.headers.get("x-caesura-next");
    if (cursor.empty()) return found;
  }
}

}  // namespace caesura::cli
