#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <caesura/detail/operation.hpp>
#include <caesura/remote.hpp>

namespace caesura::actors {

// The exception being handled, as recorded: its type's name as written in C++ and its what(), storable.
[[nodiscard]] recorded_error describe_current_exception();

// The same in texts that can be stored and shown: UTF-8, with U+FFFD for what is none, and cut at error_text_bytes.
[[nodiscard]] recorded_error storable(recorded_error error);

enum class frame_state : std::uint8_t {
  suspended,  // waits for pending()
  completed,  // output() is its result
  failed,     // error() is what it threw; output() its whole form, where there is more of it
  held,       // a recorded result does not decode: held_because()
};

// Says what a run does next, from what is recorded: a coroutine (coroutine_frame) or calls of somebody else's code (remote_frame). Knows no
// actors, threads or store; one thread at a time. Destroyed only while no step of it executes.
class frame {
 public:
  virtual ~frame();
  frame(const frame&) = delete;
  frame& operator=(const frame&) = delete;

  // Runs to the first suspension or the end.
  virtual void start() = 0;
  // Adds a record, unless it is known; true when it finishes an operation that is waited for.
  virtual bool add(step_info row) = 0;
  // True when enough of the pending operations is finished, so that resume() may be called.
  [[nodiscard]] virtual bool is_ready() const noexcept = 0;
  // Continues up to the next suspension or end.
  virtual void resume() = 0;
  // Rows that it has been given.
  [[nodiscard]] virtual std::uint32_t row_count() const noexcept = 0;
  // True when the first of pending() to be finished is enough, and the others are withdrawn.
  [[nodiscard]] virtual bool is_any() const noexcept { return false; }

  [[nodiscard]] frame_state state() const noexcept { return state_; }
  [[nodiscard]] const std::vector<detail::operation*>& pending() const noexcept { return pending_; }
  [[nodiscard]] detail::operation* find_pending(std::string_view id) const noexcept;
  [[nodiscard]] const document& output() const noexcept { return output_; }
  [[nodiscard]] const recorded_error& error() const noexcept { return error_; }
  [[nodiscard]] const std::string& held_because() const noexcept { return held_because_; }
  // The recorded time of the last advance.
  [[nodiscard]] time_point last_time() const noexcept { return now_; }

 protected:
  explicit frame(time_point begun) noexcept : now_{begun} {}

  time_point now_;
  std::vector<detail::operation*> pending_;
  frame_state state_ = frame_state::suspended;
  document output_;
  recorded_error error_;
  std::string held_because_;
};

}  // namespace caesura::actors
