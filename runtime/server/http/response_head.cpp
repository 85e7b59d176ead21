#include "runtime/server/http/response_head.hpp"

#include <array>
#include <ctime>

namespace caesura::http {

namespace {

// Written once a second: thousands of answers share it.
const std::string& http_date() {
  thread_local std::time_t written_at = -1;
  thread_local std::string date;
  if (const std::time_t now = std::time(nullptr); now != written_at) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::array<char, 40> text{};
    date.assign(text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts));
    written_at = now;
  }
  return date;
}

// The listener adds these itself.
bool is_framing(std::string_view name) {
  for (const char* own : {"Content-Length", "Transfer-Encoding", "Connection", "Date"}) {
    if (equal_ignoring_case(name, own)) return true;
  }
  return false;
}

void append_fields(std::string& head, const header_list& fields) {
  for (const auto& [name, value] : fields) {
    if (!is_framing(name)) head.append(name).append(": ").append(value).append("\r\n");
  }
}

}  // namespace

response sendable(response answer) {
  if (auto fault = find_fault(answer.headers)) return response::error(500, "the answer cannot be sent: " + *fault);
  if (answer.status < 200 || answer.status > 999)
    return response::error(500, "the answer cannot be sent: its status is outside 200 to 999");
  return answer;
}

bool has_no_body(int status) noexcept { return status < 200 || status == 204 || status == 304; }

std::string make_head(const response& answer, const header_list& extra, framing how) {
  constexpr std::size_t usual_bytes = 256;
  std::string head;
  head.reserve(usual_bytes);
  head.append("HTTP/1.1 ").append(std::to_string(answer.status)).append(1, ' ').append(reason_phrase(answer.status)).append("\r\nDate: ").append(http_date()).append("\r\n");
  append_fields(head, extra);
  append_fields(head, answer.headers);
  if (how.is_stream) {
    if (how.asked.is_version_11) head += "Transfer-Encoding: chunked\r\n";
  } else if (!has_no_body(answer.status)) {
    head.append("Content-Length: ").append(std::to_string(answer.body.size())).append("\r\n");
  }
  if (how.is_closing) {
    head += "Connection: close\r\n";
  } else if (!how.asked.is_version_11) {
    head += "Connection: keep-alive\r\n";
  }
  return head.append("\r\n");
}

std::string to_chunk(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string size;
  for (std::size_t left = bytes.size(); left > 0; left >>= 4U) size.insert(size.begin(), digits[left & 0x0FU]);
  return size.append("\r\n").append(bytes).append("\r\n");
}

}  // namespace caesura::http
