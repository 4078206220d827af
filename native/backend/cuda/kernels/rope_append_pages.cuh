// Rotation and cache append of prompts, page by page, for a cache in 16 bits.
//
// Moves q, k and v once, and q, k and v back: 2 * (2 n_heads + 4 n_kv_heads) * head_dim * 2 bytes a row. A block takes
// one page of a slice and some heads, so that V, which is stored transposed, is written in whole sectors.
#pragma once
#include "backend/cuda/kernels/rope_append.cuh"

namespace jsg::cuda {

inline constexpr int kAppendThreads = 256;
inline constexpr int kAppendHeads = 8;   // of q and k, a block
inline constexpr int kAppendValues = 4;  // heads of v, a block

// Values of the page's later tokens become 0: attention may multiply what lies there by 0.
// Grid: page of a slice, slice, heads of q and k by kAppendHeads, then those of v by kAppendValues. k is not changed in
// place. args.first_row is the first slice as well: before it every slice is one row.
template <class T, int kHeadDim>
__global__ void __launch_bounds__(kAppendThreads) rope_append_pages_kernel(const RopeAppendArgs<T> args) {
  const AttentionDims& dims = args.dims;
  const int slice = args.first_row + blockIdx.y;
  launch_dependents();
  wait_for_previous();
  const int2 rows = args.step.slices[slice];
  const int position0 = args.step.positions[rows.x], page = position0 / kPage + blockIdx.x;
  const int begin = max(page * kPage, position0), end = min(page * kPage + kPage, position0 + rows.y);
  if (begin >= end) return;
  const int block = args.step.block_table(slice)[page], row0 = rows.x + page * kPage - position0;  // of slot 0
  const int first_slot = begin - page * kPage, last_slot = end - 1 - page * kPage;
  const size_t stride = static_cast<size_t>(dims.n_heads + 2 * dims.n_kv_heads) * kHeadDim;
  const int n_rotated = dims.n_heads + dims.n_kv_heads, n_groups = (n_rotated + kAppendHeads - 1) / kAppendHeads;

  if (static_cast<int>(blockIdx.z) < n_groups) {
    constexpr int kLanes = kHeadDim / 16;  // of a head: each has 8 pairs
    constexpr int kAtOnce = kAppendThreads / kLanes, kPasses = kAppendHeads * kPage / kAtOnce;
    static_assert(kAppendHeads * kPage % kAtOnce == 0);
    const int lane = threadIdx.x % kLanes;
    const int low_at = dims.interleaved ? 16 * lane : 8 * lane,
              high_at = low_at + (dims.interleaved ? 8 : kHeadDim / 2);
    auto slot_of = [&](int pass) { return static_cast<int>(threadIdx.x / kLanes + pass * kAtOnce) % kPage; };
    auto head_of = [&](int pass) {
      return static_cast<int>(blockIdx.z * kAppendHeads + (threadIdx.x / kLanes + pass * kAtOnce) / kPage);
    };
    auto source = [&](int pass) {
      const int slot = min(max(slot_of(pass), first_slot), last_slot);
      return args.qkv + static_cast<size_t>(row0 + slot) * stride + min(head_of(pass), n_rotated - 1) * kHeadDim;
    };
    Pack8 lows[kPasses], highs[kPasses];
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      lows[i] = load_shared_operand(source(i) + low_at);
      highs[i] = load_shared_operand(source(i) + high_at);
    }
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      const int slot = slot_of(i), head = head_of(i), kv_head = head - dims.n_heads;
      float low[8], high[8];
      unpack8<T>(lows[i], low);
      unpack8<T>(highs[i], high);
      const float* norm = kv_head < 0 ? args.q_norm : args.k_norm;
      if (norm) {
        float squares = 0;
#pragma unroll
        for (int j = 0; j < 8; ++j) squares += low[j] * low[j] + high[j] * high[j];
#pragma unroll
        for (int offset = kLanes / 2; offset > 0; offset /= 2) squares += __shfl_xor_sync(~0u, squares, offset);
        const float factor = rsqrtf(squares / kHeadDim + dims.eps);
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          low[j] *= factor * norm[low_at + j];
          high[j] *= factor * norm[high_at + j];
        }
      }
      if (slot < first_slot || slot > last_slot || head >= n_rotated) continue;
      const float2* rotation = args.step.rotations + static_cast<size_t>(row0 + slot) * (kHeadDim / 2) + 8 * lane;
      auto rotate = [](float& a, float& b, float2 r) {
        const float x = a * r.x - b * r.y;
        b = a * r.y + b * r.x;
        a = x;
      };
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        if (!dims.interleaved) {
          rotate(low[j], high[j], rotation[j]);
        } else if (j < 4) {
          rotate(low[2 * j], low[2 * j + 1], rotation[j]);
        } else {
          rotate(high[2 * j - 8], high[2 * j - 7], rotation[j]);
        }
      }
      T* to = kv_head < 0 ? args.qkv + static_cast<size_t>(row0 + slot) * stride + head * kHeadDim
                          : args.cache.k(block, kv_head) + slot * kHeadDim;
      *reinterpret_cast<Pack8*>(to + low_at) = pack8<T>(low);
      *reinterpret_cast<Pack8*>(to + high_at) = pack8<T>(high);
    }
    return;
  }

  constexpr int kPitch = kHeadDim + 8, kChunks = kHeadDim / 8;  // elements of a token; of 16 bytes
  constexpr int kAtOnce = kAppendThreads / kChunks;             // tokens, of one head after the other
  constexpr int kPasses = kAppendValues * kPage / kAtOnce;
  __shared__ __align__(16) T tile[kAppendValues * kPage * kPitch];
  const int first_head = (blockIdx.z - n_groups) * kAppendValues;
  const int n_heads = min(kAppendValues, dims.n_kv_heads - first_head);
  Pack8 loaded[kPasses];
#pragma unroll
  for (int i = 0; i < kPasses; ++i) {
    const int at = threadIdx.x / kChunks + i * kAtOnce;
    const int slot = min(max(at % kPage, first_slot), last_slot), head = first_head + min(at / kPage, n_heads - 1);
    loaded[i] = load_shared_operand(args.qkv + static_cast<size_t>(row0 + slot) * stride +
                                    (n_rotated + head) * kHeadDim + threadIdx.x % kChunks * 8);
  }
#pragma unroll
  for (int i = 0; i < kPasses; ++i) {
    *reinterpret_cast<Pack8*>(tile + (threadIdx.x / kChunks + i * kAtOnce) * kPitch + threadIdx.x % kChunks * 8) =
        loaded[i];
  }
  __syncthreads();
  const bool is_whole = end - begin == kPage;
  for (int at = threadIdx.x; at < n_heads * kHeadDim * 2; at += kAppendThreads) {
    const int half = at % 2, row = at / 2 % kHeadDim, head = at / (2 * kHeadDim);
    const T* from = tile + (head * kPage + 8 * half) * kPitch + row;
    T* to = args.cache.v(block, first_head + head) + row * kPage + 8 * half;
    if (is_whole) {
      Pack8 column;
      T* elems = reinterpret_cast<T*>(&column);
#pragma unroll
      for (int i = 0; i < 8; ++i) elems[i] = from[i * kPitch];
      *reinterpret_cast<Pack8*>(to) = column;
    } else {
      for (int i = max(0, first_slot - 8 * half); i < 8; ++i) {
        to[i] = i <= last_slot - 8 * half ? from[i * kPitch] : from_float<T>(0.0f);
      }
    }
  }
}

}  // namespace jsg::cuda
