#pragma once

// Damage as a disk does it: behind the store's back.

#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/codec.hpp"
#include "storage/lmdb.hpp"

namespace caesura::testing {

// Flips a bit of the first byte of `text` wherever it stands in the file; the store may be in use.
inline void damage_text(const std::string& directory, const std::string& text) {
  const auto path = directory + "/caesura.mdb";
  std::ifstream in{path, std::ios::binary};
  const std::string bytes{std::istreambuf_iterator<char>{in}, {}};
  const int file = ::open(path.c_str(), O_WRONLY);
  int found = 0;
  for (auto at = bytes.find(text); at != std::string::npos; at = bytes.find(text, at + 1), ++found) {
    const char flipped = static_cast<char>(bytes[at] ^ 1);
    BOOST_REQUIRE(::pwrite(file, &flipped, 1, static_cast<off_t>(at)) == 1);
  }
  ::close(file);
  BOOST_REQUIRE(found > 0);
}

// Changes rows of a store that is not in use.
inline void change_rows(const std::string& directory, const std::function<void(storage::lmdb_transaction&)>& change) {
  const storage::lmdb_environment environment{directory + "/caesura.mdb", std::size_t{256} << 20, 8};
  storage::lmdb_transaction tx{environment, storage::access::write};
  change(tx);
  tx.commit();
}

inline std::vector<std::pair<std::string, std::string>> rows_of(const storage::lmdb_transaction& tx, storage::table where) {
  std::vector<std::pair<std::string, std::string>> rows;
  tx.each_from(where, {}, [&](std::string_view key, std::string_view value) {
    rows.emplace_back(key, value);
    return true;
  });
  return rows;
}

// Flips a bit in the record at `index` of a table, by its keys' order, of a store that is not in use.
inline void damage_record(const std::string& directory, storage::table where, std::size_t index = 0) {
  change_rows(directory, [&](storage::lmdb_transaction& tx) {
    auto [key, value] = rows_of(tx, where).at(index);
    value[value.size() / 2] = static_cast<char>(value[value.size() / 2] ^ 1);
    tx.put(where, key, value);
  });
}

inline std::size_t count_rows(const std::string& directory, storage::table where) {
  std::size_t count = 0;
  change_rows(directory, [&](storage::lmdb_transaction& tx) { count = tx.count(where); });
  return count;
}

}  // namespace caesura::testing
