#include "storage/lmdb.hpp"

#include <lmdb.h>

#include <cerrno>
#include <memory>

namespace caesura::storage {

namespace {

[[noreturn]] void fail(const std::string& what, int code) {
  const std::string text = what + ": " + mdb_strerror(code);
  switch (code) {
    case MDB_MAP_FULL:
      throw error{errc::storage_full, text + " (options.map_size_bytes is the most that the file may grow to)"};
    case ENOSPC:
    case EDQUOT:
      throw error{errc::storage_full, text};
    case MDB_PANIC:
      throw error{errc::outcome_unknown, text};
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
      throw error{errc::store_corrupt, text};
    case MDB_READERS_FULL:
      throw error{errc::storage_failed, text + ": too many reads at once"};
    default:
      throw error{errc::storage_failed, text};
  }
}

void check(const char* what, int code) {
  if (code != MDB_SUCCESS) fail(what, code);
}

MDB_val value_of(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }  // NOLINT: LMDB reads only
std::string_view view_of(const MDB_val& value) { return {static_cast<const char*>(value.mv_data), value.mv_size}; }

struct cursor_closer {
  void operator()(MDB_cursor* cursor) const noexcept { mdb_cursor_close(cursor); }
};
using cursor_ptr = std::unique_ptr<MDB_cursor, cursor_closer>;

cursor_ptr open_cursor(MDB_txn* txn, unsigned table) {
  MDB_cursor* cursor = nullptr;
  check("a table could not be read", mdb_cursor_open(txn, table, &cursor));
  return cursor_ptr{cursor};
}

}  // namespace

lmdb_environment::lmdb_environment(const std::string& file, std::size_t map_size_bytes, std::uint32_t max_readers) {
  constexpr std::size_t smallest_halved = std::size_t{8} << 30;
  constexpr mdb_mode_t mode = 0644;
  for (std::size_t size = map_size_bytes;; size /= 2) {
    check("the store could not be set up", mdb_env_create(&env_));
    mdb_env_set_maxdbs(env_, table_count);
    mdb_env_set_maxreaders(env_, max_readers);
    mdb_env_set_mapsize(env_, size);
    // Default sync: a commit that returned is on disk. No read-ahead is not set: files are small next to memory.
    const int code = mdb_env_open(env_, file.c_str(), MDB_NOSUBDIR | MDB_NOTLS, mode);
    if (code == MDB_SUCCESS) break;
    mdb_env_close(env_);
    env_ = nullptr;
    // Out of addresses; EINVAL is Valgrind's word for it.
    if ((code != ENOMEM && code != EINVAL) || size / 2 < smallest_halved) fail("the store " + file + " could not be opened", code);
  }
  int stale = 0;
  mdb_reader_check(env_, &stale);
  try {
    open_tables();
  } catch (...) {
    mdb_env_close(env_);
    throw;
  }
}

lmdb_environment::~lmdb_environment() {
  if (env_ != nullptr) mdb_env_close(env_);
}

// A store that has all of them is not written to: it may be one of a newer library, which is about to be refused.
bool lmdb_environment::find_tables() {
  MDB_txn* txn = nullptr;
  check("the store's tables could not be opened", mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn));
  for (std::size_t i = 0; i < table_count; ++i) {
    const std::string name{name_of(static_cast<table>(i))};
    const int code = mdb_dbi_open(txn, name.c_str(), 0, &tables_[i]);
    if (code == MDB_SUCCESS) continue;
    mdb_txn_abort(txn);
    if (code != MDB_NOTFOUND) fail("table " + name + " could not be opened", code);
    return false;
  }
  check("the store's tables could not be opened", mdb_txn_commit(txn));
  return true;
}

void lmdb_environment::open_tables() {
  if (find_tables()) return;
  MDB_txn* txn = nullptr;
  check("the store's tables could not be opened", mdb_txn_begin(env_, nullptr, 0, &txn));
  for (std::size_t i = 0; i < table_count; ++i) {
    const std::string name{name_of(static_cast<table>(i))};
    if (const int code = mdb_dbi_open(txn, name.c_str(), MDB_CREATE, &tables_[i]); code != MDB_SUCCESS) {
      mdb_txn_abort(txn);
      fail("table " + name + " could not be opened", code);
    }
  }
  check("the store's tables could not be opened", mdb_txn_commit(txn));
}

std::size_t lmdb_environment::used_bytes() const {
  MDB_envinfo info{};
  MDB_stat stat{};
  mdb_env_info(env_, &info);
  mdb_env_stat(env_, &stat);
  return (info.me_last_pgno + 1) * stat.ms_psize;
}

lmdb_transaction::lmdb_transaction(const lmdb_environment& environment, access how) : environment_{environment} {
  check(how == access::read ? "a read could not begin" : "a write could not begin",
        mdb_txn_begin(environment.env_, nullptr, how == access::read ? MDB_RDONLY : 0, &txn_));
}

lmdb_transaction::~lmdb_transaction() {
  if (txn_ != nullptr) mdb_txn_abort(txn_);
}

std::optional<std::string_view> lmdb_transaction::get(table where, std::string_view key) const {
  MDB_val k = value_of(key);
  MDB_val v{};
  const int code = mdb_get(txn_, environment_.tables_[static_cast<std::size_t>(where)], &k, &v);
  if (code == MDB_NOTFOUND) return std::nullopt;
  check("a record could not be read", code);
  return view_of(v);
}

void lmdb_transaction::put(table where, std::string_view key, std::string_view value) {
  MDB_val k = value_of(key);
  MDB_val v = value_of(value);
  check("a record could not be written", mdb_put(txn_, environment_.tables_[static_cast<std::size_t>(where)], &k, &v, 0));
}

void lmdb_transaction::remove(table where, std::string_view key) {
  MDB_val k = value_of(key);
  const int code = mdb_del(txn_, environment_.tables_[static_cast<std::size_t>(where)], &k, nullptr);
  if (code != MDB_NOTFOUND) check("a record could not be removed", code);
}

void lmdb_transaction::each_from(table where, std::string_view from, const visitor& visit) const {
  const auto cursor = open_cursor(txn_, environment_.tables_[static_cast<std::size_t>(where)]);
  MDB_val k = value_of(from);
  MDB_val v{};
  int code = mdb_cursor_get(cursor.get(), &k, &v, from.empty() ? MDB_FIRST : MDB_SET_RANGE);
  for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor.get(), &k, &v, MDB_NEXT)) {
    if (!visit(view_of(k), view_of(v))) return;
  }
  if (code != MDB_NOTFOUND) check("a table could not be read", code);
}

void lmdb_transaction::each_before(table where, std::string_view before, const visitor& visit) const {
  const auto cursor = open_cursor(txn_, environment_.tables_[static_cast<std::size_t>(where)]);
  MDB_val k = value_of(before);
  MDB_val v{};
  int code = before.empty() ? MDB_NOTFOUND : mdb_cursor_get(cursor.get(), &k, &v, MDB_SET_RANGE);
  if (code != MDB_NOTFOUND) check("a table could not be read", code);
  code = mdb_cursor_get(cursor.get(), &k, &v, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
  for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor.get(), &k, &v, MDB_PREV)) {
    if (!visit(view_of(k), view_of(v))) return;
  }
  if (code != MDB_NOTFOUND) check("a table could not be read", code);
}

std::size_t lmdb_transaction::count(table where) const {
  MDB_stat stat{};
  check("a table could not be counted", mdb_stat(txn_, environment_.tables_[static_cast<std::size_t>(where)], &stat));
  return stat.ms_entries;
}

void lmdb_transaction::commit() {
  MDB_txn* const txn = std::exchange(txn_, nullptr);
  const int code = mdb_txn_commit(txn);
  if (code == MDB_SUCCESS) return;
  // A failed write of data pages leaves the last commit in force. Whether a failed meta page is on disk cannot be known: LMDB then
  // refuses everything that follows, which the next begin tells.
  MDB_txn* probe = nullptr;
  if (mdb_txn_begin(environment_.env_, nullptr, 0, &probe) == MDB_PANIC) fail("a commit failed half way", MDB_PANIC);
  if (probe != nullptr) mdb_txn_abort(probe);
  fail("a commit failed", code);
}

}  // namespace caesura::storage
