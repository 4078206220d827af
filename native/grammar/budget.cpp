#include "grammar/budget.h"

#include <algorithm>
#include <cstdint>

namespace jsg {
namespace {

using Clock = std::chrono::steady_clock;
// Allocations between two looks at the clock.
constexpr int kStride = 256;

struct State {
  bool armed = false;
  int until_clock = 0;
  int64_t limit = 0, left = 0;
  Clock::time_point deadline;
};
thread_local State state;

void charge(size_t size) {
  state.left -= static_cast<int64_t>(std::min<size_t>(size, INT64_MAX / 2));
  bool is_late = false;
  if (--state.until_clock <= 0) {
    state.until_clock = kStride;
    is_late = Clock::now() >= state.deadline;
  }
  if (state.left >= 0 && !is_late) return;
  state.armed = false;
  throw BudgetExceeded(is_late);
}

}  // namespace

Budget::Budget(const BudgetLimits& limits) {
  const auto bytes = static_cast<int64_t>(limits.bytes);
  state = {true, kStride, bytes, bytes, Clock::now() + limits.time};
}

Budget::~Budget() { state.armed = false; }

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
