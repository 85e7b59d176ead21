#pragma once

// Blocking sockets on 127.0.0.1, for what a well-behaved peer does not do. Every read gives up after 30 s, so that a test fails
// instead of hanging.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <future>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/server/http/client.hpp"

namespace http_test {

inline bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

inline void check(bool is_good, const char* what) {
  if (!is_good) throw std::runtime_error{std::string{what} + ": " + std::strerror(errno)};
}

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

class raw_socket {
 public:
  raw_socket() : descriptor_{::socket(AF_INET, SOCK_STREAM, 0)} {
    check(descriptor_ >= 0, "socket");
    limit_reads();
  }
  explicit raw_socket(int descriptor) : descriptor_{descriptor} {
    check(descriptor_ >= 0, "accept");
    limit_reads();
  }
  raw_socket(raw_socket&& other) noexcept : descriptor_{std::exchange(other.descriptor_, -1)}, read_{std::move(other.read_)} {}
  raw_socket& operator=(raw_socket&&) = delete;
  ~raw_socket() { close(); }

  static raw_socket to(std::uint16_t port) {
    raw_socket made;
    made.connect(port);
    return made;
  }
  void connect(std::uint16_t port) {
    const sockaddr_in address = loopback(port);
    check(::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "connect");
  }
  void close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }
  // Closes so that the peer sees a reset.
  void reset() {
    const linger at_once{1, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }
  void keep_receive_buffer_small() {
    const int bytes = 4096;
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
  // Small pieces are not held back to be sent together.
  void send_at_once() {
    const int yes = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }
  [[nodiscard]] int descriptor() const { return descriptor_; }

  // A peer that has closed is no failure: what it answered is what counts.
  raw_socket& send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) break;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return *this;
  }

  // Until the bytes read and not yet taken hold `end`: takes them through it. Throws when the peer closes before.
  std::string read_through(std::string_view end) {
    for (;;) {
      if (const std::size_t at = read_.find(end); at != std::string::npos) return take(at + end.size());
      if (!read_more()) throw std::runtime_error{"the peer closed; it had sent: " + read_};
    }
  }
  std::string read_bytes(std::size_t size) {
    while (read_.size() < size) {
      if (!read_more()) throw std::runtime_error{"the peer closed; it had sent: " + read_};
    }
    return take(size);
  }
  // A head, and the body that its Content-Length announces.
  std::string read_message() {
    std::string head = read_through("\r\n\r\n");
    const std::size_t at = head.find("Content-Length: ");
    return at == std::string::npos ? head : head + read_bytes(std::stoul(head.substr(at + 16)));
  }
  // Until the peer closes or resets.
  std::string read_to_end() {
    while (read_more()) {
    }
    return take(read_.size());
  }

 private:
  void limit_reads() const {
    const timeval limit{30, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  bool read_more() {
    char bytes[4096];
    const ssize_t size = ::recv(descriptor_, bytes, sizeof bytes, 0);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) throw std::runtime_error{"nothing came for 30 s; before: " + read_};
    if (size > 0) read_.append(bytes, static_cast<std::size_t>(size));
    return size > 0;
  }
  std::string take(std::size_t size) {
    std::string taken = read_.substr(0, size);
    read_.erase(0, size);
    return taken;
  }

  int descriptor_;
  std::string read_;
};

class raw_server {
 public:
  raw_server() : descriptor_{::socket(AF_INET, SOCK_STREAM, 0)} {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    check(::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
    check(::listen(descriptor_, 16) == 0, "listen");
    check(::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
    port_ = ntohs(address.sin_port);
    const timeval limit{30, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  raw_server(const raw_server&) = delete;
  raw_server& operator=(const raw_server&) = delete;
  ~raw_server() { close(); }

  void close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }
  raw_socket accept() const { return raw_socket{::accept(descriptor_, nullptr, nullptr)}; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url(std::string_view path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string{path};
  }

 private:
  int descriptor_;
  std::uint16_t port_{0};
};

template <class T>
T await(std::future<T> future) {
  if (future.wait_for(std::chrono::seconds{60}) != std::future_status::ready) throw std::runtime_error{"nothing came for 60 s"};
  return future.get();
}

using caesura::http::client;
using caesura::http::failure;
using caesura::http::failure_kind;
using caesura::http::outcome;
using caesura::http::outgoing;
using caesura::http::response;

inline std::future<outcome> send(client& through, outgoing what) {
  auto promise = std::make_shared<std::promise<outcome>>();
  auto future = promise->get_future();
  through.send(std::move(what), [promise](outcome result) { promise->set_value(std::move(result)); });
  return future;
}

// The response to it; throws the text of a failure.
inline response fetch(client& through, outgoing what) {
  outcome result = await(send(through, std::move(what)));
  if (auto* failed = std::get_if<failure>(&result)) throw std::runtime_error{failed->text};
  return std::get<response>(std::move(result));
}

// "kind: text" of the failure; "status N" of a response.
inline std::string describe(const outcome& result) {
  if (const auto* failed = std::get_if<failure>(&result)) return std::string{to_string(failed->kind)} + ": " + failed->text;
  return "status " + std::to_string(std::get<response>(result).status);
}

}  // namespace http_test
