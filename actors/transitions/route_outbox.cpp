#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/planted_faults.hpp"
#include "actors/transitions/transitions.hpp"
#include "storage/document_view.hpp"

namespace caesura::actors {

namespace {

using storage::document_writer;
using storage::system_event;

std::string_view name_of(system_event kind) {
  switch (kind) {
    case system_event::finished: return "inngest/function.finished";
    case system_event::failed: return "inngest/function.failed";
    case system_event::cancelled: return "inngest/function.cancelled";
  }
  return {};
}

std::string_view status_text(run_status status) {
  if (status == run_status::completed) return "Completed";
  return status == run_status::failed ? "Failed" : "Cancelled";
}

// With what else the function's code gave of it, where it is elsewhere: a stack, a cause.
void write_error(document_writer& out, const storage::run_record& run) {
  const auto error = run.error.value_or(recorded_error{});
  const auto is_known = [](std::string_view name) { return name == "error" || name == "name" || name == "message"; };
  const storage::document_view whole{run.output.bytes()};
  const bool has_more = run.output.is_object();
  std::uint32_t more = 0;
  if (has_more) {
    for (auto item = whole.first(); item; item = item.next()) more += is_known(item.key().text()) ? 0 : 1;
  }
  out.text("error").map(3 + more).text("error").text(error.name + ": " + error.message).text("name").text(error.name).text("message").text(error.message);
  if (!has_more) return;
  for (auto item = whole.first(); item; item = item.next()) {
    if (!is_known(item.key().text())) out.text(item.key().text()).value(document::from_trusted_msgpack(std::string{item.value().bytes()}));
  }
}

void write_cancellation(document_writer& out, const cancellation& cancelled) {
  // The documented error, then what the model lacks: who, why and by which event and rule.
  out.text("error").map(3).text("error").text("function cancelled").text("name").text("Error");
  out.text("message").text("function cancelled");
  out.text("reason").text(cancelled.reason).text("source").text(to_string(cancelled.source));
  const bool by_event = cancelled.source == cancel_source::event;
  out.text("cancelled_by_event");
  by_event ? out.text(to_string(cancelled.event)) : out.null();
  out.text("rule");
  by_event ? out.integer(cancelled.rule) : out.null();
}

// The documented payload: function_id, run_id, event, events, result or error, _inngest.status.
document payload(const storage::run_record& run, const std::string& function, const std::vector<storage::event_record>& triggers) {
  const bool is_cancelled = run.status == run_status::cancelled && run.cancelled_by;
  document_writer out;
  out.map(is_cancelled ? 10 : 6);
  out.text("function_id").text(function).text("run_id").text(to_string(run.id));
  out.text("event");
  write_event(out, triggers.front());
  out.text("events").list(static_cast<std::uint32_t>(triggers.size()));
  for (const auto& trigger : triggers) write_event(out, trigger);
  out.text("_inngest").map(1).text("status").text(status_text(run.status));
  if (is_cancelled) {
    write_cancellation(out, *run.cancelled_by);
  } else if (run.status == run_status::completed) {
    out.text("result").value(run.output);
  } else {
    write_error(out, run);
  }
  return out.finish();
}

// What a system event holds of a batch's events, and what a turn writes of all, stay below this, but for one of each.
constexpr std::size_t payload_bytes = 4 * 1024 * 1024;

// The event that started the run; of a batch the others behind it, as far as they are sound, stored and together small enough.
std::vector<storage::event_record> triggers_of(turn& now, const storage::run_record& run) {
  std::vector<storage::event_record> found;
  std::size_t bytes = 0;
  for (const auto& id : storage::events_of(run)) {
    auto one = found.empty() ? now.tx.find_event(id) : read_sound(now, [&] { return now.tx.find_event(id); }, std::nullopt);
    if (found.empty() && !one) return {};
    if (!one) continue;
    bytes += one->content_bytes();
    if (!found.empty() && bytes > payload_bytes) break;
    found.push_back(std::move(*one));
  }
  return found;
}

struct system_event_of_run {
  storage::event_record event;
  std::string function;
};

// Throws error{store_corrupt} when what it is made of is damaged or not stored.
system_event_of_run event_of(turn& now, const storage::outbox_record& record) {
  const auto run = now.tx.find_run(record.run);
  const auto triggers = run ? triggers_of(now, *run) : std::vector<storage::event_record>{};
  if (triggers.empty()) {
    throw error{errc::store_corrupt, "table outbox: run " + to_string(record.run) + " or its event is not stored"};
  }
  const auto& function = now.state.definition_of(*run).record.function;
  return {.event = {.name = std::string{name_of(record.kind)},
                    // At most one such event a run; a finished one next to it has an id of its own.
                    .client_id = record.kind == system_event::finished || is_planted(fault::event_twice) ? "" : to_string(run->id),
                    .data = payload(*run, function, triggers),
                    .time = now.now,
                    .depth = static_cast<std::uint8_t>(run->depth + 1)},
          .function = function};
}

// nullopt: it cannot be made, which is told as what it is, although the damage itself may have been told before.
std::optional<system_event_of_run> find_event_of(turn& now, const storage::outbox_record& record) {
  try {
    return event_of(now, record);
  } catch (const error& e) {
    if (e.code() != errc::store_corrupt) throw;
    now.say_once("the system event of run " + to_string(record.run) + " is not emitted: " + e.what(), record.run);
    return std::nullopt;
  }
}

struct decision {
  position place;
  std::optional<storage::outbox_record> record;  // nullopt: it is damaged
};

std::vector<decision> next_decisions(turn& now) {
  std::vector<decision> next;
  const auto limit = now.state.limits.outbox_per_turn;
  const auto visit = [&](const position& place, const storage::outbox_record& record) {
    next.push_back({place, record});
    return next.size() < limit;
  };
  now.tx.each_outbox(now.state.outbox_seen, visit, [&](const position& place, const error& why) {
    now.say_once(std::string{"a system event is not emitted: "} + why.what());
    next.push_back({place, std::nullopt});
  });
  return next;
}

}  // namespace

void apply(turn& now, const route_outbox&) {
  auto& state = now.state;
  state.undo.add([&state, size = state.outbox_size, seen = state.outbox_seen] {
    state.outbox_size = size;
    state.outbox_seen = seen;
  });
  // Leaving the outbox and being routed is one transaction: a crash repeats or keeps both. What cannot be routed stays where it is until the next start, and
  // is in the way of nothing that stands behind it.
  std::size_t bytes = 0;
  for (const auto& [place, record] : next_decisions(now)) {
    if (bytes > payload_bytes) return;  // the others take another turn
    const auto made = record ? find_event_of(now, *record) : std::nullopt;
    if (made) {
      bytes += made->event.data.bytes().size();
      route_event(now, made->event, made->function);
    }
    if (is_planted(fault::event_twice) && now.entropy % 4 == 0) return;
    if (made) now.tx.delete_outbox(place);
    state.outbox_seen = place;
    --state.outbox_size;
  }
}

}  // namespace caesura::actors
