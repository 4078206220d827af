// A weight of codes as rows of 16-bit numbers, for products of so many rows that arithmetic bounds them.
//
// Reads the codes once and writes 2 * rows * columns bytes. A warp takes 16 rows of 64 columns; lanes write 16 bytes.
#pragma once
#include "backend/cuda/kernels/weights.cuh"

namespace jsg::cuda {

inline constexpr int kExpandThreads = 256;

// out (out_features, in_features). Grid: (units of 64 columns over the warps of a block, tiles).
template <class T>
__global__ void __launch_bounds__(kExpandThreads)
    expand_codes_kernel(const CodesView codes, int out_features, int in_features, T* out) {
  launch_dependents();
  wait_for_previous();  // which may still read what was there
  const int lane = threadIdx.x % kWarp;
  const int column = (blockIdx.x * (kExpandThreads / kWarp) + threadIdx.x / kWarp) * kUnitColumns;
  if (column >= in_features) return;
  const uint8_t* tile = codes.data + static_cast<size_t>(blockIdx.y) * codes.tile_bytes;
#pragma unroll
  for (int part = 0; part < 2; ++part) {
    const int first = column + part * 32 + lane % 4 * 8;
    if (first >= in_features) return;
    const int group = (column + part * 32) >> codes.group_shift;
    Pack8 rows[2];
    if (codes.bits == 4) {
      const uint2 words = load_scales8(tile + column / 64 * kChunkBytes + lane * 16 + part * 8);
      const uint2 scales = load_scales8(tile + codes.scales_at + (group * 8 + lane / 4) * 8);
      rows[0] = dequantize_int4<T>(words.x, scales.x, codes);
      rows[1] = dequantize_int4<T>(words.y, scales.y, codes);
    } else {
      const Pack8 words = load_streaming(tile + (column / 32 + part) * kChunkBytes + lane * 16);
      const uint32_t scales = load_scales4(tile + codes.scales_at + (group * 8 + lane / 4) * 4);
      const T* elems = reinterpret_cast<const T*>(&scales);
      rows[0] = scale_all<T>(widen_int8<T>(words.word[0], words.word[1]), elems[0]);
      rows[1] = scale_all<T>(widen_int8<T>(words.word[2], words.word[3]), elems[1]);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = blockIdx.y * kTileRows + half * 8 + lane / 4;
      if (row < out_features)
        *reinterpret_cast<Pack8*>(out + static_cast<size_t>(row) * in_features + first) = rows[half];
    }
  }
}

}  // namespace jsg::cuda
