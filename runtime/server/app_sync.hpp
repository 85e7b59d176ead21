#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/server/api.hpp"

// How apps come to be known that are asked for their functions, by a call or again and again.
namespace caesura::server {

// What an app's answer to being asked came to.
struct synced_app {
  std::string url{};
  bool is_in_band{false};  // the functions are in its answer; else it has registered by itself, and the rest is unknown
  std::string app{};
  std::size_t functions{0};
  bool is_new{false};      // something about it was
};

// Registers what the answer tells. Throws refusal, or error, with what is wrong; may wait for a commit.
// `asked`: all that are asked again and again. Of two with one name only the first is taken, or they would take turns.
[[nodiscard]] synced_app take_sync(const api_parts& parts, const std::string& url, const http::outcome& outcome, const std::vector<std::string>& asked = {});

// Asks apps for their functions until they are there, and again when they may have changed: at once, and then in every interval. One thread an app.
class app_watch {
 public:
  // `tell`: of each app what it came to, and again when that is something else, but of failures at most each minute; any thread. The parts outlive this.
  app_watch(const api_parts& parts, std::vector<std::string> urls, std::chrono::milliseconds interval, std::function<void(const std::string&)> tell);
  // Whoever asks has been answered by then: close the link first.
  ~app_watch();
  app_watch(const app_watch&) = delete;
  app_watch& operator=(const app_watch&) = delete;

  // Nobody asks any more from now on, but for who does already.
  void stop();

 private:
  void watch(const std::string& url);
  struct answer {
    bool is_registered{false};
    std::string text{};  // a sentence
  };
  [[nodiscard]] answer ask(const std::string& url);

  const api_parts& parts_;
  const std::vector<std::string> urls_;
  const std::chrono::milliseconds interval_;
  const std::function<void(const std::string&)> tell_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_stopped_ = false;
  std::vector<std::jthread> threads_;  // last: they use all of this
};

}  // namespace caesura::server
