#include <array>
#include <string_view>

#include "storage/codec.hpp"
#include "tests/fuzz/targets.hpp"

namespace caesura::fuzz {

namespace {

using namespace caesura::storage;

template <class Record>
void check(table where, std::string_view body) {
  const std::string key(16, 'k');
  const auto sealed = seal(where, key, body);
  if (const auto record = decode<Record>(where, key, sealed)) {
    const auto once = encode(where, key, *record);
    const auto again = decode<Record>(where, key, once);
    require(again.has_value(), "a record that was encoded does not decode");
    require(encode(where, key, *again) == once, "a record changes on its way through the codec");
  }
  (void)decode<Record>(where, key, body);  // with whatever stands where the checksum should be
  auto damaged = sealed;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  require(!decode<Record>(where, key, damaged), "a wrong checksum is not seen");
  require(!decode<Record>(where, std::string(16, 'l'), sealed), "a record under another key is not seen");
}

}  // namespace

void record(bytes input) {
  if (input.empty()) return;
  const std::string_view body{reinterpret_cast<const char*>(input.data()) + 1, input.size() - 1};
  switch (input[0] % 11) {
    case 0: check<event_record>(table::events, body); break;
    case 1: check<run_record>(table::live_runs, body); break;
    case 2: check<step_record>(table::steps, body); break;
    case 3: check<definition_record>(table::definitions, body); break;
    case 4: check<outbox_record>(table::outbox, body); break;
    case 5: check<sweep_record>(table::sweeps, body); break;
    case 6: check<bulk_record>(table::bulk_jobs, body); break;
    case 7: check<plan_record>(table::plans, body); break;
    case 8: check<plan_chunk_record>(table::plan_ids, body); break;
    case 10: check<flow_record>(table::flow, body); break;
    default: check<function_state_record>(table::functions, body); break;
  }
}

}  // namespace caesura::fuzz
