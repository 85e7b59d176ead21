#include <boost/test/unit_test.hpp>

#include "runtime/server/http/message.hpp"
#include "runtime/server/http/url.hpp"

using namespace caesura::http;

namespace {

url must_parse(std::string_view text) {
  auto parsed = parse_url(text);
  if (const auto* refused = std::get_if<std::string>(&parsed)) throw std::runtime_error{std::string{text} + ": " + *refused};
  return std::get<url>(std::move(parsed));
}

bool is_refused(std::string_view text) { return std::holds_alternative<std::string>(parse_url(text)); }

}  // namespace

BOOST_AUTO_TEST_SUITE(message)

BOOST_AUTO_TEST_CASE(headers_are_found_in_any_case) {
  header_list headers{{"Content-Type", "a"}, {"X-Twice", "1"}, {"x-twice", "2"}};
  BOOST_TEST(headers.get("content-TYPE") == "a");
  BOOST_TEST(headers.get("x-twice") == "1");
  BOOST_TEST(headers.find("x-none") == nullptr);
  headers.set("X-TWICE", "3");
  BOOST_TEST(headers.size() == 2U);
  BOOST_TEST(headers.get("x-twice") == "3");
}

BOOST_AUTO_TEST_CASE(a_header_that_would_add_another_is_at_fault) {
  BOOST_TEST(!find_fault({{"X-A", "b c\té"}}));
  for (const std::string& value : std::vector<std::string>{"a\r\nb", "a\n", "\r", std::string(1, '\0')}) {
    BOOST_TEST(find_fault({{"X-A", value}})->find("X-A") != std::string::npos);
  }
  for (const char* name : {"", "a b", "a:", "é", "a\n"}) BOOST_TEST(find_fault({{name, "x"}}).has_value());
}

BOOST_AUTO_TEST_CASE(percent_escapes_decode) {
  BOOST_TEST(decode_percent("a%20b%2Fc%e2%82%ac+").value() == "a b/c€+");
  BOOST_TEST(decode_percent("a+b%2B", true).value() == "a b+");
  BOOST_TEST(decode_percent("%00").value() == std::string(1, '\0'));
  for (const char* text : {"%", "%2", "%zz", "%2g", "a%"}) BOOST_TEST(!decode_percent(text).has_value());
}

BOOST_AUTO_TEST_CASE(percent_escapes_encode_what_is_reserved) {
  BOOST_TEST(encode_percent("aZ09-._~ /?&=+%é") == "aZ09-._~%20%2F%3F%26%3D%2B%25%C3%A9");
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  BOOST_TEST(decode_percent(encode_percent(all)).value() == all);
}

BOOST_AUTO_TEST_CASE(a_query_is_names_and_values_in_order) {
  const auto query = parse_query("a=1&b=x%20y+z&a=2&&c&d==&=e").value();
  BOOST_TEST(query.size() == 6U);
  BOOST_TEST(query.get("a") == "1");
  BOOST_TEST(query.get("b") == "x y z");
  BOOST_TEST((query.find("c") != nullptr && query.find("c")->empty()));
  BOOST_TEST(query.get("d") == "=");
  BOOST_TEST(query.get("") == "e");
  BOOST_TEST(query.get("A", "none") == "none");
  BOOST_TEST(parse_query("").value().size() == 0U);
  BOOST_TEST(!parse_query("a=%1").has_value());
}

BOOST_AUTO_TEST_CASE(an_error_is_json_even_when_its_text_is_not_utf8) {
  BOOST_TEST(response::error(404, "no run \"x\"").body == R"({"error":"no run \"x\"","status":404})");
  BOOST_TEST(response::error(400, "\xFF").body == "{\"error\":\"\xEF\xBF\xBD\",\"status\":400}");
  BOOST_TEST(response::error(404, "x").headers.get("content-type") == "application/json");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(urls)

BOOST_AUTO_TEST_CASE(a_url_is_taken_apart) {
  const url plain = must_parse("HTTP://Example.com/api/inngest?fnId=a&stepId=b#part");
  BOOST_TEST(!plain.is_https);
  BOOST_TEST(plain.host == "example.com");
  BOOST_TEST(plain.port == 80);
  BOOST_TEST(plain.target == "/api/inngest?fnId=a&stepId=b");
  BOOST_TEST(plain.authority() == "example.com");
  BOOST_TEST(plain.origin() == "http://example.com:80");
  const url other = must_parse("https://[::1]:3000?x=1");
  BOOST_TEST(other.host == "::1");
  BOOST_TEST(other.target == "/?x=1");
  BOOST_TEST(other.authority() == "[::1]:3000");
  BOOST_TEST(must_parse("https://a").target == "/");
  BOOST_TEST(must_parse("https://a").port == 443);
}

BOOST_AUTO_TEST_CASE(what_is_no_url_is_refused) {
  for (const char* text : {"", "example.com", "ftp://a/", "http://", "http:///x", "http://:80/", "http://a:0/", "http://a:65536/",
                           "http://a:x/", "http://a:/", "http://user@a/", "http://user:pass@a/", "http://a/ b", "http://a/\r\nX: y",
                           "http://[::1/", "http://[::1]x/", "http://a\\b/"}) {
    BOOST_TEST(is_refused(text), text);
  }
}

BOOST_AUTO_TEST_CASE(a_location_is_followed_on_its_origin_only) {
  const url base = must_parse("http://a:3000/x/y?z=1");
  const auto target = [&](std::string_view location) {
    const auto found = resolve_on_origin(base, location);
    return found ? found->target : "elsewhere";
  };
  BOOST_TEST(target("/n?q=1") == "/n?q=1");
  BOOST_TEST(target("n") == "/x/n");
  BOOST_TEST(target("n?u=http://b/") == "/x/n?u=http://b/");
  BOOST_TEST(target("?q=2") == "/x/y?q=2");
  BOOST_TEST(target("http://A:3000/w") == "/w");
  BOOST_TEST(target("//a:3000/w") == "/w");
  BOOST_TEST(resolve_on_origin(base, "https://a/w").value().origin() == "https://a:443");  // the same host, and more safely
  BOOST_TEST(!resolve_on_origin(must_parse("https://a/x"), "http://a/w"));
  BOOST_TEST(!resolve_on_origin(base, ""));  // a redirect that does not say where to
  for (const char* location : {"http://a/w", "https://b:3000/w", "//b/w", "http://b:3000/", "mailto:x", "/a b"})
    BOOST_TEST(target(location) == "elsewhere");
}

BOOST_AUTO_TEST_SUITE_END()
