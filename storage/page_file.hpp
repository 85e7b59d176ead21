#pragma once

// LMDB 0.9's file format, read without LMDB: for files that may be damaged. Every number in the file is checked before it is used; a page is
// followed once; nothing is allocated by a size that the file claims beyond its own length.
//
// A page begins with 16 bytes: its number (8), padding (2), flags (2), where its node offsets end and its nodes begin (2, 2), or the number
// of pages of an overflow run (4). Offsets of nodes follow, 2 bytes each, in key order; nodes stand at the page's end without gaps. A node
// is 8 bytes (size or child low and high, flags, key size), the key, then on leaves the value, or the number of its first overflow page.
// Pages 0 and 1 are the metas of even and odd transactions: the one with the greater transaction number is in force.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace caesura::storage {

// Where the bytes come from.
class page_source {
 public:
  virtual ~page_source() = default;
  [[nodiscard]] virtual std::uint64_t size_bytes() const = 0;
  // False when these bytes cannot be read.
  [[nodiscard]] virtual bool read(std::uint64_t offset, std::span<char> to) const = 0;
};

class page_file {
 public:
  using on_fault = std::function<void(std::uint64_t page, std::string_view table, std::string text)>;
  using on_entry = std::function<void(std::string_view table, std::uint64_t page, std::string_view key, std::string_view value)>;

  page_file(const page_source& source, on_fault fault) : source_{source}, fault_{std::move(fault)} {}

  // Reads the metas, then walks every tree; tells each fault, and each entry of a table whose page is sound. True when nothing was wrong.
  bool check(const on_entry& entry);

  // As the file lists them, in key order.
  [[nodiscard]] std::vector<std::string> table_names() const;

  // After check() was true. Calls `visit` for the entries from `from` on, in key order, until it returns false.
  using visitor = std::function<bool(std::string_view key, std::string_view value)>;
  void each_from(std::string_view table, std::string_view from, const visitor& visit) const;
  [[nodiscard]] std::optional<std::string> find(std::string_view table, std::string_view key) const;
  [[nodiscard]] bool contains(std::string_view table, std::string_view key) const { return find(table, key).has_value(); }

  [[nodiscard]] std::uint64_t transaction() const noexcept { return transaction_; }
  [[nodiscard]] std::uint64_t used_pages() const noexcept { return used_; }
  [[nodiscard]] std::uint64_t free_pages() const noexcept { return free_; }

 private:
  struct tree {
    std::uint16_t flags{0}, depth{0};
    std::uint64_t branches{0}, leaves{0}, overflows{0}, entries{0}, root{0};
  };
  struct named_tree {
    std::string name;
    tree value;
  };
  struct walk;
  struct page;

  static tree tree_at(const char* bytes);
  bool read_metas();
  std::optional<std::string> read_page(std::uint64_t number, page& into) const;
  void walk_tree(walk& w);
  void walk_page(walk& w, std::uint64_t number, int level, const std::string* low, const std::string* high);
  void walk_leaf(walk& w, const page& p);
  std::optional<std::string> value_of(walk& w, const page& p, std::size_t node);
  bool mark(walk& w, std::uint64_t number);
  void say(std::uint64_t page, std::string_view table, std::string text);
  bool scan(std::uint64_t number, int levels, std::string_view from, const visitor& visit) const;
  [[nodiscard]] const tree* tree_of(std::string_view table) const;

  const page_source& source_;
  on_fault fault_;
  std::size_t page_bytes_ = 0;
  std::uint64_t transaction_ = 0, last_page_ = 0, used_ = 0, free_ = 0, faults_ = 0;
  tree free_tree_, main_tree_;
  std::vector<named_tree> tables_;
  std::vector<bool> seen_;                 // pages within the file
  std::vector<std::uint64_t> seen_beyond_;  // free pages that were never written, ascending once sorted
};

}  // namespace caesura::storage
