#include "runtime/server/http/connection.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include <optional>

#include "runtime/server/http/response_head.hpp"
#include "runtime/server/http/url.hpp"

namespace caesura::http {

namespace {

namespace beast_http = boost::beast::http;
using boost::system::error_code;

// Beyond the header: what the reader may take from the socket at once.
constexpr std::size_t read_at_once_bytes = 65536;
constexpr std::chrono::milliseconds linger_time{1000};

std::string_view to_view(boost::beast::string_view text) { return {text.data(), text.size()}; }

bool is_loopback(const net::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return net::ip::make_address_v4(net::ip::v4_mapped, address.to_v6()).is_loopback();
  return address.is_loopback();
}

}  // namespace

struct connection::reader {
  explicit reader(std::size_t bytes) : buffer{bytes} {}

  boost::beast::flat_buffer buffer;  // may hold the beginning of the next request
  std::optional<beast_http::request_parser<beast_http::string_body>> parser;
};

connection::connection(std::shared_ptr<connection_registry> registry, strand_socket socket)
    : registry_{std::move(registry)},
      strand_{socket.get_executor()},
      socket_{std::move(socket)},
      timer_{strand_},
      reader_{std::make_unique<reader>(registry_->options.header_bytes + read_at_once_bytes)} {}

connection::~connection() = default;

void connection::start(bool is_refused) {
  error_code ignored;  // an option that is not taken, or a peer that has gone, shows itself at the first read
  socket_.set_option(net::ip::tcp::no_delay{true}, ignored);
  const auto peer = socket_.remote_endpoint(ignored);
  is_loopback_ = is_loopback(peer.address());
  if (is_refused) {
    refuse(503, "more than " + std::to_string(registry_->options.max_connections) + " connections");
  } else {
    set_deadline(registry_->options.header_timeout);
    phase_ = phase::idle;
    read_header();
  }
}

void connection::read_request() {
  traits_ = {};
  phase_ = phase::idle;
  if (reader_->buffer.size() > 0) {
    set_deadline(registry_->options.header_timeout);
    read_header();
    return;
  }
  if (registry_->is_stopping()) {
    close();
    return;
  }
  set_deadline(registry_->options.idle_timeout);
  socket_.async_read_some(reader_->buffer.prepare(4096), [self = shared_from_this()](const error_code& ec, std::size_t size) {
    if (self->phase_ == phase::closed) return;
    if (ec) {
      self->fail_read(ec);
      return;
    }
    self->reader_->buffer.commit(size);
    self->set_deadline(self->registry_->options.header_timeout);
    self->read_header();
  });
}

void connection::read_header() {
  const auto& options = registry_->options;
  if (reader_->buffer.size() > 0) phase_ = phase::receiving;
  reader_->parser.emplace();
  reader_->parser->header_limit(static_cast<std::uint32_t>(options.header_bytes));
  reader_->parser->body_limit(options.body_bytes);
  beast_http::async_read_header(socket_, reader_->buffer, *reader_->parser,
                                [self = shared_from_this()](error_code ec, std::size_t size) {
                                  if (self->phase_ == phase::closed) return;
                                  // Beast's own limit counts the request line and the fields apart.
                                  if (!ec && size > self->registry_->options.header_bytes) ec = beast_http::error::header_limit;
                                  if (self->reader_->buffer.size() > 0 || self->reader_->parser->got_some())
                                    self->phase_ = phase::receiving;
                                  if (ec) {
                                    self->fail_read(ec);
                                  } else {
                                    self->phase_ = phase::receiving;
                                    self->after_header();
                                  }
                                });
}

void connection::after_header() {
  const auto& message = reader_->parser->get();
  traits_.is_version_11 = message.version() == 11;
  traits_.is_head = message.method() == beast_http::verb::head;
  if (traits_.is_version_11 && message.count(beast_http::field::host) != 1)
    return refuse(400, "the request has not exactly one Host header");
  const auto encoding = message.find(beast_http::field::transfer_encoding);
  if (encoding != message.end() && !equal_ignoring_case(to_view(encoding->value()), "chunked")) {
    return refuse(501, "no transfer encoding but chunked is supported");
  }
  set_deadline(registry_->options.body_timeout);
  if (reader_->parser->is_done()) {
    handle();
  } else if (traits_.is_version_11 && equal_ignoring_case(to_view(message[beast_http::field::expect]), "100-continue")) {
    send_continue();
  } else {
    read_body();
  }
}

void connection::send_continue() {
  head_ = "HTTP/1.1 100 Continue\r\n\r\n";
  net::async_write(socket_, net::buffer(head_), [self = shared_from_this()](const error_code& ec, std::size_t) {
    if (self->phase_ == phase::closed) return;
    if (ec) {
      self->close();
    } else {
      self->read_body();
    }
  });
}

void connection::read_body() {
  beast_http::async_read(socket_, reader_->buffer, *reader_->parser,
                         [self = shared_from_this()](const error_code& ec, std::size_t) {
                           if (self->phase_ == phase::closed) return;
                           if (ec) {
                             self->fail_read(ec);
                           } else {
                             self->handle();
                           }
                         });
}

request connection::take_request() {
  auto message = reader_->parser->release();
  request taken{.method = std::string{message.method_string()},
                .target = std::string{message.target()},
                .body = std::move(message.body()),
                .is_loopback = is_loopback_};
  for (const auto& field : message) taken.headers.add(std::string{field.name_string()}, std::string{field.value()});
  return taken;
}

void connection::handle() {
  clear_deadline();
  is_closing_ = !reader_->parser->keep_alive();
  request received = take_request();
  if (!received.target.starts_with('/') && received.target != "*") {
    auto absolute = parse_url(received.target);
    if (auto* parsed = std::get_if<url>(&absolute)) received.target = parsed->target;
  }
  const std::string_view target = received.target;
  const std::size_t path_end = std::min(target.find('?'), target.size());
  auto path = decode_percent(target.substr(0, path_end));
  auto query = parse_query(target.substr(std::min(path_end + 1, target.size())));
  const bool is_usable = target.starts_with('/') || target == "*";
  if (!is_usable || !path || !query) return refuse(400, "the request's target is malformed");
  received.path = std::move(*path);
  received.query = std::move(*query);

  phase_ = phase::handling;
  const responder respond{make_answer(shared_from_this(), traits_)};
  try {
    registry_->handler(std::move(received), respond);
  } catch (const std::exception& e) {
    respond(response::error(500, std::string{"the handler failed: "} + e.what()));
  }
}

void connection::fail_read(const error_code& ec) {
  const auto& options = registry_->options;
  if (phase_ == phase::idle) return close();  // no request is under way: nothing to answer
  if (is_late_)
    return refuse(408, "the request took longer than " + std::to_string(options.header_timeout.count()) + " ms for its header or " +
                           std::to_string(options.body_timeout.count()) + " ms for its body");
  if (ec == beast_http::error::header_limit)
    return refuse(431, "the header has more than " + std::to_string(options.header_bytes) + " bytes");
  if (ec == beast_http::error::body_limit)
    return refuse(413, "the body has more than " + std::to_string(options.body_bytes) + " bytes");
  if (ec.category() == error_code{beast_http::error::bad_method}.category())
    return refuse(400, "the request is malformed: " + ec.message());
  close();
}

void connection::refuse(int status, const std::string& text) {
  is_closing_ = true;
  write(response::error(status, text));
}

void connection::answer(response answer) {
  if (phase_ == phase::handling) write(sendable(std::move(answer)));
}

void connection::write(response answer) {
  if (registry_->is_stopping()) is_closing_ = true;
  phase_ = phase::writing;
  head_ = make_head(answer, registry_->options.extra_headers, {traits_, is_closing_});
  body_ = traits_.is_head || has_no_body(answer.status) ? std::string{} : std::move(answer.body);
  set_deadline(registry_->options.write_timeout);
  const std::array<net::const_buffer, 2> buffers{net::buffer(head_), net::buffer(body_)};
  net::async_write(socket_, buffers, [self = shared_from_this()](const error_code& ec, std::size_t) {
    if (self->phase_ == phase::closed) return;
    self->body_ = {};
    if (ec) {
      self->close();
    } else if (self->is_closing_) {
      self->linger();
    } else {
      self->read_request();
    }
  });
}

void connection::linger() {
  phase_ = phase::lingering;
  error_code ignored;  // a peer that has gone: the read below tells
  socket_.shutdown(net::socket_base::shutdown_send, ignored);
  set_deadline(linger_time);
  if (!queue_) discard();  // a stream reads already
}

void connection::discard() {
  socket_.async_read_some(net::buffer(scratch_), [self = shared_from_this()](const error_code& ec, std::size_t) {
    if (self->phase_ == phase::closed) return;
    if (ec) {
      self->close();
    } else {
      self->discard();
    }
  });
}

void connection::begin_stream(std::shared_ptr<stream_queue> queue) {
  queue_ = std::move(queue);
  if (phase_ != phase::handling) {
    const std::lock_guard lock{queue_->mutex};
    queue_->is_open = false;
    return;
  }
  phase_ = phase::streaming;
  is_closing_ = true;
  discard();  // so that the end of the client is noticed
  pump();
  if (registry_->is_stopping()) stop();
}

void connection::pump() {
  if (phase_ != phase::streaming) return;
  bool is_at_end = false;
  {
    const std::lock_guard lock{queue_->mutex};
    body_ = std::exchange(queue_->bytes, {});
    is_at_end = body_.empty() && queue_->is_close_wanted;
    queue_->is_pumping = !body_.empty() || is_at_end;
  }
  clear_deadline();
  if (body_.empty() && !is_at_end) return;
  if (is_at_end && !traits_.is_version_11) return linger();
  if (is_at_end) body_ = "0\r\n\r\n";
  set_deadline(registry_->options.write_timeout);
  net::async_write(socket_, net::buffer(body_), [self = shared_from_this(), is_at_end](const error_code& ec, std::size_t) {
    if (self->phase_ == phase::closed) return;
    if (ec) {
      self->close();
    } else if (is_at_end) {
      self->linger();
    } else {
      self->pump();
    }
  });
}

void connection::stop() {
  if (phase_ == phase::idle) return close();
  if (phase_ != phase::streaming) return;
  bool was_pumping = true;
  {
    const std::lock_guard lock{queue_->mutex};
    queue_->is_open = false;
    queue_->is_close_wanted = true;
    was_pumping = std::exchange(queue_->is_pumping, true);
  }
  if (!was_pumping) pump();
}

void connection::close() {
  if (phase_ == phase::closed) return;
  const auto self = shared_from_this();
  phase_ = phase::closed;
  clear_deadline();
  error_code ignored;  // there is nobody left to be told
  socket_.close(ignored);
  if (queue_) {
    const std::lock_guard lock{queue_->mutex};
    queue_->is_open = false;
    queue_->bytes = {};
  }
  registry_->remove(this);
}

void connection::set_deadline(std::chrono::milliseconds duration) {
  timer_.expires_after(duration);
  timer_.async_wait([self = shared_from_this(), which = ++deadline_](const error_code& ec) {
    if (!ec && which == self->deadline_ && self->phase_ != phase::closed) self->on_deadline();
  });
}

void connection::clear_deadline() {
  ++deadline_;
  timer_.cancel();
}

void connection::on_deadline() {
  if (phase_ == phase::idle && reader_->buffer.size() > 0) phase_ = phase::receiving;  // a part of a header
  if (phase_ != phase::receiving) return close();
  // Every read from here on ends at once, also one that is about to start; the answer can still be written.
  is_late_ = true;
  error_code ignored;  // not connected any more: the read has ended anyway
  socket_.shutdown(net::socket_base::shutdown_receive, ignored);
}

}  // namespace caesura::http
