// The entry that libFuzzer calls; CAESURA_FUZZ_TARGET is one of the targets.

#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    caesura::fuzz::CAESURA_FUZZ_TARGET({data, size});
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    std::abort();
  }
  return 0;
}
