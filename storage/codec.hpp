#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/pack_buffer.hpp"
#include "storage/records.hpp"

namespace caesura::storage {

// Which table a record belongs to. The numbers go into checksums and never change.
enum class table : std::uint8_t {
  meta = 0,
  events = 1,
  events_by_name = 2,
  live_runs = 3,
  ended_runs = 4,
  runs_by_function = 5,
  steps = 6,
  definitions = 7,
  outbox = 8,
  sweeps = 9,
  bulk_jobs = 10,
  plans = 11,
  plan_ids = 12,
  functions = 13,
  children = 14,
  runs_by_event = 15,
  flow = 16,
};
inline constexpr std::size_t table_count = 17;
[[nodiscard]] std::string_view name_of(table where) noexcept;

// A record as bytes: a msgpack array whose first element is the record's version, then a CRC-32C over table, key and array, so that a
// record that stands under another key is found too. Elements are only ever appended: a reader gives what is missing its default and
// passes over what it does not know.
template <class Record>
[[nodiscard]] std::string encode(table where, std::string_view key, const Record& record);
// The same in `out`, in place of what it held.
template <class Record>
[[nodiscard]] std::string_view encode(pack_buffer& out, table where, std::string_view key, const Record& record);

// nullopt: the bytes are damaged or no such record. Never throws but for memory, never reads outside the bytes.
template <class Record>
[[nodiscard]] std::optional<Record> decode(table where, std::string_view key, std::string_view bytes);

// The status of a run record and nothing else of it, for those who count many: a fraction of the work.
[[nodiscard]] std::optional<run_status> decode_status(table where, std::string_view key, std::string_view bytes);

// The same for plain bytes: the rows of `meta`.
[[nodiscard]] std::string seal(table where, std::string_view key, std::string_view bytes);
[[nodiscard]] std::optional<std::string_view> unseal(table where, std::string_view key, std::string_view sealed);

// The msgpack array alone, for hashing definitions.
[[nodiscard]] std::string encode_body(const definition_record& record);

}  // namespace caesura::storage
