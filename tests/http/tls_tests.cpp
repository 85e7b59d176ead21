#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <csignal>
#include <thread>

#include <boost/test/unit_test.hpp>

#include <caesura/error.hpp>

#include "runtime/server/http/client.hpp"
#include "tests/http/sockets.hpp"

using namespace caesura::http;
using http_test::describe;
using http_test::has;
using http_test::raw_server;
using http_test::raw_socket;

namespace {

template <auto Free>
struct releases {
  void operator()(auto* value) const { Free(value); }
};
using key_ptr = std::unique_ptr<EVP_PKEY, releases<EVP_PKEY_free>>;
using certificate_ptr = std::unique_ptr<X509, releases<X509_free>>;
using context_ptr = std::unique_ptr<SSL_CTX, releases<SSL_CTX_free>>;
using session_ptr = std::unique_ptr<SSL, releases<SSL_free>>;

// Signed by itself, for an hour, for one name or address such as "DNS:localhost".
struct identity {
  explicit identity(const char* name) : key{EVP_EC_gen("P-256")}, certificate{X509_new()} {
    X509_set_version(certificate.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    X509_NAME* const subject = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(certificate.get(), subject);
    add_extension(NID_subject_alt_name, name);
    add_extension(NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(certificate.get(), key.get(), EVP_sha256());
  }

  [[nodiscard]] std::string pem() const {
    const std::unique_ptr<BIO, releases<BIO_free_all>> memory{BIO_new(BIO_s_mem())};
    PEM_write_bio_X509(memory.get(), certificate.get());
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(memory.get(), &bytes);
    return {bytes, static_cast<std::size_t>(size)};
  }

  key_ptr key;
  certificate_ptr certificate;

 private:
  void add_extension(int kind, const char* value) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
    X509_add_ext(certificate.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
};

// Answers every request of one connection with the server name that the client has asked for, then returns.
class tls_server {
 public:
  explicit tls_server(const identity& who) : context_{SSL_CTX_new(TLS_server_method())} {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to a socket that the client may have closed
    SSL_CTX_use_certificate(context_.get(), who.certificate.get());
    SSL_CTX_use_PrivateKey(context_.get(), who.key.get());
    thread_ = std::thread{[this] { serve(); }};
  }
  ~tls_server() { thread_.join(); }

  [[nodiscard]] std::uint16_t port() const { return server_.port(); }

 private:
  void serve() {
    const raw_socket connection = server_.accept();
    const session_ptr session{SSL_new(context_.get())};
    SSL_set_fd(session.get(), connection.descriptor());
    if (SSL_accept(session.get()) != 1) return;
    char bytes[4096];
    while (SSL_read(session.get(), bytes, sizeof bytes) > 0) {  // a request of these tests comes in one record
      const char* const asked = SSL_get_servername(session.get(), TLSEXT_NAMETYPE_host_name);
      const std::string body = asked == nullptr ? "nothing" : asked;
      const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
      SSL_write(session.get(), answer.data(), static_cast<int>(answer.size()));
    }
  }

  raw_server server_;
  context_ptr context_;
  std::thread thread_;
};

std::string url_of(const tls_server& server, const std::string& host) {
  return "https://" + host + ":" + std::to_string(server.port()) + "/";
}

outcome call(client& http, const std::string& url) {
  return http_test::await(http_test::send(http, {.method = "GET", .url = url}));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tls)

BOOST_AUTO_TEST_CASE(a_certificate_that_nobody_vouches_for_is_refused) {
  const identity who{"DNS:localhost"};
  const tls_server server{who};
  client http;
  const std::string failed = describe(call(http, url_of(server, "localhost")));
  BOOST_TEST(has(failed, "connect: "), failed);
  BOOST_TEST(has(failed, "certificate verify failed"), failed);
}

BOOST_AUTO_TEST_CASE(a_certificate_of_a_given_authority_is_accepted_and_the_connection_kept) {
  const identity who{"DNS:localhost"};
  const tls_server server{who};
  client http{{.certificate_authorities = who.pem()}};
  for (int i = 0; i < 3; ++i) {
    const outcome result = call(http, url_of(server, "localhost"));
    BOOST_REQUIRE(std::holds_alternative<response>(result));
    BOOST_TEST(std::get<response>(result).body == "localhost");
  }
}

BOOST_AUTO_TEST_CASE(a_certificate_for_another_name_is_refused) {
  const identity who{"DNS:other.example"};
  const tls_server server{who};
  client http{{.certificate_authorities = who.pem()}};
  BOOST_TEST(has(describe(call(http, url_of(server, "localhost"))), "connect: "));
}

BOOST_AUTO_TEST_CASE(an_address_is_verified_too) {
  const identity who{"IP:127.0.0.1"};
  {
    const tls_server server{who};
    client http{{.certificate_authorities = who.pem()}};
    const outcome result = call(http, url_of(server, "127.0.0.1"));
    BOOST_REQUIRE_MESSAGE(std::holds_alternative<response>(result), describe(result));
    BOOST_TEST(std::get<response>(result).body == "nothing");
  }
  const tls_server server{who};
  client http{{.certificate_authorities = who.pem()}};
  BOOST_TEST(has(describe(call(http, url_of(server, "localhost"))), "connect: "));
}

BOOST_AUTO_TEST_CASE(verification_can_be_switched_off) {
  const identity who{"DNS:other.example"};
  const tls_server server{who};
  client http{{.verify_certificates = false}};
  BOOST_TEST(describe(call(http, url_of(server, "localhost"))) == "status 200");
}

BOOST_AUTO_TEST_CASE(authorities_that_are_no_pem_are_refused_at_once) {
  BOOST_CHECK_THROW(client({.certificate_authorities = "nonsense"}), caesura::error);
}

BOOST_AUTO_TEST_CASE(a_peer_that_speaks_no_tls_is_no_connection) {
  const raw_server server;
  client http;
  auto future = http_test::send(http, {.url = "https://127.0.0.1:" + std::to_string(server.port())});
  raw_socket connection = server.accept();
  connection.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  BOOST_TEST(has(describe(http_test::await(std::move(future))), "connect: "));
}

BOOST_AUTO_TEST_SUITE_END()
