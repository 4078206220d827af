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

  int size() const { return n_threads_; }
  // Pins the calling thread, which takes part in every loop, to the first core.
  void pin_caller() const;

  // Calls f(begin, end, thread) over [0, n) in chunks taken as threads come free; returns when all are done.
  // One caller at a time. f must not throw.
  template <class F>
  void run(int64_t n, int64_t chunk, F&& f) {
    if (n <= 0) return;
    if (n_threads_ == 1 || n <= chunk) {
      f(int64_t{0}, n, 0);
      return;
    }
    dispatch(
        n, chunk,
        [](void* context, int64_t begin, int64_t end, int thread) { (*static_cast<F*>(context))(begin, end, thread); },
        const_cast<void*>(static_cast<const void*>(&f)));
  }

 private:
  using Body = void (*)(void*, int64_t begin, int64_t end, int thread);
  void dispatch(int64_t n, int64_t chunk, Body body, void* context);
  void work(int thread);
  bool take_chunk(int thread);

  bool pinned() const { return n_threads_ <= static_cast<int>(cores_.size()); }

  const std::vector<int> cores_;
  const int n_threads_;
  std::vector<std::thread> workers_;
  // The loop being run. Fields change only while `cursor_` is closed, and a chunk is taken by a compare-and-swap on
  // `cursor_`: a thread that read the fields of an earlier loop takes nothing. So the caller waits for chunks in work,
  // never for a thread that the kernel has put aside.
  std::atomic<Body> body_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<int64_t> n_{0};
  std::atomic<int64_t> chunk_{1};
  alignas(64) std::atomic<uint64_t> cursor_{0};  // generation << 32 | next index, kClosed between loops
  alignas(64) std::atomic<int64_t> done_{0};     // indices finished
  alignas(64) std::atomic<uint32_t> wake_{0};    // what sleeping workers wait on
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace jsg::cpu
