#include "runtime/server/gql_execution.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace caesura::server::graphql {

namespace {

using nlohmann::json;

std::string in_quotes(std::string_view text) { return std::string{"\""}.append(text).append("\""); }

// The request as it is carried out: text, variables, and counts of what is visited and shown, because fragments that spread
// fragments and lists within lists multiply.
class request {
 public:
  request(const schema& types, const document& text, json variables) : types_{types}, text_{text}, variables_(std::move(variables)) {}

  // ---- before anything is carried out

  void validate(const std::vector<selection>& selections, std::string_view type_name, std::size_t depth = 0) {
    if (depth > depth_limit) throw request_error{"The request is nested more than " + std::to_string(depth_limit) + " deep."};
    const auto& type = find_type(type_name);
    for (const auto& one : selections) {
      if (++visited_ > field_limit) throw request_error{"The request has more than " + std::to_string(field_limit) + " fields."};
      (void)is_wanted(one, variables_);
      if (one.kind == selection::what::field) {
        validate_field(one, type, depth);
      } else if (one.kind == selection::what::spread) {
        const auto& spread = fragment_of(one.name);
        validate(spread.selections, condition(spread.on, type), depth + 1);
      } else {
        validate(one.selections, one.on.empty() ? type.name : condition(one.on, type), depth + 1);
      }
    }
  }

  // ---- carrying out

  json carry_out(const std::vector<selection>& selections, const node& object, json path, json& errors) {
    if (++shown_ > object_limit) throw request_error{"The answer has more than " + std::to_string(object_limit) + " objects."};
    json data = json::object();
    for (const auto& same : fields_of(selections, object.type)) {
      const auto& alias = same.front()->alias;
      count_field(alias.size());
      auto here = path;
      here.push_back(alias);
      try {
        data[alias] = value(same, object, here, errors);
      } catch (const std::exception& e) {
        if (is_too_much()) throw;  // not this field alone: the whole answer
        data[alias] = nullptr;
        errors.push_back({{"message", e.what()}, {"path", here}});
        count_bytes(errors.back().dump(-1, ' ', false, json::error_handler_t::replace).size());
      }
    }
    return data;
  }

 private:
  const object_type& find_type(std::string_view name) const {
    const auto found = std::ranges::find(types_, name, &object_type::name);
    if (found == types_.end()) throw request_error{"Unknown type " + in_quotes(name) + "."};
    return *found;
  }
  const fragment& fragment_of(const std::string& name) const {
    const auto found = text_.fragments.find(name);
    if (found == text_.fragments.end()) throw request_error{"Unknown fragment " + in_quotes(name) + "."};
    return found->second;
  }
  bool applies(std::string_view on, std::string_view type) const {
    if (on.empty() || on == type) return true;
    const auto& members = find_type(on).members;
    return std::ranges::find(members, type) != members.end();
  }
  std::string_view condition(const std::string& on, const object_type& type) const {
    const auto& named = find_type(on);
    if (!applies(on, type.name) && !applies(type.name, on)) {
      throw request_error{"A fragment on type " + in_quotes(on) + " can never apply to type " + in_quotes(type.name) + "."};
    }
    return named.name;
  }

  void validate_field(const selection& one, const object_type& type, std::size_t depth) {
    if (one.name == "__typename") return;
    const auto known = std::ranges::find(type.fields, std::string_view{one.name}, &field_type::name);
    if (known == type.fields.end()) throw request_error{"Cannot query field " + in_quotes(one.name) + " on type " + in_quotes(type.name) + "."};
    for (const auto& [name, written] : one.arguments) {
      if (std::ranges::find(known->arguments, std::string_view{name}) == known->arguments.end()) {
        throw request_error{"Unknown argument " + in_quotes(name) + " on field " + in_quotes(std::string{type.name} + "." + one.name) + "."};
      }
      (void)value_of(written, variables_);
    }
    const auto arguments = arguments_of(one);
    for (const auto name : known->required) {
      const auto found = arguments.find(name);
      if (found == arguments.end() || found->is_null()) {
        throw request_error{"The argument " + in_quotes(name) + " of field " + in_quotes(std::string{type.name} + "." + one.name) + " is required."};
      }
    }
    if (known->type.empty() && !one.selections.empty()) throw request_error{"Field " + in_quotes(one.name) + " must not have a selection: it is a scalar."};
    if (!known->type.empty() && one.selections.empty()) throw request_error{"Field " + in_quotes(one.name) + " must have a selection: it is a " + std::string{known->type} + "."};
    if (!known->type.empty()) validate(one.selections, known->type, depth + 1);
  }

  [[nodiscard]] json arguments_of(const selection& one) const {
    json values = json::object();
    for (const auto& [name, written] : one.arguments) values[name] = value_of(written, variables_);
    return values;
  }

  [[nodiscard]] bool is_too_much() const { return shown_ > object_limit || shown_fields_ > answer_field_limit || shown_bytes_ > answer_limit_bytes; }
  void count_field(std::size_t name_bytes) {
    if (++shown_fields_ > answer_field_limit) throw request_error{"The answer has more than " + std::to_string(answer_field_limit) + " fields."};
    count_bytes(name_bytes);
  }
  void count_bytes(std::size_t bytes) {
    if ((shown_bytes_ += bytes) > answer_limit_bytes) throw request_error{"The answer has more than " + std::to_string(answer_limit_bytes) + " bytes."};
  }
  json counted(json value) {
    count_bytes(value.is_string() ? value.get_ref<const std::string&>().size() : value.is_structured() ? value.dump(-1, ' ', false, json::error_handler_t::replace).size() : 0);
    return value;
  }

  // What is to be shown of an object of this type, by its name in the answer, in the order in which it is asked for.
  std::vector<std::vector<const selection*>> fields_of(const std::vector<selection>& selections, std::string_view type) const {
    std::vector<const selection*> all;
    collect(selections, type, all);
    std::vector<std::vector<const selection*>> fields;
    std::unordered_map<std::string_view, std::size_t> places;
    for (const auto* const one : all) {
      const auto [place, is_new] = places.emplace(one->alias, fields.size());
      if (is_new) fields.emplace_back();
      fields[place->second].push_back(one);
    }
    return fields;
  }

  void collect(const std::vector<selection>& selections, std::string_view type, std::vector<const selection*>& fields) const {
    for (const auto& one : selections) {
      if (!is_wanted(one, variables_)) continue;
      if (one.kind == selection::what::field) {
        fields.push_back(&one);
      } else if (one.kind == selection::what::spread) {
        const auto& spread = fragment_of(one.name);
        if (applies(spread.on, type)) collect(spread.selections, type, fields);
      } else if (applies(one.on, type)) {
        collect(one.selections, type, fields);
      }
    }
  }

  json value(const std::vector<const selection*>& same, const node& object, const json& path, json& errors) {
    const auto& first = *same.front();
    if (first.name == "__typename") return object.type;
    const auto scalar = object.scalars.find(first.name);
    if (scalar != object.scalars.end()) return counted(*scalar);
    const auto lookup = object.lookups.find(first.name);
    if (lookup == object.lookups.end()) return nullptr;
    auto found = lookup->second(arguments_of(first));
    if (auto* plain = std::get_if<json>(&found)) return counted(std::move(*plain));
    std::vector<selection> merged;
    for (const auto* one : same) merged.insert(merged.end(), one->selections.begin(), one->selections.end());
    const auto shown = [&](const node_ptr& one, const json& where) { return one ? carry_out(merged, *one, where, errors) : json{}; };
    if (const auto* one = std::get_if<node_ptr>(&found)) return shown(*one, path);
    json list = json::array();
    for (const auto& one : std::get<std::vector<node_ptr>>(found)) {
      auto where = path;
      where.push_back(list.size());
      list.push_back(shown(one, where));
    }
    return list;
  }

  const schema& types_;
  const document& text_;
  const json variables_;
  std::size_t visited_ = 0;
  std::size_t shown_ = 0;  // objects
  std::size_t shown_fields_ = 0;
  std::size_t shown_bytes_ = 0;
};

}  // namespace

json execute(const schema& types, const node_ptr& query, const node_ptr& mutation, std::string_view text, const json& variables, const std::string& operation_name) {
  try {
    const auto parsed = parse(text);
    const auto& chosen = operation_of(parsed, operation_name);
    request asked{types, parsed, variables_of(chosen, variables)};
    const auto& root = chosen.is_mutation ? mutation : query;
    asked.validate(chosen.selections, root->type);
    json errors = json::array();
    json answer{{"data", asked.carry_out(chosen.selections, *root, json::array(), errors)}};
    if (!errors.empty()) answer["errors"] = std::move(errors);
    return answer;
  } catch (const std::exception& e) {
    return {{"data", nullptr}, {"errors", json::array({{{"message", e.what()}}})}};
  }
}

}  // namespace caesura::server::graphql
