#include "tests/fuzz/targets.hpp"
#include "tests/simulation/simulation.hpp"

namespace caesura::fuzz {

void calls(bytes input) {
  constexpr std::size_t most_actions = 60;
  if (input.size() < 3) return;
  const std::uint64_t seed = 1'000'000 + input[0] + 256U * input[1];
  simulation::history actions;
  std::uint64_t draw = seed;
  for (const auto byte : input.subspan(2)) {
    if (actions.size() == most_actions) break;
    constexpr auto kinds = static_cast<unsigned>(simulation::act::restart) + 1;
    draw = (draw ^ byte) * 0x9E3779B97F4A7C15ULL;
    actions.push_back({static_cast<simulation::act>(byte % kinds), draw ^ (draw >> 31)});
  }
  if (const auto found = simulation::play(seed, actions)) throw broken_promise{simulation::report(seed, actions, *found)};
}

}  // namespace caesura::fuzz
