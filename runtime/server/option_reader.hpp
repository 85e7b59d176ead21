#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <caesura/time.hpp>

namespace caesura::server {

// The members of one object of a registration. What is wrong, a member that is none of `known` among it, is added to `faults` with the object's place, and is
// read as if it were not there. Null is not there. Borrows the object and the faults.
class option_reader {
 public:
  option_reader(const nlohmann::json& option, std::string where, std::initializer_list<std::string_view> known, std::vector<std::string>& faults)
      : option_{option}, where_{std::move(where)}, faults_{faults} {
    if (!option_.is_object()) {
      faults_.push_back(where_ + " is no object");
      return;
    }
    for (const auto& [name, value] : option_.items()) {
      if (!value.is_null() && std::ranges::find(known, std::string_view{name}) == known.end()) faults_.push_back(where_ + "." + name + " is not supported by this server");
    }
  }

  [[nodiscard]] bool has(const char* name) const { return member(name) != nullptr; }
  [[nodiscard]] std::string text(const char* name) const {
    const auto* found = member(name);
    if (found == nullptr) return {};
    if (found->is_string()) return found->get<std::string>();
    refuse_member(name, " is no text");
    return {};
  }
  [[nodiscard]] std::optional<duration> length(const char* name) const {
    const auto given = text(name);
    if (given.empty()) return std::nullopt;
    const auto value = parse_duration(given);
    if (!value) refuse_member(name, " is \"" + given + "\", which is no duration such as \"1d2h\"");
    return value;
  }
  [[nodiscard]] duration required_length(const char* name) const {
    if (!has(name)) refuse_member(name, " is missing");
    return length(name).value_or(duration{0});
  }
  [[nodiscard]] std::optional<std::uint32_t> count(const char* name) const {
    const auto* found = member(name);
    if (found == nullptr) return std::nullopt;
    if (found->is_number_integer() && found->get<std::int64_t>() >= 0 && found->get<std::int64_t>() <= UINT32_MAX) return found->get<std::uint32_t>();
    refuse_member(name, " is no whole number");
    return std::nullopt;
  }
  // Empty: there is none.
  [[nodiscard]] std::vector<nlohmann::json> list(const char* name) const {
    const auto* found = member(name);
    if (found == nullptr) return {};
    if (found->is_array()) return found->get<std::vector<nlohmann::json>>();
    refuse_member(name, " is no list");
    return {};
  }
  // nullptr: there is none.
  [[nodiscard]] const nlohmann::json* member(const char* name) const {
    if (!option_.is_object()) return nullptr;
    const auto found = option_.find(name);
    return found == option_.end() || found->is_null() ? nullptr : &*found;
  }
  void refuse_member(std::string_view name, const std::string& why) const { faults_.push_back(where_ + "." + std::string{name} + why); }
  [[nodiscard]] const std::string& where() const noexcept { return where_; }

 private:
  const nlohmann::json& option_;
  std::string where_;
  std::vector<std::string>& faults_;
};

}  // namespace caesura::server
