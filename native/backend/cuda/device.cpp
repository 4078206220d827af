#include <cuda_runtime.h>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/device_memory.h"

namespace jsg::cuda {

int cuda_device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

CudaDevice cuda_device() {
  cudaDeviceProp properties;
  if (cuda_device_count() == 0 || cudaGetDeviceProperties(&properties, 0) != cudaSuccess) {
    throw Error("E_DEVICE_UNSUITABLE", "no CUDA device can be used");
  }
  size_t free_bytes = 0, total_bytes = 0;
  check(cudaMemGetInfo(&free_bytes, &total_bytes), "reading the device's memory");
  return {properties.name, properties.major * 10 + properties.minor, properties.integrated != 0, total_bytes,
          free_bytes};
}

}  // namespace jsg::cuda
