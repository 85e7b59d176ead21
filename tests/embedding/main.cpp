#include <caesura/error.hpp>

int main() {
  try {
    throw caesura::error{caesura::errc::unknown_run, "no such run"};
  } catch (const caesura::error& error) {
    return error.code() == caesura::errc::unknown_run && to_string(error.code()) == "unknown_run" ? 0 : 1;
  }
}
