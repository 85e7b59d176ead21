// What several threads are answered at once is what one of them could have been answered alone, in some order: rule 5 seen from outside, without
// looking at the router's order. CAESURA_HISTORIES says how many keys are played.

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <barrier>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>

#include <caesura/caesura.hpp>

#include "tests/support/temporary_directory.hpp"
#include "tests/threads/linearizable.hpp"

namespace {

using namespace caesura;
using namespace std::chrono_literals;
using testing::asked;
using testing::operation;
using testing::told;

constexpr int threads_at_once = 4;
constexpr int operations_a_thread = 6;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

// Runs of one key, made by `go`, cancelled by `stop`: those of an even key wait, those of an odd one complete.
struct played_key {
  int key{0};
  std::mutex mutex{};
  std::vector<run_id> known{};
  std::vector<operation> history{};
};

class player {
 public:
  player(runtime& runtime, std::atomic<std::uint64_t>& ticks) : runtime_{runtime}, ticks_{ticks} {}

  void play(played_key& on, std::uint64_t draw) {
    std::mt19937_64 random{draw};
    for (int i = 0; i < operations_a_thread; ++i) {
      operation op{.data = random() % 8 == 0 ? 1 : 0};
      {
        const std::lock_guard lock{on.mutex};
        const auto choice = random() % 12;
        op.what = choice < 2 ? asked::start : choice < 4 ? asked::stop : choice < 7 ? asked::cancel : choice < 9 ? asked::replay : asked::read;
        if (on.known.empty()) op.what = asked::start;
        if (op.what >= asked::cancel) op.run = on.known[random() % on.known.size()];
      }
      op.called = ++ticks_;
      perform(on.key, op);
      op.answered = ++ticks_;
      const std::lock_guard lock{on.mutex};
      if (op.answer == told::made) on.known.push_back(op.made);
      on.history.push_back(op);
    }
  }

 private:
  void perform(int key, operation& op) try {
    const auto id = std::to_string(key);
    switch (op.what) {
      case asked::start: {
        const auto sent = runtime_.send({.name = key % 2 == 0 ? "go/wait" : "go/complete", .data = {{"key", id}, {"data", op.data}}, .id = id});
        op.answer = sent.is_duplicate ? told::duplicate : told::made;
        op.made = sent.runs.at(0);
        return;
      }
      case asked::stop: runtime_.send({.name = "stop", .data = {{"key", id}}}); return;
      case asked::cancel: op.answer = told_of(runtime_.cancel(op.run)); return;
      case asked::replay:
        op.made = runtime_.replay(op.run);
        op.answer = told::made;
        return;
      case asked::read: {
        const auto read = runtime_.get(op.run).value();
        op.answer = read.status == run_status::cancelled   ? told::already_cancelled
                    : read.status == run_status::completed ? told::already_completed
                    : read.is_cancelling                   ? told::cancelling
                                                           : told::live;
        return;
      }
    }
  } catch (const error& e) {
    if (e.code() != errc::duplicate_id && e.code() != errc::run_not_ended) throw;
    op.answer = e.code() == errc::duplicate_id ? told::conflict : told::not_ended;
  }

  static told told_of(cancel_outcome outcome) {
    switch (outcome) {
      case cancel_outcome::cancelled: return told::cancelled;
      case cancel_outcome::cancelling: return told::cancelling;
      case cancel_outcome::already_cancelled: return told::already_cancelled;
      case cancel_outcome::already_completed: return told::already_completed;
      case cancel_outcome::already_failed:
      case cancel_outcome::unknown_run:
        break;
    }
    return told::nothing;  // no state of any run gives it
  }

  runtime& runtime_;
  std::atomic<std::uint64_t>& ticks_;
};

std::vector<function> functions() {
  const auto stop = cancel_rule{.event = "stop", .when = "event.data.key == async.data.key"};
  return {{.id = "waits",
           .triggers = {{.event = "go/wait"}},
           .cancel_on = {stop},
           .body = [](context step) -> task<> {
             co_await step.run("a", [] {});
             co_await step.wait_for_event("never").timeout(1h);
           }},
          {.id = "completes", .triggers = {{.event = "go/complete"}}, .cancel_on = {stop}, .body = [](context step) -> task<> {
             co_await step.run("a", [] {});
             co_await step.run("b", [] {});
           }}};
}

const run_id r1{{1}};
const run_id r2{{2}};
operation made(std::uint64_t from, std::uint64_t to, const run_id& run) { return {from, to, asked::start, {}, 0, told::made, run}; }
operation about(std::uint64_t from, std::uint64_t to, asked what, told answer) { return {from, to, what, r1, 0, answer, {}}; }

}  // namespace

BOOST_AUTO_TEST_SUITE(threads)

BOOST_AUTO_TEST_CASE(concurrent_sends_cancels_and_replays_have_one_order_that_explains_every_answer) {
  const caesura::testing::temporary_directory directory;
  const auto keys = static_cast<int>(number_from("CAESURA_HISTORIES", 200));
  const auto seed = number_from("CAESURA_TEST_SEED", 1);
  std::size_t operations = 0;
  runtime runtime{{.directory = directory.path(), .step_threads = 8, .live_runs = 50, .map_size_bytes = std::size_t{256} << 20}, functions()};
  std::atomic<std::uint64_t> ticks{0};
  std::vector<played_key> played(static_cast<std::size_t>(keys));
  for (int key = 0; key < keys; ++key) played[static_cast<std::size_t>(key)].key = key;
  std::atomic<int> faults{0};
  std::barrier together{threads_at_once};
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < threads_at_once; ++i) {
    threads.emplace_back([&, i] {
      for (auto& on : played) {
        together.arrive_and_wait();
        try {
          player{runtime, ticks}.play(on, seed * 1'000'003 + static_cast<std::uint64_t>(on.key) * 31 + i);
        } catch (const std::exception&) {
          ++faults;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  BOOST_TEST(faults == 0);
  for (auto& on : played) {
    operations += on.history.size();
    if (!testing::is_linearizable(on.history, on.key % 2 != 0)) {
      BOOST_ERROR("seed " << seed << ", key " << on.key << ": no order explains" << testing::text_of(on.history));
    }
  }
  BOOST_TEST_MESSAGE(keys << " histories, " << operations << " operations of " << threads_at_once << " threads");
}

BOOST_AUTO_TEST_CASE(answers_that_no_order_explains_are_found) {
  using testing::is_linearizable;
  // Each pair: what cannot be when one comes after the other, and can when they overlap.
  BOOST_TEST(!is_linearizable({made(1, 2, r1), about(3, 4, asked::cancel, told::cancelled), about(5, 6, asked::read, told::live)}, false));
  BOOST_TEST(is_linearizable({made(1, 2, r1), about(3, 6, asked::cancel, told::cancelled), about(4, 5, asked::read, told::live)}, false));
  BOOST_TEST(!is_linearizable({made(1, 2, r1), about(3, 4, asked::read, told::already_cancelled), about(5, 6, asked::cancel, told::cancelled)}, false));
  BOOST_TEST(is_linearizable({made(1, 2, r1), about(3, 6, asked::read, told::already_cancelled), about(4, 5, asked::cancel, told::cancelled)}, false));
  // At once or not, two of a kind cannot be.
  BOOST_TEST(!is_linearizable({made(1, 4, r1), made(2, 3, r2)}, false));
  BOOST_TEST(!is_linearizable({made(1, 2, r1), about(3, 6, asked::cancel, told::cancelled), about(4, 5, asked::cancel, told::cancelled)}, false));
  BOOST_TEST(!is_linearizable({made(1, 2, r1), about(3, 4, asked::cancel, told::cancelling), about(5, 6, asked::cancel, told::already_completed)}, true));
  BOOST_TEST(!is_linearizable({made(1, 2, r1), about(3, 4, asked::cancel, told::already_completed)}, false));
  BOOST_TEST(is_linearizable({made(1, 2, r1), about(3, 4, asked::cancel, told::already_completed)}, true));
  // A stop takes effect before its answer.
  BOOST_TEST(!is_linearizable({made(1, 2, r1), about(3, 4, asked::stop, told::nothing), about(5, 6, asked::read, told::live)}, false));
  BOOST_TEST(!is_linearizable({made(1, 2, r1), about(3, 4, asked::read, told::live), about(5, 6, asked::replay, told::made)}, false));
}

BOOST_AUTO_TEST_SUITE_END()
