#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <caesura/document.hpp>
#include <caesura/event.hpp>
#include <caesura/ids.hpp>
#include <caesura/run.hpp>
#include <caesura/signal.hpp>
#include <caesura/time.hpp>

// Functions whose code is elsewhere, in a process that is asked call by call what comes next: the other driver of a run, beside a coroutine. What is
// recorded, cancelled and promised is the same; these types know nothing of HTTP.
namespace caesura::remote {

// The id of the call that asks for whatever comes next; the other calls execute one planned step each.
inline constexpr const char* next_call = "step";

// One call. A copy: it stays valid as long as the caller keeps it.
struct call {
  run_id run{};
  std::string function{};
  std::string step{next_call};
  std::uint32_t attempt{1};       // from 1
  std::uint32_t attempts{1};      // as many are made at most
  std::uint64_t activation{0};    // tells this life of the run from others; see runtime::checkpoint
  bool plans_only{false};         // several things are under way: steps that are found are to be planned, not executed
  std::vector<caesura::event> events{};  // the trigger first; behind it the others of a batch
  std::vector<step_info> steps{}; // what is recorded, in its order
};

// Something that was executed during a call.
struct finished_step {
  std::string id{};
  std::string name{};                     // for people; empty: the id
  document result{};
  std::optional<recorded_error> error{};  // with `result` as its whole form, for whoever executes the function's code
};

// Something that the run waits for from now on, beside what it waits for already. Told again, it stays as it was.
struct operation {
  enum class what : std::uint8_t { planned, sleep, wait_for_event, wait_for_signal, invoke };
  what kind{what::planned};
  std::string id{};
  std::string name{};
  std::optional<duration> delay{};       // sleep; wait, invoke: timeout. nullopt: none
  std::optional<time_point> until{};     // the same as a time; one that has passed ends a sleep or a wait at once
  std::string event{};                   // wait
  std::string when{};                    // wait
  std::string signal{};                  // wait for a signal: its name
  signal_conflict conflict{signal_conflict::fail};  // the same: when another run waits for it
  std::string function{};                // invoke
  document data{};                       // invoke
  document user{};                       // invoke: as of an event
  std::string version{};                 // invoke: the same
};

// What a call came to.
struct answer {
  std::vector<finished_step> steps{};        // recorded before anything else happens
  std::vector<operation> operations{};
  bool asks_again{false};                    // ask again at once, although nothing was executed: the code only came to the end of its time
  bool goes_on_at_first{false};              // ask again as soon as one operation is finished, not all
  bool is_completed{false};
  document output{};                         // completed
  std::optional<finished_step> failed{};     // this attempt failed over a step: recorded with its error once no attempt is left, and the run goes on
  std::optional<recorded_error> error{};     // this attempt failed otherwise: the run, or the planned step, fails once no attempt is left
  document error_details{};                  // its whole form: the output of the run that fails over it, if it is no larger than a step's result may be
  bool is_final{false};                      // failed, error: no attempt follows
  std::optional<duration> retry_after{};     // error: clamped to 1 s … 24 h
  bool is_stale{false};                      // the code stopped because a checkpoint of this call was `stale`: that is no failure of a run that is cancelled, held or left
  bool is_given_up{false};                   // the caller stops: nothing is known of this call, it is made again at the next start
};

// Makes calls. `make` is called on a thread of the runtime and returns at once; `done` is called exactly once, on any thread, and then the run
// goes on. A call is never interrupted; `stop` is requested when its run is cancelled, for callers that can tell the other side.
class caller {
 public:
  virtual ~caller() = default;
  virtual void make(call value, std::stop_token stop, std::function<void(answer)> done) = 0;
};

// What becomes of steps that a call reports while it goes on.
enum class checkpoint_outcome : std::uint8_t {
  recorded,  // durable
  stale,     // the run is being cancelled or held by a pause, has ended or lives elsewhere by now: the call is to end. Steps that executed are recorded if the run lives
  unknown_run,
};

}  // namespace caesura::remote
