#pragma once

#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <caesura/detail/operation.hpp>
#include <caesura/document.hpp>
#include <caesura/event.hpp>
#include <caesura/retry.hpp>
#include <caesura/task.hpp>

namespace caesura {

namespace detail {

template <class F>
concept step_function = std::invocable<F&> || std::invocable<F&, const step_attempt&>;

template <class F>
decltype(auto) invoke_step(F& fn, const step_attempt& attempt) {
  if constexpr (std::invocable<F&, const step_attempt&>) {
    return fn(attempt);
  } else {
    return fn();
  }
}

template <class F>
using step_result = std::remove_cvref_t<decltype(invoke_step(std::declval<F&>(), std::declval<const step_attempt&>()))>;

// Keeps the decoded result of an operation; `unit` stands for void.
struct unit {};

template <class R>
class operation_of : public operation {
 public:
  using operation::operation;
  using stored = std::conditional_t<std::is_void_v<R>, unit, R>;

  R take() {
    if (error) throw step_failed{id, *error, attempts};
    if constexpr (!std::is_void_v<R>) return std::move(*value);
  }

  std::optional<stored> value{};

 protected:
  void decode(const document&) override {
    if constexpr (std::is_void_v<R>) value.emplace();
  }
};

template <class F, class R>
class run_operation final : public operation_of<R> {
 public:
  template <class G>
  run_operation(std::string_view id, G&& fn) : operation_of<R>{step_kind::run, id}, fn_{std::forward<G>(fn)} {}

  document execute(const step_attempt& attempt) override {
    if constexpr (std::is_void_v<R>) {
      invoke_step(fn_, attempt);
      return {};
    } else {
      return document(invoke_step(fn_, attempt));
    }
  }

 protected:
  void decode(const document& result) override {
    if constexpr (std::is_void_v<R>) {
      this->value.emplace();
    } else {
      this->value.emplace(result.get<R>());
    }
  }

 private:
  F fn_;
};

// for_each: the element stays where it is, in a container that the body's frame holds.
template <class F, class Element>
struct bound_element {
  const F* fn;
  const Element* element;

  decltype(auto) operator()() { return (*fn)(*element); }
};

class wait_operation final : public operation_of<std::optional<event>> {
 public:
  explicit wait_operation(std::string_view name) : operation_of{step_kind::wait_for_event, name} { event_name = name; }

 protected:
  void decode(const document& result) override;
};

class send_operation final : public operation_of<event_id> {
 public:
  send_operation(std::string_view id, const event& e) : operation_of{step_kind::send_event, id} { to_send = e; }

 protected:
  void decode(const document& result) override;
};

template <class R>
class [[nodiscard("co_await it: a step that is not awaited never executes")]] awaiter {
 public:
  using durable = void;

  awaiter(driver& owner, std::unique_ptr<operation_of<R>> op) noexcept : driver_{&owner}, op_{std::move(op)} {}
  awaiter(awaiter&&) noexcept = default;
  awaiter& operator=(awaiter&&) = delete;

  bool await_ready() { return driver_->admit(*op_); }
  void await_suspend(std::coroutine_handle<> body) {
    operation* const pending[] = {op_.get()};
    driver_->suspend(body, pending);
  }
  R await_resume() { return op_->take(); }

 protected:
  driver* driver_;
  std::unique_ptr<operation_of<R>> op_;
};

}  // namespace detail

// What step.run returns: awaiting it executes the step, or gives its recorded result.
template <class R>
class [[nodiscard("co_await it: a step that is not awaited never executes")]] step_awaiter : public detail::awaiter<R> {
 public:
  using detail::awaiter<R>::awaiter;

  // How this step is tried again, instead of the function's policy.
  step_awaiter&& retries(std::uint32_t count) && {
    policy().retries = count;
    return std::move(*this);
  }
  step_awaiter&& retry_delay(duration delay) && {
    policy().delays = {delay};
    policy().jitter = {};
    return std::move(*this);
  }
  step_awaiter&& retry(const retry_policy& value) && {
    this->op_->retries = value;
    return std::move(*this);
  }

 private:
  retry_policy& policy() {
    if (!this->op_->retries) this->op_->retries.emplace();
    return *this->op_->retries;
  }
};

// What step.wait_for_event returns: awaiting it gives the event, or nullopt once the timeout has passed.
class [[nodiscard("co_await it")]] wait_awaiter : public detail::awaiter<std::optional<event>> {
 public:
  using awaiter::awaiter;

  // The condition, over `event` (what started the run) and `async` (the incoming event). Default: every event of the name.
  wait_awaiter&& when(std::string_view expression) && {
    op_->when = expression;
    return std::move(*this);
  }
  // Default and maximum: 366 days.
  wait_awaiter&& timeout(duration value) && {
    detail::check_duration("the timeout of wait_for_event", value);
    op_->delay = value;
    return std::move(*this);
  }
  // Also sees matching events that came earlier: after the last one that a wait of this run on that name consumed, or after the run's
  // creation. Looks at no more than 10,000 events; beyond that the wait fails with step_failed.
  wait_awaiter&& look_back() && {
    op_->look_back = true;
    return std::move(*this);
  }
  // The step id; default: the event's name.
  wait_awaiter&& named(std::string_view id) && {
    detail::check_step_id(id);
    op_->id = id;
    return std::move(*this);
  }
};

// What step.for_each returns: awaiting it executes all steps, as many at once as there are step threads, and gives their results in
// the container's order. When some fail for good, the others still complete; then the first failure is thrown as step_failed.
template <class R>
class [[nodiscard("co_await it: a step that is not awaited never executes")]] for_each_awaiter {
 public:
  using durable = void;
  using operations = std::vector<std::unique_ptr<detail::operation_of<R>>>;

  for_each_awaiter(detail::driver& owner, operations ops) noexcept : driver_{&owner}, ops_{std::move(ops)} {}
  for_each_awaiter(for_each_awaiter&&) noexcept = default;

  bool await_ready() {
    bool all = true;
    for (auto& op : ops_) all = driver_->admit(*op) && all;
    return all;
  }
  void await_suspend(std::coroutine_handle<> body) {
    std::vector<detail::operation*> pending;
    for (auto& op : ops_) {
      if (!op->is_finished) pending.push_back(op.get());
    }
    driver_->suspend(body, pending);
  }
  auto await_resume() {
    if constexpr (std::is_void_v<R>) {
      for (auto& op : ops_) op->take();
    } else {
      std::vector<R> results;
      results.reserve(ops_.size());
      for (auto& op : ops_) results.push_back(op->take());
      return results;
    }
  }

 private:
  detail::driver* driver_;
  operations ops_;
};

// What a body is written with: its steps, sleeps and waits, and what it may decide from. A small value that the body takes by value;
// valid as long as the body. Used by the body only: from within a step every member throws error{step_inside_step}.
//
// A step id names the step within its run, at most 255 bytes of UTF-8. The second use of an id in a run is recorded as "id:1", the
// third as "id:2" and so on, so ids repeat safely in loops. Results are found by id when the code between steps re-runs, so that
// code decides only from recorded values: the trigger, results of steps, now(), uuid().
class context {
 public:
  explicit context(detail::driver& driver) noexcept : driver_{&driver} {}

  // Executes `fn` on a step thread, where it may block, and records its result; a recorded step is not executed again. `fn` takes
  // nothing or a `const step_attempt&`, and returns void or any value that converts to and from JSON. What it throws is tried again as
  // the function's retry_policy says. The closure is copied into the step.
  //
  // Capture by reference: `co_await step.run("send", [&] { … })`. The body's frame stays where it is while a step executes. For
  // closures that own something, name them first: `auto send = [s] { … }; co_await step.run("send", send);`
  template <detail::step_function F>
  auto run(std::string_view id, F&& fn) const {
    using fn_type = std::remove_cvref_t<F>;
    using result = detail::step_result<fn_type>;
    static_assert(std::is_lvalue_reference_v<F> || std::is_trivially_copyable_v<fn_type>,
                  "this closure owns what it captures, and Debian 12's g++ destroys such a temporary twice inside co_await: capture by "
                  "reference, [&] { … }, or name the closure first: auto send = [s] { … }; co_await step.run(\"send\", send);");
    check(id, "step.run");
    return step_awaiter<result>{*driver_, std::make_unique<detail::run_operation<fn_type, result>>(id, std::forward<F>(fn))};
  }

  // Rests for `length`, at most 366 days; zero or less is no rest. Costs no thread, and above about a second no memory but a timer.
  [[nodiscard("co_await it")]] detail::awaiter<void> sleep_for(std::string_view id, duration length) const {
    check(id, "step.sleep_for");
    detail::check_duration("the length of step.sleep_for", length);
    auto op = std::make_unique<detail::operation_of<void>>(step_kind::sleep, id);
    op->delay = length;
    return {*driver_, std::move(op)};
  }

  // Rests until the wall clock reaches `end`; a time in the past is no rest.
  [[nodiscard("co_await it")]] detail::awaiter<void> sleep_until(std::string_view id, time_point end) const {
    check(id, "step.sleep_until");
    auto op = std::make_unique<detail::operation_of<void>>(step_kind::sleep, id);
    op->until = end;
    return {*driver_, std::move(op)};
  }

  // Waits for an event of exactly this name that comes after the record of the step before:
  // `auto paid = co_await step.wait_for_event("order.paid").when("event.data.id == async.data.id").timeout(24h);`
  wait_awaiter wait_for_event(std::string_view name) const {
    check(name, "step.wait_for_event");
    return {*driver_, std::make_unique<detail::wait_operation>(name)};
  }

  // Sends an event exactly once: it is accepted in the same transaction that records the step. Gives the event's id. An event that
  // cannot be accepted throws step_failed.
  [[nodiscard("co_await it")]] detail::awaiter<event_id> send_event(std::string_view id, const event& value) const {
    check(id, "step.send_event");
    return {*driver_, std::make_unique<detail::send_operation>(id, value)};
  }
  // Name the event first: `const caesura::event done{.name = "…"}; co_await step.send_event("tell", done);` (g++ 12 miscompiles
  // aggregate temporaries inside co_await).
  detail::awaiter<event_id> send_event(std::string_view id, event&& value) const = delete;

  // One step for each element, with the ids "id[0]", "id[1]", …: `co_await step.for_each("notify", users, notify);` Both the container
  // and the function are named variables of the body: they are not copied. An empty container is no step.
  template <std::ranges::forward_range Range, class F>
  auto for_each(std::string_view id, const Range& elements, const F& fn) const {
    using element = std::ranges::range_value_t<Range>;
    using bound = detail::bound_element<F, element>;
    using result = detail::step_result<bound>;
    check(id, "step.for_each");
    typename for_each_awaiter<result>::operations ops;
    for (const auto& item : elements) {
      const std::string name = std::string{id} + "[" + std::to_string(ops.size()) + "]";
      detail::check_step_id(name);
      ops.push_back(std::make_unique<detail::run_operation<bound, result>>(name, bound{&fn, &item}));
    }
    return for_each_awaiter<result>{*driver_, std::move(ops)};
  }
  template <std::ranges::forward_range Range, class F>
    requires(!std::is_lvalue_reference_v<Range>)
  auto for_each(std::string_view, Range&&, const F&) const = delete;  // name the container first: its elements must outlive the steps

  // The time of the last record: what a replay of the body sees again.
  [[nodiscard]] time_point now() const { return checked("step.now")->now(); }
  // A version 8 UUID that depends only on the run, `name` and how often that name was asked for: the same at every replay.
  [[nodiscard]] std::string uuid(std::string_view name = "") const { return checked("step.uuid")->uuid(name); }
  [[nodiscard]] run_id id() const { return checked("step.id")->id(); }
  // The event that started the run. Valid as long as the body.
  [[nodiscard]] const caesura::event& trigger() const { return checked("step.trigger")->trigger(); }

 private:
  void check(std::string_view id, std::string_view what) const {
    detail::refuse_inside_step(what);
    detail::check_step_id(id);
  }
  detail::driver* checked(std::string_view what) const {
    detail::refuse_inside_step(what);
    return driver_;
  }

  detail::driver* driver_;
};

}  // namespace caesura
