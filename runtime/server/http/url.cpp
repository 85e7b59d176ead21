#include "runtime/server/http/url.hpp"

#include <algorithm>
#include <charconv>

#include "runtime/server/http/message.hpp"

namespace caesura::http {

namespace {

constexpr std::uint16_t usual_port(bool is_https) noexcept { return is_https ? 443 : 80; }

constexpr bool may_stand_in_url(char letter) noexcept {
  const auto byte = static_cast<unsigned char>(letter);
  return byte > 0x20 && byte != 0x7F && letter != '"' && letter != '<' && letter != '>' && letter != '\\';
}

// 0: no port.
std::uint16_t parse_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), port);
  return read.ec == std::errc{} && read.ptr == text.data() + text.size() ? port : std::uint16_t{0};
}

struct host_and_port {
  std::string_view host;
  std::optional<std::string_view> port;
};

host_and_port split_authority(std::string_view authority) noexcept {
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return {};
    const std::string_view rest = authority.substr(end + 1);
    if (rest.empty()) return {.host = authority.substr(1, end - 1)};
    return rest.front() == ':' ? host_and_port{authority.substr(1, end - 1), rest.substr(1)} : host_and_port{};
  }
  const std::size_t colon = authority.find(':');
  if (colon == std::string_view::npos) return {.host = authority};
  return {authority.substr(0, colon), authority.substr(colon + 1)};
}

std::string lower_case(std::string_view text) {
  std::string lower{text};
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char letter) { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + ('a' - 'A')) : letter; });
  return lower;
}

bool is_number(std::string_view host) {
  return std::ranges::all_of(host, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
}

std::string with_brackets(const std::string& host) { return host.find(':') == std::string::npos ? host : "[" + host + "]"; }

}  // namespace

std::string url::origin() const { return (is_https ? "https://" : "http://") + with_brackets(host) + ":" + std::to_string(port); }

std::string url::authority() const {
  return port == usual_port(is_https) ? with_brackets(host) : with_brackets(host) + ":" + std::to_string(port);
}

bool is_loopback_host(std::string_view host) noexcept {
  return host == "localhost" || host == "::1" || (is_number(host) && host.starts_with("127."));
}

bool is_fixed_host(std::string_view host) noexcept {
  const bool is_address = is_number(host) || host.find(':') != std::string_view::npos;
  return is_address || host == "localhost" || host.ends_with(".localhost") || host.ends_with(".internal");
}

std::variant<url, std::string> parse_url(std::string_view text) {
  if (!std::all_of(text.begin(), text.end(), may_stand_in_url)) return "it has a byte that may not stand in a URL";
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return "it does not start with http:// or https://";
  const std::string_view scheme = text.substr(0, scheme_end);
  url parsed;
  parsed.is_https = equal_ignoring_case(scheme, "https");
  if (!parsed.is_https && !equal_ignoring_case(scheme, "http")) return "its scheme is neither http nor https";

  std::string_view rest = text.substr(scheme_end + 3);
  rest = rest.substr(0, rest.find('#'));
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  if (authority.find('@') != std::string_view::npos) return "it has a user name or password";
  const auto parts = split_authority(authority);
  if (parts.host.empty()) return "it has no host";
  parsed.host = lower_case(parts.host);
  parsed.port = parts.port ? parse_port(*parts.port) : usual_port(parsed.is_https);
  if (parsed.port == 0) return "its port is not a number from 1 to 65535";

  const std::string_view target = rest.substr(authority.size());
  parsed.target = target.starts_with('/') ? "" : "/";
  parsed.target.append(target);
  return parsed;
}

std::optional<url> resolve_on_origin(const url& base, std::string_view location) {
  if (location.empty()) return std::nullopt;
  std::string text;
  if (location.starts_with("//")) {
    text = std::string{base.is_https ? "https:" : "http:"} + std::string{location};
  } else if (location.starts_with('/')) {
    text = base.origin() + std::string{location};
  } else if (const std::size_t colon = location.find(':'); colon < location.find_first_of("/?#")) {
    text = location;
  } else {
    const std::string path = base.target.substr(0, base.target.find('?'));
    const std::string folder = location.starts_with('?') ? path : path.substr(0, path.rfind('/') + 1);
    text = base.origin() + folder + std::string{location};
  }
  auto parsed = parse_url(text);
  auto* const found = std::get_if<url>(&parsed);
  if (found == nullptr) return std::nullopt;
  const bool is_upgrade = found->host == base.host && found->is_https && !base.is_https;
  if (found->origin() != base.origin() && !is_upgrade) return std::nullopt;
  return std::move(*found);
}

}  // namespace caesura::http
