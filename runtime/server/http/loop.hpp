#pragma once

#include <functional>
#include <memory>

namespace caesura::http {

// One thread that waits for sockets and executes what is ready, in the order in which it became so. Clients, listeners and whoever posts share it, so that
// what one handler leads to in another costs no wake-up. Nothing on it may block for long.
//
// A resource. Destroyed after everything that was made on it; what was posted until then is executed first.
class loop {
 public:
  loop();
  ~loop();
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;

  // Executes `work` soon, on the loop's thread, never within the call. Work must not throw. Any thread.
  void post(std::function<void()> work);
  // The same, once nothing else is ready, and after a pause if a client asks for it (client_options::longest_pause).
  void post_last(std::function<void()> work);

  // Internal: loop_core.hpp.
  struct core;
  [[nodiscard]] const std::shared_ptr<core>& parts() const noexcept { return core_; }

 private:
  std::shared_ptr<core> core_;  // owners: the loop, and whoever still has a socket of it
};

}  // namespace caesura::http
