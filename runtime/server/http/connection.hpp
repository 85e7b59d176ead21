#pragma once

// Internal to the listener: the only header of the server side that includes Asio.

#include <utility>  // before Asio, which needs it in C++20 with g++ 12

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "runtime/server/http/listener.hpp"
#include "runtime/server/http/loop_core.hpp"
#include "runtime/server/http/response_head.hpp"

namespace caesura::http {

namespace net = boost::asio;

// Without the type erasure of Asio's own names for them.
using loop_executor = net::io_context::executor_type;
using loop_socket = net::basic_stream_socket<net::ip::tcp, loop_executor>;
using loop_timer = net::basic_waitable_timer<std::chrono::steady_clock, net::wait_traits<std::chrono::steady_clock>, loop_executor>;

class connection;

// What the connections of one listener share. Outlives the listener while an answer is still kept somewhere. Any thread.
class connection_registry {
  // Owners: the loop, and whoever still has a socket of it.
  const std::shared_ptr<loop::core> loop_;

 public:
  connection_registry(listener_options options, request_handler handler, loop& where);

  const listener_options options;
  const request_handler handler;
  net::io_context& io;

  // False: the listener stops, and the connection was not taken.
  bool add(const std::shared_ptr<connection>& added);
  void remove(const connection* removed);
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool is_stopping() const;

  // Executes `work` on the loop; false once the listener is over, when nothing may be executed there any more.
  template <class Work>
  bool post(Work work) {
    const std::lock_guard lock{mutex_};
    if (is_over_) return false;
    net::post(io, std::move(work));
    return true;
  }

  // Each open connection is told; returns once none is open, at the latest after `patience`.
  void end_gracefully(std::chrono::milliseconds patience);
  // Returns once every connection is closed, and so the handler is not called any more. Not on the loop.
  void close_all();
  // From here on post() refuses.
  void set_over();
  [[nodiscard]] bool is_on_loop() const;

 private:
  [[nodiscard]] std::vector<std::shared_ptr<connection>> snapshot() const;

  mutable std::mutex mutex_;
  std::condition_variable is_empty_;
  std::unordered_map<const connection*, std::shared_ptr<connection>> connections_;
  bool is_stopping_{false};
  bool is_over_{false};
};

// What is queued for the client of a stream; shared by its connection and its writers. Each takes the mutex.
struct stream_queue {
  std::mutex mutex;
  std::string bytes;  // framed
  bool is_open{true};
  bool is_close_wanted{false};
  bool is_pumping{true};  // the connection will look again
};

// One client. All members but the constructor run on the loop.
//
//   idle ──first byte──> receiving ──whole request──> handling ──answer──> writing ──> idle (or lingering)
//                            └─────── fault ───────────────────────────────┘  │
//   handling ──start_stream──> streaming ──end──> lingering ──> closed <───────┘
//
// Lingering: the answer is written, and what the client still sends is thrown away for a second, because closing at once would
// reset the connection and could take the answer away from the client.
class connection : public std::enable_shared_from_this<connection> {
 public:
  connection(std::shared_ptr<connection_registry> registry, loop_socket socket);
  ~connection();

  // Reads the first request; or refuses the connection, because there are too many.
  void start(bool is_refused);
  void stop();   // idle: closes; streaming: ends; else closes behind the answer
  void close();  // at once

  void answer(response answer);
  void begin_stream(std::shared_ptr<stream_queue> queue);
  void pump();

  [[nodiscard]] connection_registry& registry() const noexcept { return *registry_; }

 private:
  enum class phase : std::uint8_t { idle, receiving, handling, writing, streaming, lingering, closed };
  struct reader;

  // Each handler's work. Whatever it throws ends this connection, not the process with all others.
  template <class Work>
  void guard(const Work& work);
  void begin_request();
  void read_request();
  void read();
  void take(boost::system::error_code ec, std::size_t size);
  void parse();
  void after_header();
  void send_continue();
  void handle();
  [[nodiscard]] request take_request();
  void fail_read(const boost::system::error_code& ec);
  void refuse(int status, const std::string& text);
  void write(response answer);
  void after_write(const boost::system::error_code& ec);
  void linger();
  void discard();
  void set_deadline(std::chrono::milliseconds duration);
  void clear_deadline();
  void wait_for_deadline();
  void on_deadline();

  std::shared_ptr<connection_registry> registry_;  // first, as the socket needs its loop
  loop_socket socket_;
  loop_timer timer_;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
  std::optional<std::chrono::steady_clock::time_point> timer_at_;
  phase phase_{phase::idle};
  bool is_late_{false};
  bool is_continuing_ = false;  // "100 Continue" is being written
  bool has_answered_{false};
  bool is_closing_{false};  // behind the answer
  request_traits traits_;
  bool is_loopback_{false};
  std::unique_ptr<reader> reader_;
  std::string head_;
  std::string body_;
  std::shared_ptr<stream_queue> queue_;  // of the stream; its writers own it too
  std::array<char, 4096> scratch_{};
};

// The answer to the request that `owner` has just received; destroyed unused, it is answered with 500. Any thread.
std::shared_ptr<detail::answer_sink> make_answer(std::shared_ptr<connection> owner, request_traits traits);

}  // namespace caesura::http
