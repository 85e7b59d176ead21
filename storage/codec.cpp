#include "storage/codec.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <type_traits>
#include <vector>

#include <msgpack.hpp>

#include "storage/crc32c.hpp"
#include "storage/document_view.hpp"
#include "storage/pack_buffer.hpp"

namespace caesura::storage {

namespace {

constexpr std::uint8_t record_version = 1;
constexpr std::size_t checksum_bytes = 4;

// The fields of each record, in their order in the bytes, for writing and reading alike.
template <class Record, class Of>
concept is = std::same_as<std::remove_const_t<Record>, Of>;

template <class Io, is<event_record> R>
void fields(Io& io, R& r) {
  io(r.id, r.name, r.client_id, r.data, r.time, r.received_at, r.runs, r.depth, r.user, r.version);
}
template <class Io, is<trigger_record> R>
void fields(Io& io, R& r) {
  io(r.event, r.when);
}
template <class Io, is<cancel_rule_record> R>
void fields(Io& io, R& r) {
  io(r.event, r.when, r.timeout, r.until);
}
template <class Io, is<definition_record> R>
void fields(Io& io, R& r) {
  io(r.function, r.triggers, r.cancel_on, r.start_timeout, r.finish_timeout, r.concurrency);
}
template <class Io, is<concurrency_record> R>
void fields(Io& io, R& r) {
  io(r.limit, r.key, r.counts_resting, r.is_shared);
}
template <class Io, is<attempt_failure> R>
void fields(Io& io, R& r) {
  io(r.error, r.started_at, r.ended_at);
}
template <class Io, is<run_filter> R>
void fields(Io& io, R& r) {
  io(r.function.values, r.status.values, r.run.values, r.created_after, r.created_before, r.when);
}
template <class Io, is<bulk_counts> R>
void fields(Io& io, R& r) {
  io(r.total, r.looked_at, r.matched, r.cancelled, r.cancelling, r.already_ended, r.replayed, r.refused);
}
template <class Io, is<bulk_record> R>
void fields(Io& io, R& r) {
  io(r.kind, r.status, r.source, r.reason, r.by, r.filter, r.plan, r.cursor, r.next, r.counts, r.created_at, r.ended_at, r.from_step,
     r.rate_per_second, r.next_at);
}
template <class Io, is<plan_record> R>
void fields(Io& io, R& r) {
  io(r.created_at, r.filter, r.ids);
}
template <class Io, is<plan_chunk_record> R>
void fields(Io& io, R& r) {
  io(r.ids);
}
template <class Io, is<function_state_record> R>
void fields(Io& io, R& r) {
  io(r.is_paused, r.mode, r.changed_at, r.changed_in, r.reason, r.skipped);
}
template <class Io, is<flow_record> R>
void fields(Io& io, R& r) {
  io(r.kind, r.function, r.at, r.run, r.cron, r.beyond_ns);
}
template <class Io, is<listener_key> R>
void fields(Io& io, R& r) {
  io(r.how, r.hash);
}
template <class Io, is<recorded_error> R>
void fields(Io& io, R& r) {
  io(r.name, r.message);
}
template <class Io, is<cancellation> R>
void fields(Io& io, R& r) {
  io(r.source, r.reason, r.event, r.rule, r.requested_at, r.by, r.bulk, r.parent);
}
template <class Io, is<consumed_record> R>
void fields(Io& io, R& r) {
  io(r.event, r.last);
}
template <class Io, is<pending_record> R>
void fields(Io& io, R& r) {
  io(r.kind, r.step, r.failed_attempts, r.last_error, r.started_at, r.due, r.event, r.when, r.key, r.since, r.slot,
     r.failures, r.child, r.name);
}
template <class Io, is<run_record> R>
void fields(Io& io, R& r) {
  io(r.id, r.definition, r.event, r.status, r.depth, r.interruptions, r.step_count, r.state_bytes, r.created_at, r.started_at, r.ended_at,
     r.due, r.cancel_keys, r.pending, r.cancelled_by, r.output, r.error, r.held_because, r.consumed, r.replay_of, r.root,
     r.kept_steps, r.parent, r.on_parent_cancel, r.nesting, r.has_children, r.is_paused, r.groups, r.deadline, r.queued_at, r.swept_to,
     r.any_from, r.goes_on_at_first, r.priority, r.throttle, r.singleton, r.first_event, r.events, r.batch_bytes, r.recorded_at);
}
template <class Io, is<step_record> R>
void fields(Io& io, R& r) {
  io(r.id, r.kind, r.result, r.error, r.attempts, r.started_at, r.ended_at, r.failures, r.child, r.name);
}
template <class Io, is<outbox_record> R>
void fields(Io& io, R& r) {
  io(r.kind, r.run);
}
template <class Io, is<sweep_record> R>
void fields(Io& io, R& r) {
  io(r.event, r.kind, r.bulk, r.root, r.as_of, r.function);
}

// The highest value of each stored enum: bytes beyond it are damage or a newer writer.
template <class E>
constexpr std::uint64_t last_of();
template <>
constexpr std::uint64_t last_of<run_status>() {
  return static_cast<std::uint64_t>(run_status::skipped);
}
template <>
constexpr std::uint64_t last_of<cancel_source>() {
  return static_cast<std::uint64_t>(cancel_source::singleton);
}
template <>
constexpr std::uint64_t last_of<step_kind>() {
  return static_cast<std::uint64_t>(step_kind::invoke);
}
template <>
constexpr std::uint64_t last_of<system_event>() {
  return static_cast<std::uint64_t>(system_event::cancelled);
}
template <>
constexpr std::uint64_t last_of<listener_key::mode>() {
  return static_cast<std::uint64_t>(listener_key::mode::hashed);
}
template <>
constexpr std::uint64_t last_of<child_policy>() {
  return static_cast<std::uint64_t>(child_policy::abandon);
}
template <>
constexpr std::uint64_t last_of<sweep_kind>() {
  return static_cast<std::uint64_t>(sweep_kind::resume);
}
template <>
constexpr std::uint64_t last_of<bulk_kind>() {
  return static_cast<std::uint64_t>(bulk_kind::replay);
}
template <>
constexpr std::uint64_t last_of<bulk_status>() {
  return static_cast<std::uint64_t>(bulk_status::done);
}
template <>
constexpr std::uint64_t last_of<flow_kind>() {
  return static_cast<std::uint64_t>(flow_kind::cron);
}
template <>
constexpr std::uint64_t last_of<pause_mode>() {
  return static_cast<std::uint64_t>(pause_mode::cancel);
}

struct count_of {
  std::uint32_t count = 0;
  template <class... T>
  void operator()(const T&...) {
    count = sizeof...(T);
  }
};

class writer {
 public:
  explicit writer(pack_buffer& out) : out_{out}, pack_{out} {}

  template <class... T>
  void operator()(const T&... field) {
    (write(field), ...);
  }
  template <class Record>
  void record(const Record& value) {
    count_of count;
    fields(count, value);
    pack_.pack_array(count.count + 1);
    pack_.pack_uint8(record_version);
    fields(*this, value);
  }

 private:
  template <class T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>)
  void write(T value) {
    if constexpr (std::is_enum_v<T>) {
      pack_.pack(static_cast<std::underlying_type_t<T>>(value));
    } else {
      pack_.pack(value);
    }
  }
  void write(double value) {
    // From 2^64 on by hand: msgpack-c asks whether such a number is a whole one of 64 bits by making it one, which is undefined.
    if (value < 0x1p64) {
      pack_.pack_double(value);
      return;
    }
    std::array<char, 9> bytes{'\xCB'};
    auto bits = std::bit_cast<std::uint64_t>(value);
    for (std::size_t i = bytes.size() - 1; i > 0; --i, bits >>= 8) bytes[i] = static_cast<char>(bits & 0xFF);
    out_.write(bytes.data(), bytes.size());
  }
  void write(const std::string& value) {
    pack_.pack_str(static_cast<std::uint32_t>(value.size()));
    pack_.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
  }
  void write(const document& value) {
    if (value.is_null()) {
      pack_.pack_nil();
      return;
    }
    write_bytes(value.bytes());
  }
  void write(time_point value) { pack_.pack_int64(value.time_since_epoch().count()); }
  void write(duration value) { pack_.pack_int64(value.count()); }
  template <class Tag>
  void write(const basic_id<Tag>& value) {
    if (value.is_nil()) {
      pack_.pack_nil();
      return;
    }
    write_bytes({reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size()});
  }
  template <class T>
  void write(const std::optional<T>& value) {
    value ? write(*value) : void(pack_.pack_nil());
  }
  template <class T>
  void write(const std::vector<T>& values) {
    pack_.pack_array(static_cast<std::uint32_t>(values.size()));
    for (const auto& value : values) write(value);
  }
  template <class Record>
    requires std::is_aggregate_v<Record>
  void write(const Record& value) {
    record(value);
  }
  void write_bytes(std::string_view bytes) {
    pack_.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    pack_.pack_bin_body(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  }

  pack_buffer& out_;
  msgpack::packer<pack_buffer> pack_;
};

// Reads the elements of one array. The first element that does not fit ends it: is_good() is false from then on.
class reader {
 public:
  explicit reader(const document_view& array) {
    good_ = array.kind() == value_kind::list;
    at_ = array.first();
    std::uint8_t version = 0;
    (*this)(version);
    good_ = good_ && version >= 1;
  }

  template <class... T>
  void operator()(T&... field) {
    (next(field), ...);
  }
  [[nodiscard]] bool is_good() const noexcept { return good_; }

 private:
  template <class T>
  void next(T& field) {
    if (!good_ || !at_) return;
    good_ = read(at_.value(), field);
    at_ = at_.next();
  }

  static std::optional<std::uint64_t> number(const document_view& v) {
    if (v.kind() == value_kind::integer && v.integer() >= 0) return static_cast<std::uint64_t>(v.integer());
    if (v.kind() == value_kind::unsigned_integer) return v.unsigned_integer();
    return std::nullopt;
  }
  static bool read(const document_view& v, bool& out) {
    if (v.kind() != value_kind::boolean) return false;
    out = v.boolean();
    return true;
  }
  static bool read(const document_view& v, double& out) {
    // The packer writes whole numbers as integers.
    if (v.kind() == value_kind::real) {
      out = v.real();
    } else if (v.kind() == value_kind::integer) {
      out = static_cast<double>(v.integer());
    } else if (v.kind() == value_kind::unsigned_integer) {
      out = static_cast<double>(v.unsigned_integer());
    } else {
      return false;
    }
    return true;
  }
  template <class T>
    requires std::is_unsigned_v<T>
  static bool read(const document_view& v, T& out) {
    const auto value = number(v);
    if (!value || *value > std::numeric_limits<T>::max()) return false;
    out = static_cast<T>(*value);
    return true;
  }
  static bool read(const document_view& v, std::int32_t& out) {
    if (v.kind() != value_kind::integer || v.integer() != static_cast<std::int32_t>(v.integer())) return false;
    out = static_cast<std::int32_t>(v.integer());
    return true;
  }
  template <class E>
    requires std::is_enum_v<E>
  static bool read(const document_view& v, E& out) {
    const auto value = number(v);
    if (!value || *value > last_of<E>()) return false;
    out = static_cast<E>(*value);
    return true;
  }
  static bool read(const document_view& v, std::string& out) {
    if (v.kind() != value_kind::text) return false;
    out = v.text();
    return true;
  }
  static bool read(const document_view& v, document& out) {
    if (v.kind() == value_kind::null) return true;
    if (v.kind() != value_kind::binary) return false;
    out = document::from_trusted_msgpack(std::string{v.text()});
    return true;
  }
  static bool read(const document_view& v, time_point& out) {
    if (v.kind() != value_kind::integer) return false;
    out = time_point{duration{v.integer()}};
    return true;
  }
  static bool read(const document_view& v, duration& out) {
    if (v.kind() != value_kind::integer) return false;
    out = duration{v.integer()};
    return true;
  }
  template <class Tag>
  static bool read(const document_view& v, basic_id<Tag>& out) {
    if (v.kind() == value_kind::null) return true;
    if (v.kind() != value_kind::binary || v.text().size() != out.bytes.size()) return false;
    std::memcpy(out.bytes.data(), v.text().data(), out.bytes.size());
    return true;
  }
  template <class T>
  static bool read(const document_view& v, std::optional<T>& out) {
    if (v.kind() == value_kind::null) return true;
    return read(v, out.emplace());
  }
  template <class T>
  static bool read(const document_view& v, std::vector<T>& out) {
    if (v.kind() != value_kind::list) return false;
    for (auto item = v.first(); item; item = item.next()) {
      if (!read(item.value(), out.emplace_back())) return false;
    }
    return true;
  }
  template <class Record>
    requires std::is_aggregate_v<Record>
  static bool read(const document_view& v, Record& out) {
    reader inner{v};
    fields(inner, out);
    return inner.is_good();
  }

  document_view::item at_;
  bool good_ = false;
};

std::uint32_t checksum(table where, std::string_view key, std::string_view body) {
  const char number = static_cast<char>(where);
  return crc32c(body, crc32c(key, crc32c({&number, 1})));
}

std::array<char, checksum_bytes> little_endian(std::uint32_t sum) {
  std::array<char, checksum_bytes> bytes{};
  for (auto& byte : bytes) {
    byte = static_cast<char>(sum & 0xFF);
    sum >>= 8;
  }
  return bytes;
}

}  // namespace

std::string_view name_of(table where) noexcept {
  constexpr std::array<std::string_view, table_count> names{"meta",  "events",      "events_by_name", "live_runs", "ended_runs",
                                                            "runs_by_function", "steps", "definitions", "outbox", "sweeps",
                                                            "bulk_jobs", "plans", "plan_ids", "functions", "children", "runs_by_event", "flow"};
  return names[static_cast<std::size_t>(where)];
}

std::string seal(table where, std::string_view key, std::string_view bytes) {
  const auto sum = little_endian(checksum(where, key, bytes));
  std::string sealed;
  sealed.reserve(bytes.size() + checksum_bytes);
  return sealed.append(bytes).append(sum.data(), sum.size());
}

std::optional<std::string_view> unseal(table where, std::string_view key, std::string_view sealed) {
  if (sealed.size() < checksum_bytes) return std::nullopt;
  const auto bytes = sealed.substr(0, sealed.size() - checksum_bytes);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < checksum_bytes; ++i) sum |= std::uint32_t{static_cast<std::uint8_t>(sealed[bytes.size() + i])} << (8 * i);
  if (sum != checksum(where, key, bytes)) return std::nullopt;
  return bytes;
}

template <class Record>
std::string_view encode(pack_buffer& out, table where, std::string_view key, const Record& record) {
  out.clear();
  writer{out}.record(record);
  const auto sum = little_endian(checksum(where, key, out.view()));
  out.write(sum.data(), sum.size());
  return out.view();
}

template <class Record>
std::string encode(table where, std::string_view key, const Record& record) {
  pack_buffer out;
  return std::string{encode(out, where, key, record)};
}

template <class Record>
std::optional<Record> decode(table where, std::string_view key, std::string_view bytes) {
  const auto body = unseal(where, key, bytes);
  if (!body) return std::nullopt;
  reader in{document_view{*body}};
  std::optional<Record> record{std::in_place};
  fields(in, *record);
  if (!in.is_good()) return std::nullopt;
  return record;
}

std::optional<run_status> decode_status(table where, std::string_view key, std::string_view bytes) {
  constexpr std::size_t place = 4;  // in fields(run_record), behind the version
  const auto body = unseal(where, key, bytes);
  if (!body) return std::nullopt;
  const auto value = document_view{*body}.at(place);
  if (value.kind() != value_kind::integer || value.integer() < 0 || value.integer() > static_cast<std::int64_t>(run_status::skipped)) return std::nullopt;
  return static_cast<run_status>(value.integer());
}

std::string encode_body(const definition_record& record) {
  pack_buffer out;
  writer{out}.record(record);
  return std::string{out.view()};
}

#define CAESURA_RECORD(type)                                                                  \
  template std::string_view encode(pack_buffer&, table, std::string_view, const type&);       \
  template std::string encode(table, std::string_view, const type&);                          \
  template std::optional<type> decode(table, std::string_view, std::string_view);
CAESURA_RECORD(event_record)
CAESURA_RECORD(definition_record)
CAESURA_RECORD(run_record)
CAESURA_RECORD(step_record)
CAESURA_RECORD(outbox_record)
CAESURA_RECORD(sweep_record)
CAESURA_RECORD(bulk_record)
CAESURA_RECORD(plan_record)
CAESURA_RECORD(plan_chunk_record)
CAESURA_RECORD(function_state_record)
CAESURA_RECORD(flow_record)
#undef CAESURA_RECORD

}  // namespace caesura::storage
