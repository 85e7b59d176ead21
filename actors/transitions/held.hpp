#pragma once

#include <string>

#include "storage/keys.hpp"
#include "storage/records.hpp"

namespace caesura::actors {

// Why a run is held whose function this process does not have: it goes on when the function is defined.
[[nodiscard]] inline std::string missing_text(const std::string& function) { return "function \"" + function + "\" is not registered in this process"; }

// How the text of a run that is left alone begins. By it such a run is known, so it stays as it is, whatever is said behind it.
[[nodiscard]] inline std::string left_alone_mark(const storage::run_record& run) {
  return "its definition is damaged or missing (table definitions, key " + storage::hex(storage::key_of(run.definition)) + ")";
}

// Why a run is held whose definition is damaged: which events cancel it is not known. When a program brings the definition back it can be cancelled, and
// does not go on by itself, because it has missed what came meanwhile.
[[nodiscard]] inline std::string left_alone_text(const storage::run_record& run) {
  return left_alone_mark(run) +
         ": events have not reached it since; once a runtime starts with that version of its function registered, it can be cancelled, and then replayed";
}

// True for a run that is or was left alone, also when its definition is back: nothing but a cancel moves it.
[[nodiscard]] inline bool is_left_alone(const storage::run_record& run) {
  return run.status == run_status::held && run.held_because.starts_with(left_alone_mark(run));
}

}  // namespace caesura::actors
