#include <boost/test/unit_test.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "storage/codec.hpp"
#include "storage/id_generator.hpp"
#include "storage/keys.hpp"
#include "storage/lmdb.hpp"
#include "storage/store.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace caesura;
using namespace caesura::storage;
using caesura::testing::code_of;

struct fresh_store {
  caesura::testing::temporary_directory directory;
  id_generator ids;
  store_options options{.directory = directory.path() + "/store", .map_size_bytes = std::size_t{64} << 20};

  run_record new_run(run_status status = run_status::queued) {
    return {.id = ids.next<run_id>(time_point{duration{1000}}, 5), .status = status};
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(stores)

BOOST_FIXTURE_TEST_CASE(a_read_beyond_those_that_may_be_at_a_time_waits_for_its_turn, fresh_store) {
  options.max_readers = 1;
  std::promise<void> begins;
  bool is_second = false;
  options.before_read = [&] {
    if (std::exchange(is_second, true)) begins.set_value();
  };
  store s{options};
  auto first = s.begin_read();
  std::thread reader{[&] { BOOST_TEST(s.begin_read()->live_count() == 0U); }};
  begins.get_future().wait();
  first.reset();
  reader.join();
  options.before_read = {};
}

BOOST_FIXTURE_TEST_CASE(what_was_committed_is_there_and_what_was_not_is_not, fresh_store) {
  const auto kept = new_run();
  const auto dropped = new_run();
  {
    store s{options};
    const auto tx = s.begin_write();
    tx->create_run(kept, "f");
    tx->commit();
    s.begin_write()->create_run(dropped, "f");
  }
  store s{options};
  BOOST_TEST((s.begin_read()->find_run(kept.id) == kept));
  BOOST_TEST(!s.begin_read()->find_run(dropped.id).has_value());
  BOOST_TEST(s.begin_read()->runs_of("f", {}, 10).runs.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_snapshot_does_not_see_later_writes, fresh_store) {
  store s{options};
  const auto before = s.begin_read();
  const auto run = new_run();
  const auto tx = s.begin_write();
  tx->create_run(run, "f");
  BOOST_TEST(tx->find_run(run.id).has_value());
  tx->commit();
  BOOST_TEST(!before->find_run(run.id).has_value());
  BOOST_TEST(s.begin_read()->find_run(run.id).has_value());
}

BOOST_FIXTURE_TEST_CASE(an_ended_run_leaves_the_live_table_and_stays_listed, fresh_store) {
  store s{options};
  auto run = new_run();
  {
    const auto tx = s.begin_write();
    tx->create_run(run, "f");
    run.status = run_status::cancelled;
    tx->put_run(run, true);
    tx->commit();
  }
  const auto tx = s.begin_read();
  BOOST_TEST(!tx->find_live_run(run.id).has_value());
  BOOST_TEST((tx->find_run(run.id)->status == run_status::cancelled));
  BOOST_TEST(tx->runs_of("", {}, 10).runs.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(pages_are_newest_first_and_without_gaps, fresh_store) {
  store s{options};
  std::vector<run_id> all;
  const auto tx = s.begin_write();
  for (int i = 0; i < 25; ++i) {
    const auto run = new_run(i % 3 == 0 ? run_status::completed : run_status::sleeping);
    tx->create_run(run, i % 2 == 0 ? "even" : "odd");
    all.insert(all.begin(), run.id);
  }
  tx->commit();
  const auto read = s.begin_read();
  std::vector<run_id> seen;
  for (run_id before;;) {
    const auto page = read->runs_of("", before, 4);
    seen.insert(seen.end(), page.runs.begin(), page.runs.end());
    if (!page.has_more) break;
    before = page.runs.back();
  }
  BOOST_TEST((seen == all));
  BOOST_TEST(read->runs_of("even", {}, 100).runs.size() == 13U);
  BOOST_TEST(read->runs_of("nobody", {}, 100).runs.empty());
}

BOOST_FIXTURE_TEST_CASE(events_are_found_by_name_from_an_id_on, fresh_store) {
  store s{options};
  std::vector<event_id> pings;
  const auto tx = s.begin_write();
  for (int i = 0; i < 10; ++i) {
    const event_record event{.id = ids.next<event_id>(time_point{duration{1000}}, 5), .name = i % 2 == 0 ? "ping" : "pong"};
    if (i % 2 == 0) pings.push_back(event.id);
    tx->put_event(event);
  }
  tx->commit();
  std::vector<event_id> seen;
  s.begin_read()->each_event_named("ping", pings[2], [&](const event_record& e) {
    seen.push_back(e.id);
    return true;
  });
  BOOST_TEST((seen == std::vector<event_id>(pings.begin() + 2, pings.end())));
}

BOOST_FIXTURE_TEST_CASE(definitions_are_stored_once_by_hash, fresh_store) {
  store s{options};
  const auto tx = s.begin_write();
  const definition_record one{.function = "f", .triggers = {{"go", ""}}};
  const definition_record two{.function = "f", .triggers = {{"go", "event.data.x == 1"}}};
  BOOST_TEST(tx->intern_definition(one) == tx->intern_definition(one));
  BOOST_TEST(tx->intern_definition(one) != tx->intern_definition(two));
  int count = 0;
  tx->each_definition([&](std::uint64_t hash, const definition_record& d) {
    BOOST_TEST(hash == definition_hash(d));
    return ++count, true;
  });
  BOOST_TEST(count == 2);
}

BOOST_FIXTURE_TEST_CASE(a_damaged_record_is_an_error_that_names_table_and_key, fresh_store) {
  const auto run = new_run();
  {
    store s{options};
    const auto tx = s.begin_write();
    tx->create_run(run, "f");
    tx->commit();
  }
  {
    lmdb_environment raw{options.directory + "/caesura.mdb", options.map_size_bytes, 8};
    lmdb_transaction tx{raw, access::write};
    std::string bytes{*tx.get(table::live_runs, key_of(run.id))};
    bytes[5] = static_cast<char>(bytes[5] ^ 1);
    tx.put(table::live_runs, key_of(run.id), bytes);
    tx.commit();
  }
  store s{options};
  std::string text;
  BOOST_TEST((code_of([&] { (void)s.begin_read()->find_run(run.id); }, &text) == errc::store_corrupt));
  BOOST_TEST(text.find("live_runs") != std::string::npos);
  BOOST_TEST(text.find(hex(key_of(run.id))) != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_newer_format_is_refused_with_both_numbers, fresh_store) {
  { const store s{options}; }
  {
    lmdb_environment raw{options.directory + "/caesura.mdb", options.map_size_bytes, 8};
    lmdb_transaction tx{raw, access::write};
    tx.put(table::meta, "format", seal(table::meta, "format", key_of(std::uint64_t{9})));
    tx.commit();
  }
  std::string text;
  BOOST_TEST((code_of([&] { const store s{options}; }, &text) == errc::store_newer));
  BOOST_TEST(text.find("format 9") != std::string::npos);
  BOOST_TEST(text.find("format 3") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_second_open_is_refused_by_name_of_the_holder_in_this_process_and_from_another, fresh_store) {
  std::string text;
  {
    const store s{options};
    BOOST_TEST((code_of([&] { const store again{options}; }, &text) == errc::store_locked));
    BOOST_TEST(text.find("process " + std::to_string(::getpid())) != std::string::npos);
    BOOST_TEST(text.find("storage_tests") != std::string::npos);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(code_of([&] { const store again{options}; }) == errc::store_locked ? 0 : 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    BOOST_TEST(status == 0);
  }
  BOOST_CHECK_NO_THROW(store{options});
}

BOOST_FIXTURE_TEST_CASE(a_full_map_is_storage_full_and_the_store_works_again, fresh_store) {
  options.map_size_bytes = std::size_t{1} << 20;
  store s{options};
  const auto fill = [&](std::size_t bytes) {
    const auto tx = s.begin_write();
    tx->put_step(run_id{}, 0, {.id = "s", .result = document(std::string(bytes, 'x'))});
    tx->commit();
  };
  BOOST_TEST((code_of([&] { fill(std::size_t{2} << 20); }) == errc::storage_full));
  BOOST_CHECK_NO_THROW(fill(1000));
  BOOST_TEST(s.begin_read()->steps_of(run_id{}).size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_commit_that_fails_records_nothing, fresh_store) {
  bool fails = false;
  options.before_commit = [&](std::uint64_t) {
    if (fails) throw error{errc::storage_failed, "planted"};
  };
  store s{options};
  const auto run = new_run();
  const auto put = [&] {
    const auto tx = s.begin_write();
    tx->create_run(run, "f");
    tx->commit();
  };
  fails = true;
  BOOST_TEST((code_of(put) == errc::storage_failed));
  BOOST_TEST(!s.begin_read()->find_run(run.id).has_value());
  fails = false;
  put();
  BOOST_TEST(s.begin_read()->find_run(run.id).has_value());
}

BOOST_FIXTURE_TEST_CASE(a_reopened_store_has_what_was_committed, fresh_store) {
  store s{options};
  const auto run = new_run();
  const auto tx = s.begin_write();
  tx->create_run(run, "f");
  tx->commit();
  s.reopen();
  BOOST_TEST(s.begin_read()->find_run(run.id).has_value());
}

BOOST_FIXTURE_TEST_CASE(a_store_that_cannot_be_opened_anew_says_so_and_is_opened_by_the_next_write, fresh_store) {
  store s{options};
  const auto run = new_run();
  {
    const auto tx = s.begin_write();
    tx->create_run(run, "f");
    tx->commit();
  }
  const auto file = std::filesystem::path{options.directory} / "caesura.mdb";
  std::filesystem::rename(file, options.directory + "/away");
  std::filesystem::create_directory(file);
  BOOST_TEST(code_of([&] { s.reopen(); }) == errc::storage_failed);
  BOOST_TEST(code_of([&] { (void)s.begin_read(); }) == errc::storage_failed);
  BOOST_TEST(code_of([&] { (void)s.begin_write(); }) == errc::storage_failed);
  BOOST_TEST(code_of([&] { (void)s.file_size_bytes(); }) == errc::storage_failed);
  std::filesystem::remove(file);
  std::filesystem::rename(options.directory + "/away", file);
  BOOST_TEST(code_of([&] { (void)s.begin_read(); }) == errc::storage_failed);
  BOOST_TEST(s.begin_write()->find_run(run.id).has_value());
  BOOST_TEST(s.begin_read()->find_run(run.id).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
