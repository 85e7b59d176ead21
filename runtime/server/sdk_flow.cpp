#include "runtime/server/sdk_flow.hpp"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include "runtime/server/option_reader.hpp"

namespace caesura::server {

namespace {

using nlohmann::json;

std::uint32_t at_least_one(std::optional<std::uint32_t> limit) { return std::max<std::uint32_t>(limit.value_or(1), 1); }

}  // namespace

void read_flow(const json& registered, const std::string& where, function& into, std::vector<std::string>& faults) {
  const auto with = [&](const char* name, std::initializer_list<std::string_view> known, auto&& read) {
    const auto found = registered.find(name);
    if (found == registered.end() || found->is_null()) return;
    read(option_reader{*found, where + ": " + name, known, faults});
  };
  with("throttle", {"limit", "period", "burst", "key", "scope"}, [&](const option_reader& option) {
    if (const auto scope = option.text("scope"); !scope.empty() && scope != "fn") option.refuse_member("scope", " is \"" + scope + "\"; it may be \"fn\"");
    into.throttle = throttle{.limit = at_least_one(option.count("limit")), .period = option.required_length("period"), .burst = option.count("burst").value_or(0), .key = option.text("key")};
  });
  with("rateLimit", {"limit", "period", "key"}, [&](const option_reader& option) {
    into.rate_limit = rate_limit{.limit = at_least_one(option.count("limit")), .period = option.required_length("period"), .key = option.text("key")};
  });
  with("debounce", {"period", "key", "timeout"}, [&](const option_reader& option) {
    into.debounce = debounce{.period = option.required_length("period"), .key = option.text("key"), .timeout = option.length("timeout")};
  });
  with("batchEvents", {"maxSize", "timeout", "key", "if"}, [&](const option_reader& option) {
    into.batch = batch{.max_events = option.count("maxSize").value_or(0), .timeout = option.required_length("timeout"), .key = option.text("key"), .when = option.text("if")};
  });
  with("priority", {"run"}, [&](const option_reader& option) { into.priority = option.text("run"); });
  with("singleton", {"key", "mode"}, [&](const option_reader& option) {
    into.singleton = singleton{.key = option.text("key")};
    const auto mode = option.text("mode");
    if (mode == "cancel") {
      into.singleton->mode = singleton_mode::cancel;
    } else if (!mode.empty() && mode != "skip") {
      option.refuse_member("mode", " is \"" + mode + "\"; it may be \"skip\" or \"cancel\"");
    }
  });
  if (const auto found = registered.find("idempotency"); found != registered.end() && !found->is_null()) {
    if (found->is_string()) {
      into.idempotency = found->get<std::string>();
      into.rate_limit.reset();
    } else {
      faults.push_back(where + ": idempotency is no text");
    }
  }
}

trigger read_cron(const json& registered, const std::string& where, std::vector<std::string>& faults) {
  const option_reader option{registered, where, {"cron", "jitter"}, faults};
  return {.cron = option.text("cron"), .jitter = option.length("jitter").value_or(duration{0})};
}

}  // namespace caesura::server
