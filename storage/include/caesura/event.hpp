#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <caesura/document.hpp>
#include <caesura/ids.hpp>
#include <caesura/time.hpp>

namespace caesura {

// Ids that begin so make sending idempotent and are nothing else.
inline constexpr std::string_view seed_prefix{"caesura/seed/"};

// Something that happened. Starts the functions whose triggers match it, cancels and resumes the runs that listen for it.
struct event {
  std::string name{};  // 1 to 255 bytes of UTF-8, such as "tasks/reminder.created"; "inngest/…" and "caesura/signal:…" are reserved
  document data{};     // an object or null; the whole event at most 512 KiB
  // Makes sending idempotent: the same name and id again within 24 h changes nothing. At most 256 bytes. Empty: one is assigned, which functions and lists show
  // as well in place of one that begins with `seed_prefix`.
  std::string id{};
  // When it happened or is to happen; in the future, the runs it starts begin then and can be cancelled meanwhile. nullopt: now.
  // `caesura::wall_clock() + 1h`, in milliseconds as all times.
  std::optional<time_point> time{};
  // Who did it, an object, for whoever reads it: expressions know it as `event.user`. null: nobody is named.
  document user{};
  std::string version{};  // a label of the data's form, such as "2026-11-01.2", `event.v` in expressions; at most 255 bytes. Empty: none

  // What it is told with: data and user, as msgpack.
  [[nodiscard]] std::size_t content_bytes() const noexcept { return data.bytes().size() + (user.is_null() ? 0 : user.bytes().size()); }
};

}  // namespace caesura
