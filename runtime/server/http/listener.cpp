#include "runtime/server/http/listener.hpp"

#include "runtime/server/http/connection.hpp"

#include <boost/asio/executor_work_guard.hpp>

#include <optional>
#include <thread>
#include <vector>

#include <caesura/error.hpp>

namespace caesura::http {

namespace {

using boost::system::error_code;
using net::ip::tcp;

// How long accepting rests when the process has no descriptor or memory left for a connection.
constexpr std::chrono::milliseconds back_off{50};
// Connections beyond the limit that are being told so at a time; more are closed without a word.
constexpr std::size_t refused_at_a_time = 64;

}  // namespace

class listener::core {
 public:
  core(listener_options options, request_handler handler)
      : registry_{std::make_shared<connection_registry>(std::move(options), std::move(handler))},
        strand_{registry_->io.get_executor()},
        acceptor_{strand_},
        pause_{strand_} {
    open();
    accept();
    work_.emplace(registry_->io.get_executor());
    const std::size_t threads = std::max<std::size_t>(registry_->options.threads, 1);
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { registry_->io.run(); });
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::size_t connections() const { return registry_->size(); }

  void stop(std::chrono::milliseconds patience) {
    const std::lock_guard lock{stop_mutex_};
    if (threads_.empty()) return;
    registry_->post(strand_, [this] {
      error_code ignored;  // it is not used any more
      acceptor_.close(ignored);
      pause_.cancel();
    });
    registry_->end_gracefully(patience);
    registry_->close_all();
    work_.reset();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    registry_->set_over();
    // Answers that arrived behind the last thread: executed here, where they find their connections closed.
    registry_->io.restart();
    registry_->io.poll();
  }

 private:
  [[noreturn]] void fail(const error_code& ec) const {
    const auto& options = registry_->options;
    throw error{errc::invalid_argument,
                "cannot listen on " + options.host + " port " + std::to_string(options.port) + ": " + ec.message()};
  }

  // The error_code overloads of what follows are used so that the one text of fail() tells everything.
  void open() {
    const auto& options = registry_->options;
    error_code ec;
    tcp::resolver resolver{registry_->io};
    const auto found = resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, ec);
    if (ec) fail(ec);
    const tcp::endpoint endpoint = *found.begin();
    acceptor_.open(endpoint.protocol(), ec);
    if (!ec) acceptor_.set_option(tcp::acceptor::reuse_address{true}, ec);
    if (!ec) acceptor_.bind(endpoint, ec);
    if (!ec) acceptor_.listen(net::socket_base::max_listen_connections, ec);
    if (!ec) port_ = acceptor_.local_endpoint(ec).port();
    if (ec) fail(ec);
  }

  void accept() {
    acceptor_.async_accept(net::make_strand(registry_->io), [this](const error_code& ec, strand_socket socket) {
      if (!acceptor_.is_open()) return;
      if (!ec) {
        take(std::move(socket));
        accept();
      } else if (ec == net::error::connection_aborted) {
        accept();
      } else {
        pause_.expires_after(back_off);
        pause_.async_wait([this](const error_code& cancelled) {
          if (!cancelled && acceptor_.is_open()) accept();
        });
      }
    });
  }

  void take(strand_socket socket) {
    const std::size_t open = registry_->size();
    const std::size_t limit = registry_->options.max_connections;
    if (open >= limit + refused_at_a_time) return;
    const auto taken = std::make_shared<connection>(registry_, std::move(socket));
    if (!registry_->add(taken)) return;
    registry_->post(taken->executor(), [taken, is_refused = open >= limit] { taken->start(is_refused); });
  }

  std::shared_ptr<connection_registry> registry_;
  strand strand_;  // of the acceptor
  net::basic_socket_acceptor<tcp, strand> acceptor_;
  strand_timer pause_;
  std::optional<net::executor_work_guard<net::io_context::executor_type>> work_;
  std::uint16_t port_{0};
  std::mutex stop_mutex_;
  std::vector<std::thread> threads_;
};

listener::listener(listener_options options, request_handler handler)
    : core_{std::make_unique<core>(std::move(options), std::move(handler))} {}

listener::~listener() { stop(std::chrono::milliseconds{0}); }

std::uint16_t listener::port() const noexcept { return core_->port(); }

std::size_t listener::connections() const { return core_->connections(); }

void listener::stop(std::chrono::milliseconds patience) { core_->stop(patience); }

}  // namespace caesura::http
