// Many seeds. CAESURA_TEST_SEED repeats one; CAESURA_SIMULATION_SEEDS says how many.

#include <cstdlib>

#include <boost/test/unit_test.hpp>

#include "tests/simulation/simulation.hpp"

namespace {

using namespace caesura::simulation;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(simulation)

BOOST_AUTO_TEST_CASE(every_seed_keeps_every_promise) {
  const auto one = number_from("CAESURA_TEST_SEED", 0);
  const auto first = one != 0 ? one : number_from("CAESURA_SIMULATION_FIRST", 1);
  const auto count = one != 0 ? 1 : number_from("CAESURA_SIMULATION_SEEDS", 500);
  statistics counted;
  int findings = 0;
  for (auto seed = first; seed < first + count && findings < 3; ++seed) {
    const auto actions = history_of(seed);
    if (const auto found = play(seed, actions, &counted)) {
      ++findings;
      BOOST_ERROR(report(seed, actions, *found));
    }
  }
  BOOST_TEST(findings == 0);
  BOOST_TEST_MESSAGE(count << " seeds: " << counted.commands << " commands, " << counted.runs << " runs, " << counted.cancelled << " cancelled, "
                           << counted.steps << " steps, " << counted.crashes << " crashes, " << counted.failed_commits << " failed commits and writes");
}

BOOST_AUTO_TEST_SUITE_END()
