// What is told to those who follow runs, and what becomes of slow ones.

#include <boost/test/unit_test.hpp>

#include "runtime/server/run_feed.hpp"

namespace {

using namespace caesura;
using namespace caesura::server;
using namespace std::chrono_literals;

// A client as far as the feed can tell.
struct fake_client final : http::detail::stream_sink {
  std::string got;
  std::size_t queued = 0;
  bool is_gone = false;
  bool is_closed = false;

  bool write(std::string bytes) override {
    if (is_gone || is_closed) return false;
    got += bytes;
    return true;
  }
  void close() override { is_closed = true; }
  [[nodiscard]] bool is_open() const override { return !is_closed; }
  [[nodiscard]] std::size_t queued_bytes() const override { return queued; }
};

struct feed_world {
  run_feed feed{{.clients = 2, .queued_bytes = 1'000, .heartbeat = 1h}};
  std::shared_ptr<fake_client> follow(feed_filter filter = {}) {
    auto client = std::make_shared<fake_client>();
    feed.add(http::stream{client}, std::move(filter));
    return client;
  }
  const run_id run{{1}};
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_SUITE(run_feeds)

BOOST_FIXTURE_TEST_CASE(a_change_is_told_as_one_event_with_its_number, feed_world) {
  const auto client = follow();
  feed.tell("run.ended", "f", run, {{"status", "Completed"}});
  const auto at = client->got.find("event: ");
  BOOST_REQUIRE(at != std::string::npos);
  BOOST_TEST(client->got.substr(at) == "event: run.ended\nid: 1\ndata: {\"function\":\"f\",\"run_id\":\"" + to_string(run) + "\",\"status\":\"Completed\"}\n\n");
}

BOOST_FIXTURE_TEST_CASE(a_filter_lets_through_what_it_names, feed_world) {
  const auto by_function = follow({.functions = {"f", "g"}});
  const auto by_run = follow({.run = to_string(run_id{{2}})});
  feed.tell("run.ended", "f", run);
  feed.tell("run.ended", "h", run_id{{2}});
  BOOST_TEST(has(by_function->got, "\"f\""));
  BOOST_TEST(!has(by_function->got, "\"h\""));
  BOOST_TEST(!has(by_run->got, "\"f\""));
  BOOST_TEST(has(by_run->got, "\"h\""));
}

BOOST_FIXTURE_TEST_CASE(a_client_that_reads_too_slowly_is_told_so_and_dropped, feed_world) {
  const auto slow = follow();
  const auto quick = follow();
  BOOST_TEST(!feed.has_room());
  slow->queued = 990;
  feed.tell("run.ended", "f", run);
  BOOST_TEST(has(slow->got, ": dropped: more than 1000 bytes"));
  BOOST_TEST(!has(slow->got, "event: "));
  BOOST_TEST(slow->is_closed);
  BOOST_TEST(has(quick->got, "event: "));
  BOOST_TEST(feed.clients() == 1U);
  BOOST_TEST(feed.has_room());
}

BOOST_FIXTURE_TEST_CASE(a_client_that_has_gone_is_forgotten, feed_world) {
  const auto client = follow();
  client->is_gone = true;
  feed.tell("run.ended", "f", run);
  BOOST_TEST(feed.clients() == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_client_that_has_gone_leaves_its_place, feed_world) {
  const auto first = follow();
  const auto second = follow();
  BOOST_TEST(!feed.has_room());
  second->close();  // and nothing is written to it that would fail
  BOOST_TEST(feed.has_room());
  BOOST_TEST(feed.clients() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_closed_feed_ends_its_streams_and_those_that_come_later, feed_world) {
  const auto client = follow();
  feed.close();
  BOOST_TEST(client->is_closed);
  BOOST_TEST(follow()->is_closed);
  feed.tell("run.ended", "f", run);
  BOOST_TEST(feed.clients() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
