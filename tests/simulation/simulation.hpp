#pragma once

// One seed: a history of actions against the real runtime in virtual time, every command of which the model hears. Steps have a beginning and an
// end, messages are delivered one by one, commits and writes fail, the process dies at any of these points and another one goes on with what
// was durable.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/model.hpp"

namespace caesura::simulation {

enum class act : std::uint8_t {
  start,
  note,
  stop,
  array,
  repeat,
  cancel,
  begin_step,
  finish_step,
  deliver,
  deliver_all,
  tick,
  pass_time,
  pause,
  resume,
  bulk_filter,
  bulk_plan,
  stop_bulk,
  replay,
  replay_all,
  fail_commits,
  fail_write,
  crash,
  crash_at_commit,
  restart,
  send_signal,
  flow_event,
};

struct action {
  act what{act::deliver};
  std::uint64_t draw{0};  // decides everything else about it
};
using history = std::vector<action>;

struct finding {
  std::string text{};
  std::vector<std::string> log{};  // what was done, an action a line
};
struct statistics {
  std::size_t commands{0}, runs{0}, cancelled{0}, steps{0}, crashes{0}, failed_commits{0};
};

// The actions of a seed; which features it uses is part of the seed, too.
history history_of(std::uint64_t seed);
// Plays a history under a seed's settings; nullopt: everything was as promised.
std::optional<finding> play(std::uint64_t seed, const history& actions, statistics* counted = nullptr);
// A shorter history that still ends in a finding.
history shorten(std::uint64_t seed, history actions);
// Seed, finding and the shortened history, as a failing test prints them.
std::string report(std::uint64_t seed, const history& actions, const finding& found);

}  // namespace caesura::simulation
