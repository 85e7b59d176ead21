#include "tests/faults/file_shim.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <mutex>
#include <optional>
#include <utility>

namespace caesura::testing::file_shim {

namespace {

// One thread writes in these tests; the lock is for the sanitizers' peace and for reads of the counts.
struct shim {
  std::mutex lock;
  bool is_watching = false;
  dev_t device{};
  ino_t inode{};
  std::vector<call> log;
  struct plan {
    failure how;
    std::uint64_t until_failure = 0;
  };
  std::array<std::uint64_t, 4> made{};
  std::array<std::optional<plan>, 4> planned{};
  std::uint64_t failed = 0;
};
shim& the_shim() {
  static shim one;
  return one;
}

bool is_watched(int file) {
  auto& s = the_shim();
  struct stat found {};
  return s.is_watching && ::fstat(file, &found) == 0 && found.st_dev == s.device && found.st_ino == s.inode;
}
call_kind kind_of_write(int file) { return (::fcntl(file, F_GETFL) & O_DSYNC) != 0 ? call_kind::meta : call_kind::data; }

// The failure that is due for this call, if any.
std::optional<failure> count(call_kind kind) {
  auto& s = the_shim();
  ++s.made[static_cast<std::size_t>(kind)];
  auto& plan = s.planned[static_cast<std::size_t>(kind)];
  if (!plan || plan->until_failure == 0 || --plan->until_failure > 0) return std::nullopt;
  plan->until_failure = plan->how.every;
  ++s.failed;
  return plan->how;
}

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));  // NOLINT: dlsym gives nothing better
}

using pwrite_fn = ssize_t (*)(int, const void*, size_t, off_t);
using writev_fn = ssize_t (*)(int, const iovec*, int);
using sync_fn = int (*)(int);
using open_fn = int (*)(const char*, int, mode_t);

int open_logged(const char* path, int flags, mode_t mode) {
  static const auto real = next<open_fn>("open");
  auto& s = the_shim();
  struct stat found {};
  if (s.is_watching && ::stat(path, &found) == 0 && found.st_dev == s.device && found.st_ino == s.inode) {
    const std::lock_guard guard{s.lock};
    if (const auto due = count(call_kind::open)) {
      errno = due->code;
      return -1;
    }
  }
  return real(path, flags, mode);
}

ssize_t write_logged(int file, const std::string& bytes, off_t offset) {
  static const auto real = next<pwrite_fn>("pwrite");
  auto& s = the_shim();
  const std::lock_guard guard{s.lock};
  const auto kind = kind_of_write(file);
  std::size_t length = bytes.size();
  if (const auto due = count(kind)) {
    if (!due->is_short) {
      errno = due->code;
      return -1;
    }
    length /= 2;
  }
  const auto written = real(file, bytes.data(), length, offset);
  if (written > 0) s.log.push_back({kind, static_cast<std::uint64_t>(offset), bytes.substr(0, static_cast<std::size_t>(written))});
  return written;
}

int sync_logged(int file, const char* name) {
  const auto real = next<sync_fn>(name);
  auto& s = the_shim();
  const std::lock_guard guard{s.lock};
  if (const auto due = count(call_kind::sync)) {
    errno = due->code;
    return -1;
  }
  const int status = real(file);
  if (status == 0) s.log.push_back({.kind = call_kind::sync});
  return status;
}

}  // namespace

void watch(const std::string& path) {
  auto& s = the_shim();
  const std::lock_guard guard{s.lock};
  struct stat found {};
  s.is_watching = !path.empty() && ::stat(path.c_str(), &found) == 0;
  s.device = found.st_dev;
  s.inode = found.st_ino;
  s.log.clear();
  s.made = {};
}

std::vector<call> take_log() {
  auto& s = the_shim();
  const std::lock_guard guard{s.lock};
  return std::exchange(s.log, {});
}

std::uint64_t calls_made(call_kind kind) {
  auto& s = the_shim();
  const std::lock_guard guard{s.lock};
  return s.made[static_cast<std::size_t>(kind)];
}

void fail(const failure& how) {
  auto& s = the_shim();
  const std::lock_guard guard{s.lock};
  s.planned[static_cast<std::size_t>(how.kind)] = {how, how.first};
}

std::uint64_t heal() {
  auto& s = the_shim();
  const std::lock_guard guard{s.lock};
  s.planned = {};
  return std::exchange(s.failed, 0);
}

}  // namespace caesura::testing::file_shim

// ---- in place of libc's

namespace shim = caesura::testing::file_shim;

extern "C" {

ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
  if (shim::is_watched(file)) return shim::write_logged(file, {static_cast<const char*>(bytes), size}, offset);
  static const auto real = shim::next<shim::pwrite_fn>("pwrite");
  return real(file, bytes, size, offset);
}

ssize_t writev(int file, const iovec* parts, int count) {
  static const auto real = shim::next<shim::writev_fn>("writev");
  if (!shim::is_watched(file)) return real(file, parts, count);
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  const auto offset = ::lseek(file, 0, SEEK_CUR);
  const auto written = shim::write_logged(file, bytes, offset);
  if (written > 0) ::lseek(file, offset + written, SEEK_SET);
  return written;
}

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const auto mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : mode_t{0};
  va_end(more);
  return shim::open_logged(path, flags, mode);
}

int fdatasync(int file) {
  if (shim::is_watched(file)) return shim::sync_logged(file, "fdatasync");
  return shim::next<shim::sync_fn>("fdatasync")(file);
}

int fsync(int file) {
  if (shim::is_watched(file)) return shim::sync_logged(file, "fsync");
  return shim::next<shim::sync_fn>("fsync")(file);
}

}  // extern "C"
