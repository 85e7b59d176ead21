#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <caesura/error.hpp>
#include <caesura/ids.hpp>
#include <caesura/run.hpp>
#include <caesura/time.hpp>

namespace caesura {

// Any number of values, so that `.status = run_status::failed` and `.status = {run_status::failed, run_status::cancelled}` both read
// well. Default: no condition. A list that is given has at least one: of one without, which somebody computed, nobody should have to guess whether it means all or none.
template <class T>
struct any_of {
  any_of() = default;
  any_of(std::initializer_list<T> list) : values{list} {}
  // Throws error{invalid_argument} for an empty one.
  any_of(std::vector<T> list) : values{std::move(list)} {
    if (values.empty()) throw error{errc::invalid_argument, "a filter was given an empty list, which no run could fit: leave that member out to mean all runs"};
  }
  // Two pairs of braces around texts would be one text from the first to the second.
  any_of(std::initializer_list<std::initializer_list<const char*>>) = delete;  // write .function = {"a", "b"}
  template <std::convertible_to<T> U>
  any_of(U&& one) : values{T(std::forward<U>(one))} {}

  [[nodiscard]] bool empty() const noexcept { return values.empty(); }
  bool operator==(const any_of&) const = default;

  std::vector<T> values{};
};

// Which runs are meant: those that every given part lets through. One filter for list, preview, cancel and replay.
struct run_filter {
  any_of<std::string> function{};             // ids
  any_of<run_status> status{};
  any_of<run_id> run{};
  std::optional<time_point> created_after{};   // at this time or later (inclusive)
  std::optional<time_point> created_before{};  // before this time (exclusive)
  // Over `event` (what started the run) and `run`: run.id, run.function, run.status, run.attempt (of the step that is being tried, from
  // 1), run.age (milliseconds since creation).
  std::string when{};

  bool operator==(const run_filter&) const = default;
};

// What is done with runs under way, queued ones too, while their function is paused.
enum class running_runs : std::uint8_t {
  let_finish = 0,  // they go on
  hold = 1,        // they are held between two steps until the function is resumed
  cancel = 2,      // they are cancelled
};

}  // namespace caesura
