// Activations as int8 for gemm_int8.cuh: a scale for each row and group of columns, and the sum of a group.
#pragma once
#include "backend/cuda/kernels/common.cuh"

namespace jsg::cuda {

inline constexpr int kQuantizeThreads = 256;
inline constexpr int kInt8Columns = 128;  // that rows are filled up to, and the products' step

// Rows of int8 activations. Each 64 columns lie as a lane of the products reads them: column 32 p + 8 j + i at byte
// 16 j + 8 p + i, or, for weights of 4 bits, whose nibbles are widened four at a time, at i's place in 0 4 1 5 2 6 3 7.
struct Int8Rows {
  int8_t* codes;   // (n, stride)
  float2* scales;  // (groups, scale_stride): what a code is to be scaled by, and that times the sum of the codes
  int stride;      // a multiple of kInt8Columns, at least the columns
  int scale_stride;
};

// The scale in 13 bits after the leading one, rounded up: products with 1.5 * 2^23 are exact, and codes stay within
// 127.
__device__ __forceinline__ float int8_scale(uint32_t largest_bits) {
  const float scale = __uint_as_float(largest_bits) * (1.0f / 127.0f);
  if (!(scale < __uint_as_float(0x7f000000u))) return __uint_as_float(0x7fffffffu);  // not finite: that shows
  return __uint_as_float((__float_as_uint(scale) + 0x3ffu) & ~0x3ffu);
}

// x (n, columns), columns a multiple of 8. A block a row, a lane 8 columns at a time; kGroup: 32, 64 or 128.
template <class T, int kGroup, bool kNibbles>
__global__ void __launch_bounds__(kQuantizeThreads) quantize_rows_kernel(const T* x, int columns, Int8Rows out) {
  constexpr int kLanes = kGroup / 8;  // that share a group
  const int row = blockIdx.x;
  launch_dependents();
  wait_for_previous();
  const int of_warp = static_cast<int>(threadIdx.x) / kWarp * kWarp * 8, of_lane = threadIdx.x % kWarp * 8;
  for (int begin = of_warp; begin < out.stride; begin += kQuantizeThreads * 8) {  // the lanes of a warp together
    const int first = begin + of_lane;
    float value[8] = {};
    if (first < columns) unpack8<T>(load_shared_operand(x + static_cast<size_t>(row) * columns + first), value);
    uint32_t largest = 0;  // as bits, so that NaN wins
#pragma unroll
    for (int i = 0; i < 8; ++i) largest = max(largest, __float_as_uint(value[i]) & 0x7fffffffu);
#pragma unroll
    for (int offset = kLanes / 2; offset > 0; offset /= 2)
      largest = max(largest, __shfl_xor_sync(~0u, largest, offset));
    const float scale = int8_scale(largest), inverse = largest < 0x01000000u ? 0.0f : 1.0f / scale;
    int code[8], sum = 0;
#pragma unroll
    for (int i = 0; i < 8; ++i) sum += code[i] = __float2int_rn(value[i] * inverse);
#pragma unroll
    for (int offset = kLanes / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(~0u, sum, offset);
    if (first >= out.stride) continue;  // the last 16 lanes
    constexpr int kOrder[] = {0, 4, 1, 5, 2, 6, 3, 7};
    uint2 packed{};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const uint32_t byte = static_cast<uint32_t>(code[kNibbles ? kOrder[i] : i] & 0xff) << (i % 4 * 8);
      (i < 4 ? packed.x : packed.y) |= byte;
    }
    const int within = first % 64, at = within % 32 * 2 + within / 32 * 8;
    *reinterpret_cast<uint2*>(out.codes + static_cast<size_t>(row) * out.stride + (first - within + at)) = packed;
    if (first % kGroup == 0) {
      out.scales[static_cast<size_t>(first / kGroup) * out.scale_stride + row] = {scale,
                                                                                  scale * static_cast<float>(sum)};
    }
  }
}

}  // namespace jsg::cuda
