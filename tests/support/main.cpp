#include <boost/test/unit_test.hpp>

namespace {

bool nothing_to_set_up() { return true; }

}  // namespace

int main(int count, char** arguments) { return boost::unit_test::unit_test_main(&nothing_to_set_up, count, arguments); }
