#include "runtime/registry.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "actors/cron.hpp"
#include "storage/document_view.hpp"

namespace caesura::detail {

namespace {

// The faults of one function, each with the function's name and the place.
class inspection {
 public:
  inspection(const function& fn, const actors::limits& limits, std::vector<std::string>& faults)
      : fn_{fn}, limits_{limits}, faults_{faults} {}

  void check() {
    check_id();
    check_triggers();
    check_cancel_rules();
    check_timeouts();
    check_concurrency();
    check_flow();
    if (fn_.retries.retries > limits_.retries) {
      add("retries is " + std::to_string(fn_.retries.retries) + "; the limit is " + std::to_string(limits_.retries));
    }
    for (const auto delay : fn_.retries.delays) {
      if (delay < duration{0}) add("retries.delays has the negative delay " + to_string(delay));
    }
    if (!fn_.body && !fn_.remote) add("body is missing: give it a coroutine, such as [](caesura::context step) -> caesura::task<> { … }");
    if (fn_.body && fn_.remote) add("body and remote are both given: its code is here or elsewhere");
  }

 private:
  void add(const std::string& fault) {
    faults_.push_back("function \"" + fn_.id.substr(0, 40) + (fn_.id.size() > 40 ? "…" : "") + "\": " + fault);
  }

  void check_id() {
    if (fn_.id.empty()) add("id is empty");
    if (fn_.id.size() > limits_.function_id_bytes) {
      add("id has " + std::to_string(fn_.id.size()) + " bytes; the limit is " + std::to_string(limits_.function_id_bytes));
    }
    if (!storage::is_utf8(fn_.id)) add("id is not UTF-8");
  }

  void check_name(const std::string& name, const std::string& where, bool may_be_pattern) {
    if (name.empty()) add(where + ".event is empty");
    if (!storage::is_utf8(name)) add(where + ".event is not UTF-8");
    if (name.size() > limits_.event_name_bytes) {
      add(where + ".event has " + std::to_string(name.size()) + " bytes; the limit is " + std::to_string(limits_.event_name_bytes));
    }
    if (is_signal_event(name)) add(where + ".event is \"" + name + "\": such names are reserved for signals, which only a wait for a signal gets");
    const auto star = name.find('*');
    if (star == std::string::npos) return;
    if (!may_be_pattern) {
      add(where + ".event is \"" + name + "\": only triggers may end in \"*\"; write one rule for each name");
    } else if (star + 1 != name.size()) {
      add(where + ".event is \"" + name + "\": \"*\" may stand at the end only");
    }
  }

  void check_when(const std::string& when, expression::roots roots, const std::string& where) {
    if (when.empty()) return;
    const auto parsed = expression::compiled::parse(when, roots);
    if (const auto* fault = std::get_if<expression::fault>(&parsed)) {
      add(where + ".when: at byte " + std::to_string(fault->position) + " of \"" + when + "\": " + fault->text);
    }
  }

  void check_triggers() {
    if (fn_.triggers.size() > limits_.triggers_per_function) {
      add("triggers has " + std::to_string(fn_.triggers.size()) + " entries; the limit is " +
          std::to_string(limits_.triggers_per_function));
    }
    for (std::size_t i = 0; i < fn_.triggers.size(); ++i) {
      const auto where = "triggers[" + std::to_string(i) + "]";
      if (!fn_.triggers[i].cron.empty()) {
        check_cron(fn_.triggers[i], where);
        continue;
      }
      check_name(fn_.triggers[i].event, where, true);
      check_when(fn_.triggers[i].when, expression::roots::event, where);
    }
  }

  void check_cron(const trigger& t, const std::string& where) {
    if (!t.event.empty() || !t.when.empty()) add(where + " has a cron and an event or a when: write two triggers");
    if (t.cron.size() > limits_.event_name_bytes) {
      add(where + ".cron has " + std::to_string(t.cron.size()) + " bytes; the limit is " + std::to_string(limits_.event_name_bytes));
    } else if (auto parsed = actors::cron_schedule::parse(t.cron); const auto* fault = std::get_if<std::string>(&parsed)) {
      add(where + ": " + *fault);
    }
    check_range(t.jitter, duration{0}, std::chrono::minutes{5}, where + ".jitter");
  }

  void check_range(duration value, duration least, duration most, const std::string& what) {
    if (value < least || value > most) add(what + " is " + to_string(value) + "; it must be from " + to_string(least) + " to " + to_string(most));
  }
  void check_key(const std::string& text, const std::string& what) {
    if (text.empty()) return;
    const auto parsed = expression::compiled::parse(text, expression::roots::event);
    if (const auto* fault = std::get_if<expression::fault>(&parsed)) add(what + ": at byte " + std::to_string(fault->position) + " of \"" + text + "\": " + fault->text);
  }

  void check_flow() {
    using namespace std::chrono_literals;
    if (const auto& rule = fn_.rate_limit) {
      if (rule->limit == 0) add("rate_limit.limit is 0: no run could ever start; to stop a function, pause it");
      check_range(rule->period, 1ms, 24h, "rate_limit.period");
      check_key(rule->key, "rate_limit.key");
      if (!fn_.idempotency.empty()) add("rate_limit and idempotency are both given: idempotency is a rate limit of one in 24 h");
    }
    check_key(fn_.idempotency, "idempotency");
    if (const auto& rule = fn_.throttle) {
      if (rule->limit == 0) add("throttle.limit is 0: no run could ever start; to stop a function, pause it");
      check_range(rule->period, 1s, days{7}, "throttle.period");
      check_key(rule->key, "throttle.key");
    }
    if (const auto& rule = fn_.debounce) {
      check_range(rule->period, 1s, days{7}, "debounce.period");
      if (rule->timeout) check_range(*rule->timeout, rule->period, days{7}, "debounce.timeout");
      check_key(rule->key, "debounce.key");
    }
    if (const auto& rule = fn_.singleton) check_key(rule->key, "singleton.key");
    check_key(fn_.priority, "priority");
    check_batch();
  }

  void check_batch() {
    using namespace std::chrono_literals;
    const auto& rule = fn_.batch;
    if (!rule) return;
    constexpr std::uint32_t most_events = 100;
    if (rule->max_events < 2 || rule->max_events > most_events) add("batch.max_events is " + std::to_string(rule->max_events) + "; it must be from 2 to 100");
    check_range(rule->timeout, 1s, days{7}, "batch.timeout");
    check_key(rule->key, "batch.key");
    check_key(rule->when, "batch.when");
    const auto exclude = [&](bool is_given, const char* name) {
      if (is_given) add(std::string{"batch and "} + name + " are both given: a run of many events has no one event for it");
    };
    exclude(!fn_.cancel_on.empty(), "cancel_on");
    exclude(fn_.debounce.has_value(), "debounce");
    exclude(fn_.singleton.has_value(), "singleton");
    exclude(!fn_.priority.empty(), "priority");
    exclude(fn_.rate_limit.has_value() || !fn_.idempotency.empty(), fn_.rate_limit ? "rate_limit" : "idempotency");
    if (fn_.body && !fn_.body.takes_batch()) add("batch is given and body takes one event: let it take std::vector<caesura::event> after the context");
  }

  void check_cancel_rules() {
    if (fn_.cancel_on.size() > limits_.cancel_rules_per_function) {
      add("cancel_on has " + std::to_string(fn_.cancel_on.size()) + " entries; the limit is " +
          std::to_string(limits_.cancel_rules_per_function));
    }
    for (std::size_t i = 0; i < fn_.cancel_on.size(); ++i) {
      const auto where = "cancel_on[" + std::to_string(i) + "]";
      check_name(fn_.cancel_on[i].event, where, false);
      check_when(fn_.cancel_on[i].when, expression::roots::event_and_async, where);
      if (fn_.cancel_on[i].timeout && *fn_.cancel_on[i].timeout <= duration{0}) {
        add(where + ".timeout is " + to_string(*fn_.cancel_on[i].timeout) + ": such a rule can never cancel");
      }
    }
  }

  void check_timeouts() {
    const auto check = [&](const std::optional<duration>& value, const char* name) {
      if (value && *value <= duration{0}) add(std::string{name} + " is " + to_string(*value) + "; it must be more than zero");
    };
    check(fn_.timeouts.start, "timeouts.start");
    check(fn_.timeouts.finish, "timeouts.finish");
  }

  void check_concurrency() {
    const auto resting = static_cast<std::size_t>(std::ranges::count_if(fn_.concurrency, &concurrency::counts_resting));
    const auto most = std::max(resting, fn_.concurrency.size() - resting);
    if (most > limits_.concurrency_entries) {
      add("concurrency has " + std::to_string(most) + (most == resting ? " entries that count whole runs; the limit is " : " entries; the limit is ") + std::to_string(limits_.concurrency_entries));
    }
    for (std::size_t i = 0; i < fn_.concurrency.size(); ++i) {
      const auto& entry = fn_.concurrency[i];
      const auto where = "concurrency[" + std::to_string(i) + "]";
      if (entry.limit == 0) add(where + ".limit is 0: no run could ever start; to stop a function, pause it");
      if (entry.is_shared && entry.key.empty()) add(where + ".key is empty: a group that functions share needs one, such as \"'gpu'\"");
      for (std::size_t j = 0; j < i; ++j) {
        const auto& other = fn_.concurrency[j];
        if (entry.is_shared && other.is_shared && other.key == entry.key) add(where + " is the same group as concurrency[" + std::to_string(j) + "]");
      }
      if (entry.key.empty()) continue;
      const auto parsed = expression::compiled::parse(entry.key, expression::roots::event);
      if (const auto* fault = std::get_if<expression::fault>(&parsed)) {
        add(where + ".key: at byte " + std::to_string(fault->position) + " of \"" + entry.key + "\": " + fault->text);
      }
    }
  }

  const function& fn_;
  const actors::limits& limits_;
  std::vector<std::string>& faults_;
};

// A text as it stands in an expression.
std::string literal(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + "'";
}

// on_cancel and on_failure are functions of their own.
void add_handlers(std::vector<function>& functions) {
  std::vector<function> handlers;
  for (const auto& fn : functions) {
    const auto add = [&](const function_body& body, const char* suffix, const char* event) {
      if (!body) return;
      handlers.push_back({.id = fn.id + suffix,
                          .triggers = {{.event = event, .when = "event.data.function_id == " + literal(fn.id)}},
                          .retries = fn.retries,
                          .body = body});
    };
    add(fn.on_cancel, "-cancelled", "inngest/function.cancelled");
    add(fn.on_failure, "-failed", "inngest/function.failed");
  }
  std::ranges::move(handlers, std::back_inserter(functions));
}

}  // namespace

std::shared_ptr<const actors::function_table> register_functions(std::vector<function> functions, const actors::limits& limits) {
  std::vector<std::string> faults;
  std::set<std::string> ids;
  add_handlers(functions);
  for (const auto& fn : functions) {
    inspection{fn, limits, faults}.check();
    if (!fn.id.empty() && !ids.insert(fn.id).second) faults.push_back("function \"" + fn.id + "\": the id is given twice");
  }
  if (!faults.empty()) {
    std::string text = faults.size() == 1 ? "1 fault in the functions" : std::to_string(faults.size()) + " faults in the functions";
    for (const auto& fault : faults) text += "\n  " + fault;
    throw error{errc::invalid_function, text};
  }
  auto table = std::make_shared<actors::function_table>();
  for (auto& fn : functions) {
    auto record = actors::definition_record_of(fn);
    const auto hash = storage::definition_hash(record);
    auto stored = actors::parse_definition(std::move(record), hash);
    auto flow = actors::flow_rules_of(fn);
    table->add({.code = std::move(fn), .stored = std::move(stored), .flow = std::move(flow)});
  }
  return table;
}

}  // namespace caesura::detail
