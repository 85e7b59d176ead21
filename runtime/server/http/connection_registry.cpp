#include "runtime/server/http/connection.hpp"

#include <future>

namespace caesura::http {

connection_registry::connection_registry(listener_options given, request_handler given_handler, loop& where)
    : loop_{where.parts()}, options{std::move(given)}, handler{std::move(given_handler)}, io{loop_->io} {}

bool connection_registry::add(const std::shared_ptr<connection>& added) {
  const std::lock_guard lock{mutex_};
  if (is_stopping_) return false;
  connections_.emplace(added.get(), added);
  return true;
}

void connection_registry::remove(const connection* removed) {
  const std::lock_guard lock{mutex_};
  connections_.erase(removed);
  if (connections_.empty()) is_empty_.notify_all();
}

std::size_t connection_registry::size() const {
  const std::lock_guard lock{mutex_};
  return connections_.size();
}

bool connection_registry::is_stopping() const {
  const std::lock_guard lock{mutex_};
  return is_stopping_;
}

std::vector<std::shared_ptr<connection>> connection_registry::snapshot() const {
  const std::lock_guard lock{mutex_};
  std::vector<std::shared_ptr<connection>> all;
  for (const auto& [key, one] : connections_) all.push_back(one);
  return all;
}

void connection_registry::end_gracefully(std::chrono::milliseconds patience) {
  {
    const std::lock_guard lock{mutex_};
    is_stopping_ = true;
  }
  for (const auto& one : snapshot()) post([one] { one->stop(); });
  std::unique_lock lock{mutex_};
  is_empty_.wait_for(lock, patience, [&] { return connections_.empty(); });
}

void connection_registry::close_all() {
  for (const auto& one : snapshot()) post([one] { one->close(); });
  // From here on whatever is still to come of a connection finds it closed.
  std::promise<void> is_through;
  if (post([&] { is_through.set_value(); })) is_through.get_future().wait();
}

void connection_registry::set_over() {
  const std::lock_guard lock{mutex_};
  is_over_ = true;
}

bool connection_registry::is_on_loop() const { return io.get_executor().running_in_this_thread(); }

}  // namespace caesura::http
