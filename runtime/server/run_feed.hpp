#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include <caesura/run.hpp>

#include "runtime/server/http/responder.hpp"

namespace caesura::server {

// Which changes a client wants; empty: all.
struct feed_filter {
  std::vector<std::string> functions{};
  std::string run{};
};

// Tells clients as server-sent events what becomes of runs. Nothing is kept for a client that is not there; one that reads too slowly is told so in a
// comment and dropped, so that no client takes a stream with a gap for a whole one. Any thread; nothing blocks.
class run_feed {
 public:
  struct settings {
    std::size_t clients{64};
    std::size_t queued_bytes{256 * 1024};        // for one client
    std::chrono::milliseconds heartbeat{15'000};  // a comment, so that a connection that is gone is noticed on both sides
  };
  explicit run_feed(settings settings);
  ~run_feed();
  run_feed(const run_feed&) = delete;
  run_feed& operator=(const run_feed&) = delete;

  [[nodiscard]] bool has_room();
  void add(http::stream client, feed_filter filter);
  [[nodiscard]] std::size_t clients() const;

  // `what`: "run.created", "run.started", "run.cancelling" or "run.ended".
  void tell(std::string_view what, const std::string& function, const run_id& run, nlohmann::json more = nlohmann::json::object());
  // Ends every stream; later clients are ended at once.
  void close();

 private:
  struct follower {
    http::stream stream;
    feed_filter filter;
  };
  // False: the client has gone, or is dropped.
  bool write(follower& to, const std::string& text);
  void beat();

  const settings settings_;
  mutable std::mutex mutex_;
  std::condition_variable is_ending_;
  std::list<follower> followers_;
  std::uint64_t told_ = 0;
  bool is_closed_ = false;
  std::thread heart_;
};

}  // namespace caesura::server
