#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace caesura::cli {

// Columns as wide as their widest cell. A value.
class table {
 public:
  explicit table(std::vector<std::string> head) { add(std::move(head)); }
  void add(std::vector<std::string> row);  // cells as `printable` makes them
  // With a line break at the end of each row, and no blanks before it.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// A member as people read it: a string as it is, null and what is missing as nothing, anything else as JSON.
[[nodiscard]] std::string member(const nlohmann::json& object, const char* name);
// On one line, and without what would control a terminal: U+FFFD stands for it.
[[nodiscard]] std::string printable(const std::string& text);
// The same, on as many lines as it has.
[[nodiscard]] std::string printable_lines(const std::string& text);
// "1 run", "12 runs"
[[nodiscard]] std::string counted(std::uint64_t count, const std::string& noun);

void print(const std::string& text);         // as it is, on standard output
void print_json(const nlohmann::json& value);
// One line a member.
void print_members(const nlohmann::json& object);
void print_runs(const nlohmann::json& runs);

}  // namespace caesura::cli
