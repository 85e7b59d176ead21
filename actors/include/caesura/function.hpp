#pragma once

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <caesura/context.hpp>
#include <caesura/document.hpp>
#include <caesura/event.hpp>
#include <caesura/remote.hpp>
#include <caesura/retry.hpp>
#include <caesura/task.hpp>

namespace caesura {

namespace detail {

// One started body: a coroutine and what it returned.
class body_instance {
 public:
  virtual ~body_instance() = default;
  [[nodiscard]] virtual std::coroutine_handle<> handle() const noexcept = 0;
  // Once the coroutine is done: its result as a document; throws what the body threw.
  [[nodiscard]] virtual document take() = 0;
};

template <class T>
class body_instance_of final : public body_instance {
 public:
  explicit body_instance_of(task<T> coroutine) noexcept : coroutine_{std::move(coroutine)} {}
  std::coroutine_handle<> handle() const noexcept override { return coroutine_.handle(); }
  document take() override {
    if constexpr (std::is_void_v<T>) {
      coroutine_.take();
      return {};
    } else {
      return document(coroutine_.take());
    }
  }

 private:
  task<T> coroutine_;
};

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;

template <class F>
struct signature : signature<decltype(&F::operator())> {};
template <class R, class... A>
struct signature<R (*)(A...)> {
  using result = R;
  static constexpr std::size_t arity = sizeof...(A);
  template <std::size_t I>
  using argument = std::tuple_element_t<I, std::tuple<A...>>;
};
template <class C, class R, class... A>
struct signature<R (C::*)(A...) const> : signature<R (*)(A...)> {};
template <class C, class R, class... A>
struct signature<R (C::*)(A...)> : signature<R (*)(A...)> {};
template <class C, class R, class... A>
struct signature<R (C::*)(A...) const noexcept> : signature<R (*)(A...)> {};
template <class R, class... A>
struct signature<R (*)(A...) noexcept> : signature<R (*)(A...)> {};
template <class F>
concept has_one_signature = std::is_function_v<std::remove_pointer_t<F>> || requires { &F::operator(); };
template <class T>
concept body_result = std::is_void_v<T> || (!is_view<T> && std::constructible_from<document, T>);

template <class T>
constexpr bool check_payload() {
  if constexpr (std::is_reference_v<T>) {
    static_assert(always_false<T>, "a body takes its payload by value: it lives longer than the call");
    return false;
  } else if constexpr (std::same_as<T, event> || std::same_as<T, std::vector<event>> || (json_readable<T> && !is_view<T>)) {
    return true;
  } else {
    static_assert(always_false<T>,
                  "a body's payload is what the event's data is converted to, and nlohmann::json cannot be converted to this type: take nlohmann::json, "
                  "caesura::event, or a struct with NLOHMANN_DEFINE_TYPE_INTRUSIVE(type, members…)");
    return false;
  }
}

// Says in one sentence what is wrong with a body. True: nothing.
template <class F>
constexpr bool check_body() {
  if constexpr (!has_one_signature<F>) {
    static_assert(always_false<F>, "a body is a callable whose parameters have written types, not auto: (caesura::context step, order placed)");
    return false;
  } else if constexpr (signature<F>::arity != 1 && signature<F>::arity != 2) {
    static_assert(always_false<F>, "a body takes (caesura::context) or (caesura::context, Payload)");
    return false;
  } else if constexpr (!is_task<typename signature<F>::result>) {
    static_assert(always_false<F>, "a body is a coroutine that returns caesura::task<…>");
    return false;
  } else if constexpr (!std::same_as<typename signature<F>::template argument<0>, context>) {
    static_assert(always_false<F>, "a body takes caesura::context first, by value");
    return false;
  } else if constexpr (!body_result<typename signature<F>::result::value_type>) {
    static_assert(always_false<F>,
                  "what a body returns is recorded as JSON once its variables are gone: return a number, std::string, a container of them, "
                  "caesura::document, or a struct with NLOHMANN_DEFINE_TYPE_INTRUSIVE(type, members…)");
    return false;
  } else if constexpr (signature<F>::arity == 2) {
    return check_payload<typename signature<F>::template argument<1>>();
  } else {
    return true;
  }
}

// Says what is wrong with a handler. True: nothing.
template <class F>
constexpr bool check_handler() {
  if constexpr (!check_body<F>()) {
    return false;
  } else if constexpr (signature<F>::arity == 2) {
    using payload = typename signature<F>::template argument<1>;
    constexpr bool is_event = std::same_as<payload, event> || std::same_as<payload, nlohmann::json> || std::same_as<payload, document>;
    static_assert(is_event, "a handler is given the system's event, not the one that started the run: take (caesura::context) or (caesura::context, caesura::event); "
                            "what started the run stands in its data as data[\"event\"]");
    return is_event;
  } else {
    return true;
  }
}

// The event, its data as the type that a body asks for, or all events of a batch.
template <class T>
T payload_of(const std::vector<event>& triggers) {
  if constexpr (std::same_as<T, std::vector<event>>) {
    return triggers;
  } else if constexpr (std::same_as<T, event>) {
    return triggers.front();
  } else {
    return triggers.front().data.get<T>();
  }
}

}  // namespace detail

// A function's code: a callable `task<R>(context)` or `task<R>(context, Payload)`, both parameters by value. Payload is what the
// triggering event's data converts to, or caesura::event, or std::vector<caesura::event> (see batch). The callable is kept as long as any of its coroutines; it is called from
// several threads at once, so what it captures by reference must allow that.
class function_body {
 public:
  function_body() = default;
  template <class F>
    requires(!std::derived_from<std::remove_cvref_t<F>, function_body>)
  function_body(F&& fn) {
    if constexpr (detail::check_body<std::decay_t<F>>()) model_ = std::make_shared<model_of<std::decay_t<F>>>(std::forward<F>(fn));
  }

  [[nodiscard]] explicit operator bool() const noexcept { return model_ != nullptr; }

  // Makes a coroutine that has not begun, for the events that it was started by. Throws error{result_type} when the event's data does not convert to the payload.
  [[nodiscard]] std::unique_ptr<detail::body_instance> start(context step, const std::vector<event>& triggers) const {
    return model_->start(step, triggers);
  }
  // True when it takes std::vector<caesura::event>.
  [[nodiscard]] bool takes_batch() const noexcept { return model_ && model_->takes_batch(); }

 private:
  class model {
   public:
    virtual ~model() = default;
    virtual std::unique_ptr<detail::body_instance> start(context step, const std::vector<event>& triggers) = 0;
    [[nodiscard]] virtual bool takes_batch() const noexcept = 0;
  };

  template <class F>
  class model_of final : public model {
   public:
    using call = detail::signature<F>;

    template <class G>
    explicit model_of(G&& fn) : fn_{std::forward<G>(fn)} {}

    bool takes_batch() const noexcept override {
      if constexpr (call::arity == 2) return std::same_as<typename call::template argument<1>, std::vector<event>>;
      return false;
    }
    std::unique_ptr<detail::body_instance> start(context step, const std::vector<event>& triggers) override {
      using instance = detail::body_instance_of<typename call::result::value_type>;
      if constexpr (call::arity == 1) {
        return std::make_unique<instance>(fn_(step));
      } else {
        using payload = typename call::template argument<1>;
        return std::make_unique<instance>(fn_(step, detail::payload_of<payload>(triggers)));
      }
    }

   private:
    F fn_;
  };

  std::shared_ptr<model> model_;  // owners: the copies of the function
};

// The code of on_cancel and on_failure: a callable `task<R>(context)` or `task<R>(context, caesura::event)`.
class handler_body : public function_body {
 public:
  handler_body() = default;
  template <class F>
    requires(!std::derived_from<std::remove_cvref_t<F>, function_body>)
  handler_body(F&& fn) : function_body{checked(std::forward<F>(fn))} {}
  handler_body(function_body known) : function_body{std::move(known)} {}

 private:
  template <class F>
  static function_body checked(F&& fn) {
    if constexpr (detail::check_handler<std::decay_t<F>>()) return function_body{std::forward<F>(fn)};
    return {};
  }
};

// Starts a run for each event of this name for which `when` (over `event`) is true. The name may end in "*", which matches any rest
// but never "inngest/…", nor signals; "inngest/function.cancelled" and the like can be named in full. Or, instead of an event, `cron`: five fields, such as
// "TZ=Europe/Paris 0 12 * * 5" (without a zone: UTC; a local time that a change of the clocks leaves out ticks at the change), or @hourly, @daily …; the run's event is then "inngest/scheduled.timer". What ticked while the process was down runs once
// when it is back.
struct trigger {
  std::string event{};
  std::string when{};
  std::string cron{};
  duration jitter{0};  // cron: each tick comes up to so much later, at most 5 min; the same for the same tick
};

// Cancels a run on an event of exactly this name that comes after the run's creation and for which `when` is true: over `event`
// (what started the run) and `async` (the incoming event). Without `when` every such event cancels every run of the function.
struct cancel_rule {
  std::string event{};
  std::string when{};
  std::optional<duration> timeout{};  // how long after the run's creation the rule applies; nullopt: always
  std::optional<time_point> until{};  // the same as a time
};

// Cancels runs that take too long; the record says `timeout`.
struct timeouts {
  std::optional<duration> start{};   // from creation (or the event's time, if later; of a collected run, when it is due) to the first step
  std::optional<duration> finish{};  // from the first step to the end
};

// At most `limit` runs execute at once in each group: the runs with an equal `key`, an expression over `event`; without one, all runs of
// the function. The others wait, durable, cancellable, first in first out, those under way before new ones. A run takes part with the
// key that its event had when it was created; the limit is the present one.
struct concurrency {
  std::uint32_t limit{1};
  std::string key{};
  bool counts_resting{false};  // true: a run keeps its slot while it sleeps, waits or backs off
  bool is_shared{false};       // true: with the runs of all functions that share a group under the same `key`, such as "'gpu'"; the lowest of their limits holds
};

// ---- Flow control: whether and when an event starts a run. `key` is an expression over `event`; without one, all events of the function count together.
// A run that is invoked or replayed is asked for by name: rate limit, idempotency, debounce, batch and a singleton's decision do not apply to it; it waits
// its turn in throttle, concurrency and singleton.

// At most `limit` runs start in each `period`, spread evenly (GCRA): one each period / limit, and limit / 10 more at once. What comes beyond starts nothing
// and is not made up for. A key that is `false` is not limited. An event counts also when a singleton skips its run or debounce gives it to another one.
struct rate_limit {
  std::uint32_t limit{1};
  duration period{0};  // 1 ms … 24 h
  std::string key{};
};

// One run starts each period / limit, `burst` more at once; the others wait, durable, cancellable, in their order. What is cancelled meanwhile takes no turn.
struct throttle {
  std::uint32_t limit{1};
  duration period{0};  // 1 s … 7 d
  std::uint32_t burst{0};
  std::string key{};
};

// A run starts `period` after the last event of a row of them, with that event; at the latest `timeout` after the first. The run exists from the
// first one on, so it can be cancelled while it waits. What look_back() sees begins after its last event.
struct debounce {
  duration period{0};  // 1 s … 7 d
  std::string key{};
  std::optional<duration> timeout{};  // period … 7 d
};

// A run takes up to `max_events` events: it starts with the last of them, or `timeout` after the first, or at 10 MiB. Its body takes
// std::vector<caesura::event>. An event for which `when` is false starts a run of its own. Not together with cancel_on, debounce, singleton, priority,
// rate_limit or idempotency.
struct batch {
  std::uint32_t max_events{2};  // 2 … 100
  duration timeout{0};          // 1 s … 7 d
  std::string key{};
  std::string when{};
};

// At most one run of each key is under way. What comes meanwhile is skipped (recorded, can be replayed), or cancels the one under way and starts when that has ended.
// A key that is `false` is not limited. A run that was replayed or invoked, or whose cancel is recorded, is under way but makes nobody skipped: what comes waits for its end. One
// that invokes a run of its own key waits for it in vain: give it timeouts.
enum class singleton_mode : std::uint8_t { skip = 0, cancel = 1 };
struct singleton {
  std::string key{};
  singleton_mode mode{singleton_mode::skip};
};

// A durable function. Give all functions to the runtime's constructor. `id` is its identity in the store: keep it when the code
// changes. Runs keep the cancel rules that they were created with. Optional members are given with their type,
// `.throttle = caesura::throttle{.limit = 10, .period = 1min}`: braces alone make no optional.
struct function {
  std::string id{};                      // 1 to 128 bytes of UTF-8
  std::vector<trigger> triggers{};       // at most 10; an event that matches several starts one run. None: only `invoke` and replays start it
  std::vector<cancel_rule> cancel_on{};  // at most 20; any of them cancels
  caesura::timeouts timeouts{};
  std::vector<caesura::concurrency> concurrency{};  // at most 2, and 2 that count resting runs; a run needs a slot of each
  retry_policy retries = retry_policy();  // of its steps; not {}, which g++ 12 at -O3 takes for uninitialised in a list of functions
  std::optional<caesura::rate_limit> rate_limit{};
  std::optional<caesura::throttle> throttle{};
  std::optional<caesura::debounce> debounce{};
  std::optional<caesura::batch> batch{};
  std::optional<caesura::singleton> singleton{};
  std::string idempotency{};             // an expression over `event`: events with an equal value start one run within 24 h; not together with rate_limit
  std::string priority{};                // an expression over `event`: waits as if it had come so many seconds earlier, at most 12 h; no number is 0
  function_body body{};
  std::shared_ptr<remote::caller> remote{};  // instead of a body: whom to ask what comes next. Owners: the copies of the function
  // Bodies for when a run of this function ends cancelled or failed: durable functions of their own, "<id>-cancelled" and
  // "<id>-failed", started by the system event, which they take as `caesura::event`.
  handler_body on_cancel{};
  handler_body on_failure{};
};

}  // namespace caesura
