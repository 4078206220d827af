#include "grammar/budget.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <cstdint>

namespace jsg {
namespace {

// Allocations between two looks at the clock.
constexpr int kStride = 256;

struct State {
  bool armed = false;
  int until_clock = 0;
  int64_t limit = 0, left = 0;
  int64_t deadline_ns = 0;
  int64_t n_allocations = 0;
  uintptr_t deepest = 0;  // address in the stack
};
thread_local State state;

[[noreturn]] void exceed(BudgetExceeded::Kind kind) {
  state.armed = false;
  throw BudgetExceeded(kind);
}

void charge(size_t size) {
  ++state.n_allocations;
  state.left -= static_cast<int64_t>(std::min<size_t>(size, INT64_MAX / 2));
  if (state.left < 0) exceed(BudgetExceeded::Kind::kMemory);
  if (reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) < state.deepest) exceed(BudgetExceeded::Kind::kDepth);
  if (--state.until_clock > 0) return;
  state.until_clock = kStride;
  if (thread_cpu_ns() >= state.deadline_ns) exceed(BudgetExceeded::Kind::kTime);
}

// Where three quarters of this thread's stack are left (it grows downwards); 0: not known.
uintptr_t deepest_address() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
  void* lowest = nullptr;
  size_t bytes = 0;
  const bool is_known = pthread_attr_getstack(&attributes, &lowest, &bytes) == 0;
  pthread_attr_destroy(&attributes);
  return is_known ? reinterpret_cast<uintptr_t>(lowest) + bytes / 4 * 3 : 0;
}

}  // namespace

// Of this thread alone: a machine that is busy with something else makes nothing dearer.
int64_t thread_cpu_ns() {
  timespec now{};
  (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return int64_t{1000000000} * now.tv_sec + now.tv_nsec;
}

Budget::Budget(const BudgetLimits& limits) {
  const auto bytes = static_cast<int64_t>(limits.bytes);
  const int64_t ns = std::chrono::nanoseconds(limits.time).count();
  static thread_local const uintptr_t deepest = deepest_address();
  state = {true, kStride, bytes, bytes, thread_cpu_ns() + ns, 0, deepest};
}

Budget::~Budget() { state.armed = false; }

int64_t Budget::n_allocations() { return state.n_allocations; }

extern "C" {
// NOLINTBEGIN: the linker's names
void* __real__Znwm(size_t size);
void __real__ZdlPvm(void* memory, size_t size);

void* __wrap__Znwm(size_t size) {
  if (state.armed) charge(size);
  return __real__Znwm(size);
}

void __wrap__ZdlPvm(void* memory, size_t size) {
  // What was allocated before the budget began may be freed under it: no more comes back than there was.
  if (state.armed) state.left = std::min(state.limit, state.left + static_cast<int64_t>(size));
  __real__ZdlPvm(memory, size);
}
// NOLINTEND
}

}  // namespace jsg
