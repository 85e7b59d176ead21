#pragma once

// operator new of this test program: allocations of one thread are counted while armed, and made to fail.

#include <cstdint>

namespace caesura::testing::allocation_shim {

// From now on the `first`-th allocation of this thread throws std::bad_alloc, which disarms; armed again, the `every`-th from there (0: no other).
void arm(std::uint64_t first, std::uint64_t every = 0);
// Goes on counting where disarm() or a failure stopped.
void arm_again();
void disarm();
[[nodiscard]] std::uint64_t failures();  // since arm()

}  // namespace caesura::testing::allocation_shim
