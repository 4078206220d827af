// Prefill attention: many query rows a sequence, causal, over its paged cache, which already holds their own k and v
// (FlashAttention-2's order: rows stay, the context streams past, softmax is kept up as it goes).
//
// A warp takes 16 query rows of one head and reads K and V pages straight into the operands of its products, as in
// decode (see attention_decode.cuh for how tokens are permuted); the warps of a block take neighbouring rows, so pages
// come from the level-1 cache for all but the first.
#pragma once
#include "backend/cuda/kernels/kv.cuh"

namespace jsg::cuda {

inline constexpr int kPrefillWarps = 4;
inline constexpr int kPrefillRows = 16;  // of a warp

template <class T>
struct PrefillAttentionArgs {
  const T* qkv;  // (n_rows, (n_heads + 2 n_kv_heads) * head_dim), q rotated
  T* out;        // (n_rows, n_heads * head_dim)
  KvCache<T> cache;
  StepView step;
  AttentionDims dims;
  int first_slice;  // slices before it are decoded elsewhere
};

template <class T, int kHeadDim>
__global__ void __launch_bounds__(kPrefillWarps* kWarp) attention_prefill_kernel(const PrefillAttentionArgs<T> args) {
  constexpr int kChunks = kHeadDim / 32, kTiles = kHeadDim / 8;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int group = lane / 4, quarter = lane % 4;
  const int head = blockIdx.y, slice = args.first_slice + blockIdx.z;
  const AttentionDims& dims = args.dims;
  const int kv_head = head / (dims.n_heads / dims.n_kv_heads);
  launch_dependents();
  wait_for_previous();

  const int2 rows = args.step.slices[slice];
  // The last rows have the longest context: they start first.
  const int first = ((gridDim.x - 1 - blockIdx.x) * kPrefillWarps + warp) * kPrefillRows;
  if (first >= rows.y) return;
  const int32_t* table = args.step.block_table(slice);
  const int position0 = args.step.positions[rows.x];
  const size_t stride = static_cast<size_t>(dims.n_heads + 2 * dims.n_kv_heads) * kHeadDim;
  const int row_low = first + group, row_high = first + group + 8;
  const int position_low = position0 + min(row_low, rows.y - 1), position_high = position0 + min(row_high, rows.y - 1);

  const float scale = rsqrtf(static_cast<float>(kHeadDim)) * 1.44269504f;
  uint32_t q[kChunks][8];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = min(half ? row_high : row_low, rows.y - 1);
    const T* source = args.qkv + (rows.x + row) * stride + head * kHeadDim + 8 * quarter;
#pragma unroll
    for (int j = 0; j < kChunks; ++j) {
      float x[8];
      unpack8<T>(load_shared_operand(source + 32 * j), x);
#pragma unroll
      for (int i = 0; i < 8; ++i) x[i] *= scale;
      const Pack8 packed = pack8<T>(x);
#pragma unroll
      for (int i = 0; i < 4; ++i) q[j][2 * i + half] = packed.word[i];
    }
  }

  const int token_of_lane = 4 * (group / 2) + group % 2;
  const int last = position0 + min(first + kPrefillRows, rows.y) - 1;
  const int visible = dims.sliding_window > 0 ? max(0, position0 + first - dims.sliding_window + 1) : 0;
  float acc[kTiles][4] = {};
  float top[2] = {-INFINITY, -INFINITY}, total[2] = {};
  for (int page = visible / kPage; page <= last / kPage; ++page) {
    const int block = table[page];
    const T* k = args.cache.k(block, kv_head) + token_of_lane * kHeadDim + 8 * quarter;
    const T* v = args.cache.v(block, kv_head) + group * kPage + 4 * quarter;
    float scores[2][4] = {};
#pragma unroll
    for (int t = 0; t < 2; ++t) {
#pragma unroll
      for (int j = 0; j < kChunks; ++j) {
        const Pack8 ks = load_shared_operand(k + 2 * t * kHeadDim + 32 * j);
        mma_16816<T>(scores[t], q[j][0], q[j][1], q[j][2], q[j][3], ks.word[0], ks.word[1]);
        mma_16816<T>(scores[t], q[j][4], q[j][5], q[j][6], q[j][7], ks.word[2], ks.word[3]);
      }
    }
    uint2 vs[kTiles];
#pragma unroll
    for (int i = 0; i < kTiles; ++i) vs[i] = load_shared_operand8(v + 8 * i * kPage);
    // scores[t][2 * half + i]: row group + 8 half, token 4 quarter + 2 t + i of the page.
    const int token = page * kPage + 4 * quarter;
    if (page * kPage + kPage > position0 + first + 1 || dims.sliding_window > 0) {
#pragma unroll
      for (int t = 0; t < 2; ++t) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int at = token + 2 * t + i % 2, position = i < 2 ? position_low : position_high;
          const bool in_window = dims.sliding_window == 0 || at > position - dims.sliding_window;
          if (at > position || !in_window) scores[t][i] = -INFINITY;
        }
      }
      // Stale memory past the last token may hold infinities: probability 0 does not silence them.
      const uint32_t low = (token <= last ? 0xffffu : 0) | (token + 1 <= last ? 0xffff0000u : 0);
      const uint32_t high = (token + 2 <= last ? 0xffffu : 0) | (token + 3 <= last ? 0xffff0000u : 0);
#pragma unroll
      for (int i = 0; i < kTiles; ++i) {
        vs[i].x &= low;
        vs[i].y &= high;
      }
    }
    float correction[2], p[2][4];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float new_top = fmaxf(fmaxf(scores[0][2 * half], scores[0][2 * half + 1]),
                            fmaxf(scores[1][2 * half], scores[1][2 * half + 1]));
      new_top = fmaxf(new_top, __shfl_xor_sync(~0u, new_top, 1));
      new_top = fmaxf(fmaxf(new_top, __shfl_xor_sync(~0u, new_top, 2)), top[half]);
      const float reference = new_top == -INFINITY ? 0.0f : new_top;
      correction[half] = exp2f(top[half] - reference);
      top[half] = new_top;
#pragma unroll
      for (int i = 0; i < 4; ++i) p[half][i] = exp2f(scores[i / 2][2 * half + i % 2] - reference);
      total[half] = total[half] * correction[half] + (p[half][0] + p[half][1]) + (p[half][2] + p[half][3]);
    }
    const uint32_t a0 = pack2<T>(p[0][0], p[0][1]), a1 = pack2<T>(p[1][0], p[1][1]);
    const uint32_t a2 = pack2<T>(p[0][2], p[0][3]), a3 = pack2<T>(p[1][2], p[1][3]);
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
#pragma unroll
      for (int c = 0; c < 4; ++c) acc[i][c] *= correction[c / 2];
      mma_16816<T>(acc[i], a0, a1, a2, a3, vs[i].x, vs[i].y);
    }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    total[half] += __shfl_xor_sync(~0u, total[half], 1);
    total[half] += __shfl_xor_sync(~0u, total[half], 2);
    const int row = half ? row_high : row_low;
    if (row >= rows.y) continue;
    T* out = args.out + (static_cast<size_t>(rows.x + row) * dims.n_heads + head) * kHeadDim + 2 * quarter;
    const float inverse = 1.0f / total[half];
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      *reinterpret_cast<uint32_t*>(out + 8 * i) = pack2<T>(acc[i][2 * half] * inverse, acc[i][2 * half + 1] * inverse);
    }
  }
}

}  // namespace jsg::cuda
