#pragma once

// What is fuzzed. Each target takes any bytes and throws (or is stopped by a sanitizer) when a promise is broken. libFuzzer drives them
// (tests/fuzz.sh), and fuzz_tests plays the corpus and a few thousand mutations of it with every test run.

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

namespace caesura::fuzz {

using bytes = std::span<const std::uint8_t>;

struct broken_promise : std::logic_error {
  using std::logic_error::logic_error;
};
inline void require(bool holds, const std::string& text) {
  if (!holds) throw broken_promise{text};
}

// A line with an expression, a line with the data of the run's event, a line with that of the incoming one (JSON).
void expression(bytes input);
// A byte for the table, then what stands in the record; and the same bytes as they are.
void record(bytes input);
// msgpack, or JSON.
void document(bytes input);
// Two bytes for the settings of a simulation, then one for each action: API calls, steps, messages, time, failures, crashes.
void calls(bytes input);
// A letter for what it is, then a body as an app, SDK or client sends it: R registration, I answer to an in-band sync, A answer to a call, P pieces of a streamed
// one, F failure, C checkpoint, E events, G a GraphQL text; H the bytes of a whole HTTP message. Built with the server only.
void requests(bytes input);

}  // namespace caesura::fuzz
