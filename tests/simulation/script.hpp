#pragma once

// What a simulated run does: data of its event, so that every run of a seed may do something else. A script is written by a generator, carried
// out by a coroutine body, and read once more by `progress_of`, which says from the recorded rows alone where the body must be.

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <caesura/caesura.hpp>

namespace caesura::simulation {

using random_source = std::mt19937_64;

inline std::size_t pick(random_source& random, std::size_t count) { return static_cast<std::size_t>(random() % count); }
inline bool happens(random_source& random, int percent) { return static_cast<int>(random() % 100) < percent; }

struct operation {
  step_kind kind{step_kind::run};
  std::string id{};
  int failures{0};          // run: so many attempts fail
  bool is_fatal{false};     // run: its failure is final
  std::int64_t length{0};   // sleep; wait and invoke: timeout (milliseconds), 0: none
  std::string event{};      // wait, send: the name; wait for a signal: that of its event; invoke: the function
  std::string key{};        // send: data.key
  int rule{0};              // wait: which expression, see wait_rules
  bool look_back{false};    // wait
  bool replaces{false};     // wait for a signal: it takes it over
  bool is_abandoned{false}; // invoke: the child goes on when the parent is cancelled
  nlohmann::json script{};  // invoke: the child's
};

enum class gathering : std::uint8_t { one, all, any, each, failure };

struct stage {
  gathering how{gathering::one};
  std::vector<operation> operations{};  // one: 1; all, any: 2; each: 1, `failures` unused, executed `times` times
  int times{0};
  bool catches{false};  // a failed operation does not fail the run
};

struct script {
  std::string key{};
  int number{0};
  std::vector<stage> stages{};
};

void to_json(nlohmann::json& json, const script& value);
void from_json(const nlohmann::json& json, script& value);

// The conditions of waits, and what each means.
struct wait_rule {
  const char* text;
  bool (*holds)(const nlohmann::json& event, const nlohmann::json& async);
};
const std::vector<wait_rule>& wait_rules();

inline const std::vector<std::string> keys{"k1", "k2", "k3"};
inline const std::vector<std::string> notes{"note/red", "note/blue"};
inline const std::vector<std::string> signals{"red", "blue"};

// What of the language a seed uses: swarm testing, so that rare pairs of features meet often in some seeds.
struct language {
  bool sleeps{true}, waits{true}, invokes{true}, sends{true}, groups{true}, failures{true}, repeats{true}, signals{false};
  std::vector<std::string> children{};  // functions that may be invoked
  std::vector<std::string> sent{};      // names of events that scripts send
};
script random_script(random_source& random, const language& allowed, int depth = 0);

// Where a body must be.
struct progress {
  enum class state : std::uint8_t { suspended, completed, failed } is{state::suspended};
  std::vector<std::pair<std::string, operation>> pending{};  // by step id, with its ordinal
  bool is_any{false};
  std::string output{};
};
progress progress_of(const script& what, const std::vector<step_info>& rows);

// Gives the result of the attempt that executes, or throws: the simulation's side of a step.
using step_effect = std::function<std::int64_t(const operation&)>;

// The body that carries out the script in its event's data.
function_body scripted(const step_effect& effect);
// The same for a fixed script: functions that system events start.
function_body scripted(const step_effect& effect, script fixed);
// The same for the events of a batch: their scripts, one after the other.
function_body scripted_batch(const step_effect& effect);

}  // namespace caesura::simulation
