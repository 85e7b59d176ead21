#pragma once

#include <memory>
#include <span>
#include <string_view>

#include <caesura/document.hpp>

namespace caesura::http {

// For a caller that reads few members of what it is sent: the outer maps keep those of these names, and maps within their values keep all. Outer are the
// map, or the maps in the list, that the text is; and those in the value of the member `within`.
struct kept_members {
  std::span<const std::string_view> names{};
  std::string_view within{};
};

// JSON text → document, without a tree of nlohmann's in between: about ten times as fast as document::parse, and the same bytes
// come out. Keeps its memory for the next text: one reader a thread. A resource; one thread at a time.
class json_reader {
 public:
  json_reader();
  ~json_reader();
  json_reader(const json_reader&) = delete;
  json_reader& operator=(const json_reader&) = delete;

  // Equals document::parse(text), but that U+FFFD stands for an escape which is half of a surrogate pair without its other half, which document::parse refuses:
  // JavaScript writes one where a text was cut within a pair, and reads it without a word. An integer outside 64 bits becomes a double, the last of equal keys counts. Throws
  // error{invalid_argument} with the position in bytes when the text is malformed, is not UTF-8, is followed by anything but white
  // space, holds a number too large for a double, or nests lists and maps more than 128 deep (what a document can hold). Memory: up
  // to about 20 bytes for each byte of the text, while it is read.
  [[nodiscard]] document parse(std::string_view text);
  // The same, but what is not kept may be there nevertheless, and is not refused for its depth.
  [[nodiscard]] document parse(std::string_view text, const kept_members& kept);

 private:
  [[nodiscard]] document parse(std::string_view text, const kept_members* kept);

  struct parser;
  std::unique_ptr<parser> parser_;
};

// The same: small texts with a reader that the calling thread keeps, others with one of their own, so that no thread keeps the room of a large one. Any thread.
[[nodiscard]] document parse_json(std::string_view text);
[[nodiscard]] document parse_json(std::string_view text, const kept_members& kept);

}  // namespace caesura::http
