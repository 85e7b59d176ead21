#pragma once

#include <concepts>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <caesura/error.hpp>

namespace caesura {

template <class T>
class task;

namespace detail {

// What may be awaited in a body: the operations of caesura::context and other tasks, nothing else. A foreign awaitable would not be
// recorded and would resume the body on a thread of its own.
template <class A>
concept durable_awaitable = requires { typename std::remove_cvref_t<A>::durable; };

template <class A>
inline constexpr bool always_false = false;

class promise_base {
 public:
  std::suspend_always initial_suspend() noexcept { return {}; }

  struct final_awaiter {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
      const auto next = self.promise().continuation;
      return next ? next : std::noop_coroutine();
    }
    void await_resume() noexcept {}
  };
  final_awaiter final_suspend() noexcept { return {}; }

  void unhandled_exception() noexcept { exception = std::current_exception(); }

  template <class A>
  decltype(auto) await_transform(A&& awaitable) {
    if constexpr (durable_awaitable<A>) {
      static_assert(!std::is_lvalue_reference_v<A>, "what was named is awaited once: co_await std::move(name)");
      return std::move(awaitable);
    } else {
      static_assert(always_false<A>,
                    "a body can only co_await step.run, step.sleep_for, step.sleep_until, step.wait_for_event, step.wait_for_signal, "
                    "step.send_event, step.invoke, step.for_each, caesura::all, caesura::any or a caesura::task: put anything else into a step");
    }
  }

  std::coroutine_handle<> continuation{};  // the task that awaits this one; none for the body itself
  std::exception_ptr exception{};
};

template <class T>
class promise_of : public promise_base {
 public:
  task<T> get_return_object() noexcept;
  template <std::convertible_to<T> U>
  void return_value(U&& value) {
    result.emplace(std::forward<U>(value));
  }
  std::optional<T> result{};
};

template <>
class promise_of<void> : public promise_base {
 public:
  task<void> get_return_object() noexcept;
  void return_void() noexcept {}
};

}  // namespace detail

// What a function body, or a part of one, returns. Starts when awaited; owns its coroutine. Moves, does not copy. The parameters of
// the coroutine must be values: it lives longer than the call.
template <class T = void>
class [[nodiscard]] task {
 public:
  using durable = void;
  using value_type = T;
  using promise_type = detail::promise_of<T>;
  using handle_type = std::coroutine_handle<promise_type>;

  explicit task(handle_type handle) noexcept : handle_{handle} {}
  task(task&& other) noexcept : handle_{std::exchange(other.handle_, {})} {}
  task& operator=(task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const {
    if (!handle_ || handle_.done()) throw error{errc::invalid_argument, "a task is awaited a second time: call its coroutine again for each co_await"};
    return false;
  }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    handle_.promise().continuation = awaiting;
    return handle_;
  }
  T await_resume() { return take(); }

  [[nodiscard]] handle_type handle() const noexcept { return handle_; }

  // The result of a coroutine that is done; throws what it threw.
  T take() {
    auto& promise = handle_.promise();
    if (promise.exception) std::rethrow_exception(promise.exception);
    if constexpr (!std::is_void_v<T>) return std::move(*promise.result);
  }

 private:
  handle_type handle_;
};

template <class T>
task<T> detail::promise_of<T>::get_return_object() noexcept {
  return task<T>{std::coroutine_handle<promise_of<T>>::from_promise(*this)};
}

inline task<void> detail::promise_of<void>::get_return_object() noexcept {
  return task<void>{std::coroutine_handle<promise_of<void>>::from_promise(*this)};
}

}  // namespace caesura
