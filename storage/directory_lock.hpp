#pragma once

#include <string>

namespace caesura::storage {

// Makes the names in a directory durable. Throws error{storage_failed}.
void sync_directory(const std::string& directory);

// Holds a directory for one store of one process. The constructor makes the directory and throws error{store_locked} naming the
// holder, whether another process or this one; error{storage_failed} when the directory cannot be used. Released by the destructor, or
// by the kernel when the process ends.
class directory_lock {
 public:
  explicit directory_lock(const std::string& directory);
  ~directory_lock();
  directory_lock(const directory_lock&) = delete;
  directory_lock& operator=(const directory_lock&) = delete;

 private:
  int file_ = -1;
};

}  // namespace caesura::storage
