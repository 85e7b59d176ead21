#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <variant>

#include "actors/commands.hpp"

namespace caesura::detail {

// Where a caller waits for the router's answer. Shared by the two: a caller that has given up leaves it to the other.
template <class T>
class waiting_answer {
 public:
  void put(std::variant<T, error> answer) {
    {
      const std::lock_guard lock{mutex_};
      answer_ = std::move(answer);
    }
    is_there_.notify_one();
  }

  [[nodiscard]] bool is_there() {
    const std::lock_guard lock{mutex_};
    return answer_.has_value();
  }

  // nullopt after `timeout`; none, or more than a hundred years: waits for ever. Throws an answer that is an error.
  std::optional<T> wait(std::optional<duration> timeout) {
    std::unique_lock lock{mutex_};
    const auto is_answered = [&] { return answer_.has_value(); };
    constexpr duration longest = days{365 * 100};  // beyond it a deadline would not fit the clock
    if (!timeout || *timeout > longest) {
      is_there_.wait(lock, is_answered);
    } else if (!is_there_.wait_for(lock, *timeout, is_answered)) {
      return std::nullopt;
    }
    if (auto* refused = std::get_if<error>(&*answer_)) throw error{*refused};
    return std::get<T>(std::move(*answer_));
  }

 private:
  std::mutex mutex_;
  std::condition_variable is_there_;
  std::optional<std::variant<T, error>> answer_;
};

}  // namespace caesura::detail
