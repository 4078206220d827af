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

}  // namespace jsg::cuda
