#include "runtime/server/sdk_flow.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace caesura::server {

namespace {

using nlohmann::json;

// The members of one option; what is wrong is told with the option's place.
class option_reader {
 public:
  option_reader(const json& option, std::string where, std::vector<std::string>& faults) : option_{option}, where_{std::move(where)}, faults_{faults} {
    if (!option_.is_object()) faults_.push_back(where_ + " is no object");
  }

  [[nodiscard]] std::string text(const char* name) const {
    const auto* found = member(name);
    if (found == nullptr) return {};
    if (found->is_string()) return found->get<std::string>();
    faults_.push_back(where_ + "." + name + " is no text");
    return {};
  }
  [[nodiscard]] std::optional<duration> length(const char* name) const {
    const auto given = text(name);
    if (given.empty()) return std::nullopt;
    const auto value = parse_duration(given);
    if (!value) faults_.push_back(where_ + "." + name + " is \"" + given + "\", which is no duration such as \"1d2h\"");
    return value;
  }
  [[nodiscard]] duration required_length(const char* name) const {
    if (member(name) == nullptr) faults_.push_back(where_ + "." + name + " is missing");
    return length(name).value_or(duration{0});
  }
  [[nodiscard]] std::optional<std::uint32_t> count(const char* name) const {
    const auto* found = member(name);
    if (found == nullptr) return std::nullopt;
    if (found->is_number_integer() && found->get<std::int64_t>() >= 0 && found->get<std::int64_t>() <= UINT32_MAX) return found->get<std::uint32_t>();
    faults_.push_back(where_ + "." + name + " is no whole number");
    return std::nullopt;
  }
  void refuse(const std::string& why) const { faults_.push_back(where_ + why); }

 private:
  [[nodiscard]] const json* member(const char* name) const {
    if (!option_.is_object()) return nullptr;
    const auto found = option_.find(name);
    return found == option_.end() || found->is_null() ? nullptr : &*found;
  }

  const json& option_;
  std::string where_;
  std::vector<std::string>& faults_;
};

std::uint32_t at_least_one(std::optional<std::uint32_t> limit) { return std::max<std::uint32_t>(limit.value_or(1), 1); }

}  // namespace

void read_flow(const json& registered, const std::string& where, function& into, std::vector<std::string>& faults) {
  const auto with = [&](const char* name, auto&& read) {
    const auto found = registered.find(name);
    if (found == registered.end() || found->is_null()) return;
    read(option_reader{*found, where + ": " + name, faults});
  };
  with("throttle", [&](const option_reader& option) {
    into.throttle = throttle{.limit = at_least_one(option.count("limit")), .period = option.required_length("period"), .burst = option.count("burst").value_or(0), .key = option.text("key")};
  });
  with("rateLimit", [&](const option_reader& option) {
    into.rate_limit = rate_limit{.limit = at_least_one(option.count("limit")), .period = option.required_length("period"), .key = option.text("key")};
  });
  with("debounce", [&](const option_reader& option) {
    into.debounce = debounce{.period = option.required_length("period"), .key = option.text("key"), .timeout = option.length("timeout")};
  });
  with("batchEvents", [&](const option_reader& option) {
    into.batch = batch{.max_events = option.count("maxSize").value_or(0), .timeout = option.required_length("timeout"), .key = option.text("key"), .when = option.text("if")};
  });
  with("priority", [&](const option_reader& option) { into.priority = option.text("run"); });
  with("singleton", [&](const option_reader& option) {
    into.singleton = singleton{.key = option.text("key")};
    const auto mode = option.text("mode");
    if (mode == "cancel") {
      into.singleton->mode = singleton_mode::cancel;
    } else if (!mode.empty() && mode != "skip") {
      option.refuse(".mode is \"" + mode + "\"; it may be \"skip\" or \"cancel\"");
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
  const option_reader option{registered, where, faults};
  return {.cron = option.text("cron"), .jitter = option.length("jitter").value_or(duration{0})};
}

}  // namespace caesura::server
