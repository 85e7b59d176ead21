#pragma once

#include <string>
#include <string_view>

#include "runtime/server/http/message.hpp"

namespace caesura::http {

// What an answer depends on.
struct request_traits {
  bool is_version_11{true};
  bool is_head{false};
};

// How the body follows its head.
struct framing {
  request_traits asked;
  bool is_closing{false};  // the connection ends behind it
  bool is_stream{false};   // in chunks, to HTTP/1.0 until the end; else at once
};

// The answer, or status 500 that says why it cannot be sent: a header with a line break, a status outside 200 to 999.
[[nodiscard]] response sendable(response answer);

// Statuses whose answers never have a body.
[[nodiscard]] bool has_no_body(int status) noexcept;

// Status line and fields, through the empty line: Date, `extra`, those of the answer except for the ones that frame it, and
// framing.
[[nodiscard]] std::string make_head(const response& answer, const header_list& extra, framing how);

// `bytes` as one chunk of a chunked body; they are not empty.
[[nodiscard]] std::string to_chunk(std::string_view bytes);

}  // namespace caesura::http
