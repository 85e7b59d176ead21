// The index of listeners against brute force: whatever the whole rules of all listeners say of an event, the index and a look at its candidates say the
// same; over a million random pairs of listener and event, with listeners that come, go, and are taken back.

#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <random>
#include <set>

#include "actors/listener_index.hpp"
#include "actors/undo_log.hpp"

namespace {

using namespace caesura;
using namespace caesura::actors;
using expression::compiled;
using expression::event_scope;
using storage::listener_key;

constexpr std::array texts{"event.data.x == async.data.x",
                           "async.data.y == event.data.x && async.data.x != 1",
                           "async.data.x == 1",
                           "async.data.deep.er.z == event.data.deep.er.z",
                           "event.data.y == 'a' && async.data.x == event.data.x",
                           "async.data.x == [1, 2] && async.data.y == event.data.y",
                           "async.name == 'stop' && event.data.x == async.data.y",
                           "async.data.y in event.data.list",
                           "async.data.x > event.data.y",
                           "event.data.x == async.data.x || async.data.y == 'b'",
                           "async.id == event.data.y",
                           "!has(async.data.x) && event.data.y == async.data.y"};

class arena {
 public:
  explicit arena(std::uint64_t seed) : random_{seed} {
    rules_.emplace_back();  // always true
    for (const auto* text : texts) rules_.push_back(std::get<compiled>(compiled::parse(text, expression::roots::event_and_async)));
    for (int i = 0; i < 80; ++i) documents_.emplace_back(any());
  }

  // One batch: listeners come and go; sometimes all of it is taken back.
  void change() {
    const auto before = listeners_;
    for (auto changes = random_() % 60; changes > 0; --changes) {
      if (random_() % 3 == 0 && !listeners_.empty()) {
        const auto at = random_() % listeners_.size();
        erase(listeners_[at]);
        listeners_.erase(listeners_.begin() + static_cast<std::ptrdiff_t>(at));
      } else {
        insert();
      }
    }
    if (random_() % 4 == 0) {
      undo_.roll_back();
      listeners_ = before;
    }
    undo_.clear();
  }

  // Every listener against one event, by brute force and by the index.
  void compare() {
    const auto& name = names()[random_() % names().size()];
    const auto& data = documents_[random_() % documents_.size()];
    const event_scope incoming{.id = "a", .name = name, .ts = 5, .data = storage::document_view{data.bytes()}};
    std::multiset<run_id> due;
    for (const auto& l : listeners_) {
      ++pairs;
      if (l.name == name && holds(l, incoming)) due.insert(l.run);
    }
    std::multiset<run_id> found;
    std::set<std::pair<run_id, std::uint8_t>> looked_at;
    listener_index::cursor cursor;
    while (!cursor.is_done) {
      for (const auto& run : index_.candidates(name, incoming, 1 + random_() % 7, cursor)) {
        // A candidate is a run: which of its listeners matches, the caller finds out. Here each run has one.
        ++candidates;
        const auto l = std::ranges::find(listeners_, run, &held::run);
        BOOST_REQUIRE((l != listeners_.end()));
        BOOST_REQUIRE(looked_at.emplace(run, l->slot).second);
        if (holds(*l, incoming)) found.insert(run);
      }
    }
    matches += due.size();
    BOOST_REQUIRE_MESSAGE(found == due, "the index finds " << found.size() << " of " << due.size() << " listeners for " << name << " " << data.text());
  }

  std::size_t pairs = 0, matches = 0, candidates = 0;

 private:
  struct held {
    std::string name;
    std::size_t rule;
    std::size_t trigger;
    run_id run;
    std::uint8_t slot;
    listener_key key;
  };

  static const std::vector<std::string>& names() {
    static const std::vector<std::string> all{"stop", "stop/all", "an event whose name is longer than a small string"};
    return all;
  }

  nlohmann::json any() {
    const std::vector<nlohmann::json> values{nullptr, true, false, 0, 1, 1.0, -1, 2.5, "", "a", "b", "1", {1, 2}, {1.0, 2}, {{"k", 1}}, {{"k", 1.0}},
                                             9007199254740993LL, 9007199254740992.0, 18446744073709551615ULL, std::string(130, 'l'), "h\xC3\xA9llo"};
    auto data = nlohmann::json::object();
    for (const auto* key : {"x", "y"}) {
      if (random_() % 5 != 0) data[key] = values[random_() % values.size()];
    }
    if (random_() % 2 == 0) data["deep"]["er"]["z"] = values[random_() % values.size()];
    if (random_() % 2 == 0) data["list"] = nlohmann::json::array({values[random_() % values.size()], "a", 1});
    return data;
  }

  event_scope trigger_of(std::size_t which) const { return {.id = "e", .name = "go", .ts = 3, .data = storage::document_view{documents_[which].bytes()}}; }
  bool holds(const held& l, const event_scope& incoming) const {
    return rules_[l.rule].is_always_true() || rules_[l.rule].matches(trigger_of(l.trigger), &incoming).matches;
  }
  listener entry_of(const held& l) const { return {.event = l.name, .rule = &rules_[l.rule], .key = l.key, .run = l.run, .slot = l.slot}; }

  void insert() {
    held l{.name = names()[random_() % names().size()], .rule = random_() % rules_.size(), .trigger = random_() % documents_.size(),
           .slot = static_cast<std::uint8_t>(random_() % 40)};
    for (auto& byte : l.run.bytes) byte = static_cast<std::uint8_t>(random_());
    l.key = key_of(rules_[l.rule], trigger_of(l.trigger));
    undo_.add([this, l] { index_.erase(entry_of(l)); });
    index_.insert(entry_of(l));
    listeners_.push_back(std::move(l));
  }
  void erase(const held& l) {
    undo_.add([this, l] { index_.insert(entry_of(l)); });
    index_.erase(entry_of(l));
  }

  std::mt19937_64 random_;
  std::vector<compiled> rules_;
  std::vector<document> documents_;
  std::vector<held> listeners_;
  listener_index index_;
  undo_log undo_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(indexes)

BOOST_AUTO_TEST_CASE(the_index_and_brute_force_agree_on_a_million_pairs) {
  const char* const given = std::getenv("CAESURA_TEST_SEED");
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20'261'124ULL;
  arena all{seed};
  while (all.pairs < 1'000'000) {
    all.change();
    for (int i = 0; i < 4; ++i) all.compare();
  }
  BOOST_TEST(all.matches > 20'000U);
  BOOST_TEST(all.candidates < all.pairs / 3, "the index rules out too little");
  BOOST_TEST_MESSAGE("seed " << seed << ": " << all.pairs << " pairs, " << all.matches << " matches, " << all.candidates << " candidates");
}

BOOST_AUTO_TEST_SUITE_END()
