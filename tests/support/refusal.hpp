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

// The code of the error with which a call refuses; errc::unknown_run: it did not.
inline errc code_of(const std::function<void()>& call, std::string* text = nullptr) {
  try {
    call();
  } catch (const error& e) {
    if (text != nullptr) *text = e.what();
    return e.code();
  }
  return errc::unknown_run;
}

}  // namespace caesura::testing
