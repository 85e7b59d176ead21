#include "runtime/server/server.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "runtime/registry.hpp"
#include "runtime/server/api.hpp"
#include "runtime/server/api_call.hpp"
#include "runtime/server/api_views.hpp"
#include "runtime/server/app_link.hpp"
#include "runtime/server/app_registry.hpp"
#include "runtime/server/app_sync.hpp"
#include "runtime/server/http/listener.hpp"
#include "runtime/server/http/signature.hpp"
#include "runtime/server/http/url.hpp"
#include "runtime/server/invocation.hpp"
#include "runtime/server/metrics.hpp"
#include "runtime/server/run_feed.hpp"
#include "runtime/server/workers.hpp"

namespace caesura::server {

namespace {

std::vector<std::string> keys_of(const server_options& options) {
  std::vector<std::string> keys;
  for (const auto& key : {options.signing_key, options.signing_key_fallback}) {
    if (key.empty()) continue;
    (void)http::hashed_key(key);  // throws for what is no key
    keys.push_back(key);
  }
  return keys;
}

// In lower case, as they are compared.
std::vector<std::string> allowed_hosts_of(const server_options& options) {
  std::vector<std::string> hosts;
  for (const auto& name : options.allowed_hosts) {
    const auto parsed = http::parse_url("http://" + name);
    const auto* const found = std::get_if<http::url>(&parsed);
    if (found == nullptr || !http::equal_ignoring_case(found->host, name)) throw error{errc::invalid_argument, "allowed_hosts: \"" + name + "\" is no host's name"};
    hosts.push_back(found->host);
  }
  return hosts;
}

const server_options& checked(const server_options& options) {
  if (!http::is_loopback_host(options.host) && (options.signing_key.empty() || options.event_keys.empty())) {
    throw error{errc::invalid_argument, "host is " + options.host + ": a server that is reached from other machines needs a signing key and event keys"};
  }
  if (options.signing_key.empty() && !options.signing_key_fallback.empty()) {
    throw error{errc::invalid_argument, "there is a fallback signing key but no signing key"};
  }
  constexpr std::size_t most_apps = 64;
  if (options.apps.size() > most_apps) throw error{errc::invalid_argument, "apps: " + std::to_string(options.apps.size()) + " are to be asked; the limit is 64"};
  if (options.app_interval <= duration{0} || options.app_interval > days{366}) {
    throw error{errc::invalid_argument, "app_interval is " + to_string(options.app_interval) + "; it must be longer than nothing, and at most 366 days"};
  }
  for (const auto& url : options.apps) {
    if (const auto parsed = http::parse_url(url); parsed.index() != 0) throw error{errc::invalid_argument, "apps: \"" + url + "\" is neither an http:// nor an https:// URL"};
  }
  return options;
}

class loop_executor final : public executor {
 public:
  explicit loop_executor(http::loop& loop) : loop_{loop} {}
  void post(std::function<void()> work) override { loop_.post(std::move(work)); }
  void post_last(std::function<void()> work) override { loop_.post_last(std::move(work)); }

 private:
  http::loop& loop_;
};

}  // namespace

// Built in this order; ended by stop in the order in which nobody waits for somebody who is gone.
class server::core {
 public:
  explicit core(server_options given)
      : options_{std::move(given)},
        apps_{checked(options_).directory},
        allowed_hosts_{allowed_hosts_of(options_)},
        keys_{keys_of(options_)},
        feed_{{.clients = options_.stream_clients, .queued_bytes = options_.stream_queue_bytes, .heartbeat = options_.stream_heartbeat}},
        workers_{options_.workers},
        link_{link_settings(), workers_, loop_},
        listener_{std::in_place, listening(), [this](http::request&& request, const http::responder& respond) { handle(std::move(request), respond); }, loop_},
        runtime_{std::in_place, runtime_options(), functions()},
        parts_{.runtime = *runtime_,
               .apps = apps_,
               .counts = metrics_,
               .feed = feed_,
               .register_app = [this](const app_registration& app, const document& body) { return register_app(app, body); },
               .ask_app = [this](const std::string& url, std::function<void(http::outcome)> done) { link_.ask_to_register(url, std::move(done)); },
               .post = [this](std::function<void()> work) { workers_.post(std::move(work)); },
               .event_keys = options_.event_keys,
               .allowed_hosts = allowed_hosts_,
               .signing_keys = keys_} {
    for (const auto& key : keys_) parts_.hashed_keys.push_back(http::hashed_key(key));
    for (const auto& why : apps_.left_out()) {
      if (options_.observer.on_diagnostic) options_.observer.on_diagnostic(why, {});
    }
    is_ready_ = true;
    if (options_.apps.empty()) return;
    watch_.emplace(parts_, options_.apps, options_.app_interval, [this](const std::string& text) {
      if (options_.observer.on_diagnostic) loop_.post([this, text] { options_.observer.on_diagnostic(text, {}); });
    });
  }
  ~core() { stop(std::chrono::milliseconds{0}); }

  void stop(std::chrono::milliseconds deadline) {
    if (std::exchange(is_stopped_, true)) return;
    if (watch_) watch_->stop();
    feed_.close();
    listener_->stop(deadline);
    (void)runtime_->stop(deadline);
    link_.close();
    watch_.reset();
    long_workers_.finish();
    workers_.finish();  // what is still being answered uses the runtime
    runtime_.reset();
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return listener_->port(); }
  [[nodiscard]] caesura::runtime& runtime() noexcept { return *runtime_; }

 private:
  http::listener_options listening() const {
    http::listener_options made{.host = options_.host, .port = options_.port};
    made.extra_headers.add("x-inngest-server-kind", "dev");
    return made;
  }

  void handle(http::request&& request, const http::responder& respond) {
    if (!is_ready_) {
      respond(plain(503, {{"error", "the server is starting"}}));
      return;
    }
    if (!may_wait(request)) return caesura::server::answer(parts_, request, respond);
    auto& threads = may_take_long(request) ? long_workers_ : workers_;
    auto shared = std::make_shared<http::request>(std::move(request));
    threads.post([this, shared, respond] { caesura::server::answer(parts_, *shared, respond); });
  }

  caesura::options runtime_options() {
    return {.directory = options_.directory, .observer = observing(), .executor = &executor_};
  }

  // One without a trigger of its own can be invoked.
  static function callable(const app_function& fn, std::shared_ptr<remote::caller> caller) {
    auto made = fn.definition;
    made.remote = std::move(caller);
    if (made.triggers.size() < most_triggers) made.triggers.push_back({.event = invoke_event_of(fn.id)});
    return made;
  }

  // What is registered. Runs that are under way go on at the new place of an app that has moved.
  std::vector<function> functions() {
    std::vector<function> all;
    for (const auto& app : apps_.all()) {
      for (const auto& fn : app.functions) {
        auto& caller = callers_[fn.id];
        if (caller == nullptr) caller = std::make_shared<app_caller>(fn.url, link_);
        caller->move_to(fn.url);
        auto made = callable(fn, caller);
        if (options_.retry_interval) {
          made.retries.delays = {*options_.retry_interval};
          made.retries.jitter = duration{0};
        }
        all.push_back(std::move(made));
      }
    }
    return all;
  }

  // The file first: what a registration was answered for is there after a crash. What could not be put in force is tried again by the next one, whatever it
  // says.
  bool register_app(const app_registration& app, const document& body) {
    const std::lock_guard lock{registering_};
    check(app);
    const bool is_new = apps_.put(app, body);
    if (is_new || !is_in_force_) {
      is_in_force_ = false;
      runtime_->define(functions());
      is_in_force_ = true;
    }
    return is_new;
  }

  // Faults are found before anything is written.
  void check(const app_registration& app) {
    for (const auto& other : apps_.all()) {
      if (other.name == app.name) continue;
      for (const auto& fn : other.functions) {
        for (const auto& mine : app.functions) {
          if (mine.id == fn.id) throw error{errc::invalid_function, "function \"" + mine.id + "\" is one of app \"" + other.name + "\""};
        }
      }
    }
    std::vector<function> mine;
    for (const auto& fn : app.functions) mine.push_back(callable(fn, std::make_shared<app_caller>(fn.url, link_)));
    (void)caesura::detail::register_functions(std::move(mine), actors::limits{});
  }

  app_link::settings link_settings() {
    return {.signing_keys = keys_,
            .called =
                [this](const remote::call& call) {
                  metrics_.count_call();
                  if (call.step != remote::next_call || call.attempt > 1 || !call.steps.empty()) return;
                  metrics_.count_started();
                  feed_.tell("run.started", call.function, call.run);
                },
            .answered =
                [this](const remote::answer& answer, std::chrono::nanoseconds took) {
                  using result = metrics::call_result;
                  metrics_.count_call_end(answer.is_given_up ? result::given_up : answer.error || answer.failed ? result::failed : result::answered, took);
                }};
  }

  // The program's own observer, and ours before it.
  observer observing() {
    auto made = options_.observer;
    made.on_run_ended = [this, next = options_.observer.on_run_ended](const run_info& run) {
      metrics_.count_ended(run.status);
      if (feed_.clients() > 0) {
        nlohmann::json more{{"status", status_text(run.status)}, {"state", to_string(run.status)}, {"ended_at", time_or_null(run.ended_at)}};
        if (run.error) more["error"] = run.error->message;
        if (run.cancelled_by) more["reason"] = run.cancelled_by->reason;
        feed_.tell("run.ended", run.function, run.id, std::move(more));
      }
      if (next) next(run);
    };
    return made;
  }

  const server_options options_;
  app_registry apps_;
  const std::vector<std::string> allowed_hosts_;
  const std::vector<std::string> keys_;
  metrics metrics_;
  run_feed feed_;
  std::mutex registering_;
  bool is_in_force_ = true;  // what apps_ holds
  std::map<std::string, std::shared_ptr<app_caller>> callers_;  // by function; guarded by registering_, but for the start
  http::loop loop_;  // sockets, actors and commits
  loop_executor executor_{loop_};
  workers workers_;
  workers long_workers_{2};  // for what may look at all runs: events and calls do not wait for it
  app_link link_;
  std::atomic<bool> is_ready_ = false;      // all of this is there
  std::optional<http::listener> listener_;  // before the runtime: a server that cannot listen starts no run
  std::optional<caesura::runtime> runtime_;
  api_parts parts_;
  std::optional<app_watch> watch_;
  bool is_stopped_ = false;
};

server::server(server_options options) : core_{std::make_unique<core>(std::move(options))} {}
server::~server() = default;
std::uint16_t server::port() const noexcept { return core_->port(); }
caesura::runtime& server::runtime() noexcept { return core_->runtime(); }
void server::stop(std::chrono::milliseconds deadline) { core_->stop(deadline); }

}  // namespace caesura::server
