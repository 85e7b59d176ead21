#include "runtime/server/http/listener.hpp"

#include "runtime/server/http/connection.hpp"

#include <future>
#include <memory>
#include <mutex>

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
  core(listener_options options, request_handler handler, loop* borrowed)
      : own_loop_{borrowed == nullptr ? std::make_unique<loop>() : nullptr},
        registry_{std::make_shared<connection_registry>(std::move(options), std::move(handler), borrowed == nullptr ? *own_loop_ : *borrowed)},
        acceptor_{registry_->io},
        pause_{registry_->io} {
    open();
    registry_->post([this] { accept(); });
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::size_t connections() const { return registry_->size(); }

  void stop(std::chrono::milliseconds patience) {
    const std::lock_guard lock{stop_mutex_};
    if (std::exchange(is_stopped_, true)) return;
    registry_->post([this] {
      error_code ignored;  // it is not used any more
      acceptor_.close(ignored);
      pause_.cancel();
    });
    has_accepted_last_.get_future().wait();
    registry_->end_gracefully(patience);
    registry_->close_all();
    registry_->set_over();
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
    acceptor_.async_accept([this](const error_code& ec, loop_socket socket) {
      if (!acceptor_.is_open()) return has_accepted_last_.set_value();
      if (!ec) {
        take(std::move(socket));
        accept();
      } else if (ec == net::error::connection_aborted) {
        accept();
      } else {
        pause_.expires_after(back_off);
        pause_.async_wait([this](const error_code&) {
          if (!acceptor_.is_open()) return has_accepted_last_.set_value();
          accept();
        });
      }
    });
  }

  void take(loop_socket socket) {
    const std::size_t open = registry_->size();
    const std::size_t limit = registry_->options.max_connections;
    if (open >= limit + refused_at_a_time) return;
    const auto taken = std::make_shared<connection>(registry_, std::move(socket));
    if (!registry_->add(taken)) return;
    taken->start(open >= limit);
  }

  std::unique_ptr<loop> own_loop_;  // null: it is borrowed
  std::shared_ptr<connection_registry> registry_;  // owners: the listener, its connections and whoever will answer
  net::basic_socket_acceptor<tcp, loop_executor> acceptor_;
  loop_timer pause_;
  std::promise<void> has_accepted_last_;  // by the last of the handlers above: none of them comes any more
  std::uint16_t port_{0};
  std::mutex stop_mutex_;
  bool is_stopped_{false};
};

listener::listener(listener_options options, request_handler handler)
    : core_{std::make_unique<core>(std::move(options), std::move(handler), nullptr)} {}

listener::listener(listener_options options, request_handler handler, loop& where)
    : core_{std::make_unique<core>(std::move(options), std::move(handler), &where)} {}

listener::~listener() { stop(std::chrono::milliseconds{0}); }

std::uint16_t listener::port() const noexcept { return core_->port(); }

std::size_t listener::connections() const { return core_->connections(); }

void listener::stop(std::chrono::milliseconds patience) { core_->stop(patience); }

}  // namespace caesura::http
