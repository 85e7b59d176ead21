#include "tests/faults/allocation_shim.hpp"

#include <cstdlib>
#include <new>

namespace caesura::testing::allocation_shim {

namespace {

thread_local bool is_armed = false;
thread_local std::uint64_t left = 0, period = 0, failed = 0;

void* allocate(std::size_t size) {
  if (is_armed && left > 0 && --left == 0) {
    left = period;
    ++failed;
    is_armed = false;  // what cleans up afterwards is not what is tested
    throw std::bad_alloc{};
  }
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc{};
}

}  // namespace

void arm(std::uint64_t first, std::uint64_t every) {
  left = first;
  period = every;
  failed = 0;
  is_armed = true;
}
void arm_again() { is_armed = true; }
void disarm() { is_armed = false; }
std::uint64_t failures() { return failed; }

}  // namespace caesura::testing::allocation_shim

// Over-aligned and nothrow forms are left alone: nothing here uses the former, and the latter (stable sorts) has its own way out.
void* operator new(std::size_t size) { return caesura::testing::allocation_shim::allocate(size); }
void* operator new[](std::size_t size) { return caesura::testing::allocation_shim::allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
