// The one cuBLAS product we use, from the library found at run time: the addon must load where there is none.
#pragma once
#include <cuda_runtime.h>

#include <memory>

#include "backend/cuda/device_memory.h"
#include "backend/cuda/element_type.h"

namespace jsg::cuda {

class Cublas {
 public:
  // Null where no libcublas is installed.
  static std::unique_ptr<Cublas> open(cudaStream_t stream);
  ~Cublas();
  // out (n, m) = x (n, k) weight (m, k)^T, or += with `accumulate`; row-major, fp32 accumulation. Rows of `out` are
  // out_stride elements apart.
  void product(const void* weight, const void* x, ElementType in, void* out, ElementType out_type, int m, int n, int k,
               int out_stride, bool accumulate);

 private:
  Cublas() = default;
  struct Functions;
  std::unique_ptr<Functions> functions_;
  void* handle_ = nullptr;
  Memory<char> workspace_;
};

}  // namespace jsg::cuda
