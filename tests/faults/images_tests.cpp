// What a power failure leaves of the file. Every write and sync of a story is logged; then files are made as they could be found afterwards: all that was
// synced, and of what was not yet synced any part, in any order, in sectors of 512 bytes. Each must open, be sound, and hold exactly the state after some
// commit: none older than the last that was acknowledged, none newer than the one under way.
//
// A sector is taken to be written whole or not at all, as SQLite does; LMDB's meta page is 152 bytes at the start of a page, so it is in one sector.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>

#include <caesura/verify.hpp>

#include "storage/codec.hpp"
#include "storage/lmdb.hpp"
#include "tests/faults/file_shim.hpp"
#include "tests/faults/scenario.hpp"

namespace {

using namespace caesura;
using caesura::testing::scenario;
namespace shim = caesura::testing::file_shim;

constexpr std::size_t sector = 512;

std::string bytes_of(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// All tables as LMDB reads them.
std::string state_of(const std::string& file) {
  std::string state;
  const storage::lmdb_environment environment{file, std::size_t{64} << 20, 8};
  const storage::lmdb_transaction tx{environment, storage::access::read};
  for (std::size_t i = 0; i < storage::table_count; ++i) {
    tx.each_from(static_cast<storage::table>(i), {}, [&](std::string_view key, std::string_view value) {
      state += std::to_string(i) + ' ' + std::to_string(key.size()) + ' ' + std::to_string(value.size()) + ' ';
      state += key;
      state += value;
      return true;
    });
  }
  return state;
}

void put(std::string& file, std::uint64_t offset, std::string_view bytes) {
  if (file.size() < offset + bytes.size()) file.resize(offset + bytes.size());
  file.replace(offset, bytes.size(), bytes);
}

// A part of a write that reaches the disk whole or not at all.
struct piece {
  std::uint64_t offset;
  std::string_view bytes;
};
std::vector<piece> sectors_of(const std::vector<shim::call>& writes) {
  std::vector<piece> pieces;
  for (const auto& write : writes) {
    for (std::size_t at = 0; at < write.bytes.size(); at += sector) {
      pieces.push_back({write.offset + at, std::string_view{write.bytes}.substr(at, sector)});
    }
  }
  return pieces;
}

struct recorded_story {
  std::string base;
  std::vector<shim::call> calls;
  std::string end;  // the file as it was in the end
};
recorded_story record() {
  scenario story;
  story.open_again();
  story.settle();
  recorded_story result;
  const auto path = story.directory() + "/caesura.mdb";
  result.base = bytes_of(path);
  shim::watch(path);
  story.play();
  story.end();
  result.calls = shim::take_log();
  result.end = bytes_of(path);
  shim::watch({});
  story.check();
  return result;
}

struct image_checker {
  caesura::testing::temporary_directory directory;
  std::string path = directory.path() + "/store/caesura.mdb";
  std::size_t images = 0, wrong = 0;

  image_checker() { std::filesystem::create_directories(directory.path() + "/store"); }

  // True when the image opens, is sound and holds this state.
  bool holds(const std::string& image, const std::string& state) {
    ++images;
    std::ofstream{path, std::ios::binary | std::ios::trunc}.write(image.data(), static_cast<std::streamsize>(image.size()));
    std::filesystem::remove(path + "-lock");
    try {
      return verify(directory.path() + "/store").is_sound() && state_of(path) == state;
    } catch (const std::exception&) {
      return false;
    }
  }
  // The runtime itself goes on with an image, and all that it holds comes to its end.
  void go_on() {
    scenario next;
    next.options().directory = directory.path() + "/store";
    BOOST_REQUIRE_NO_THROW(next.open_in_place());
    next.end();
    for (const auto& run : next.runtime().list({}, {.limit = 1000}).runs) BOOST_TEST(is_ended(run.status));
  }
};

// Every way in which these unsynced writes may have reached the disk that is tried: none, all, each alone, all but each, each prefix and suffix, and
// random parts.
std::vector<std::vector<bool>> subsets(std::size_t count, std::size_t random_ones, std::mt19937_64& random) {
  std::set<std::vector<bool>> chosen;
  const auto where = [&](auto&& holds) {
    std::vector<bool> subset(count);
    for (std::size_t i = 0; i < count; ++i) subset[i] = holds(i);
    chosen.insert(std::move(subset));
  };
  where([](std::size_t) { return false; });
  where([](std::size_t) { return true; });
  const std::size_t stride = std::max<std::size_t>(count / 12, 1);  // a few places in long lists of sectors
  for (std::size_t at = 0; at < count; at += stride) {
    where([&](std::size_t i) { return i == at; });
    where([&](std::size_t i) { return i != at; });
    where([&](std::size_t i) { return i < at; });
    where([&](std::size_t i) { return i >= at; });
  }
  for (std::size_t n = 0; n < random_ones; ++n) {
    where([&](std::size_t) { return random() % 2 == 0; });
  }
  return {chosen.begin(), chosen.end()};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(images)

BOOST_AUTO_TEST_CASE(every_image_after_a_power_failure_is_a_prefix_of_the_commits) {
  const auto story = record();
  const char* const asked = std::getenv("CAESURA_IMAGES");  // random ones a commit
  const std::size_t random_ones = asked != nullptr ? std::stoul(asked) : 10;
  std::mt19937_64 random{11};
  image_checker checker;

  std::string durable = story.base;
  std::ofstream{checker.path, std::ios::binary | std::ios::trunc}.write(durable.data(), static_cast<std::streamsize>(durable.size()));
  std::string state = state_of(checker.path);
  std::vector<shim::call> unsynced;
  std::size_t commits = 0, went_on = 0;
  for (const auto& call : story.calls) {
    if (call.kind == shim::call_kind::data) {
      unsynced.push_back(call);
      continue;
    }
    // Before the sync returns, and before the meta page is written: the state of the commit before.
    const auto pieces = sectors_of(unsynced);
    for (const auto& subset : subsets(pieces.size(), random_ones, random)) {
      auto image = durable;
      for (std::size_t i = 0; i < pieces.size(); ++i) {
        if (subset[i]) put(image, pieces[i].offset, pieces[i].bytes);
      }
      if (!checker.holds(image, state)) {
        ++checker.wrong;
        BOOST_ERROR("an image before commit " << commits + 1 << " does not hold the state of commit " << commits);
      }
    }
    if (call.kind == shim::call_kind::sync) {
      for (const auto& write : unsynced) put(durable, write.offset, write.bytes);
      unsynced.clear();
      continue;
    }
    put(durable, call.offset, call.bytes);
    ++commits;
    std::ofstream{checker.path, std::ios::binary | std::ios::trunc}.write(durable.data(), static_cast<std::streamsize>(durable.size()));
    std::filesystem::remove(checker.path + "-lock");
    state = state_of(checker.path);
    if (!checker.holds(durable, state)) BOOST_ERROR("commit " << commits << " is not sound");
    checker.go_on();
    ++went_on;
  }
  BOOST_TEST(checker.wrong == 0U);
  BOOST_TEST(commits >= 45U);
  BOOST_TEST(checker.images >= 2'000U);
  BOOST_TEST((durable == story.end), "the log is not the whole story of the file");
  BOOST_TEST_MESSAGE(checker.images << " images over " << commits << " commits; from " << went_on << " the runtime went on");
}

// The test of the test: with a sync that does nothing, images must be found that are no state at all.
BOOST_AUTO_TEST_CASE(a_sync_that_lies_is_found) {
  const auto story = record();
  std::mt19937_64 random{12};
  image_checker checker;
  std::string durable = story.base;
  std::vector<shim::call> since_meta;
  std::size_t broken = 0;
  for (const auto& call : story.calls) {
    if (call.kind == shim::call_kind::data) since_meta.push_back(call);
    if (call.kind != shim::call_kind::meta) continue;
    auto image = durable;
    for (const auto& piece : sectors_of(since_meta)) {
      if (random() % 2 == 0) put(image, piece.offset, piece.bytes);
    }
    put(image, call.offset, call.bytes);
    for (const auto& write : since_meta) put(durable, write.offset, write.bytes);
    put(durable, call.offset, call.bytes);
    since_meta.clear();
    std::ofstream{checker.path, std::ios::binary | std::ios::trunc}.write(image.data(), static_cast<std::streamsize>(image.size()));
    if (!verify(checker.directory.path() + "/store").is_sound()) ++broken;
  }
  BOOST_TEST(broken > 30U);
}

BOOST_AUTO_TEST_SUITE_END()
