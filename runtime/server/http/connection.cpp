#include "runtime/server/http/connection.hpp"

#include <boost/asio/write.hpp>

#include <optional>

#include "runtime/server/http/message_parser.hpp"
#include "runtime/server/http/response_head.hpp"
#include "runtime/server/http/url.hpp"
#include "runtime/server/http/write_at_once.hpp"

namespace caesura::http {

namespace {

namespace beast_http = boost::beast::http;
using boost::system::error_code;

constexpr std::chrono::milliseconds linger_time{1000};

bool is_loopback(const net::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return net::ip::make_address_v4(net::ip::v4_mapped, address.to_v6()).is_loopback();
  return address.is_loopback();
}

}  // namespace

struct connection::reader {
  explicit reader(std::size_t bytes) : buffer{bytes} {}

  boost::beast::flat_buffer buffer;  // may hold the beginning of the next request
  std::optional<message_parser<true>> parser;
};

connection::connection(std::shared_ptr<connection_registry> registry, loop_socket socket)
    : registry_{std::move(registry)},
      socket_{std::move(socket)},
      timer_{socket_.get_executor()},
      reader_{std::make_unique<reader>(registry_->options.header_bytes + body_read_bytes)} {}

connection::~connection() = default;

void connection::start(bool is_refused) {
  error_code ignored;  // an option that is not taken, or a peer that has gone, shows itself at the first read
  socket_.set_option(net::ip::tcp::no_delay{true}, ignored);
  socket_.non_blocking(true, ignored);
  const auto peer = socket_.remote_endpoint(ignored);
  is_loopback_ = is_loopback(peer.address());
  if (is_refused) {
    refuse(503, "more than " + std::to_string(registry_->options.max_connections) + " connections");
  } else {
    set_deadline(registry_->options.header_timeout);
    phase_ = phase::idle;
    begin_request();
    read();
  }
}

template <class Work>
void connection::guard(const Work& work) {
  if (phase_ == phase::closed) return;
  try {
    work();
  } catch (const std::exception&) {  // such as no memory: there is nobody to tell but the client, and no telling in what state its answer is
    close();
  }
}

void connection::begin_request() {
  const auto& options = registry_->options;
  traits_ = {};
  reader_->parser.emplace(options.header_bytes, options.body_bytes);
}

void connection::read_request() {
  has_answered_ = true;
  phase_ = phase::idle;
  begin_request();
  if (reader_->buffer.size() > 0) {
    // In its turn: each of many requests that came at once may have been answered on the spot.
    phase_ = phase::receiving;
    set_deadline(registry_->options.header_timeout);
    net::post(socket_.get_executor(), [self = shared_from_this()] { self->guard([&] { self->parse(); }); });
  } else if (registry_->is_stopping()) {
    close();
  } else {
    set_deadline(registry_->options.idle_timeout);
    read();
  }
}

void connection::read() {
  const bool is_body = reader_->parser->is_header_done();
  socket_.async_read_some(reader_->buffer.prepare(is_body ? body_read_bytes : header_read_bytes),
                          [self = shared_from_this()](const error_code& ec, std::size_t size) { self->guard([&] { self->take(ec, size); }); });
}

void connection::take(error_code ec, std::size_t size) {
  reader_->buffer.commit(size);
  if (!ec && phase_ == phase::idle) {
    phase_ = phase::receiving;
    if (has_answered_) set_deadline(registry_->options.header_timeout);  // the first header's began with the connection
  }
  if (ec == net::error::eof && reader_->parser->got_some()) reader_->parser->put_eof(ec);
  if (ec) {
    fail_read(ec);
  } else {
    parse();
  }
}

void connection::parse() {
  error_code ec;
  switch (reader_->parser->parse(reader_->buffer, ec)) {
    case message_parser<true>::found::nothing:
      if (ec) {
        fail_read(ec);
      } else {
        read();
      }
      return;
    case message_parser<true>::found::header: after_header(); return;
    case message_parser<true>::found::whole: handle(); return;
  }
}

void connection::after_header() {
  const auto& message = *reader_->parser;
  traits_.is_version_11 = message.version == 11;
  traits_.is_head = message.method == "HEAD";
  const auto hosts = std::ranges::count_if(message.headers, [](const auto& field) { return equal_ignoring_case(field.first, "Host"); });
  if (traits_.is_version_11 && hosts != 1) return refuse(400, "the request has not exactly one Host header");
  const auto* const encoding = message.headers.find("Transfer-Encoding");
  if (encoding != nullptr && !equal_ignoring_case(*encoding, "chunked")) {
    return refuse(501, "no transfer encoding but chunked is supported");
  }
  set_deadline(registry_->options.body_timeout);
  const auto* const expected = message.headers.find("Expect");
  if (message.is_done()) {
    handle();
  } else if (traits_.is_version_11 && expected != nullptr && equal_ignoring_case(*expected, "100-continue")) {
    send_continue();
  } else {
    parse();
  }
}

void connection::send_continue() {
  is_continuing_ = true;
  head_ = "HTTP/1.1 100 Continue\r\n\r\n";
  net::async_write(socket_, net::buffer(head_), [self = shared_from_this()](const error_code& ec, std::size_t) {
    self->is_continuing_ = false;
    self->guard([&] {
      if (ec) {
        self->close();
      } else {
        self->parse();
      }
    });
  });
}

request connection::take_request() {
  auto& message = *reader_->parser;
  return {.method = std::move(message.method),
          .target = std::move(message.target),
          .path = {},
          .query = {},
          .headers = std::move(message.headers),
          .body = std::move(message.body),
          .is_loopback = is_loopback_};
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
  if (ec == beast_http::error::header_limit && reader_->parser->is_header_done())
    return refuse(431, "what frames the chunks of the body, or its trailer, has more than " + std::to_string(options.header_bytes) + " bytes");
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
  guard([&] {
    if (phase_ == phase::handling) write(sendable(std::move(answer)));
  });
}

void connection::write(response answer) {
  if (registry_->is_stopping()) is_closing_ = true;
  phase_ = phase::writing;
  head_ = make_head(answer, registry_->options.extra_headers, {traits_, is_closing_});
  body_ = traits_.is_head || has_no_body(answer.status) ? std::string{} : std::move(answer.body);
  constexpr std::size_t bytes_a_timeout = 1024 * 1024;  // whoever reads no faster than that is slow
  set_deadline(registry_->options.write_timeout * (1 + body_.size() / bytes_a_timeout));
  head_and_body left{net::buffer(head_), net::buffer(body_)};
  error_code ec;
  if (write_at_once(socket_, left, ec)) return after_write(ec);
  net::async_write(socket_, left, [self = shared_from_this()](const error_code& failed, std::size_t) { self->guard([&] { self->after_write(failed); }); });
}

void connection::after_write(const error_code& ec) {
  body_ = {};
  if (ec) {
    close();
  } else if (is_closing_) {
    linger();
  } else {
    read_request();
  }
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
    self->guard([&] {
      if (ec) {
        self->close();
      } else {
        self->discard();
      }
    });
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
    self->guard([&] {
      if (ec) {
        self->close();
      } else if (is_at_end) {
        self->linger();
      } else {
        self->pump();
      }
    });
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
  timer_.cancel();
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
  deadline_ = std::chrono::steady_clock::now() + duration;
  if (!timer_at_ || *timer_at_ > *deadline_) wait_for_deadline();
}

void connection::clear_deadline() { deadline_.reset(); }

// The timer is set anew only for a deadline before what it is set for, and looks again when it rings: there are several deadlines in each request.
void connection::wait_for_deadline() {
  timer_at_ = deadline_;
  timer_.expires_at(*timer_at_);
  timer_.async_wait([self = shared_from_this()](const error_code& ec) {
    if (ec) return;
    self->guard([&] {
      self->timer_at_.reset();
      if (!self->deadline_) return;
      if (*self->deadline_ > std::chrono::steady_clock::now()) return self->wait_for_deadline();
      self->deadline_.reset();
      self->on_deadline();
    });
  });
}

void connection::on_deadline() {
  if (phase_ == phase::idle && reader_->buffer.size() > 0) phase_ = phase::receiving;  // a part of a header
  if (phase_ != phase::receiving || is_continuing_) return close();  // who does not read gets no answer either
  // Every read from here on ends at once, also one that is about to start; the answer can still be written.
  is_late_ = true;
  error_code ignored;  // not connected any more: the read has ended anyway
  socket_.shutdown(net::socket_base::shutdown_receive, ignored);
}

}  // namespace caesura::http
