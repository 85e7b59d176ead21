#include "runtime/server/http/client.hpp"

#include "runtime/server/http/client_link.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <deque>
#include <future>
#include <set>
#include <unordered_map>

#include <caesura/error.hpp>

#include "runtime/server/http/loop_core.hpp"
#include "runtime/server/http/url.hpp"
#include "runtime/server/http/write_at_once.hpp"

namespace caesura::http {

// A request on its way, also over several connections. Owned by the client's table and by the handlers of its operations.
struct call {
  call(client::token name, outgoing what, url where, std::function<void(outcome)> whom)
      : token{name}, request{std::move(what)}, target{std::move(where)}, origin{target.origin()}, callback{std::move(whom)} {}

  client::token token;
  outgoing request;
  url target;
  std::string origin;
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

// The connections to one origin and the calls that wait for one.
struct pool {
  std::size_t links{0};                     // idle, connecting and in use
  std::vector<std::shared_ptr<link>> idle;  // the one used last is behind
  std::deque<std::shared_ptr<call>> waiting;
};

bool is_left_out(std::string_view name) {
  for (const char* own : {"Host", "Content-Length", "Transfer-Encoding", "Connection"}) {
    if (equal_ignoring_case(name, own)) return true;
  }
  return false;
}

std::string make_head(const call& one) {
  constexpr std::size_t usual_bytes = 512;
  std::string head;
  head.reserve(usual_bytes);
  head.append(one.request.method).append(1, ' ').append(one.target.target).append(" HTTP/1.1\r\nHost: ").append(one.target.authority()).append("\r\n");
  for (const auto& [name, value] : one.request.headers) {
    if (!is_left_out(name)) head.append(name).append(": ").append(value).append("\r\n");
  }
  const bool has_body = !one.request.body.empty() || (one.request.method != "GET" && one.request.method != "HEAD");
  if (has_body) head.append("Content-Length: ").append(std::to_string(one.request.body.size())).append("\r\n");
  return head.append("\r\n");
}

bool is_redirect(int status) { return status == 301 || status == 302 || status == 307 || status == 308; }

bool is_closing(const error_code& ec) {
  return ec == beast_http::error::end_of_stream || ec == beast_http::error::partial_message || ec == net::error::eof ||
         ec == net::error::connection_reset || ec == net::error::broken_pipe || ec == ssl::error::stream_truncated;
}

std::string describe(const outgoing& request) {
  return request.method + " " + request.url.substr(0, request.url.find_first_of("?#"));
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

  void post(std::shared_ptr<call> one) {
    net::dispatch(loop_.io, [self = shared_from_this(), one = std::move(one)] { self->start(one); });
  }
  void post_failure(std::function<void(outcome)> callback, failure why) {
    net::post(loop_.io, [callback = std::move(callback), why = std::move(why)]() mutable { callback(std::move(why)); });
  }
  void post_cancel(token which) {
    net::post(loop_.io, [self = shared_from_this(), which] {
      if (const auto found = self->calls_.find(which); found != self->calls_.end()) self->give_up(call_ptr{found->second}, failure_kind::closed, "was cancelled");
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
  using call_ptr = std::shared_ptr<call>;
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
    calls_.emplace(one->token, one);
    due_.emplace(one->due, one->token);
    set_timer();
    set_pause();
    find_link(one);
  }

  // One timer for all calls: it is set anew only for one that is due before what it is set for, and looks again when it rings.
  void set_timer() {
    if (due_.empty() || (timer_at_ && *timer_at_ <= due_.begin()->first)) return;
    timer_at_ = due_.begin()->first;
    timer_.expires_at(*timer_at_);
    timer_.async_wait([self = shared_from_this()](const error_code& ec) {
      if (ec || self->is_ended_) return;
      self->timer_at_.reset();
      self->give_up_late();
      self->set_timer();
    });
  }

  void give_up_late() {
    while (!due_.empty() && due_.begin()->first <= clock::now()) {
      const call_ptr late = calls_.at(due_.begin()->second);
      give_up(late, failure_kind::timeout, "got no whole response within " + std::to_string(late->request.timeout.count()) + " ms");
    }
  }

  void set_pause() {
    if (options_.longest_pause > std::chrono::microseconds::zero()) loop_.pause = pause_with(calls_.size(), usual_call_, options_.longest_pause);
  }

  void find_link(const call_ptr& one) {
    pool& origin = pools_[one->origin];
    if (!origin.idle.empty()) {
      const link_ptr kept = std::move(origin.idle.back());
      origin.idle.pop_back();
      attach(kept, one);
      exchange(kept, one);
    } else if (origin.links >= options_.connections_per_origin) {
      origin.waiting.push_back(one);
    } else {
      connect(one);
    }
  }

  static void attach(const link_ptr& used, const call_ptr& one) {
    used->current = one;
    one->used = used;
  }
  static link_ptr detach(const call_ptr& one) {
    one->used->current.reset();
    return std::exchange(one->used, nullptr);
  }

  void connect(const call_ptr& one) {
    ++pools_[one->origin].links;
    if (one->target.is_https) trust_system_authorities();
    const auto made = std::make_shared<link>(loop_.io, one->target.is_https ? &tls_ : nullptr, options_.header_bytes + body_read_bytes);
    made->origin = one->origin;
    attach(made, one);
    const auto timer = std::make_shared<net::steady_timer>(loop_.io, options_.connect_timeout);
    timer->async_wait([this, self = shared_from_this(), one, made](const error_code& ec) {
      // Of a connection that is made the timer was cancelled, but its handler may have been queued by then.
      if (!ec && is_current(one, made) && made->head.empty())
        fail_connect(one, "within " + std::to_string(options_.connect_timeout.count()) + " ms");
    });
    error_code no_address;
    const auto address = net::ip::make_address(one->target.host, no_address);
    if (!no_address) {
      made->socket.async_connect({address, one->target.port},
                                 [this, self = shared_from_this(), one, made, timer](const error_code& ec) { after_connect(one, made, timer, ec); });
      return;
    }
    const auto resolver = std::make_shared<tcp::resolver>(loop_.io);
    resolver->async_resolve(one->target.host, std::to_string(one->target.port), tcp::resolver::numeric_service,
                            [this, self = shared_from_this(), one, made, timer, resolver](const error_code& ec, const tcp::resolver::results_type& found) {
                              if (!is_current(one, made)) return;
                              if (ec) return fail_connect(one, ec.message());
                              net::async_connect(made->socket, found,
                                                 [this, self = shared_from_this(), one, made, timer](const error_code& failed, const tcp::endpoint&) {
                                                   after_connect(one, made, timer, failed);
                                                 });
                            });
  }

  void after_connect(const call_ptr& one, const link_ptr& made, const std::shared_ptr<net::steady_timer>& timer,
                     const error_code& ec) {
    if (!is_current(one, made)) return;
    if (ec) return fail_connect(one, ec.message());
    error_code ignored;  // slower without it, nothing else
    made->socket.set_option(tcp::no_delay{true}, ignored);
    made->socket.non_blocking(true, ignored);
    if (!made->tls) {
      timer->cancel();
      return exchange(made, one);
    }
    error_code is_name;
    net::ip::make_address(one->target.host, is_name);
    if (is_name && SSL_set_tlsext_host_name(made->tls->native_handle(), one->target.host.c_str()) != 1)
      return fail_connect(one, "TLS refuses the host name");
    if (options_.verify_certificates) made->tls->set_verify_callback(ssl::host_name_verification{one->target.host});
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
    used->head = make_head(*one);
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

  void begin_response(link& used, const call& one) {
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
    const auto origin = pools_.find(ended->origin);
    origin->second.links -= std::erase(origin->second.idle, ended);
    if (origin->second.links == 0 && origin->second.waiting.empty()) pools_.erase(origin);
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
    pool& origin = pools_[one->origin];
    if (origin.links >= options_.connections_per_origin && !origin.idle.empty()) {
      origin.idle.front()->close();
      origin.idle.erase(origin.idle.begin());
      --origin.links;
    }
    if (origin.links >= options_.connections_per_origin) {
      origin.waiting.push_front(one);
    } else {
      connect(one);
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
      if (auto next = resolve_on_origin(one->target, received.headers.get("Location"))) {
        --one->redirects_left;
        one->target = std::move(*next);
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
    } else if (const auto origin = pools_.find(one->origin); origin != pools_.end()) {
      std::erase(origin->second.waiting, one);
    }
    complete(one, failure{kind, describe(one->request) + " " + what});
  }

  void complete(const call_ptr& one, outcome result) {
    one->is_done = true;
    calls_.erase(one->token);
    due_.erase({one->due, one->token});
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
    pools_[one->origin].idle.push_back(kept);
    serve_waiting(one->origin);
    schedule_sweep();
  }

  void drop_link(const call_ptr& one) {
    if (!one->used) return;
    detach(one)->close();
    --pools_[one->origin].links;
    serve_waiting(one->origin);
  }

  // Gives what has become free to the call that has waited longest.
  void serve_waiting(const std::string& name) {
    if (is_ended_) return;
    pool& origin = pools_[name];
    const bool is_free = !origin.idle.empty() || origin.links < options_.connections_per_origin;
    if (is_free && !origin.waiting.empty()) {
      const call_ptr next = std::move(origin.waiting.front());
      origin.waiting.pop_front();
      find_link(next);
    } else if (origin.links == 0 && origin.waiting.empty()) {
      pools_.erase(name);
    }
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
    while (!calls_.empty())
      give_up(call_ptr{calls_.begin()->second}, failure_kind::closed, "was given up: the client is destroyed");
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
  std::unordered_map<token, call_ptr> calls_;
  std::set<std::pair<clock::time_point, token>> due_;  // of each call
  std::unordered_map<std::string, pool> pools_;
};

client::client(client_options options) : own_loop_{std::make_unique<loop>()}, core_{std::make_shared<core>(options, *own_loop_)} {}

client::client(client_options options, loop& where) : core_{std::make_shared<core>(options, where)} {}

client::~client() { core_->post_end(); }

client::token client::send(outgoing request, std::function<void(outcome)> callback) {
  const token name = ++sent_;
  auto parsed = parse_url(request.url);
  const auto fault = find_fault(request);
  if (const auto* const refused = std::get_if<std::string>(&parsed)) {
    core_->post_failure(std::move(callback), {failure_kind::refused_url, describe(request) + " was not sent: the URL is refused: " + *refused});
  } else if (fault) {
    core_->post_failure(std::move(callback), {failure_kind::refused_url, describe(request) + " was not sent: " + *fault});
  } else {
    core_->post(std::make_shared<call>(name, std::move(request), std::get<url>(std::move(parsed)), std::move(callback)));
  }
  return name;
}

void client::cancel(token which) { core_->post_cancel(which); }

std::chrono::nanoseconds pause_with(std::size_t calls, std::chrono::nanoseconds usual_call, std::chrono::nanoseconds longest) {
  constexpr int share = 4;
  constexpr int few = 4;
  constexpr std::chrono::milliseconds shortest{2};
  const auto pause = std::min(longest, usual_call / share);
  const bool brings_few = static_cast<std::int64_t>(calls) * pause < few * usual_call;  // Little's law: calls / usual_call answers a second
  return pause < shortest || brings_few ? std::chrono::nanoseconds::zero() : pause;
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
