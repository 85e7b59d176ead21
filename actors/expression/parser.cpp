#include "actors/expression/parser.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <caesura/time.hpp>

#include "actors/expression/tokens.hpp"

namespace caesura::expression {

namespace {

struct known_function {
  std::string_view name;
  function_kind kind;
  std::size_t arguments;  // with the receiver of a method
  bool is_method;
};

constexpr std::array<known_function, 11> functions{{{"size", function_kind::size, 1, false},
                                                    {"has", function_kind::has, 1, false},
                                                    {"int", function_kind::to_int, 1, false},
                                                    {"double", function_kind::to_double, 1, false},
                                                    {"string", function_kind::to_string, 1, false},
                                                    {"timestamp", function_kind::timestamp, 1, false},
                                                    {"duration", function_kind::duration, 1, false},
                                                    {"startsWith", function_kind::starts_with, 2, true},
                                                    {"endsWith", function_kind::ends_with, 2, true},
                                                    {"contains", function_kind::contains, 2, true},
                                                    {"matches", function_kind::matches, 2, true}}};

struct binary_operator {
  std::string_view text;
  node_kind kind;
};
// By precedence, loosest first; all are left associative.
const std::array<std::vector<binary_operator>, 5> levels{{{{"||", node_kind::logical_or}},
                                                          {{"&&", node_kind::logical_and}},
                                                          {{"==", node_kind::equal},
                                                           {"!=", node_kind::not_equal},
                                                           {"<", node_kind::less},
                                                           {"<=", node_kind::less_equal},
                                                           {">", node_kind::greater},
                                                           {">=", node_kind::greater_equal},
                                                           {"in", node_kind::in}},
                                                          {{"+", node_kind::add}, {"-", node_kind::subtract}},
                                                          {{"*", node_kind::multiply}, {"/", node_kind::divide}, {"%", node_kind::remainder}}}};

struct failed {
  fault what;
};

class parser {
 public:
  parser(std::vector<token> tokens, roots allowed, const limits& limits)
      : tokens_{std::move(tokens)}, allowed_{allowed}, limits_{limits} {}

  node_ptr whole() {
    auto tree = conditional();
    if (peek().kind != token_kind::end) fail(peek().position, "unexpected " + shown(peek()) + " after the end of the expression");
    return tree;
  }

 private:
  class nesting {
   public:
    explicit nesting(parser& owner) : owner_{owner} {
      if (++owner_.depth_ > owner_.limits_.depth) {
        owner_.fail(owner_.peek().position, "the expression is nested more than " + std::to_string(owner_.limits_.depth) + " deep");
      }
    }
    ~nesting() { --owner_.depth_; }
    nesting(const nesting&) = delete;
    nesting& operator=(const nesting&) = delete;

   private:
    parser& owner_;
  };

  [[noreturn]] static void fail(std::size_t position, std::string why) { throw failed{{position, std::move(why)}}; }

  static std::string shown(const token& t) {
    if (t.kind == token_kind::end) return "end of the expression";
    if (t.kind == token_kind::integer || t.kind == token_kind::real) return "a number";
    return (t.kind == token_kind::text ? "text \"" : "\"") + t.text + "\"";
  }

  const token& peek() const { return tokens_[at_]; }
  bool is(std::string_view symbol) const {
    return peek().text == symbol && (peek().kind == token_kind::symbol || (symbol == "in" && peek().kind == token_kind::name));
  }
  bool accept(std::string_view symbol) {
    if (!is(symbol)) return false;
    ++at_;
    return true;
  }
  void expect(std::string_view symbol, const char* where) {
    if (!accept(symbol)) fail(peek().position, "expected \"" + std::string{symbol} + "\" " + where + ", found " + shown(peek()));
  }

  static node_ptr make(node_kind kind, std::size_t position) {
    auto result = std::make_unique<node>();
    result->kind = kind;
    result->position = position;
    return result;
  }
  static node_ptr make(node_kind kind, std::size_t position, node_ptr a, node_ptr b) {
    auto result = make(kind, position);
    result->children.push_back(std::move(a));
    result->children.push_back(std::move(b));
    return result;
  }

  node_ptr conditional() {
    const nesting deeper{*this};
    auto condition = binary(0);
    const auto position = peek().position;
    if (!accept("?")) return condition;
    auto yes = conditional();
    expect(":", "after the first branch of ?");
    auto no = conditional();
    auto result = make(node_kind::conditional, position, std::move(condition), std::move(yes));
    result->children.push_back(std::move(no));
    return result;
  }

  node_ptr binary(std::size_t level) {
    if (level == levels.size()) return unary();
    auto left = binary(level + 1);
    for (std::size_t chained = 0;;) {
      const auto found = std::ranges::find_if(levels[level], [&](const binary_operator& op) { return is(op.text); });
      if (found == levels[level].end()) return left;
      // A chain of operators nests to the left: it counts as depth, so that evaluation recurses no deeper than the limit.
      if (++chained + depth_ > limits_.depth) {
        fail(peek().position, "the expression is nested more than " + std::to_string(limits_.depth) + " deep");
      }
      const auto position = peek().position;
      ++at_;
      left = make(found->kind, position, std::move(left), binary(level + 1));
    }
  }

  node_ptr unary() {
    const auto position = peek().position;
    if (accept("!")) {
      const nesting deeper{*this};
      auto result = make(node_kind::unary_not, position);
      result->children.push_back(unary());
      return result;
    }
    if (accept("-")) {
      const nesting deeper{*this};
      auto operand = unary();
      if (operand->kind == node_kind::literal) {
        const auto value = operand->literal.json();
        if (value.is_number_integer()) operand->literal = document(-value.get<std::int64_t>());
        if (value.is_number_float()) operand->literal = document(-value.get<double>());
        if (value.is_number()) return operand;
      }
      auto result = make(node_kind::unary_minus, position);
      result->children.push_back(std::move(operand));
      return result;
    }
    return postfix();
  }

  // A root with nothing behind it: its methods and numbered elements would be those of no value.
  static void refuse_bare_root(const node& n) {
    if (n.kind != node_kind::path || !n.path.empty()) return;
    const std::string root = n.root == root_kind::event ? "event" : n.root == root_kind::async ? "async" : "run";
    fail(n.position, "\"" + root + "\" alone is no value: write " + root + (root == "run" ? ".status" : ".data.…"));
  }

  node_ptr postfix() {
    auto value = primary();
    for (std::size_t chained = 0;;) {
      const auto position = peek().position;
      if (is(".") || is("[")) {
        if (++chained + depth_ > limits_.depth) fail(position, "the path has more than " + std::to_string(limits_.depth) + " parts");
      }
      if (accept(".")) {
        if (peek().kind != token_kind::name) fail(peek().position, "expected a name after \".\", found " + shown(peek()));
        const auto name = tokens_[at_++].text;
        if (is("(")) refuse_bare_root(*value);
        value = is("(") ? method(std::move(value), name, position) : member(std::move(value), name, position);
      } else if (accept("[")) {
        auto key = conditional();
        expect("]", "to close the index");
        if (key->kind == node_kind::literal && key->literal.json().is_string()) {
          value = member(std::move(value), key->literal.json().get<std::string>(), position);
        } else {
          refuse_bare_root(*value);
          value = make(node_kind::index, position, std::move(value), std::move(key));
        }
      } else {
        return value;
      }
    }
  }

  static node_ptr member(node_ptr of, const std::string& name, std::size_t position) {
    if (of->kind == node_kind::path) {
      of->path.push_back(name);
      return of;
    }
    auto result = make(node_kind::select, position);
    result->name = name;
    result->children.push_back(std::move(of));
    return result;
  }

  node_ptr method(node_ptr receiver, const std::string& name, std::size_t position) {
    expect("(", "to call it");
    for (const auto& [text, kind] : {std::pair{"all", node_kind::all}, {"exists", node_kind::exists}, {"exists_one", node_kind::exists_one}}) {
      if (name == text) return macro(std::move(receiver), kind, position);
    }
    std::vector<node_ptr> arguments;
    arguments.push_back(std::move(receiver));
    read_arguments(arguments);
    return call(name, true, std::move(arguments), position);
  }

  [[nodiscard]] bool is_root(const std::string& name) const {
    return name == "event" || name == "async" || (name == "run" && allowed_ == roots::event_and_run);
  }

  node_ptr macro(node_ptr range, node_kind kind, std::size_t position) {
    if (peek().kind != token_kind::name) fail(peek().position, "expected the name of the macro's variable, found " + shown(peek()));
    const auto variable = tokens_[at_++].text;
    if (is_root(variable) || is_reserved(variable)) {
      fail(tokens_[at_ - 1].position, "\"" + variable + "\" cannot name the macro's variable");
    }
    expect(",", "after the macro's variable");
    variables_.push_back(variable);
    auto condition = conditional();
    variables_.pop_back();
    expect(")", "to close the macro");
    auto result = make(kind, position, std::move(range), std::move(condition));
    result->slot = variables_.size();
    return result;
  }

  static bool is_reserved(std::string_view name) { return name == "true" || name == "false" || name == "null" || name == "in"; }

  void read_arguments(std::vector<node_ptr>& arguments) {
    if (accept(")")) return;
    do {
      arguments.push_back(conditional());
    } while (accept(","));
    expect(")", "to close the call");
  }

  node_ptr call(const std::string& name, bool is_method, std::vector<node_ptr> arguments, std::size_t position) {
    const auto known = std::ranges::find(functions, name, &known_function::name);
    if (known == functions.end()) fail(position, "there is no function \"" + name + "\"");
    if (known->is_method != is_method && known->kind != function_kind::size) {
      fail(position, known->is_method ? "write text." + name + "(…)" : "write " + name + "(…)");
    }
    if (arguments.size() != known->arguments) fail(position, "\"" + name + "\" has the wrong number of arguments");
    auto result = make(node_kind::call, position);
    result->function = known->kind;
    result->children = std::move(arguments);
    check_literals(*result);
    return result;
  }

  // What a literal argument can be checked for is checked now, where the position is known.
  static void check_literals(node& called) {
    const auto& last = *called.children.back();
    const bool is_text = last.kind == node_kind::literal && last.literal.json().is_string();
    if (called.function == function_kind::has && last.kind != node_kind::path && last.kind != node_kind::select) {
      fail(last.position, "has(…) takes a path");
    }
    if (!is_text) return;
    const auto text = last.literal.json().get<std::string>();
    if (called.function == function_kind::matches) {
      RE2::Options options{RE2::Quiet};
      options.set_max_mem(std::int64_t{1} << 20);
      auto pattern = std::make_shared<const RE2>(text, options);
      if (!pattern->ok()) fail(last.position, "the pattern is malformed: " + pattern->error());
      called.pattern = std::move(pattern);
    }
    if (called.function == function_kind::timestamp && !parse_time(text)) fail(last.position, "this is no RFC 3339 time");
    if (called.function == function_kind::duration && !parse_duration(text)) fail(last.position, "this is no duration such as \"1h30m\"");
  }

  node_ptr literal(document value) {
    auto result = make(node_kind::literal, peek().position);
    result->literal = std::move(value);
    ++at_;
    return result;
  }

  node_ptr primary() {
    const token& t = peek();
    switch (t.kind) {
      case token_kind::integer: return literal(document(t.integer));
      case token_kind::real: return literal(document(t.real));
      case token_kind::text: return literal(document(t.text));
      case token_kind::name: return named();
      case token_kind::end: fail(t.position, "the expression ends too early");
      case token_kind::symbol: break;
    }
    if (accept("(")) {
      auto inner = conditional();
      expect(")", "to close the parenthesis");
      return inner;
    }
    if (is("[")) return list();
    fail(t.position, "unexpected " + shown(t));
  }

  node_ptr list() {
    auto result = make(node_kind::list, peek().position);
    expect("[", "to open the list");
    if (accept("]")) return result;
    do {
      result->children.push_back(conditional());
    } while (accept(","));
    expect("]", "to close the list");
    return result;
  }

  node_ptr named() {
    const token t = peek();
    if (t.text == "true" || t.text == "false") return literal(document(t.text == "true"));
    if (t.text == "null") return literal(document());
    ++at_;
    if (is("(")) {
      ++at_;
      std::vector<node_ptr> arguments;
      read_arguments(arguments);
      return call(t.text, false, std::move(arguments), t.position);
    }
    const auto variable = std::ranges::find(variables_.rbegin(), variables_.rend(), t.text);
    if (variable != variables_.rend()) {
      auto result = make(node_kind::variable, t.position);
      result->slot = static_cast<std::size_t>(variables_.rend() - variable) - 1;
      return result;
    }
    if (!is_root(t.text)) {
      const std::string second = allowed_ == roots::event_and_async ? " and async" : allowed_ == roots::event_and_run ? " and run" : "";
      fail(t.position, "unknown name \"" + t.text + "\": this expression knows event" + second);
    }
    if (t.text == "async" && allowed_ == roots::event) fail(t.position, "a trigger's condition knows event, but no async");
    if (t.text == "async" && allowed_ == roots::event_and_run) fail(t.position, "a filter of runs knows event and run, but no async");
    if (!is(".") && !is("[")) {
      fail(t.position, "\"" + t.text + "\" alone is no value: write " + t.text + (t.text == "run" ? ".status" : ".data.…"));
    }
    auto result = make(node_kind::path, t.position);
    result->root = t.text == "event" ? root_kind::event : t.text == "run" ? root_kind::run : root_kind::async;
    return result;
  }

  const std::vector<token> tokens_;
  const roots allowed_;
  const limits& limits_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::vector<std::string> variables_;
};

}  // namespace

std::variant<node_ptr, fault> parse_tree(std::string_view text, roots allowed, const limits& limits) {
  if (text.size() > limits.length) {
    return fault{limits.length, "the expression has " + std::to_string(text.size()) + " bytes; the limit is " + std::to_string(limits.length)};
  }
  if (!storage::is_utf8(text)) return fault{0, "the expression is not UTF-8"};
  auto tokens = split(text);
  if (auto* wrong = std::get_if<fault>(&tokens)) return *wrong;
  try {
    return parser{std::get<std::vector<token>>(std::move(tokens)), allowed, limits}.whole();
  } catch (const failed& e) {
    return e.what;
  }
}

}  // namespace caesura::expression
