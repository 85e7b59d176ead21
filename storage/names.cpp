// The names of enumerators, as they stand in texts, JSON and logs.

#include <caesura/error.hpp>
#include <caesura/run.hpp>

namespace caesura {

std::string_view to_string(errc code) noexcept {
  switch (code) {
    case errc::invalid_function: return "invalid_function";
    case errc::invalid_event: return "invalid_event";
    case errc::invalid_expression: return "invalid_expression";
    case errc::invalid_argument: return "invalid_argument";
    case errc::duplicate_id: return "duplicate_id";
    case errc::unknown_run: return "unknown_run";
    case errc::run_not_completed: return "run_not_completed";
    case errc::result_type: return "result_type";
    case errc::overloaded: return "overloaded";
    case errc::stopped: return "stopped";
    case errc::storage_full: return "storage_full";
    case errc::storage_failed: return "storage_failed";
    case errc::outcome_unknown: return "outcome_unknown";
    case errc::store_corrupt: return "store_corrupt";
    case errc::store_newer: return "store_newer";
    case errc::store_locked: return "store_locked";
    case errc::step_inside_step: return "step_inside_step";
    case errc::wrong_thread: return "wrong_thread";
    case errc::unknown_function: return "unknown_function";
    case errc::function_paused: return "function_paused";
    case errc::unknown_event: return "unknown_event";
    case errc::run_not_ended: return "run_not_ended";
    case errc::unknown_plan: return "unknown_plan";
    case errc::unknown_bulk: return "unknown_bulk";
  }
  return "unknown";
}

std::string_view to_string(run_status status) noexcept {
  switch (status) {
    case run_status::scheduled: return "scheduled";
    case run_status::queued: return "queued";
    case run_status::running: return "running";
    case run_status::sleeping: return "sleeping";
    case run_status::waiting: return "waiting";
    case run_status::backing_off: return "backing_off";
    case run_status::held: return "held";
    case run_status::completed: return "completed";
    case run_status::failed: return "failed";
    case run_status::cancelled: return "cancelled";
    case run_status::skipped: return "skipped";
  }
  return "unknown";
}

std::string_view to_string(cancel_outcome outcome) noexcept {
  switch (outcome) {
    case cancel_outcome::cancelled: return "cancelled";
    case cancel_outcome::cancelling: return "cancelling";
    case cancel_outcome::already_cancelled: return "already_cancelled";
    case cancel_outcome::already_completed: return "already_completed";
    case cancel_outcome::already_failed: return "already_failed";
    case cancel_outcome::unknown_run: return "unknown_run";
  }
  return "unknown";
}

std::string_view to_string(cancel_source source) noexcept {
  switch (source) {
    case cancel_source::call: return "call";
    case cancel_source::event: return "event";
    case cancel_source::bulk: return "bulk";
    case cancel_source::timeout: return "timeout";
    case cancel_source::parent: return "parent";
    case cancel_source::pause: return "pause";
    case cancel_source::singleton: return "singleton";
  }
  return "unknown";
}

std::string_view to_string(step_kind kind) noexcept {
  switch (kind) {
    case step_kind::run: return "run";
    case step_kind::sleep: return "sleep";
    case step_kind::wait_for_event: return "wait_for_event";
    case step_kind::send_event: return "send_event";
    case step_kind::invoke: return "invoke";
  }
  return "unknown";
}

}  // namespace caesura
