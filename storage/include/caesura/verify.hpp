#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <caesura/time.hpp>

namespace caesura {

struct verify_options {
  // Checks in a child process, so that not even a fault of the checker's own harms the caller: a child that dies or takes longer than
  // `time_limit` is a fault of its own in the report. For programs that have no other thread: the child is a fork.
  bool in_child{false};
  duration time_limit{std::chrono::hours{1}};
  std::size_t most_faults{1'000};  // no more are listed
};

// One thing that is not as it must be. The text is a sentence that names page, table and record.
struct verify_fault {
  std::uint64_t page{0};   // 0: not about one page
  std::string table{};     // empty: not about one table
  std::string record{};    // an id, a name, or a key in hex; empty: not about one record
  std::string text{};
};

struct verify_report {
  std::uint64_t commits{0};  // the number of the file's last transaction
  std::uint64_t pages{0};    // in use
  std::uint64_t free_pages{0};
  std::vector<std::pair<std::string, std::uint64_t>> records{};  // by table
  std::vector<verify_fault> faults{};

  [[nodiscard]] bool is_sound() const noexcept { return faults.empty(); }
};

// Reads the whole store of a directory and checks it, without changing anything: first the pages of the file, with a reader of its own that
// trusts no number in it; then each record's checksum and shape; then, if all that holds, what the tables promise each other: each run has its
// event, definition, steps and index rows, a status that fits what it waits for, and so on (storage/README.md, "verify", has the list).
// Faults are in the report, not thrown. Throws error{store_locked} when a runtime has the directory, error{invalid_argument} when there is no
// store in it, error{storage_failed} when it cannot be read at all. Holds the directory's lock meanwhile. One pass over the file and a few
// lookups a record: about a second for each 100 MB; memory: one byte a page.
[[nodiscard]] verify_report verify(const std::string& directory, const verify_options& options = {});

}  // namespace caesura
