// The corpus of each target, then seeded mutations of it: a little fuzzing with every test run. CAESURA_MUTATIONS multiplies them.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include <boost/test/unit_test.hpp>

#include "tests/fuzz/targets.hpp"

namespace {

using input = std::vector<std::uint8_t>;

std::vector<input> corpus_of(const std::string& target) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator{std::string{CAESURA_CORPUS} + "/" + target}) files.push_back(entry.path());
  std::ranges::sort(files);
  std::vector<input> inputs;
  for (const auto& file : files) {
    std::ifstream in{file, std::ios::binary};
    inputs.emplace_back(std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{});
  }
  return inputs;
}

// Changes, inserts, removes or doubles a few bytes, or puts the end of another input behind the beginning of this one.
input mutated(const std::vector<input>& corpus, std::mt19937_64& random) {
  input made = corpus[random() % corpus.size()];
  for (auto changes = 1 + random() % 4; changes > 0; --changes) {
    const auto at = made.empty() ? 0 : static_cast<std::ptrdiff_t>(random() % made.size());
    switch (random() % 5) {
      case 0:
        if (!made.empty()) made[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(random());
        break;
      case 1: made.insert(made.begin() + at, static_cast<std::uint8_t>(random())); break;
      case 2:
        if (!made.empty()) made.erase(made.begin() + at);
        break;
      case 3: {
        const input part(made.begin() + at, made.begin() + at + std::min<std::ptrdiff_t>(std::ssize(made) - at, 8));
        made.insert(made.begin() + at, part.begin(), part.end());
        break;
      }
      default: {
        const auto& other = corpus[random() % corpus.size()];
        made.resize(static_cast<std::size_t>(at));
        if (!other.empty()) made.insert(made.end(), other.begin() + static_cast<std::ptrdiff_t>(random() % other.size()), other.end());
      }
    }
  }
  return made;
}

void play(const std::string& name, void (*target)(caesura::fuzz::bytes), std::size_t mutations) {
  const auto corpus = corpus_of(name);
  BOOST_REQUIRE(corpus.size() >= 5U);
  if (const char* const times = std::getenv("CAESURA_MUTATIONS")) mutations *= std::stoul(times);
  const auto run = [&](const input& bytes, const std::string& which) {
    try {
      target(bytes);
    } catch (const std::exception& e) {
      std::string shown;
      for (const auto byte : bytes) shown += byte >= 0x20 && byte < 0x7F ? std::string(1, static_cast<char>(byte)) : "\\x" + std::to_string(byte) + ";";
      BOOST_ERROR(name << ", " << which << ": " << e.what() << "\n  input: " << shown.substr(0, 2'000));
    }
  };
  for (std::size_t i = 0; i < corpus.size(); ++i) run(corpus[i], "corpus file " + std::to_string(i));
  std::mt19937_64 random{42};
  for (std::size_t i = 0; i < mutations; ++i) run(mutated(corpus, random), "mutation " + std::to_string(i));
  BOOST_TEST_MESSAGE(name << ": " << corpus.size() << " files, " << mutations << " mutations");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(fuzzing)

BOOST_AUTO_TEST_CASE(of_expressions) { play("expression", caesura::fuzz::expression, 40'000); }
BOOST_AUTO_TEST_CASE(of_records) { play("record", caesura::fuzz::record, 40'000); }
BOOST_AUTO_TEST_CASE(of_documents) { play("document", caesura::fuzz::document, 40'000); }
BOOST_AUTO_TEST_CASE(of_sequences_of_calls) { play("calls", caesura::fuzz::calls, 100); }
#ifdef CAESURA_FUZZ_REQUESTS
BOOST_AUTO_TEST_CASE(of_requests) { play("requests", caesura::fuzz::requests, 20'000); }
#endif

BOOST_AUTO_TEST_SUITE_END()
