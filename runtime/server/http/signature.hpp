#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace caesura::http {

// Digests of any bytes, in lower-case hex. Any thread.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);
[[nodiscard]] std::string sha1_hex(std::string_view bytes);
[[nodiscard]] std::string hmac_sha256_hex(std::string_view key, std::string_view bytes);

// Takes the same time wherever the texts differ; texts of different lengths are told apart at once.
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;

// The value of the header x-inngest-signature: "t=<unix seconds>&s=<hex>", where s is the HMAC-SHA256 of `body` followed by the
// decimal seconds, under the text of `signing_key` without its prefix "signkey-<environment>-".
[[nodiscard]] std::string sign_request(std::string_view signing_key, std::string_view body, std::int64_t unix_seconds);

enum class signature_check : std::uint8_t {
  valid,
  malformed,  // not "t=…&s=…"
  expired,    // further than the tolerance from now, before or after
  wrong,      // made with none of these keys, or for another body
};

// Five minutes are what the SDKs accept.
inline constexpr std::chrono::seconds signature_tolerance{300};

// Tries every key of `signing_keys` (the key and its fallback). No keys: wrong. A newline at the end of the body may be left out of what is signed: the Go SDK
// signs what it has encoded before it writes a line of it.
[[nodiscard]] signature_check verify_signature(std::string_view header, std::string_view body,
                                               std::span<const std::string> signing_keys, std::int64_t now_unix_seconds,
                                               std::chrono::seconds tolerance = signature_tolerance);

// The key, or the hash of one, without its prefix "signkey-<environment>-": the Python SDK leaves it out of what it sends. Borrows the text.
[[nodiscard]] std::string_view without_prefix(std::string_view key) noexcept;

// What stands behind "Authorization: Bearer": the prefix "signkey-<environment>-" as it is, then the SHA-256 in hex of the bytes
// that the rest is the hex of. Throws error{invalid_argument} when the rest is not hex; the text does not show the key.
[[nodiscard]] std::string hashed_key(std::string_view signing_key);

}  // namespace caesura::http
