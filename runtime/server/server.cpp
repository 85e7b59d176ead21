#include "runtime/server/server.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "runtime/registry.hpp"
#include "runtime/server/api.hpp"
#include "runtime/server/app_link.hpp"
#include "runtime/server/app_registry.hpp"
#include "runtime/server/http/listener.hpp"
#include "runtime/server/http/signature.hpp"
#include "runtime/server/workers.hpp"

namespace caesura::server {

namespace {

bool is_loopback(const std::string& host) {
  const bool is_number = std::ranges::all_of(host, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
  return host == "localhost" || host == "::1" || (is_number && host.starts_with("127."));
}

const server_options& checked(const server_options& options) {
  if (!is_loopback(options.host) && (options.signing_key.empty() || options.event_keys.empty())) {
    throw error{errc::invalid_argument, "host is " + options.host + ": a server that is reached from other machines needs a signing key and event keys"};
  }
  return options;
}

}  // namespace

// Built in this order; ended by stop in the order in which nobody waits for somebody who is gone.
class server::core {
 public:
  explicit core(server_options given)
      : options_{std::move(given)},
        apps_{checked(options_).directory},
        workers_{options_.workers},
        link_{{.signing_key = options_.signing_key}, workers_},
        runtime_{std::in_place, caesura::options{.directory = options_.directory, .observer = options_.observer}, functions()},
        parts_{.runtime = *runtime_,
               .apps = apps_,
               .register_app = [this](const app_registration& app, const document& body) { register_app(app, body); },
               .event_keys = options_.event_keys,
               .hashed_key = options_.signing_key.empty() ? "" : http::hashed_key(options_.signing_key)} {
    http::listener_options listening{.host = options_.host, .port = options_.port};
    listening.extra_headers.add("x-inngest-server-kind", "dev");
    listener_.emplace(std::move(listening), [this](http::request&& request, http::responder respond) {
      auto shared = std::make_shared<http::request>(std::move(request));
      workers_.post([this, shared, respond] { respond(answer(parts_, *shared)); });
    });
  }
  ~core() { stop(std::chrono::milliseconds{0}); }

  void stop(std::chrono::milliseconds deadline) {
    if (std::exchange(is_stopped_, true)) return;
    listener_->stop(deadline);
    (void)runtime_->stop(deadline);
    link_.close();
    runtime_.reset();
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return listener_->port(); }
  [[nodiscard]] caesura::runtime& runtime() noexcept { return *runtime_; }

 private:
  std::vector<function> functions() {
    std::vector<function> all;
    for (const auto& app : apps_.all()) {
      for (const auto& fn : app.functions) {
        auto made = fn.definition;
        made.remote = std::make_shared<app_caller>(fn.url, link_);
        if (options_.retry_interval) {
          made.retries.delays = {*options_.retry_interval};
          made.retries.jitter = duration{0};
        }
        all.push_back(std::move(made));
      }
    }
    return all;
  }

  // The file first: what a registration was answered for is there after a crash.
  void register_app(const app_registration& app, const document& body) {
    const std::lock_guard lock{registering_};
    check(app);
    if (apps_.put(app, body)) runtime_->define(functions());
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
    for (const auto& fn : app.functions) {
      mine.push_back(fn.definition);
      mine.back().remote = std::make_shared<app_caller>(fn.url, link_);
    }
    (void)caesura::detail::register_functions(std::move(mine), actors::limits{});
  }

  const server_options options_;
  app_registry apps_;
  std::mutex registering_;
  workers workers_;
  app_link link_;
  std::optional<caesura::runtime> runtime_;
  api_parts parts_;
  std::optional<http::listener> listener_;
  bool is_stopped_ = false;
};

server::server(server_options options) : core_{std::make_unique<core>(std::move(options))} {}
server::~server() = default;
std::uint16_t server::port() const noexcept { return core_->port(); }
caesura::runtime& server::runtime() noexcept { return core_->runtime(); }
void server::stop(std::chrono::milliseconds deadline) { core_->stop(deadline); }

}  // namespace caesura::server
