#pragma once

#include <chrono>
#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

#include "runtime/server/http/client.hpp"

namespace caesura::cli {

// The server said no; the text is its sentence.
struct refused : std::runtime_error {
  refused(int code, const std::string& text) : std::runtime_error{text}, status{code} {}
  int status;
};

// A server as the commands see it: one request at a time, waited for. Each has a connection and a thread of its own.
class remote_server {
 public:
  remote_server(std::string url, std::string hashed_key);

  struct reply {
    nlohmann::json body{};  // null: none
    http::header_list headers{};
  };
  // Throws `refused` for a status from 300 on, and std::runtime_error with the reason why there is no answer, or none that is JSON.
  reply ask(const std::string& method, const std::string& path, const nlohmann::json& body = nullptr);
  // The member `data` of the answer.
  nlohmann::json data(const std::string& method, const std::string& path, const nlohmann::json& body = nullptr);

 private:
  const std::string url_;
  const std::string hashed_key_;
  http::client client_;
};

}  // namespace caesura::cli
