#pragma once

// What the benchmarks of the server share: the real program as a process of its own, so that its processor time and memory are its own, and a client that
// costs next to nothing.

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <sstream>

#include <nlohmann/json.hpp>

#include "benchmarks/support.hpp"

namespace caesura::benchmarks {

// `caesura serve` on a free port.
class served {
 public:
  explicit served(const std::string& directory) {
    const auto start = steady::now();
    int out[2];
    if (::pipe(out) != 0) throw std::runtime_error{"no pipe"};
    process_ = ::fork();
    if (process_ < 0) throw std::runtime_error{"no process"};
    if (process_ == 0) {
      ::dup2(out[1], STDOUT_FILENO);
      ::close(out[0]);
      ::close(out[1]);
      ::execl(CAESURA_COMMAND, CAESURA_COMMAND, "serve", "--dir", directory.c_str(), "--port", "0", static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ::close(out[1]);
    std::string line;
    for (char c = 0; ::read(out[0], &c, 1) == 1 && c != '\n';) line += c;
    out_ = out[0];
    ready_ms_ = 1000 * seconds_since(start);
    const auto colon = line.rfind(':');
    if (colon == std::string::npos) throw std::runtime_error{std::string{CAESURA_COMMAND} + " does not serve"};
    port_ = static_cast<std::uint16_t>(std::atoi(line.c_str() + colon + 1));
  }
  ~served() {
    ::kill(process_, SIGTERM);
    ::waitpid(process_, nullptr, 0);
    ::close(out_);
  }
  served(const served&) = delete;
  served& operator=(const served&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  // From before the fork until it said that it listens.
  [[nodiscard]] double ready_ms() const noexcept { return ready_ms_; }
  // Processor time of all its threads.
  [[nodiscard]] double processor_us() const {
    std::ifstream in{"/proc/" + std::to_string(process_) + "/stat"};
    std::string text;
    std::getline(in, text);
    constexpr int fields_to_utime = 11;  // behind the name in parentheses: state is the first
    std::istringstream rest{text.substr(text.rfind(')') + 2)};
    std::string skipped;
    for (int i = 0; i < fields_to_utime; ++i) rest >> skipped;
    double user = 0;
    double system = 0;
    rest >> user >> system;
    return 1e6 * (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  // VmRSS, RssAnon: a line of its status, in bytes.
  [[nodiscard]] std::size_t memory(const std::string& which) const {
    const auto file = "/proc/" + std::to_string(process_) + "/status";
    return std::strtoull(first_line_after(file.c_str(), which).c_str(), nullptr, 10) * 1024;
  }

 private:
  pid_t process_ = -1;
  int out_ = -1;
  std::uint16_t port_ = 0;
  double ready_ms_ = 0;
};

// One connection that is kept: a request is written, its answer is waited for. Throws for any status but 200.
class kept_connection {
 public:
  explicit kept_connection(std::uint16_t port) : socket_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error{"the server cannot be reached"};
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~kept_connection() { ::close(socket_); }
  kept_connection(const kept_connection&) = delete;
  kept_connection& operator=(const kept_connection&) = delete;

  static std::string request(std::string_view method, std::string_view path, std::string_view body = {}) {
    std::string text{method};
    text.append(" ").append(path).append(" HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ");
    return text.append(std::to_string(body.size())).append("\r\n\r\n").append(body);
  }
  // The body of the answer.
  std::string ask(const std::string& request) {
    for (std::size_t sent = 0; sent < request.size();) {
      const auto wrote = ::send(socket_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (wrote <= 0) throw std::runtime_error{"the server closed the connection"};
      sent += static_cast<std::size_t>(wrote);
    }
    std::string text;
    std::size_t head = std::string::npos;
    std::size_t whole = 0;
    while (head == std::string::npos || text.size() < whole) {
      std::array<char, 65536> part;
      const auto got = ::recv(socket_, part.data(), part.size(), 0);
      if (got <= 0) throw std::runtime_error{"the server closed the connection"};
      text.append(part.data(), static_cast<std::size_t>(got));
      if (head != std::string::npos || (head = text.find("\r\n\r\n")) == std::string::npos) continue;
      head += 4;
      auto at = text.find("ontent-");
      while (at != std::string::npos && ::strncasecmp(text.data() + at, "ontent-length:", 14) != 0) at = text.find("ontent-", at + 1);
      if (at == std::string::npos || at > head) throw std::runtime_error{"an answer without a length: " + text.substr(0, head)};
      whole = head + std::strtoull(text.c_str() + at + 14, nullptr, 10);
    }
    if (text.compare(9, 3, "200") != 0) throw std::runtime_error{text};
    return text.substr(head);
  }
  std::string get(const std::string& path) { return ask(request("GET", path)); }
  nlohmann::json data(const std::string& path) { return nlohmann::json::parse(get(path)).at("data"); }
  std::string post(const std::string& path, const std::string& body) { return ask(request("POST", path, body)); }

 private:
  const int socket_;
};

struct rate_over_time {
  double per_second{0};  // median of the slices
  double server_us{0};   // of the server's processor for one
};
// How fast `count` grows, and what one costs: eight slices of half a second, after one that is not counted.
template <class Count>
[[nodiscard]] rate_over_time measure_rate(const served& server, const Count& count) {
  constexpr std::size_t slices = 8;
  constexpr auto slice = std::chrono::milliseconds{500};
  std::this_thread::sleep_for(slice);
  std::vector<double> rates;
  const auto processor = server.processor_us();
  const std::size_t first = count();
  auto before = first;
  auto since = steady::now();
  for (std::size_t i = 0; i < slices; ++i) {
    std::this_thread::sleep_for(slice);
    const std::size_t now = count();
    rates.push_back(static_cast<double>(now - before) / seconds_since(since));
    since = steady::now();
    before = now;
  }
  return {median(rates), (server.processor_us() - processor) / static_cast<double>(before - first)};
}

// `count` times `event` as one array.
[[nodiscard]] inline std::string array_of(const std::string& event, std::size_t count) {
  std::string text{"["};
  for (std::size_t i = 0; i < count; ++i) text.append(i == 0 ? "" : ",").append(event);
  return text.append("]");
}

[[nodiscard]] inline std::string mebibytes(std::size_t bytes) { return number(static_cast<double>(bytes) / (1024.0 * 1024.0)) + " MiB"; }

}  // namespace caesura::benchmarks
