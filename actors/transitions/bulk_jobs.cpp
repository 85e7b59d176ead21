#include <algorithm>
#include <utility>

#include "actors/transitions/match_filter.hpp"
#include "actors/transitions/transitions.hpp"

namespace caesura::actors {

namespace {

using storage::bulk_kind;
using storage::bulk_record;
using storage::bulk_status;

// The part of a job that changes.
struct progress {
  bulk_status status;
  run_id cursor;
  std::uint64_t next;
  storage::bulk_counts counts;
  std::optional<time_point> ended_at;
  std::optional<time_point> next_at;
};

void remember(turn& now, const std::shared_ptr<bulk_record>& job) {
  now.state.undo.add([job, before = progress{job->status, job->cursor, job->next, job->counts, job->ended_at, job->next_at}] {
    job->status = before.status;
    job->cursor = before.cursor;
    job->next = before.next;
    job->counts = before.counts;
    job->ended_at = before.ended_at;
    job->next_at = before.next_at;
  });
}

void store(turn& now, const position& place, const bulk_record& job) { now.tx.put_bulk(id_cast<bulk_id>(place), job); }

bool is_meant(turn& now, const open_sweep& sweep, const storage::run_record& run) {
  if (sweep.ids) return std::ranges::binary_search(sweep.ids->ids, run.id);
  std::string fault;
  const auto& function = now.state.definition_of(run).record.function;
  bool result = false;
  try {
    result = matches(*sweep.filter, run, function, sweep.job->created_at, now.tx, &fault);
  } catch (const error& e) {
    if (e.code() != errc::store_corrupt) throw;
    fault = e.what();  // of its event, read before anything is written: it harms no other run
  }
  if (!fault.empty()) now.say(fault, run.id);
  return result;
}

bool is_counted(const storage::run_record& run, const position& place) {
  return run.cancelled_by && run.cancelled_by->bulk == id_cast<bulk_id>(place);
}

void cancel_meant(turn& now, const open_sweep& sweep, const storage::run_record& run) {
  const auto outcome = request_cancel(now, run,
                                      {.source = sweep.job->source,
                                       .reason = sweep.job->reason,
                                       .requested_at = now.now,
                                       .by = sweep.job->by,
                                       .bulk = id_cast<bulk_id>(sweep.place)},
                                      sweep.place);
  auto& counts = sweep.job->counts;
  if (!sweep.ids) ++counts.matched;
  ++(outcome == cancel_outcome::cancelled ? counts.cancelled : counts.cancelling);
}

bool was_ended_by(turn& now, const open_sweep& sweep, const run_id& id) {
  const auto ended = read_sound(now, [&] { return now.tx.find_run(id); }, std::nullopt);
  return ended && is_counted(*ended, sweep.place);
}

// One run of the job's set, in its turn.
void look_at(turn& now, const open_sweep& sweep, const run_id& id) {
  auto& counts = sweep.job->counts;
  ++counts.looked_at;
  const auto before = find_live(now, id);
  if (before == nullptr) {
    if (!sweep.ids) return;
    if (!was_ended_by(now, sweep, id)) ++counts.already_ended;
    return;
  }
  if (is_counted(*before, sweep.place)) return;
  if (before->cancelled_by) {
    if (is_meant(now, sweep, *before)) ++counts.already_ended;
    return;
  }
  settle_sweeps(now, before);
}

bool look_at_filtered(turn& now, open_sweep& sweep) {
  const auto limit = now.state.limits.bulk_slice;
  const auto ids = now.tx.live_ids(sweep.job->cursor, limit);
  for (const auto& id : ids) {
    if (id_cast<position>(id) > sweep.place) return true;
    look_at(now, sweep, id);
    sweep.job->cursor = id;
  }
  return ids.size() < limit;
}

bool look_at_pinned(turn& now, open_sweep& sweep) {
  auto& job = *sweep.job;
  for (auto left = now.state.limits.bulk_slice; left > 0 && job.next < job.counts.total; --left) {
    if (const auto id = sweep.ids->at(job.next++)) look_at(now, sweep, *id);
  }
  return job.next >= job.counts.total;
}

bool replay_pinned(turn& now, open_sweep& sweep) {
  constexpr duration pace = std::chrono::milliseconds{100};  // how finely a rate is spread
  constexpr days longest_pause{366};                         // of a rate that is next to nothing
  auto& job = *sweep.job;
  auto left = now.state.limits.sweep_slice;
  if (job.rate_per_second > 0) {
    const auto a_slice = std::max(1.0, job.rate_per_second * std::chrono::duration<double>(pace).count());
    left = static_cast<std::size_t>(std::min(static_cast<double>(left), a_slice));
  }
  const auto first = job.next;
  // What a replay keeps is copied: a slice may be as large as a batch, and one more.
  for (; left > 0 && job.next < job.counts.total && (job.next == first || now.tx.written_bytes() < now.state.limits.bytes_per_batch); --left) {
    const auto id = sweep.ids->at(job.next++);
    if (!id) continue;
    ++job.counts.looked_at;
    std::optional<replay_source> source;
    try {
      source = read_replay(now, *id, job.from_step);
    } catch (const error& e) {
      if (!is_refused_replay(e.code())) throw;
      if (++job.counts.refused <= 10) now.say(std::string{"bulk replay: "} + e.what(), *id);
      continue;
    }
    replay(now, *source);
    ++job.counts.replayed;
  }
  if (job.rate_per_second > 0) {
    const auto pause = std::min(static_cast<double>(job.next - first) * 1000.0 / job.rate_per_second, static_cast<double>(duration{longest_pause}.count()));
    job.next_at = std::max(saturated(job.next_at.value_or(now.now), duration{static_cast<duration::rep>(pause)}), now.now);
  }
  return job.next >= job.counts.total;
}

open_sweep sweep_of(const position& place, bulk_record job, std::optional<storage::pinned_ids> pinned) {
  open_sweep sweep;
  sweep.place = place;
  sweep.record.kind = storage::sweep_kind::bulk;
  sweep.record.bulk = id_cast<bulk_id>(place);
  if (pinned) {
    sweep.ids = std::make_shared<const storage::pinned_ids>(std::move(*pinned));
  } else {
    sweep.filter = std::make_shared<const compiled_filter>(compiled_filter::of(job.filter));
  }
  sweep.job = std::make_shared<bulk_record>(std::move(job));
  return sweep;
}

}  // namespace

run_ptr hit_by_bulk(turn& now, run_ptr run, const open_sweep& sweep) {
  if (run == nullptr || is_ended(run->status) || run->cancelled_by || !is_meant(now, sweep, *run)) return run;
  remember(now, sweep.job);
  cancel_meant(now, sweep, *run);
  store(now, sweep.place, *sweep.job);
  return find_live(now, run->id);
}

bool work_off_bulk(turn& now, open_sweep& sweep) {
  auto& job = *sweep.job;
  remember(now, sweep.job);
  const bool is_done = job.kind == bulk_kind::replay ? replay_pinned(now, sweep)
                       : sweep.ids                   ? look_at_pinned(now, sweep)
                                                     : look_at_filtered(now, sweep);
  // The runs that it has not looked at are not known. (It may have been past the damaged part before that was damaged.)
  if (is_done && sweep.ids && !sweep.ids->lost.empty() && job.counts.looked_at < job.counts.total) {
    now.say_once("bulk job " + to_string(id_cast<bulk_id>(sweep.place)) + " is not done: " + std::to_string(job.counts.total - job.counts.looked_at) +
                 " of the runs of its plan are not known, because it is damaged; the others have been dealt with. It can be stopped");
    sweep.is_stuck = true;
    store(now, sweep.place, job);
    return false;
  }
  if (is_done) {
    job.status = bulk_status::done;
    job.ended_at = now.now;
    job.next_at.reset();
  }
  store(now, sweep.place, job);
  return is_done;
}

void count_cancelled(turn& now, const bulk_id& bulk) {
  if (const auto* sweep = find_sweep(now.state, id_cast<position>(bulk)); sweep != nullptr && sweep->job) {
    remember(now, sweep->job);
    --sweep->job->counts.cancelling;
    ++sweep->job->counts.cancelled;
    store(now, sweep->place, *sweep->job);
    return;
  }
  auto job = read_sound(now, [&] { return now.tx.find_bulk(bulk); }, std::nullopt);
  if (!job || job->counts.cancelling == 0) return;
  --job->counts.cancelling;
  ++job->counts.cancelled;
  now.tx.put_bulk(bulk, *job);
}

bulk_id begin_bulk(turn& now, bulk_record job) {
  const auto place = now.next_id<position>();
  job.created_at = now.now;
  auto pinned = job.plan.is_nil() ? std::nullopt : std::optional{storage::pinned_ids{.ids = now.tx.plan_ids(job.plan)}};
  auto sweep = sweep_of(place, std::move(job), std::move(pinned));
  if (sweep.ids) {
    sweep.job->counts.total = sweep.ids->ids.size();
    if (sweep.job->kind == bulk_kind::cancel) sweep.job->counts.matched = sweep.ids->ids.size();
  } else {
    sweep.job->counts.total = now.tx.live_count();
  }
  store(now, place, *sweep.job);
  begin_sweep(now, std::move(sweep));
  // A small one is done with when the answer comes.
  if (auto* open = find_sweep(now.state, place)) {
    open_sweep first = *open;
    if (work_off_bulk(now, first)) end_sweep(now, place);
  }
  return id_cast<bulk_id>(place);
}

void pull_in_bulks(turn& now) {
  for (const auto& sweep : now.state.sweeps) {
    if (!sweep.job || !sweep.job->next_at || *sweep.job->next_at <= now.now) continue;
    remember(now, sweep.job);
    sweep.job->next_at = now.now;
  }
}

void reopen_bulk(turn& now, const position& place, bulk_record job) {
  if (job.next_at) job.next_at = std::min(*job.next_at, now.now);  // the clock may have been ahead
  auto pinned = job.plan.is_nil() ? std::nullopt : std::optional{now.tx.readable_plan_ids(job.plan, job.counts.total, now.tell_damage())};
  now.state.sweeps.push_back(sweep_of(place, std::move(job), std::move(pinned)));
}

void apply(turn& now, const store_plan& command) {
  auto id = command.plan;
  if (id.is_nil()) {
    id = now.next_id<plan_id>();
    now.tx.put_plan(id, {.created_at = now.now, .filter = command.filter, .ids = command.total});
  }
  storage::plan_chunk_record chunk;
  chunk.ids.reserve(command.ids.size() * sizeof(run_id::bytes));
  for (const auto& run : command.ids) chunk.ids.append(reinterpret_cast<const char*>(run.bytes.data()), run.bytes.size());
  if (!command.ids.empty()) now.tx.put_plan_chunk(id, command.chunk, chunk);
  now.answer(command.reply, id);
}

void apply(turn& now, const start_bulk& command) {
  bulk_record job{.kind = command.kind,
                  .reason = command.reason,
                  .by = command.by,
                  .filter = command.filter,
                  .plan = command.plan,
                  .from_step = command.from_step,
                  .rate_per_second = command.rate_per_second};
  if (!command.plan.is_nil()) {
    const auto plan = now.tx.find_plan(command.plan);
    if (!plan || plan->created_at + now.state.limits.keep_plans <= now.now) {
      throw error{errc::unknown_plan, "no preview " + to_string(command.plan) + " is stored: a preview's token is good for 24 h"};
    }
    job.filter = plan->filter;
  }
  now.answer(command.reply, begin_bulk(now, std::move(job)));
}

void apply(turn& now, const stop_bulk& command) {
  const auto place = id_cast<position>(command.bulk);
  const auto* sweep = find_sweep(now.state, place);
  if (sweep == nullptr || !sweep->job) {
    if (!now.tx.find_bulk(command.bulk)) throw error{errc::unknown_bulk, "no bulk job " + to_string(command.bulk) + " is stored"};
    now.answer(command.reply, false);
    return;
  }
  const auto job = sweep->job;
  remember(now, job);
  job->status = bulk_status::stopped;
  job->ended_at = now.now;
  job->next_at.reset();
  store(now, place, *job);
  end_sweep(now, place);
  now.answer(command.reply, true);
}

}  // namespace caesura::actors
