#include <array>

#include <boost/test/unit_test.hpp>

#include <caesura/error.hpp>

#include "runtime/server/http/signature.hpp"

using namespace caesura::http;

namespace {

const std::array<std::string, 2> keys{"signkey-test-0011", "signkey-test-2233"};

}  // namespace

namespace boost::test_tools::tt_detail {
template <>
struct print_log_value<signature_check> {
  void operator()(std::ostream& out, signature_check check) { out << static_cast<int>(check); }
};
}  // namespace boost::test_tools::tt_detail

BOOST_AUTO_TEST_SUITE(signature)

// FIPS 180-4 examples.
BOOST_AUTO_TEST_CASE(digests_are_the_published_ones) {
  BOOST_TEST(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  BOOST_TEST(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  BOOST_TEST(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
             "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  BOOST_TEST(sha1_hex("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d");
  BOOST_TEST(sha1_hex("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

// RFC 4231, test cases 1, 2, 3 and 6.
BOOST_AUTO_TEST_CASE(hmacs_are_the_published_ones) {
  BOOST_TEST(hmac_sha256_hex(std::string(20, '\x0b'), "Hi There") ==
             "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  BOOST_TEST(hmac_sha256_hex("Jefe", "what do ya want for nothing?") ==
             "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  BOOST_TEST(hmac_sha256_hex(std::string(20, '\xaa'), std::string(50, '\xdd')) ==
             "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  BOOST_TEST(hmac_sha256_hex(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First") ==
             "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  BOOST_TEST(hmac_sha256_hex("", "") == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

BOOST_AUTO_TEST_CASE(the_prefix_of_a_key_is_no_part_of_what_signs) {
  const std::string expected = "t=1700000000&s=" + hmac_sha256_hex("0011", "{}1700000000");
  BOOST_TEST(sign_request("signkey-test-0011", "{}", 1'700'000'000) == expected);
  BOOST_TEST(sign_request("signkey-my_branch2-0011", "{}", 1'700'000'000) == expected);
  BOOST_TEST(sign_request("0011", "{}", 1'700'000'000) == expected);
  BOOST_TEST(sign_request("signkey-0011", "{}", 1'700'000'000) != expected);
}

BOOST_AUTO_TEST_CASE(a_signature_holds_for_its_body_its_keys_and_five_minutes) {
  const std::string header = sign_request(keys[0], "body", 1000);
  BOOST_TEST(verify_signature(header, "body", keys, 1000) == signature_check::valid);
  BOOST_TEST(verify_signature(header, "body", keys, 1300) == signature_check::valid);
  BOOST_TEST(verify_signature(header, "body", keys, 700) == signature_check::valid);
  BOOST_TEST(verify_signature(header, "body", keys, 1301) == signature_check::expired);
  BOOST_TEST(verify_signature(header, "body", keys, 699) == signature_check::expired);
  BOOST_TEST(verify_signature(header, "Body", keys, 1000) == signature_check::wrong);
  BOOST_TEST(verify_signature(sign_request(keys[1], "body", 1000), "body", keys, 1000) == signature_check::valid);
  BOOST_TEST(verify_signature(sign_request("signkey-test-44", "body", 1000), "body", keys, 1000) == signature_check::wrong);
  BOOST_TEST(verify_signature(header, "body", {}, 1000) == signature_check::wrong);
  BOOST_TEST(verify_signature(header, "body\n", keys, 1000) == signature_check::valid);  // Go's SDK writes a line of what it has signed
  BOOST_TEST(verify_signature(sign_request(keys[0], "body\n", 1000), "body\n", keys, 1000) == signature_check::valid);
  BOOST_TEST(verify_signature(header, "body\n\n", keys, 1000) == signature_check::wrong);
}

BOOST_AUTO_TEST_CASE(a_malformed_signature_is_told_apart) {
  for (const char* header :
       {"", "t=1", "s=00", "t=&s=00", "t=x&s=00", "t=1x&s=00", "t=-1&s=00", "t=99999999999999999999&s=00", "t=%zz&s=00"}) {
    BOOST_TEST(verify_signature(header, "body", keys, 1) == signature_check::malformed, header);
  }
  BOOST_TEST(verify_signature("t=1000&s=", "body", keys, 1000) == signature_check::wrong);
}

BOOST_AUTO_TEST_CASE(a_hashed_key_keeps_its_prefix) {
  BOOST_TEST(hashed_key("signkey-test-616263") == "signkey-test-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  BOOST_TEST(hashed_key("616263") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  BOOST_TEST(without_prefix("signkey-test-616263") == "616263");
  BOOST_TEST(without_prefix("616263") == "616263");
  BOOST_CHECK_THROW((void)hashed_key("signkey-test-61626"), caesura::error);
  BOOST_CHECK_THROW((void)hashed_key("signkey-test-zz"), caesura::error);
  BOOST_CHECK_THROW((void)hashed_key("signkey-test-+1"), caesura::error);
}

BOOST_AUTO_TEST_CASE(texts_are_compared_whole) {
  BOOST_TEST(equal_in_constant_time("abc", "abc"));
  BOOST_TEST(!equal_in_constant_time("abc", "abd"));
  BOOST_TEST(!equal_in_constant_time("abc", "ab"));
  BOOST_TEST(equal_in_constant_time("", ""));
}

BOOST_AUTO_TEST_SUITE_END()
