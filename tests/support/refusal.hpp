#pragma once

#include <functional>
#include <string>

#include <caesura/error.hpp>

namespace caesura::testing {

// What a call says when it refuses; empty: it did not.
inline std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const error& e) {
    return e.what();
  }
  return {};
}

}  // namespace caesura::testing
