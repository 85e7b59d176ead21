#include "actors/run_driver.hpp"

#include <algorithm>
#include <utility>

namespace caesura::actors {

namespace {

operation_request request_of(const detail::operation& op) {
  operation_request request{.kind = op.kind, .step = op.id, .delay = op.delay, .until = op.until};
  if (op.kind == step_kind::wait_for_event) {
    request.event = op.event_name;
    request.when = op.when;
    request.look_back = op.look_back;
  } else if (op.kind == step_kind::send_event) {
    request.to_send = op.to_send;
  } else if (op.kind == step_kind::invoke) {
    request.function = op.function;
    request.data = op.data;
    request.on_parent_cancel = op.on_parent_cancel;
  }
  return request;
}

}  // namespace

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
  }
}

std::uint32_t run_driver::in_flight() const noexcept {
  return (ending_ == ending::none ? handed_ - withdrawn_ : gate_->passed()) - returned_;
}

advance_run run_driver::report(next_kind next) const {
  return {.run = order_.run, .activation = order_.activation, .next = next, .in_flight = in_flight()};
}

void run_driver::begin(event trigger, std::vector<step_info> rows) {
  if (is_done_ || ending_ != ending::none) return;  // cancelled before it began
  const auto& record = *order_.record;
  frame_ = std::make_unique<frame>(fn_.code.body, order_.run, std::move(trigger), record.started_at.value_or(record.created_at),
                                   std::move(rows));
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
      break;
    case frame_state::held:
      message.next = next_kind::held;
      message.held_because = frame_->held_because();
      break;
    case frame_state::suspended:
      begin_pending(std::move(message));
      return;
  }
  finish();
  ports_.to_router(std::move(message));
}

void run_driver::begin_pending(advance_run message) {
  if (std::exchange(is_first_, false) && message.rows.empty() && starts_first()) {
    start_first();
    return;
  }
  message.next = next_kind::operations;
  message.is_any = frame_->is_any();
  message.rows_seen = frame_->row_count();
  for (auto* op : frame_->pending()) {
    message.operations.push_back(request_of(*op));
    if (op->kind == step_kind::run && is_due(*op)) message.jobs.push_back(job_for(*op));
  }
  handed_ += static_cast<std::uint32_t>(message.jobs.size());
  ports_.to_router(std::move(message));
}

// Steps that stand behind nothing but durable records start at once: no sleep, wait or send is to be recorded first, and the record
// keeps nothing that the body no longer asks for.
bool run_driver::starts_first() const {
  const auto& pending = frame_->pending();
  const bool only_steps = std::ranges::all_of(pending, [](const auto* op) { return op->kind == step_kind::run; });
  return only_steps && std::ranges::all_of(order_.record->pending, [&](const storage::pending_record& p) {
           return p.kind == step_kind::run && frame_->find_pending(p.step) != nullptr;
         });
}

void run_driver::start_first() {
  const bool is_interrupted = order_.record->interruptions > limits_.interruptions;
  auto message = report(next_kind::executing);
  std::vector<detail::operation*> ready;
  for (auto* op : frame_->pending()) {
    if (is_due(*op)) ready.push_back(op);
  }
  if (!is_interrupted) {
    for (auto* op : ready) start(*op);
    return;
  }
  for (auto* op : ready) {
    message.rows.push_back({.id = op->id,
                            .error = recorded_error{.name = step_interrupted,
                                                    .message = "the process ended " + std::to_string(order_.record->interruptions) +
                                                               " times while this step executed"},
                            .attempts = order_.record->interruptions,
                            .started_at = frame_->now(),
                            .ended_at = frame_->now()});
  }
  for (const auto& row : message.rows) frame_->add(row);
  if (!resume_if_ready()) {
    ports_.to_router(std::move(message));
    return;
  }
  go_on(std::move(message));
}

// False for a step that backs off: its timer starts it.
bool run_driver::is_due(const detail::operation& op) const {
  const auto& known = order_.record->pending;
  const auto retry = std::ranges::find(known, op.id, &storage::pending_record::step);
  return retry == known.end() || !retry->due || is_past_first_;
}

std::shared_ptr<step_job> run_driver::job_for(detail::operation& op) {
  const auto failed = failed_attempts_.find(op.id);
  auto job = std::make_shared<step_job>();
  job->gate = gate_;
  job->operation = &op;
  job->attempt = {.run = order_.run, .step = op.id, .attempt = failed == failed_attempts_.end() ? 1 : failed->second + 1};
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
  is_past_first_ = true;
  failed_attempts_.clear();
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
  const auto before = failed_attempts_.find(op.id);
  const std::uint32_t attempts = before == failed_attempts_.end() ? 1 : before->second + 1;
  const retry_policy& policy = op.retries ? *op.retries : fn_.code.retries;
  if (outcome.error && !outcome.is_final && attempts <= std::min(policy.retries, limits_.retries)) {
    failed_attempts_[op.id] = attempts;
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

void run_driver::take(step_outcome&& outcome) {
  ++returned_;
  jobs_.erase(outcome.step);
  if (is_done_) return;
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
  for (auto& row : message.rows) frame_->add(std::move(row));
  if (frame_->state() == frame_state::held) {
    go_on(report(next_kind::held));
  } else if (resume_if_ready()) {
    go_on(report(next_kind::operations));
  } else if (!(frame_->is_any() && frame_->is_ready())) {
    for (const auto& step : message.retries) {
      if (auto* op = frame_->find_pending(step)) start(*op);
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
    ports_.to_router(lost_run{.run = order_.run, .activation = order_.activation, .reason = lost_because_});
  } else {
    message.next = ending_ == ending::cancelled ? next_kind::cancelled : next_kind::left;
    ports_.to_router(std::move(message));
  }
}

void run_driver::finish() {
  is_done_ = true;
  frame_.reset();
}

}  // namespace caesura::actors
