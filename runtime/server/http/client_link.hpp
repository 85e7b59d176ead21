#pragma once

// Internal to the client.

#include <utility>  // before Asio, which needs it in C++20 with g++ 12

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "runtime/server/http/message_parser.hpp"

namespace caesura::http {

namespace net = boost::asio;
namespace ssl = boost::asio::ssl;
namespace beast_http = boost::beast::http;

struct client_call;
struct pool;

// One connection, plain or under TLS. What is read and written goes through it; for Asio it is a stream. Once it is connected one read is always under
// way, so that its end is noticed also while it is idle. Handlers keep it.
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

  // What was under way ends soon, and finds it closed.
  void close() {
    is_closed = true;
    if (resolver) resolver->cancel();   // one lookup at a time is under way; those behind it never begin
    boost::system::error_code ignored;  // it is not used any more
    socket.close(ignored);
  }

  net::ip::tcp::socket socket;
  std::optional<net::ip::tcp::resolver> resolver;  // while the name of a host is looked up, and after
  std::unique_ptr<ssl::stream<net::ip::tcp::socket&>> tls;
  boost::beast::flat_buffer buffer;
  pool* home{nullptr};            // which counts it until it is closed
  std::shared_ptr<client_call> current;  // whose request and response go through it; null: idle, or connecting for a call that is given up
  std::optional<message_parser<false>> parser;
  std::string head;
  bool is_written{false};  // the request, wholly
  bool is_reading{false};
  bool is_closed{false};
  bool is_reused{false};
  std::chrono::steady_clock::time_point idle_since;
};

}  // namespace caesura::http
