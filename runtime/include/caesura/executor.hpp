#pragma once

#include <functional>
#include <utility>

namespace caesura {

// The program's event loop, as the runtime sees it (options.executor). Executes what it is given on one thread, always the same one, one after the other,
// and never within the call; goes on until the runtime is destroyed. Any thread gives it work.
class executor {
 public:
  virtual ~executor() = default;

  // Executes `work` behind what was posted before.
  virtual void post(std::function<void()> work) = 0;

  // Executes `work` once nothing else is ready; the sooner the better, but a loop whose work comes in small pieces may let some come together first. Each
  // such work is a commit: everything that comes before it shares it.
  virtual void post_last(std::function<void()> work) { post(std::move(work)); }

 protected:
  executor() = default;
  executor(const executor&) = default;
  executor& operator=(const executor&) = default;
};

}  // namespace caesura
