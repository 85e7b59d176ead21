#pragma once

#include <string>

namespace caesura::actors {

// Why a run is held whose function this process does not have: it goes on when the function is defined.
[[nodiscard]] inline std::string missing_text(const std::string& function) { return "function \"" + function + "\" is not registered in this process"; }

}  // namespace caesura::actors
