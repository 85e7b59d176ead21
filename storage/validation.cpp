// Whether bytes from outside are what they claim: first_fault, is_utf8; and what stands in for what is not: to_utf8.

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "storage/document_view.hpp"
#include "storage/msgpack_head.hpp"

namespace caesura::storage {

namespace {

bool is_continuation(char byte) noexcept { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// The length of the well-formed character at `at`, which is not ASCII; 0: there is none. The second byte has a narrower range behind
// some first bytes: that rules out overlong forms, surrogates and everything above U+10FFFF.
std::size_t character_length(const char* at, const char* end) noexcept {
  const auto first = static_cast<unsigned char>(*at);
  const std::size_t length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (length == 0 || end - at < static_cast<std::ptrdiff_t>(length)) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(at[i])) return 0;
  }
  const auto second = static_cast<unsigned char>(at[1]);
  const bool is_refused = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) ||
                          (first == 0xF4 && second > 0x8F);
  return is_refused ? 0 : length;
}

const char* skip_ascii(const char* at, const char* end) noexcept {
  constexpr std::uint64_t high_bits = 0x8080808080808080ULL;
  for (std::uint64_t word = 0; end - at >= 8; at += 8) {
    std::memcpy(&word, at, sizeof word);
    if ((word & high_bits) != 0) break;
  }
  while (at != end && static_cast<unsigned char>(*at) < 0x80) ++at;
  return at;
}

// A list or map that is being walked. In a map keys and values take turns, and an even number left means a key.
struct level {
  std::size_t values_left{0};
  bool is_map{false};

  [[nodiscard]] bool expects_key() const noexcept { return is_map && values_left % 2 == 0; }
};

// The lists and maps around the current value, outermost first.
class open_levels {
 public:
  [[nodiscard]] bool expects_key() const noexcept { return depth_ > 0 && levels_[depth_ - 1].expects_key(); }

  [[nodiscard]] bool is_full() const noexcept { return depth_ == levels_.size(); }

  // Neither when full nor with an empty list or map, which is complete at once.
  void open(const head& container) noexcept {
    const bool is_map = container.kind == value_kind::map;
    levels_[depth_++] = {is_map ? container.size * 2 : container.size, is_map};
  }

  // Counts one value as complete, and every list or map that it completes. True: the outermost value is complete.
  [[nodiscard]] bool complete_value() noexcept {
    while (depth_ > 0) {
      if (--levels_[depth_ - 1].values_left > 0) return false;
      --depth_;
    }
    return true;
  }

 private:
  std::array<level, nesting_limit> levels_{};
  std::size_t depth_ = 0;
};

bool is_container(value_kind kind) noexcept { return kind == value_kind::list || kind == value_kind::map; }

bool is_acceptable(const head& read, bool is_key) noexcept {
  if (read.kind == value_kind::missing || read.kind == value_kind::binary) return false;
  if (is_key && read.kind != value_kind::text) return false;
  return read.kind != value_kind::text || is_utf8({read.content, read.size});
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    at = skip_ascii(at, end);
    if (at == end) return true;
    const std::size_t length = character_length(at, end);
    if (length == 0) return false;
    at += length;
  }
}

std::optional<std::size_t> first_fault(std::string_view msgpack) noexcept {
  const char* const begin = msgpack.data();
  const char* const limit = begin + msgpack.size();
  open_levels levels;
  const char* at = begin;
  while (true) {
    const head read = read_head(at, limit);
    const auto offset = static_cast<std::size_t>(at - begin);
    if (!is_acceptable(read, levels.expects_key())) return offset;
    if (is_container(read.kind) && levels.is_full()) return offset;
    at = read.kind == value_kind::text ? read.content + read.size : read.content;
    if (is_container(read.kind) && read.size > 0) {
      levels.open(read);
    } else if (levels.complete_value()) {
      break;
    }
  }
  if (at == limit) return std::nullopt;
  return static_cast<std::size_t>(at - begin);
}

std::string to_utf8(std::string_view text, std::size_t most_bytes) {
  constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD
  constexpr std::string_view ellipsis = "\xE2\x80\xA6";
  std::string result;
  for (const char *at = text.data(), *const end = at + text.size(); at != end && result.size() <= most_bytes;) {
    const char* const after = at + std::min(skip_ascii(at, end) - at, static_cast<std::ptrdiff_t>(most_bytes + 1));
    result.append(at, after);
    if ((at = after) == end || result.size() > most_bytes) continue;
    const auto length = character_length(at, end);
    length == 0 ? result.append(replacement) : result.append(at, length);
    at += std::max<std::size_t>(length, 1);
  }
  if (result.size() <= most_bytes) return result;
  auto kept = most_bytes - std::min(most_bytes, ellipsis.size());
  while (kept > 0 && is_continuation(result[kept])) --kept;
  result.resize(kept);
  return result.append(ellipsis);
}

}  // namespace caesura::storage
