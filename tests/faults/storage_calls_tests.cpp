// Every k-th call with which the store's file is written fails: data pages, syncs, meta pages; with EIO, with ENOSPC, half written.

#include <cerrno>
#include <cstdlib>
#include <optional>

#include "tests/faults/file_shim.hpp"
#include "tests/faults/scenario.hpp"

namespace {

using namespace caesura;
using caesura::testing::scenario;
namespace shim = caesura::testing::file_shim;

struct healed {
  ~healed() {
    shim::heal();
    shim::watch({});
  }
};

// One story in which call number `first` and each `every`-th from there fails; returns how many did.
std::uint64_t suffer(const shim::failure& how, bool crashes, duration last = std::chrono::minutes{30}, const std::optional<shim::failure>& also = std::nullopt) {
  const healed afterwards;
  scenario story;
  story.open_again();
  shim::watch(story.directory() + "/caesura.mdb");
  shim::fail(how);
  if (also) shim::fail(*also);
  story.play(last);
  const auto failed = shim::heal();
  if (crashes) {
    story.crash();
    story.open_again();
  }
  story.end();
  story.check();
  return failed;
}

// Each call of the kind in turn fails once, until a story does not come to it; then with a period, so that a story has several failures.
void fail_each(shim::failure how, const char* name) {
  constexpr std::uint64_t period = 23;
  std::uint64_t failed = 0;
  for (const bool crashes : {false, true}) {
    const std::string ending = crashes ? ", then a crash" : "";
    for (how.first = 1, how.every = 0;; ++how.first) {
      BOOST_TEST_INFO_SCOPE(name << ": call " << how.first << ending);
      const auto met = suffer(how, crashes);
      failed += met;
      if (met == 0) break;
    }
    for (how.first = 1, how.every = period; how.first <= period; ++how.first) {
      BOOST_TEST_INFO_SCOPE(name << ": call " << how.first << " and each " << period << "th from there" << ending);
      failed += suffer(how, crashes);
    }
  }
  BOOST_TEST_MESSAGE(name << ": " << failed << " calls failed");
  BOOST_TEST(failed >= 120U);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(storage_calls)

BOOST_AUTO_TEST_CASE(without_a_failure_the_story_is_told_to_its_end) {
  scenario story;
  story.open_again();
  shim::watch(story.directory() + "/caesura.mdb");
  story.play();
  BOOST_TEST(story.refused == 0);
  BOOST_TEST(story.accepted.size() == 7U);
  BOOST_TEST(story.cancels.size() == 1U);
  BOOST_TEST(shim::calls_made(shim::call_kind::data) > 30U);
  BOOST_TEST(shim::calls_made(shim::call_kind::sync) > 30U);
  BOOST_TEST(shim::calls_made(shim::call_kind::meta) > 30U);
  BOOST_TEST_MESSAGE("calls: " << shim::calls_made(shim::call_kind::data) << " data, " << shim::calls_made(shim::call_kind::sync) << " sync, "
                               << shim::calls_made(shim::call_kind::meta) << " meta");
  story.end();
  story.check();
  BOOST_TEST(story.cleanups.size() >= 3U);
  shim::watch({});
}

BOOST_AUTO_TEST_CASE(a_data_page_that_cannot_be_written) { fail_each({.kind = shim::call_kind::data, .code = EIO}, "data, EIO"); }
BOOST_AUTO_TEST_CASE(a_data_page_on_a_full_disk) { fail_each({.kind = shim::call_kind::data, .code = ENOSPC}, "data, ENOSPC"); }
BOOST_AUTO_TEST_CASE(a_data_page_half_written) { fail_each({.kind = shim::call_kind::data, .code = EIO, .is_short = true}, "data, half written"); }
BOOST_AUTO_TEST_CASE(a_sync_that_fails) { fail_each({.kind = shim::call_kind::sync, .code = EIO}, "sync, EIO"); }
BOOST_AUTO_TEST_CASE(a_meta_page_that_cannot_be_written) { fail_each({.kind = shim::call_kind::meta, .code = EIO}, "meta, EIO"); }
BOOST_AUTO_TEST_CASE(a_meta_page_on_a_full_disk) { fail_each({.kind = shim::call_kind::meta, .code = ENOSPC}, "meta, ENOSPC"); }

// A disk that is gone for a while: everything is refused with a clear error, and goes on afterwards.
BOOST_AUTO_TEST_CASE(a_disk_that_fails_for_a_while) {
  for (const auto kind : {shim::call_kind::data, shim::call_kind::sync, shim::call_kind::meta}) {
    for (std::uint64_t first = 1; first < 40; first += 3) {
      BOOST_TEST_CONTEXT("kind " << static_cast<int>(kind) << " from call " << first << " on") {
        BOOST_TEST(suffer({.kind = kind, .first = first, .every = 1, .code = EIO}, false, std::chrono::seconds{5}) > 0U);
      }
    }
  }
}

// A commit fails half way, and what became of it cannot be found out at once: the file cannot be opened anew, or what it has cannot be made durable.
BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_opened_anew_for_a_while) {
  constexpr auto a_while = std::chrono::seconds{5};
  for (const auto& also : {shim::failure{.kind = shim::call_kind::open, .first = 1, .every = 1, .code = EIO},    // until it heals
                           shim::failure{.kind = shim::call_kind::open, .first = 1, .every = 3, .code = EMFILE}}) {  // now and then
    for (const bool crashes : {false, true}) {
      for (std::uint64_t first = 1; first < 40; first += 3) {
        BOOST_TEST_CONTEXT("meta page " << first << (crashes ? ", then a crash" : "")) {
          BOOST_TEST(suffer({.kind = shim::call_kind::meta, .first = first, .code = EIO}, crashes, a_while, also) > 1U);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
