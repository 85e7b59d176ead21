#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <stop_token>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <caesura/detail/operation.hpp>
#include <caesura/document.hpp>
#include <caesura/event.hpp>
#include <caesura/retry.hpp>
#include <caesura/signal.hpp>
#include <caesura/task.hpp>

namespace caesura {

namespace detail {

// `First`: the element, in for_each.
template <class F, class... First>
concept step_function = std::invocable<F&, First...> || std::invocable<F&, First..., const step_attempt&> || std::invocable<F&, First..., std::stop_token> ||
                        std::invocable<F&, First..., const step_attempt&, std::stop_token>;

template <class F>
decltype(auto) invoke_step(F& fn, const step_attempt& attempt, const std::stop_token& stop) {
  if constexpr (std::invocable<F&>) {
    return fn();
  } else if constexpr (std::invocable<F&, const step_attempt&>) {
    return fn(attempt);
  } else if constexpr (std::invocable<F&, std::stop_token>) {
    return fn(stop);
  } else {
    return fn(attempt, stop);
  }
}

template <class F>
using step_result = std::remove_cvref_t<decltype(invoke_step(std::declval<F&>(), std::declval<const step_attempt&>(), std::declval<const std::stop_token&>()))>;

template <class R>
concept readable = std::is_void_v<R> || (!is_view<R> && json_readable<R>);

template <class R>
concept recordable = std::is_void_v<R> || (!is_view<R> && std::constructible_from<document, R> && json_readable<R>);

// Says in one sentence what is wrong with the result of a step, which nlohmann would say in hundreds of lines.
template <class R>
constexpr void check_result() {
  static_assert(!durable_awaitable<R>, "a step is plain code on a thread of its own and cannot co_await: await in the body, or in a caesura::task that the body awaits");
  static_assert(!is_view<R>, "a step's result is recorded and read back as a copy, of which this type would only be a view: return std::string");
  static_assert(durable_awaitable<R> || is_view<R> || recordable<R>,
                "a step's result is recorded as JSON, and nlohmann::json cannot convert this type both ways: return a number, std::string, a "
                "container of them, caesura::document, or a struct with NLOHMANN_DEFINE_TYPE_INTRUSIVE(type, members…)");
}

// Whether g++ 12 destroys it once when it is made inside co_await: `F` is deduced from an F&&.
template <class F>
concept safe_in_co_await = std::is_lvalue_reference_v<F> || std::is_trivially_copyable_v<std::remove_cvref_t<F>>;

// Keeps the decoded result of an operation; `unit` stands for void.
struct unit {};

template <class R>
class operation_of : public operation {
 public:
  using operation::operation;
  using stored = std::conditional_t<std::is_void_v<R>, unit, R>;

  R take() {
    if (error) raise();
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

  document execute(const step_attempt& attempt, const std::stop_token& stop) override {
    if constexpr (std::is_void_v<R>) {
      invoke_step(fn_, attempt, stop);
      return {};
    } else {
      decltype(auto) made = invoke_step(fn_, attempt, stop);
      try {
        return document(std::forward<decltype(made)>(made));
      } catch (...) {
        throw unrecordable{std::current_exception()};
      }
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
  std::shared_ptr<const F> fn;  // owners: the steps of the call
  const Element* element;

  // A step function, whatever `fn` takes.
  decltype(auto) operator()(const step_attempt& attempt, const std::stop_token& stop) const {
    const auto call = [this](auto&&... more) -> decltype((*fn)(*element, more...)) { return (*fn)(*element, more...); };
    return invoke_step(call, attempt, stop);
  }
};

// The operation inside an awaiter, for all() and any().
struct parts;

class wait_operation final : public operation_of<std::optional<event>> {
 public:
  explicit wait_operation(std::string_view name) : operation_of{step_kind::wait_for_event, name} { own_terms().event_name = name; }

 protected:
  void decode(const document& result) override;
};

class signal_operation final : public operation_of<std::optional<received_signal>> {
 public:
  explicit signal_operation(std::string_view name);

 protected:
  void decode(const document& result) override;
};

class send_operation final : public operation_of<event_id> {
 public:
  send_operation(std::string_view id, const event& e) : operation_of{step_kind::send_event, id} { own_terms().to_send = e; }

 protected:
  void decode(const document& result) override;
};

[[noreturn]] void raise_invoke(const operation& op);

// The child's result, typed.
template <class R>
class invoke_operation final : public operation_of<R> {
 public:
  invoke_operation(std::string_view id, std::string_view fn, document payload) : operation_of<R>{step_kind::invoke, id} {
    this->own_terms().function = fn;
    this->own_terms().data = std::move(payload);
  }
  [[noreturn]] void raise() const override { raise_invoke(*this); }

 protected:
  void decode(const document& result) override {
    if constexpr (std::is_void_v<R>) {
      this->value.emplace();
    } else if constexpr (std::same_as<R, document>) {
      this->value.emplace(result);
    } else {
      this->value.emplace(result.get<R>());
    }
  }
};

template <class R>
class [[nodiscard("co_await it: a step that is not awaited never executes")]] awaiter {
 public:
  using durable = void;
  using result_type = R;

  awaiter(driver& owner, std::unique_ptr<operation_of<R>> op) noexcept : driver_{&owner}, op_{std::move(op)} {}
  awaiter(awaiter&&) noexcept = default;
  awaiter& operator=(awaiter&&) = delete;

  bool await_ready() {
    if (op_ == nullptr || op_->is_awaited) refuse_second_await(op_.get());
    op_->is_awaited = true;
    return driver_->admit(*op_);
  }
  void await_suspend(std::coroutine_handle<> body) {
    operation* const pending[] = {op_.get()};
    driver_->suspend(body, pending, until::all);
  }
  R await_resume() { return op_->take(); }

 protected:
  friend struct parts;

  driver* driver_;
  std::unique_ptr<operation_of<R>> op_;
};

struct parts {
  template <class R>
  static std::unique_ptr<operation_of<R>> take(awaiter<R>&& from) {
    return std::move(from.op_);
  }
  template <class R>
  static driver* owner(const awaiter<R>& from) {
    return from.driver_;
  }
};

// A member of a group: whatever the context returns for one step, sleep, wait, send or invoke.
template <class A>
concept member = requires { typename std::remove_cvref_t<A>::result_type; } &&
                 std::derived_from<std::remove_cvref_t<A>, awaiter<typename std::remove_cvref_t<A>::result_type>>;

template <class A>
using result_of = typename std::remove_cvref_t<A>::result_type;
template <class R>
using or_monostate = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

template <class R>
or_monostate<R> take_value(operation_of<R>& op) {
  if constexpr (std::is_void_v<R>) {
    op.take();
    return {};
  } else {
    return op.take();
  }
}

// Operations that a body awaits together.
template <until When, class... R>
class group {
 public:
  using durable = void;

  group(driver& owner, std::unique_ptr<operation_of<R>>... ops) noexcept : driver_{&owner}, ops_{std::move(ops)...} {}
  group(group&&) noexcept = default;

  bool await_ready() {
    for (const auto* op : all()) {
      if (op == nullptr || op->is_awaited) refuse_second_await(op);
    }
    std::size_t finished = 0;
    bool is_lost = false;  // one is recorded and does not fit: the run is held, whatever the others are
    for (auto* op : all()) {
      op->is_awaited = true;
      finished += driver_->admit(*op) ? 1 : 0;
      is_lost = is_lost || !op->undecodable.empty();
    }
    return !is_lost && (When == until::all ? finished == sizeof...(R) : finished > 0);
  }
  void await_suspend(std::coroutine_handle<> body) {
    std::vector<operation*> pending;
    for (auto* op : all()) {
      if (!op->is_finished) pending.push_back(op);
    }
    driver_->suspend(body, pending, When);
  }

 protected:
  [[nodiscard]] std::array<operation*, sizeof...(R)> all() const {
    return std::apply([](const auto&... op) { return std::array<operation*, sizeof...(R)>{op.get()...}; }, ops_);
  }

  driver* driver_;
  std::tuple<std::unique_ptr<operation_of<R>>...> ops_;
};

}  // namespace detail

// What caesura::all returns: awaiting it gives the results of all members as a std::tuple, std::monostate for void. When some fail, the
// others still complete; then the first failure in the order given is thrown.
template <class... R>
class [[nodiscard("co_await it")]] all_awaiter : public detail::group<detail::until::all, R...> {
 public:
  using detail::group<detail::until::all, R...>::group;

  std::tuple<detail::or_monostate<R>...> await_resume() {
    for (auto* op : this->all()) {
      if (op->error) op->raise();
    }
    return std::apply([](auto&... op) { return std::tuple<detail::or_monostate<R>...>{detail::take_value(*op)...}; }, this->ops_);
  }
};

// What caesura::any returns: awaiting it gives the result of the member that was recorded first, as a std::variant whose index tells
// which; a failure that is recorded first is thrown.
template <class... R>
class [[nodiscard("co_await it")]] any_awaiter : public detail::group<detail::until::any, R...> {
 public:
  using detail::group<detail::until::any, R...>::group;
  using result = std::variant<detail::or_monostate<R>...>;

  result await_resume() {
    const auto ops = this->all();
    std::size_t winner = ops.size();
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (ops[i]->is_finished && (winner == ops.size() || ops[i]->row < ops[winner]->row)) winner = i;
    }
    return take<0>(winner);
  }

 private:
  template <std::size_t N>
  result take(std::size_t winner) {
    if constexpr (N + 1 < sizeof...(R)) {
      if (winner != N) return take<N + 1>(winner);
    }
    return result{std::in_place_index<N>, detail::take_value(*std::get<N>(this->ops_))};
  }
};

// Awaits steps, sleeps, waits, sends and invocations together; steps execute at the same time:
//   auto [paid, packed] = co_await caesura::all(step.wait_for_event("order.paid"), step.run("pack", [&] { … }));
// A cancel waits for all that execute.
template <detail::member First, detail::member... Rest>
auto all(First&& first, Rest&&... rest) {
  static_assert(!std::is_lvalue_reference_v<First> && (!std::is_lvalue_reference_v<Rest> && ...),
                "caesura::all takes its members over, and each is awaited once: make them inside the call, or write std::move(name)");
  auto* const owner = detail::parts::owner<detail::result_of<First>>(first);
  return all_awaiter<detail::result_of<First>, detail::result_of<Rest>...>{
      *owner, detail::parts::take<detail::result_of<First>>(std::move(first)), detail::parts::take<detail::result_of<Rest>>(std::move(rest))...};
}

// Awaits the first of them to be recorded, whatever a replay does: `auto first = co_await caesura::any(…); if (first.index() == 0) …`
// The others: sleeps, waits and steps that have not started are withdrawn, executing steps are asked to stop (std::stop_token) and the
// body goes on once none executes; a child run is cancelled unless its policy is abandon.
template <detail::member First, detail::member... Rest>
auto any(First&& first, Rest&&... rest) {
  static_assert(!std::is_lvalue_reference_v<First> && (!std::is_lvalue_reference_v<Rest> && ...),
                "caesura::any takes its members over, and each is awaited once: make them inside the call, or write std::move(name)");
  auto* const owner = detail::parts::owner<detail::result_of<First>>(first);
  return any_awaiter<detail::result_of<First>, detail::result_of<Rest>...>{
      *owner, detail::parts::take<detail::result_of<First>>(std::move(first)), detail::parts::take<detail::result_of<Rest>>(std::move(rest))...};
}

// Anything else does not compile, with a sentence.
template <class... Other>
  requires(sizeof...(Other) > 0 && !(detail::member<Other> && ...))
detail::awaiter<void> all(Other&&...) {
  static_assert(detail::always_false<std::tuple<Other...>>,
                "the members of caesura::all are what step.run, sleep_for, sleep_until, wait_for_event, wait_for_signal, send_event and invoke return: groups, for_each "
                "and tasks are awaited by themselves, or put into a function that is invoked");
  throw error{errc::invalid_argument, "it does not compile"};
}
template <class... Other>
  requires(sizeof...(Other) > 0 && !(detail::member<Other> && ...))
detail::awaiter<void> any(Other&&...) {
  static_assert(detail::always_false<std::tuple<Other...>>,
                "the members of caesura::any are what step.run, sleep_for, sleep_until, wait_for_event, wait_for_signal, send_event and invoke return: groups, for_each "
                "and tasks are awaited by themselves, or put into a function that is invoked");
  throw error{errc::invalid_argument, "it does not compile"};
}

// What step.invoke returns: awaiting it gives the child run's result.
template <class R>
class [[nodiscard("co_await it")]] invoke_awaiter : public detail::awaiter<R> {
 public:
  using detail::awaiter<R>::awaiter;

  // After this the body goes on with child_timed_out; the child goes on too.
  invoke_awaiter&& timeout(duration value) && {
    detail::check_duration("the timeout of step.invoke", value);
    this->op_->own_terms().delay = value;
    return std::move(*this);
  }
  // What becomes of the child when this run is cancelled before it has ended. Default: it is cancelled too.
  invoke_awaiter&& on_parent_cancel(child_policy policy) && {
    this->op_->own_terms().on_parent_cancel = policy;
    return std::move(*this);
  }
};

// What step.run returns: awaiting it executes the step, or gives its recorded result.
template <class R>
class [[nodiscard("co_await it: a step that is not awaited never executes")]] step_awaiter : public detail::awaiter<R> {
 public:
  using detail::awaiter<R>::awaiter;

  // How this step is tried again, instead of the function's policy; more than 20 count as 20.
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
    this->op_->own_terms().retries = value;
    return std::move(*this);
  }
  step_awaiter&& retry(retry_policy&& value) && = delete;  // name the policy first: const caesura::retry_policy quick{.retries = 1}; … .retry(quick)

 private:
  retry_policy& policy() {
    auto& retries = this->op_->own_terms().retries;
    if (!retries) retries.emplace();
    return *retries;
  }
};

// What step.wait_for_event returns: awaiting it gives the event, or nullopt once the timeout has passed.
class [[nodiscard("co_await it")]] wait_awaiter : public detail::awaiter<std::optional<event>> {
 public:
  using awaiter::awaiter;

  // The condition, over `event` (what started the run) and `async` (the incoming event). Default: every event of the name.
  wait_awaiter&& when(std::string_view expression) && {
    op_->own_terms().when = expression;
    return std::move(*this);
  }
  // Default and maximum: 366 days.
  wait_awaiter&& timeout(duration value) && {
    detail::check_duration("the timeout of wait_for_event", value);
    op_->own_terms().delay = value;
    return std::move(*this);
  }
  // Also sees matching events that came earlier, but none before the event that started the run, nor before the last one that an earlier wait of this
  // run on that name consumed (waits side by side look back to the same place). Looks at no more than 10,000 events of the name; beyond that, and where
  // events have been purged (options.keep_events), the wait fails with step_failed.
  wait_awaiter&& look_back() && {
    op_->own_terms().look_back = true;
    return std::move(*this);
  }
  // The step id; default: the event's name.
  wait_awaiter&& named(std::string_view id) && {
    detail::check_step_id(id);
    op_->id = id;
    return std::move(*this);
  }
};

// What step.wait_for_signal returns: awaiting it gives what was sent, or nullopt once the timeout has passed or another run has taken the signal over.
class [[nodiscard("co_await it")]] signal_awaiter : public detail::awaiter<std::optional<received_signal>> {
 public:
  using awaiter::awaiter;

  // Default and maximum: 366 days.
  signal_awaiter&& timeout(duration value) && {
    detail::check_duration("the timeout of wait_for_signal", value);
    op_->own_terms().delay = value;
    return std::move(*this);
  }
  // When another run waits for the signal, this one waits in its place: the other's wait gets the signal no more and ends by its timeout, or at once if
  // it has none. Default: this run fails.
  signal_awaiter&& replace() && {
    op_->own_terms().conflict = signal_conflict::replace;
    return std::move(*this);
  }
  // The step id; default: the signal's name.
  signal_awaiter&& named(std::string_view id) && {
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
    for (auto& op : ops_) {
      if (op == nullptr || op->is_awaited) detail::refuse_second_await(op.get());
      op->is_awaited = true;
      all = driver_->admit(*op) && all;
    }
    return all;
  }
  void await_suspend(std::coroutine_handle<> body) {
    std::vector<detail::operation*> pending;
    for (auto& op : ops_) {
      if (!op->is_finished) pending.push_back(op.get());
    }
    driver_->suspend(body, pending, detail::until::all);
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
// third as "id:2" and so on (passing over what the body itself has used as an id), so ids repeat safely in loops. Results are found by
// id when the code between steps re-runs, so that code decides only from recorded values: the trigger, results of steps, now(), uuid().
class context {
 public:
  explicit context(detail::driver& driver) noexcept : driver_{&driver} {}

  // Executes `fn` on a step thread, where it may block, and records its result; a recorded step is not executed again. `fn` takes
  // nothing, a `const step_attempt&`, a `std::stop_token`, or both in this order, and returns void or any value that converts to and from
  // JSON. What it throws is tried again as the function's retry_policy says. The closure is copied into the step. On the token stop is
  // requested when the run is cancelled: the step may end early, its result is recorded, and the run still ends cancelled. A stop_callback
  // runs on a thread of the runtime and must be quick.
  //
  // Capture by reference: `co_await step.run("send", [&] { … })`. The body's frame stays where it is while a step executes. For
  // closures that own something, name them first: `auto send = [s] { … }; co_await step.run("send", send);` What is made with braces inside
  // co_await g++ 12 destroys twice: it is named first, everywhere.
  template <class F>
  auto run(std::string_view id, F&& fn) const {
    using fn_type = std::decay_t<F>;
    static_assert(detail::safe_in_co_await<F>,
                  "this closure owns what it captures, and Debian 12's g++ destroys such a temporary twice inside co_await: capture by "
                  "reference, [&] { … }, or name the closure first: auto send = [s] { … }; co_await step.run(\"send\", send);");
    if constexpr (detail::step_function<fn_type>) {
      using result = detail::step_result<fn_type>;
      detail::check_result<result>();
      check(id, "step.run");
      if constexpr (detail::recordable<result>) {
        return step_awaiter<result>{*driver_, std::make_unique<detail::run_operation<fn_type, result>>(id, std::forward<F>(fn))};
      } else {
        return step_awaiter<result>{*driver_, nullptr};  // does not compile: check_result has said why
      }
    } else {
      static_assert(detail::always_false<F>, "the closure of a step takes nothing, a const caesura::step_attempt&, a std::stop_token, or both in this order");
      return step_awaiter<void>{*driver_, nullptr};
    }
  }

  // Rests for `length`, at most 366 days; zero or less is no rest. Costs no thread, and above about a second no memory but a timer.
  [[nodiscard("co_await it")]] detail::awaiter<void> sleep_for(std::string_view id, duration length) const {
    check(id, "step.sleep_for");
    detail::check_duration("the length of step.sleep_for", length);
    auto op = std::make_unique<detail::operation_of<void>>(step_kind::sleep, id);
    op->own_terms().delay = length;
    return {*driver_, std::move(op)};
  }

  // Rests until the wall clock reaches `end`, at most 366 days away; a time in the past is no rest. `end` is something recorded, or made of now().
  [[nodiscard("co_await it")]] detail::awaiter<void> sleep_until(std::string_view id, time_point end) const {
    check(id, "step.sleep_until");
    auto op = std::make_unique<detail::operation_of<void>>(step_kind::sleep, id);
    op->own_terms().until = end;
    return {*driver_, std::move(op)};
  }
  template <std::same_as<std::chrono::system_clock::time_point> Clock>
  detail::awaiter<void> sleep_until(std::string_view id, Clock end) const = delete;  // write step.now() + 1h: a body reads no clock, and a time has milliseconds

  // Waits for an event of exactly this name that comes after the record of the step before:
  // `auto paid = co_await step.wait_for_event("order.paid").when("event.data.id == async.data.id").timeout(24h);`
  wait_awaiter wait_for_event(std::string_view name) const {
    check(name, "step.wait_for_event");
    return {*driver_, std::make_unique<detail::wait_operation>(name)};
  }

  // Waits for a signal: what runtime::send_signal sends to the one run that waits for this name by then: behind a step from its record on, behind a sleep, a wait or a child
  // from when the body has come to it. One run at most
  // waits for a signal; when another does, this run fails with signal_conflict_error, and not into the body, unless it is to take the other's place. A
  // name has at most 240 bytes. `auto answer = co_await step.wait_for_signal("approval/o-17").timeout(24h);`
  signal_awaiter wait_for_signal(std::string_view name) const {
    check(name, "step.wait_for_signal");
    return {*driver_, std::make_unique<detail::signal_operation>(name)};
  }

  // Sends an event exactly once: it is accepted in the same transaction that records the step. Gives the event's id. An event that
  // cannot be accepted throws step_failed.
  [[nodiscard("co_await it")]] detail::awaiter<event_id> send_event(std::string_view id, const event& value) const {
    check(id, "step.send_event");
    return {*driver_, std::make_unique<detail::send_operation>(id, value)};
  }
  detail::awaiter<event_id> send_event(std::string_view id, event&& value) const = delete;  // name the event first: const caesura::event done{.name = "…"};

  // Starts a run of another function of this runtime with `data` as its event's data, and awaits its result of type R:
  // `const int total = co_await step.invoke<int>("count", "count-words", text);`. Throws child_failed, child_cancelled,
  // child_timed_out, function_paused or unknown_function, all of them invoke_failed and step_failed. The child is born in the transaction
  // that records that this run waits for it. Cancelling this run cancels the child, unless its policy says otherwise.
  template <class R = void, class Data>
  invoke_awaiter<R> invoke(std::string_view id, std::string_view function, Data&& data) const {
    using data_type = std::remove_cvref_t<Data>;
    static_assert(detail::safe_in_co_await<Data> || !std::is_aggregate_v<data_type>,
                  "inside co_await Debian 12's g++ may destroy such a temporary twice: name the data first, and give it by its name: const parcel "
                  "data{…}; co_await step.invoke<int>(\"weigh\", \"weigh-parcel\", data);");
    constexpr bool is_json = std::constructible_from<document, const data_type&>;
    static_assert(is_json, "an event's data is JSON, and nlohmann::json cannot be made from this type: give it NLOHMANN_DEFINE_TYPE_INTRUSIVE(type, members…)");
    static_assert(!detail::is_view<R>, "a child's result is read back as a copy, of which this type would only be a view: take std::string");
    static_assert(detail::readable<R> || detail::is_view<R>,
                  "a child's result is recorded as JSON, and nlohmann::json cannot make this type of it: take a number, std::string, a container of them, "
                  "caesura::document, or a struct with NLOHMANN_DEFINE_TYPE_INTRUSIVE(type, members…)");
    check(id, "step.invoke");
    if constexpr (is_json && detail::readable<R>) {
      return {*driver_, std::make_unique<detail::invoke_operation<R>>(id, function, document(std::as_const(data)))};
    } else {
      return {*driver_, nullptr};  // does not compile, as said above
    }
  }
  template <class R = void>
  invoke_awaiter<R> invoke(std::string_view, std::string_view, nlohmann::json::initializer_list_t) const = delete;  // name the data first: const nlohmann::json data{…};

  // One step for each element, with the ids "id[0]", "id[1]", …: `co_await step.for_each("notify", users, notify);` `fn` takes an element and, as in
  // run, a `const step_attempt&`, a `std::stop_token`, or both; it is copied once and called from several threads at once. The container is a named
  // variable of the body and is not copied. An empty one is no step.
  template <std::ranges::forward_range Range, class F>
  auto for_each(std::string_view id, Range&& elements, F&& fn) const {
    using fn_type = std::decay_t<F>;
    using element = std::ranges::range_value_t<Range>;
    using bound = detail::bound_element<fn_type, element>;
    static_assert(std::is_lvalue_reference_v<Range>,
                  "name the container first, because its elements must outlive the steps: const auto users = …; co_await step.for_each(\"notify\", users, notify);");
    static_assert(std::is_lvalue_reference_v<std::ranges::range_reference_t<Range>>,
                  "this range makes its elements while it is read, and steps would refer to what is gone: put them into a std::vector first");
    static_assert(detail::safe_in_co_await<F>,
                  "this closure owns what it captures, and Debian 12's g++ destroys such a temporary twice inside co_await: capture by "
                  "reference, [&], or name the closure first: const auto notify = [s](const user& u) { … };");
    static_assert(std::copy_constructible<fn_type> || !detail::safe_in_co_await<F>,
                  "the function of for_each is copied once, and this one cannot be: capture by reference, [&], what cannot be copied");
    if constexpr (detail::step_function<const fn_type, const element&> && std::copy_constructible<fn_type>) {
      using result = detail::step_result<bound>;
      detail::check_result<result>();
      check(id, "step.for_each");
      typename for_each_awaiter<result>::operations ops;
      if constexpr (detail::recordable<result> && std::is_lvalue_reference_v<std::ranges::range_reference_t<Range>>) {
        const auto shared = std::make_shared<const fn_type>(std::forward<F>(fn));
        for (const auto& item : elements) {
          const std::string name = std::string{id} + "[" + std::to_string(ops.size()) + "]";
          detail::check_step_id(name);
          ops.push_back(std::make_unique<detail::run_operation<bound, result>>(name, bound{shared, &item}));
        }
      }
      return for_each_awaiter<result>{*driver_, std::move(ops)};
    } else {
      static_assert(detail::always_false<F> || detail::step_function<const fn_type, const element&>,
                    "the function of for_each takes an element, then nothing, a const caesura::step_attempt&, a std::stop_token, or both in "
                                             "this order, and is const: several threads call it");
      return for_each_awaiter<void>{*driver_, {}};
    }
  }

  // The time of the last record, before the first that of the run's start: what a replay of the body sees again.
  [[nodiscard]] time_point now() const { return checked("step.now")->now(); }
  // A version 8 UUID that depends only on the run, `name` and how often that name was asked for: the same at every replay.
  [[nodiscard]] std::string uuid(std::string_view name = "") const { return checked("step.uuid")->uuid(name); }
  // The run's id.
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
