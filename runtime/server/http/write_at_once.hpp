#pragma once

// Internal to client and connection.

#include <utility>  // before Asio, which needs it in C++20 with g++ 12

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>
#include <string>

namespace caesura::http {

using head_and_body = std::array<boost::asio::const_buffer, 2>;

// Writes to a socket in non-blocking mode what the system takes at once, which is all of most messages, and leaves the rest in `left`. True: nothing is
// left, or `ec` says why nothing more can be written.
template <class Socket>
bool write_at_once(Socket& socket, head_and_body& left, boost::system::error_code& ec) {
  std::size_t written = socket.write_some(left, ec);
  for (auto& one : left) {
    const std::size_t size = std::min(written, one.size());
    one += size;
    written -= size;
  }
  if (ec == boost::asio::error::would_block) ec = {};
  return ec || boost::asio::buffer_size(left) == 0;
}

}  // namespace caesura::http
