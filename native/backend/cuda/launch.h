// Kernel launches on one stream.
#pragma once
#include <cuda_runtime.h>

#include "backend/cuda/device_memory.h"

namespace jsg::cuda {

struct Launcher {
  cudaStream_t stream = nullptr;
  bool dependent = false;  // programmatic dependent launch: sm >= 90

  template <class... Params, class... Args>
  void operator()(void (*kernel)(Params...), dim3 grid, int threads, size_t shared_bytes, Args... args) const {
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    cudaLaunchAttribute attribute;
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    config.attrs = &attribute;
    config.numAttrs = dependent ? 1 : 0;
    check(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...), "launching a kernel");
  }
};

}  // namespace jsg::cuda
