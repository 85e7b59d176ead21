#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caesura/runtime.hpp>

namespace caesura::server {

struct server_options {
  std::string directory{};
  std::string host{"127.0.0.1"};
  std::uint16_t port{8288};             // 0: any free one
  std::string signing_key{};            // of calls to apps and of the API; needed to listen on more than this machine
  std::string signing_key_fallback{};   // accepted beside it, and tried when an app refuses the other: while keys are replaced
  std::vector<std::string> event_keys{};  // empty: any key may send events; needed to listen on more than this machine
  // Without a signing key: names, beside addresses and localhost, under which this server is asked for, and of pages that may ask it.
  std::vector<std::string> allowed_hosts{};
  std::vector<std::string> apps{};      // URLs of apps that are asked for their functions, at once and in every `app_interval`
  duration app_interval{std::chrono::seconds{5}};
  std::size_t workers{16};              // requests that wait for a commit at once
  std::optional<duration> retry_interval{};  // in place of the table of delays; for tests
  caesura::observer observer{};             // called on the thread of sockets, actors and commits, which it must not hold up
  std::size_t stream_clients{64};           // that follow GET /v1/stream at once
  std::size_t stream_queue_bytes{256 * 1024};  // for one that reads slowly, which is dropped beyond
  duration stream_heartbeat{std::chrono::seconds{15}};
};

// A runtime whose functions are in apps written with Inngest's SDKs, and the HTTP API around it. A resource.
class server {
 public:
  // Listens when it returns. Throws what runtime's constructor throws; error{invalid_argument} when it cannot listen, or would listen on an address
  // other than loopback without keys.
  explicit server(server_options options);
  // stop(0).
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept;
  [[nodiscard]] caesura::runtime& runtime() noexcept;
  // Takes no more requests, waits at most `deadline` for the calls that are out, and gives up the others: they are made again at the next start.
  void stop(std::chrono::milliseconds deadline);

 private:
  class core;
  std::unique_ptr<core> core_;
};

}  // namespace caesura::server
