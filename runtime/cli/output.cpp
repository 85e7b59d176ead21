#include "runtime/cli/output.hpp"

#include <algorithm>
#include <cstdio>

namespace caesura::cli {

namespace {

using nlohmann::json;

// Code points, which is what a terminal's columns are for most scripts.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// The bytes of what controls a terminal at this place, a C0, DEL or, in UTF-8, C1; 0: it is something else.
std::size_t control_at(const std::string& text, std::size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x20U || byte == 0x7FU) return 1;
  return byte == 0xC2U && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xA0U ? 2 : 0;
}

}  // namespace

// What senders of events write comes to a terminal, which it must not control.
std::string printable(const std::string& text) {
  constexpr const char* replacement = "\xEF\xBF\xBD";
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto length = control_at(text, i);
    if (length == 0) {
      out += text[i++];
      continue;
    }
    out += text[i] == '\n' || text[i] == '\t' ? " " : replacement;
    i += length;
  }
  return out;
}

std::string printable_lines(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    out += (at == 0 ? "" : "\n") + printable(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

void table::add(std::vector<std::string> row) {
  for (auto& cell : row) cell = printable(cell);
  rows_.push_back(std::move(row));
}

std::string table::text() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    if (widths.size() < row.size()) widths.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] - width_of(row[i]) + 2, ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

std::string member(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (found == object.end() || found->is_null()) return {};
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string counted(std::uint64_t count, const std::string& noun) { return std::to_string(count) + " " + noun + (count == 1 ? "" : "s"); }

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }
// What controls a terminal is escaped, as JSON allows. dump does so within texts, but for DEL and C1; the line breaks are its own.
void print_json(const json& value) {
  constexpr const char* digits = "0123456789abcdef";
  const auto text = value.dump(1);
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto length = control_at(text, i);
    if (length == 0 || text[i] == '\n') {
      out += text[i++];
      continue;
    }
    const auto code = static_cast<unsigned char>(text[i + length - 1]);  // U+0080 to U+009F end with the byte of their number
    out.append("\\u00").append(1, digits[code >> 4U]).append(1, digits[code & 0xFU]);
    i += length;
  }
  print(out + "\n");
}

void print_members(const json& object) {
  std::vector<std::pair<std::string, std::string>> lines;
  std::size_t widest = 0;
  for (const auto& [name, value] : object.items()) {
    widest = std::max(widest, name.size());
    lines.emplace_back(name, member(object, name.c_str()));
  }
  for (const auto& [name, text] : lines) print(name + std::string(widest - name.size() + 2, ' ') + printable(text) + "\n");
}

void print_runs(const json& runs) {
  table lines{{"RUN", "STATUS", "FUNCTION", "STARTED", "ENDED"}};
  for (const auto& run : runs) {
    const bool is_cancelling = member(run, "cancelling") == "true";
    lines.add({member(run, "run_id"), is_cancelling ? "cancelling" : member(run, "state"), member(run, "function"), member(run, "run_started_at"),
               member(run, "ended_at")});
  }
  print(lines.text());
}

}  // namespace caesura::cli
