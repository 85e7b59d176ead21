#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/server/sdk_protocol.hpp"

namespace caesura::server {

// The apps that have registered, by name; kept in DIRECTORY/apps.json, which is written as a whole and renamed into place, so that a crash leaves
// the old one or the new one. Any thread.
class app_registry {
 public:
  // Reads the file; no file: no apps. Throws error{store_corrupt} naming it when it cannot be read.
  explicit app_registry(const std::string& directory);

  // Durable when it returns. True: something about the app is new. Throws error{storage_failed}; then nothing has changed here, and to try again is no
  // confirmation of what failed.
  bool put(const app_registration& app, const document& body);
  [[nodiscard]] std::vector<app_registration> all() const;
  // What was stored and cannot be honoured any more: the apps are left out until they register again. As of the start.
  [[nodiscard]] const std::vector<std::string>& left_out() const noexcept { return left_out_; }

 private:
  const std::string path_;
  mutable std::mutex mutex_;
  std::map<std::string, document> bodies_;  // as the SDK sent them, by name
  std::map<std::string, app_registration> apps_;
  bool is_unsure_ = false;  // what the file holds: a write has failed, maybe after the new one was in its place
  std::vector<std::string> left_out_;
};

}  // namespace caesura::server
