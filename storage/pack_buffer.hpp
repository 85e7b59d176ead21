#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace caesura::storage {

// Where msgpack::packer writes to. Short writes are inlined, and who packs many records after each other into the same one asks for memory once.
class pack_buffer {
 public:
  void clear() noexcept { size_ = 0; }
  void write(const char* bytes, std::size_t size) {
    if (size == 0) return;
    if (size > room_ - size_) grow(size);
    std::memcpy(bytes_.get() + size_, bytes, size);
    size_ += size;
  }
  // Valid until the next write.
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.get(), size_}; }

 private:
  void grow(std::size_t size) {
    constexpr std::size_t usual_bytes = 512;
    const auto room = std::max({usual_bytes, 2 * room_, size_ + size});
    auto bytes = std::make_unique_for_overwrite<char[]>(room);
    if (size_ > 0) std::memcpy(bytes.get(), bytes_.get(), size_);
    bytes_ = std::move(bytes);
    room_ = room;
  }

  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  std::size_t room_ = 0;
};

}  // namespace caesura::storage
