#include "runtime/cli/terminal.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <utility>

namespace caesura::cli {

bool is_confirmed(const std::string& question) {
  if (::isatty(STDIN_FILENO) == 0) {
    throw std::runtime_error{question + " Nobody can be asked, standard input is no terminal: add --yes, or --preview to only look"};
  }
  std::fprintf(stderr, "%s [y/N] ", question.c_str());
  std::fflush(stderr);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

progress_bar::progress_bar(std::string what) : what_{std::move(what)}, is_shown_{::isatty(STDERR_FILENO) != 0} {}

progress_bar::~progress_bar() {
  if (is_begun_) std::fputc('\n', stderr);
}

void progress_bar::show(std::uint64_t done, std::uint64_t total) {
  if (!is_shown_) return;
  constexpr std::size_t cells = 30;
  const auto full = total == 0 ? 0 : static_cast<std::size_t>(std::min(done, total) * cells / total);
  std::fprintf(stderr, "\r%s [%s%s] %llu of %llu ", what_.c_str(), std::string(full, '#').c_str(), std::string(cells - full, ' ').c_str(),
               static_cast<unsigned long long>(done), static_cast<unsigned long long>(total));
  std::fflush(stderr);
  is_begun_ = true;
}

}  // namespace caesura::cli
