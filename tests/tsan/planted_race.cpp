// A race of ours that must be reported although tests/tsan.supp is in force: two actors count in the same variable from their handlers,
// on two threads, with no order between them. It is planted where ours would be, below CAF's frames.

#include <atomic>
#include <cstdio>
#include <thread>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

namespace planted {

int count = 0;
std::atomic<int> meeting{0};

// Both actors are here at once; relaxed, so that meeting is not itself an order.
void count_one() {
  meeting.fetch_add(1, std::memory_order_relaxed);
  while (meeting.load(std::memory_order_relaxed) < 2) std::this_thread::yield();
  ++count;
}

caf::behavior counter(caf::event_based_actor*) {
  return {[](int) { count_one(); }};
}

}  // namespace planted

int main() {
  caf::core::init_global_meta_objects();
  caf::actor_system_config config;
  {
    caf::actor_system system{config};
    for (int i = 0; i < 2; ++i) caf::anon_send(system.spawn<caf::detached>(planted::counter), 1);
  }
  std::printf("counted to %d\n", planted::count);
}
