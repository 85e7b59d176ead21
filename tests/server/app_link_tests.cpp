// How apps are called.

#include "tests/server/server_world.hpp"

#include <atomic>
#include <mutex>

#include "runtime/server/app_link.hpp"
#include "runtime/server/http/signature.hpp"

namespace {

using namespace server_test;

const std::string key = "signkey-test-00ff";

// Requests as they arrive, for the test to answer.
class held_app {
 public:
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(listener_.port()) + "/api"; }
  std::pair<http::request, http::responder> take() {
    std::unique_lock lock{mutex_};
    if (!has_come_.wait_for(lock, 60s, [&] { return !waiting_.empty(); })) throw std::runtime_error{"no request came for 60 s"};
    auto first = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    return first;
  }

 private:
  std::mutex mutex_;
  std::condition_variable has_come_;
  std::vector<std::pair<http::request, http::responder>> waiting_;
  http::listener listener_{{.port = 0}, [this](http::request&& request, http::responder respond) {
                             const std::lock_guard lock{mutex_};
                             waiting_.emplace_back(std::move(request), std::move(respond));
                             has_come_.notify_one();
                           }};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(app_links)

// An SDK takes a signature for five minutes.
BOOST_AUTO_TEST_CASE(a_call_that_has_waited_for_a_connection_is_signed_anew_as_it_is_written) {
  constexpr std::int64_t begin = 1'700'000'000;
  std::atomic<std::int64_t> now{begin};
  held_app app;
  http::loop loop;
  server::workers workers{1};
  server::app_link link{{.signing_keys = {key}, .client = {.connections_per_origin = 1}, .unix_seconds = [&] { return now.load(); }}, workers, loop};
  std::atomic<int> answered{0};
  const auto is_signed_at = [](const http::request& request, std::int64_t at) {
    return request.headers.get("x-inngest-signature") == http::sign_request(key, request.body, at);
  };
  for (int i = 0; i < 3; ++i) link.ask_to_register(app.url(), [&](const http::outcome&) { ++answered; });
  auto [first, respond_to_first] = app.take();
  BOOST_TEST(is_signed_at(first, begin));
  now = begin + 60;
  respond_to_first(http::response::text(200, ""));
  auto [second, respond_to_second] = app.take();
  BOOST_TEST(is_signed_at(second, begin));  // good for long enough
  now = begin + 1'000;
  respond_to_second(http::response::text(200, ""));
  auto [third, respond_to_third] = app.take();
  BOOST_TEST(is_signed_at(third, begin + 1'000));
  BOOST_TEST(third.headers.size() == first.headers.size());
  respond_to_third(http::response::text(200, ""));
  link.close();
  BOOST_TEST(answered == 3);
}

BOOST_AUTO_TEST_SUITE_END()
