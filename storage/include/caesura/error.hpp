#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace caesura {

// Why something could not be done as promised. The text of the error names the thing and the limit; the code is for programs.
enum class errc : std::uint8_t {
  invalid_function,    // the constructor was given functions that cannot work; the text lists every fault
  invalid_event,       // an event is malformed, too large or uses a reserved name; nothing was recorded
  invalid_expression,  // an expression does not parse; the text has the position
  invalid_argument,    // any other argument outside its documented range
  duplicate_id,        // an event with this name and id but other data was accepted within the event memory (24 h)
  unknown_run,         // no run with this id is stored
  run_not_completed,   // a result was asked of a run that has none
  result_type,         // a stored value cannot be converted to the asked type
  overloaded,          // more commands are waiting than options.waiting_commands; try again later
  stopped,             // the runtime is stopping or stopped
  storage_full,        // disk or map full; nothing of this command was recorded
  storage_failed,      // a read or write failed; nothing of this command was recorded
  outcome_unknown,     // a commit failed half way: the command may or may not have been recorded
  store_corrupt,       // a record fails its checksum or does not decode; the text names table and key
  store_newer,         // the directory was written by a newer format
  store_locked,        // another runtime holds the directory; the text names the holder
  step_inside_step,    // a step was started from within a step's own code
  wrong_thread,        // called from a body between steps, by an observer, on the thread of options.executor, or after fork
  unknown_function,    // no such function is registered in this process, nor stored
  function_paused,     // the function is paused: nothing of it starts
  unknown_event,       // no event with this id is stored (any more)
  run_not_ended,       // only a run that has ended can be replayed
  unknown_plan,        // no such preview token, or it is older than 24 h
  unknown_bulk,        // no bulk job with this id is stored (any more)
};

[[nodiscard]] std::string_view to_string(errc code) noexcept;

// Thrown when something cannot be done as promised. Expected outcomes are values instead (cancel_outcome, optional).
class error : public std::runtime_error {
 public:
  error(errc code, const std::string& text) : std::runtime_error{text}, code_{code} {}

  [[nodiscard]] errc code() const noexcept { return code_; }

 private:
  errc code_;
};

}  // namespace caesura
