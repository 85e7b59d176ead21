#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runtime/server/http/loop.hpp"
#include "runtime/server/http/message.hpp"
#include "runtime/server/http/responder.hpp"

namespace caesura::http {

struct listener_options {
  std::string host{"127.0.0.1"};  // an IPv4 or IPv6 address, or a name of this machine
  std::uint16_t port{8288};       // the Inngest dev server's; 0: any free one
  std::size_t max_connections{1024};
  std::size_t header_bytes{16 * 1024};               // request line and fields, or what frames a chunk, or the trailer: 431 beyond
  std::size_t body_bytes{16 * 1024 * 1024 + 65536};  // one send of events is at most 16 MiB; slack for its envelope: 413 beyond
  std::chrono::milliseconds header_timeout{10'000};  // for a whole header, from its first byte or from connecting: slow clients
  std::chrono::milliseconds body_timeout{60'000};    // for a whole body
  std::chrono::milliseconds idle_timeout{60'000};    // between an answer and the next request
  std::chrono::milliseconds write_timeout{30'000};   // for a whole answer, or one write of a stream
  std::size_t stream_bytes{1024 * 1024};             // queued for one stream's client at most
  header_list extra_headers;                         // put into every response, also the listener's own
};

// Called on the loop: it must not block. It answers through the responder, then or later. What it throws is answered
// with 500.
using request_handler = std::function<void(request&&, responder)>;

// An HTTP/1.0 and 1.1 server: keep-alive, pipelined requests (each is read once the one before is answered), Expect: 100-continue,
// chunked bodies, HEAD. What is malformed gets 400, what comes too slowly 408 (nothing if no byte of a request came), what is too
// large 413 or 431, a connection too many 503; the body is {"error": text, "status": number}, the text names the limit, and the
// connection is closed. A resource. All members may be called on any thread but the loop's.
class listener {
 public:
  // Listens when it returns, on a loop of its own or on one that is borrowed and outlives it. Throws error{invalid_argument} naming host and port when it
  // cannot.
  listener(listener_options options, request_handler handler);
  listener(listener_options options, request_handler handler, loop& where);
  // stop() without patience.
  ~listener();
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  // The port that is listened on.
  [[nodiscard]] std::uint16_t port() const noexcept;
  // Connections that are open now, those that are being refused among them.
  [[nodiscard]] std::size_t connections() const;

  // Accepts no more, closes what is idle and ends streams behind what is queued for them; requests under way get their answers for
  // at most `patience`. Then everything is closed, and nothing runs any more when it returns. Again: does nothing.
  void stop(std::chrono::milliseconds patience);

 private:
  class core;
  std::unique_ptr<core> core_;
};

}  // namespace caesura::http
