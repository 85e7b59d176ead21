#pragma once

// The one way in which a message crosses threads through CAF. Debian's libcaf is not instrumented, so ThreadSanitizer does not see that
// sending happens before receiving; the envelope tells it.

#include <memory>
#include <type_traits>
#include <utility>

#include <caf/allowed_unsafe_message_type.hpp>

#include "actors/commands.hpp"
#include "actors/run_driver.hpp"

#if defined(__SANITIZE_THREAD__)
#define CAESURA_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CAESURA_TSAN 1
#endif
#endif

#ifdef CAESURA_TSAN
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace caesura::actors {

template <class T>
class envelope {
 public:
  envelope() = default;
  explicit envelope(std::shared_ptr<T> content) : content_{std::move(content)} {
#ifdef CAESURA_TSAN
    __tsan_release(const_cast<std::remove_const_t<T>*>(content_.get()));
#endif
  }

  [[nodiscard]] const std::shared_ptr<T>& open() const {
#ifdef CAESURA_TSAN
    __tsan_acquire(const_cast<std::remove_const_t<T>*>(content_.get()));
#endif
    return content_;
  }

 private:
  std::shared_ptr<T> content_;  // owners: the copies of the message, of which CAF makes one
};

using router_envelope = envelope<const command>;
// No message: begin.
struct run_letter {
  std::optional<run_message> message{};
};
using run_envelope = envelope<run_letter>;
struct flush_request {};

}  // namespace caesura::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::actors::router_envelope)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::actors::run_envelope)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(caesura::actors::flush_request)
