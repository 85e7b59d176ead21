#pragma once

// A small RAII layer over LMDB, the only file pair that includes its header. Facts about LMDB 0.9.24 that shape it are in README.md.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "storage/codec.hpp"

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

namespace caesura::storage {

// One open file with all its tables. Throws error{storage_full, storage_failed, store_corrupt} from its constructor.
class lmdb_environment {
 public:
  // `map_size_bytes` is halved down to 8 GiB when the address space refuses more.
  lmdb_environment(const std::string& file, std::size_t map_size_bytes, std::uint32_t max_readers);
  ~lmdb_environment();
  lmdb_environment(const lmdb_environment&) = delete;
  lmdb_environment& operator=(const lmdb_environment&) = delete;

  [[nodiscard]] std::size_t used_bytes() const;

 private:
  friend class lmdb_transaction;
  bool find_tables();
  void open_tables();

  MDB_env* env_ = nullptr;
  std::array<unsigned, table_count> tables_{};
};

enum class access : std::uint8_t { read, write };

// A transaction; aborted by its destructor unless committed. Views that it returns are valid until the next write or its end.
class lmdb_transaction {
 public:
  lmdb_transaction(const lmdb_environment& environment, access how);
  ~lmdb_transaction();
  lmdb_transaction(const lmdb_transaction&) = delete;
  lmdb_transaction& operator=(const lmdb_transaction&) = delete;

  [[nodiscard]] std::optional<std::string_view> get(table where, std::string_view key) const;
  void put(table where, std::string_view key, std::string_view value);
  void remove(table where, std::string_view key);  // what is not there stays away

  // Calls `visit` for each entry from `from` (inclusive) on, in key order, until it returns false.
  using visitor = std::function<bool(std::string_view key, std::string_view value)>;
  void each_from(table where, std::string_view from, const visitor& visit) const;
  // The same backwards, from the last entry whose key is less than `before` (empty: from the last of all).
  void each_before(table where, std::string_view before, const visitor& visit) const;

  [[nodiscard]] std::size_t count(table where) const;

  void commit();

 private:
  const lmdb_environment& environment_;
  MDB_txn* txn_ = nullptr;
};

}  // namespace caesura::storage
