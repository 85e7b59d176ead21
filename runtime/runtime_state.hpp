#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <caesura/protocol.hpp>
#include <caesura/runtime.hpp>

#include "actors/commands.hpp"
#include "actors/router_state.hpp"
#include "actors/run_actor.hpp"
#include "actors/step_job.hpp"
#include "actors/step_threads.hpp"
#include "runtime/alarm.hpp"
#include "runtime/environment.hpp"
#include "runtime/observer_queue.hpp"
#include "runtime/waiting_answer.hpp"
#include "storage/store.hpp"

namespace caesura::detail {

class hosted_scheduler;

// The runtime's parts, in the order in which they are built; they end in the reverse order, after the router has let go of them.
class runtime_state {
 public:
  runtime_state(options options, std::vector<function> functions, environment* environment);
  ~runtime_state();
  runtime_state(const runtime_state&) = delete;
  runtime_state& operator=(const runtime_state&) = delete;

  // Refuses calls that would wait for themselves, and calls after the end. `what` names the call.
  void check_caller(std::string_view what) const;
  // Counts a command that waits for its turn; throws error{overloaded} at the limit.
  void admit();
  void post(actors::command_body body);
  // Posts what `make` makes of a reply and waits for it. nullopt: no answer within `timeout`. Throws error{wrong_thread} on the executor's thread, which
  // would wait for itself.
  template <class T, class Make>
  std::optional<T> ask(Make&& make, std::optional<duration> timeout = std::nullopt);

  [[nodiscard]] std::string function_of(const storage::snapshot& snapshot, const storage::run_record& run) const;
  std::vector<std::string> stop(std::optional<duration> deadline);
  // Asks the router where queued runs stand.
  void add_places(std::vector<run_info>& runs);
  void define(std::vector<function> functions);
  // Tells the observer, once, of a record that a read has passed over.
  void tell_damage(const std::string& text, const run_id& about);
  [[nodiscard]] std::function<void(const std::string&, const run_id&)> damage_teller() {
    return [this](const std::string& text, const run_id& about) { tell_damage(text, about); };
  }
  // The same, of a record that is no run's.
  [[nodiscard]] storage::damage_visitor pass_over() {
    return [this](const position&, const error& why) { tell_damage(why.what(), {}); };
  }
  [[nodiscard]] std::vector<function_info> functions();
  [[nodiscard]] time_point now() const { return clock_.now(); }
  [[nodiscard]] std::uint64_t next_token() noexcept { return ++tokens_; }

  [[nodiscard]] storage::store& store() noexcept { return store_; }
  [[nodiscard]] const storage::store& store() const noexcept { return store_; }
  [[nodiscard]] const actors::limits& limits() const noexcept { return limits_; }
  [[nodiscard]] caf::actor_system& system() noexcept { return *system_; }
  [[nodiscard]] const router_handle& gateway() const noexcept { return gateway_; }
  [[nodiscard]] bool is_stopped() const noexcept { return is_stopped_; }
  [[nodiscard]] std::size_t waiting_commands() const noexcept { return waiting_.load(std::memory_order_relaxed); }

 private:
  void start_system();
  void start_router(std::vector<function> functions);
  void refuse_on_executor(const actors::command_body& command);
  void wait_for(const caf::actor& ending);
  void run_messages();
  void tell(const std::string& text, const run_id& about);
  std::optional<duration> look_at_steps();
  std::optional<duration> tell_slow_steps();

  const options options_;
  environment* const environment_;  // null outside tests
  const actors::limits limits_;
  const pid_t process_;
  const actors::system_clock system_clock_;
  const actors::clock& clock_;
  observer_queue observers_;
  storage::store store_;
  std::mutex defining_;
  mutable std::mutex table_mutex_;
  std::shared_ptr<const actors::function_table> table_;  // what the router has, or is about to have
  std::unique_ptr<actors::step_threads> own_steps_;
  std::unique_ptr<alarm> alarm_;
  std::unique_ptr<caf::actor_system_config> config_;
  std::unique_ptr<caf::actor_system> own_system_;
  caf::actor_system* system_ = nullptr;
  const hosted_scheduler* hosted_ = nullptr;  // with options.executor
  caf::actor router_;
  const std::shared_ptr<actors::actor_count> runs_ = std::make_shared<actors::actor_count>();  // owners: this, and the run actors of a borrowed system
  router_handle gateway_;  // its requests are answered by the router
  std::mutex damage_mutex_;
  std::set<std::string> damage_told_;
  std::atomic<std::size_t> waiting_{0};
  std::atomic<std::uint64_t> tokens_{0};
  std::atomic<bool> is_stopped_{false};
  std::atomic<bool> has_left_{false};  // every result is recorded, nothing is live
};

template <class T, class Make>
std::optional<T> runtime_state::ask(Make&& make, std::optional<duration> timeout) {
  auto answer = std::make_shared<waiting_answer<T>>();
  actors::command_body command = make(actors::reply_to<T>{[answer](std::variant<T, error> value) { answer->put(std::move(value)); }});
  refuse_on_executor(command);
  post(std::move(command));
  if (environment_ != nullptr) {
    run_messages();
    if (!answer->is_there()) return std::nullopt;
  }
  return answer->wait(timeout);
}

}  // namespace caesura::detail
