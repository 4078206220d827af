// Kernel launches on one stream.
#pragma once
#include <cuda_runtime.h>

#include "backend/cuda/device_memory.h"

namespace jsg::cuda {

struct Launcher {
  cudaStream_t stream = nullptr;
  bool dependent = false;  // programmatic dependent launch: sm >= 90
  unsigned cluster = 1;    // blocks along x that share a cluster: sm >= 90

  template <class... Params, class... Args>
  void operator()(void (*kernel)(Params...), dim3 grid, int threads, size_t shared_bytes, Args... args) const {
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    cudaLaunchAttribute attributes[2];
    config.attrs = attributes;
    if (dependent) {
      cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
      attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
      attribute.val.programmaticStreamSerializationAllowed = 1;
    }
    if (cluster > 1) {
      cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
      attribute.id = cudaLaunchAttributeClusterDimension;
      attribute.val.clusterDim = {cluster, 1, 1};
    }
    check(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...), "launching a kernel");
  }
};

// kKernel's blocks take tile after tile: no more of them than are resident at a time. Shape: its threads, and bytes of
// dynamic shared memory.
template <auto kKernel, class Shape, class Args>
void launch_resident(const Launcher& launch, int n_tiles, int n_sms, const Args& args) {
  static const int blocks_per_sm = [] {
    check(cudaFuncSetAttribute(kKernel, cudaFuncAttributeMaxDynamicSharedMemorySize, Shape::kSharedBytes),
          "reserving shared memory");
    int n = 0;
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n, kKernel, Shape::kThreads, Shape::kSharedBytes),
          "asking for a kernel's occupancy");
    return n > 0 ? n : 1;
  }();
  const int n_blocks = blocks_per_sm * n_sms;
  launch(kKernel, dim3(n_tiles < n_blocks ? n_tiles : n_blocks), Shape::kThreads, Shape::kSharedBytes, args);
}

}  // namespace jsg::cuda
