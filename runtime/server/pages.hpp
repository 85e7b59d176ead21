#pragma once

#include <cstddef>

#include <caesura/runtime.hpp>

namespace caesura::server {

// A page ends behind what makes it so large, as stored, although there is more: outputs and events may be large, and a page may be of many.
inline constexpr std::size_t page_bytes = 16 * 1024 * 1024;

// What the runtime lists, in parts, so that not much more than a page of it is in memory at once. As with the runtime's own pages `next` says whether there
// may be more, also when the page is empty: looking for what a filter lets through ends after a second or two.
[[nodiscard]] run_page page_of_runs(const caesura::runtime& from, const run_filter& filter, const page_request& request);
[[nodiscard]] event_page page_of_events(const caesura::runtime& from, const event_filter& filter, const event_page_request& request);

}  // namespace caesura::server
