#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "runtime/server/http/loop.hpp"
#include "runtime/server/http/message.hpp"
#include "runtime/server/http/url.hpp"

namespace caesura::http {

struct client_options {
  std::size_t connections_per_origin{256};            // requests beyond wait their turn, first in first out
  std::chrono::milliseconds idle_timeout{30'000};     // how long a connection is kept for the next request
  std::chrono::milliseconds connect_timeout{10'000};  // for name, connection and TLS handshake
  std::size_t header_bytes{64 * 1024};                // of a response's header, of what frames a chunk, and of the trailer
  std::size_t response_bytes{8 * 1024 * 1024};        // of a response's body
  bool verify_certificates{true};                     // chain and host name, against the system's authorities and the next
  std::string certificate_authorities;                // more of them, as PEM
  // While many calls are under way, and if its thread has little to do, the loop that has handled what came does what is last (loop::post_last) after a
  // while, not at once: pause_with, never more than `longest_pause`. Answers are then handled several at a time, for the work of one. Zero: never. For one
  // client of a loop at most.
  std::chrono::microseconds longest_pause{0};
};

// The pause that is due with so many calls under way which take so long of late: half of that, `longest` at most. None where it would be shorter than
// 4 ms, among fewer than 16 calls, or bring fewer than four answers together: it would cost more than it saves, or only make others wait. Pure.
[[nodiscard]] std::chrono::nanoseconds pause_with(std::size_t calls, std::chrono::nanoseconds usual_call, std::chrono::nanoseconds longest);

struct client_call;  // internal

// Where requests go: a URL, taken apart once for all that go there. Never changes.
struct destination {
  url parts;
  std::string origin;     // parts.origin()
  std::string authority;  // parts.authority()
  std::string shown;      // the text that it was made of, without the query: for people
};

// The destination, or why parse_url refuses the text.
[[nodiscard]] std::variant<std::shared_ptr<const destination>, std::string> parse_destination(std::string_view text);

struct outgoing {
  std::string method{"POST"};
  std::string url;                         // not read when there is a destination
  std::shared_ptr<const destination> to;   // null: what the URL says. Owners: its callers and their requests
  header_list headers;  // Host, Content-Length and Connection are added; fields of these names are left out
  std::string_view more_headers{};  // written as it is behind them: whole lines, each with its line break, of a constant
  std::string body;
  std::span<const std::string_view> kept_headers{};  // names that the caller reads of the response, in any case; views of constants. Empty: all
  // Called on the loop each time the request is about to be written: for fields that grow old while it waits for a connection. Must not throw, and not make
  // the fields such as cannot be sent. Empty: nothing is done.
  std::function<void(header_list& headers, const std::string& body)> before_write{};
  std::chrono::milliseconds timeout{60'000};  // from send() to the last byte of the response, waiting and redirects included
};

enum class failure_kind : std::uint8_t {
  refused_url,  // never sent: the URL, the method or a header cannot be; the text says which
  connect,      // no connection: name, address, refused, TLS, certificate, connect_timeout
  timeout,      // outgoing::timeout
  too_large,    // the response's header, framing or body is over its limit
  malformed,    // what came is no HTTP response
  closed,       // the peer closed before the response was whole; or the client is destroyed; or cancel()
};

[[nodiscard]] std::string_view to_string(failure_kind kind) noexcept;

// Names method and URL (without the query), and the limit where there is one.
struct failure {
  failure_kind kind{failure_kind::closed};
  std::string text;
};

// Any status is a response, also 500.
using outcome = std::variant<response, failure>;

// Calls http:// and https:// URLs with HTTP/1.1 over connections that are kept and used again.
//
// A request may be sent twice: a server may close a kept connection at the moment in which the next request is written to it. When
// a connection that was used before is closed or reset before any byte of the response, the request is repeated, once, on a new
// connection. What is called must bear that, as it must bear the retries of a step.
//
// Redirects (301, 302, 307, 308) that stay on the origin are followed, 3 at most, with method and body as they are. Any other
// redirect is handed over as the response that it is.
//
// A resource. Names are resolved by the system's resolver, which may block the end of the loop for as long as it takes.
class client {
 public:
  // On a loop of its own.
  explicit client(client_options options = {});
  // Borrows the loop, which outlives it. Throws error{invalid_argument} when `certificate_authorities` is no PEM.
  client(client_options options, loop& where);
  // Every request under way fails as `closed`; returns when the last callback has. Not on the loop.
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  // Names a request for cancel(); made by default, it names none.
  class token {
    friend client;
    std::weak_ptr<client_call> call_;
  };

  // Never blocks; any thread, also a callback. The callback is called exactly once, on the loop, never within send().
  // It must not throw, not block for long, and not destroy the client; told that the client is destroyed, it must not send again.
  token send(outgoing request, std::function<void(outcome)> callback);

  // The request fails as `closed`, unless its outcome is on its way already. Any thread.
  void cancel(const token& which);

 private:
  class core;
  std::unique_ptr<loop> own_loop_;  // null: it is borrowed
  std::shared_ptr<core> core_;      // owners: the client and the handlers of its operations
};

}  // namespace caesura::http
