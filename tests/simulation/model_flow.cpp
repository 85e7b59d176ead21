// Flow control: whether and when an event starts a run.

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "tests/simulation/model.hpp"

namespace caesura::simulation {

namespace {

using nlohmann::json;

const std::string ticked = "inngest/scheduled.timer";

std::string text(const run_id& run) { return "run " + to_string(run).substr(18); }

int number_in(const json& data) { return data.is_object() ? data.value("n", 0) : 0; }

}  // namespace

const char* text_of(flow_key how) {
  switch (how) {
    case flow_key::none: return "";
    case flow_key::by_key: return "event.data.key";
    case flow_key::by_key_unless_four: return "event.data.n == 4 ? false : event.data.key";
  }
  return "";
}

std::optional<std::string> key_of(flow_key how, const json& data) {
  if (how == flow_key::none) return "";
  if (how == flow_key::by_key_unless_four && number_in(data) == 4) return std::nullopt;
  return data.value("key", "");
}

// A full bucket has room for one and `more_at_once` others; each interval adds one.
bool model::take_from(std::map<flow_place, bucket>& buckets, const flow_place& place, const rate_spec& rate, time_point now) {
  const auto interval = rate.period / rate.limit;
  const auto full = interval * (1 + rate.more_at_once);
  auto& known = buckets.try_emplace(place, bucket{.credit = full, .at = now}).first->second;
  known.credit = std::min(full, known.credit + (now - known.at));
  known.at = now;
  if (known.credit < interval) return false;
  known.credit -= interval;
  return true;
}

// What a paused function skips counts nowhere.
bool model::is_limited(std::size_t function, const model_event& event) {
  const auto& fn = (*functions_)[function];
  if (!fn.rate_limit || is_paused(fn.id)) return false;
  const auto key = key_of(fn.rate_limit->key, event.data);
  return key && !take_from(rates_, {function, *key}, *fn.rate_limit, now_);
}

void model::start(std::size_t function, const model_event& event, const run_id& id) {
  const auto& fn = (*functions_)[function];
  if (is_paused(fn.id)) {
    create(function, event, id);
  } else if (fn.batch && !(fn.batch->spares_fours && number_in(event.data) == 4)) {
    start_batched(function, event, id);
  } else if (fn.debounce) {
    start_debounced(function, event, id);
  } else if (fn.singleton) {
    start_alone(function, event, id);
  } else {
    create(function, event, id);
  }
}

// The run that takes events under this key now; null: the next event makes a new one.
model_run* model::collector(std::size_t function, const std::string& key) {
  const auto found = collectors_.find({function, key});
  if (found == collectors_.end()) return nullptr;
  settle(found->second);
  auto& run = run_at(found->second);
  return !run.is_ended && run.due && *run.due > now_ ? &run : nullptr;
}

void model::start_debounced(std::size_t function, const model_event& event, const run_id& id) {
  const auto& fn = (*functions_)[function];
  const auto& rule = *fn.debounce;
  const auto key = key_of(rule.key, event.data).value();
  auto* run = collector(function, key);
  if (run == nullptr) {
    run = &create(function, event, id);
    collectors_[{function, key}] = id;
  }
  require(run->id == id, "event \"" + event.name + "\" went to " + text(id) + ", and " + text(run->id) + " takes the row that it is of");
  run->event = event.id;
  run->data = event.data;
  run->what = event.data.get<script>();
  run->depth = event.depth;
  run->due = now_ + rule.period;
  if (rule.timeout) run->due = std::min(*run->due, run->created_at + *rule.timeout);
  if (fn.start_timeout) run->deadline = *run->due + *fn.start_timeout;
}

// A batch does what the scripts of all its events say, one after the other.
void model::start_batched(std::size_t function, const model_event& event, const run_id& id) {
  const auto& rule = *(*functions_)[function].batch;
  const auto key = key_of(rule.key, event.data).value();
  auto* run = collector(function, key);
  if (run == nullptr) {
    run = &create(function, event, id);
    collectors_[{function, key}] = id;
    run->due = now_ + rule.timeout;
  } else {
    const auto more = event.data.get<script>();
    run->what.stages.insert(run->what.stages.end(), more.stages.begin(), more.stages.end());
  }
  require(run->id == id, "event \"" + event.name + "\" went to " + text(id) + ", and " + text(run->id) + " takes the batch that it is of");
  run->events.push_back(event.id);
  if (run->events.size() < rule.max_events) return;
  collectors_.erase({function, key});
  run->due.reset();
  touched_.insert(run->id);
}

// ---- singletons

model_run* model::holder(const model_run& besides, const std::string& key) {
  const auto found = holders_.find({besides.function, key});
  if (found == holders_.end() || found->second == besides.id) return nullptr;
  settle(found->second);
  auto& run = run_at(found->second);
  return run.is_ended || run.cancelled_by ? nullptr : &run;
}

void model::start_alone(std::size_t function, const model_event& event, const run_id& id) {
  const auto& rule = *(*functions_)[function].singleton;
  const auto key = key_of(rule.key, event.data);
  auto* before = key ? holder({.function = function}, *key) : nullptr;
  if (before != nullptr && rule.mode == singleton_mode::skip) {
    skip(create(function, event, id));
    return;
  }
  if (before != nullptr) cancel(*before, {.source = cancel_source::singleton});
  create(function, event, id);
  if (key) holders_[{function, *key}] = id;
}

void model::skip(model_run& run) {
  run.is_ended = true;
  run.status = run_status::skipped;
  run.deadline.reset();
  run.due.reset();
}

// A row or a batch is complete: only now a singleton decides, or when the run is no longer held.
void model::begin_collected(model_run& run) {
  run.due.reset();
  touched_.insert(run.id);
  run.is_undecided = is_held_by_pause(run);
  if (!run.is_undecided) decide(run);
}

// How far the router has got with the runs of a resumed function is the store's word.
void model::take_resumed() {
  std::vector<run_id> resumed;
  for (const auto& [id, run] : runs_) {
    if (run.is_ended || run.status != run_status::held || touched_.contains(id)) continue;
    if (const auto stored = store_->find_run(id); stored && stored->status != run_status::held) resumed.push_back(id);
  }
  touched_.insert(resumed.begin(), resumed.end());
  for (const auto& id : resumed) {
    if (auto& run = run_at(id); run.is_undecided) decide(run);
  }
}

bool model::is_held_by_pause(const model_run& run) const {
  const auto pause = paused_.find(function_of(run).id);
  return pause != paused_.end() && pause->second.mode == running_runs::hold;
}

void model::decide(model_run& run) {
  run.is_undecided = false;
  const auto& rule = function_of(run).singleton;
  const auto key = rule ? key_of(rule->key, run.data) : std::nullopt;
  if (!key) return;
  if (auto* before = holder(run, *key)) {
    if (rule->mode == singleton_mode::skip) {
      skip(run);
      return;
    }
    cancel(*before, {.source = cancel_source::singleton});
  }
  holders_[{run.function, *key}] = run.id;
}

// ---- crons

void model::restart(time_point now) {
  has_restarted_ = true;
  for (std::size_t i = 0; i < functions_->size(); ++i) {
    const auto& cron = (*functions_)[i].cron;
    if (cron) next_ticks_.try_emplace(i, next_tick{cron->next_after(now), now});
  }
}

// How much later than its time a tick comes is the library's choice, within the jitter. All that have been missed are one; whether one that was due
// within the jitter when the one before it came has been missed is its choice, too.
void model::tick(std::size_t function) {
  const auto& fn = (*functions_)[function];
  const auto& cron = *fn.cron;
  auto& next = next_ticks_.at(function);
  while (next.at <= now_) {
    const auto is_next = [&](const model_event& event) { return event.name == ticked && event.data["scheduledAt"] == to_string(next.at); };
    if (!new_events_.empty() && is_next(new_events_.front())) {
      const auto event = next_event(ticked);
      require(event.data["cron"] == cron.text && event.depth == 0 && event.runs.size() == 1, "a tick of " + fn.id + " is not stored as one");
      events_.set(event.id, event);
      match(event);
      start(function, event, event.runs[0]);
      next = {cron.next_after(std::max(next.at, now_ - cron.jitter)), now_};
    } else if (now_ < next.at + cron.jitter) {
      return;
    } else {
      require(next.at <= next.named_at, "the tick of " + fn.id + " at " + to_string(next.at) + " did not come");
      next.at = cron.next_after(next.at);
    }
  }
}

// ---- what runs wait for

// The run starts for the first time, whatever it was made by.
void model::take_turn(const model_run& run) {
  const auto& rule = function_of(run).throttle;
  if (!rule) return;
  const auto key = key_of(rule->key, run.data).value();
  require(take_from(turns_, {run.function, key}, *rule, now_), text(run.id) + " of " + function_of(run).id + " starts before its turn in the throttle");
}

// The store says of each rate limit and throttle when nothing of what has started counts any more.
void model::compare_rates() const {
  using counted = std::multiset<std::tuple<storage::flow_kind, std::string, time_point>>;
  counted due;
  const auto add = [&](storage::flow_kind kind, const flow_place& place, const bucket& known, const rate_spec& rate) {
    const auto full_at = known.at + rate.period / rate.limit * (1 + rate.more_at_once) - known.credit;
    if (full_at > now_) due.insert({kind, (*functions_)[place.first].id, full_at});
  };
  for (const auto& [place, known] : rates_) add(storage::flow_kind::rate_limit, place, known, *(*functions_)[place.first].rate_limit);
  for (const auto& [place, known] : turns_) add(storage::flow_kind::throttle, place, known, *(*functions_)[place.first].throttle);
  counted stored;
  store_->each_flow(0, [&](std::uint64_t, const storage::flow_record& record) {
    const bool is_rate = record.kind == storage::flow_kind::rate_limit || record.kind == storage::flow_kind::throttle;
    if (is_rate && record.at > now_) stored.insert({record.kind, record.function, record.at});
    return true;
  });
  require(stored == due, "a rate limit or a throttle counts other starts than there were");
}

time_point model::place_of(const model_run& run) const {
  const auto stored = store_->find_run(run.id);
  const auto came_at = stored->queued_at.is_nil() ? run.created_at : time_of(stored->queued_at);
  return came_at - std::chrono::seconds{function_of(run).priority * number_in(run.data)};
}

// Nobody who waited for just the same, and had the better place, is passed over. When each came to the queue is the store's word.
void model::check_priority(const run_id& started, const std::vector<run_id>& waiting) const {
  const auto& run = runs_.at(started);
  const auto& fn = function_of(run);
  if (fn.priority == 0) return;
  for (const auto& id : waiting) {
    const auto& other = runs_.at(id);
    if (other.function != run.function || other.data["key"] != run.data["key"]) continue;
    require(place_of(other) >= place_of(run), text(run.id) + " of " + fn.id + " starts before " + text(id) + ", which has the better priority");
  }
}

}  // namespace caesura::simulation
