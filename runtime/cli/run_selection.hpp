#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <caesura/time.hpp>
#include <nlohmann/json.hpp>

#include "runtime/cli/remote_server.hpp"

namespace caesura::cli {

// Which runs a command is about, as its options say. A value.
struct run_selection {
  std::string function{};
  std::string from{};  // times as written: RFC 3339, or a duration for that long ago
  std::string to{};
  std::string when{};
  std::vector<std::string> status{};

  // --function --from --to --if; a time that is none is bad usage.
  void add_window(CLI::App& command);
  // --status, any number of times.
  void add_status(CLI::App& command);

  [[nodiscard]] std::optional<time_point> after(time_point now) const;
  [[nodiscard]] std::optional<time_point> before(time_point now) const;
  // `when` and `status` as one expression, which the server evaluates. Empty: no condition.
  [[nodiscard]] std::string expression() const;
};

[[nodiscard]] time_point wall_clock();
// RFC 3339, or a duration for that long before `now`. nullopt: neither.
[[nodiscard]] std::optional<time_point> read_time(const std::string& text, time_point now);
// What is wrong with it, as a check of an option; empty: nothing.
[[nodiscard]] std::string fault_of_time(const std::string& text);

// The newest runs that are meant, at most `limit` of them, newest first, read page by page.
[[nodiscard]] nlohmann::json find_runs(remote_server& server, const run_selection& which, std::size_t limit);

}  // namespace caesura::cli
