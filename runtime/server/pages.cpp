#include "runtime/server/pages.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace caesura::server {

namespace {

constexpr std::size_t part_limit = 50;

std::size_t bytes_of(const run_info& run) { return run.output.bytes().size() + (run.error ? run.error->message.size() : 0); }
std::size_t bytes_of(const event_info& stored) { return stored.event.content_bytes() + stored.event.name.size() + stored.event.id.size(); }

// `list`: a part of the page, of what is before the `next` of the page so far.
template <class Page, class Item, class Request, class List>
Page in_parts(std::vector<Item> Page::*items, const Request& request, const List& list) {
  Page page;
  page.next = request.before;
  std::size_t bytes = 0;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{1};
  for (;;) {
    auto part_request = request;
    part_request.before = page.next;
    part_request.limit = std::min(part_limit, request.limit - (page.*items).size());
    auto part = list(part_request);
    for (auto& one : part.*items) {
      page.next = one.id;
      bytes += bytes_of(one);
      (page.*items).push_back(std::move(one));
      if (bytes < page_bytes) continue;
      if (&one == &(part.*items).back()) page.next = part.next;
      return page;
    }
    const bool is_short = (part.*items).size() < part_request.limit;  // there is no more, or its time was over
    page.next = part.next;
    if (!page.next || is_short || (page.*items).size() >= request.limit || std::chrono::steady_clock::now() >= until) return page;
  }
}

}  // namespace

run_page page_of_runs(const caesura::runtime& from, const run_filter& filter, const page_request& request) {
  return in_parts(&run_page::runs, request, [&](const page_request& part) { return from.list(filter, part); });
}

event_page page_of_events(const caesura::runtime& from, const event_filter& filter, const event_page_request& request) {
  return in_parts(&event_page::events, request, [&](const event_page_request& part) { return from.list_events(filter, part); });
}

}  // namespace caesura::server
