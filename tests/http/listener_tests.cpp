#include <sys/resource.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include <boost/test/unit_test.hpp>

#include <caesura/error.hpp>

#include "runtime/server/http/listener.hpp"
#include "tests/http/sockets.hpp"

using namespace caesura::http;
using namespace std::chrono_literals;
using namespace std::string_literals;
using http_test::has;
using http_test::raw_socket;

namespace {

// Answers "METHOD path body".
void echo(request&& received, const responder& respond) {
  respond(response::text(200, received.method + " " + received.path + " " + received.body));
}

listener_options any_port() { return {.port = 0}; }

struct echo_server {
  explicit echo_server(listener_options options = any_port()) : http{std::move(options), echo} {}

  raw_socket connect() const { return raw_socket::to(http.port()); }
  std::string answer_to(std::string_view text) const { return connect().send(text).read_to_end(); }

  listener http;
};

// Requests and responders as they arrive, for the test to answer.
class waiting_room {
 public:
  request_handler handler() {
    return [this](request&&, responder respond) {
      const std::lock_guard lock{mutex_};
      if (next_) {
        next_->set_value(std::move(respond));
        next_.reset();
      } else {
        waiting_.push_back(std::move(respond));
      }
    };
  }
  responder take() {
    std::future<responder> future;
    {
      const std::lock_guard lock{mutex_};
      if (!waiting_.empty()) {
        responder first = std::move(waiting_.front());
        waiting_.erase(waiting_.begin());
        return first;
      }
      future = next_.emplace().get_future();
    }
    return http_test::await(std::move(future));
  }

 private:
  std::mutex mutex_;
  std::vector<responder> waiting_;
  std::optional<std::promise<responder>> next_;
};

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view get_and_close = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

std::string post(std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string{body};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(listening)

BOOST_AUTO_TEST_CASE(a_request_is_handed_over_in_parts) {
  std::promise<request> promise;
  listener http{any_port(), [&](request&& received, const responder& respond) {
                  promise.set_value(std::move(received));
                  respond(response::json(201, "{}"));
                }};
  const std::string answer =
      raw_socket::to(http.port())
          .send("PATCH /a%20b/c?x=1+2&y HTTP/1.1\r\nHost: h\r\nX-A: b\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")
          .read_to_end();
  const request received = http_test::await(promise.get_future());
  BOOST_TEST(received.method == "PATCH");
  BOOST_TEST(received.target == "/a%20b/c?x=1+2&y");
  BOOST_TEST(received.path == "/a b/c");
  BOOST_TEST(received.query.get("x") == "1 2");
  BOOST_TEST(received.headers.get("x-a") == "b");
  BOOST_TEST(received.body == "abc");
  BOOST_TEST(received.is_loopback);
  BOOST_TEST(answer.starts_with("HTTP/1.1 201 Created\r\n"));
  BOOST_TEST(has(answer, "Content-Type: application/json\r\n"));
  BOOST_TEST(has(answer, "Content-Length: 2\r\n"));
  BOOST_TEST(has(answer, "Connection: close\r\n"));
  BOOST_TEST(answer.ends_with("\r\n\r\n{}"));
}

BOOST_AUTO_TEST_CASE(a_connection_is_kept_unless_told_otherwise) {
  const echo_server server;
  raw_socket client = server.connect();
  for (int i = 0; i < 3; ++i) BOOST_TEST(client.send(get).read_message().ends_with("GET / "));
  BOOST_TEST(server.http.connections() == 1U);
  BOOST_TEST(has(client.send(get_and_close).read_to_end(), "Connection: close"));
  BOOST_TEST(has(server.answer_to("GET / HTTP/1.0\r\n\r\n"), "Connection: close"));
  raw_socket old = server.connect();
  BOOST_TEST(has(old.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").read_message(), "Connection: keep-alive"));
  BOOST_TEST(has(old.send("GET / HTTP/1.0\r\n\r\n").read_to_end(), "200 OK"));
}

BOOST_AUTO_TEST_CASE(pipelined_requests_are_answered_in_order) {
  waiting_room room;
  listener http{any_port(), room.handler()};
  raw_socket client = raw_socket::to(http.port());
  client.send(std::string{get} + std::string{get} + std::string{get});
  for (const char* body : {"1", "2", "3"}) {
    room.take()(response::text(200, body));
    BOOST_TEST(client.read_message().ends_with(body));
  }
}

BOOST_AUTO_TEST_CASE(head_is_answered_without_its_body) {
  const echo_server server;
  const std::string answer = server.answer_to("HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  BOOST_TEST(has(answer, "Content-Length: 8\r\n"));
  BOOST_TEST(answer.ends_with("\r\n\r\n"));
}

BOOST_AUTO_TEST_CASE(a_chunked_body_is_put_together) {
  const echo_server server;
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
  BOOST_TEST(
      server.answer_to(head + "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX-Trailer: t\r\n\r\n").ends_with("POST / abc0123456789"));
}

BOOST_AUTO_TEST_CASE(a_client_that_expects_continue_is_told) {
  const echo_server server;
  raw_socket client = server.connect();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  BOOST_TEST(client.read_through("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  BOOST_TEST(client.send("abc").read_message().ends_with("POST / abc"));
}

BOOST_AUTO_TEST_CASE(a_body_is_taken_up_to_its_limit) {
  const echo_server server{{.port = 0, .body_bytes = 1000}};
  BOOST_TEST(has(server.answer_to(post(std::string(1000, 'x'))), "200 OK"));
  const std::string refused = server.answer_to(post(std::string(1001, 'x')));
  BOOST_TEST(has(refused, "413 "));
  BOOST_TEST(has(refused, R"({"error":"the body has more than 1000 bytes","status":413})"));
  const std::string chunked = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n" +
                              std::string(500, 'x') + "\r\n";
  BOOST_TEST(has(server.answer_to(chunked + "1f4\r\n" + std::string(500, 'x') + "\r\n0\r\n\r\n"), "200 OK"));
  BOOST_TEST(has(server.answer_to(chunked + "1f5\r\n" + std::string(501, 'x') + "\r\n0\r\n\r\n"), "413 "));
  const std::string expecting = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n";
  BOOST_TEST(server.answer_to(expecting).starts_with("HTTP/1.1 413 "));
}

BOOST_AUTO_TEST_CASE(a_large_body_goes_both_ways) {
  const echo_server server;
  const std::string body(16 * 1024 * 1024, 'x');
  const std::string answer = server.answer_to(post(body));
  BOOST_TEST(answer.size() > body.size());
  BOOST_TEST(answer.ends_with("xxx"));
}

BOOST_AUTO_TEST_CASE(a_header_is_taken_up_to_its_limit) {
  const echo_server server{{.port = 0, .header_bytes = 1000}};
  const std::string begin = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: ";
  const std::string end = "\r\n\r\n";
  BOOST_TEST(has(server.answer_to(begin + std::string(1000 - begin.size() - end.size(), 'x') + end), "200 OK"));
  const std::string refused = server.answer_to(begin + std::string(1001 - begin.size() - end.size(), 'x') + end);
  BOOST_TEST(has(refused, "431 "));
  BOOST_TEST(has(refused, "1000 bytes"));
  BOOST_TEST(has(server.answer_to("GET /" + std::string(2000, 'x')), "431 "));
}

// Beast limits neither, and would ask for more of them until the buffer is full.
BOOST_AUTO_TEST_CASE(what_frames_chunks_is_taken_up_to_the_limit_of_a_header) {
  const echo_server server;
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string trailers = "X-One: " + std::string(1'000, 'x') + "\r\n";
  for (const std::size_t size : {17'000U, 20'000U, 100'000U, 1'000'000U}) {
    for (const std::string& chunks : {"1;a=" + std::string(size, 'a'), std::string(size, '0'), "1\r\nx\r\n0;a=" + std::string(size, 'a'),
                                      "0\r\nX: " + std::string(size, 'x'), "1\r\nx\r\n0\r\nX: " + std::string(size, 'x')}) {
      const auto answer = server.answer_to(head + chunks);
      BOOST_TEST(answer.starts_with("HTTP/1.1 431 "), size << ": " << chunks.substr(0, 20) << " got " << answer);
      BOOST_TEST(has(answer, "what frames the chunks of the body, or its trailer, has more than 16384 bytes"));
    }
  }
  std::string many = "0\r\n";
  for (int i = 0; i < 20; ++i) many += trailers;
  BOOST_TEST(server.answer_to(head + many).starts_with("HTTP/1.1 431 "));
  BOOST_TEST(has(server.answer_to(head + "1;a=" + std::string(16'000, 'a') + "\r\nx\r\n0\r\n" + trailers + "\r\n"), "200 OK"));
  BOOST_TEST(has(server.answer_to(get_and_close), "200 OK"));
}

BOOST_AUTO_TEST_CASE(chunks_that_come_byte_by_byte_are_put_together) {
  const echo_server server;
  const std::string text = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nX: y\r\n\r\n";
  for (const std::string& whole : {text, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"s}) {
    raw_socket client = server.connect();
    client.send_at_once();
    for (const char c : whole) client.send({&c, 1});
    BOOST_TEST(has(client.read_to_end(), "200 OK"));
  }
}

BOOST_AUTO_TEST_CASE(the_fields_of_a_trailer_are_none_of_the_header) {
  std::promise<request> promise;
  listener http{any_port(), [&](request&& received, const responder& respond) {
                  promise.set_value(std::move(received));
                  respond(response::text(200, "ok"));
                }};
  raw_socket::to(http.port())
      .send("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nAuthorization: Bearer x\r\nHost: b\r\n\r\n")
      .read_to_end();
  const request received = http_test::await(promise.get_future());
  BOOST_TEST(received.body == "x");
  BOOST_TEST((received.headers.find("authorization") == nullptr));
  BOOST_TEST(received.headers.get("host") == "a");
}

BOOST_AUTO_TEST_CASE(what_is_malformed_gets_400) {
  const echo_server server;
  for (const char* text :
       {"\x16\x03\x01\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost a\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?%1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET x HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "GET / HTTX/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n"}) {
    const std::string answer = server.answer_to(text);
    BOOST_TEST(answer.starts_with("HTTP/1.1 400 "), text << " got " << answer);
    BOOST_TEST(has(answer, "\"status\":400"));
  }
  BOOST_TEST(has(server.answer_to("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"), "501 "));
  BOOST_TEST(has(server.answer_to("GET http://a/x?y=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "GET /x "));
}

BOOST_AUTO_TEST_CASE(a_slow_client_is_told_and_closed) {
  const echo_server server{{.port = 0, .header_timeout = 50ms, .body_timeout = 50ms, .idle_timeout = 50ms}};
  BOOST_TEST(has(server.answer_to("GET / HTTP/1.1\r\nHo"), "408 "));
  BOOST_TEST(has(server.answer_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"), "408 "));
  BOOST_TEST(server.answer_to("") == "");
  raw_socket client = server.connect();
  BOOST_TEST(has(client.send(get).read_message(), "200 OK"));
  BOOST_TEST(client.read_to_end() == "");
  raw_socket second = server.connect();
  BOOST_TEST(has(second.send(get).read_message(), "200 OK"));
  BOOST_TEST(has(second.send("GET").read_to_end(), "408 "));
}

BOOST_AUTO_TEST_CASE(a_client_that_drips_gets_no_more_time) {
  const echo_server server{{.port = 0, .header_timeout = 100ms}};
  raw_socket client = server.connect();
  std::atomic<bool> is_over{false};
  std::thread drip{[&] {
    client.send("GET / HTTP/1.1\r\n");
    while (!is_over) client.send("X: y\r\n");
  }};
  const std::string answer = client.read_to_end();
  is_over = true;
  drip.join();
  BOOST_TEST((answer.empty() || has(answer, "408 ") || has(answer, "431 ")), answer);
}

BOOST_AUTO_TEST_CASE(a_client_that_reads_nothing_is_closed) {
  listener http{{.port = 0, .write_timeout = 50ms},
                [](request&&, const responder& respond) { respond(response::text(200, std::string(32'000'000, 'x'))); }};
  raw_socket client = raw_socket::to(http.port());
  client.send(get).read_through("\r\n");
  const auto begin = std::chrono::steady_clock::now();
  http.stop(60s);
  BOOST_TEST((std::chrono::steady_clock::now() - begin < 30s));
}

BOOST_AUTO_TEST_CASE(a_request_without_an_answer_gets_500) {
  listener http{any_port(), [](request&& received, responder) {
                  if (received.path == "/throw") throw std::runtime_error{"out of luck"};
                }};
  raw_socket client = raw_socket::to(http.port());
  BOOST_TEST(has(client.send(get).read_message(), "500 "));
  BOOST_TEST(has(client.send("GET /throw HTTP/1.1\r\nHost: a\r\n\r\n").read_message(), "out of luck"));
  BOOST_TEST(has(client.send(get).read_message(), "was not answered"));
}

BOOST_AUTO_TEST_CASE(only_the_first_answer_counts) {
  std::promise<bool> promise;
  listener http{any_port(), [&](request&&, const responder& respond) {
                  respond(response::text(200, "first"));
                  respond(response::text(200, "second"));
                  promise.set_value(respond.start_stream(200, {}).write("third"));
                }};
  const std::string answer = raw_socket::to(http.port()).send(get_and_close).read_to_end();
  BOOST_TEST(answer.ends_with("first"));
  BOOST_TEST(!http_test::await(promise.get_future()));
}

BOOST_AUTO_TEST_CASE(an_answer_comes_from_any_thread) {
  std::vector<std::thread> threads;
  {
    listener http{any_port(), [&](request&&, responder respond) {
                    threads.emplace_back([respond = std::move(respond)] { respond(response::text(200, "later")); });
                  }};
    raw_socket client = raw_socket::to(http.port());
    for (int i = 0; i < 20; ++i) BOOST_TEST(client.send(get).read_message().ends_with("later"));
  }
  for (std::thread& thread : threads) thread.join();
}

BOOST_AUTO_TEST_CASE(an_answer_after_client_or_listener_have_gone_is_harmless) {
  waiting_room room;
  std::optional<responder> kept;
  std::optional<responder> answered_late;
  std::optional<stream> late_stream;
  {
    listener http{any_port(), room.handler()};
    raw_socket client = raw_socket::to(http.port());
    client.send(get);
    const responder respond = room.take();
    client.reset();
    respond(response::text(200, std::string(1'000'000, 'x')));
    raw_socket other = raw_socket::to(http.port());
    other.send(get);
    kept = room.take();
    raw_socket third = raw_socket::to(http.port());
    third.send(get);
    answered_late = room.take();
    raw_socket fourth = raw_socket::to(http.port());
    fourth.send(get);
    late_stream = room.take().start_stream(200, {});
  }
  (*answered_late)(response::text(200, "nobody listens"));
  BOOST_TEST(!kept->start_stream(200, {}).write("x"));
  BOOST_TEST(!late_stream->write("x"));
}

BOOST_AUTO_TEST_CASE(a_header_with_a_line_break_is_never_sent) {
  listener http{any_port(), [](request&&, const responder& respond) {
                  respond({.status = 200, .headers = {{"X", "a\r\nSet-Cookie: b"}}});
                }};
  const std::string answer = raw_socket::to(http.port()).send(get_and_close).read_to_end();
  BOOST_TEST(has(answer, "500 "));
  BOOST_TEST(!has(answer, "Set-Cookie"));
}

BOOST_AUTO_TEST_CASE(framing_is_the_listeners_and_extra_headers_are_everywhere) {
  listener http{{.port = 0, .extra_headers = {{"X-Server", "caesura"}}}, [](request&&, const responder& respond) {
                  respond({.status = 200, .headers = {{"content-length", "7"}, {"Transfer-Encoding", "chunked"}}, .body = "ab"});
                }};
  const std::string answer = raw_socket::to(http.port()).send(get_and_close).read_to_end();
  BOOST_TEST(has(answer, "Content-Length: 2\r\n"));
  BOOST_TEST(!has(answer, "chunked"));
  BOOST_TEST(has(answer, "X-Server: caesura\r\n"));
  BOOST_TEST(has(raw_socket::to(http.port()).send("nonsense\r\n\r\n").read_to_end(), "X-Server: caesura\r\n"));
}

BOOST_AUTO_TEST_CASE(a_connection_too_many_is_told) {
  const echo_server server{{.port = 0, .max_connections = 2}};
  raw_socket first = server.connect();
  raw_socket second = server.connect();
  BOOST_TEST(has(first.send(get).read_message(), "200 OK"));
  BOOST_TEST(has(second.send(get).read_message(), "200 OK"));
  const std::string refused = server.answer_to(get);
  BOOST_TEST(has(refused, "503 "));
  BOOST_TEST(has(refused, "more than 2 connections"));
  BOOST_TEST(has(second.send(get_and_close).read_to_end(), "200 OK"));
  second.close();
  while (server.http.connections() > 1) std::this_thread::yield();
  BOOST_TEST(has(server.answer_to(get_and_close), "200 OK"));
}

BOOST_AUTO_TEST_CASE(a_lack_of_descriptors_is_survived) {
  const echo_server server;
  raw_socket client;
  rlimit before{};
  BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  client.connect(server.http.port());
  client.send(get);
  // Accepting fails now: nothing comes for as long as this waits.
  const timeval patience{0, 120'000};
  ::setsockopt(client.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  char byte = 0;
  BOOST_TEST(::recv(client.descriptor(), &byte, 1, MSG_PEEK) < 0);
  const timeval usual{30, 0};
  ::setsockopt(client.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &usual, sizeof usual);
  BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  BOOST_TEST(has(client.read_message(), "200 OK"));
}

BOOST_AUTO_TEST_CASE(it_names_what_it_cannot_listen_on) {
  const echo_server server;
  try {
    const echo_server again{{.port = server.http.port()}};
    BOOST_TEST(false);
  } catch (const caesura::error& e) {
    BOOST_TEST(has(e.what(), "127.0.0.1 port " + std::to_string(server.http.port())));
  }
  BOOST_CHECK_THROW(echo_server({.host = "203.0.113.7", .port = 0}), caesura::error);
  BOOST_CHECK_THROW(echo_server({.host = "no such host", .port = 0}), caesura::error);
}

BOOST_AUTO_TEST_CASE(stopping_lets_a_request_under_way_have_its_answer) {
  waiting_room room;
  listener http{any_port(), room.handler()};
  raw_socket idle = raw_socket::to(http.port());
  raw_socket busy = raw_socket::to(http.port());
  busy.send(get);
  const responder respond = room.take();
  std::thread stopping{[&] { http.stop(60s); }};
  BOOST_TEST(idle.read_to_end() == "");  // so it is stopping
  respond(response::text(200, "done"));
  const std::string answer = busy.read_to_end();
  stopping.join();
  BOOST_TEST(answer.ends_with("done"));
  BOOST_TEST(has(answer, "Connection: close"));
  BOOST_TEST(http.connections() == 0U);
  BOOST_CHECK_THROW(raw_socket::to(http.port()), std::runtime_error);
  http.stop(60s);
}

BOOST_AUTO_TEST_CASE(stopping_waits_no_longer_than_told) {
  waiting_room room;
  listener http{any_port(), room.handler()};
  raw_socket client = raw_socket::to(http.port());
  client.send(get);
  const responder respond = room.take();
  http.stop(10ms);
  BOOST_TEST(client.read_to_end() == "");
  respond(response::text(200, "too late"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(streaming)

BOOST_AUTO_TEST_CASE(pieces_arrive_as_they_are_written) {
  waiting_room room;
  listener http{any_port(), room.handler()};
  raw_socket client = raw_socket::to(http.port());
  client.send(get);
  stream events = room.take().start_stream(200, {{"Content-Type", "text/event-stream"}});
  const std::string head = client.read_through("\r\n\r\n");
  BOOST_TEST(has(head, "200 OK"));
  BOOST_TEST(has(head, "Transfer-Encoding: chunked"));
  BOOST_TEST(has(head, "text/event-stream"));
  BOOST_TEST(events.write("data: 1\n\n"));
  BOOST_TEST(client.read_through("1\n\n\r\n") == "9\r\ndata: 1\n\n\r\n");
  BOOST_TEST(events.write(""));
  BOOST_TEST(events.write(std::string(20, 'x')));
  BOOST_TEST(events.is_open());
  events.close();
  BOOST_TEST(!events.is_open());
  BOOST_TEST(!events.write("y"));
  BOOST_TEST(client.read_to_end() == "14\r\n" + std::string(20, 'x') + "\r\n0\r\n\r\n");
}

BOOST_AUTO_TEST_CASE(the_last_copy_closes_it) {
  waiting_room room;
  listener http{any_port(), room.handler()};
  raw_socket client = raw_socket::to(http.port());
  client.send(get);
  std::optional<stream> first = room.take().start_stream(200, {});
  std::optional<stream> second = first;
  first.reset();
  BOOST_TEST(second->write("x"));
  second.reset();
  BOOST_TEST(client.read_to_end().ends_with("1\r\nx\r\n0\r\n\r\n"));
}

BOOST_AUTO_TEST_CASE(to_http_1_0_it_is_the_bytes_until_the_end) {
  waiting_room room;
  listener http{any_port(), room.handler()};
  raw_socket client = raw_socket::to(http.port());
  client.send("GET / HTTP/1.0\r\n\r\n");
  stream events = room.take().start_stream(200, {});
  events.write("abc");
  events.close();
  BOOST_TEST(client.read_to_end().ends_with("\r\n\r\nabc"));
}

BOOST_AUTO_TEST_CASE(to_head_it_is_over_from_the_start) {
  waiting_room room;
  listener http{any_port(), room.handler()};
  raw_socket client = raw_socket::to(http.port());
  client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  stream events = room.take().start_stream(200, {});
  BOOST_TEST(!events.write("x"));
  BOOST_TEST(has(client.read_through("\r\n\r\n"), "200 OK"));
}

BOOST_AUTO_TEST_CASE(a_writer_learns_that_its_client_has_gone) {
  waiting_room room;
  listener http{any_port(), room.handler()};
  raw_socket client = raw_socket::to(http.port());
  client.send(get);
  stream events = room.take().start_stream(200, {});
  client.read_through("\r\n\r\n");
  client.close();
  while (events.is_open()) std::this_thread::yield();
  BOOST_TEST(!events.write("x"));
}

BOOST_AUTO_TEST_CASE(a_client_that_reads_too_slowly_is_cut) {
  waiting_room room;
  listener http{{.port = 0, .stream_bytes = 100'000}, room.handler()};
  raw_socket client;
  client.keep_receive_buffer_small();
  client.connect(http.port());
  client.send(get);
  stream events = room.take().start_stream(200, {});
  std::size_t written = 0;
  while (events.write(std::string(50'000, 'x'))) ++written;
  BOOST_TEST(written >= 1U);
  BOOST_TEST(!events.write("y"));
  BOOST_TEST(!client.read_to_end().ends_with("0\r\n\r\n"));
}

BOOST_AUTO_TEST_CASE(stopping_ends_it_behind_what_is_queued) {
  waiting_room room;
  listener http{any_port(), room.handler()};
  raw_socket client = raw_socket::to(http.port());
  client.send(get);
  stream events = room.take().start_stream(200, {});
  BOOST_TEST(events.write("last"));
  std::thread stopping{[&] { http.stop(60s); }};
  BOOST_TEST(client.read_to_end().ends_with("last\r\n0\r\n\r\n"));
  client.close();
  stopping.join();
  BOOST_TEST(!events.write("x"));
}

BOOST_AUTO_TEST_CASE(many_threads_may_write) {
  waiting_room room;
  listener http{{.port = 0, .stream_bytes = 10'000'000}, room.handler()};
  raw_socket client = raw_socket::to(http.port());
  client.send(get);
  stream events = room.take().start_stream(200, {});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([events]() mutable {
      for (int k = 0; k < 500; ++k) events.write("0123456789");
    });
  }
  for (std::thread& thread : threads) thread.join();
  events.close();
  client.read_through("\r\n\r\n");
  std::string expected;
  for (int i = 0; i < 2000; ++i) expected += "a\r\n0123456789\r\n";
  BOOST_TEST((client.read_to_end() == expected + "0\r\n\r\n"));
}

BOOST_AUTO_TEST_SUITE_END()
