#pragma once

#include <string>

#include "storage/keys.hpp"
#include "storage/records.hpp"

namespace caesura::actors {

// Why a run is held whose function this process does not have: it goes on when the function is defined.
[[nodiscard]] inline std::string missing_text(const std::string& function) { return "function \"" + function + "\" is not registered in this process"; }

// Why a run is held whose definition is damaged: which events cancel it is not known. When a program brings the definition back it can be cancelled, and
// does not go on by itself, because it has missed what came meanwhile.
[[nodiscard]] inline std::string left_alone_text(const storage::run_record& run) {
  return "its definition is damaged or missing (table definitions, key " + storage::hex(storage::key_of(run.definition)) +
         "): events have not reached it since; with that version of its function registered, it can be cancelled, and then replayed";
}

}  // namespace caesura::actors
