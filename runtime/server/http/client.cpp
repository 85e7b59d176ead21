#include "runtime/server/http/client.hpp"

#include "runtime/server/http/client_link.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>

#include <array>
#include <deque>
#include <thread>
#include <unordered_map>

#include <caesura/error.hpp>

#include "runtime/server/http/url.hpp"

namespace caesura::http {

namespace {

using boost::system::error_code;
using net::ip::tcp;

constexpr int redirects_at_most = 3;
// A request on its way, also over several connections. Owned by its shard's table and by the handlers of its operations.
struct call {
  call(net::io_context& io, client::token name, outgoing what, url where, std::function<void(outcome)> whom)
      : token{name}, request{std::move(what)}, target{std::move(where)}, callback{std::move(whom)}, timer{io} {}

  client::token token;
  outgoing request;
  url target;
  std::function<void(outcome)> callback;
  net::steady_timer timer;
  int redirects_left{redirects_at_most};
  bool may_repeat{true};
  bool is_done{false};
  std::chrono::steady_clock::time_point began{std::chrono::steady_clock::now()};
};

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
  std::string head = one.request.method + " " + one.target.target + " HTTP/1.1\r\nHost: " + one.target.authority() + "\r\n";
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

// The connections and calls of some origins, on one thread. Everything but post() happens on it.
class client::shard {
 public:
  explicit shard(const client_options& options) : options_{options}, tls_{ssl::context::tls_client}, sweep_timer_{io_} {
    tls_.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
    if (options_.verify_certificates) trust_given_authorities();
    thread_ = std::thread{[this] { run(); }};
  }

  ~shard() {
    net::post(io_, [this] { end(); });
    work_.reset();
    thread_.join();
  }

  void post(std::shared_ptr<call> one) {
    net::post(io_, [this, one = std::move(one)] { start(one); });
  }
  void post_failure(std::function<void(outcome)> callback, failure why) {
    net::post(io_, [this, callback = std::move(callback), why = std::move(why)] { finished_.emplace_back(callback, why); });
  }
  void post_cancel(token which) {
    net::post(io_, [this, which] {
      if (const auto found = calls_.find(which); found != calls_.end())
        give_up(call_ptr{found->second}, failure_kind::closed, "was cancelled");
    });
  }
  [[nodiscard]] net::io_context& io() noexcept { return io_; }

 private:
  using call_ptr = std::shared_ptr<call>;
  using link_ptr = std::shared_ptr<link>;

  // Callbacks are called in a row behind what came at once: whom they wake then finds all of it.
  void run() {
    constexpr std::size_t most_in_a_row = 16;
    while (io_.run_one() > 0) {
      while (finished_.size() < most_in_a_row && io_.poll_one() > 0) {
      }
      const bool is_all = finished_.size() < most_in_a_row;
      tell_finished();
      if (!is_all || calls_.size() < options_.paused_from) continue;
      constexpr int share = 16;
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(options_.longest_pause, usual_call_ / share));
    }
    tell_finished();
  }

  void tell_finished() {
    for (auto& [callback, result] : std::exchange(finished_, {})) callback(std::move(result));
  }

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
    calls_.emplace(one->token, one);
    if (is_ended_) return give_up(one, failure_kind::closed, "was not sent: the client is destroyed");
    one->timer.expires_after(one->request.timeout);
    one->timer.async_wait([this, one](const error_code& ec) {
      if (!ec)
        give_up(one, failure_kind::timeout, "got no whole response within " + std::to_string(one->request.timeout.count()) + " ms");
    });
    find_link(one);
  }

  void find_link(const call_ptr& one) {
    pool& origin = pools_[one->target.origin()];
    while (!origin.idle.empty()) {
      const link_ptr kept = std::move(origin.idle.back());
      origin.idle.pop_back();
      if (kept->is_usable()) return exchange(kept, one);
      kept->close();
      --origin.links;
    }
    if (origin.links >= options_.connections_per_origin) {
      origin.waiting.push_back(one);
    } else {
      connect(one);
    }
  }

  void connect(const call_ptr& one) {
    ++pools_[one->target.origin()].links;
    if (one->target.is_https) trust_system_authorities();
    const auto made = std::make_shared<link>(io_, one->target.is_https ? &tls_ : nullptr, options_.header_bytes + read_ahead_bytes);
    in_use_[one->token] = made;
    const auto timer = std::make_shared<net::steady_timer>(io_, options_.connect_timeout);
    timer->async_wait([this, one, made](const error_code& ec) {
      // Of a connection that is made the timer was cancelled, but its handler may have been queued by then.
      if (!ec && is_current(one, made) && made->head.empty())
        fail_connect(one, "within " + std::to_string(options_.connect_timeout.count()) + " ms");
    });
    error_code no_address;
    const auto address = net::ip::make_address(one->target.host, no_address);
    if (!no_address) {
      made->socket.async_connect({address, one->target.port},
                                 [this, one, made, timer](const error_code& ec) { after_connect(one, made, timer, ec); });
      return;
    }
    const auto resolver = std::make_shared<tcp::resolver>(io_);
    resolver->async_resolve(one->target.host, std::to_string(one->target.port), tcp::resolver::numeric_service,
                            [this, one, made, timer, resolver](const error_code& ec, const tcp::resolver::results_type& found) {
                              if (!is_current(one, made)) return;
                              if (ec) return fail_connect(one, ec.message());
                              net::async_connect(made->socket, found,
                                                 [this, one, made, timer](const error_code& failed, const tcp::endpoint&) {
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
    if (!made->tls) {
      timer->cancel();
      return exchange(made, one);
    }
    error_code is_name;
    net::ip::make_address(one->target.host, is_name);
    if (is_name && SSL_set_tlsext_host_name(made->tls->native_handle(), one->target.host.c_str()) != 1)
      return fail_connect(one, "TLS refuses the host name");
    if (options_.verify_certificates) made->tls->set_verify_callback(ssl::host_name_verification{one->target.host});
    made->tls->async_handshake(ssl::stream_base::client, [this, one, made, timer](const error_code& failed) {
      if (!is_current(one, made)) return;
      if (failed) return fail_connect(one, "TLS: " + failed.message());
      timer->cancel();
      exchange(made, one);
    });
  }

  void fail_connect(const call_ptr& one, const std::string& why) {
    give_up(one, failure_kind::connect, "could not connect: " + why);
  }

  void exchange(const link_ptr& used, const call_ptr& one) {
    in_use_[one->token] = used;
    used->head = make_head(*one);
    const std::array<net::const_buffer, 2> buffers{net::buffer(used->head), net::buffer(one->request.body)};
    net::async_write(*used, buffers, [this, used, one](const error_code& ec, std::size_t) {
      if (!is_current(one, used)) return;
      // A server may answer before it has read everything, and close: its answer is read also when the rest could not be written.
      if (used->tls) return read_header(used, one, !ec);
      // Asio would look for the answer at once, in vain.
      used->socket.async_wait(tcp::socket::wait_read, [this, used, one, is_written = !ec](const error_code&) {
        if (is_current(one, used)) read_header(used, one, is_written);
      });
    });
  }

  void read_header(const link_ptr& used, const call_ptr& one, bool is_written) {
    used->parser.emplace();
    used->parser->header_limit(static_cast<std::uint32_t>(options_.header_bytes));
    used->parser->body_limit(options_.response_bytes);
    if (one->request.method == "HEAD") used->parser->skip(true);
    beast_http::async_read_header(*used, used->buffer, *used->parser,
                                  [this, used, one, is_written](error_code ec, std::size_t size) {
                                    if (!is_current(one, used)) return;
                                    // Beast's own limit counts the status line and the fields apart.
                                    if (!ec && size > options_.header_bytes) ec = beast_http::error::header_limit;
                                    if (ec) return fail_read(used, one, ec);
                                    const auto status = static_cast<int>(used->parser->get().result_int());
                                    if (status >= 100 && status < 200)
                                      return read_header(used, one, is_written);  // the response is still to come
                                    one->may_repeat = false;
                                    if (used->parser->is_done()) return finish(used, one, is_written);
                                    beast_http::async_read(*used, used->buffer, *used->parser,
                                                           [this, used, one, is_written](const error_code& failed, std::size_t) {
                                                             if (!is_current(one, used)) return;
                                                             if (failed) return fail_read(used, one, failed);
                                                             finish(used, one, is_written);
                                                           });
                                  });
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
    pool& origin = pools_[one->target.origin()];
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

  void finish(const link_ptr& used, const call_ptr& one, bool is_written) {
    const bool is_kept = is_written && used->parser->keep_alive() && used->buffer.size() == 0;
    auto message = used->parser->release();
    response received{.status = static_cast<int>(message.result_int()), .headers = {}, .body = std::move(message.body())};
    for (const auto& field : message) received.headers.add(std::string{field.name_string()}, std::string{field.value()});
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
    if (in_use_.contains(one->token)) {
      drop_link(one);
    } else if (const auto origin = pools_.find(one->target.origin()); origin != pools_.end()) {
      std::erase(origin->second.waiting, one);
    }
    complete(one, failure{kind, describe(one->request) + " " + what});
  }

  void complete(const call_ptr& one, outcome result) {
    one->is_done = true;
    one->timer.cancel();
    calls_.erase(one->token);
    constexpr int smoothing = 16;
    usual_call_ += (std::chrono::steady_clock::now() - one->began - usual_call_) / smoothing;
    finished_.emplace_back(std::move(one->callback), std::move(result));
  }

  // Whether the call still waits for this connection: the handlers of one that was given up come late.
  [[nodiscard]] bool is_current(const call_ptr& one, const link_ptr& used) const {
    const auto found = in_use_.find(one->token);
    return !one->is_done && found != in_use_.end() && found->second == used;
  }

  void keep_link(const call_ptr& one) {
    const auto found = in_use_.find(one->token);
    const link_ptr kept = std::move(found->second);
    in_use_.erase(found);
    kept->is_reused = true;
    kept->parser.reset();
    kept->idle_since = std::chrono::steady_clock::now();
    pool& origin = pools_[one->target.origin()];
    origin.idle.push_back(kept);
    serve_waiting(one->target.origin());
    schedule_sweep();
  }

  void drop_link(const call_ptr& one) {
    const auto found = in_use_.find(one->token);
    if (found == in_use_.end()) return;
    found->second->close();
    in_use_.erase(found);
    --pools_[one->target.origin()].links;
    serve_waiting(one->target.origin());
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
    sweep_timer_.async_wait([this](const error_code& ec) {
      is_sweeping_ = false;
      if (!ec) sweep();
    });
  }

  void sweep() {
    const auto oldest = std::chrono::steady_clock::now() - options_.idle_timeout;
    bool has_idle = false;
    for (auto entry = pools_.begin(); entry != pools_.end();) {
      pool& origin = entry->second;
      origin.links -= std::erase_if(origin.idle, [&](const link_ptr& one) { return one->idle_since <= oldest; });
      has_idle |= !origin.idle.empty();
      entry = origin.links == 0 && origin.waiting.empty() ? pools_.erase(entry) : std::next(entry);
    }
    if (has_idle) schedule_sweep();
  }

  void end() {
    is_ended_ = true;
    sweep_timer_.cancel();
    while (!calls_.empty())
      give_up(call_ptr{calls_.begin()->second}, failure_kind::closed, "was given up: the client is destroyed");
    pools_.clear();
  }

  const client_options options_;
  net::io_context io_{1};
  net::executor_work_guard<net::io_context::executor_type> work_{io_.get_executor()};
  ssl::context tls_;
  net::steady_timer sweep_timer_;
  std::vector<std::pair<std::function<void(outcome)>, outcome>> finished_;
  std::chrono::nanoseconds usual_call_{0};  // how long calls take, smoothed
  bool has_system_authorities_{false};
  bool is_sweeping_{false};
  bool is_ended_{false};
  std::unordered_map<token, call_ptr> calls_;
  std::unordered_map<token, link_ptr> in_use_;
  std::unordered_map<std::string, pool> pools_;
  std::thread thread_;
};

client::client(client_options options) {
  const std::size_t threads = std::max<std::size_t>(options.threads, 1);
  for (std::size_t i = 0; i < threads; ++i) shards_.push_back(std::make_unique<shard>(options));
}

client::~client() = default;

client::token client::send(outgoing request, std::function<void(outcome)> callback) {
  auto parsed = parse_url(request.url);
  const auto* const refused = std::get_if<std::string>(&parsed);
  const std::string origin = refused == nullptr ? std::get<url>(parsed).origin() : std::string{};
  // The token tells whose it is.
  const std::size_t index = std::hash<std::string>{}(origin) % shards_.size();
  const token name = ++sent_ * shards_.size() + index;
  shard& chosen = *shards_[index];
  const auto fault = find_fault(request);
  if (refused != nullptr) {
    chosen.post_failure(std::move(callback),
                        {failure_kind::refused_url, describe(request) + " was not sent: the URL is refused: " + *refused});
  } else if (fault) {
    chosen.post_failure(std::move(callback), {failure_kind::refused_url, describe(request) + " was not sent: " + *fault});
  } else {
    chosen.post(
        std::make_shared<call>(chosen.io(), name, std::move(request), std::get<url>(std::move(parsed)), std::move(callback)));
  }
  return name;
}

void client::cancel(token which) { shards_[which % shards_.size()]->post_cancel(which); }

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
