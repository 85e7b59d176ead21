#include <string>
#include <utility>

#include "actors/planted_faults.hpp"
#include "actors/transitions/transitions.hpp"
#include "storage/document_writer.hpp"

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

void write_event(document_writer& out, const storage::event_record& event) {
  out.map(4).text("name").text(event.name).text("data").value(event.data);
  out.text("id").text(public_id(event)).text("ts").integer(event.time.time_since_epoch().count());
}

void write_error(document_writer& out, const recorded_error& error) {
  out.text("error").map(3);
  out.text("error").text(error.name + ": " + error.message).text("name").text(error.name).text("message").text(error.message);
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
document payload(const storage::run_record& run, const std::string& function, const storage::event_record& trigger) {
  const bool is_cancelled = run.status == run_status::cancelled && run.cancelled_by;
  document_writer out;
  out.map(is_cancelled ? 10 : 6);
  out.text("function_id").text(function).text("run_id").text(to_string(run.id));
  out.text("event");
  write_event(out, trigger);
  out.text("events").list(1);
  write_event(out, trigger);
  out.text("_inngest").map(1).text("status").text(status_text(run.status));
  if (is_cancelled) {
    write_cancellation(out, *run.cancelled_by);
  } else if (run.status == run_status::completed) {
    out.text("result").value(run.output);
  } else {
    write_error(out, run.error.value_or(recorded_error{}));
  }
  return out.finish();
}

void route(turn& now, const storage::outbox_record& record) {
  const auto run = now.tx.find_run(record.run);
  const auto trigger = run ? now.tx.find_event(run->event) : std::nullopt;
  if (!trigger) throw error{errc::store_corrupt, "table outbox: run " + to_string(record.run) + " or its event is not stored"};
  const auto& function = now.state.definition_of(*run).record.function;
  route_event(now,
              {.name = std::string{name_of(record.kind)},
               // At most one such event a run; a finished one next to it has an id of its own.
               .client_id = record.kind == system_event::finished || is_planted(fault::event_twice) ? "" : to_string(run->id),
               .data = payload(*run, function, *trigger),
               .time = now.now,
               .depth = static_cast<std::uint8_t>(run->depth + 1)},
              function);
}

}  // namespace

void apply(turn& now, const route_outbox&) {
  auto& state = now.state;
  // Leaving the outbox and being routed is one transaction: a crash repeats or keeps both.
  for (const auto& [place, record] : now.tx.oldest_outbox(state.limits.outbox_per_turn)) {
    try {
      route(now, record);
    } catch (const error& e) {
      if (e.code() != errc::store_corrupt) throw;
      now.say(e.what(), record.run);
    }
    if (is_planted(fault::event_twice) && now.entropy % 4 == 0) continue;
    now.tx.delete_outbox(place);
    state.undo.add([&state] { ++state.outbox_size; });
    --state.outbox_size;
  }
}

}  // namespace caesura::actors
