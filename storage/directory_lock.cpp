#include "storage/directory_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include <caesura/error.hpp>

namespace caesura::storage {

namespace {

std::string holder_of(int file) {
  std::array<char, 512> text{};
  const auto size = ::pread(file, text.data(), text.size(), 0);
  return size > 0 ? std::string{text.data(), static_cast<std::size_t>(size)} : "another process";
}

std::string this_process() {
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return "process " + std::to_string(::getpid()) + " (" + program.filename().string() + ")";
}

}  // namespace

void sync_directory(const std::string& directory) {
  const int opened = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool is_synced = opened >= 0 && (::fsync(opened) == 0 || errno == EINVAL);  // EINVAL: the file system has nothing to sync
  const int why = errno;
  if (opened >= 0) ::close(opened);
  if (!is_synced) throw error{errc::storage_failed, "directory " + directory + " cannot be synced: " + std::strerror(why)};
}

directory_lock::directory_lock(const std::string& directory) {
  std::error_code failed;
  std::vector<std::filesystem::path> parents;  // in which a name is new
  auto made = std::filesystem::absolute(directory, failed).lexically_normal();
  if (!made.has_filename()) made = made.parent_path();  // of "store/"
  for (; !std::filesystem::exists(made, failed) && made.has_relative_path(); made = made.parent_path()) parents.push_back(made.parent_path());
  std::filesystem::create_directories(directory, failed);
  if (failed) throw error{errc::storage_failed, "directory " + directory + " cannot be made: " + failed.message()};
  for (const auto& parent : parents) sync_directory(parent.string());
  constexpr mode_t mode = 0644;
  const std::string path = directory + "/lock";
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, mode);
  if (file_ < 0) throw error{errc::storage_failed, "file " + path + " cannot be opened: " + std::strerror(errno)};
  // flock belongs to the open file, so a second store in this process is refused like one in another.
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
    const std::string holder = holder_of(file_);
    ::close(file_);
    throw error{errc::store_locked, "directory " + directory + " is in use by " + holder + ": one runtime at a time may open it"};
  }
  const std::string me = this_process();
  if (::ftruncate(file_, 0) != 0 || ::pwrite(file_, me.data(), me.size(), 0) < 0) {
    ::close(file_);
    throw error{errc::storage_failed, "file " + path + " cannot be written: " + std::strerror(errno)};
  }
}

directory_lock::~directory_lock() { ::close(file_); }

}  // namespace caesura::storage
