#include <caesura/context.hpp>

#include <string>

#include "storage/document_view.hpp"

namespace caesura::detail {

namespace {

constexpr std::size_t step_id_limit = 255;
constexpr duration duration_limit = days{366};

thread_local bool executing_step = false;
thread_local bool executing_body = false;

}  // namespace

inside_step::inside_step() noexcept { executing_step = true; }
inside_step::~inside_step() { executing_step = false; }

inside_body::inside_body() noexcept { executing_body = true; }
inside_body::~inside_body() { executing_body = false; }
bool is_inside_body() noexcept { return executing_body; }

void refuse_inside_step(std::string_view what) {
  if (!executing_step) return;
  throw error{errc::step_inside_step, std::string{what} + " was called from within a step: steps do not nest; return from the step "
                                                          "and co_await the next one in the body"};
}

void refuse_second_await(const operation* op) {
  throw error{errc::invalid_argument, (op == nullptr ? std::string{"what was awaited before, or given to caesura::all or caesura::any,"} : "step \"" + op->id + "\"") +
                                          " is awaited a second time: make it anew for each co_await, as in co_await step.run(\"poll\", poll)"};
}

void check_step_id(std::string_view id) {
  if (id.empty()) throw error{errc::invalid_argument, "a step id is empty: every step needs a name that is unique within its run"};
  if (id.size() > step_id_limit) {
    throw error{errc::invalid_argument,
                "step id \"" + std::string{id.substr(0, 40)} + "…\" has " + std::to_string(id.size()) + " bytes; the limit is 255"};
  }
  if (!storage::is_utf8(id)) throw error{errc::invalid_argument, "a step id is not UTF-8"};
}

void check_duration(std::string_view what, duration value) {
  if (value > duration_limit) {
    throw error{errc::invalid_argument, std::string{what} + " is " + to_string(value) + "; the limit is 366 days"};
  }
}

bool operation::finish(const step_info& row) noexcept {
  try {
    if (row.kind != kind) {
      undecodable = "it was recorded as a " + std::string{to_string(row.kind)} + " step and is now a " + std::string{to_string(kind)} +
                    " step";
      return false;
    }
    attempts = row.attempts;
    child = row.child;
    error = row.error ? std::make_unique<recorded_error>(*row.error) : nullptr;
    if (!error) decode(row.result);
    is_finished = true;
    return true;
  } catch (const std::exception& e) {
    undecodable = e.what();
    return false;
  } catch (...) {
    undecodable = "its type's from_json threw something that is no std::exception";
    return false;
  }
}

const operation_terms& operation::terms() const noexcept {
  static const operation_terms none;
  return terms_ == nullptr ? none : *terms_;
}

void operation::raise() const { throw step_failed{id, *error, attempts}; }

void raise_invoke(const operation& op) {
  const auto& name = op.error->name;
  if (name == invoke_error::cancelled) throw child_cancelled{op.id, *op.error, op.child};
  if (name == invoke_error::timed_out) throw child_timed_out{op.id, *op.error, op.child};
  if (name == invoke_error::paused) throw function_paused{op.id, *op.error, op.child};
  if (name == invoke_error::unknown_function) throw unknown_function{op.id, *op.error, op.child};
  throw child_failed{op.id, *op.error, op.child};
}

void wait_operation::decode(const document& result) {
  value.emplace();
  if (result.is_null()) return;
  const auto json = result.json();
  event found;
  found.name = json.at("name").get<std::string>();
  found.id = json.at("id").get<std::string>();
  found.data = document(json.at("data"));
  found.time = time_point{duration{json.at("ts").get<std::int64_t>()}};
  if (const auto user = json.find("user"); user != json.end()) found.user = document(*user);
  found.version = json.value("v", "");
  value->emplace(std::move(found));
}

signal_operation::signal_operation(std::string_view name) : operation_of{step_kind::wait_for_event, name} {
  own_terms().event_name = signal_event_of(name);
  own_terms().conflict = signal_conflict::fail;
}

void signal_operation::decode(const document& result) {
  value.emplace();
  if (result.is_null()) return;
  const auto json = result.json();
  const auto event = json.at("name").get<std::string>();
  if (!is_signal_event(event)) throw caesura::error{errc::result_type, "event \"" + event + "\" is recorded, which is no signal"};
  received_signal found;
  found.name = signal_of(event);
  found.data = document(json.at("data"));
  value->emplace(std::move(found));
}

void send_operation::decode(const document& result) {
  const auto id = parse_id<event_id>(result.get<std::string>());
  if (!id) throw caesura::error{errc::result_type, "the recorded event id is malformed"};
  value = *id;
}

}  // namespace caesura::detail
