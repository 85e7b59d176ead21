#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "actors/clock.hpp"
#include "actors/commands.hpp"
#include "actors/commit_pace.hpp"
#include "actors/observation.hpp"
#include "actors/router_state.hpp"
#include "actors/start_gate.hpp"
#include "actors/step_job.hpp"

namespace caesura::actors {

// The decisions of the router actor, without the actor: takes commands in one order, one transaction a batch, and lets nothing that
// shows new state leave before its commit (the output gate). One thread.
class router {
 public:
  // The way out. All are called on the router's thread and must not throw.
  struct ports {
    std::function<void(command_body)> to_self{};  // behind whatever waits already
    std::function<void()> request_flush{};        // calls flush() behind whatever waits already
    std::function<void(activate, std::shared_ptr<start_gate>)> spawn{};
    std::function<void(const run_id&, resume_run)> resume{};
    std::function<void(const run_id&, order_run)> order{};  // ahead of other messages
    std::function<void(const run_id&, activation)> forget{};  // this activation gets no more messages
    std::function<void(std::shared_ptr<step_job>)> start{};
    std::function<void(std::optional<time_point>)> set_alarm{};  // to call take(fire_timers) then
    std::function<void(std::chrono::nanoseconds)> sleep{};  // while the mailbox fills; none: commits never wait for more commands
    // How long a command took, and how far apart commits are.
    std::function<std::chrono::steady_clock::time_point()> stopwatch{std::chrono::steady_clock::now};
    observations observer{};
    order_watch watch{};
  };

  router(storage::store& store, std::unique_ptr<router_state> state, const clock& clock, std::uint64_t seed, ports ports);
  ~router();
  router(const router&) = delete;
  router& operator=(const router&) = delete;

  void take(std::shared_ptr<const command> command);
  // Commits the open batch, if any, and releases what it produced.
  void flush();

  [[nodiscard]] const router_state& state() const noexcept { return *state_; }

 private:
  using command_ptr = std::shared_ptr<const command>;
  struct watcher {
    run_id run;
    reply_to<run_info> reply;
  };
  struct postponed {
    command_ptr command;
    time_point retry_at;
  };

  [[nodiscard]] bool* turn_of(const command& command);
  bool take_volatile(const command& command);
  void watch(const watch_run& request);
  void open_batch();
  void wait_for_more();
  void apply_one(const command& command);
  void add_refusal(const command& command, const error& why);
  void take_back();
  void retry_alone(std::vector<command_ptr> batch);
  void run_alone(const command_ptr& command);
  bool wait_behind_postponed(const command_ptr& command);
  void could_not(const command_ptr& command, const error& why);
  void commit();
  [[nodiscard]] bool is_committed_after_all();
  void doubt(const error& why);
  void pull_in_retries();
  [[nodiscard]] bool settle_doubt();
  void release();
  void emit(output&& value);
  void forget(const run_id& run);
  void after_commit();
  void set_alarm();
  void take_due_turns();
  void tell_watchers_at_stop();
  void finish_stop();
  void retry_postponed();
  [[nodiscard]] bool is_batch_full() const;

  storage::store& store_;
  std::unique_ptr<router_state> state_;
  const clock& clock_;
  const ports ports_;
  std::uint64_t entropy_;
  std::uint64_t commits_ = 0;  // of this store, ever; stored with each, so that a commit can be recognised

  // The open batch.
  std::unique_ptr<storage::write_transaction> tx_;
  std::vector<command_ptr> batch_;
  outputs out_;
  outputs spare_out_;  // empty: the room that the last batch took
  // A commit failed half way, and nobody knows whether the file has it. Nothing is taken and nothing is taken back until that is known; who waited for
  // an answer has been told.
  std::optional<error> doubt_;
  std::chrono::steady_clock::time_point opened_at_{};
  std::chrono::steady_clock::duration worked_{};  // on the commands of this batch; not what passed between them
  commit_pace pace_;
  std::chrono::steady_clock::time_point committed_at_{};

  // Volatile.
  std::unordered_map<run_id, std::pair<activation, std::shared_ptr<start_gate>>> gates_;
  std::unordered_map<std::uint64_t, watcher> watchers_;
  std::unordered_map<run_id, std::vector<std::uint64_t>> watchers_of_;
  std::vector<postponed> postponed_;
  std::vector<reply_to<std::monostate>> stop_replies_;
  std::string turn_trouble_;  // why a turn of the router's own failed last; said once
  std::optional<time_point> timers_blocked_until_;
  bool has_outbox_turn_ = false;
  bool has_sweep_turn_ = false;
  bool has_purge_turn_ = false;
  bool has_timer_turn_ = false;
};

}  // namespace caesura::actors
