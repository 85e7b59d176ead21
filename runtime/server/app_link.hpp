#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <caesura/remote.hpp>

#include "runtime/server/http/client.hpp"
#include "runtime/server/workers.hpp"

namespace caesura::server {

// Calls apps by HTTP: small bodies are written at once and answers read on the loop, large ones of both on the workers. Any thread.
class app_link {
 public:
  struct settings {
    std::vector<std::string> signing_keys{};  // the key and its fallback; none: calls are not signed
    std::chrono::milliseconds call_timeout{std::chrono::hours{2}};
    http::client_options client{.longest_pause = std::chrono::milliseconds{35}};
    std::function<std::int64_t()> unix_seconds{[] { return static_cast<std::int64_t>(std::time(nullptr)); }};  // for signatures; any thread
    // Told of each call as it is made, and of what it came to; any thread, must not block.
    std::function<void(const remote::call&)> called{};
    std::function<void(const remote::answer&, std::chrono::nanoseconds)> answered{};
  };
  app_link(settings settings, workers& workers, http::loop& loop);

  // Where a function's calls go.
  struct address {
    std::string url;                                        // of its asking call
    std::shared_ptr<const http::destination> next_call{};   // the same, taken apart; null: it is no URL
  };
  [[nodiscard]] static address address_of(std::string url);

  void make(std::shared_ptr<const address> where, remote::call value, std::function<void(remote::answer)> done);
  // Asks an app for its functions: it puts them into its answer (in-band) or registers itself.
  void ask_to_register(const std::string& url, std::function<void(http::outcome)> done);
  // Gives up every call that is out, and all that come later: they are made again at the next start.
  void close();

 private:
  // A call on its way; owned by what is posted, sent or waits for it.
  struct call_out {
    std::shared_ptr<const address> where;
    std::function<void(remote::answer)> done;
    std::chrono::steady_clock::time_point began{std::chrono::steady_clock::now()};
  };

  void write_and_send(const std::shared_ptr<call_out>& out, remote::call& value);
  void take(const std::shared_ptr<call_out>& out, http::outcome outcome);
  void read(const call_out& out, const http::response& response);
  void end(const call_out& out, remote::answer answer);
  [[nodiscard]] std::string body_of(const remote::call& value) const;
  // Signs and sends, and signs once more what has waited long for a connection; with the fallback key when the app refuses the first, which it does while keys are being replaced.
  void send_signed(http::outgoing request, std::size_t key, std::function<void(http::outcome)> done);
  void send(http::outgoing request, std::function<void(http::outcome)> done);
  [[nodiscard]] std::optional<std::string> fault_of_signature(const http::response& response) const;
  [[nodiscard]] bool is_closing();

  const settings settings_;
  workers& workers_;
  std::mutex mutex_;
  std::unique_ptr<http::client> client_;
  bool is_closing_ = false;
};

// Drives the runs of one function of an app, also those that began before the app moved. Makes no calls once the link is gone. Any thread.
class app_caller final : public remote::caller {
 public:
  app_caller(const std::string& url, app_link& link) : link_{link} { move_to(url); }
  void make(remote::call value, std::stop_token, std::function<void(remote::answer)> done) override { link_.make(where(), std::move(value), std::move(done)); }
  // Where the calls go from now on.
  void move_to(const std::string& url) {
    const std::lock_guard lock{mutex_};
    if (where_ == nullptr || where_->url != url) where_ = std::make_shared<const app_link::address>(app_link::address_of(url));
  }

 private:
  [[nodiscard]] std::shared_ptr<const app_link::address> where() {
    const std::lock_guard lock{mutex_};
    return where_;
  }

  app_link& link_;
  std::mutex mutex_;
  std::shared_ptr<const app_link::address> where_;  // owners: this and its calls
};

}  // namespace caesura::server
