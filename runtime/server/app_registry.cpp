#include "runtime/server/app_registry.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "storage/directory_lock.hpp"

namespace caesura::server {

namespace {

error cannot(const std::string& what, const std::string& path) {
  return error{errc::storage_failed, path + " could not be " + what + ": " + std::strerror(errno)};
}

void write_durably(const std::string& path, const std::string& text) {
  const auto fresh = path + ".new";
  const int file = ::open(fresh.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) throw cannot("made", fresh);
  std::size_t written = 0;
  while (written < text.size()) {
    const auto count = ::write(file, text.data() + written, text.size() - written);
    if (count < 0 && errno != EINTR) break;
    if (count > 0) written += static_cast<std::size_t>(count);
  }
  const bool is_whole = written == text.size() && ::fsync(file) == 0;
  ::close(file);
  if (!is_whole) throw cannot("written", fresh);
  if (::rename(fresh.c_str(), path.c_str()) != 0) throw cannot("put into place", path);
  storage::sync_directory(std::filesystem::path{path}.parent_path().string());
}

}  // namespace

app_registry::app_registry(const std::string& directory) : path_{directory + "/apps.json"} {
  std::filesystem::create_directories(directory);
  std::ifstream in{path_, std::ios::binary};
  if (!in) return;
  const std::string text{std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
  try {
    const auto all = nlohmann::json::parse(text);
    for (const auto& [name, body] : all.items()) {
      const auto& kept = bodies_.emplace(name, document(body)).first->second;
      try {
        apps_.emplace(name, read_registration(kept));
      } catch (const error& e) {
        left_out_.push_back("app \"" + name + "\" is left out until it registers again: " + e.what());
      }
    }
  } catch (const std::exception& e) {
    throw error{errc::store_corrupt, path_ + " cannot be read: " + e.what()};
  }
}

bool app_registry::put(const app_registration& app, const document& body) {
  const std::lock_guard lock{mutex_};
  const auto found = bodies_.find(app.name);
  if (found != bodies_.end() && found->second == body && !is_unsure_) return false;
  auto bodies = bodies_;
  auto apps = apps_;
  bodies.insert_or_assign(app.name, body);
  apps.insert_or_assign(app.name, app);
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [name, one] : bodies) all[name] = one.json();
  is_unsure_ = true;
  write_durably(path_, all.dump(1));
  is_unsure_ = false;
  bodies_.swap(bodies);
  apps_.swap(apps);
  return true;
}

std::vector<app_registration> app_registry::all() const {
  const std::lock_guard lock{mutex_};
  std::vector<app_registration> result;
  for (const auto& [name, app] : apps_) result.push_back(app);
  return result;
}

}  // namespace caesura::server
