#include <boost/test/unit_test.hpp>

#include <random>

#include "storage/codec.hpp"
#include "storage/crc32c.hpp"
#include "storage/id_generator.hpp"

namespace {

using namespace caesura;
using namespace caesura::storage;
using namespace std::chrono_literals;

const time_point start{duration{1'780'000'000'000}};

template <class Id>
Id some_id() {
  static id_generator ids;
  return ids.next<Id>(start, 99);
}

run_record full_run() {
  return {.id = some_id<run_id>(),
          .definition = 0xFFFF'FFFF'FFFF'FFFFULL,
          .event = some_id<event_id>(),
          .status = run_status::waiting,
          .depth = 2,
          .interruptions = 3,
          .step_count = 70'000,
          .state_bytes = 5'000'000'000ULL,
          .created_at = start,
          .started_at = start + 1s,
          .ended_at = start + 2s,
          .due = start - 1h,
          .cancel_keys = {{.how = listener_key::mode::hashed, .hash = 1ULL << 63}, {.how = listener_key::mode::scan}, {}},
          .pending = {{.kind = step_kind::wait_for_event,
                       .step = "wait",
                       .failed_attempts = 2,
                       .last_error = recorded_error{"std::runtime_error", "no"},
                       .started_at = start,
                       .due = start + 1h,
                       .event = "order.paid",
                       .when = "async.data.id == event.data.id",
                       .key = {.how = listener_key::mode::hashed, .hash = 7},
                       .since = some_id<position>(),
                       .slot = 4}},
          .cancelled_by = cancellation{.source = cancel_source::event, .reason = "why", .event = some_id<event_id>(), .rule = 1, .requested_at = start},
          .output = document(nlohmann::json{{"a", {1, 2, 3}}}),
          .error = recorded_error{"int", "x"},
          .held_because = "held",
          .consumed = {{.event = "ping", .last = some_id<event_id>()}}};
}

event_record full_event() {
  return {.id = some_id<event_id>(),
          .name = "tasks/created",
          .client_id = "t-1",
          .data = document(nlohmann::json{{"id", "t-1"}, {"n", 1.5}}),
          .time = start,
          .received_at = start + 1ms,
          .runs = {some_id<run_id>(), some_id<run_id>()},
          .depth = 1};
}

template <class Record>
void comes_back(table where, const Record& record) {
  const auto bytes = encode(where, "key", record);
  const auto back = decode<Record>(where, "key", bytes);
  BOOST_REQUIRE(back.has_value());
  BOOST_TEST((*back == record));
}

// Every byte of a record counts.
template <class Record>
void damage_is_found(table where, const Record& record) {
  const auto bytes = encode(where, "key", record);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      auto damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      BOOST_TEST(!decode<Record>(where, "key", damaged).has_value());
    }
    BOOST_TEST(!decode<Record>(where, "key", bytes.substr(0, i)).has_value());
  }
  BOOST_TEST(!decode<Record>(where, "other", bytes).has_value());
  BOOST_TEST(!decode<Record>(where == table::steps ? table::events : table::steps, "key", bytes).has_value());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(codec)

BOOST_AUTO_TEST_CASE(every_record_comes_back_as_it_was) {
  comes_back(table::live_runs, full_run());
  comes_back(table::live_runs, run_record{});
  comes_back(table::events, full_event());
  comes_back(table::events, event_record{});
  comes_back(table::definitions,
             definition_record{.function = "f", .triggers = {{"a", "b"}}, .cancel_on = {{"c", "d", duration{5}}, {"e", "", std::nullopt}}, .concurrency = {{.limit = 2, .key = "'k'", .counts_resting = true, .is_shared = true}}});
  comes_back(table::steps, step_info{.id = "s",
                                     .kind = step_kind::send_event,
                                     .result = document("x"),
                                     .error = recorded_error{"n", "m"},
                                     .attempts = 3,
                                     .started_at = start,
                                     .ended_at = start + 1s});
  comes_back(table::outbox, outbox_record{.kind = system_event::cancelled, .run = some_id<run_id>()});
  comes_back(table::sweeps, sweep_record{.event = some_id<event_id>()});
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_and_every_cut_is_found) {
  damage_is_found(table::live_runs, full_run());
  damage_is_found(table::events, full_event());
}

BOOST_AUTO_TEST_CASE(the_status_of_a_run_is_found_without_the_rest_of_its_record) {
  for (const auto status : {run_status::scheduled, run_status::held, run_status::skipped}) {
    auto run = full_run();
    run.status = status;
    auto bytes = encode(table::live_runs, "key", run);
    BOOST_TEST((decode_status(table::live_runs, "key", bytes) == status));
    BOOST_TEST(!decode_status(table::live_runs, "other", bytes).has_value());
    bytes[bytes.size() / 2] ^= 1;
    BOOST_TEST(!decode_status(table::live_runs, "key", bytes).has_value());
  }
  BOOST_TEST(!decode_status(table::steps, "key", encode(table::steps, "key", step_info{})).has_value());
}

BOOST_AUTO_TEST_CASE(random_bytes_are_no_record_and_no_crash) {
  std::mt19937 random{7};
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 64, '\0');
    for (auto& c : bytes) c = static_cast<char>(random());
    // With a right checksum too: the decoder itself has to be safe.
    const char number = static_cast<char>(table::live_runs);
    const auto sum = crc32c(bytes, crc32c("key", crc32c({&number, 1})));
    std::string sealed = bytes;
    for (int shift = 0; shift < 32; shift += 8) sealed += static_cast<char>((sum >> shift) & 0xFF);
    BOOST_TEST(!decode<run_record>(table::live_runs, "key", bytes).has_value());
    (void)decode<run_record>(table::live_runs, "key", sealed);
  }
}

BOOST_AUTO_TEST_CASE(the_checksum_is_crc_32c) {
  BOOST_TEST(crc32c("123456789") == 0xE3069283U);
  BOOST_TEST(crc32c("6789", crc32c("12345")) == crc32c("123456789"));
}

// Found by fuzzing: msgpack-c takes such numbers for whole ones of 64 bits while it asks whether they are.
BOOST_AUTO_TEST_CASE(numbers_beyond_64_bits_come_back_as_they_were) {
  const std::string key(16, 'k');
  for (const double rate : {0.0, 0.5, 3.0, 0x1p53, 0x1.fffffffffffffp63, 0x1p64, 0x1p65, 1e308, -0x1p63, -1e300}) {
    const bulk_record record{.rate_per_second = rate};
    const auto again = decode<bulk_record>(table::bulk_jobs, key, encode(table::bulk_jobs, key, record));
    BOOST_REQUIRE(again.has_value());
    BOOST_TEST(again->rate_per_second == rate);
  }
}

// Found by fuzzing: whoever looks such a key up finds the last value, whoever compares looks at both.
BOOST_AUTO_TEST_CASE(msgpack_in_which_a_key_stands_twice_is_no_document) {
  const auto is_refused = [](const std::string& bytes, const std::string& key) {
    try {
      (void)document::from_msgpack(bytes);
    } catch (const error& e) {
      return e.code() == errc::invalid_argument && std::string{e.what()}.find("key \"" + key + "\" stands twice") != std::string::npos;
    }
    return false;
  };
  BOOST_TEST(is_refused("\x82\xA1t\x01\xA1t\x02", "t"));
  BOOST_TEST(is_refused("\x83\xA1u\x01\xA1t\x01\xA1u\x01", "u"));
  BOOST_TEST(is_refused("\x91\x81\xA1x\x82\xA1k\xC0\xD9\x01k\xC0", "k"));  // deep inside, and written in two ways
  BOOST_TEST(document::from_msgpack("\x82\xA1x\x81\xA1y\x01\xA1y\x02").json() == nlohmann::json({{"x", {{"y", 1}}}, {"y", 2}}));
}

BOOST_AUTO_TEST_SUITE_END()
