// A limit on what a piece of code may allocate, how long it may take and how deep it may recurse, for libraries that
// know no such limit: every allocation of this thread is counted while a budget is in force, and the one that goes
// beyond it throws. Code that neither allocates nor returns is not caught; parsers and automata allocate all the time.
// What recurses may only append to vectors, which double: so a quarter of the thread's stack is as deep as it gets.
//
// Works by the linker's --wrap of operator new and the sized operator delete (grammar.cmake), so it sees what is
// compiled into this binary, and not what the C++ library allocates inside itself.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>

namespace jsg {

struct BudgetLimits {
  std::chrono::milliseconds time;  // of the processor, spent by this thread
  size_t bytes;                    // allocated and not freed
};

class BudgetExceeded : public std::bad_alloc {
 public:
  enum class Kind : uint8_t { kTime, kMemory, kDepth };
  explicit BudgetExceeded(Kind kind) : kind_(kind) {}
  Kind kind() const { return kind_; }
  const char* what() const noexcept override {
    if (kind_ == Kind::kTime) return "took too long";
    return kind_ == Kind::kMemory ? "needed too much memory" : "recursed too deeply";
  }

 private:
  Kind kind_;
};

// Processor time of this thread, nanoseconds.
int64_t thread_cpu_ns();

// In force on this thread from here to the end of its scope, or until it throws once: what unwinding allocates is free.
class Budget {
 public:
  explicit Budget(const BudgetLimits& limits);
  ~Budget();
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  // Of this thread since the budget in force began: a measure of work that is the same in every run.
  static int64_t n_allocations();
};

}  // namespace jsg
