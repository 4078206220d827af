#include "backend/cpu/bandwidth.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "backend/cpu/features.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/thread_pool.h"

namespace jsg::cpu {

double measure_read_bandwidth(size_t bytes, int n_threads) {
  constexpr size_t kChunk = size_t{1} << 18;
  constexpr int kPasses = 8;
  const Kernels& kernels = select_kernels();
  const size_t chunks = std::max<size_t>(1, bytes / kChunk);
  Memory memory(chunks * kChunk);
  ThreadPool pool(n_threads);
  // Touched once: untouched pages would all read the same page of zeros.
  pool.run(static_cast<int64_t>(chunks), 1, [&](int64_t begin, int64_t end, int) {
    std::memset(memory.data() + begin * kChunk, 1, static_cast<size_t>(end - begin) * kChunk);
  });
  std::atomic<uint64_t> sink{0};
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    pool.run(static_cast<int64_t>(chunks), 1, [&](int64_t begin, int64_t end, int) {
      sink.fetch_add(kernels.read(memory.data() + begin * kChunk, static_cast<size_t>(end - begin) * kChunk),
                     std::memory_order_relaxed);
    });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(chunks * kChunk) / elapsed.count() / 1e9);
  }
  return best;
}

}  // namespace jsg::cpu
