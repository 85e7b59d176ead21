#include "tests/simulation/script.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace caesura::simulation {

namespace {

using nlohmann::json;
using namespace std::chrono_literals;

json json_of(const operation& op) {
  json out{{"kind", static_cast<int>(op.kind)}, {"id", op.id}};
  if (op.failures > 0) out["failures"] = op.failures;
  if (op.is_fatal) out["fatal"] = true;
  if (op.length > 0) out["length"] = op.length;
  if (!op.event.empty()) out["event"] = op.event;
  if (!op.key.empty()) out["key"] = op.key;
  if (op.rule > 0) out["rule"] = op.rule;
  if (op.look_back) out["look_back"] = true;
  if (op.replaces) out["replaces"] = true;
  if (op.is_abandoned) out["abandoned"] = true;
  if (!op.script.is_null()) out["script"] = op.script;
  return out;
}

operation operation_of(const json& in) {
  operation op{.kind = static_cast<step_kind>(in["kind"].get<int>()), .id = in["id"]};
  op.failures = in.value("failures", 0);
  op.is_fatal = in.value("fatal", false);
  op.length = in.value("length", std::int64_t{0});
  op.event = in.value("event", "");
  op.key = in.value("key", "");
  op.rule = in.value("rule", 0);
  op.look_back = in.value("look_back", false);
  op.replaces = in.value("replaces", false);
  op.is_abandoned = in.value("abandoned", false);
  if (in.contains("script")) op.script = in["script"];
  return op;
}

template <class T>
const T& one_of(random_source& random, const std::vector<T>& values) {
  return values[pick(random, values.size())];
}

class generator {
 public:
  generator(random_source& random, const language& allowed, int depth) : random_{random}, allowed_{allowed}, depth_{depth} {}

  script make() {
    script result{.key = one_of(random_, keys), .number = static_cast<int>(pick(random_, 5))};
    const auto stages = 1 + pick(random_, depth_ == 0 ? 4 : 2);
    for (std::size_t i = 0; i < stages; ++i) result.stages.push_back(make_stage());
    return result;
  }

 private:
  stage make_stage() {
    stage result;
    result.catches = happens(random_, 60);
    if (allowed_.failures && happens(random_, 4)) {
      result.how = gathering::failure;
    } else if (allowed_.groups && happens(random_, 40)) {
      result.how = happens(random_, 50) ? gathering::all : gathering::any;
      result.operations = {first_member(), second_member()};
    } else if (allowed_.repeats && happens(random_, 10)) {
      result.how = gathering::each;
      result.times = static_cast<int>(1 + pick(random_, 3));
      result.operations = {{.kind = step_kind::run, .id = id()}};
    } else {
      result.operations = {any_operation()};
    }
    return result;
  }

  std::string id() { return std::string(1, static_cast<char>('a' + pick(random_, 4))); }

  operation step() {
    operation op{.kind = step_kind::run, .id = id()};
    if (allowed_.failures && happens(random_, 30)) {
      op.failures = static_cast<int>(1 + pick(random_, 4));
      op.is_fatal = happens(random_, 20);
    }
    return op;
  }
  operation sleep() {
    static const std::vector<std::int64_t> lengths{1, 400, 900, 5'000, 60'000, 3'600'000, 20 * 3'600'000};
    return {.kind = step_kind::sleep, .id = "z" + id(), .length = one_of(random_, lengths)};
  }
  operation wait() {
    static const std::vector<std::int64_t> timeouts{700, 30'000, 3'600'000, 10 * 3'600'000};
    return {.kind = step_kind::wait_for_event,
            .id = "w" + id(),
            .length = one_of(random_, timeouts),
            .event = one_of(random_, notes),
            .rule = static_cast<int>(pick(random_, wait_rules().size())),
            .look_back = happens(random_, 25)};
  }
  operation wait_alone() {
    if (!allowed_.signals || happens(random_, 50)) return wait();
    static const std::vector<std::int64_t> timeouts{0, 700, 3'600'000};
    return {.kind = step_kind::wait_for_event,
            .id = "g" + id(),
            .length = one_of(random_, timeouts),
            .event = signal_event_of(one_of(random_, signals)),
            .rule = 1,  // any
            .replaces = happens(random_, 40)};
  }
  operation invoke() {
    static const std::vector<std::int64_t> timeouts{0, 0, 800, 3'600'000};
    operation op{.kind = step_kind::invoke,
                 .id = "i" + id(),
                 .length = one_of(random_, timeouts),
                 .event = one_of(random_, allowed_.children),
                 .is_abandoned = happens(random_, 20)};
    op.script = json(generator{random_, allowed_, depth_ + 1}.make());
    return op;
  }
  operation send() {
    return {.kind = step_kind::send_event, .id = "s" + id(), .event = one_of(random_, allowed_.sent), .key = one_of(random_, keys)};
  }
  bool may_invoke() const { return allowed_.invokes && depth_ < 2 && !allowed_.children.empty(); }

  operation any_operation() {
    const auto roll = pick(random_, 100);
    if (roll < 20 && allowed_.sleeps) return sleep();
    if (roll < 40 && allowed_.waits) return wait_alone();
    if (roll < 55 && may_invoke()) return invoke();
    if (roll < 65 && allowed_.sends) return send();
    return step();
  }
  operation first_member() {
    const auto roll = pick(random_, 100);
    if (roll < 25 && may_invoke()) return invoke();
    if (roll < 50 && allowed_.waits) return wait();
    return step();
  }
  operation second_member() {
    const auto roll = pick(random_, 100);
    if (roll < 35 && allowed_.sleeps) return sleep();
    if (roll < 60 && allowed_.waits) return wait();
    return step();
  }

  random_source& random_;
  const language& allowed_;
  int depth_;
};

// ---- what the body makes of a result, and what progress_of makes of the same result

std::string text_of_wait(const std::optional<event>& e) { return e ? "[" + e->id + "]" : "[-]"; }
std::string text_of_signal(const json& data) { return "<" + data.dump() + ">"; }

std::string text_of_row(const operation& op, const step_info& row) {
  switch (op.kind) {
    case step_kind::run: return "r" + std::to_string(row.result.json().get<std::int64_t>());
    case step_kind::sleep: return "z";
    case step_kind::wait_for_event:
      if (row.result.is_null()) return "[-]";
      return is_signal_event(op.event) ? text_of_signal(row.result.json()["data"]) : "[" + row.result.json()["id"].get<std::string>() + "]";
    case step_kind::send_event: return "s";
    case step_kind::invoke: return "(" + row.result.json().get<std::string>() + ")";
  }
  return "?";
}

class reader {
 public:
  reader(const script& what, const std::vector<step_info>& rows) : script_{what} {
    for (std::size_t i = 0; i < rows.size(); ++i) row_of_.emplace(rows[i].id, std::pair{i, &rows[i]});
  }

  progress read() {
    for (const auto& part : script_.stages) {
      if (!pass(part)) return std::move(result_);
    }
    result_.is = progress::state::completed;
    return std::move(result_);
  }

 private:
  using member = std::pair<std::string, operation>;

  std::string name(const std::string& id) {
    const int uses = uses_[id]++;
    return uses == 0 ? id : id + ":" + std::to_string(uses);
  }

  std::vector<member> members_of(const stage& part) {
    std::vector<member> members;
    if (part.how == gathering::each) {
      const auto& op = part.operations[0];
      for (int i = 0; i < part.times; ++i) members.emplace_back(name(op.id + "[" + std::to_string(i) + "]"), op);
    } else {
      for (const auto& op : part.operations) members.emplace_back(name(op.id), op);
    }
    return members;
  }

  // False: the body is not past this stage, or never will be.
  bool pass(const stage& part) {
    if (part.how == gathering::failure) return fail(part.catches);
    const auto members = members_of(part);
    return part.how == gathering::any ? pass_any(part, members) : pass_all(part, members);
  }

  bool fail(bool is_caught) {
    result_.output += "!";
    if (!is_caught) result_.is = progress::state::failed;
    return is_caught;
  }

  bool pass_all(const stage& part, const std::vector<member>& members) {
    for (const auto& m : members) {
      if (!row_of_.contains(m.first)) result_.pending.push_back(m);
    }
    if (!result_.pending.empty()) return false;
    for (const auto& m : members) {
      if (row_of_[m.first].second->error) return fail(part.catches);
    }
    for (const auto& m : members) result_.output += text_of_row(m.second, *row_of_[m.first].second);
    return true;
  }

  bool pass_any(const stage& part, const std::vector<member>& members) {
    const member* winner = nullptr;
    for (const auto& m : members) {
      if (row_of_.contains(m.first) && (winner == nullptr || row_of_[m.first].first < row_of_[winner->first].first)) winner = &m;
    }
    if (winner == nullptr) {
      result_.pending = members;
      result_.is_any = true;
      return false;
    }
    const auto& row = *row_of_[winner->first].second;
    if (row.error) return fail(part.catches);
    result_.output += std::to_string(winner - members.data()) + text_of_row(winner->second, row);
    return true;
  }

  const script& script_;
  std::map<std::string, std::pair<std::size_t, const step_info*>> row_of_;
  std::map<std::string, int> uses_;
  progress result_;
};

// ---- the body

struct effect_of_step {
  const step_effect* effect;
  const operation* op;
  std::int64_t operator()() const { return (*effect)(*op); }
};

auto step_of(context step, const step_effect& effect, const operation& op) {
  const effect_of_step call{&effect, &op};
  return step.run(op.id, call);
}
auto sleep_of(context step, const operation& op) { return step.sleep_for(op.id, duration{op.length}); }
auto wait_of(context step, const operation& op) {
  auto wait = step.wait_for_event(op.event).when(wait_rules()[static_cast<std::size_t>(op.rule)].text).timeout(duration{op.length}).named(op.id);
  if (op.look_back) (void)std::move(wait).look_back();
  return wait;
}
auto signal_of(context step, const operation& op) {
  auto wait = step.wait_for_signal(caesura::signal_of(op.event)).named(op.id);
  if (op.length > 0) (void)std::move(wait).timeout(duration{op.length});
  if (op.replaces) (void)std::move(wait).replace();
  return wait;
}
auto invoke_of(context step, const operation& op) {
  auto invoke = step.invoke<std::string>(op.id, op.event, op.script);
  if (op.is_abandoned) (void)std::move(invoke).on_parent_cancel(child_policy::abandon);
  if (op.length > 0) (void)std::move(invoke).timeout(duration{op.length});
  return invoke;
}

std::string text_of(std::int64_t token) { return "r" + std::to_string(token); }
std::string text_of(std::monostate) { return "z"; }
std::string text_of(const std::optional<event>& e) { return text_of_wait(e); }
std::string text_of(const std::string& result) { return "(" + result + ")"; }

template <class A, class B>
std::string text_of(const std::tuple<A, B>& both) {
  return text_of(std::get<0>(both)) + text_of(std::get<1>(both));
}
template <class A, class B>
std::string text_of_first(const std::variant<A, B>& first) {
  return std::to_string(first.index()) + (first.index() == 0 ? text_of(std::get<0>(first)) : text_of(std::get<1>(first)));
}

// Which pair of kinds a group has.
constexpr int pair_of(step_kind a, step_kind b) { return static_cast<int>(a) * 8 + static_cast<int>(b); }

task<std::string> carry_out(context step, const step_effect& effect, script what) {
  using kind = step_kind;
  std::string output;
  for (const auto& part : what.stages) {
    try {
      if (part.how == gathering::failure) {
        throw std::runtime_error{"as written"};
      } else if (part.how == gathering::each) {
        const auto& op = part.operations[0];
        const std::vector<int> elements(static_cast<std::size_t>(part.times));
        const auto call = [&](int) { return effect(op); };
        const auto results = co_await step.for_each(op.id, elements, call);
        for (const auto token : results) output += text_of(token);
      } else if (part.how == gathering::one) {
        const auto& op = part.operations[0];
        if (op.kind == kind::run) {
          auto awaited = step_of(step, effect, op);
          const auto token = co_await std::move(awaited);
          output += text_of(token);
        } else if (op.kind == kind::sleep) {
          auto awaited = sleep_of(step, op);
          co_await std::move(awaited);
          output += "z";
        } else if (op.kind == kind::wait_for_event && is_signal_event(op.event)) {
          auto awaited = signal_of(step, op);
          const auto got = co_await std::move(awaited);
          output += got ? text_of_signal(got->data.json()) : "[-]";
        } else if (op.kind == kind::wait_for_event) {
          auto awaited = wait_of(step, op);
          const auto e = co_await std::move(awaited);
          output += text_of_wait(e);
        } else if (op.kind == kind::send_event) {
          const event sent{.name = op.event, .data = {{"key", op.key}, {"n", 3}}};
          co_await step.send_event(op.id, sent);
          output += "s";
        } else {
          auto awaited = invoke_of(step, op);
          const auto result = co_await std::move(awaited);
          output += text_of(result);
        }
      } else {
        const auto& a = part.operations[0];
        const auto& b = part.operations[1];
#define CAESURA_GROUP(kind_a, kind_b, make_a, make_b)                             \
  case pair_of(kind::kind_a, kind::kind_b): {                                     \
    auto first = make_a;                                                          \
    auto second = make_b;                                                         \
    if (part.how == gathering::all) {                                             \
      const auto both = co_await caesura::all(std::move(first), std::move(second)); \
      output += text_of(both);                                                    \
    } else {                                                                      \
      const auto one = co_await caesura::any(std::move(first), std::move(second)); \
      output += text_of_first(one);                                               \
    }                                                                             \
    break;                                                                        \
  }
        switch (pair_of(a.kind, b.kind)) {
          CAESURA_GROUP(run, run, step_of(step, effect, a), step_of(step, effect, b))
          CAESURA_GROUP(run, sleep, step_of(step, effect, a), sleep_of(step, b))
          CAESURA_GROUP(run, wait_for_event, step_of(step, effect, a), wait_of(step, b))
          CAESURA_GROUP(wait_for_event, run, wait_of(step, a), step_of(step, effect, b))
          CAESURA_GROUP(wait_for_event, sleep, wait_of(step, a), sleep_of(step, b))
          CAESURA_GROUP(wait_for_event, wait_for_event, wait_of(step, a), wait_of(step, b))
          CAESURA_GROUP(invoke, run, invoke_of(step, a), step_of(step, effect, b))
          CAESURA_GROUP(invoke, sleep, invoke_of(step, a), sleep_of(step, b))
          CAESURA_GROUP(invoke, wait_for_event, invoke_of(step, a), wait_of(step, b))
          default: throw std::logic_error{"no such pair"};
        }
#undef CAESURA_GROUP
      }
    } catch (const std::exception&) {
      output += "!";
      if (!part.catches) throw;
    }
  }
  co_return output;
}

}  // namespace

void to_json(nlohmann::json& out, const script& value) {
  out = {{"key", value.key}, {"n", value.number}, {"stages", json::array()}};
  for (const auto& part : value.stages) {
    json one{{"how", static_cast<int>(part.how)}, {"operations", json::array()}};
    if (part.times > 0) one["times"] = part.times;
    if (part.catches) one["catches"] = true;
    for (const auto& op : part.operations) one["operations"].push_back(json_of(op));
    out["stages"].push_back(std::move(one));
  }
}

void from_json(const nlohmann::json& in, script& value) {
  value.key = in["key"];
  value.number = in["n"];
  for (const auto& one : in["stages"]) {
    stage part{.how = static_cast<gathering>(one["how"].get<int>()), .times = one.value("times", 0), .catches = one.value("catches", false)};
    for (const auto& op : one["operations"]) part.operations.push_back(operation_of(op));
    value.stages.push_back(std::move(part));
  }
}

const std::vector<wait_rule>& wait_rules() {
  static const auto number = [](const json& data) { return data.contains("n") && data["n"].is_number() ? data["n"].get<int>() : -1; };
  static const std::vector<wait_rule> rules{
      {"event.data.key == async.data.key", [](const json& e, const json& a) { return e["key"] == a["key"]; }},
      {"true", [](const json&, const json&) { return true; }},
      {"event.data.key == async.data.key && async.data.n > 2",
       [](const json& e, const json& a) { return e["key"] == a["key"] && number(a) > 2; }},
      {"async.data.n == event.data.n || async.data.key == 'k3'",
       [](const json& e, const json& a) { return number(e) == number(a) || a["key"] == "k3"; }},
  };
  return rules;
}

script random_script(random_source& random, const language& allowed, int depth) { return generator{random, allowed, depth}.make(); }

progress progress_of(const script& what, const std::vector<step_info>& rows) { return reader{what, rows}.read(); }

function_body scripted(const step_effect& effect) {
  return [&effect](context step, nlohmann::json data) -> task<std::string> { return carry_out(step, effect, data.get<script>()); };
}

function_body scripted(const step_effect& effect, script fixed) {
  return [&effect, fixed = std::move(fixed)](context step) -> task<std::string> { return carry_out(step, effect, fixed); };
}

function_body scripted_batch(const step_effect& effect) {
  return [&effect](context step, std::vector<event> events) -> task<std::string> {
    script joined;
    for (const auto& e : events) {
      auto one = e.data.get<script>();
      std::ranges::move(one.stages, std::back_inserter(joined.stages));
    }
    return carry_out(step, effect, std::move(joined));
  };
}

}  // namespace caesura::simulation
