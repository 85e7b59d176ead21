#pragma once

#include <caesura/protocol.hpp>
#include <caesura/runtime.hpp>

namespace caesura {

// The typed handle through which actors talk to this runtime. Valid as long as the runtime; requests after its end are answered with
// an error. Any thread.
[[nodiscard]] router_handle router_of(runtime& runtime);

}  // namespace caesura
