#include "actors/step_job.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <utility>

#include "actors/frame.hpp"

namespace caesura::actors {

namespace {

recorded_error describe(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (...) {
    return describe_current_exception();
  }
}

void run_user_code(step_job& job, step_outcome& outcome, std::size_t result_limit_bytes) {
  try {
    const detail::inside_step mark;
    outcome.result = job.operation->execute(job.attempt, job.stop.get_token());
  } catch (const non_retriable_error&) {
    outcome.error = describe_current_exception();
    outcome.is_final = true;
  } catch (const retry_after& later) {
    outcome.error = describe_current_exception();
    outcome.retry_after = std::clamp<duration>(later.delay(), std::chrono::seconds{1}, std::chrono::hours{24});
  } catch (const error& e) {
    outcome.error = describe_current_exception();
    outcome.is_final = e.code() == errc::step_inside_step;  // however often it is tried
  } catch (const detail::unrecordable& result) {
    outcome.error = describe(result.why);
    outcome.error->message = "the result of step \"" + outcome.step + "\" cannot be recorded: " + outcome.error->message;
    outcome.is_final = true;
  } catch (...) {
    outcome.error = describe_current_exception();
  }
  if (const auto bytes = outcome.result.bytes().size(); bytes > result_limit_bytes) {
    outcome.result = {};
    outcome.error = recorded_error{.name = "caesura::error",
                                   .message = "the result of step \"" + outcome.step + "\" has " + std::to_string(bytes) +
                                              " bytes; the limit is " + std::to_string(result_limit_bytes)};
    outcome.is_final = true;
  }
}

void make_readable(remote::answer& answer) {
  if (answer.error) answer.error = storable(std::move(*answer.error));
  if (answer.failed && answer.failed->error) answer.failed->error = storable(std::move(*answer.failed->error));
  for (auto& step : answer.steps) {
    if (step.error) step.error = storable(std::move(*step.error));
  }
}

}  // namespace

bool begin_step(step_job& job) noexcept { return job.claim() && job.gate->try_pass(); }

void perform_step(step_job& job, time_point started_at, const clock& clock, std::size_t result_limit_bytes) noexcept {
  step_outcome outcome{.step = job.attempt.step, .started_at = started_at};
  run_user_code(job, outcome, result_limit_bytes);
  outcome.ended_at = clock.now();
  job.done(std::move(outcome));
}

namespace {

// A call that is out, and the way back. It leaves the job: if the call is dropped unanswered, what it keeps alive (the run's actor, which keeps the job) goes
// with it.
struct call_out {
  call_out(std::shared_ptr<step_job> made, const clock& when) : job{std::move(made)}, now{when}, started_at{when.now()} {}

  std::shared_ptr<step_job> job;
  const clock& now;
  std::function<void()> ended;
  std::function<void(step_outcome)> done;
  time_point started_at;
  std::atomic_flag is_answered{};

  void take(remote::answer answer) {
    if (is_answered.test_and_set()) return;
    step_outcome outcome{.step = job->attempt.step, .started_at = started_at, .ended_at = now.now()};
    make_readable(answer);
    if (answer.retry_after) answer.retry_after = std::clamp<duration>(*answer.retry_after, std::chrono::seconds{1}, std::chrono::hours{24});
    outcome.answer = std::make_shared<remote::answer>(std::move(answer));
    ended();
    done(std::move(outcome));
  }
};

}  // namespace

void make_call(const std::shared_ptr<step_job>& job, const clock& clock, const std::function<std::function<void()>()>& begin) {
  // What may throw comes before the gate: whoever has passed it owes an outcome.
  const auto out = std::make_shared<call_out>(job, clock);
  out->ended = begin();
  if (!begin_step(*job)) {
    out->ended();
    return;
  }
  out->done = std::move(job->done);
  const auto call = std::move(job->call);
  try {
    job->caller->make(std::move(*call), job->stop.get_token(), [out](remote::answer answer) { out->take(std::move(answer)); });
  } catch (...) {
    out->take({.error = describe_current_exception()});  // unless it has answered
  }
}

void execute(step_job& job, const clock& clock, std::size_t result_limit_bytes) noexcept {
  if (begin_step(job)) perform_step(job, clock.now(), clock, result_limit_bytes);
}

}  // namespace caesura::actors
