#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/expression/expression.hpp"
#include "storage/records.hpp"

namespace caesura::actors {

// What stood at one path of the events of one name that have come already. Many runs that go on at once may look back on the same events, for different
// values: each event is read for the first of them. A cache of the store, which forgets by itself; one thread.
class passed_events {
 public:
  struct passed {
    event_id id{};
    std::optional<std::uint64_t> hash{};  // nullopt: nothing stands there
  };
  // Reads the events of the name behind the id, ascending, until the visitor has enough.
  using reader = std::function<void(const event_id& behind, const std::function<bool(const storage::event_record&)>& visit)>;

  // Those behind `from`, ascending: all of them, or a little more than `enough`. Valid until the next call.
  [[nodiscard]] std::span<const passed> behind(const std::string& event, const expression::index_conjunct& path, const event_id& from, std::size_t enough,
                                               const reader& read);
  // What was read of a transaction that is taken back was never there.
  void forget() noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  static constexpr std::size_t capacity = 100'000;  // of all together, about; 32 bytes each

 private:
  struct series {
    event_id from{};  // nothing is known up to here
    std::vector<passed> events{};
  };

  std::unordered_map<std::string, series> series_;  // by name and path
  std::size_t size_ = 0;
};

}  // namespace caesura::actors
