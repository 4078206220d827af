#include <algorithm>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/device_memory.h"

namespace jsg::cuda {
namespace {

constexpr int kThreads = 512;

// Adds up everything, so that no read can be left out.
__global__ void __launch_bounds__(kThreads) read_kernel(const uint4* data, size_t count, uint32_t* sink) {
  uint32_t sum = 0;
  for (size_t i = blockIdx.x * static_cast<size_t>(kThreads) + threadIdx.x; i < count;
       i += gridDim.x * static_cast<size_t>(kThreads)) {
    const uint4 v = data[i];
    sum += v.x ^ v.y ^ v.z ^ v.w;
  }
  if (sum == 0x12345678) *sink = sum;
}

}  // namespace

double measure_read_bandwidth(size_t bytes) {
  constexpr int kPasses = 6;
  const size_t count = bytes / sizeof(uint4);
  Memory<uint4> data(count);
  Memory<uint32_t> sink(1);
  check(cudaMemset(data.get(), 1, data.bytes()), "filling memory");
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "reading the device's properties");
  cudaEvent_t start, end;
  check(cudaEventCreate(&start), "creating an event");
  check(cudaEventCreate(&end), "creating an event");
  float best_ms = 1e30f;
  for (int pass = 0; pass < kPasses; ++pass) {
    check(cudaEventRecord(start), "timing");
    read_kernel<<<properties.multiProcessorCount * 8, kThreads>>>(data.get(), count, sink.get());
    check(cudaEventRecord(end), "timing");
    check(cudaEventSynchronize(end), "timing");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, start, end), "timing");
    best_ms = std::min(best_ms, ms);
  }
  (void)cudaEventDestroy(start);
  (void)cudaEventDestroy(end);
  return static_cast<double>(count * sizeof(uint4)) / best_ms / 1e6;
}

}  // namespace jsg::cuda
