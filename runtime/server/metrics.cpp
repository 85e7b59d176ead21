#include "runtime/server/metrics.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>

namespace caesura::server {

namespace {

constexpr std::array<double, 12> bounds_s{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30, 300};

constexpr std::array cancel_outcomes{cancel_outcome::cancelled,         cancel_outcome::cancelling,     cancel_outcome::already_cancelled,
                                     cancel_outcome::already_completed, cancel_outcome::already_failed, cancel_outcome::unknown_run};
constexpr std::array open_statuses{run_status::scheduled, run_status::queued,      run_status::running, run_status::sleeping,
                                   run_status::waiting,   run_status::backing_off, run_status::held};
constexpr std::array end_statuses{run_status::completed, run_status::failed, run_status::cancelled, run_status::skipped};

std::string number(double value) {
  std::array<char, 32> text{};
  constexpr double exact = 1e15;  // counts are whole, and to write those is ten times cheaper
  const auto end = value == std::floor(value) && std::abs(value) < exact
                       ? std::to_chars(text.data(), text.data() + text.size(), static_cast<std::int64_t>(value)).ptr
                       : std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::general, 15).ptr;
  return {text.data(), end};
}

// Names, help texts and labels here need no escaping.
class exposition {
 public:
  exposition& family(std::string_view name, std::string_view kind, std::string_view help) {
    name_ = std::string{"caesura_"}.append(name);
    text_.append("# HELP ").append(name_).append(1, ' ').append(help).append("\n# TYPE ").append(name_).append(1, ' ').append(kind).append("\n");
    return *this;
  }
  exposition& sample(double value, std::string_view suffix = {}, std::string_view label = {}, std::string_view label_value = {}) {
    text_.append(name_).append(suffix);
    if (!label.empty()) text_.append("{").append(label).append("=\"").append(label_value).append("\"}");
    text_.append(1, ' ').append(number(value)).append("\n");
    return *this;
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

double as_double(std::uint64_t count) { return static_cast<double>(count); }

}  // namespace

metrics::metrics() : started_at_{std::chrono::system_clock::now()}, began_{std::chrono::steady_clock::now()} {}

void metrics::count_call_end(call_result result, std::chrono::nanoseconds took) noexcept {
  --calls_out_;
  ++calls_[static_cast<std::size_t>(result)];
  const double seconds = std::chrono::duration<double>(took).count();
  ++took_[static_cast<std::size_t>(std::ranges::lower_bound(bounds_s, seconds) - bounds_s.begin())];
  took_ns_ += static_cast<std::uint64_t>(std::max<std::int64_t>(took.count(), 0));
}

std::string metrics::text(const runtime_stats& stats, std::size_t stream_clients) const {
  exposition out;
  out.family("events_accepted_total", "counter", "Events accepted over HTTP.").sample(as_double(accepted_));
  out.family("events_duplicate_total", "counter", "Events that had been accepted before.").sample(as_double(duplicates_));

  out.family("runs_open", "gauge", "Runs that have not ended, by status; of the oldest 100000 at most.");
  for (const auto status : open_statuses) {
    const auto found = stats.open_by_status.find(status);
    out.sample(as_double(found == stats.open_by_status.end() ? 0 : found->second), {}, "status", to_string(status));
  }
  const auto of = [&](run_status status) { return as_double(stats.open_by_status.contains(status) ? stats.open_by_status.at(status) : 0); };
  out.family("runs_open_all", "gauge", "Runs that have not ended.").sample(as_double(stats.open_runs));
  out.family("runs_live", "gauge", "Runs that execute or are about to.").sample(of(run_status::running));
  out.family("runs_queued", "gauge", "Runs that may go on as soon as there is room.").sample(of(run_status::queued));
  out.family("runs_started_total", "counter", "Runs whose app was called for the first time.").sample(as_double(started_));
  out.family("runs_ended_total", "counter", "Runs that have ended, by status.");
  for (const auto status : end_statuses) out.sample(as_double(ended_[static_cast<std::size_t>(status)]), {}, "status", to_string(status));

  out.family("cancel_requests_total", "counter", "Requests to cancel one run, by outcome.");
  for (const auto outcome : cancel_outcomes) out.sample(as_double(cancels_[static_cast<std::size_t>(outcome)]), {}, "outcome", to_string(outcome));

  out.family("calls_out", "gauge", "Calls to apps that are not answered yet.").sample(static_cast<double>(calls_out_.load()));
  out.family("calls_total", "counter", "Calls to apps that have ended.");
  constexpr std::array results{"answered", "failed", "given_up"};
  for (std::size_t i = 0; i < results.size(); ++i) out.sample(as_double(calls_[i]), {}, "result", results[i]);
  out.family("call_duration_seconds", "histogram", "How long calls to apps took.");
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bounds_s.size(); ++i) out.sample(as_double(sum += took_[i]), "_bucket", "le", number(bounds_s[i]));
  sum += took_.back();
  out.sample(as_double(sum), "_bucket", "le", "+Inf").sample(as_double(took_ns_) / 1e9, "_sum").sample(as_double(sum), "_count");

  out.family("http_responses_total", "counter", "Responses of the API, by class of status.");
  for (std::size_t i = 2; i <= 5; ++i) out.sample(as_double(responses_[i]), {}, "status", std::to_string(i) + "xx");
  out.family("stream_clients", "gauge", "Clients that follow the stream of runs.").sample(as_double(stream_clients));
  out.family("waiting_commands", "gauge", "Sends, cancels and the like whose turn has not come.").sample(as_double(stats.waiting_commands));
  out.family("store_bytes", "gauge", "Bytes used in the store's file.").sample(as_double(stats.store_bytes));
  out.family("start_time_seconds", "gauge", "When the server started, in seconds since 1970.")
      .sample(std::chrono::duration<double>(started_at_.time_since_epoch()).count());
  out.family("uptime_seconds", "gauge", "How long the server has run.")
      .sample(std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count());
  return out.take();
}

}  // namespace caesura::server
