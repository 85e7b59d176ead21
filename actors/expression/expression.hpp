#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <caesura/document.hpp>

#include "storage/document_view.hpp"

namespace caesura::expression {

struct limits {
  std::size_t length{4096};      // bytes of the text
  std::size_t depth{64};         // nesting of the tree
  std::size_t cost{100'000};     // evaluation steps: one a node visited, one an element of a list or a byte/16 of text touched
};

// What is wrong with an expression and where (byte offset from 0).
struct fault {
  std::size_t position{0};
  std::string text{};
};

// Which roots an expression may name. A trigger's `when` sees `event` only; rules and waits see `event` (the run's trigger) and
// `async` (the incoming event); a filter of runs sees `event` and `run`.
enum class roots : std::uint8_t { event, event_and_async, event_and_run };

// An event as the evaluator sees it: event.id, .name, .data, .ts (milliseconds), .user, .v. Views: valid for the call.
struct event_scope {
  std::string_view id{};
  std::string_view name{};
  std::int64_t ts{0};
  storage::document_view data{};
  storage::document_view user{};  // missing: nobody is named
  std::string_view version{};     // empty: missing
};

// How a rule is found from an incoming event: the value at async.<async_path> must equal the value at event.<event_path> (or a
// literal), taken from one `==` conjunct at the top of the rule.
struct index_conjunct {
  std::vector<std::string> async_path{};  // first element is "data", "user", "id", "name", "ts" or "v"
  std::vector<std::string> event_path{};  // empty: `literal` is meant
  document literal{};
};

struct node;  // tree.hpp

// One value that an expression read, as it is shown to people.
struct seen_value {
  std::string path{};   // "event.data.id"
  std::string value{};  // as JSON; "missing"
};

// The outcome of evaluating a condition.
struct verdict {
  bool matches{false};
  std::optional<std::string> error{};  // set: an evaluation error, which is no match, with a sentence for the diagnostic
};

// A parsed expression: an immutable value (copies share the tree). Any thread.
class compiled {
 public:
  // An expression that is always true: what an empty `when` means.
  compiled() = default;

  // Parses `text`; returns the first fault when it is malformed, uses an unknown name or function, or passes a limit.
  [[nodiscard]] static std::variant<compiled, fault> parse(std::string_view text, roots allowed, const limits& limits = {});

  [[nodiscard]] const std::string& text() const noexcept;
  [[nodiscard]] bool is_always_true() const noexcept { return root_ == nullptr; }

  // Evaluates as a condition. Never throws, reads no clock, and ends within limits.cost steps. A result that is not a boolean is an
  // error.
  // `second`: what `async` or `run` stands for; of `run` only the members of `data` are seen.
  [[nodiscard]] verdict matches(const event_scope& event, const event_scope* second = nullptr) const;

  // Evaluates to any value; nullopt: it fails or is missing.
  [[nodiscard]] std::optional<document> value_of(const event_scope& event) const;
  // Evaluates to any value and gives its hash; equal values have equal hashes. nullopt: it fails or is missing.
  [[nodiscard]] std::optional<std::uint64_t> hash(const event_scope& event) const;

  // What its paths stand for, each once, in the order of the text. For explanations.
  [[nodiscard]] std::vector<seen_value> values(const event_scope& event, const event_scope* second) const;

  // The best conjunct to index this rule by (one with `data` paths on both sides before one with a literal); nullopt: none.
  [[nodiscard]] const std::optional<index_conjunct>& conjunct() const noexcept;

 private:
  struct shared;
  std::shared_ptr<const shared> root_;  // owners: the copies; null: always true
};

// The value at a path below the data or user of an event, which its first element names; missing when it is not there.
[[nodiscard]] storage::document_view value_at(const storage::document_view& root, const std::vector<std::string>& path);

// Hash of the value that a rule's conjunct asks of the incoming event (async side), or of the run's own event (event side). nullopt:
// the path is missing, so the rule cannot match through it.
[[nodiscard]] std::optional<std::uint64_t> async_hash(const index_conjunct& conjunct, const event_scope& incoming);
[[nodiscard]] std::optional<std::uint64_t> event_hash(const index_conjunct& conjunct, const event_scope& trigger);

}  // namespace caesura::expression
