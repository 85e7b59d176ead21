#pragma once

// What a body and its driver say to each other. The body's side is in context.hpp; the driver's is actors/coroutine_frame.hpp.

#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include <caesura/document.hpp>
#include <caesura/event.hpp>
#include <caesura/ids.hpp>
#include <caesura/retry.hpp>
#include <caesura/run.hpp>
#include <caesura/signal.hpp>

namespace caesura {

// What a step's code may ask about its own execution.
struct step_attempt {
  run_id run{};
  std::string step{};        // id, with its ordinal when repeated
  std::uint32_t attempt{1};  // from 1

  // "run/step": the same at every attempt, so that an effect elsewhere can be made idempotent.
  [[nodiscard]] std::string key() const { return to_string(run) + "/" + step; }
};

namespace detail {

// What an operation asks for beside its kind and id.
struct operation_terms {
  std::optional<retry_policy> retries{};      // run
  std::optional<duration> delay{};            // sleep_for; wait: timeout
  std::optional<time_point> until{};          // sleep_until
  std::string event_name{};                   // wait
  std::string when{};                         // wait
  bool look_back{false};                      // wait
  std::optional<signal_conflict> conflict{};  // wait: set when `event_name` is a signal's
  event to_send{};                            // send_event
  std::string function{};                     // invoke
  document data{};                            // invoke
  document user{};                            // invoke
  std::string version{};                      // invoke
  child_policy on_parent_cancel{child_policy::cancel};  // invoke
};

// Thrown by `execute` when the code has succeeded and its result did not become a document: executing it again would repeat its effect.
struct unrecordable {
  std::exception_ptr why;
};

// One thing that a suspended body waits for. Made by the context, owned by the awaiter in the coroutine's frame, which is not
// destroyed while the operation executes.
class operation {
 public:
  explicit operation(step_kind kind, std::string_view id) : kind{kind}, id{id} {}
  virtual ~operation() = default;
  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;

  // step_kind::run, on a step thread: executes the user's code once and returns its result; throws what that code throws.
  // `stop`: asked when the run is cancelled or another branch of `any` was first; the code may look at it or not.
  virtual document execute(const step_attempt&, const std::stop_token&) { return {}; }
  // Keeps the recorded result; false when it does not decode into the type that the body expects, with the reason in `undecodable`.
  [[nodiscard]] bool finish(const step_info& row) noexcept;
  // Throws the recorded error as what the body catches.
  [[noreturn]] virtual void raise() const;

  step_kind kind;
  std::string id;  // as given; the frame appends the ordinal
  bool is_awaited{false};
  bool is_finished{false};
  std::unique_ptr<recorded_error> error{};  // finished, and failed
  std::uint32_t attempts{1};
  std::string undecodable{};
  std::size_t row{0};  // finished: the place of its record among the run's
  run_id child{};      // invoke, finished: the run it started

  [[nodiscard]] const operation_terms& terms() const noexcept;
  // The same to be set. An operation of which none is set, as most steps are, takes no memory for them.
  [[nodiscard]] operation_terms& own_terms() {
    if (terms_ == nullptr) terms_ = std::make_unique<operation_terms>();
    return *terms_;
  }

 protected:
  virtual void decode(const document&) {}

 private:
  std::unique_ptr<operation_terms> terms_;
};

// When a suspended body goes on.
enum class until : std::uint8_t {
  all,  // of its operations are finished
  any,  // of them is, and none executes
};

// The driver as a body sees it.
class driver {
 public:
  virtual ~driver() = default;

  // Gives the operation its ordinal and looks up its recorded result. True: it is finished and the body goes on without suspending.
  virtual bool admit(operation& op) = 0;
  // The coroutine `leaf` has suspended until all or any of `pending` are finished.
  virtual void suspend(std::coroutine_handle<> leaf, std::span<operation* const> pending, until when) = 0;

  [[nodiscard]] virtual time_point now() const = 0;
  [[nodiscard]] virtual std::string uuid(std::string_view name) = 0;
  [[nodiscard]] virtual run_id id() const = 0;
  [[nodiscard]] virtual const caesura::event& trigger() const = 0;
};

// Throws error{step_inside_step} on a thread that executes a step.
void refuse_inside_step(std::string_view what);
// Marks this thread as executing a step for its lifetime.
class inside_step {
 public:
  inside_step() noexcept;
  ~inside_step();
  inside_step(const inside_step&) = delete;
  inside_step& operator=(const inside_step&) = delete;
};

// True while this thread runs the code of a body.
[[nodiscard]] bool is_inside_body() noexcept;
class inside_body {
 public:
  inside_body() noexcept;
  ~inside_body();
  inside_body(const inside_body&) = delete;
  inside_body& operator=(const inside_body&) = delete;
};

// Throws error{invalid_argument}: what is awaited has been awaited, or given to `all` or `any`. null: it is gone.
[[noreturn]] void refuse_second_await(const operation* op);

// Throws error{invalid_argument} naming the thing and the limit.
void check_step_id(std::string_view id);
void check_duration(std::string_view what, duration value);

}  // namespace detail
}  // namespace caesura
