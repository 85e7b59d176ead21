#include <caesura/verify.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>

#include <nlohmann/json.hpp>

#include <caesura/error.hpp>

#include "storage/directory_lock.hpp"
#include "storage/record_check.hpp"

namespace caesura {

namespace {

using nlohmann::json;

class open_file final : public storage::page_source {
 public:
  explicit open_file(const std::string& path) : file_{::open(path.c_str(), O_RDONLY | O_CLOEXEC)} {
    struct stat found {};
    if (file_ < 0 || ::fstat(file_, &found) != 0) {
      const std::string why = std::strerror(errno);
      if (file_ >= 0) ::close(file_);
      throw error{errc::storage_failed, "file " + path + " cannot be read: " + why};
    }
    size_ = static_cast<std::uint64_t>(found.st_size);
  }
  ~open_file() override { ::close(file_); }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;

  [[nodiscard]] std::uint64_t size_bytes() const override { return size_; }
  [[nodiscard]] bool read(std::uint64_t offset, std::span<char> to) const override {
    while (!to.empty()) {
      const auto got = ::pread(file_, to.data(), to.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      offset += static_cast<std::uint64_t>(got);
      to = to.subspan(static_cast<std::size_t>(got));
    }
    return true;
  }

 private:
  int file_;
  std::uint64_t size_ = 0;
};

json as_json(const verify_report& report) {
  json faults = json::array();
  for (const auto& f : report.faults) faults.push_back({f.page, f.table, f.record, f.text});
  return {report.commits, report.pages, report.free_pages, report.records, std::move(faults)};
}

verify_report report_from(const json& value) {
  verify_report report{.commits = value.at(0), .pages = value.at(1), .free_pages = value.at(2), .records = value.at(3)};
  for (const auto& f : value.at(4)) report.faults.push_back({.page = f.at(0), .table = f.at(1), .record = f.at(2), .text = f.at(3)});
  return report;
}

// In the child: writes the report and leaves without anybody's destructors.
[[noreturn]] void check_and_leave(const storage::page_source& source, std::size_t most_faults, int to) {
  int status = 1;
  try {
    const auto bytes = as_json(storage::check_file(source, most_faults)).dump(-1, ' ', false, json::error_handler_t::replace);
    std::string_view left{bytes};
    while (!left.empty()) {
      const auto written = ::write(to, left.data(), left.size());
      if (written <= 0) ::_exit(1);
      left.remove_prefix(static_cast<std::size_t>(written));
    }
    status = 0;
  } catch (...) {  // told by the status: there is nobody else to tell
  }
  ::_exit(status);
}

// What the child wrote until it closed its end; false when the time was over.
bool read_all(int from, std::chrono::steady_clock::time_point until, std::string& bytes) {
  std::array<char, 65'536> part{};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    pollfd waits{.fd = from, .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&waits, 1, static_cast<int>(std::min<std::int64_t>(left, 1'000))) < 0) {
      if (left <= 0) return false;
      continue;
    }
    if (waits.revents == 0) continue;
    const auto got = ::read(from, part.data(), part.size());
    if (got <= 0) return true;
    bytes.append(part.data(), static_cast<std::size_t>(got));
  }
}

verify_report check_in_child(const storage::page_source& source, const verify_options& options) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw error{errc::storage_failed, std::string{"no pipe for the check: "} + std::strerror(errno)};
  const auto child = ::fork();
  if (child < 0) {
    ::close(pipe[0]);
    ::close(pipe[1]);
    throw error{errc::storage_failed, std::string{"no process for the check: "} + std::strerror(errno)};
  }
  if (child == 0) check_and_leave(source, options.most_faults, pipe[1]);
  ::close(pipe[1]);
  std::string bytes;
  const bool in_time = read_all(pipe[0], std::chrono::steady_clock::now() + std::chrono::milliseconds{options.time_limit}, bytes);
  ::close(pipe[0]);
  if (!in_time) ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    if (const auto value = json::parse(bytes, nullptr, false); !value.is_discarded()) return report_from(value);
  }
  verify_report report;
  report.faults.push_back({.text = !in_time               ? "the check was not over within " + to_string(options.time_limit)
                                   : WIFSIGNALED(status) ? "the check itself was ended by signal " + std::to_string(WTERMSIG(status))
                                                         : "the check itself failed"});
  return report;
}

}  // namespace

verify_report verify(const std::string& directory, const verify_options& options) {
  const auto path = directory + "/caesura.mdb";
  if (std::error_code ignored; !std::filesystem::is_regular_file(path, ignored)) {
    throw error{errc::invalid_argument, "there is no store in directory " + directory + ": it has no file caesura.mdb"};
  }
  const storage::directory_lock lock{directory};
  const open_file file{path};
  return options.in_child ? check_in_child(file, options) : storage::check_file(file, options.most_faults);
}

}  // namespace caesura
