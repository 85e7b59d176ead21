#pragma once

#include <cstddef>
#include <cstdint>

#include "storage/document_view.hpp"

namespace caesura::storage {

// The first bytes of a msgpack value: what it is and where its content lies. The content of a text lies within the limit; a list or
// map promises no more elements than there are bytes left. Numbers are normalised: `unsigned_integer` only above INT64_MAX, and a
// 32-bit float is a real.
struct head {
  value_kind kind{value_kind::missing};  // missing: truncated, reserved or an extension type
  const char* content{nullptr};          // behind the head: first character or element, or the next value
  std::size_t size{0};                   // bytes of a text or binary, elements of a list, pairs of a map
  std::uint64_t bits{0};                 // boolean, integers: the value; real: its bit pattern
};

// Reads no byte at or behind `limit`.
[[nodiscard]] head read_head(const char* at, const char* limit) noexcept;

// Behind the whole value at `at`; null when it is malformed before `limit`. Walks nested values without recursion.
[[nodiscard]] const char* skip_value(const char* at, const char* limit) noexcept;

}  // namespace caesura::storage
