// The test of the test: with each of the planted faults the simulation has a finding, and without any it has none. Prints how many seeds it took.

#include <array>
#include <string_view>

#include <boost/test/unit_test.hpp>

#include "actors/planted_faults.hpp"
#include "tests/simulation/simulation.hpp"

// A router with a fault may lose sight of an actor and what it holds: that is not what is tested here. Nor that the libraries have the same definitions.
extern "C" const char* __asan_default_options() { return "detect_leaks=0:detect_odr_violation=0"; }

namespace {

using namespace caesura::simulation;
using caesura::actors::fault;

struct planted {
  fault which;
  std::string_view name;
};

constexpr std::array planted_faults{
    planted{fault::step_before_commit, "the next step starts before the commit"},
    planted{fault::cancel_not_recorded, "a cancel is not recorded"},
    planted{fault::outputs_outside_transaction, "outputs outlive a batch that was taken back"},
    planted{fault::event_twice, "a system event is sent twice"},
    planted{fault::listeners_left, "an ended run's listeners are left in the index"},
    planted{fault::timer_left, "a timer is left"},
    planted{fault::order_off_by_one, "an event hits runs created after it"},
    planted{fault::sweep_asks_twice, "a sweep asks a run twice"},
    planted{fault::gate_left_open, "the gate is left open"},
    planted{fault::slot_leaked, "a slot is leaked"},
    planted{fault::completion_beats_cancel, "completion beats a recorded cancel"},
    planted{fault::results_dropped, "the last results of a cancelled run are dropped"},
    planted{fault::cancel_forgotten_by_restart, "recovery executes a cancelled run again"},
    planted{fault::losers_left, "what lost an any stays pending"},
    planted{fault::undo_forgotten, "a listener is not taken back"},
    planted{fault::grandchildren_spared, "a cancel spares the grandchildren"},
    planted{fault::parent_not_told, "a parent is not told that its child has ended"},
    planted{fault::pause_ignored, "a held function's runs start"},
    planted{fault::duplicate_taken, "an event is taken twice after a restart"},
    planted{fault::signal_shared, "two runs wait for a signal"},
    planted{fault::retries_forgotten, "failed attempts are forgotten"},
    planted{fault::throttle_opened_by_restart, "a restart opens a throttle"},
    planted{fault::turn_not_taken, "a start takes no turn of its throttle"},
    planted{fault::first_event_kept, "a debounced run keeps the cancel rules of its first event"},
    planted{fault::singleton_doubled, "two runs of a singleton are under way"},
    planted{fault::batch_joined_late, "an event joins a batch that is due"},
    planted{fault::pause_counted, "what a pause skips counts in the rate limit"},
    planted{fault::ticks_made_up, "a missed tick runs twice"},
    planted{fault::priority_ignored, "priority is ignored"},
};
static_assert(planted_faults.size() + 1 == static_cast<std::size_t>(fault::count), "every fault has a test");

constexpr std::uint64_t seeds = 300;

}  // namespace

BOOST_AUTO_TEST_SUITE(planted_faults_)

BOOST_AUTO_TEST_CASE(the_simulation_finds_each) {
  for (const auto& [which, name] : planted_faults) {
    caesura::actors::planted_fault = which;
    std::uint64_t seed = 1;
    std::optional<finding> found;
    while (!(found = play(seed, history_of(seed))) && seed < seeds) ++seed;
    BOOST_CHECK_MESSAGE(found, name << ": not found within " << seeds << " seeds");
    if (found) BOOST_TEST_MESSAGE(name << ": found by seed " << seed << ": " << found->text);
  }
  caesura::actors::planted_fault = fault::none;
}

BOOST_AUTO_TEST_CASE(without_one_it_finds_nothing) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto found = play(seed, history_of(seed));
    BOOST_CHECK_MESSAGE(!found, "seed " << seed << ": " << (found ? found->text : ""));
  }
}

BOOST_AUTO_TEST_SUITE_END()
