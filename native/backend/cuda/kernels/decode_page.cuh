// What one warp does in decode attention: all query heads of a KV head attend to a page of 16 tokens.
//
// Two products on tensor cores. Scores: query heads as rows (8 of 16 unused where there are no more than 8), tokens as
// columns. Output, transposed: columns of V as rows, query heads as columns; so probabilities are the second operand
// just as the scores' sums lie. The order of tokens and columns within a page is such that a lane's share is contiguous
// in memory. A lane is 4 group + quarter; its tokens are 4 quarter + 0..3 of a page.
#pragma once
#include "backend/cuda/kernels/kv.cuh"
#include "backend/cuda/kernels/shared_memory.cuh"

namespace jsg::cuda {

// Query heads of a KV head in shared memory, as first operands of the products with K: word by word the heads g and
// g + 8. Rows are padded, so that lanes meet different banks.
template <class T, KvFormat kFormat, int kHeadDim>
struct Queries {
  using Operand = typename KvTraits<T, kFormat>::Operand;
  static constexpr int kRowWords = kHeadDim + 4;
  alignas(16) uint32_t words[8][kRowWords];

  __device__ __forceinline__ void put(int head, int column, float x) {
    const int word = column % 8 / 2, quad = column / 8 * 2 + word / 2;
    auto* halves = reinterpret_cast<Operand*>(&words[head % 8][4 * quad + word % 2 * 2 + head / 8]);
    halves[column % 2] = from_float<Operand>(x);
  }
  // For columns 32 j + 8 quarter + 4 half + 0..3.
  __device__ __forceinline__ Pack8 operand(int j, int half, int group, int quarter) const {
    return load_shared(shared_address(&words[group][((4 * j + quarter) * 2 + half) * 4]));
  }
};

// A row's own k and v in shared memory, as the cache stores them.
template <class T, KvFormat kFormat, int kHeadDim>
struct OwnToken {
  using Traits = KvTraits<T, kFormat>;
  using Stored = typename Traits::Stored;
  alignas(16) Stored k[kHeadDim];
  alignas(16) Stored v[kHeadDim];
  __half scales[2];

  __device__ __forceinline__ static Stored stored(float x, float inverse_scale) {
    const T rounded = from_float<T>(x);
    if constexpr (Traits::kIs16Bit) {
      return rounded;
    } else if constexpr (Traits::kHasScales) {
      return encode_int8(to_float(rounded), inverse_scale);
    } else {
      return encode_fp8<kFormat>(to_float(rounded));
    }
  }
  // By n_threads threads.
  __device__ __forceinline__ void append(uint8_t* page, int value_offset, int slot, int thread, int n_threads) const {
    auto* keys = reinterpret_cast<Stored*>(page);
    auto* values = reinterpret_cast<Stored*>(page + value_offset);
    for (int column = thread; column < kHeadDim; column += n_threads) {
      keys[key_index(kFormat, kHeadDim, slot, column)] = k[column];
      values[value_index(kFormat, slot, column)] = v[column];
    }
    if (Traits::kHasScales && thread < 2) {
      reinterpret_cast<__half*>(page + 2 * value_offset)[thread * kPage + slot] = scales[thread];
    }
  }
};

// A lane's share of a page.
template <class T, KvFormat kFormat, int kHeadDim>
struct DecodePage {
  using Traits = KvTraits<T, kFormat>;
  KeyShare<T, kFormat, kHeadDim> k;
  ValueShare<T, kFormat, kHeadDim> v;
  uint2 k_scales, v_scales;  // of the lane's tokens

  __device__ __forceinline__ void load_keys(const uint8_t* page, int value_offset, int group, int quarter) {
    k.load(page, group, quarter);
    if constexpr (Traits::kHasScales) k_scales = load_shared_operand8(page + 2 * value_offset + 8 * quarter);
  }
  __device__ __forceinline__ void load_values(const uint8_t* page, int value_offset, int group, int quarter) {
    v.load(page + value_offset, group, quarter);
    if constexpr (Traits::kHasScales) {
      v_scales = load_shared_operand8(page + 2 * value_offset + 2 * kPage + 8 * quarter);
    }
  }
  // Put the row's own token in its place, the last of the page that counts.
  __device__ __forceinline__ void put_key(const OwnToken<T, kFormat, kHeadDim>& own, int slot, int group, int quarter) {
    k.put(slot, own.k, group, quarter);
    if (Traits::kHasScales && slot / 4 == quarter) put_half(k_scales, slot % 4, __half_as_ushort(own.scales[0]));
  }
  __device__ __forceinline__ void put_value(const OwnToken<T, kFormat, kHeadDim>& own, int slot, int group,
                                            int quarter) {
    v.put(slot, own.v, group, quarter);
    if (Traits::kHasScales && slot / 4 == quarter) put_half(v_scales, slot % 4, __half_as_ushort(own.scales[1]));
    keep_values(slot + 1, quarter);
  }
  // What lies behind the first n tokens is nobody's, and need not be a number.
  __device__ __forceinline__ void keep_values(int n, int quarter) {
    v.keep(n - 4 * quarter);
    if constexpr (Traits::kHasScales) keep_halves(v_scales, n - 4 * quarter);
  }
};

// Asks for a page to be brought to level-2 cache. By one warp.
__device__ __forceinline__ void prefetch_page(const uint8_t* page, int bytes, int lane) {
#if __CUDA_ARCH__ >= 900
  if (lane == 0) asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(page), "r"(bytes));
#else
  for (int i = lane * 128; i < bytes; i += kWarp * 128) prefetch_l2(page + i);
#endif
}

// What a warp has seen so far: top score (in base 2) and sum of probabilities of the heads group + 8 h; the output, not
// yet divided: of the heads 8 h + 2 quarter + 0..1, columns 16 i + group (0, 1) and 8 further on (2, 3).
template <class T, KvFormat kFormat, int kHeadDim, int kHeadTiles>
struct DecodeState {
  using Traits = KvTraits<T, kFormat>;
  using Operand = typename Traits::Operand;
  static constexpr int kTiles = kHeadDim / 16;
  float acc[kHeadTiles][kTiles][4] = {};
  float top[kHeadTiles], sum[kHeadTiles] = {};

  __device__ __forceinline__ DecodeState() {
#pragma unroll
    for (int h = 0; h < kHeadTiles; ++h) top[h] = -INFINITY;
  }

  // Products of q with the lane's tokens 0, 1 and 2, 3; two sums, so that none waits for the last one.
  using Sums = float[2][2][4];
  static __device__ __forceinline__ void multiply(const DecodePage<T, kFormat, kHeadDim>& page,
                                                  const Queries<T, kFormat, kHeadDim>& queries, int group, int quarter,
                                                  Sums& sums) {
#pragma unroll
    for (int j = 0; j < kHeadDim / 32; ++j) {
      Pack8 k[2];
      page.k.operands(j, k[0], k[1]);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const Pack8 q = queries.operand(j, half, group, quarter);
#pragma unroll
        for (int t = 0; t < 2; ++t) {
          mma_16816<Operand>(sums[t][half], q.word[0], q.word[1], q.word[2], q.word[3], k[t].word[2 * half],
                             k[t].word[2 * half + 1]);
        }
      }
    }
  }
  // scores[h][i]: of head group + 8 h and the lane's token i, in base 2.
  static __device__ __forceinline__ void score(const DecodePage<T, kFormat, kHeadDim>& page, const Sums& sums,
                                               float (&scores)[kHeadTiles][4]) {
    const float scale = 1.44269504f * Traits::kKeyFactor * rsqrtf(static_cast<float>(kHeadDim));
    float scales[4] = {scale, scale, scale, scale};
    if constexpr (Traits::kHasScales) scale_by(page.k_scales, scales);
#pragma unroll
    for (int h = 0; h < kHeadTiles; ++h) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        scores[h][i] = (sums[i / 2][0][2 * h + i % 2] + sums[i / 2][1][2 * h + i % 2]) * scales[i];
      }
    }
  }

  // Keeps up the softmax, and its product with V. Masked scores are -infinity, but not all of a head's.
  __device__ __forceinline__ void add(const DecodePage<T, kFormat, kHeadDim>& page,
                                      const float (&scores)[kHeadTiles][4], int quarter) {
    uint32_t p[kHeadTiles][2];
#pragma unroll
    for (int h = 0; h < kHeadTiles; ++h) {
      float new_top = fmaxf(fmaxf(scores[h][0], scores[h][1]), fmaxf(scores[h][2], scores[h][3]));
      new_top = fmaxf(new_top, __shfl_xor_sync(~0u, new_top, 1));
      new_top = fmaxf(fmaxf(new_top, __shfl_xor_sync(~0u, new_top, 2)), top[h]);
      const float correction = exp2_fast(top[h] - new_top);
      top[h] = new_top;
      float x[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) x[i] = exp2_fast(scores[h][i] - new_top);
      sum[h] = sum[h] * correction + ((x[0] + x[1]) + (x[2] + x[3]));
      if constexpr (Traits::kHasScales) {
#pragma unroll
        for (int i = 0; i < 4; ++i) x[i] *= Traits::kProbabilityFactor;
        scale_by(page.v_scales, x);
      }
      p[h][0] = pack2<Operand>(x[0], x[1]);
      p[h][1] = pack2<Operand>(x[2], x[3]);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const float factor = __shfl_sync(~0u, correction, 4 * (2 * quarter + i));  // of head 8 h + 2 quarter + i
#pragma unroll
        for (int tile = 0; tile < kTiles; ++tile) {
          acc[h][tile][i] *= factor;
          acc[h][tile][2 + i] *= factor;
        }
      }
    }
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      const uint2 low = page.v.operands(2 * tile), high = page.v.operands(2 * tile + 1);
#pragma unroll
      for (int h = 0; h < kHeadTiles; ++h) {
        mma_16816<Operand>(acc[h][tile], low.x, high.x, low.y, high.y, p[h][0], p[h][1]);
      }
    }
  }

  // Leaves top and sum (kHeads) and the output (kHeads, kHeadDim), rows padded, in shared memory.
  __device__ __forceinline__ void store(float2* stats, float (*output)[kHeadDim + 4], int group, int quarter) const {
#pragma unroll
    for (int h = 0; h < kHeadTiles; ++h) {
      float total = sum[h] + __shfl_xor_sync(~0u, sum[h], 1);
      total += __shfl_xor_sync(~0u, total, 2);
      if (quarter == 0) stats[8 * h + group] = {top[h], total};
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float* row = output[8 * h + 2 * quarter + i] + group;
#pragma unroll
        for (int tile = 0; tile < kTiles; ++tile) {
          row[16 * tile] = acc[h][tile][i];
          row[16 * tile + 8] = acc[h][tile][2 + i];
        }
      }
    }
  }

 private:
  static __device__ __forceinline__ void scale_by(uint2 scales, float (&x)[4]) {
    const auto* halves = reinterpret_cast<const __half*>(&scales);
#pragma unroll
    for (int i = 0; i < 4; ++i) x[i] *= __half2float(halves[i]);
  }
};

}  // namespace jsg::cuda
