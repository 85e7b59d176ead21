#include "actors/expression/expression.hpp"

#include <algorithm>
#include <string_view>

#include "tests/fuzz/targets.hpp"

namespace caesura::fuzz {

namespace {

using namespace caesura::expression;

caesura::document data_of(std::string_view text, caesura::document otherwise) try {
  auto made = caesura::document::parse(text);
  return made.is_object() ? made : otherwise;
} catch (const error&) {
  return otherwise;
}

std::string_view next_line(std::string_view& text) {
  const auto end = text.find('\n');
  const auto line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

}  // namespace

void expression(bytes input) {
  static const caesura::document usual{{"id", "t-1"}, {"n", 1}, {"nul", nullptr}, {"list", {1, 2, 3}}, {"o", {{"k", "v"}}}, {"text", "h\xC3\xA9llo"}};
  std::string_view rest{reinterpret_cast<const char*>(input.data()), input.size()};
  const auto text = next_line(rest);
  const auto trigger = data_of(next_line(rest), usual);
  const auto incoming = data_of(rest, usual);
  const event_scope event{.id = "e-1", .name = "go", .ts = 1'000, .data = storage::document_view{trigger.bytes()}};
  const event_scope async{.id = "a-1", .name = "stop", .ts = 2'000, .data = storage::document_view{incoming.bytes()}};

  for (const auto allowed : {roots::event, roots::event_and_async, roots::event_and_run}) {
    const auto parsed = compiled::parse(text, allowed);
    if (const auto* wrong = std::get_if<fault>(&parsed)) {
      require(wrong->position <= text.size(), "a fault lies outside the text");
      require(!wrong->text.empty(), "a fault has no text");
      continue;
    }
    const auto& rule = std::get<compiled>(parsed);
    const auto* second = allowed == roots::event ? nullptr : &async;
    const auto first = rule.matches(event, second);
    require(!(first.matches && first.error), "an evaluation that fails matches");
    const auto again = rule.matches(event, second);
    require(again.matches == first.matches && again.error == first.error, "the same evaluation has another outcome");
    (void)rule.values(event, second);
    (void)rule.hash(event);

    // A text in parentheses means the same, unless it becomes too long or too deep.
    const auto inner = compiled::parse('(' + std::string{text} + ')', allowed);
    if (const auto* same = std::get_if<compiled>(&inner)) {
      const auto verdict = same->matches(event, second);
      require(verdict.matches == first.matches || verdict.error || first.error, "parentheses change the meaning");
    }
    // What the index looks up by must hold wherever the rule does.
    if (allowed == roots::event_and_async && first.matches && rule.conjunct()) {
      const auto asked = event_hash(*rule.conjunct(), event);
      const auto offered = async_hash(*rule.conjunct(), async);
      require(asked && offered && *asked == *offered, "the rule holds, and the index would not find it");
    }
  }
}

}  // namespace caesura::fuzz
