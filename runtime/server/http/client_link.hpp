#pragma once

// Internal to the client.

#include <utility>  // before Asio, which needs it in C++20 with g++ 12

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace caesura::http {

namespace net = boost::asio;
namespace ssl = boost::asio::ssl;
namespace beast_http = boost::beast::http;

// Beyond the header: what may be taken from the socket at once.
inline constexpr std::size_t read_ahead_bytes = 65536;

// One connection, plain or under TLS. What is read and written goes through it; for Asio and Beast it is a stream. Handlers keep
// it.
class link {
 public:
  using executor_type = net::ip::tcp::socket::executor_type;

  link(net::io_context& io, ssl::context* tls, std::size_t buffer_bytes) : socket{io}, buffer{buffer_bytes} {
    if (tls != nullptr) this->tls = std::make_unique<ssl::stream<net::ip::tcp::socket&>>(socket, *tls);
  }

  executor_type get_executor() { return socket.get_executor(); }

  template <class Buffers, class Handler>
  void async_read_some(const Buffers& buffers, Handler&& handler) {
    if (tls) {
      tls->async_read_some(buffers, std::forward<Handler>(handler));
    } else {
      socket.async_read_some(buffers, std::forward<Handler>(handler));
    }
  }

  template <class Buffers, class Handler>
  void async_write_some(const Buffers& buffers, Handler&& handler) {
    if (tls) {
      tls->async_write_some(buffers, std::forward<Handler>(handler));
    } else {
      socket.async_write_some(buffers, std::forward<Handler>(handler));
    }
  }

  void close() {
    boost::system::error_code ignored;  // it is not used any more
    socket.close(ignored);
  }

  // False: the peer has closed it, or has sent what nobody asked for (under TLS that may be a session ticket).
  [[nodiscard]] bool is_usable() {
    char byte = 0;
    const ssize_t size = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    return size > 0 && tls != nullptr;
  }

  net::ip::tcp::socket socket;
  std::unique_ptr<ssl::stream<net::ip::tcp::socket&>> tls;
  boost::beast::flat_buffer buffer;
  std::optional<beast_http::response_parser<beast_http::string_body>> parser;
  std::string head;
  bool is_reused{false};
  std::chrono::steady_clock::time_point idle_since;
};

}  // namespace caesura::http
