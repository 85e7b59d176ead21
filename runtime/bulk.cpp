// Many runs at once, replay, pause: the calls of caesura::runtime that end in a few commands each.

#include <algorithm>
#include <utility>

#include <caesura/runtime.hpp>

#include "actors/router_state.hpp"
#include "runtime/query.hpp"
#include "runtime/runtime_state.hpp"

namespace caesura {

namespace {

// Stores ids, ascending, as a plan. A chunk a command, so that no transaction is large.
plan_id pin(detail::runtime_state& state, const run_filter& filter, const std::vector<run_id>& ids) {
  plan_id token;
  std::size_t at = 0;
  std::uint32_t chunk = 0;
  do {
    const auto size = std::min(storage::plan_chunk_ids, ids.size() - at);
    const std::vector<run_id> part{ids.begin() + static_cast<std::ptrdiff_t>(at), ids.begin() + static_cast<std::ptrdiff_t>(at + size)};
    state.admit();
    token = state
                .ask<plan_id>([&](auto reply) {
                  return actors::store_plan{
                      .plan = token, .filter = filter, .total = ids.size(), .chunk = chunk, .ids = part, .reply = std::move(reply)};
                })
                .value();
    at += size;
    ++chunk;
  } while (at < ids.size());
  return token;
}

// The runs that were skipped between two places in the order.
plan_id pin_skipped(detail::runtime_state& state, const std::string& function, const position& from, const position& to) {
  const run_filter filter{.function = function, .status = run_status::skipped};
  const auto now = state.now();
  detail::run_query query{state.store(), detail::check_filter(filter, state.limits(), now, true), now, state.damage_teller()};
  std::vector<run_id> ids;
  std::optional<run_id> before = id_cast<run_id>(to);
  do {
    before = query.read(before, [&](const storage::run_record& run, const std::string&) {
      if (id_cast<position>(run.id) < from) return false;
      ids.push_back(run.id);
      return true;
    });
  } while (before && id_cast<position>(*before) > from);
  std::ranges::reverse(ids);
  return pin(state, filter, ids);
}

}  // namespace

bulk_progress detail::progress_of(const bulk_id& id, const storage::bulk_record& job, time_point now) {
  const auto& counts = job.counts;
  const std::chrono::duration<double> spent = job.ended_at.value_or(now) - job.created_at;
  constexpr double shortest = 0.001;
  return {.id = id,
          .is_replay = job.kind == storage::bulk_kind::replay,
          .status = static_cast<bulk_progress::state>(job.status),
          .filter = job.filter,
          .reason = job.reason,
          .by = job.by,
          .started_at = job.created_at,
          .ended_at = job.ended_at,
          .matched = job.kind == storage::bulk_kind::replay ? counts.total : counts.matched,
          .cancelled = counts.cancelled,
          .cancelling = counts.cancelling,
          .already_ended = counts.already_ended,
          .replayed = counts.replayed,
          .refused = counts.refused,
          .left = job.status == storage::bulk_status::working ? counts.total - std::min(counts.total, counts.looked_at) : 0,
          .per_second = static_cast<double>(counts.looked_at) / std::max(spent.count(), shortest)};
}

plan runtime::preview(const run_filter& filter) {
  state_->check_caller("runtime.preview");
  const auto now = state_->now();
  detail::plan_reader reader{state_->store(), filter, detail::check_filter(filter, state_->limits(), now, true), now, state_->damage_teller()};
  while (reader.read_page()) {
  }
  auto found = reader.take();
  found.result.token = pin(*state_, filter, found.ids);
  return std::move(found.result);
}

bulk_id runtime::cancel_all(const plan_id& token, const bulk_cancel_request& request) {
  state_->check_caller("runtime.cancel_all");
  detail::check_text(request.reason, "the reason");
  detail::check_text(request.by, "bulk_cancel_request.by");
  if (token.is_nil()) throw error{errc::unknown_plan, "the plan has no token: make it with preview"};
  state_->admit();
  return state_
      ->ask<bulk_id>([&](auto reply) {
        return actors::start_bulk{.plan = token, .reason = request.reason, .by = request.by, .reply = std::move(reply)};
      })
      .value();
}

bulk_id runtime::cancel_all(const run_filter& filter, const bulk_cancel_request& request) {
  state_->check_caller("runtime.cancel_all");
  detail::check_text(request.reason, "the reason");
  detail::check_text(request.by, "bulk_cancel_request.by");
  (void)detail::check_filter(filter, state_->limits(), state_->now(), true);
  state_->admit();
  return state_
      ->ask<bulk_id>([&](auto reply) {
        return actors::start_bulk{.filter = filter, .reason = request.reason, .by = request.by, .reply = std::move(reply)};
      })
      .value();
}

std::optional<bulk_progress> runtime::progress(const bulk_id& bulk) const {
  state_->check_caller("runtime.progress");
  const auto job = state_->store().begin_read()->find_bulk(bulk);
  if (!job) return std::nullopt;
  return detail::progress_of(bulk, *job, state_->now());
}

std::vector<bulk_progress> runtime::bulk_jobs(std::size_t limit) const {
  state_->check_caller("runtime.bulk_jobs");
  std::vector<bulk_progress> result;
  const auto now = state_->now();
  const auto damaged = [&](const position&, const error& e) { state_->tell_damage(e.what(), {}); };
  for (const auto& [id, job] : state_->store().begin_read()->newest_bulks(limit, damaged)) result.push_back(detail::progress_of(id, job, now));
  return result;
}

bool runtime::stop(const bulk_id& bulk) {
  state_->check_caller("runtime.stop");
  state_->admit();
  return state_->ask<bool>([&](auto reply) { return actors::stop_bulk{.bulk = bulk, .reply = std::move(reply)}; }).value();
}

run_id runtime::replay(const run_id& run, const replay_request& request) {
  state_->check_caller("runtime.replay");
  state_->admit();
  return state_
      ->ask<run_id>([&](auto reply) { return actors::replay_run{.run = run, .from_step = request.from_step, .reply = std::move(reply)}; })
      .value();
}

bulk_id runtime::replay_all(const plan_id& token, const bulk_replay_request& request) {
  state_->check_caller("runtime.replay_all");
  detail::check_replay(request);
  if (token.is_nil()) throw error{errc::unknown_plan, "the plan has no token: make it with preview"};
  state_->admit();
  return state_
      ->ask<bulk_id>([&](auto reply) {
        return actors::start_bulk{.kind = storage::bulk_kind::replay,
                                  .plan = token,
                                  .by = request.by,
                                  .from_step = request.from_step,
                                  .rate_per_second = request.rate_per_second,
                                  .reply = std::move(reply)};
      })
      .value();
}

bulk_id runtime::replay_all(const run_filter& filter, const bulk_replay_request& request) {
  state_->check_caller("runtime.replay_all");
  detail::check_replay(request);
  return replay_all(preview(filter), request);
}

pause_answer runtime::pause(const std::string& function, const pause_request& request) {
  state_->check_caller("runtime.pause");
  detail::check_text(request.reason, "the reason");
  detail::check_text(request.by, "pause_request.by");
  state_->admit();
  const auto answer = state_
                          ->ask<actors::paused_function>([&](auto reply) {
                            return actors::pause_function{.function = function,
                                                          .mode = request.under_way,
                                                          .reason = request.reason,
                                                          .by = request.by,
                                                          .reply = std::move(reply)};
                          })
                          .value();
  return {.was_paused = answer.was_paused, .cancelling = answer.cancelling};
}

resume_answer runtime::resume(const std::string& function, const resume_request& request) {
  state_->check_caller("runtime.resume");
  const bulk_replay_request replaying{.rate_per_second = request.rate_per_second};
  detail::check_replay(replaying);
  state_->admit();
  const auto answer =
      state_->ask<actors::resumed_function>([&](auto reply) { return actors::resume_function{.function = function, .reply = std::move(reply)}; })
          .value();
  resume_answer result{.was_paused = answer.was_paused, .skipped = answer.skipped};
  if (request.replay_skipped && answer.skipped > 0) {
    result.replaying = replay_all(pin_skipped(*state_, function, answer.paused_in, answer.resumed_in), replaying);
  }
  return result;
}

std::vector<function_info> runtime::functions() const {
  state_->check_caller("runtime.functions");
  return state_->functions();
}

}  // namespace caesura
