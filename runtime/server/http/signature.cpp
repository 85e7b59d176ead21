#include "runtime/server/http/signature.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <charconv>
#include <stdexcept>

#include <caesura/error.hpp>

#include "runtime/server/http/message.hpp"

namespace caesura::http {

namespace {

std::string to_hex(std::span<const unsigned char> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const unsigned char byte : bytes) {
    hex += digits[byte >> 4U];
    hex += digits[byte & 0x0FU];
  }
  return hex;
}

std::string digest_hex(const EVP_MD* kind, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, kind, nullptr) != 1) {
    throw std::runtime_error{"OpenSSL cannot compute a digest"};
  }
  return to_hex(std::span{digest}.first(size));
}

// The length of "signkey-<environment>-", where the environment is letters, digits and underscores; 0 when the key has no such
// prefix.
std::size_t prefix_size(std::string_view key) noexcept {
  constexpr std::string_view start = "signkey-";
  if (!key.starts_with(start)) return 0;
  const std::size_t end = key.find('-', start.size());
  if (end == std::string_view::npos || end == start.size()) return 0;
  for (const char letter : key.substr(start.size(), end - start.size())) {
    const bool is_word =
        (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || letter == '_';
    if (!is_word) return 0;
  }
  return end + 1;
}

std::string decode_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned char byte = 0;
    const std::string_view pair = hex.substr(i, 2);
    const auto read = std::from_chars(pair.data(), pair.data() + pair.size(), byte, 16);
    if (pair.size() != 2 || read.ec != std::errc{} || read.ptr != pair.data() + 2) {
      throw error{errc::invalid_argument, "the signing key is not hex behind its prefix, at character " + std::to_string(i + 1)};
    }
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

std::string sign(std::string_view signing_key, std::string_view body, std::string_view seconds) {
  std::string message;
  message.reserve(body.size() + seconds.size());
  message.append(body).append(seconds);
  return hmac_sha256_hex(without_prefix(signing_key), message);
}

}  // namespace

std::string sha256_hex(std::string_view bytes) { return digest_hex(EVP_sha256(), bytes); }

std::string sha1_hex(std::string_view bytes) { return digest_hex(EVP_sha1(), bytes); }

std::string hmac_sha256_hex(std::string_view key, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  // A null key would mean "the key of the call before".
  const char* const key_bytes = key.empty() ? "" : key.data();
  if (HMAC(EVP_sha256(), key_bytes, static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(bytes.data()),
           bytes.size(), digest.data(), &size) == nullptr) {
    throw std::runtime_error{"OpenSSL cannot compute an HMAC"};
  }
  return to_hex(std::span{digest}.first(size));
}

bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string sign_request(std::string_view signing_key, std::string_view body, std::int64_t unix_seconds) {
  const std::string seconds = std::to_string(unix_seconds);
  return "t=" + seconds + "&s=" + sign(signing_key, body, seconds);
}

signature_check verify_signature(std::string_view header, std::string_view body, std::span<const std::string> signing_keys,
                                 std::int64_t now_unix_seconds, std::chrono::seconds tolerance) {
  const auto parts = parse_query(header);
  const std::string* const seconds = parts ? parts->find("t") : nullptr;
  const std::string* const given = parts ? parts->find("s") : nullptr;
  if (seconds == nullptr || given == nullptr) return signature_check::malformed;
  std::int64_t signed_at = 0;
  const auto read = std::from_chars(seconds->data(), seconds->data() + seconds->size(), signed_at);
  if (read.ec != std::errc{} || read.ptr != seconds->data() + seconds->size() || signed_at < 0) return signature_check::malformed;
  if (now_unix_seconds - signed_at > tolerance.count() || signed_at - now_unix_seconds > tolerance.count())
    return signature_check::expired;
  bool is_valid = false;
  for (const std::string& key : signing_keys) {
    is_valid |= equal_in_constant_time(sign(key, body, *seconds), *given);
    if (body.ends_with('\n')) is_valid |= equal_in_constant_time(sign(key, body.substr(0, body.size() - 1), *seconds), *given);
  }
  return is_valid ? signature_check::valid : signature_check::wrong;
}

std::string_view without_prefix(std::string_view key) noexcept { return key.substr(prefix_size(key)); }

std::string hashed_key(std::string_view signing_key) {
  const std::size_t prefix = prefix_size(signing_key);
  return std::string{signing_key.substr(0, prefix)} + sha256_hex(decode_hex(signing_key.substr(prefix)));
}

}  // namespace caesura::http
