#include <boost/test/unit_test.hpp>

#include <caesura/ids.hpp>

#include "storage/id_generator.hpp"
#include "storage/keys.hpp"

namespace {

using namespace caesura;
using namespace caesura::storage;
using namespace std::chrono_literals;

const time_point begin{duration{1'780'000'000'000}};

}  // namespace

BOOST_AUTO_TEST_SUITE(ids)

BOOST_AUTO_TEST_CASE(ids_grow_within_a_millisecond_across_restarts_and_with_the_clock_set_back) {
  id_generator first;
  std::uint64_t entropy = 0xFFFF'FFFF'FFFF'FFFFULL;
  position last;
  for (const auto time : {begin, begin, begin + 1ms, begin - 1h, begin + 1ms, begin + 2ms}) {
    const auto next = first.next_position(time, entropy *= 3);
    BOOST_TEST((last < next));
    last = next;
  }
  id_generator restarted{last};
  BOOST_TEST((last < restarted.next_position(begin - 24h, 0)));
}

BOOST_AUTO_TEST_CASE(an_id_has_the_time_at_which_it_was_issued) {
  id_generator ids;
  const auto id = ids.next<run_id>(begin, 42);
  BOOST_TEST((time_of(id) == begin));
}

BOOST_AUTO_TEST_CASE(text_is_read_back_in_either_case_and_sorts_like_the_id) {
  id_generator ids;
  std::string before;
  for (int i = 0; i < 1000; ++i) {
    const auto id = ids.next<run_id>(begin + i * 7ms, static_cast<std::uint64_t>(i) * 0x9E3779B97F4A7C15ULL);
    auto text = to_string(id);
    BOOST_TEST(text.size() == 26U);
    BOOST_TEST(before < text);
    before = text;
    BOOST_TEST((parse_id<run_id>(text) == id));
    for (auto& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    BOOST_TEST((parse_id<run_id>(text) == id));
  }
}

BOOST_AUTO_TEST_CASE(other_text_is_no_id) {
  for (const auto* text : {"", "01ARZ3NDEKTSV4RRFFQ69G5FA", "01ARZ3NDEKTSV4RRFFQ69G5FAVX", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAU",
                           "01ARZ3NDEKTSV4RRFFQ69G5FA!"}) {
    BOOST_TEST_CONTEXT(text) { BOOST_TEST(!parse_id<run_id>(text).has_value()); }
  }
  BOOST_TEST(parse_id<run_id>("01ARZ3NDEKTSV4RRFFQ69G5FAV").has_value());
}

BOOST_AUTO_TEST_CASE(keys_sort_as_what_they_stand_for) {
  id_generator ids;
  const auto run = ids.next<run_id>(begin, 1);
  const auto later = ids.next<run_id>(begin, 1);
  const auto is_before = [](std::string_view a, std::string_view b) { return a < b; };
  BOOST_TEST(is_before(step_key(run, 0), step_key(run, 1)));
  BOOST_TEST(is_before(step_key(run, 255), step_key(run, 256)));
  BOOST_TEST(is_before(step_key(run, 0xFFFF'FFFF), step_key(later, 0)));
  BOOST_TEST(is_before(key_of(std::uint64_t{255}), key_of(std::uint64_t{256})));
  BOOST_TEST(number_at(key_of(std::uint64_t{0x0123'4567'89AB'CDEF})) == 0x0123'4567'89AB'CDEFULL);
  BOOST_TEST((id_at_end<run_id>(hashed_key(7, run)) == run));
  BOOST_TEST(!id_at_end<run_id>("short").has_value());
}

BOOST_AUTO_TEST_CASE(a_duration_without_a_unit_is_refused_unless_it_is_zero) {
  for (const char* const zero : {"0", "-0", "+0"}) BOOST_TEST((caesura::parse_duration(zero) == caesura::duration{0}), zero);
  for (const char* const wrong : {"x0", ".0", " 0", "00", "0x", "", "-", "7"}) BOOST_TEST(!caesura::parse_duration(wrong).has_value(), wrong);
}

BOOST_AUTO_TEST_SUITE_END()
