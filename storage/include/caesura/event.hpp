#pragma once

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
};

}  // namespace caesura
