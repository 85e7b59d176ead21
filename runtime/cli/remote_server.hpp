#pragma once

#include <chrono>
#include <string>

#include <nlohmann/json.hpp>

#include "runtime/server/http/client.hpp"

namespace caesura::cli {

// A server as the commands see it: one request at a time, waited for.
class remote_server {
 public:
  remote_server(std::string url, std::string hashed_key) : url_{std::move(url)}, hashed_key_{std::move(hashed_key)} {}

  struct reply {
    int status{0};
    nlohmann::json body{};  // null: none
    http::header_list headers{};
  };
  // Throws std::runtime_error with the server's sentence, or the reason why there is no answer.
  reply ask(const std::string& method, const std::string& path, const nlohmann::json& body = nullptr);

 private:
  const std::string url_;
  const std::string hashed_key_;
  http::client client_;
};

}  // namespace caesura::cli
