#pragma once

#include <functional>
#include <string>

#include <caesura/run.hpp>
#include <caesura/time.hpp>

namespace caesura {

// What a program may want to see of its runtime. The functions are called on a thread of their own (with options.executor on its thread, without a queue), one at a
// time, over a queue of 10,000 entries; what does not fit is dropped and counted, and the count is told as a diagnostic once the queue is empty. What they throw is dropped. They may take their time,
// but may not destroy the runtime.
struct observer {
  std::function<void(const run_info&)> on_run_ended{};
  // A step that executes for longer than options.slow_step: told once, while it executes. A step is never interrupted.
  std::function<void(const std::string& step_key, duration so_far)> on_slow_step{};
  // Sentences about what went wrong without anybody waiting for an answer: an expression that failed, a run that is held, a clock that
  // jumped. The run is nil when it is about none.
  std::function<void(const std::string& text, const run_id& run)> on_diagnostic{};
};

}  // namespace caesura
