#include <array>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <optional>
#include <set>
#include <sstream>
#include <thread>

#include <boost/test/unit_test.hpp>

#include <caesura/error.hpp>

#include "runtime/server/http/client.hpp"
#include "runtime/server/http/listener.hpp"
#include "runtime/server/http/url.hpp"
#include "tests/http/sockets.hpp"

using namespace caesura::http;
using namespace std::chrono_literals;
using http_test::await;
using http_test::describe;
using http_test::fetch;
using http_test::has;
using http_test::raw_server;
using http_test::raw_socket;

namespace {

std::string url_of(const listener& http, std::string_view path = "/") {
  return "http://127.0.0.1:" + std::to_string(http.port()) + std::string{path};
}

void echo_target(request&& received, const responder& respond) {
  respond(response::text(200, received.method + " " + received.target + " " + received.body));
}

// The failure of one request to a peer that answers `text` and closes.
std::string outcome_of_answer(std::string_view text, client_options options = {}) {
  const raw_server peer;
  client http{options};
  auto future = http_test::send(http, {.url = peer.url()});
  raw_socket connection = peer.accept();
  connection.read_message();
  connection.send(text);
  connection.close();
  return describe(await(std::move(future)));
}

constexpr std::string_view ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

}  // namespace

BOOST_AUTO_TEST_SUITE(client_requests)

BOOST_AUTO_TEST_CASE(a_request_arrives_whole_and_so_does_its_response) {
  std::promise<request> promise;
  listener server{{.port = 0}, [&](request&& received, const responder& respond) {
                    promise.set_value(std::move(received));
                    respond({.status = 206, .headers = {{"X-Inngest-Sdk", "test"}}, .body = "[]"});
                  }};
  client http;
  const response answer = fetch(
      http, {.method = "PUT", .url = url_of(server, "/api?fnId=a#x"), .headers = {{"X-A", "b"}, {"Host", "other"}}, .body = "{}"});
  const request received = await(promise.get_future());
  BOOST_TEST(received.method == "PUT");
  BOOST_TEST(received.target == "/api?fnId=a");
  BOOST_TEST(received.headers.get("x-a") == "b");
  BOOST_TEST(received.headers.get("host") == "127.0.0.1:" + std::to_string(server.port()));
  BOOST_TEST(received.body == "{}");
  BOOST_TEST(answer.status == 206);
  BOOST_TEST(answer.headers.get("x-inngest-sdk") == "test");
  BOOST_TEST(answer.body == "[]");
}

BOOST_AUTO_TEST_CASE(only_the_named_headers_are_kept_if_some_are_named) {
  listener server{{.port = 0}, [](request&& received, const responder& respond) {
                    if (received.path == "/moved") return respond({.status = 307, .headers = {{"Location", "/to/there"}}});
                    if (received.path == "/") return respond({.status = 404});
                    respond({.status = 200, .headers = {{"X-A", "1"}, {"x-b", "2"}, {"Retry-After", "3"}, {"x-a", "4"}}});
                  }};
  client http;
  static constexpr std::array<std::string_view, 2> named{"x-a", "retry-after"};
  const auto answer = fetch(http, {.url = url_of(server, "/moved"), .kept_headers = named});
  BOOST_TEST(answer.status == 200);
  BOOST_TEST(answer.headers.size() == 3U);
  BOOST_TEST(answer.headers.get("x-a") == "1");
  BOOST_TEST(answer.headers.get("retry-after") == "3");
  BOOST_TEST(fetch(http, {.url = url_of(server, "/to/there")}).headers.get("x-b") == "2");
}

BOOST_AUTO_TEST_CASE(a_connection_is_used_again) {
  listener server{{.port = 0}, echo_target};
  client http;
  for (int i = 0; i < 50; ++i)
    BOOST_TEST(fetch(http, {.url = url_of(server), .body = std::to_string(i)}).body == "POST / " + std::to_string(i));
  BOOST_TEST(server.connections() == 1U);
  BOOST_TEST(fetch(http, {.method = "HEAD", .url = url_of(server)}).body == "");
  BOOST_TEST(fetch(http, {.method = "GET", .url = url_of(server)}).body == "GET / ");
  BOOST_TEST(server.connections() == 1U);
}

BOOST_AUTO_TEST_CASE(an_idle_connection_is_closed_in_time) {
  listener server{{.port = 0}, echo_target};
  client http{{.idle_timeout = 20ms}};
  fetch(http, {.url = url_of(server)});
  while (server.connections() > 0) std::this_thread::yield();
  BOOST_TEST(fetch(http, {.url = url_of(server)}).status == 200);
}

BOOST_AUTO_TEST_CASE(a_hundred_at_once_are_each_answered_from_another_thread) {
  std::mutex mutex;
  std::vector<std::pair<std::string, responder>> waiting;
  std::promise<void> all_are_there;
  listener server{{.port = 0}, [&](request&& received, responder respond) {
                    const std::lock_guard lock{mutex};
                    waiting.emplace_back(received.body, std::move(respond));
                    if (waiting.size() == 100) all_are_there.set_value();
                  }};
  client http;
  std::vector<std::future<outcome>> answers;
  for (int i = 0; i < 100; ++i) answers.push_back(http_test::send(http, {.url = url_of(server), .body = std::to_string(i)}));
  await(all_are_there.get_future());
  std::thread answering{[&] {
    const std::lock_guard lock{mutex};
    for (auto& [body, respond] : waiting) respond(response::text(200, body));
    waiting.clear();
  }};
  for (std::size_t i = 0; i < answers.size(); ++i)
    BOOST_TEST(std::get<response>(await(std::move(answers[i]))).body == std::to_string(i));
  answering.join();
}

BOOST_AUTO_TEST_CASE(a_pause_is_half_of_what_many_slow_calls_take_and_no_longer_than_is_set) {
  BOOST_TEST((pause_with(16, 30ms, 20ms) == 15ms));
  BOOST_TEST((pause_with(16, 40ms, 20ms) == 20ms));
  BOOST_TEST((pause_with(40, 200ms, 20ms) == 20ms));
  BOOST_TEST((pause_with(1'000, 7ms, 20ms) == 0ms));  // too short to be worth it
  BOOST_TEST((pause_with(1'000, 50ms, 0ms) == 0ms));
}

// Whoever sends an event beside slow calls would wait for nothing.
BOOST_AUTO_TEST_CASE(a_pause_that_brings_few_answers_together_is_none) {
  BOOST_TEST((pause_with(15, 40ms, 20ms) == 0ms));  // few calls
  BOOST_TEST((pause_with(39, 200ms, 20ms) == 0ms));
  BOOST_TEST((pause_with(1'000, 10s, 20ms) == 0ms));
  BOOST_TEST((pause_with(2'001, 10s, 20ms) == 20ms));
  BOOST_TEST((pause_with(0, 0ms, 20ms) == 0ms));
}

BOOST_AUTO_TEST_CASE(requests_beyond_the_limit_wait_their_turn) {
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  std::vector<std::thread> threads;
  listener server{{.port = 0}, [&](request&&, responder respond) {
                    most = std::max(most.load(), ++now);
                    threads.emplace_back([&now, respond = std::move(respond)] {
                      --now;
                      respond(response::text(200, "x"));
                    });
                  }};
  {
    client http{{.connections_per_origin = 3}};
    std::vector<std::future<outcome>> answers;
    for (int i = 0; i < 60; ++i) answers.push_back(http_test::send(http, {.url = url_of(server)}));
    for (auto& answer : answers) BOOST_TEST(describe(await(std::move(answer))) == "status 200");
    BOOST_TEST(most <= 3);
    BOOST_TEST(server.connections() == 3U);
  }
  server.stop(0ms);
  for (std::thread& thread : threads) thread.join();
}

BOOST_AUTO_TEST_CASE(a_body_is_taken_up_to_the_limit) {
  std::size_t size = 1000;
  listener server{{.port = 0}, [&](request&&, const responder& respond) { respond(response::text(200, std::string(size, 'x'))); }};
  client http{{.response_bytes = 1000}};
  BOOST_TEST(fetch(http, {.url = url_of(server)}).body.size() == 1000U);
  size = 1001;
  const std::string failed = describe(await(http_test::send(http, {.url = url_of(server, "/a?secret=1")})));
  BOOST_TEST(failed == "too_large: POST " + url_of(server, "/a") + " got a response whose body has more than 1000 bytes");
  BOOST_TEST(has(outcome_of_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7d1\r\n" + std::string(2001, 'x'),
                                   {.response_bytes = 2000}),
                 "too_large: "));
  BOOST_TEST(has(outcome_of_answer("HTTP/1.1 200 OK\r\n\r\n" + std::string(2001, 'x'), {.response_bytes = 2000}), "too_large: "));
  BOOST_TEST(has(outcome_of_answer("HTTP/1.1 200 OK\r\nX: " + std::string(2000, 'x') + "\r\n\r\n", {.header_bytes = 1000}),
                 "too_large: "));
}

BOOST_AUTO_TEST_CASE(large_bodies_go_both_ways) {
  listener server{{.port = 0},
                  [](request&& received, const responder& respond) { respond(response::text(200, std::move(received.body))); }};
  client http{{.response_bytes = 16 * 1024 * 1024}};
  const std::string body(16 * 1024 * 1024, 'y');
  BOOST_TEST((fetch(http, {.url = url_of(server), .body = body}).body == body));
}

BOOST_AUTO_TEST_CASE(an_answer_before_the_whole_body_is_received) {
  listener server{{.port = 0, .body_bytes = 1000}, echo_target};
  client http;
  for (int i = 0; i < 3; ++i) {
    const response answer = fetch(http, {.url = url_of(server), .body = std::string(4 * 1024 * 1024, 'x')});
    BOOST_TEST(answer.status == 413);
  }
}

BOOST_AUTO_TEST_CASE(chunked_interim_and_unbounded_responses_are_read) {
  BOOST_TEST(outcome_of_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n") == "status 200");
  BOOST_TEST(outcome_of_answer("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n") ==
             "status 201");
  BOOST_TEST(outcome_of_answer("HTTP/1.0 200 OK\r\n\r\nuntil the end") == "status 200");
  BOOST_TEST(outcome_of_answer("HTTP/1.1 204 No Content\r\n\r\n") == "status 204");
  BOOST_TEST(outcome_of_answer("HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n") == "status 599");
}

BOOST_AUTO_TEST_CASE(what_frames_the_chunks_of_a_response_is_taken_up_to_the_limit_of_a_header) {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& chunks : {"1;a=" + std::string(200'000, 'a'), "0\r\nX: " + std::string(200'000, 'x'), "1\r\nx\r\n0;a=" + std::string(66'000, 'a')}) {
    const auto failed = outcome_of_answer(head + chunks);
    BOOST_TEST(failed.starts_with("too_large: "), failed);
    BOOST_TEST(has(failed, "what frames the chunks of its body, or its trailer, has more than 65536 bytes"), failed);
  }
  BOOST_TEST(outcome_of_answer(head + "1;a=" + std::string(60'000, 'a') + "\r\nx\r\n0\r\nX: y\r\n\r\n") == "status 200");
}

BOOST_AUTO_TEST_CASE(the_fields_of_a_trailer_are_none_of_the_response) {
  const raw_server peer;
  client http;
  auto future = http_test::send(http, {.url = peer.url()});
  raw_socket connection = peer.accept();
  connection.read_message();
  connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n1\r\nx\r\n0\r\nX-B: 2\r\nLocation: /\r\n\r\n");
  const auto answer = std::get<response>(await(std::move(future)));
  BOOST_TEST(answer.body == "x");
  BOOST_TEST(answer.headers.get("x-a") == "1");
  BOOST_TEST(answer.headers.size() == 2U);
}

BOOST_AUTO_TEST_CASE(what_goes_wrong_has_its_kind) {
  BOOST_TEST(has(outcome_of_answer("nonsense\r\n\r\n"), "malformed: POST http://127.0.0.1:"));
  BOOST_TEST(has(outcome_of_answer("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "malformed: "));
  BOOST_TEST(has(outcome_of_answer(""), "closed: "));
  BOOST_TEST(has(outcome_of_answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), "closed: "));
  BOOST_TEST(has(outcome_of_answer("HTTP/1.1 200"), "closed: "));

  std::uint16_t free_port = 0;
  {
    const raw_server nobody;
    free_port = nobody.port();
  }
  client http;
  BOOST_TEST(has(describe(await(http_test::send(http, {.url = "http://127.0.0.1:" + std::to_string(free_port)}))), "connect: "));
  BOOST_TEST(has(describe(await(http_test::send(http, {.url = "http://localhost:" + std::to_string(free_port)}))), "connect: "));
  BOOST_TEST(has(describe(await(http_test::send(http, {.url = "ftp://a/"}))),
                 "refused_url: POST ftp://a/ was not sent: the URL is refused: its scheme"));
  BOOST_TEST(has(describe(await(http_test::send(http, {.url = "http://a/", .headers = {{"X", "a\nb"}}}))), "refused_url: "));
  BOOST_TEST(has(describe(await(http_test::send(http, {.method = "A B", .url = "http://a/"}))), "refused_url: "));
}

BOOST_AUTO_TEST_CASE(a_response_that_takes_too_long_is_given_up) {
  const raw_server peer;
  client http{{.connections_per_origin = 1}};
  auto first = http_test::send(http, {.url = peer.url(), .timeout = 50ms});
  auto waiting = http_test::send(http, {.url = peer.url(), .timeout = 20ms});
  raw_socket connection = peer.accept();
  BOOST_TEST(has(describe(await(std::move(waiting))), "timeout: "));
  BOOST_TEST(has(describe(await(std::move(first))), "within 50 ms"));
  BOOST_TEST(has(connection.read_to_end(), "POST / HTTP/1.1"));
  auto next = http_test::send(http, {.url = peer.url()});
  raw_socket fresh = peer.accept();
  fresh.read_message();
  fresh.send(ok);
  BOOST_TEST(describe(await(std::move(next))) == "status 200");
}

BOOST_AUTO_TEST_CASE(a_handshake_that_takes_too_long_is_given_up) {
  const raw_server peer;
  client http{{.connect_timeout = 50ms}};
  auto future = http_test::send(http, {.url = "https://127.0.0.1:" + std::to_string(peer.port())});
  raw_socket connection = peer.accept();
  BOOST_TEST(has(describe(await(std::move(future))), "connect: "));
}

BOOST_AUTO_TEST_CASE(a_kept_connection_that_its_peer_closes_is_replaced) {
  const raw_server peer;
  client http;
  auto first = http_test::send(http, {.url = peer.url(), .body = "1"});
  raw_socket old = peer.accept();
  old.read_message();
  old.send(ok);
  BOOST_TEST(describe(await(std::move(first))) == "status 200");
  // Closed with the second request on its way.
  auto second = http_test::send(http, {.url = peer.url(), .body = "2"});
  old.read_message();
  old.close();
  raw_socket fresh = peer.accept();
  BOOST_TEST(fresh.read_message().ends_with("2"));
  fresh.send(ok);
  BOOST_TEST(describe(await(std::move(second))) == "status 200");
  // Closed before the third: it is not even tried there.
  fresh.close();
  auto third = http_test::send(http, {.url = peer.url(), .body = "3"});
  raw_socket newest = peer.accept();
  BOOST_TEST(newest.read_message().ends_with("3"));
  newest.send(ok);
  BOOST_TEST(describe(await(std::move(third))) == "status 200");
}

BOOST_AUTO_TEST_CASE(a_request_is_repeated_once_and_never_after_a_byte_of_its_response) {
  const raw_server peer;
  client http;
  auto first = http_test::send(http, {.url = peer.url()});
  raw_socket old = peer.accept();
  old.read_message();
  old.send(ok);
  await(std::move(first));
  auto second = http_test::send(http, {.url = peer.url()});
  old.read_message();
  old.send("H");
  old.close();
  BOOST_TEST(has(describe(await(std::move(second))), "closed: "));

  auto third = http_test::send(http, {.url = peer.url()});
  raw_socket next = peer.accept();
  next.read_message();
  next.send(ok);
  await(std::move(third));
  auto fourth = http_test::send(http, {.url = peer.url()});
  next.read_message();
  next.reset();
  raw_socket last = peer.accept();
  last.read_message();
  last.close();
  BOOST_TEST(has(describe(await(std::move(fourth))), "closed: "));
}

BOOST_AUTO_TEST_CASE(redirects_on_the_origin_keep_method_and_body) {
  listener server{{.port = 0}, [](request&& received, const responder& respond) {
                    if (received.path == "/end") return echo_target(std::move(received), respond);
                    if (received.path == "/away")
                      return respond({.status = 308, .headers = {{"Location", "http://example.invalid/"}}});
                    const int left = std::stoi(received.path.substr(1));
                    respond({.status = left % 2 == 0 ? 307 : 301,
                             .headers = {{"Location", left == 1 ? "/end?x=1" : std::to_string(left - 1)}}});
                  }};
  client http;
  BOOST_TEST(fetch(http, {.method = "PUT", .url = url_of(server, "/3"), .body = "b"}).body == "PUT /end?x=1 b");
  BOOST_TEST(fetch(http, {.method = "PUT", .url = url_of(server, "/4"), .body = "b"}).status == 301);
  BOOST_TEST(fetch(http, {.url = url_of(server, "/away")}).status == 308);
  BOOST_TEST(server.connections() == 1U);
}

// Of a peer that has gone without a word nothing else tells.
BOOST_AUTO_TEST_CASE(while_a_response_is_waited_for_the_system_asks_whether_the_peer_is_there) {
  const raw_server peer;
  client http;
  const auto answer = http_test::send(http, {.url = peer.url()});
  raw_socket connection = peer.accept();
  connection.read_message();
  // Of each connection: local and remote address, state, queues, and the timer that runs, 02 for the probes.
  char port[5];
  std::snprintf(port, sizeof port, "%04X", std::get<url>(parse_url(peer.url())).port);
  const auto has_probes = [&] {
    std::ifstream table{"/proc/self/net/tcp"};
    for (std::string line; std::getline(table, line);) {
      std::istringstream words{line};
      std::string number, local, remote, state, queues, timer;
      words >> number >> local >> remote >> state >> queues >> timer;
      if (remote.ends_with(std::string{":"} + port) && state == "01" && timer.starts_with("02:")) return true;
    }
    return false;
  };
  // The request's acknowledgement may be on its way still, with a timer of its own.
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  while (!has_probes() && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  BOOST_TEST(has_probes());
}

BOOST_AUTO_TEST_CASE(what_a_peer_said_while_nobody_asked_is_no_answer_to_the_next_request, *boost::unit_test::timeout(60)) {
  const raw_server peer;
  loop events;
  client http{{}, events};
  auto first = http_test::send(http, {.url = peer.url()});
  raw_socket kept = peer.accept();
  kept.read_message();
  kept.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  BOOST_REQUIRE(std::holds_alternative<response>(await(std::move(first))));
  std::promise<outcome> second;
  std::promise<void> is_sent;
  events.post([&] {  // nobody reads what has come until this is over
    kept.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    http.send({.url = peer.url()}, [&](outcome result) { second.set_value(std::move(result)); });
    is_sent.set_value();
  });
  is_sent.get_future().wait();
  raw_socket fresh = peer.accept();
  fresh.read_message();
  fresh.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  BOOST_TEST(std::get<response>(await(second.get_future())).status == 200);
}

BOOST_AUTO_TEST_CASE(a_request_can_be_cancelled) {
  const raw_server peer;
  client http{{.connections_per_origin = 1}};
  std::promise<outcome> first;
  std::promise<outcome> second;
  const auto token = http.send({.url = peer.url()}, [&](outcome result) { first.set_value(std::move(result)); });
  const auto waiting = http.send({.url = peer.url()}, [&](outcome result) { second.set_value(std::move(result)); });
  raw_socket connection = peer.accept();
  connection.read_message();
  http.cancel(waiting);
  BOOST_TEST(has(describe(await(second.get_future())), "closed: "));
  http.cancel(token);
  BOOST_TEST(has(describe(await(first.get_future())), "was cancelled"));
  BOOST_TEST(connection.read_to_end() == "");
  http.cancel(token);
  http.cancel({});
}

BOOST_AUTO_TEST_CASE(destroying_the_client_tells_every_caller) {
  const raw_server peer;
  std::vector<std::future<outcome>> futures;
  {
    client http{{.connections_per_origin = 2}};
    for (int i = 0; i < 5; ++i) futures.push_back(http_test::send(http, {.url = peer.url()}));
    raw_socket connection = peer.accept();
    connection.read_message();
  }
  for (auto& future : futures) BOOST_TEST(has(describe(await(std::move(future))), "closed: "));
}

BOOST_AUTO_TEST_CASE(a_callback_may_send_again) {
  listener server{{.port = 0}, echo_target};
  client http;
  std::promise<std::string> promise;
  http.send({.url = url_of(server), .body = "1"}, [&](outcome) {
    http.send({.url = url_of(server), .body = "2"},
              [&](outcome result) { promise.set_value(std::get<response>(std::move(result)).body); });
  });
  BOOST_TEST(await(promise.get_future()) == "POST / 2");
}

BOOST_AUTO_TEST_CASE(ipv6_addresses_are_called) {
  std::optional<listener> server;
  try {
    server.emplace(listener_options{.host = "::1", .port = 0}, echo_target);
  } catch (const caesura::error& e) {
    BOOST_TEST_MESSAGE("this machine has no IPv6: " << e.what());
    return;
  }
  client http;
  BOOST_TEST(fetch(http, {.url = "http://[::1]:" + std::to_string(server->port()) + "/x"}).body == "POST /x ");
}

BOOST_AUTO_TEST_SUITE_END()
