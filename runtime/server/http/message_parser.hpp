#pragma once

// Internal to client and connection: Beast's parser, which puts what it finds straight into our own lists and strings.

#include <utility>  // before Asio, which needs it in C++20 with g++ 12

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/server/http/message.hpp"

namespace caesura::http {

// What is taken from a socket at once: of a header, and of a body. A buffer holds a header and this at most.
inline constexpr std::size_t header_read_bytes = 4096;
inline constexpr std::size_t body_read_bytes = 65536;

// Of one message. All but the last three members are there once its header is; `body` grows until is_done().
template <bool is_request>
class message_parser final : public boost::beast::http::basic_parser<is_request> {
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;

 public:
  // `header_bytes`: of the whole header, the first line included, which Beast's own limit counts apart; also of the line before each chunk, and of the last
  // one with its trailer, which Beast does not limit. `kept`: names of the fields that go into `headers`,
  // beside Location; empty: all do. It outlives this.
  message_parser(std::size_t header_bytes, std::uint64_t body_bytes, std::span<const std::string_view> kept = {}) : header_bytes_{header_bytes}, kept_{kept} {
    this->header_limit(static_cast<std::uint32_t>(header_bytes));
    this->body_limit(body_bytes);
    headers.reserve(kept_.empty() ? usual_fields : kept_.size());
  }

  enum class found : std::uint8_t {
    nothing,  // more has to come
    header,   // told once
    whole,    // the message
  };

  // Parses what the buffer holds, and leaves there what belongs to the next message. While there is nothing, the buffer holds at most `header_bytes` that have
  // to wait for more.
  found parse(boost::beast::flat_buffer& buffer, error_code& ec) {
    while (buffer.size() > 0 && !this->is_done()) {
      const bool had_header = this->is_header_done();
      if (had_header && this->chunked() && is_all_but_the_end(buffer)) return found::nothing;
      this->eager(had_header);
      const std::size_t size = this->put(buffer.data(), ec);
      buffer.consume(size);
      if (!had_header && (header_size_ += size) > header_bytes_) ec = boost::beast::http::error::header_limit;
      if (ec == boost::beast::http::error::need_more) {
        ec = {};
        if (buffer.size() > header_bytes_) ec = boost::beast::http::error::header_limit;
        return found::nothing;
      }
      if (ec) return found::nothing;
      if (!had_header && this->is_header_done()) return found::header;
    }
    return this->is_done() ? found::whole : found::nothing;
  }

  int version{0};      // 10 or 11
  std::string method;  // of a request
  std::string target;  // of a request
  int status{0};       // of a response
  header_list headers;
  std::string body;

 private:
  static constexpr std::size_t usual_fields = 16;
  static constexpr std::uint64_t reserved_bytes = 65536;

  // The last chunk without its last byte, which Beast asserts not to be asked about after it was asked about less.
  static bool is_all_but_the_end(const boost::beast::flat_buffer& buffer) {
    const std::string_view held{static_cast<const char*>(buffer.data().data()), buffer.size()};
    return held.size() == 4 && held.starts_with("0\r\n");
  }

  void on_request_impl(boost::beast::http::verb, string_view name, string_view where, int number, error_code&) override {
    method.assign(name.data(), name.size());
    target.assign(where.data(), where.size());
    version = number;
  }
  void on_response_impl(int code, string_view, int number, error_code&) override {
    status = code;
    version = number;
  }
  void on_field_impl(boost::beast::http::field field, string_view name, string_view value, error_code&) override {
    if (this->is_header_done()) return;  // of a trailer: what is decided by the header's fields is decided
    const auto is_wanted = [&](std::string_view wanted) { return equal_ignoring_case(wanted, {name.data(), name.size()}); };
    if (!kept_.empty() && field != boost::beast::http::field::location && std::ranges::none_of(kept_, is_wanted)) return;
    headers.add(std::string{name.data(), name.size()}, std::string{value.data(), value.size()});
  }
  void on_header_impl(error_code&) override {}
  // What a peer only says that it will send takes no memory.
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    if (length) body.reserve(static_cast<std::size_t>(std::min(*length, reserved_bytes)));
  }
  std::size_t on_body_impl(string_view bytes, error_code&) override {
    body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view bytes, error_code& ec) override { return on_body_impl(bytes, ec); }
  void on_finish_impl(error_code&) override {}

  const std::size_t header_bytes_;
  const std::span<const std::string_view> kept_;
  std::size_t header_size_{0};
};

}  // namespace caesura::http
