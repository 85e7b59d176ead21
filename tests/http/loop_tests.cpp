#include <future>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "runtime/server/http/client.hpp"
#include "runtime/server/http/listener.hpp"
#include "runtime/server/http/loop.hpp"
#include "runtime/server/http/loop_core.hpp"
#include "tests/http/sockets.hpp"

using namespace caesura::http;
using namespace std::chrono_literals;
using http_test::await;
using http_test::describe;
using http_test::fetch;
using http_test::raw_socket;

namespace {

std::string root_of(const listener& http) { return "http://127.0.0.1:" + std::to_string(http.port()) + "/"; }

void answer_thread(request&&, const responder& respond) {
  std::ostringstream text;
  text << std::this_thread::get_id();
  respond(response::text(200, text.str()));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(loops)

BOOST_AUTO_TEST_CASE(what_is_posted_is_executed_in_its_order_and_never_within_the_call) {
  std::vector<int> order;
  {
    loop one;
    one.post([&] {
      one.post([&] { order.push_back(3); });
      order.push_back(1);
    });
    std::promise<void> is_there;
    one.post([&] {
      order.push_back(2);
      is_there.set_value();
    });
    await(is_there.get_future());
  }
  BOOST_TEST(order == (std::vector{1, 2, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(clients_and_listeners_of_one_loop_are_served_by_one_thread) {
  loop shared;
  listener first{{.port = 0}, answer_thread, shared};
  listener second{{.port = 0}, answer_thread, shared};
  client http{{}, shared};
  std::promise<std::thread::id> called_on;
  const auto body = fetch(http, {.url = root_of(first)}).body;
  http.send({.url = root_of(second)}, [&](const outcome& answer) {
    BOOST_TEST(std::get<response>(answer).body == body);
    called_on.set_value(std::this_thread::get_id());
  });
  std::ostringstream text;
  text << await(called_on.get_future());
  BOOST_TEST(body == text.str());
}

BOOST_AUTO_TEST_CASE(a_client_and_a_listener_end_while_their_loop_goes_on) {
  loop shared;
  std::optional<responder> kept;
  std::promise<void> is_asked;
  auto server = std::make_unique<listener>(
      listener_options{.port = 0},
      [&](request&&, responder respond) {
        kept.emplace(std::move(respond));
        is_asked.set_value();
      },
      shared);
  auto http = std::make_unique<client>(client_options{}, shared);
  auto asked = http_test::send(*http, {.url = root_of(*server)});
  await(is_asked.get_future());
  http.reset();
  BOOST_TEST(describe(await(std::move(asked))).find("was given up: the client is destroyed") != std::string::npos);
  server.reset();
  (*kept)(response::text(200, "too late"));  // for nobody
  listener next{{.port = 0}, answer_thread, shared};
  client again{{}, shared};
  BOOST_TEST(fetch(again, {.url = root_of(next)}).status == 200);
}

BOOST_AUTO_TEST_CASE(an_answer_may_come_when_neither_listener_nor_loop_is_there_any_more) {
  std::optional<responder> kept;
  raw_socket peer;
  {
    loop shared;
    std::promise<void> is_asked;
    listener server{{.port = 0},
                    [&](request&&, responder respond) {
                      kept.emplace(std::move(respond));
                      is_asked.set_value();
                    },
                    shared};
    peer.connect(server.port());
    peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await(is_asked.get_future());
  }
  (*kept)(response::text(200, "too late"));
  kept.reset();
  BOOST_TEST(peer.read_to_end().empty());
}

BOOST_AUTO_TEST_CASE(what_is_last_comes_behind_all_that_is_ready) {
  std::vector<int> order;
  std::promise<void> is_through;
  loop one;
  one.post([&] {
    one.post_last([&] {
      order.push_back(3);
      is_through.set_value();
    });
    one.post([&] {
      one.post([&] { order.push_back(2); });
      order.push_back(1);
    });
  });
  await(is_through.get_future());
  BOOST_TEST(order == (std::vector{1, 2, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_thread_with_little_to_do_has_a_low_load_and_a_busy_one_has_not) {
  load_meter load;
  BOOST_TEST(!load.is_low());  // nothing is known
  load.count(1ms, 10ms);
  BOOST_TEST(load.is_low());
  for (int i = 0; i < 20; ++i) load.count(5ms, 10ms);
  BOOST_TEST(!load.is_low());
  load.count(1ms, 1h);  // counts as a second
  BOOST_TEST(load.is_low());
  for (int i = 0; i < 40; ++i) load.count(5ms, 10ms);
  BOOST_TEST(!load.is_low());
}

BOOST_AUTO_TEST_SUITE_END()
