#include "actors/run_driver.hpp"

#include <algorithm>
#include <utility>

namespace caesura::actors {

operation_request run_driver::request_of(const detail::operation& op) const {
  const auto& terms = op.terms();
  operation_request request{.kind = op.kind, .step = op.id, .delay = terms.delay, .until = terms.until};
  if (op.kind == step_kind::wait_for_event) {
    request.event = terms.event_name;
    request.when = terms.when;
    request.look_back = terms.look_back;
    request.conflict = terms.conflict;
  } else if (op.kind == step_kind::send_event) {
    request.to_send = terms.to_send;
  } else if (op.kind == step_kind::invoke) {
    request.function = terms.function;
    request.data = terms.data;
    request.user = terms.user;
    request.version = terms.version;
    request.on_parent_cancel = terms.on_parent_cancel;
  }
  if (remote_ != nullptr) remote_->complete(request);
  return request;
}

duration retry_delay(const retry_policy& policy, std::uint32_t failed_attempts, const run_id& run, std::string_view step) {
  if (policy.delays.empty()) return duration{0};
  const auto place = std::min<std::size_t>(failed_attempts - 1, policy.delays.size() - 1);
  duration jitter{0};
  if (policy.jitter > duration{0}) {
    const auto seed = to_string(run) + '/' + std::string{step} + '/' + std::to_string(failed_attempts);
    jitter = duration{static_cast<duration::rep>(storage::hash_text(seed) % static_cast<std::uint64_t>(policy.jitter.count() + 1))};
  }
  return policy.delays[place] + jitter;
}

run_driver::run_driver(activate order, std::shared_ptr<start_gate> gate, const registered_function& fn, const limits& limits,
                       ports ports)
    : order_{std::move(order)}, gate_{std::move(gate)}, fn_{fn}, limits_{limits}, ports_{std::move(ports)} {
  for (const auto& pending : order_.record->pending) {
    if (pending.failed_attempts > 0) failed_attempts_.emplace(pending.step, pending.failed_attempts);
    if (pending.kind == step_kind::run && pending.due) backing_off_.insert(pending.step);
  }
}

std::uint32_t run_driver::in_flight() const noexcept {
  return (ending_ == ending::none ? handed_ - withdrawn_ : gate_->passed()) - returned_;
}

advance_run run_driver::report(next_kind next) const {
  return {.run = order_.run, .activation = order_.activation, .next = next, .in_flight = in_flight()};
}

void run_driver::begin(std::vector<event> triggers, std::vector<step_info> rows) {
  if (is_done_ || ending_ != ending::none) return;  // cancelled before it began
  const auto& record = *order_.record;
  const auto begun = record.started_at.value_or(record.created_at);
  if (fn_.code.remote) {
    auto made = std::make_unique<remote_frame>(order_.run, fn_.code.id, std::move(triggers), begun, std::move(rows), record,
                                               limits_.step_result_bytes);
    remote_ = made.get();
    frame_ = std::move(made);
  } else {
    frame_ = std::make_unique<coroutine_frame>(fn_.code.body, order_.run, std::move(triggers), begun, std::move(rows));
  }
  frame_->start();
  go_on(report(next_kind::operations));
}

// The body has run as far as it could: says what comes next, together with the results that `message` brings.
void run_driver::go_on(advance_run message) {
  switch (frame_->state()) {
    case frame_state::completed:
      message.next = next_kind::completed;
      message.output = frame_->output();
      break;
    case frame_state::failed:
      message.next = next_kind::failed;
      message.error = frame_->error();
      message.output = frame_->output();
      break;
    case frame_state::held:
      message.next = next_kind::held;
      message.held_because = frame_->held_because();
      break;
    case frame_state::suspended:
      begin_pending(std::move(message));
      return;
  }
  message.in_flight = in_flight();
  if (message.in_flight == 0) finish();  // else this is said again, in case that a cancel came first: then what executes still is recorded, too
  ports_.to_router(std::move(message));
}

void run_driver::begin_pending(advance_run message) {
  if (std::exchange(is_first_, false)) {
    if (auto rows = interrupted_rows(); !rows.empty()) {
      give_up(std::move(rows), std::move(message));
      return;
    }
    if (message.rows.empty() && starts_first()) {
      bool starts = false;
      for (auto* op : frame_->pending()) {
        if (!is_due(*op)) continue;
        start(*op);
        starts = true;
      }
      if (!starts) ports_.to_router(report(next_kind::executing));  // all of them back off: the run rests until then
      return;
    }
  }
  message.next = next_kind::operations;
  message.is_any = frame_->is_any();
  message.goes_on_at_first = remote_ != nullptr && remote_->goes_on_at_first();
  message.rows_seen = frame_->row_count();
  for (auto* op : frame_->pending()) {
    if (op->is_finished) continue;
    message.operations.push_back(request_of(*op));
    if (op->kind == step_kind::run && is_due(*op) && !jobs_.contains(op->id)) message.jobs.push_back(job_for(*op));
  }
  handed_ += static_cast<std::uint32_t>(message.jobs.size());
  ports_.to_router(std::move(message));
}

// Steps that stand behind nothing but durable records start at once: no sleep, wait or send is to be recorded first, and the record
// keeps nothing that the body no longer asks for.
bool run_driver::starts_first() const {
  const auto& pending = frame_->pending();
  const auto more = static_cast<std::size_t>(std::ranges::count_if(pending, [](const auto* op) { return !remote_frame::is_call(op->id); }));
  if (order_.record->step_count + more > limits_.steps_per_run) return false;  // the router knows whether that is too many
  const bool only_steps = std::ranges::all_of(pending, [](const auto* op) { return op->kind == step_kind::run; });
  return only_steps && std::ranges::all_of(order_.record->pending, [&](const storage::pending_record& p) {
           return p.kind == step_kind::run && frame_->find_pending(p.step) != nullptr;
         });
}

// What is due, if the process has ended so often while it executed that it is not tried again.
std::vector<step_info> run_driver::interrupted_rows() const {
  std::vector<step_info> rows;
  const auto times = order_.record->interruptions;
  if (remote_ != nullptr || times <= limits_.interruptions) return rows;
  for (const auto* op : frame_->pending()) {
    if (op->kind != step_kind::run || !is_due(*op)) continue;
    rows.push_back({.id = op->id,
                    .error = recorded_error{.name = step_interrupted,
                                            .message = "the process ended " + std::to_string(times) + " times while this step executed"},
                    .attempts = times,
                    .started_at = frame_->last_time(),
                    .ended_at = frame_->last_time()});
  }
  return rows;
}

void run_driver::give_up(std::vector<step_info> rows, advance_run message) {
  message.rows.insert(message.rows.end(), rows.begin(), rows.end());
  if (is_mixed_any()) {  // the router knows what was first
    message.next = next_kind::executing;
    message.wants_rows = true;
    ports_.to_router(std::move(message));
    return;
  }
  for (auto& row : rows) frame_->add(std::move(row));
  (void)resume_if_ready();
  go_on(std::move(message));
}

// False for a step that backs off: its timer starts it.
bool run_driver::is_due(const detail::operation& op) const {
  return !backing_off_.contains(op.id);
}

std::shared_ptr<step_job> run_driver::job_for(detail::operation& op) {
  auto job = std::make_shared<step_job>();
  job->gate = gate_;
  job->operation = &op;
  job->attempt = {.run = order_.run, .step = op.id, .attempt = attempt_of(op)};
  if (remote_ != nullptr) {
    job->caller = fn_.code.remote;
    job->call = std::make_unique<remote::call>(remote_->call_for(op));
    job->call->attempt = job->attempt.attempt;
    job->call->attempts = std::min(fn_.code.retries.retries, limits_.retries) + 1;
    job->call->activation = order_.activation;
  }
  ports_.bind(*job);
  jobs_.insert_or_assign(op.id, job);
  return job;
}

// An `any` whose first record may come from elsewhere than a step: the router's order decides, not the order in which this actor hears.
bool run_driver::is_mixed_any() const {
  return frame_->is_any() && std::ranges::any_of(frame_->pending(), [](const auto* op) { return op->kind != step_kind::run; });
}

// The body waits for no more of them: what has not started never will, what executes is asked to stop.
void run_driver::withdraw_losers() {
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    if (job->second->claim()) {
      ++withdrawn_;
      job = jobs_.erase(job);
    } else {
      job->second->stop.request_stop();
      ++job;
    }
  }
}

// True when the body has gone on to its next suspension or end.
bool run_driver::resume_if_ready() {
  if (!frame_->is_ready()) return false;
  if (frame_->is_any()) {
    withdraw_losers();
    if (in_flight() > 0) return false;  // a loser's closure refers to the frame
  }
  is_first_ = false;
  if (remote_ == nullptr) {
    failed_attempts_.clear();
    backing_off_.clear();
  }
  frame_->resume();
  return true;
}

void run_driver::request_stop() {
  for (const auto& [step, job] : jobs_) job->stop.request_stop();
}

void run_driver::start(detail::operation& op) {
  ++handed_;
  ports_.start(job_for(op));
}

std::variant<storage::step_record, failed_attempt> run_driver::judge(const detail::operation& op, step_outcome&& outcome) {
  const auto attempts = attempt_of(op);
  const auto& own = op.terms().retries;
  const retry_policy& policy = own ? *own : fn_.code.retries;
  if (outcome.error && !outcome.is_final && may_try_again(policy, attempts)) {
    failed_attempts_[op.id] = attempts;
    backing_off_.insert(op.id);
    return failed_attempt{.step = op.id,
                          .failed_attempts = attempts,
                          .error = std::move(*outcome.error),
                          .started_at = outcome.started_at,
                          .ended_at = outcome.ended_at,
                          .retry_in = outcome.retry_after.value_or(retry_delay(policy, attempts, order_.run, op.id))};
  }
  return storage::step_record{.id = op.id,
                              .result = std::move(outcome.result),
                              .error = std::move(outcome.error),
                              .attempts = attempts,
                              .started_at = outcome.started_at,
                              .ended_at = outcome.ended_at};
}

std::uint32_t run_driver::attempt_of(const detail::operation& op) const {
  const auto failed = failed_attempts_.find(op.id);
  return failed == failed_attempts_.end() ? 1 : failed->second + 1;
}

bool run_driver::may_try_again(const retry_policy& policy, std::uint32_t attempts) const {
  return attempts <= std::min(policy.retries, limits_.retries);
}

// A call is over: what was executed during it is recorded whatever else it came to.
void run_driver::take_answer(step_outcome&& outcome) {
  auto& answer = *outcome.answer;
  auto* const op = frame_->find_pending(outcome.step);
  const auto attempts = op == nullptr ? 1 : attempt_of(*op);
  const bool is_known = op == nullptr || op->is_finished;
  const bool is_asking = !is_known && remote_->asks(*op);
  auto message = report(next_kind::executing);
  message.rows_known = frame_->row_count();
  message.rows = remote_->rows_of(std::move(answer.steps), attempts, outcome.started_at, outcome.ended_at);
  if (answer.is_given_up || (answer.is_stale && ending_ != ending::none)) {
    if (ending_ == ending::none) ending_ = ending::left;
    gate_->close();
    send_ending(std::move(message));
    return;
  }
  for (const auto& row : message.rows) frame_->add(row);
  if (is_known) {  // the step was recorded by another call or a checkpoint meanwhile: what became of it is known
    go_on_after_answer(false, std::move(message));
    return;
  }
  if (answer.failed) answer.error = answer.failed->error;
  if (answer.error && !answer.is_final && may_try_again(fn_.code.retries, attempts)) {
    fail_attempt(*op, std::move(outcome), attempts, message);
  } else if (answer.error && (answer.failed || !is_asking)) {
    if (!answer.failed) answer.failed = {.id = op->id, .result = std::move(answer.error_details), .error = answer.error};
    answer.error.reset();
    for (auto& row : remote_->rows_of({std::move(*answer.failed)}, attempts, outcome.started_at, outcome.ended_at)) {
      frame_->add(row);
      message.rows.push_back(std::move(row));
    }
  } else if (answer.error) {
    remote_->fail(std::move(*answer.error), std::move(answer.error_details));
  }
  if (frame_->state() == frame_state::suspended && message.failures.empty() && !answer.error) {
    // A planned step that the code does not come to any more is answered with the end of the function.
    auto wrong = is_asking || answer.is_completed ? remote_->take(answer, !message.rows.empty())
                           : op->is_finished ? std::nullopt : std::optional<std::string>{"the answer does not say what became of the planned step"};
    if (wrong) {
      take_back_answer(*op, std::move(outcome), std::move(*wrong), std::move(message));
      return;
    }
  }
  const bool is_answered = is_asking && message.failures.empty();
  go_on_after_answer(is_answered, std::move(message));
}

// An answer that makes no sense counts as a failed attempt.
void run_driver::take_back_answer(detail::operation& op, step_outcome&& outcome, std::string why, advance_run message) {
  const auto attempts = attempt_of(op);
  outcome.answer->error = recorded_error{.name = "caesura::error", .message = std::move(why)};
  if (may_try_again(fn_.code.retries, attempts)) {
    fail_attempt(op, std::move(outcome), attempts, message);
  } else {
    remote_->fail(std::move(*outcome.answer->error));
  }
  const bool is_answered = message.failures.empty();
  go_on_after_answer(is_answered, std::move(message));
}

void run_driver::fail_attempt(const detail::operation& op, step_outcome&& outcome, std::uint32_t attempts, advance_run& message) {
  failed_attempts_[op.id] = attempts;
  backing_off_.insert(op.id);
  message.failures.push_back({.step = op.id,
                              .failed_attempts = attempts,
                              .error = std::move(*outcome.answer->error),
                              .started_at = outcome.started_at,
                              .ended_at = outcome.ended_at,
                              .retry_in = outcome.answer->retry_after.value_or(retry_delay(fn_.code.retries, attempts, order_.run, op.id))});
}

void run_driver::go_on_after_answer(bool is_answered, advance_run message) {
  const bool has_ended = frame_->state() != frame_state::suspended;
  if (ending_ == ending::cancelled) message.failures.clear();  // no retry follows a cancel
  if (ending_ != ending::none && !(ending_ == ending::left && has_ended)) {
    send_ending(std::move(message));
    return;
  }
  if (is_answered || has_ended || resume_if_ready()) {
    is_first_ = false;
    message.in_flight = in_flight();
    go_on(std::move(message));
    return;
  }
  message.in_flight = in_flight();
  ports_.to_router(std::move(message));
}

void run_driver::take(step_outcome&& outcome) {
  ++returned_;
  jobs_.erase(outcome.step);
  if (is_done_) return;
  if (outcome.answer) {
    take_answer(std::move(outcome));
    return;
  }
  const auto* op = frame_->find_pending(outcome.step);
  auto judged = judge(*op, std::move(outcome));
  auto message = report(next_kind::executing);
  const bool is_decided = frame_->is_any() && frame_->is_ready();
  if (auto* failure = std::get_if<failed_attempt>(&judged)) {
    // No retry follows a cancel or a first of `any`; a stop leaves it to the next start.
    if (ending_ != ending::cancelled && !is_decided) message.failures.push_back(std::move(*failure));
  } else {
    message.rows.push_back(std::get<storage::step_record>(std::move(judged)));
  }
  if (ending_ != ending::none) {
    // The body does not go on; what fails from now on is a loser nevertheless if this row was the first of an `any`.
    if (!is_mixed_any()) {
      for (const auto& row : message.rows) frame_->add(row);
    }
    send_ending(std::move(message));
    return;
  }
  if (is_mixed_any() && !is_decided && !message.rows.empty()) {
    message.wants_rows = true;
    ports_.to_router(std::move(message));
    return;
  }
  for (const auto& row : message.rows) frame_->add(row);
  if (frame_->state() == frame_state::held) {
    if (message.in_flight > 0) {
      ports_.to_router(std::move(message));
    } else {
      go_on(std::move(message));
    }
    return;
  }
  if (resume_if_ready()) {
    message.in_flight = in_flight();
    go_on(std::move(message));
    return;
  }
  message.in_flight = in_flight();
  ports_.to_router(std::move(message));
}

void run_driver::take(resume_run&& message) {
  if (is_done_ || ending_ != ending::none) return;
  if (remote_ != nullptr && !message.rows.empty()) {  // a checkpoint, or the end of a wait: the next call that asks is a first attempt
    std::erase_if(failed_attempts_, [&](const auto& entry) { return remote_frame::is_call(entry.first); });
  }
  for (const auto& step : message.retries) backing_off_.erase(step);
  for (auto& row : message.rows) frame_->add(std::move(row));
  if (frame_->state() != frame_state::suspended) {
    if (in_flight() == 0) go_on(report(next_kind::held));  // else what is in flight says it: the body stays until then
  } else if (resume_if_ready()) {
    go_on(report(next_kind::operations));
  } else if (!(frame_->is_any() && frame_->is_ready())) {
    for (const auto& step : message.retries) {
      if (auto* op = frame_->find_pending(step); op != nullptr && !op->is_finished && !jobs_.contains(step)) start(*op);
    }
    if (in_flight() == 0) ports_.to_router(report(next_kind::executing));  // the others are still to come: it may rest again
  }
}

void run_driver::take(const order_run& message) {
  if (is_done_) return;
  switch (message.order) {
    case order_kind::cancel:
      request_stop();
      end(ending::cancelled);
      return;
    case order_kind::leave: end(ending::left); return;
    case order_kind::end: end(ending::none); return;
    case order_kind::park:
      if (in_flight() > 0) {  // not said before it was sent
        end(ending::left);
        return;
      }
      finish();  // destructors of the body run before another activation can begin
      ports_.to_router(parked_run{.run = order_.run, .activation = order_.activation});
      return;
  }
}

void run_driver::fail(const std::string& why) {
  if (is_done_) return;
  lost_because_ = why;
  end(ending::lost);
}

// The gate is closed: what has passed it completes, nothing further starts.
void run_driver::end(ending how) {
  gate_->close();
  std::erase_if(jobs_, [](const auto& entry) { return entry.second->claim(); });  // such a job keeps this driver, which keeps it
  if (how == ending::none) {  // the run is over: what is still in flight reports to nobody
    if (gate_->passed() == returned_) {
      finish();
    } else {
      ending_ = ending::left;
    }
    return;
  }
  if (ending_ == ending::none || how != ending::left) ending_ = how;
  if (in_flight() == 0) send_ending(report(next_kind::executing));
}

void run_driver::send_ending(advance_run message) {
  message.in_flight = in_flight();
  if (message.in_flight > 0) {
    ports_.to_router(std::move(message));
    return;
  }
  finish();
  if (ending_ == ending::lost) {
    if (!message.rows.empty() || !message.failures.empty()) {  // what was executed is recorded all the same
      message.in_flight = 1;                                   // this is not the last word
      ports_.to_router(std::move(message));
    }
    ports_.to_router(lost_run{.run = order_.run, .activation = order_.activation, .reason = lost_because_});
  } else {
    message.next = ending_ == ending::cancelled ? next_kind::cancelled : next_kind::left;
    ports_.to_router(std::move(message));
  }
}

void run_driver::finish() {
  is_done_ = true;
  remote_ = nullptr;
  frame_.reset();
}

}  // namespace caesura::actors
