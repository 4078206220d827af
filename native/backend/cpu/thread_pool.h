// Worker threads pinned to cores, for loops that take microseconds: workers spin a little before they sleep.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace jsg::cpu {

// Cores this process may use: its affinity mask, cut to the cgroup's quota (v2 or v1), at least one.
std::vector<int> usable_cores();

class ThreadPool {
 public:
  // `n_threads` counts the calling thread; 0: one a usable core.
  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }
  // Pins the calling thread, which takes part in every loop, to the first core.
  void pin_caller() const;

  // Calls f(begin, end, thread) over [0, n) in chunks taken as threads come free; returns when all are done.
  // One caller at a time. f must not throw.
  template <class F>
  void run(int64_t n, int64_t chunk, F&& f) {
    if (n <= 0) return;
    if (workers_.empty() || n <= chunk) {
      f(int64_t{0}, n, 0);
      return;
    }
    dispatch(
        n, chunk, [](void* context, int64_t begin, int64_t end, int thread) { (*static_cast<F*>(context))(begin, end, thread); },
        const_cast<void*>(static_cast<const void*>(&f)));
  }

 private:
  using Body = void (*)(void*, int64_t begin, int64_t end, int thread);
  void dispatch(int64_t n, int64_t chunk, Body body, void* context);
  void work(int thread);
  void take_chunks(int thread);

  std::vector<std::thread> workers_;
  std::vector<int> cores_;
  Body body_ = nullptr;
  void* context_ = nullptr;
  int64_t n_ = 0;
  int64_t chunk_ = 1;
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};
  alignas(64) std::atomic<int> busy_{0};
  alignas(64) std::atomic<int> sleeping_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace jsg::cpu
