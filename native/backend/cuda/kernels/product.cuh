// What the products of decode have in common on the device.
#pragma once
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/product.h"

namespace jsg::cuda {

__device__ __forceinline__ float silu(float x) { return __fdividef(x, 1.0f + __expf(-x)); }

// Into shared memory, by a block: 1 / rms of each row, a warp a row; 1 where there is no norm to finish.
template <int kWarps, class T>
__device__ __forceinline__ void put_row_factors(const ProductArgs<T>& args, float* factor, int warp, int lane) {
  for (int row = warp; row < args.n; row += kWarps) {
    float sum = 0;
    if (args.squares) {
      for (int i = lane; i < args.n_squares; i += kWarp) sum += args.squares[row * args.n_squares + i];
      sum = warp_sum(sum);
    }
    if (lane == 0) factor[row] = args.squares ? rsqrtf(sum / static_cast<float>(args.in_features) + args.eps) : 1.0f;
  }
}

// A logit and its id as one number that orders by logit, then by lowest id; all bits set for NaN, so that it wins.
__device__ __forceinline__ uint64_t pack_best(float logit, int id) {
  const uint32_t bits = __float_as_uint(logit + 0.0f);  // -0 equals 0
  const uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  if (isnan(logit)) return ~uint64_t{0};
  return static_cast<uint64_t>(ordered) << 32 | (0xffffffffu - static_cast<uint32_t>(id));
}

}  // namespace jsg::cuda
