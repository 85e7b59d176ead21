#include "runtime/server/run_feed.hpp"

#include <algorithm>
#include <utility>

namespace caesura::server {

run_feed::run_feed(settings settings) : settings_{settings}, heart_{[this] { beat(); }} {}

run_feed::~run_feed() {
  close();
  heart_.join();
}

bool run_feed::has_room() {
  const std::lock_guard lock{mutex_};
  std::erase_if(followers_, [](const follower& one) { return !one.stream.is_open(); });
  return followers_.size() < settings_.clients;
}

std::size_t run_feed::clients() const {
  const std::lock_guard lock{mutex_};
  return followers_.size();
}

void run_feed::add(http::stream client, feed_filter filter) {
  const std::lock_guard lock{mutex_};
  follower added{std::move(client), std::move(filter)};
  if (is_closed_ || !write(added, "retry: 2000\n: changes of runs from here on\n\n")) {
    added.stream.close();
    return;
  }
  followers_.push_back(std::move(added));
}

void run_feed::tell(std::string_view what, const std::string& function, const run_id& run, nlohmann::json more) {
  const std::lock_guard lock{mutex_};
  ++told_;
  if (followers_.empty()) return;
  const auto id = to_string(run);
  more["run_id"] = id;
  more["function"] = function;
  const auto text = std::string{"event: "}.append(what) + "\nid: " + std::to_string(told_) +
                    "\ndata: " + more.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n\n";
  std::erase_if(followers_, [&](follower& one) {
    const auto& wanted = one.filter;
    const bool is_meant = (wanted.functions.empty() || std::ranges::find(wanted.functions, function) != wanted.functions.end()) &&
                          (wanted.run.empty() || wanted.run == id);
    return is_meant && !write(one, text);
  });
}

bool run_feed::write(follower& to, const std::string& text) {
  if (to.stream.queued_bytes() + text.size() <= settings_.queued_bytes) return to.stream.write(text);
  to.stream.write(": dropped: more than " + std::to_string(settings_.queued_bytes) + " bytes were waiting to be read\n\n");
  to.stream.close();
  return false;
}

void run_feed::beat() {
  std::unique_lock lock{mutex_};
  while (!is_ending_.wait_for(lock, settings_.heartbeat, [this] { return is_closed_; })) {
    std::erase_if(followers_, [this](follower& one) { return !write(one, ": still here\n\n"); });
  }
}

void run_feed::close() {
  const std::lock_guard lock{mutex_};
  is_closed_ = true;
  for (auto& one : followers_) one.stream.close();
  followers_.clear();
  is_ending_.notify_all();
}

}  // namespace caesura::server
