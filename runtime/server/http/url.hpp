#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace caesura::http {

// An absolute http or https URL, taken apart. A value.
struct url {
  bool is_https{false};
  std::string host;  // in lower case; of an IPv6 address without its brackets
  std::uint16_t port{80};
  std::string target{"/"};  // path and query as they are sent; never empty; the fragment is left out

  // "https://host:port", always with the port: two URLs with equal origins may share connections.
  [[nodiscard]] std::string origin() const;
  // What the Host header says: with the port unless it is the scheme's own.
  [[nodiscard]] std::string authority() const;
};

// The URL, or why it is refused: another scheme, no host, a port outside 1 to 65535, a user name or password (they belong into a
// header), or a byte that may not stand in a URL, such as a space or a line break.
[[nodiscard]] std::variant<url, std::string> parse_url(std::string_view text);

// Whether a host, as a url has it, is this machine by its name or number: localhost, ::1 or 127.….
[[nodiscard]] bool is_loopback_host(std::string_view host) noexcept;

// Whether a host, as a url has it, leads where it says whoever answers for other names: an address, or a name under localhost or internal (as
// host.docker.internal), which nobody can register.
[[nodiscard]] bool is_fixed_host(std::string_view host) noexcept;

// Where `location`, the value of a Location header, leads from `base`; nullopt when it is refused as above or leads to another
// origin.
[[nodiscard]] std::optional<url> resolve_on_origin(const url& base, std::string_view location);

}  // namespace caesura::http
