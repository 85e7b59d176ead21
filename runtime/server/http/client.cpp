#include "runtime/server/http/client.hpp"

#include "runtime/server/http/client_link.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <boost/intrusive/list.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <deque>
#include <future>
#include <iterator>
#include <map>
#include <unordered_map>

#include <caesura/error.hpp>

#include "runtime/server/http/loop_core.hpp"
#include "runtime/server/http/url.hpp"
#include "runtime/server/http/write_at_once.hpp"

namespace caesura::http {

// The connections to one origin and the calls that wait for one. There until it has neither.
struct pool {
  std::string origin;
  std::size_t links{0};                     // idle, connecting and in use
  std::vector<std::shared_ptr<link>> idle;  // the one used last is behind
  std::deque<std::shared_ptr<client_call>> waiting;
};

// A request on its way, also over several connections. Owners: the connection that it uses, the pool in which it waits for one, and the handlers of its
// operations; the client's list of all calls leads to it, and it leaves that when it ends.
struct client_call : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>, std::enable_shared_from_this<client_call> {
  client_call(outgoing what, std::shared_ptr<const destination> where, std::function<void(outcome)> whom)
      : request{std::move(what)}, to{std::move(where)}, callback{std::move(whom)} {}

  outgoing request;
  std::shared_ptr<const destination> to;
  std::shared_ptr<link> used;  // null while it waits for one
  std::function<void(outcome)> callback;
  int redirects_left{3};  // as the header says
  bool may_repeat{true};
  bool is_done{false};
  std::chrono::steady_clock::time_point began{std::chrono::steady_clock::now()};
  std::chrono::steady_clock::time_point due{began + request.timeout};
};

namespace {

using clock = std::chrono::steady_clock;
using boost::system::error_code;
using net::ip::tcp;

// A call may take hours, during which nothing comes: of a peer whose machine or network is gone only the system's own probes tell, after a minute and a half.
void notice_gone_peer(int socket) noexcept {
  constexpr int on = 1;
  constexpr int idle_seconds = 30;
  constexpr int between_seconds = 15;
  constexpr int probes = 4;
  // What the system does not take leaves the call's timeout.
  (void)::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &between_seconds, sizeof between_seconds);
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  // While it has not acknowledged what was sent, there are no probes, and the system would send it again for a quarter of an hour.
  constexpr unsigned unacknowledged_ms = 90'000;
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
}

// By when they are due. Those of one timeout are due as they began, so that a call is put behind the others.
using call_list = boost::intrusive::list<client_call, boost::intrusive::constant_time_size<false>>;

bool is_left_out(std::string_view name) {
  constexpr std::array<std::string_view, 4> own{"Host", "Content-Length", "Transfer-Encoding", "Connection"};
  return std::ranges::any_of(own, [&](std::string_view one) { return equal_ignoring_case(name, one); });
}

// In place of what `head` holds.
void write_head(const client_call& one, std::string& head) {
  constexpr std::size_t usual_bytes = 512;
  head.clear();
  head.reserve(usual_bytes);
  head.append(one.request.method).append(1, ' ').append(one.to->parts.target).append(" HTTP/1.1\r\nHost: ").append(one.to->authority).append("\r\n");
  for (const auto& [name, value] : one.request.headers) {
    if (!is_left_out(name)) head.append(name).append(": ").append(value).append("\r\n");
  }
  head.append(one.request.more_headers);
  const bool has_body = !one.request.body.empty() || (one.request.method != "GET" && one.request.method != "HEAD");
  if (has_body) head.append("Content-Length: ").append(std::to_string(one.request.body.size())).append("\r\n");
  head.append("\r\n");
}

bool is_redirect(int status) { return status == 301 || status == 302 || status == 307 || status == 308; }

bool is_closing(const error_code& ec) {
  return ec == beast_http::error::end_of_stream || ec == beast_http::error::partial_message || ec == net::error::eof ||
         ec == net::error::connection_reset || ec == net::error::broken_pipe || ec == ssl::error::stream_truncated;
}

std::string_view without_query(std::string_view url) { return url.substr(0, url.find_first_of("?#")); }

std::string describe(const outgoing& request) {
  return request.method + " " + (request.to ? request.to->shown : std::string{without_query(request.url)});
}

std::shared_ptr<const destination> destination_of(url where, std::string_view text) {
  auto origin = where.origin();
  auto authority = where.authority();
  return std::make_shared<const destination>(
      destination{.parts = std::move(where), .origin = std::move(origin), .authority = std::move(authority), .shown = std::string{without_query(text)}});
}

std::optional<std::string> find_fault(const outgoing& request) {
  if (!is_token(request.method)) return "the method \"" + request.method + "\" is no token";
  return find_fault(request.headers);
}

}  // namespace

// The connections and calls, on the loop's thread: everything but what begins with `post` happens there. Its handlers own it, so that it is there for
// those that come behind its end.
class client::core : public std::enable_shared_from_this<client::core> {
 public:
  core(const client_options& options, loop& where) : options_{options}, loop_{*where.parts()}, tls_{ssl::context::tls_client}, timer_{loop_.io}, sweep_timer_{loop_.io} {
    tls_.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
    if (options_.verify_certificates) trust_given_authorities();
  }

  void post(std::shared_ptr<client_call> one) {
    net::dispatch(loop_.io, [self = shared_from_this(), one = std::move(one)] { self->start(one); });
  }
  void post_failure(std::function<void(outcome)> callback, failure why) {
    net::post(loop_.io, [callback = std::move(callback), why = std::move(why)]() mutable { callback(std::move(why)); });
  }
  void post_cancel(std::weak_ptr<client_call> which) {
    net::post(loop_.io, [self = shared_from_this(), which = std::move(which)] {
      if (const auto found = which.lock()) self->give_up(found, failure_kind::closed, "was cancelled");
    });
  }
  // Returns once the last callback has.
  void post_end() {
    std::promise<void> ended;
    net::post(loop_.io, [self = shared_from_this(), &ended] {
      self->end();
      ended.set_value();
    });
    ended.get_future().wait();
  }

 private:
  using call_ptr = std::shared_ptr<client_call>;
  using link_ptr = std::shared_ptr<link>;

  void trust_given_authorities() {
    tls_.set_verify_mode(ssl::verify_peer);
    if (options_.certificate_authorities.empty()) return;
    error_code ec;
    tls_.add_certificate_authority(net::buffer(options_.certificate_authorities), ec);
    if (ec) throw error{errc::invalid_argument, "client_options.certificate_authorities is not PEM: " + ec.message()};
  }

  // When the first https:// URL is called: to read all of them takes longer than everything else at the start of a server.
  void trust_system_authorities() {
    if (!options_.verify_certificates || std::exchange(has_system_authorities_, true)) return;
    error_code ignored;  // a certificate that nobody vouches for is refused, and that is told
    tls_.set_default_verify_paths(ignored);
  }

  void start(const call_ptr& one) {
    if (is_ended_) {
      post_failure(std::move(one->callback), {failure_kind::closed, describe(one->request) + " was not sent: the client is destroyed"});
      return;
    }
    enlist(*one);
    set_timer();
    set_pause();
    find_link(one);
  }

  void enlist(client_call& one) {
    constexpr std::size_t many_timeouts = 16;
    if (calls_.size() > many_timeouts) std::erase_if(calls_, [](const auto& entry) { return entry.second.empty(); });
    auto& calls = calls_[one.request.timeout];
    auto place = calls.end();
    while (place != calls.begin() && std::prev(place)->due > one.due) --place;  // by a little, if another thread has sent it
    calls.insert(place, one);
    ++calls_out_;
  }

  // The call that is due first; null: there is none. Few timeouts are in use at once.
  [[nodiscard]] client_call* first_due() {
    client_call* first = nullptr;
    for (auto& [timeout, calls] : calls_) {
      if (!calls.empty() && (first == nullptr || calls.front().due < first->due)) first = &calls.front();
    }
    return first;
  }

  // One timer for all calls: it is set anew only for one that is due before what it is set for, and looks again when it rings.
  void set_timer() {
    const auto* const first = first_due();
    if (first == nullptr || (timer_at_ && *timer_at_ <= first->due)) return;
    timer_at_ = first->due;
    timer_.expires_at(*timer_at_);
    timer_.async_wait([self = shared_from_this()](const error_code& ec) {
      if (ec || self->is_ended_) return;
      self->timer_at_.reset();
      self->give_up_late();
      self->set_timer();
    });
  }

  void give_up_late() {
    for (client_call* first = first_due(); first != nullptr && first->due <= clock::now(); first = first_due()) {
      const call_ptr late = first->shared_from_this();
      give_up(late, failure_kind::timeout, "got no whole response within " + std::to_string(late->request.timeout.count()) + " ms");
    }
  }

  void set_pause() {
    if (options_.longest_pause > std::chrono::microseconds::zero()) loop_.pause = pause_with(calls_out_, usual_call_, options_.longest_pause);
  }

  pool& pool_of(const client_call& one) {
    const auto [place, is_new] = pools_.try_emplace(one.to->origin);
    if (is_new) place->second.origin = one.to->origin;
    return place->second;
  }

  void find_link(const call_ptr& one) {
    pool& origin = pool_of(*one);
    // What has come while nobody asked is no answer to this.
    while (!origin.idle.empty() && has_something_to_read(*origin.idle.back())) {
      origin.idle.back()->close();
      origin.idle.pop_back();
      --origin.links;
    }
    if (!origin.idle.empty()) {
      const link_ptr kept = std::move(origin.idle.back());
      origin.idle.pop_back();
      attach(kept, one);
      exchange(kept, one);
    } else if (origin.links >= options_.connections_per_origin) {
      origin.waiting.push_back(one);
    } else {
      connect(one, origin);
    }
  }

  static bool has_something_to_read(const link& idle) {
    error_code ec;
    return idle.socket.available(ec) > 0 || ec;
  }
  static void attach(const link_ptr& used, const call_ptr& one) {
    used->current = one;
    one->used = used;
  }
  static link_ptr detach(const call_ptr& one) {
    one->used->current.reset();
    return std::exchange(one->used, nullptr);
  }

  void connect(const call_ptr& one, pool& origin) {
    const auto& where = one->to->parts;
    if (where.is_https) trust_system_authorities();
    const auto made = std::make_shared<link>(loop_.io, where.is_https ? &tls_ : nullptr, options_.header_bytes + body_read_bytes);
    ++origin.links;
    made->home = &origin;
    attach(made, one);
    const auto timer = std::make_shared<net::steady_timer>(loop_.io, options_.connect_timeout);
    timer->async_wait([this, self = shared_from_this(), one, made](const error_code& ec) {
      // Of a connection that is made the timer was cancelled, but its handler may have been queued by then.
      if (!ec && is_current(one, made) && made->head.empty())
        fail_connect(one, "within " + std::to_string(options_.connect_timeout.count()) + " ms");
    });
    error_code no_address;
    const auto address = net::ip::make_address(where.host, no_address);
    if (!no_address) {
      made->socket.async_connect({address, where.port},
                                 [this, self = shared_from_this(), one, made, timer](const error_code& ec) { after_connect(one, made, timer, ec); });
      return;
    }
    made->resolver.emplace(loop_.io);
    made->resolver->async_resolve(where.host, std::to_string(where.port), tcp::resolver::numeric_service,
                                  [this, self = shared_from_this(), one, made, timer](const error_code& ec, const tcp::resolver::results_type& found) {
                                    if (!is_current(one, made)) return;
                                    if (ec) return fail_connect(one, ec.message());
                                    connect_next(one, made, timer, found, found.begin());
                                  });
  }

  // One address after the other. Each has its share of the time that is left, so that one from which nothing comes leaves some to the next.
  void connect_next(const call_ptr& one, const link_ptr& made, const std::shared_ptr<net::steady_timer>& timer, const tcp::resolver::results_type& found,
                    tcp::resolver::results_type::const_iterator at) {
    const auto share = (timer->expiry() - clock::now()) / std::max<std::ptrdiff_t>(std::distance(at, found.end()), 1);
    struct attempt {
      net::steady_timer patience;
      bool is_over{false};
    };
    const auto now = std::make_shared<attempt>(attempt{.patience = net::steady_timer{loop_.io, share}});
    now->patience.async_wait([one, made, now](const error_code& ec) {
      error_code ignored;  // its connect ends as cancelled
      if (!ec && !now->is_over && is_current(one, made)) made->socket.cancel(ignored);
    });
    const tcp::endpoint address = *at++;
    made->socket.async_connect(address, [this, self = shared_from_this(), one, made, timer, now, found, at](const error_code& ec) {
      now->is_over = true;
      now->patience.cancel();
      if (!is_current(one, made)) return;
      if (!ec || at == found.end()) return after_connect(one, made, timer, ec);
      error_code ignored;  // the next one is opened anew
      made->socket.close(ignored);
      connect_next(one, made, timer, found, at);
    });
  }

  void after_connect(const call_ptr& one, const link_ptr& made, const std::shared_ptr<net::steady_timer>& timer,
                     const error_code& ec) {
    if (!is_current(one, made)) return;
    if (ec) return fail_connect(one, ec.message());
    error_code ignored;  // slower without it, nothing else
    made->socket.set_option(tcp::no_delay{true}, ignored);
    notice_gone_peer(made->socket.native_handle());
    made->socket.non_blocking(true, ignored);
    if (!made->tls) {
      timer->cancel();
      return exchange(made, one);
    }
    error_code is_name;
    const auto& host = one->to->parts.host;
    net::ip::make_address(host, is_name);
    if (is_name && SSL_set_tlsext_host_name(made->tls->native_handle(), host.c_str()) != 1)
      return fail_connect(one, "TLS refuses the host name");
    if (options_.verify_certificates) made->tls->set_verify_callback(ssl::host_name_verification{host});
    made->tls->async_handshake(ssl::stream_base::client, [this, self = shared_from_this(), one, made, timer](const error_code& failed) {
      if (!is_current(one, made)) return;
      if (failed) return fail_connect(one, "TLS: " + failed.message());
      timer->cancel();
      exchange(made, one);
    });
  }

  void fail_connect(const call_ptr& one, const std::string& why) {
    give_up(one, failure_kind::connect, "could not connect: " + why);
  }

  // A server may answer before it has read everything, and close: its answer is read also when the request could not be written wholly. What became of
  // a connection that cannot be written to is told by its read.
  void exchange(const link_ptr& used, const call_ptr& one) {
    if (one->request.before_write) one->request.before_write(one->request.headers, one->request.body);
    write_head(*one, used->head);
    begin_response(*used, *one);
    head_and_body left{net::buffer(used->head), net::buffer(one->request.body)};
    error_code ec;
    if (!used->tls && write_at_once(used->socket, left, ec)) {
      used->is_written = !ec;
    } else {
      used->is_written = false;
      net::async_write(*used, left, [self = shared_from_this(), used, one](const error_code& failed, std::size_t) {
        if (is_current(one, used)) used->is_written = !failed;
      });
    }
    if (!used->is_reading) read(used);
  }

  void begin_response(link& used, const client_call& one) {
    used.parser.emplace(options_.header_bytes, options_.response_bytes, one.request.kept_headers);
    if (one.request.method == "HEAD") used.parser->skip(true);
  }

  void read(const link_ptr& used) {
    used->is_reading = true;
    const bool is_body = used->parser && used->parser->is_header_done();
    used->async_read_some(used->buffer.prepare(is_body ? body_read_bytes : header_read_bytes),
                          [self = shared_from_this(), used](const error_code& ec, std::size_t size) {
                            used->is_reading = false;
                            self->guard(used, [&] { self->take(used, ec, size); });
                          });
  }

  // What reading throws fails the call that it is for, not the process with all others. Not what a callback throws, for then its call is done.
  template <class Work>
  void guard(const link_ptr& used, const Work& work) {
    const call_ptr one = used->current;
    try {
      work();
    } catch (const std::exception& e) {
      if (!one || one->is_done) throw;
      give_up(one, failure_kind::malformed, std::string{"got a response that cannot be read: "} + e.what());
    }
  }

  void take(const link_ptr& used, error_code ec, std::size_t size) {
    if (used->is_closed) return;
    const call_ptr one = used->current;
    if (!one) return end_idle(used);
    used->buffer.commit(size);
    if (ec == net::error::eof) {
      ec = beast_http::error::end_of_stream;
      if (used->parser->got_some()) used->parser->put_eof(ec);
      if (!ec) return finish(used, one);
    }
    if (ec) return fail_read(used, one, ec);
    parse(used, one);
  }

  void parse(const link_ptr& used, const call_ptr& one) {
    for (;;) {
      error_code ec;
      const auto found = used->parser->parse(used->buffer, ec);
      if (ec) return fail_read(used, one, ec);
      if (found == message_parser<false>::found::nothing) return read(used);
      const bool is_interim = used->parser->status >= 100 && used->parser->status < 200;
      if (is_interim) {
        begin_response(*used, *one);  // the response is still to come
      } else {
        one->may_repeat = false;
        if (found == message_parser<false>::found::whole) return finish(used, one);
      }
    }
  }

  // The peer has closed a connection that nobody used, or has sent what nobody asked for.
  void end_idle(const link_ptr& ended) {
    ended->close();
    pool& origin = *ended->home;
    origin.links -= std::erase(origin.idle, ended);
    forget_if_empty(origin);
  }

  void fail_read(const link_ptr& used, const call_ptr& one, const error_code& ec) {
    const bool came_nothing = used->buffer.size() == 0 && !used->parser->got_some();
    if (used->is_reused && one->may_repeat && came_nothing && is_closing(ec)) {
      one->may_repeat = false;
      drop_link(one);
      if (!one->is_done) connect_or_wait(one);
      return;
    }
    if (ec == beast_http::error::body_limit) {
      return give_up(one, failure_kind::too_large,
                     "got a response whose body has more than " + std::to_string(options_.response_bytes) + " bytes");
    }
    if (ec == beast_http::error::header_limit && used->parser->is_header_done()) {
      return give_up(one, failure_kind::too_large,
                     "got a response of which what frames the chunks of its body, or its trailer, has more than " + std::to_string(options_.header_bytes) + " bytes");
    }
    if (ec == beast_http::error::header_limit || ec == beast_http::error::buffer_overflow) {
      return give_up(one, failure_kind::too_large,
                     "got a response whose header has more than " + std::to_string(options_.header_bytes) + " bytes");
    }
    if (!is_closing(ec) && ec.category() == error_code{beast_http::error::bad_method}.category()) {
      return give_up(one, failure_kind::malformed, "got what is no HTTP response: " + ec.message());
    }
    give_up(one, failure_kind::closed, "lost its connection before the response was whole: " + ec.message());
  }

  // The repetition takes no kept connection: the next one may be as old.
  void connect_or_wait(const call_ptr& one) {
    pool& origin = pool_of(*one);
    if (origin.links >= options_.connections_per_origin && !origin.idle.empty()) {
      origin.idle.front()->close();
      origin.idle.erase(origin.idle.begin());
      --origin.links;
    }
    if (origin.links >= options_.connections_per_origin) {
      origin.waiting.push_front(one);
    } else {
      connect(one, origin);
    }
  }

  void finish(const link_ptr& used, const call_ptr& one) {
    const bool is_kept = used->is_written && used->parser->keep_alive() && used->buffer.size() == 0;
    response received{.status = used->parser->status, .headers = std::move(used->parser->headers), .body = std::move(used->parser->body)};
    if (is_kept) {
      keep_link(one);
    } else {
      drop_link(one);
    }
    if (is_redirect(received.status) && one->redirects_left > 0) {
      if (auto next = resolve_on_origin(one->to->parts, received.headers.get("Location"))) {
        --one->redirects_left;
        one->to = destination_of(std::move(*next), {});
        one->may_repeat = true;
        return find_link(one);
      }
    }
    complete(one, std::move(received));
  }

  // What is told of a call ends with its description: "POST http://a/b got no whole response within 100 ms".
  void give_up(const call_ptr& one, failure_kind kind, const std::string& what) {
    if (one->is_done) return;
    one->is_done = true;
    if (one->used) {
      drop_link(one);
    } else if (const auto origin = pools_.find(one->to->origin); origin != pools_.end()) {
      std::erase(origin->second.waiting, one);
    }
    complete(one, failure{kind, describe(one->request) + " " + what});
  }

  void complete(const call_ptr& one, outcome result) {
    one->is_done = true;
    one->unlink();
    --calls_out_;
    constexpr int smoothing = 16;
    usual_call_ += (clock::now() - one->began - usual_call_) / smoothing;
    set_pause();
    const auto callback = std::move(one->callback);
    callback(std::move(result));
  }

  // Whether the call still waits for this connection: the handlers of one that was given up come late.
  [[nodiscard]] static bool is_current(const call_ptr& one, const link_ptr& used) { return !one->is_done && one->used == used; }

  void keep_link(const call_ptr& one) {
    const link_ptr kept = detach(one);
    kept->is_reused = true;
    kept->parser.reset();
    kept->idle_since = clock::now();
    read(kept);
    kept->home->idle.push_back(kept);
    serve_waiting(*kept->home);
    schedule_sweep();
  }

  void drop_link(const call_ptr& one) {
    if (!one->used) return;
    const link_ptr dropped = detach(one);
    dropped->close();
    --dropped->home->links;
    serve_waiting(*dropped->home);
  }

  // Gives what has become free to the call that has waited longest.
  void serve_waiting(pool& origin) {
    if (is_ended_) return;
    const bool is_free = !origin.idle.empty() || origin.links < options_.connections_per_origin;
    if (is_free && !origin.waiting.empty()) {
      const call_ptr next = std::move(origin.waiting.front());
      origin.waiting.pop_front();
      try {
        find_link(next);
      } catch (const std::exception& e) {  // no memory for a connection: `next` is all that holds the call
        give_up(next, failure_kind::connect, std::string{"could not connect: "} + e.what());
      }
    } else {
      forget_if_empty(origin);
    }
  }

  void forget_if_empty(pool& origin) {
    if (origin.links > 0 || !origin.waiting.empty()) return;
    const auto name = std::move(origin.origin);
    pools_.erase(name);
  }

  void schedule_sweep() {
    if (std::exchange(is_sweeping_, true)) return;
    sweep_timer_.expires_after(options_.idle_timeout / 2);
    sweep_timer_.async_wait([this, self = shared_from_this()](const error_code& ec) {
      is_sweeping_ = false;
      if (!ec) sweep();
    });
  }

  void sweep() {
    const auto oldest = clock::now() - options_.idle_timeout;
    bool has_idle = false;
    for (auto entry = pools_.begin(); entry != pools_.end();) {
      pool& origin = entry->second;
      origin.links -= std::erase_if(origin.idle, [&](const link_ptr& one) {
        if (one->idle_since > oldest) return false;
        one->close();
        return true;
      });
      has_idle |= !origin.idle.empty();
      entry = origin.links == 0 && origin.waiting.empty() ? pools_.erase(entry) : std::next(entry);
    }
    if (has_idle) schedule_sweep();
  }

  void end() {
    is_ended_ = true;
    timer_.cancel();
    sweep_timer_.cancel();
    for (client_call* first = first_due(); first != nullptr; first = first_due()) {
      give_up(first->shared_from_this(), failure_kind::closed, "was given up: the client is destroyed");
    }
    for (auto& [name, origin] : pools_) {
      for (const auto& idle : origin.idle) idle->close();
    }
    pools_.clear();
  }

  const client_options options_;
  loop::core& loop_;
  ssl::context tls_;
  net::steady_timer timer_;
  net::steady_timer sweep_timer_;
  std::chrono::nanoseconds usual_call_{0};  // how long calls take, smoothed
  std::optional<clock::time_point> timer_at_;
  bool has_system_authorities_{false};
  bool is_sweeping_{false};
  bool is_ended_{false};
  std::map<std::chrono::milliseconds, call_list> calls_;  // by their timeout
  std::size_t calls_out_{0};
  std::unordered_map<std::string, pool> pools_;  // by origin
};

client::client(client_options options) : own_loop_{std::make_unique<loop>()}, core_{std::make_shared<core>(options, *own_loop_)} {}

client::client(client_options options, loop& where) : core_{std::make_shared<core>(options, where)} {}

client::~client() { core_->post_end(); }

client::token client::send(outgoing request, std::function<void(outcome)> callback) {
  token name;
  std::string refused;
  if (!request.to) {
    auto parsed = parse_destination(request.url);
    if (auto* const found = std::get_if<std::shared_ptr<const destination>>(&parsed)) {
      request.to = std::move(*found);
    } else {
      refused = "the URL is refused: " + std::get<std::string>(parsed);
    }
  }
  if (refused.empty()) refused = find_fault(request).value_or("");
  if (!refused.empty()) {
    core_->post_failure(std::move(callback), {failure_kind::refused_url, describe(request) + " was not sent: " + refused});
    return name;
  }
  auto where = request.to;
  auto made = std::make_shared<client_call>(std::move(request), std::move(where), std::move(callback));
  name.call_ = made;
  core_->post(std::move(made));
  return name;
}

void client::cancel(const token& which) { core_->post_cancel(which.call_); }

std::variant<std::shared_ptr<const destination>, std::string> parse_destination(std::string_view text) {
  auto parsed = parse_url(text);
  if (auto* const refused = std::get_if<std::string>(&parsed)) return std::move(*refused);
  return destination_of(std::get<url>(std::move(parsed)), text);
}

std::chrono::nanoseconds pause_with(std::size_t calls, std::chrono::nanoseconds usual_call, std::chrono::nanoseconds longest) {
  constexpr int share = 2;
  constexpr int few = 4;
  constexpr std::size_t many = 16;
  constexpr std::chrono::milliseconds shortest{4};
  const auto pause = std::min(longest, usual_call / share);
  const bool brings_few = static_cast<std::int64_t>(calls) * pause < few * usual_call;  // Little's law: calls / usual_call answers a second
  return calls < many || pause < shortest || brings_few ? std::chrono::nanoseconds::zero() : pause;
}

std::string_view to_string(failure_kind kind) noexcept {
  switch (kind) {
    case failure_kind::refused_url: return "refused_url";
    case failure_kind::connect: return "connect";
    case failure_kind::timeout: return "timeout";
    case failure_kind::too_large: return "too_large";
    case failure_kind::malformed: return "malformed";
    case failure_kind::closed: return "closed";
  }
  return "";
}

}  // namespace caesura::http
