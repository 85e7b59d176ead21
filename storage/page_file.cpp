#include "storage/page_file.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace caesura::storage {

namespace {

constexpr std::size_t header_bytes = 16;
constexpr std::size_t node_bytes = 8;
constexpr std::size_t tree_bytes = 48;
constexpr std::size_t meta_bytes = 136;  // after the page's header
constexpr std::uint16_t branch_page = 1, leaf_page = 2, overflow_page = 4, meta_page = 8;
constexpr std::uint16_t on_overflow = 1, is_tree = 2;
constexpr std::uint16_t integer_keys = 8;
constexpr std::uint32_t magic = 0xBEEFC0DE, version = 1;
constexpr std::uint64_t no_page = ~std::uint64_t{0};
constexpr int deepest = 32;  // LMDB's own limit

template <class Number>
Number read_at(const char* bytes) {
  Number value{};
  std::memcpy(&value, bytes, sizeof value);  // the file has the machine's byte order, as LMDB's do
  return value;
}

std::string text_of(std::uint64_t number) { return std::to_string(number); }

}  // namespace

// A page as it was read, whole.
struct page_file::page {
  std::vector<char> bytes;
  std::uint64_t number = 0;

  [[nodiscard]] std::uint16_t flags() const { return read_at<std::uint16_t>(&bytes[10]); }
  [[nodiscard]] std::size_t lower() const { return read_at<std::uint16_t>(&bytes[12]); }
  [[nodiscard]] std::size_t upper() const { return read_at<std::uint16_t>(&bytes[14]); }
  [[nodiscard]] bool is_branch() const { return flags() == branch_page; }
  [[nodiscard]] std::size_t count() const { return (lower() - header_bytes) / 2; }
  [[nodiscard]] std::size_t offset(std::size_t node) const { return read_at<std::uint16_t>(&bytes[header_bytes + 2 * node]); }
  [[nodiscard]] const char* at(std::size_t node) const { return &bytes[offset(node)]; }
  [[nodiscard]] std::uint16_t node_flags(std::size_t node) const { return read_at<std::uint16_t>(at(node) + 4); }
  [[nodiscard]] std::size_t key_size(std::size_t node) const { return read_at<std::uint16_t>(at(node) + 6); }
  [[nodiscard]] std::string_view key(std::size_t node) const { return {at(node) + node_bytes, key_size(node)}; }
  [[nodiscard]] std::uint64_t size(std::size_t node) const { return read_at<std::uint32_t>(at(node)); }
  [[nodiscard]] std::uint64_t child(std::size_t node) const { return size(node) | std::uint64_t{node_flags(node)} << 32; }
  [[nodiscard]] const char* value(std::size_t node) const { return at(node) + node_bytes + key_size(node); }

  // What is wrong with header and nodes; empty: all can be read.
  [[nodiscard]] std::string fault() const {
    if (const auto says = read_at<std::uint64_t>(bytes.data()); says != number) return "says that it is page " + text_of(says);
    if (flags() != branch_page && flags() != leaf_page) return "is neither a branch nor a leaf: its flags are " + text_of(flags());
    if (lower() < header_bytes || lower() % 2 != 0 || lower() > upper() || upper() > bytes.size()) {
      return "has its free space from " + text_of(lower()) + " to " + text_of(upper());
    }
    std::vector<std::pair<std::size_t, std::size_t>> taken;
    for (std::size_t i = 0; i < count(); ++i) {
      const std::size_t from = offset(i);
      if (from < upper() || from + node_bytes > bytes.size()) return "has node " + text_of(i) + " outside its nodes, at " + text_of(from);
      std::uint64_t length = node_bytes + key_size(i);
      if (!is_branch()) length += (node_flags(i) & on_overflow) != 0 ? sizeof(std::uint64_t) : size(i);
      length += length % 2;
      if (from + length > bytes.size()) return "has node " + text_of(i) + " reach past its end";
      if (!is_branch() && node_flags(i) != 0 && node_flags(i) != on_overflow && node_flags(i) != is_tree) {
        return "has node " + text_of(i) + " with flags " + text_of(node_flags(i));
      }
      taken.emplace_back(from, from + length);
    }
    std::ranges::sort(taken);
    std::size_t at = upper();
    for (const auto& [from, to] : taken) {
      if (from != at) return "has nodes that overlap or leave a gap at " + text_of(from);
      at = to;
    }
    return at == bytes.size() ? "" : "has a gap behind its nodes";
  }
};

struct page_file::walk {
  std::string name;
  const tree& stored;
  std::function<void(const page&, std::size_t node)> entry;
  tree counted{};
  bool is_good = true;
};

void page_file::say(std::uint64_t page, std::string_view table, std::string text) {
  ++faults_;
  fault_(page, table, std::move(text));
}

page_file::tree page_file::tree_at(const char* bytes) {
  return {.flags = read_at<std::uint16_t>(bytes + 4),
          .depth = read_at<std::uint16_t>(bytes + 6),
          .branches = read_at<std::uint64_t>(bytes + 8),
          .leaves = read_at<std::uint64_t>(bytes + 16),
          .overflows = read_at<std::uint64_t>(bytes + 24),
          .entries = read_at<std::uint64_t>(bytes + 32),
          .root = read_at<std::uint64_t>(bytes + 40)};
}

bool page_file::read_metas() {
  constexpr std::size_t smallest_page = 512, largest_page = 32'768;
  std::array<std::array<char, header_bytes + meta_bytes>, 2> metas{};
  for (std::uint64_t i = 0; i < 2; ++i) {
    auto& bytes = metas[i];
    const char* const meta = &bytes[header_bytes];
    if (!source_.read(i * page_bytes_, bytes)) {
      say(i, {}, "meta page " + text_of(i) + " cannot be read");
      return false;
    }
    const auto size = read_at<std::uint32_t>(meta + 24);
    if (read_at<std::uint64_t>(bytes.data()) != i || read_at<std::uint16_t>(&bytes[10]) != meta_page ||
        read_at<std::uint32_t>(meta) != magic || read_at<std::uint32_t>(meta + 4) != version) {
      say(i, {}, "page " + text_of(i) + " is not a meta page of LMDB 0.9");
      return false;
    }
    if (size < smallest_page || size > largest_page || (size & (size - 1)) != 0 || (i == 1 && size != page_bytes_)) {
      say(i, {}, "meta page " + text_of(i) + " has a page size of " + text_of(size));
      return false;
    }
    page_bytes_ = size;
  }
  const auto transaction_of = [&](std::size_t i) { return read_at<std::uint64_t>(&metas[i][header_bytes + 128]); };
  const std::size_t newest = transaction_of(0) < transaction_of(1) ? 1 : 0;
  transaction_ = transaction_of(newest);
  const bool is_new = transaction_ == 0;
  if (!is_new && (transaction_ % 2 != newest || transaction_of(1 - newest) + 1 != transaction_)) {
    say(newest, {}, "the meta pages are of transactions " + text_of(transaction_of(0)) + " and " + text_of(transaction_of(1)) +
                        ": they must follow each other");
  }
  const char* const meta = &metas[newest][header_bytes];
  free_tree_ = tree_at(meta + 24);
  main_tree_ = tree_at(meta + 72);
  last_page_ = read_at<std::uint64_t>(meta + 120);
  if ((free_tree_.flags & integer_keys) == 0 || (free_tree_.flags & 0x3FFF) != integer_keys || main_tree_.flags != 0 ||
      read_at<std::uint32_t>(meta + 72) != 0) {
    say(newest, {}, "meta page " + text_of(newest) + " has flags that no store has");
  }
  return true;
}

std::optional<std::string> page_file::read_page(std::uint64_t number, page& into) const {
  into.number = number;
  into.bytes.resize(page_bytes_);
  if (!source_.read(number * page_bytes_, into.bytes)) return "cannot be read";
  auto fault = into.fault();
  return fault.empty() ? std::nullopt : std::optional{std::move(fault)};
}

// A page belongs to one tree, or is free, once.
bool page_file::mark(walk& w, std::uint64_t number) {
  if (number < 2 || number > last_page_ || number >= seen_.size()) {
    say(number, w.name, "page " + text_of(number) + " is referred to, and the file has pages 2 to " +
                            text_of(std::min<std::uint64_t>(last_page_, seen_.size() - 1)));
    return w.is_good = false;
  }
  if (seen_[number]) {
    say(number, w.name, "page " + text_of(number) + " is used twice");
    return w.is_good = false;
  }
  seen_[number] = true;
  ++used_;
  return true;
}

void page_file::walk_tree(walk& w) {
  const auto& t = w.stored;
  if (t.root != no_page) {
    if (t.depth < 1 || t.depth > deepest) {
      say(0, w.name, "the tree of " + w.name + " has a depth of " + text_of(t.depth));
      w.is_good = false;
      return;
    }
    walk_page(w, t.root, 1, nullptr, nullptr);
  }
  const auto& c = w.counted;
  const bool is_empty = t.root == no_page && t.depth != 0;
  if (w.is_good && (is_empty || c.branches != t.branches || c.leaves != t.leaves || c.overflows != t.overflows || c.entries != t.entries)) {
    say(0, w.name, "the tree of " + w.name + " claims " + text_of(t.entries) + " entries on " + text_of(t.branches) + " branch, " +
                       text_of(t.leaves) + " leaf and " + text_of(t.overflows) + " overflow pages; it has " + text_of(c.entries) + " on " +
                       text_of(c.branches) + ", " + text_of(c.leaves) + " and " + text_of(c.overflows));
    w.is_good = false;
  }
}

void page_file::walk_page(walk& w, std::uint64_t number, int level, const std::string* low, const std::string* high) {
  if (!mark(w, number)) return;
  const auto wrong = [&](const std::string& text) {
    say(number, w.name, "page " + text_of(number) + " of " + w.name + " " + text);
    w.is_good = false;
  };
  page p;
  if (auto fault = read_page(number, p)) {
    wrong(*fault);
    return;
  }
  const bool is_branch = level < w.stored.depth;
  if (p.is_branch() != is_branch) {
    wrong(is_branch ? "is a leaf where a branch must be" : "is a branch where a leaf must be");
    return;
  }
  if (p.count() < (is_branch ? 2U : 1U)) {
    wrong("has " + text_of(p.count()) + " nodes");
    return;
  }
  const bool has_numbers = (w.stored.flags & integer_keys) != 0;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < p.count(); ++i) {
    keys.emplace_back(p.key(i));
    if (is_branch && i == 0) continue;  // never looked at
    if (has_numbers && keys[i].size() != sizeof(std::uint64_t)) {
      wrong("has a key of " + text_of(keys[i].size()) + " bytes");
      return;
    }
    // Numbers are compared as such, so they are turned round.
    if (has_numbers) std::ranges::reverse(keys[i]);
    const bool is_first = i == (is_branch ? 1U : 0U);
    if ((!is_first && keys[i] <= keys[i - 1]) || (low != nullptr && keys[i] < *low) || (high != nullptr && keys[i] >= *high)) {
      wrong("has keys that are out of order, at node " + text_of(i));
      return;
    }
  }
  if (!is_branch) {
    ++w.counted.leaves;
    w.counted.entries += p.count();
    for (std::size_t i = 0; i < p.count(); ++i) w.entry(p, i);
    return;
  }
  ++w.counted.branches;
  for (std::size_t i = 0; i < p.count(); ++i) {
    walk_page(w, p.child(i), level + 1, i == 0 ? low : &keys[i], i + 1 == p.count() ? high : &keys[i + 1]);
  }
}

// The value of a leaf's node, with its overflow pages.
std::optional<std::string> page_file::value_of(walk& w, const page& p, std::size_t node) {
  const auto size = p.size(node);
  if ((p.node_flags(node) & on_overflow) == 0) return std::string{p.value(node), size};
  const auto first = read_at<std::uint64_t>(p.value(node));
  const auto pages = (header_bytes - 1 + size) / page_bytes_ + 1;
  const auto wrong = [&](const std::string& text) {
    say(first, w.name, "page " + text_of(first) + " of " + w.name + " " + text);
    w.is_good = false;
    return std::nullopt;
  };
  if (first < 2 || first > last_page_ || pages > last_page_ - first + 1) return wrong("begins a value of " + text_of(size) + " bytes past the file's end");
  for (std::uint64_t i = 0; i < pages; ++i) {
    if (!mark(w, first + i)) return std::nullopt;
  }
  std::vector<char> bytes(pages * page_bytes_);
  if (!source_.read(first * page_bytes_, bytes)) return wrong("cannot be read");
  if (read_at<std::uint64_t>(bytes.data()) != first || read_at<std::uint16_t>(&bytes[10]) != overflow_page ||
      read_at<std::uint32_t>(&bytes[12]) != pages) {
    return wrong("does not begin a value of " + text_of(pages) + " pages");
  }
  w.counted.overflows += pages;
  return std::string{&bytes[header_bytes], size};
}

bool page_file::check(const on_entry& entry) {
  if (!read_metas()) return false;
  seen_.assign(source_.size_bytes() / page_bytes_, false);
  if (seen_.size() < 2) {
    say(0, {}, "the file ends within its first two pages");
    return false;
  }

  std::uint64_t free = 0;
  const auto take_free = [&](walk& w, const page& p, std::size_t node) {
    const auto value = value_of(w, p, node);
    if (!value) return;
    const auto wrong = [&](const std::string& text) {
      say(p.number, w.name, "page " + text_of(p.number) + " of " + w.name + ", node " + text_of(node) + ": " + text);
      w.is_good = false;
    };
    const auto id = read_at<std::uint64_t>(p.key(node).data());
    const auto stored = value->size() / sizeof(std::uint64_t);
    if (id == 0 || id > transaction_) return wrong("pages freed by transaction " + text_of(id) + ", and the last was " + text_of(transaction_));
    const auto count = stored == 0 ? 0 : read_at<std::uint64_t>(value->data());
    if (stored == 0 || count > stored - 1) return wrong("a list of " + text_of(count) + " pages in " + text_of(value->size()) + " bytes");
    std::uint64_t before = last_page_ + 1;
    for (std::uint64_t i = 1; i <= count; ++i) {
      const auto number = read_at<std::uint64_t>(value->data() + i * sizeof(std::uint64_t));
      if (number < 2 || number >= before) return wrong("page " + text_of(number) + " stands out of order in a list of free pages");
      before = number;
      if (number >= seen_.size()) {
        seen_beyond_.push_back(number);  // freed by the transaction that took it: it was never written
      } else if (seen_[number]) {
        return wrong("page " + text_of(number) + " is free and used");
      } else {
        seen_[number] = true;
      }
      ++free;
    }
  };

  const auto tables_of = [&](walk& w, const page& p, std::size_t node) {
    const std::string name{p.key(node)};
    if (p.node_flags(node) != is_tree || p.size(node) != tree_bytes) {
      say(p.number, w.name, "page " + text_of(p.number) + ": \"" + name.substr(0, 80) + "\" is not a table");
      w.is_good = false;
      return;
    }
    const auto t = tree_at(p.value(node));
    if (t.flags != 0 || read_at<std::uint32_t>(p.value(node)) != 0) {
      say(p.number, w.name, "page " + text_of(p.number) + ": table \"" + name.substr(0, 80) + "\" has flags that no table of a store has");
      w.is_good = false;
      return;
    }
    tables_.push_back({name, t});
  };

  walk main{.name = "the list of tables", .stored = main_tree_, .entry = {}};
  main.entry = [&](const page& p, std::size_t node) { tables_of(main, p, node); };
  walk_tree(main);
  for (const auto& table : tables_) {
    walk w{.name = "table " + table.name, .stored = table.value, .entry = {}};
    w.entry = [&](const page& p, std::size_t node) {
      if (p.node_flags(node) == is_tree) {
        say(p.number, table.name, "page " + text_of(p.number) + " of " + w.name + " has a table within the table");
        w.is_good = false;
      } else if (const auto value = value_of(w, p, node)) {
        entry(table.name, p.number, p.key(node), *value);
      }
    };
    walk_tree(w);
  }
  walk frees{.name = "the list of free pages", .stored = free_tree_, .entry = {}};
  frees.entry = [&](const page& p, std::size_t node) { take_free(frees, p, node); };
  walk_tree(frees);
  free_ = free;

  std::ranges::sort(seen_beyond_);
  if (std::ranges::adjacent_find(seen_beyond_) != seen_beyond_.end()) say(0, {}, "a page stands twice among the free ones");
  if (faults_ == 0 && used_ + free_ != last_page_ - 1) {
    say(0, {}, "of the pages 2 to " + text_of(last_page_) + ", " + text_of(used_) + " are used and " + text_of(free_) + " are free: the rest is lost");
  }
  return faults_ == 0;
}

std::vector<std::string> page_file::table_names() const {
  std::vector<std::string> names;
  for (const auto& table : tables_) names.push_back(table.name);
  return names;
}

const page_file::tree* page_file::tree_of(std::string_view table) const {
  const auto found = std::ranges::find(tables_, table, &named_tree::name);
  return found == tables_.end() ? nullptr : &found->value;
}

void page_file::each_from(std::string_view table, std::string_view from, const visitor& visit) const {
  const auto* t = tree_of(table);
  if (t != nullptr && t->root != no_page) scan(t->root, t->depth, from, visit);
}

bool page_file::scan(std::uint64_t number, int levels, std::string_view from, const visitor& visit) const {
  page p;
  if (levels == 0 || number > last_page_ || read_page(number, p)) return false;
  std::size_t i = 0;
  if (p.is_branch()) {
    while (i + 1 < p.count() && p.key(i + 1) <= from) ++i;
    for (std::size_t first = i; i < p.count(); ++i) {
      if (!scan(p.child(i), levels - 1, i == first ? from : std::string_view{}, visit)) return false;
    }
    return true;
  }
  while (i < p.count() && p.key(i) < from) ++i;
  for (; i < p.count(); ++i) {
    if ((p.node_flags(i) & on_overflow) == 0) {
      if (!visit(p.key(i), {p.value(i), p.size(i)})) return false;
      continue;
    }
    std::string value(p.size(i), '\0');
    if (!source_.read(read_at<std::uint64_t>(p.value(i)) * page_bytes_ + header_bytes, value)) return false;
    if (!visit(p.key(i), value)) return false;
  }
  return true;
}

std::optional<std::string> page_file::find(std::string_view table, std::string_view key) const {
  std::optional<std::string> found;
  each_from(table, key, [&](std::string_view at, std::string_view value) {
    if (at == key) found = value;
    return false;
  });
  return found;
}

}  // namespace caesura::storage
