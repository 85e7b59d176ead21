// verify: sound stores are sound, each promise between tables is checked, and no flipped bit in live data goes unseen.

#include <boost/test/unit_test.hpp>

#include <sys/wait.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

#include <caesura/verify.hpp>

#include "storage/codec.hpp"
#include "storage/directory_lock.hpp"
#include "storage/keys.hpp"
#include "storage/record_check.hpp"
#include "runtime/runtime_state.hpp"
#include "storage/store.hpp"
#include "tests/support/world.hpp"

namespace {

using namespace caesura;
using namespace caesura::storage;
using caesura::testing::world;
using namespace std::chrono_literals;

std::string bytes_of(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}
void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream{path, std::ios::binary | std::ios::trunc}.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

class memory_source final : public page_source {
 public:
  explicit memory_source(const std::string& bytes) : bytes_{bytes} {}
  std::uint64_t size_bytes() const override { return bytes_.size(); }
  bool read(std::uint64_t offset, std::span<char> to) const override {
    if (offset > bytes_.size() || to.size() > bytes_.size() - offset) return false;
    std::memcpy(to.data(), bytes_.data() + offset, to.size());
    return true;
  }

 private:
  const std::string& bytes_;
};

// A store with something in every table that lasts; what is in none of them at rest is put there by hand.
struct busy_world : world {
  run_id sleeping, waiting, parent, child, completed, cancelled, failed, replayed, skipped, backing_off;
  plan_id plan;

  void fill(int more = 4) {
    open({{.id = "sleeper",
           .triggers = {{.event = "sleep"}},
           .cancel_on = {{.event = "stop", .when = "event.data.n == async.data.n"}},
           .concurrency = {{.limit = 100}},
           .body = [](context step) -> task<int> {
             co_await step.run("first", [] { return std::string(40, 'x'); });
             co_await step.sleep_for("week", days{7});
             co_return 1;
           }},
          {.id = "waiter", .triggers = {{.event = "wait"}}, .body = [](context step) -> task<> {
             co_await step.wait_for_event("answer").when("event.data.n == async.data.n").timeout(1h);
           }},
          {.id = "parent", .triggers = {{.event = "invoke"}}, .body = [](context step) -> task<> { co_await step.invoke<>("call", "waiter", nlohmann::json::object()); }},
          {.id = "quick", .triggers = {{.event = "quick"}}, .rate_limit = caesura::rate_limit{.limit = 1'000, .period = 1h}, .body = [](context step) -> task<std::string> {
             co_return co_await step.run("large", [] { return std::string(9'000, 'r'); });
           }},
          {.id = "broken", .triggers = {{.event = "fail"}}, .retries = {.retries = 0}, .body = [](context step) -> task<> {
             co_await step.run("fails", [] { throw std::runtime_error{"as it must"}; });
           }},
          {.id = "patient", .triggers = {{.event = "retry"}}, .retries = {.retries = 3, .delays = {1h}}, .body = [](context step) -> task<> {
             co_await step.run("fails", [] { throw std::runtime_error{"as it must"}; });
           }}});
    sleeping = start({.name = "sleep", .data = {{"n", 1}}, .id = "s1"});
    cancelled = start({.name = "sleep", .data = {{"n", 2}}});
    waiting = start({.name = "wait", .data = {{"n", 3}}});
    parent = start({.name = "invoke"});
    completed = start({.name = "quick"});
    failed = start({.name = "fail"});
    backing_off = start({.name = "retry"});
    for (int i = 0; i < more; ++i) start({.name = "sleep", .data = {{"n", 100 + i}, {"text", std::string(300, 't')}}});
    run();
    runtime().send({.name = "stop", .data = {{"n", 2}}});
    run();
    replayed = runtime().replay(cancelled);
    run();
    runtime().pause("waiter", {.reason = "for the test"});
    skipped = start({.name = "wait", .data = {{"n", 4}}});
    run();
    plan = runtime().preview({.function = "sleeper"}).token;
    (void)runtime().cancel_all(runtime().preview({.function = "quick"}).token);
    run();
    child = runtime().internals().store().begin_read()->find_run(parent)->pending.at(0).child;
    close();
  }
  [[nodiscard]] std::string path() const { return directory() + "/caesura.mdb"; }
  [[nodiscard]] std::unique_ptr<storage::store> open_store() const {
    return std::make_unique<storage::store>(store_options{.directory = directory(), .map_size_bytes = std::size_t{64} << 20});
  }
};

// The bytes of a sound file that mean something, found by a walk that trusts it. Not among them: free pages, the older meta but for what tells
// which is the newer, padding, gaps, the keys of branches (which may change as long as they separate what they did: a flip that breaks that is found),
// the map's size and address, and by which transaction a page was freed (any reader that it could matter to is gone).
class live_bytes {
 public:
  explicit live_bytes(const std::string& file) : file_{file}, is_live_(file.size(), false) {
    page_ = number<std::uint32_t>(16 + 24);
    const std::size_t newest = number<std::uint64_t>(16 + 128) < number<std::uint64_t>(page_ + 16 + 128) ? page_ : 0;
    for (const std::size_t meta : {std::size_t{0}, page_}) {
      mark(meta, 8);
      mark(meta + 10, 2);
      mark(meta + 16, 8);
      mark(meta + 16 + 24, 4);
      mark(meta + 16 + 128, 8);
    }
    mark(newest + 16 + 24, 96);
    is_live_[newest + 16 + 24 + 5] = false;  // flags of the environment, which every open gives anew
    mark(newest + 16 + 120, 8);
    tree(newest + 16 + 24, true);
    tree(newest + 16 + 72, false);
  }
  [[nodiscard]] bool operator[](std::size_t place) const { return is_live_[place]; }
  [[nodiscard]] std::size_t count() const { return static_cast<std::size_t>(std::ranges::count(is_live_, true)); }

 private:
  template <class Number>
  [[nodiscard]] Number number(std::size_t at) const {
    Number value{};
    std::memcpy(&value, file_.data() + at, sizeof value);
    return value;
  }
  void mark(std::size_t at, std::size_t bytes) { std::fill_n(is_live_.begin() + static_cast<std::ptrdiff_t>(at), bytes, true); }
  void tree(std::size_t at, bool is_free_list) {
    mark(at, 48);
    if (const auto root = number<std::uint64_t>(at + 40); root != ~std::uint64_t{0}) page(root * page_, is_free_list);
  }
  void page(std::size_t at, bool is_free_list) {
    const bool is_branch = number<std::uint16_t>(at + 10) == 1;
    const std::size_t nodes = (number<std::uint16_t>(at + 12) - 16U) / 2U;
    mark(at, 8);
    mark(at + 10, 6 + 2 * nodes);
    for (std::size_t i = 0; i < nodes; ++i) {
      const std::size_t node = at + number<std::uint16_t>(at + 16 + 2 * i);
      const std::size_t key = number<std::uint16_t>(node + 6);
      const std::size_t size = number<std::uint32_t>(node);
      mark(node, 8);
      if (!is_free_list && !is_branch) mark(node + 8, key);
      if (is_branch) {
        page((size | std::size_t{number<std::uint16_t>(node + 4)} << 32) * page_, is_free_list);
      } else if (const auto flags = number<std::uint16_t>(node + 4); flags == 1) {
        const auto first = number<std::uint64_t>(node + 8 + key) * page_;
        mark(node + 8 + key, 8);
        mark(first, 8);
        mark(first + 10, 6);
        mark(first + 16, is_free_list ? 8 * (1 + number<std::uint64_t>(first + 16)) : size);
      } else if (flags == 2) {
        tree(node + 8 + key, false);
      } else {
        mark(node + 8 + key, is_free_list ? 8 * (1 + number<std::uint64_t>(node + 8 + key)) : size);
      }
    }
  }

  const std::string& file_;
  std::vector<bool> is_live_;
  std::size_t page_ = 0;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(verify_)

BOOST_FIXTURE_TEST_CASE(a_store_with_something_in_every_table_is_sound, busy_world) {
  fill();
  const auto report = verify(directory());
  for (const auto& fault : report.faults) BOOST_ERROR(fault.text);
  for (const auto& [table, count] : report.records) {
    if (table != "outbox" && table != "sweeps") BOOST_TEST(count > 0U, "table " << table << " is empty: it is not tested here");
  }
  BOOST_TEST(report.pages > 16U);
  const auto in_child = verify(directory(), {.in_child = true});
  BOOST_TEST(in_child.is_sound());
  BOOST_TEST(in_child.pages == report.pages);
  BOOST_TEST((in_child.records == report.records));
}

BOOST_FIXTURE_TEST_CASE(a_live_directory_and_one_without_a_store_are_refused, busy_world) {
  fill();
  const auto refusal = [](const std::string& where) -> std::pair<errc, std::string> {
    try {
      (void)verify(where);
    } catch (const error& e) {
      return {e.code(), e.what()};
    }
    return {errc::unknown_run, ""};
  };
  {
    const auto live = open_store();
    const auto [code, text] = refusal(directory());
    BOOST_TEST(code == errc::store_locked);
    BOOST_TEST(text.find("is in use by process") != std::string::npos, text);
  }
  const auto [code, text] = refusal(directory() + "/elsewhere");
  BOOST_TEST(code == errc::invalid_argument);
  BOOST_TEST(text.find("there is no store in directory") == 0U, text);
  BOOST_TEST(!std::filesystem::exists(directory() + "/elsewhere"));
}

BOOST_FIXTURE_TEST_CASE(a_check_that_takes_too_long_is_ended_and_told, busy_world) {
  fill();
  const auto report = verify(directory(), {.in_child = true, .time_limit = 0ms});
  BOOST_REQUIRE(report.faults.size() == 1U);
  BOOST_TEST(report.faults[0].text == "the check was not over within 0");
}

BOOST_FIXTURE_TEST_CASE(each_promise_between_tables_is_checked_and_the_record_named, busy_world) {
  fill();
  const auto sound = bytes_of(path());
  struct breach {
    std::string text;  // part of the fault
    run_id about;      // named in it, unless nil
    std::function<void(write_transaction&)> make;
  };
  const auto change = [](const run_id& id, std::function<void(run_record&)> how) {
    return [id, how = std::move(how)](write_transaction& tx) {
      auto run = tx.find_run(id).value();
      const bool was_live = !is_ended(run.status);
      how(run);
      tx.put_run(run, was_live);
    };
  };
  const auto event_of = [](write_transaction& tx, const run_id& run) { return tx.find_event(tx.find_run(run)->event).value(); };
  position never;
  never.bytes.fill(0xEE);
  const std::vector<breach> breaches{
      {"has no event", waiting, [&](write_transaction& tx) { tx.purge_event(event_of(tx, waiting)); }},
      {"has no definition", sleeping, change(sleeping, [](run_record& r) { r.definition = 7; })},
      {"missing from table runs_by_function", {}, [&](write_transaction& tx) {
         auto run = *tx.find_run(completed);
         run.id = id_cast<run_id>(id_cast<position>(tx.find_run(sleeping)->event));
         run.step_count = 0;
         run.state_bytes = 0;
         tx.put_run(run, false);
       }},
      {"is stored as live and as ended", completed, [&](write_transaction& tx) {
         auto run = *tx.find_run(completed);
         run.status = run_status::queued;
         run.ended_at.reset();
         tx.put_run(run, false);
       }},
      {"cancel keys for 1 rules", sleeping, change(sleeping, [](run_record& r) { r.cancel_keys.clear(); })},
      {"has other concurrency groups", sleeping, change(sleeping, [](run_record& r) { r.groups.clear(); })},
      {"rows; its record says 2", sleeping, change(sleeping, [](run_record& r) { ++r.step_count; })},
      {"bytes; its record says", sleeping, change(sleeping, [](run_record& r) { ++r.state_bytes; })},
      {"where row 1 must be", completed, [&](write_transaction& tx) { tx.put_step(completed, 5, tx.steps_of(completed)[0]); }},
      {"is not stored, and has steps", {}, [&](write_transaction& tx) { tx.put_step(id_cast<run_id>(tx.find_run(sleeping)->event), 0, {}); }},
      {"is sleeping without a sleep", sleeping, change(sleeping, [](run_record& r) { r.pending.clear(); })},
      {"that never ends", sleeping, change(sleeping, [](run_record& r) { r.pending[0].due.reset(); })},
      {"is waiting for nothing", waiting, change(waiting, [](run_record& r) { r.pending.clear(); })},
      {"without a timeout or an event", waiting, change(waiting, [](run_record& r) { r.pending[0].event.clear(); })},
      {"has two waits in one slot", waiting, change(waiting, [](run_record& r) { r.pending.push_back(r.pending[0]); })},
      {"since a place that was never issued", waiting, change(waiting, [&](run_record& r) { r.pending[0].since = never; })},
      {"of a step that has not failed", backing_off, change(backing_off, [](run_record& r) { r.pending[0].last_error.reset(); })},
      {"that is due although the step has not failed", backing_off, change(backing_off, [](run_record& r) {
         r.pending[0].failed_attempts = 0;
         r.pending[0].last_error.reset();
       })},
      {"which is not a live child of it", parent, change(parent, [&](run_record& r) { r.pending[0].child = sleeping; })},
      {"is marked as having none", parent, change(parent, [](run_record& r) { r.has_children = false; })},
      {"missing from table children", child, [&](write_transaction& tx) { tx.delete_child(parent, child); }},
      {"no live child of that", sleeping, [&](write_transaction& tx) { tx.put_child(parent, sleeping); }},
      {"is at rest with a cancel on record", sleeping, change(sleeping, [](run_record& r) { r.cancelled_by.emplace(); })},
      {"is cancelled by nobody", cancelled, change(cancelled, [](run_record& r) { r.cancelled_by.reset(); })},
      {"has failed without an error", failed, change(failed, [](run_record& r) { r.error.reset(); })},
      {"has ended and still waits", completed, change(completed, [](run_record& r) { r.pending.emplace_back(); })},
      {"has ended at no time", completed, change(completed, [](run_record& r) { r.ended_at.reset(); })},
      {"is held for no reason", waiting, change(waiting, [](run_record& r) { r.status = run_status::held; })},
      {"is marked paused and not held", waiting, change(waiting, [](run_record& r) { r.is_paused = true; })},
      {"is half a replay", replayed, change(replayed, [](run_record& r) { r.root = {}; })},
      {"missing from table runs_by_event", sleeping, change(sleeping, [&](run_record& r) { r.replay_of = r.root = cancelled; })},
      {"as a replay for event", sleeping, [&](write_transaction& tx) { tx.put_replay(tx.find_run(sleeping)->event, sleeping); }},
      {"does not fit how it ended", completed, [&](write_transaction& tx) {
         tx.put_outbox(id_cast<position>(completed), {.kind = system_event::cancelled, .run = completed});
       }},
      {"is not stored, or not under way", {}, [&](write_transaction& tx) {
         tx.put_sweep(id_cast<position>(completed), {.kind = sweep_kind::bulk, .bulk = id_cast<bulk_id>(id_cast<position>(completed))});
       }},
      {"nobody works on it", {}, [&](write_transaction& tx) { tx.put_bulk(id_cast<bulk_id>(id_cast<position>(completed)), {}); }},
      {"ids in order", {}, [&](write_transaction& tx) {
         auto record = *tx.find_plan(plan);
         ++record.ids;
         tx.put_plan(plan, record);
       }},
      {"parts of plans that are not stored", {}, [&](write_transaction& tx) {
         tx.put_plan_chunk(id_cast<plan_id>(id_cast<position>(completed)), 0, {.ids = std::string(16, 'i')});
       }},
      {"beyond the last id", {}, [&](write_transaction& tx) { tx.put_meta("last_id", std::string(16, '\0')); }},
      {"\"format\" is missing", {}, [&](write_transaction& tx) { tx.delete_meta("format"); }},
  };
  for (const auto& [text, about, make] : breaches) {
    write_bytes(path(), sound);
    {
      const auto s = open_store();
      const auto tx = s->begin_write();
      make(*tx);
      tx->commit();
    }
    const auto report = verify(directory());
    const auto found = std::ranges::find_if(report.faults, [&, wanted = text, run = about](const verify_fault& f) {
      return f.text.find(wanted) != std::string::npos && (run.is_nil() || f.text.find(to_string(run)) != std::string::npos) && !f.table.empty();
    });
    BOOST_TEST((found != report.faults.end()), "not found: \"" << text << "\"; but: " << (report.faults.empty() ? "nothing" : report.faults[0].text));
  }
}

BOOST_FIXTURE_TEST_CASE(every_flipped_bit_in_live_data_is_found, busy_world) {
  fill(40);
  auto file = bytes_of(path());
  const live_bytes live{file};
  BOOST_REQUIRE(check_file(memory_source{file}, 10).is_sound());
  std::mt19937_64 random{20'261'124};
  const char* const asked = std::getenv("CAESURA_FLIPS");
  const std::size_t flips = asked != nullptr ? std::stoul(asked) : 10'000;
  std::size_t live_flips = 0, found = 0, harmless = 0, missed = 0;
  while (live_flips < flips) {
    const auto place = random() % file.size();
    const auto bit = static_cast<char>(1 << random() % 8);
    if (!live[place] && harmless > flips / 20) continue;
    file[place] = static_cast<char>(file[place] ^ bit);
    const auto report = check_file(memory_source{file}, 10);  // whatever it finds: it comes back
    file[place] = static_cast<char>(file[place] ^ bit);
    if (!live[place]) {
      ++harmless;
      continue;
    }
    ++live_flips;
    if (!report.is_sound()) {
      ++found;
    } else if (++missed < 10) {
      BOOST_ERROR("bit " << int{bit} << " of byte " << place % 4096 << " of page " << place / 4096 << " is live, and its flip was not found");
    }
  }
  BOOST_TEST(found == live_flips);
  BOOST_TEST_MESSAGE(file.size() << " bytes, " << live.count() << " of them live: " << live_flips << " flips of live bits, " << found << " found; "
                                 << harmless << " of others");
}

BOOST_FIXTURE_TEST_CASE(any_bytes_at_all_are_checked_to_the_end, busy_world) {
  fill();
  const auto sound = bytes_of(path());
  std::mt19937_64 random{7};
  std::size_t unsound = 0;
  for (int i = 0; i < 300; ++i) {
    auto file = sound;
    if (i % 3 == 0) file.resize(random() % file.size());
    for (std::size_t j = random() % 2'000; j > 0 && !file.empty(); --j) file[random() % file.size()] = static_cast<char>(random());
    unsound += check_file(memory_source{file}, 10).is_sound() ? 0 : 1;
  }
  BOOST_TEST(unsound > 290U);
}

BOOST_FIXTURE_TEST_CASE(a_fault_names_page_table_and_key, busy_world) {
  fill();
  auto file = bytes_of(path());
  const auto at = file.find(std::string(40, 'x'));  // a step's result
  BOOST_REQUIRE(at != std::string::npos);
  file[at + 3] = 'y';
  write_bytes(path(), file);
  const auto report = verify(directory());
  BOOST_REQUIRE(report.faults.size() >= 1U);
  const auto& fault = report.faults[0];
  BOOST_TEST(fault.page == at / 4096);
  BOOST_TEST(fault.table == "steps");
  BOOST_TEST(fault.record.size() == 40U);
  BOOST_TEST(fault.text.find("page " + std::to_string(fault.page) + ", table steps: the record under key " + fault.record) == 0U, fault.text);
}

BOOST_FIXTURE_TEST_CASE(a_damaged_record_is_an_error_that_names_it_for_whoever_reads_it, busy_world) {
  fill();
  const auto sound = bytes_of(path());
  const auto damaged = [&](const std::string& text) {
    auto file = sound;
    for (auto at = file.find(text); at != std::string::npos; at = file.find(text, at + 1)) file[at + 1] = '#';
    write_bytes(path(), file);
  };
  const auto text_of_fault = [&](const std::function<void(const snapshot&)>& read) {
    const auto s = open_store();
    try {
      read(*s->begin_read());
    } catch (const error& e) {
      BOOST_TEST(e.code() == errc::store_corrupt);
      return std::string{e.what()};
    }
    return std::string{"nothing was thrown"};
  };
  damaged(std::string(40, 'x'));
  BOOST_TEST(text_of_fault([&](const snapshot& tx) { (void)tx.steps_of(sleeping); }).find("table steps: the record under key ") == 0U);
  damaged(std::string(300, 't'));
  BOOST_TEST(text_of_fault([&](const snapshot& tx) { tx.each_event({}, [](const auto&) { return true; }); }).find("table events: ") == 0U);
  damaged("for the test");
  BOOST_TEST(text_of_fault([&](const snapshot& tx) { (void)tx.find_function_state("waiter"); }).find("table functions: ") == 0U);
}

#ifdef CAESURA_VERIFY
BOOST_FIXTURE_TEST_CASE(the_command_says_by_its_status_what_it_found, busy_world) {
  fill();
  const auto status_of = [](const std::string& arguments) {
    return WEXITSTATUS(std::system((std::string{CAESURA_VERIFY} + " " + arguments + " >/dev/null 2>&1").c_str()));
  };
  BOOST_TEST(status_of(directory()) == 0);
  BOOST_TEST(status_of("--help") == 0);
  BOOST_TEST(status_of("") == 2);
  BOOST_TEST(status_of(directory() + "/elsewhere") == 2);
  {
    const auto live = open_store();
    BOOST_TEST(status_of(directory()) == 2);
  }
  auto file = bytes_of(path());
  file[file.find(std::string(40, 'x'))] = '#';
  write_bytes(path(), file);
  BOOST_TEST(status_of(directory()) == 1);
}
#endif

BOOST_AUTO_TEST_SUITE_END()
