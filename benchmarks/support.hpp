#pragma once

// What every benchmark prints and measures with: the machine, the disk's sync, percentiles, a scratch directory, one table format.

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace caesura::benchmarks {

using steady = std::chrono::steady_clock;

inline double seconds_since(steady::time_point start) { return std::chrono::duration<double>(steady::now() - start).count(); }
inline double microseconds_since(steady::time_point start) { return 1e6 * seconds_since(start); }

// A fresh directory below $CAESURA_BENCH_DIR, else below the current one: never /tmp, which may be memory. Removed at the end.
class scratch_directory {
 public:
  scratch_directory() {
    const char* const base = std::getenv("CAESURA_BENCH_DIR");
    const std::filesystem::path parent = base != nullptr ? base : ".";
    std::filesystem::create_directories(parent);
    std::string pattern = (parent / "caesura-bench-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no directory could be made in " + parent.string()};
    path_ = pattern;
  }
  ~scratch_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::string file(std::string_view name) const { return path_ + '/' + std::string{name}; }

 private:
  std::string path_;
};

// The value below which `share` of the values lie; 0 for none.
[[nodiscard]] inline double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto place = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<std::size_t>(place)];
}
[[nodiscard]] inline double median(std::vector<double> values) { return percentile(std::move(values), 0.5); }

[[nodiscard]] inline std::string number(std::size_t value) {
  std::string out = std::to_string(value);
  for (auto place = static_cast<std::ptrdiff_t>(out.size()) - 3; place > 0; place -= 3) out.insert(static_cast<std::size_t>(place), 1, ' ');
  return out;
}

[[nodiscard]] inline std::string number(double value) {
  if (value >= 100) return number(static_cast<std::size_t>(value + 0.5));
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", value >= 10 ? 1 : 2, value);
  return text.data();
}

[[nodiscard]] inline std::string micros(double value) { return value >= 10'000 ? number(value / 1000) + " ms" : number(value) + " µs"; }

[[nodiscard]] inline std::string first_line_after(const char* file, std::string_view label) {
  std::ifstream in{file};
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(label)) continue;
    const auto value = line.find_first_not_of(" \t", line.find(':') + 1);
    return value == std::string::npos ? "unknown" : line.substr(value);
  }
  return "unknown";
}

[[nodiscard]] inline std::string commit() {
  if (const char* const given = std::getenv("CAESURA_COMMIT"); given != nullptr && *given != '\0') return given;
#ifdef CAESURA_COMMIT
  return CAESURA_COMMIT;
#else
  return "unknown";
#endif
}

// What durability costs here: one 4 KiB page written and synced, p50 in microseconds.
[[nodiscard]] inline double disk_sync_p50_us(const std::string& directory) {
  constexpr int samples = 200;
  const std::string file = directory + "/sync";
  const int fd = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) throw std::runtime_error{file + " could not be made"};
  std::array<char, 4096> page{};
  std::vector<double> took;
  for (int i = 0; i < samples; ++i) {
    page[0] = static_cast<char>(i);
    const auto start = steady::now();
    if (::pwrite(fd, page.data(), page.size(), 0) < 0 || ::fdatasync(fd) != 0) throw std::runtime_error{file + " could not be synced"};
    took.push_back(microseconds_since(start));
  }
  ::close(fd);
  std::filesystem::remove(file);
  return median(std::move(took));
}

// How often a measurement is repeated: the program's first argument, default 1. The table shows the median.
[[nodiscard]] inline std::size_t repeats(int argc, char** argv) {
  const int given = argc > 1 ? std::atoi(argv[1]) : 1;
  return given > 0 ? static_cast<std::size_t>(given) : 1;
}

// Lines that begin with # go above the table, lines that begin with | are its rows: run.sh puts the rows of all programs into one.
inline void head(std::string_view program, const std::string& directory, const std::string& parameters) {
  std::printf("# machine: %s, %u cores, memory %s; commit %s\n", first_line_after("/proc/cpuinfo", "model name").c_str(),
              std::thread::hardware_concurrency(), first_line_after("/proc/meminfo", "MemTotal").c_str(), commit().c_str());
  std::printf("# %.*s: %s; disk sync p50 %s\n", static_cast<int>(program.size()), program.data(), parameters.c_str(),
              micros(disk_sync_p50_us(directory)).c_str());
  std::printf("| question | figure | compared with |\n|---|---|---|\n");
  std::fflush(stdout);
}

inline void row(const std::string& question, const std::string& figure, const std::string& compared_with) {
  std::printf("| %s | %s | %s |\n", question.c_str(), figure.c_str(), compared_with.c_str());
  std::fflush(stdout);
}

// Resident memory of this process.
[[nodiscard]] inline std::size_t resident_bytes() {
  std::ifstream in{"/proc/self/statm"};
  std::size_t total = 0;
  std::size_t resident = 0;
  in >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Resident memory that is no mapped file: what the store's pages in the page cache do not count into.
[[nodiscard]] inline std::size_t anonymous_bytes() {
  std::ifstream in{"/proc/self/status"};
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("RssAnon:")) return std::strtoull(line.c_str() + std::strlen("RssAnon:"), nullptr, 10) * 1024;
  }
  return resident_bytes();
}

// Processor time of all threads of this process, in microseconds.
[[nodiscard]] inline double processor_us() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto us = [](const timeval& time) { return 1e6 * static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec); };
  return us(used.ru_utime) + us(used.ru_stime);
}

// What this process holds from the allocator.
[[nodiscard]] inline std::size_t allocated_bytes() {
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

[[nodiscard]] inline std::size_t disk_bytes(const std::string& directory) {
  std::size_t sum = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{directory}) {
    if (entry.is_regular_file()) sum += entry.file_size();
  }
  return sum;
}

// How many transactions an LMDB file has seen: the greater transaction id of its two meta pages. Neither the runtime's public API nor
// storage tells it, and a ratio per commit needs it.
[[nodiscard]] inline std::uint64_t commits_of(const std::string& directory) {
  constexpr std::streamoff page_bytes = 4096;
  constexpr std::streamoff id_offset = 16 + 8 + 8 + 8 + 2 * 48 + 8;  // page header, magic and version, address, map size, 2 tables, last page
  std::ifstream in{directory + "/caesura.mdb", std::ios::binary};
  std::uint64_t newest = 0;
  for (const std::streamoff page : {std::streamoff{0}, page_bytes}) {
    std::uint64_t id = 0;
    in.seekg(page + id_offset);
    in.read(reinterpret_cast<char*>(&id), sizeof id);
    newest = std::max(newest, id);
  }
  return newest;
}

}  // namespace caesura::benchmarks
