#pragma once

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <future>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace caesura::testing {

struct ended_program {
  int status{0};
  std::string out{};
  std::string err{};

  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(out); }
};

// What is to be executed. Not shared with the caller: the variables that the command reads are unset.
struct program_call {
  std::vector<std::string> arguments{};
  std::string input{};
  bool on_terminal{false};  // standard input and standard error are a terminal
  std::vector<std::pair<std::string, std::string>> environment{};
};

// A process of the command; ended and reaped at the end, if it still runs.
class program {
 public:
  explicit program(const program_call& call) {
    int out[2];
    int err[2] = {-1, -1};
    int in[2] = {-1, -1};
    if (::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error{"no pipe"};
    if (call.on_terminal) {
      if (::openpty(&terminal_, &err[1], nullptr, nullptr, nullptr) != 0) throw std::runtime_error{"no terminal"};
      ::fcntl(terminal_, F_SETFD, FD_CLOEXEC);
      in[0] = ::dup(err[1]);
    } else if (::pipe2(err, O_CLOEXEC) != 0 || ::pipe2(in, O_CLOEXEC) != 0) {
      throw std::runtime_error{"no pipe"};
    }
    std::vector<std::string> words{CAESURA_COMMAND};
    words.insert(words.end(), call.arguments.begin(), call.arguments.end());
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    process_ = ::fork();
    if (process_ < 0) throw std::runtime_error{"no process"};
    if (process_ == 0) {
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      ::dup2(err[1], STDERR_FILENO);
      for (const char* name : {"CAESURA_URL", "CAESURA_DIRECTORY", "CAESURA_HOST", "CAESURA_PORT", "INNGEST_SIGNING_KEY", "INNGEST_EVENT_KEY"}) ::unsetenv(name);
      for (const auto& [name, value] : call.environment) ::setenv(name.c_str(), value.c_str(), 1);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    ::close(err[1]);
    out_ = out[0];
    err_ = call.on_terminal ? terminal_ : err[0];
    const int input = call.on_terminal ? terminal_ : in[1];
    if (!call.input.empty() && ::write(input, call.input.data(), call.input.size()) < 0) throw std::runtime_error{"no input"};
    if (!call.on_terminal) ::close(in[1]);
  }
  ~program() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
    ::close(out_);
    ::close(err_);
  }
  program(const program&) = delete;
  program& operator=(const program&) = delete;

  void signal(int which) { ::kill(process_, which); }

  // The next line of standard output.
  std::string line() {
    std::string text;
    for (char c = 0; ::read(out_, &c, 1) == 1 && c != '\n';) text += c;
    return text;
  }
  ended_program end() {
    auto err = std::async(std::launch::async, [this] { return rest_of(err_); });
    ended_program ended{.out = rest_of(out_)};
    ended.err = err.get();
    int status = 0;
    ::waitpid(std::exchange(process_, -1), &status, 0);
    ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ended;
  }

 private:
  static std::string rest_of(int file) {
    std::string text;
    char part[4096];
    for (ssize_t got = 0; (got = ::read(file, part, sizeof part)) > 0;) text.append(part, static_cast<std::size_t>(got));
    return text;
  }

  pid_t process_ = -1;
  int out_ = -1;
  int err_ = -1;
  int terminal_ = -1;
};

inline ended_program execute(const program_call& call) { return program{call}.end(); }

}  // namespace caesura::testing
