#pragma once

// Everything but the parts that need CAF: <caesura/protocol.hpp> and <caesura/actor_access.hpp>.

#include <caesura/bulk.hpp>
#include <caesura/context.hpp>
#include <caesura/document.hpp>
#include <caesura/error.hpp>
#include <caesura/event.hpp>
#include <caesura/filter.hpp>
#include <caesura/function.hpp>
#include <caesura/history.hpp>
#include <caesura/ids.hpp>
#include <caesura/observer.hpp>
#include <caesura/options.hpp>
#include <caesura/retry.hpp>
#include <caesura/run.hpp>
#include <caesura/runtime.hpp>
#include <caesura/signal.hpp>
#include <caesura/task.hpp>
#include <caesura/time.hpp>
#include <caesura/verify.hpp>
