#pragma once

// A layer under one file of this process: the calls with which LMDB writes and syncs it are logged, and made to fail; so are those that open it anew. Defined by standing before
// libc's functions of the same name, so it belongs into one test program only.

#include <cstdint>
#include <string>
#include <vector>

namespace caesura::testing::file_shim {

// LMDB 0.9.24 writes data pages with pwrite or lseek and writev, syncs them with fdatasync, and writes a meta page with pwrite through a second
// descriptor, which was opened with O_DSYNC: that write is on disk when it returns.
// When it is opened anew (`open`), it is by the path that is watched.
enum class call_kind : std::uint8_t { data, sync, meta, open };

struct call {
  call_kind kind{call_kind::data};
  std::uint64_t offset{0};
  std::string bytes{};
};

// From now on, calls on the file at `path` (wherever it was opened) are logged; an empty path: on none.
void watch(const std::string& path);
[[nodiscard]] std::vector<call> take_log();
[[nodiscard]] std::uint64_t calls_made(call_kind kind);

// Call number `first` of the kind from now (1: the next), and from there each `every`-th (0: no other), fails with `code`; a data or meta write
// with `is_short` writes its first half and says so.
struct failure {
  call_kind kind{call_kind::data};
  std::uint64_t first{1}, every{0};
  int code{0};
  bool is_short{false};
};
// One failure of each kind at a time.
void fail(const failure& how);
// No more failures; returns how many there were.
std::uint64_t heal();

}  // namespace caesura::testing::file_shim
