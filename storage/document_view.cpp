#include "storage/document_view.hpp"

#include <bit>

#include "storage/msgpack_head.hpp"

namespace caesura::storage {

document_view::document_view(std::string_view msgpack) noexcept : begin_{msgpack.data()}, limit_{msgpack.data() + msgpack.size()} {
  const head read = read_head(begin_, limit_);
  kind_ = read.kind;
  content_ = read.content;
  size_ = read.size;
  if (kind_ == value_kind::real) {
    bits_.real = std::bit_cast<double>(read.bits);
  } else {
    bits_.unsigned_integer = read.bits;
  }
}

std::string_view document_view::text() const noexcept {
  const bool has_text = kind_ == value_kind::text || kind_ == value_kind::binary;
  return has_text ? std::string_view{content_, size_} : std::string_view{};
}

document_view document_view::find(std::string_view key) const noexcept { return walk_to(key).value; }

document_view document_view::at(std::size_t index) const noexcept { return walk_to(index).value; }

document_view::walk document_view::walk_to(std::string_view key) const noexcept {
  if (kind_ != value_kind::map) return {};
  const char* found = nullptr;
  const char* at = content_;
  for (std::size_t left = size_; left > 0; --left) {
    const head name = read_head(at, limit_);
    const char* const value = name.kind == value_kind::text ? name.content + name.size : skip_value(at, limit_);
    const char* const after = value == nullptr ? nullptr : skip_value(value, limit_);
    if (after == nullptr) return {.bytes = static_cast<std::size_t>(limit_ - content_)};
    if (name.kind == value_kind::text && std::string_view{name.content, name.size} == key) found = value;
    at = after;
  }
  const auto walked = static_cast<std::size_t>(at - content_);
  if (found == nullptr) return {.bytes = walked};
  return {.value = document_view{std::string_view{found, static_cast<std::size_t>(limit_ - found)}}, .bytes = walked};
}

document_view::walk document_view::walk_to(std::size_t index) const noexcept {
  if (kind_ != value_kind::list || index >= size_) return {};
  const char* at = content_;
  for (; index > 0 && at != nullptr; --index) at = skip_value(at, limit_);
  if (at == nullptr) return {.bytes = static_cast<std::size_t>(limit_ - content_)};
  return {.value = document_view{std::string_view{at, static_cast<std::size_t>(limit_ - at)}},
          .bytes = static_cast<std::size_t>(at - content_)};
}

document_view::item document_view::first() const noexcept {
  if (kind_ != value_kind::list && kind_ != value_kind::map) return {};
  return item{content_, limit_, size_, kind_ == value_kind::map};
}

std::string_view document_view::bytes() const noexcept {
  if (kind_ == value_kind::missing) return {};
  const char* const after = skip_value(begin_, limit_);
  return after == nullptr ? std::string_view{} : std::string_view{begin_, static_cast<std::size_t>(after - begin_)};
}

document_view::item::item(const char* at, const char* limit, std::size_t left, bool is_map) noexcept
    : limit_{limit}, left_{left}, is_map_{is_map} {
  if (left_ == 0) return;
  if (is_map_) {
    key_ = document_view{std::string_view{at, static_cast<std::size_t>(limit - at)}};
    at = skip_value(at, limit);
  }
  after_ = at == nullptr ? nullptr : skip_value(at, limit);
  if (after_ == nullptr) {
    key_ = {};
    left_ = 0;
    return;
  }
  value_ = document_view{std::string_view{at, static_cast<std::size_t>(limit - at)}};
}

document_view::item document_view::item::next() const noexcept {
  if (left_ == 0) return {};
  return item{after_, limit_, left_ - 1, is_map_};
}

}  // namespace caesura::storage
