// Question: what does a run of a function in an app cost the server, how long does one alone take, how soon is the server ready, what does it need when
// idle, and how long after a cancel event is a run's end durable when 100 thousand sleep?
//
// Workload: `caesura serve` is a process of its own; the app is a listener in this one, which answers each call with text that is ready. A run of
// two steps is three calls (first step, second step, result) and four commits; N are kept in flight (1, 100). A run counts as done when the app has
// answered its last call; alone, when the server says that it has ended. Then 100,000 runs (or the number given as the second argument) of a function
// that sleeps for a day are started, the server is started again, and a thousand of them are cancelled, each by an event of its own: the answer to the
// event comes after the commit that ends the run. Real syncs.
//
// What matters: the server's processor time a run, which is what it adds to what the app does; on few cores the app and the client take their share of
// the rate.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <sstream>

#include "benchmarks/server_support.hpp"
#include "runtime/server/http/listener.hpp"

namespace {

using namespace caesura::benchmarks;
using nlohmann::json;

constexpr std::size_t alone_runs = 300;
constexpr std::size_t largest_array = 100;
constexpr std::size_t cancelled_runs = 1'000;

// Two functions: two-steps, and sleeper. Steps are told apart by what is memoised, without parsing.
class cheap_app {
 public:
  cheap_app()
      : listener_{{.port = 0, .max_connections = 4'096}, [this](caesura::http::request&& request, const caesura::http::responder& respond) {
                    respond(answer(request));
                  }} {}

  [[nodiscard]] std::string registration() const {
    const auto url = "http://127.0.0.1:" + std::to_string(listener_.port()) + "/api?stepId=step&fnId=";
    const auto function = [&](const std::string& id, const char* event) {
      return json{{"id", id}, {"triggers", {{{"event", event}}}}, {"steps", {{"step", {{"runtime", {{"url", url + id}}}}}}}};
    };
    auto sleeper = function("sleeper", "bench/sleep");
    sleeper["cancel"] = json::array({{{"event", "bench/deleted"}, {"if", "event.data.id == async.data.id"}}});
    return json{{"appName", "bench"}, {"url", url}, {"functions", {function("two-steps", "bench/two.steps"), sleeper}}}.dump();
  }
  [[nodiscard]] std::size_t done() const { return done_; }
  [[nodiscard]] std::size_t asleep() const { return asleep_; }
  // Waits until more than `count` runs of two steps have been answered for the last time.
  void wait_beyond(std::size_t count) {
    std::unique_lock lock{mutex_};
    if (!has_changed_.wait_for(lock, std::chrono::seconds{30}, [&] { return done_ > count; })) throw std::runtime_error{"no run ends"};
  }

 private:
  caesura::http::response answer(const caesura::http::request& request) {
    const auto said = [](int status, const char* text) {
      auto response = caesura::http::response::json(status, text);
      response.headers.add("x-inngest-sdk", "bench");
      return response;
    };
    if (request.target.ends_with("sleeper")) {
      ++asleep_;
      return said(206, R"([{"op":"Sleep","id":"h1","displayName":"rest","name":"24h"}])");
    }
    if (request.body.find(R"("h1":)") == std::string::npos) return said(206, R"([{"op":"StepRun","id":"h1","displayName":"first","data":1}])");
    if (request.body.find(R"("h2":)") == std::string::npos) return said(206, R"([{"op":"StepRun","id":"h2","displayName":"second","data":2}])");
    {
      const std::lock_guard lock{mutex_};
      ++done_;
    }
    has_changed_.notify_all();
    return said(200, "3");
  }

  std::mutex mutex_;
  std::condition_variable has_changed_;
  std::atomic<std::size_t> done_{0};
  std::atomic<std::size_t> asleep_{0};
  caesura::http::listener listener_;
};

std::string bench_event(const char* name, const std::string& id) {
  return std::string{R"({"name":")"}.append(name).append(R"(","data":{"id":")").append(id).append(R"(","userId":"u-4711","text":")").append(80, 'x').append("\"}}");
}

std::string started_run(kept_connection& connection, const std::string& answer) {
  const std::string event = json::parse(answer)["ids"][0];
  return connection.data("/v1/events/" + event + "/runs").at(0).at("run_id");
}

void alone(const served& server, cheap_app& app) {
  kept_connection connection{server.port()};
  std::vector<double> took;
  for (std::size_t i = 0; i < alone_runs; ++i) {
    const auto before = app.done();
    const auto start = steady::now();
    const auto answer = connection.post("/e/bench", bench_event("bench/two.steps", "alone"));
    app.wait_beyond(before);
    const auto path = "/v1/runs/" + started_run(connection, answer);
    while (connection.data(path).at("status") != "Completed") {
    }
    took.push_back(microseconds_since(start));
  }
  row("one two-step run of an app alone, event sent to ended", "p50 " + micros(percentile(took, 0.5)) + ", p99 " + micros(percentile(took, 0.99)),
      "three calls and four commits, one behind the other");
}

void in_flight(const served& server, cheap_app& app, std::size_t wanted) {
  std::atomic<bool> is_over{false};
  std::atomic<std::size_t> sent{app.done()};
  std::thread sender{[&] {
    kept_connection connection{server.port()};
    const auto event = bench_event("bench/two.steps", "many");
    while (!is_over) {
      const auto done = app.done();
      const auto open = sent.load() - done;
      if (open >= wanted) {
        app.wait_beyond(done);
        continue;
      }
      const auto count = std::min(wanted - open, largest_array);
      sent += count;
      (void)connection.post("/e/bench", array_of(event, count));
    }
  }};
  const auto found = measure_rate(server, [&] { return app.done(); });
  is_over = true;
  sender.join();
  while (app.done() < sent) app.wait_beyond(app.done());
  row("two-step runs of an app per second, " + number(wanted) + " in flight", number(found.per_second) + " /s",
      number(found.server_us) + " µs of the server's processor a run (goal with 100 in flight: at most 150 µs)");
}

// Waits until all of them rest; `count` runs.
void make_sleepers(const served& server, const cheap_app& app, std::size_t count) {
  kept_connection connection{server.port()};
  constexpr std::size_t most_behind = 2'000;
  for (std::size_t sent = 0; sent < count;) {
    std::string body{"["};
    const auto part = std::min(largest_array, count - sent);
    for (std::size_t i = 0; i < part; ++i) body.append(i == 0 ? "" : ",").append(bench_event("bench/sleep", "t-" + std::to_string(sent + i)));
    (void)connection.post("/e/bench", body.append("]"));
    sent += part;
    while (sent - app.asleep() > most_behind) std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  const auto start = steady::now();
  while (app.asleep() < count) {
    if (seconds_since(start) > 120) throw std::runtime_error{"only " + std::to_string(app.asleep()) + " runs were called"};
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
  while (!connection.data("/v1/runs?limit=1&function_id=sleeper&if=run.status%20!%3D%20%27sleeping%27").empty()) {
    if (seconds_since(start) > 120) throw std::runtime_error{"not all runs sleep"};
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
}

void cancel_some(const served& server, std::size_t count) {
  kept_connection connection{server.port()};
  std::vector<double> took;
  const auto cancelled = std::min(cancelled_runs, count);
  for (std::size_t i = 0; i < cancelled; ++i) {
    const auto victim = i * 7'919 % count;  // in no order of creation: 7,919 is prime
    const auto request = kept_connection::request("POST", "/e/bench", bench_event("bench/deleted", "t-" + std::to_string(victim)));
    const auto start = steady::now();
    (void)connection.ask(request);
    took.push_back(microseconds_since(start));
  }
  const auto found = connection.data("/v1/runs?limit=1000&function_id=sleeper&if=run.status%20%3D%3D%20%27cancelled%27").size();
  if (found != cancelled) throw std::runtime_error{"only " + std::to_string(found) + " runs are cancelled"};
  row("cancel event sent over HTTP to terminal status durable, " + number(count) + " sleeping runs",
      "p50 " + micros(percentile(took, 0.5)) + ", p99 " + micros(percentile(took, 0.99)), "goal: p50 of at most 3 ms; the disk's sync above");
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t sleeping = argc > 2 ? static_cast<std::size_t>(std::atoi(argv[2])) : 100'000;
  const scratch_directory scratch;
  head("server_runs", scratch.path(), "a two-step function and " + number(sleeping) + " sleeping runs, in an app on the same machine");
  const auto directory = scratch.file("store");
  cheap_app app;
  {
    const served server{directory};
    kept_connection connection{server.port()};
    (void)connection.get("/health");
    row("start to ready, empty directory", number(server.ready_ms()) + " ms", "goal: at most 100 ms");
    row("memory of the idle server", mebibytes(server.memory("VmRSS")), "goal: at most 30 MiB; of it no mapped files: " + mebibytes(server.memory("RssAnon")));
    (void)connection.post("/fn/register", app.registration());
    alone(server, app);
    in_flight(server, app, 1);
    in_flight(server, app, 100);
    make_sleepers(server, app, sleeping);
  }
  const served again{directory};
  row("start to ready, " + number(sleeping) + " sleeping runs", number(again.ready_ms()) + " ms", "files in the page cache");
  row("memory of the server, " + number(sleeping) + " sleeping runs", mebibytes(again.memory("RssAnon")), "with mapped files: " + mebibytes(again.memory("VmRSS")));
  cancel_some(again, sleeping);
}
