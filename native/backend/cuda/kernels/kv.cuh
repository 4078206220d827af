// The paged KV cache: what a page looks like, how values are stored, and how they become operands of tensor-core
// products again.
//
// A page holds 16 tokens of one KV head: K, then V (transposed), then the scales where the format has some. Stored in
// 16 bits, K is (kPage, head_dim) and V (head_dim, kPage): operands of tensor-core products just as they lie in memory.
// Stored in 8 bits, bytes are ordered by the lane that takes them, lane = 4 group + quarter, 16 bytes at a time, and
// head_dim is rounded up to a multiple of 32:
//   K: unit (group, j, quarter) is columns 32 j + 8 quarter + 0..7 of token t = 4 (group / 2) + group % 2, then the
//   same
//      columns of token t + 2;
//   V: unit (i, group, quarter) is tokens 4 quarter + 0..3 of row 32 i + group, then of the rows 8, 16 and 24 further
//   on.
//
// Formats of 8 bits become fp16 by moving bits, which every architecture can, exactly for every byte:
//   fp8 e5m2 is the upper half of an fp16;
//   fp8 e4m3 moved by one bit is an fp16 of 1/256 of the value (subnormals included): the factor is given back to the
//      scores and the output;
//   int8, stored plus 128, is the low byte of the fp16 1024 + byte; each token has a scale for its K and one for its V.
#pragma once
#include <type_traits>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/step_view.h"

namespace jsg::cuda {

struct AttentionDims {
  int n_heads;
  int n_kv_heads;
  int head_dim;
  int sliding_window;  // tokens a query sees, itself included; 0: all
  bool interleaved;    // rotary pairs (2i, 2i + 1); otherwise (i, i + head_dim / 2)
  float eps;           // of the norms of q and k
};

// What the products see of a format. T: type of the activations.
template <class T, KvFormat kFormat>
struct KvTraits {
  static constexpr bool kIs16Bit = kFormat == KvFormat::k16Bit;
  static constexpr bool kHasScales = kFormat == KvFormat::kInt8;
  // Type of the operands: of q and of the probabilities, too.
  using Operand = std::conditional_t<kIs16Bit, T, __half>;
  using Stored = std::conditional_t<kIs16Bit, T, uint8_t>;
  // score = kKeyFactor * (scale of the token's K) * product of q with the K operand;
  // output = kValueFactor * product of (kProbabilityFactor * p * scale of the token's V) with the V operand.
  // Probabilities times a scale of int8 get a factor that keeps small ones normal numbers; see kMaxScale.
  static constexpr float kKeyFactor = kFormat == KvFormat::kE4M3 ? 256.0f : 1.0f;
  static constexpr float kProbabilityFactor = kHasScales ? 64.0f : 1.0f;
  static constexpr float kValueFactor = kFormat == KvFormat::kE4M3 ? 256.0f : 1.0f / kProbabilityFactor;
};
// Of int8: keeps probabilities times kProbabilityFactor within fp16. Reached by values beyond 127 * 1000 only.
inline constexpr float kMaxScale = 1000.0f;

// Four stored bytes as two words of two fp16 each, in order.
template <KvFormat kFormat>
__device__ __forceinline__ uint2 expand4(uint32_t bytes) {
  static_assert(kFormat != KvFormat::k16Bit);
  if constexpr (kFormat == KvFormat::kInt8) {
    const __half2 zero = __float2half2_rn(1152.0f);
    uint2 words{__byte_perm(bytes, 0x64646464, 0x4140), __byte_perm(bytes, 0x64646464, 0x4342)};
    auto* halves = reinterpret_cast<__half2*>(&words);
    halves[0] = __hsub2(halves[0], zero);
    halves[1] = __hsub2(halves[1], zero);
    return words;
  } else {
    uint2 words{__byte_perm(bytes, 0, 0x1404), __byte_perm(bytes, 0, 0x3424)};
    if constexpr (kFormat == KvFormat::kE4M3) {
      words.x = (words.x & 0x80008000u) | (words.x >> 1 & 0x3f803f80u);
      words.y = (words.y & 0x80008000u) | (words.y >> 1 & 0x3f803f80u);
    }
    return words;
  }
}
// Sixteen of them, as operands of eight and eight.
template <KvFormat kFormat>
__device__ __forceinline__ void expand16(const Pack8& bytes, Pack8& first, Pack8& second) {
  const uint2 a = expand4<kFormat>(bytes.word[0]), b = expand4<kFormat>(bytes.word[1]);
  const uint2 c = expand4<kFormat>(bytes.word[2]), d = expand4<kFormat>(bytes.word[3]);
  first = {a.x, a.y, b.x, b.y};
  second = {c.x, c.y, d.x, d.y};
}

// Nearest, ties to even; beyond the largest finite value: that one (NaN too, which the row's own logits will show).
template <KvFormat kFormat>
__device__ __forceinline__ uint8_t encode_fp8(float x) {
  constexpr bool kE4M3 = kFormat == KvFormat::kE4M3;
  constexpr int kMantissa = kE4M3 ? 3 : 2, kBias = kE4M3 ? 7 : 15;
  const float size = fminf(fabsf(x), kE4M3 ? 448.0f : 57344.0f);
  uint32_t bits = __float_as_uint(size);
  const int shift = 23 - kMantissa;
  if (bits < static_cast<uint32_t>(127 + 1 - kBias) << 23) {
    // Subnormal: adding 2^23 times the smallest one rounds, and leaves how many of it there are in the lowest bits.
    bits = __float_as_uint(size + __uint_as_float(static_cast<uint32_t>(127 + 1 - kBias + shift) << 23)) & 0xffu;
  } else {
    bits += (1u << (shift - 1)) - 1 + (bits >> shift & 1);
    bits = (bits >> shift) - ((127 - kBias) << kMantissa);
  }
  return static_cast<uint8_t>(bits | (__float_as_uint(x) >> 24 & 0x80u));
}
__device__ __forceinline__ uint8_t encode_int8(float x, float inverse_scale) {
  return static_cast<uint8_t>(128 + max(-127, min(127, __float2int_rn(x * inverse_scale))));
}
__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, offset));
  return x;
}
// The scale of a head whose largest absolute value is `largest`, as it is stored.
__device__ __forceinline__ __half int8_scale(float largest) {
  return __float2half_rn(fminf(largest / 127.0f, kMaxScale));
}
__device__ __forceinline__ float inverse_of(__half scale) {
  const float value = __half2float(scale);
  return value > 0 ? 1.0f / value : 0.0f;
}

// Zeroes all but the first n of four 16-bit values; n may be negative, or above 4.
__device__ __forceinline__ void keep_halves(uint2& words, int n) {
  words.x &= (n > 0 ? 0xffffu : 0) | (n > 1 ? 0xffff0000u : 0);
  words.y &= (n > 2 ? 0xffffu : 0) | (n > 3 ? 0xffff0000u : 0);
}

// Replaces one of them.
__device__ __forceinline__ void put_half(uint2& words, int place, uint16_t half) {
  const uint32_t bytes = place % 2 == 0 ? 0x3254 : 0x5410;  // 4 and 5 are the new ones
  if (place < 2) {
    words.x = __byte_perm(words.x, half, bytes);
  } else {
    words.y = __byte_perm(words.y, half, bytes);
  }
}

// Where a value is in a page's K or V. 8 bits: see above.
__device__ __forceinline__ int key_index(KvFormat format, int head_dim, int token, int column) {
  if (format == KvFormat::k16Bit) return token * head_dim + column;
  const int group = token / 4 * 2 + token % 2, chunks = (head_dim + 31) / 32;
  return ((group * chunks + column / 32) * 4 + column / 8 % 4) * 16 + token / 2 % 2 * 8 + column % 8;
}
__device__ __forceinline__ int value_index(KvFormat format, int token, int row) {
  if (format == KvFormat::k16Bit) return row * kPage + token;
  return ((row / 32 * 8 + row % 8) * 4 + token / 4) * 16 + row / 8 % 4 * 4 + token % 4;
}

// One layer's cache. T: type of the activations, and of K and V where they are stored in 16 bits.
template <class T>
struct KvCache {
  uint8_t* data;
  int n_kv_heads;
  int head_dim;
  KvFormat format;
  int page_bytes;    // K, V and scales of 16 tokens of a KV head
  int value_offset;  // bytes from a page's K to its V

  __device__ __forceinline__ uint8_t* page(int block, int kv_head) const {
    return data + (static_cast<size_t>(block) * n_kv_heads + kv_head) * page_bytes;
  }
  // Stored in 16 bits.
  __device__ T* k(int block, int kv_head) const { return reinterpret_cast<T*>(page(block, kv_head)); }
  __device__ T* v(int block, int kv_head) const { return reinterpret_cast<T*>(page(block, kv_head) + value_offset); }
  // Stored as int8: (kPage) of K, then (kPage) of V.
  __device__ __forceinline__ __half* scales(int block, int kv_head) const {
    return reinterpret_cast<__half*>(page(block, kv_head) + 2 * value_offset);
  }

  // One value; for kernels that need not be fast.
  __device__ float key(int block, int kv_head, int token, int column) const {
    const int at = key_index(format, head_dim, token, column);
    if (format == KvFormat::k16Bit) return to_float(k(block, kv_head)[at]);
    return decode(page(block, kv_head)[at]) * (has_scales() ? __half2float(scales(block, kv_head)[token]) : 1.0f);
  }
  __device__ float value(int block, int kv_head, int token, int row) const {
    const int at = value_index(format, token, row);
    if (format == KvFormat::k16Bit) return to_float(v(block, kv_head)[at]);
    return decode(page(block, kv_head)[value_offset + at]) *
           (has_scales() ? __half2float(scales(block, kv_head)[kPage + token]) : 1.0f);
  }
  __device__ bool has_scales() const { return format == KvFormat::kInt8; }
  // `inverse_scale`: of int8.
  __device__ void store_key(int block, int kv_head, int token, int column, T x, float inverse_scale) const {
    store(page(block, kv_head), key_index(format, head_dim, token, column), x, inverse_scale);
  }
  __device__ void store_value(int block, int kv_head, int token, int row, T x, float inverse_scale) const {
    store(page(block, kv_head) + value_offset, value_index(format, token, row), x, inverse_scale);
  }
  __device__ uint8_t encode(float x, float inverse_scale) const {
    if (format == KvFormat::kE4M3) return encode_fp8<KvFormat::kE4M3>(x);
    if (format == KvFormat::kE5M2) return encode_fp8<KvFormat::kE5M2>(x);
    return encode_int8(x, inverse_scale);
  }

 private:
  __device__ void store(uint8_t* base, int at, T x, float inverse_scale) const {
    if (format == KvFormat::k16Bit) {
      reinterpret_cast<T*>(base)[at] = x;
    } else {
      base[at] = encode(to_float(x), inverse_scale);
    }
  }
  __device__ float decode(uint8_t byte) const {
    uint32_t word = 0;
    if (format == KvFormat::kE4M3) word = expand4<KvFormat::kE4M3>(byte).x;
    if (format == KvFormat::kE5M2) word = expand4<KvFormat::kE5M2>(byte).x;
    if (format == KvFormat::kInt8) word = expand4<KvFormat::kInt8>(byte).x;
    const float x = __half2float(__ushort_as_half(static_cast<unsigned short>(word & 0xffffu)));
    return format == KvFormat::kE4M3 ? 256.0f * x : x;
  }
};

// A lane's share of a page's K: for chunk j, columns 32 j + 8 quarter + 0..7 of the tokens t = 4 (group / 2) + group %
// 2 and t + 2. Loaded as it is stored, expanded when it is used.
template <class T, KvFormat kFormat, int kHeadDim>
struct KeyShare {
  static_assert(kHeadDim % 32 == 0);
  static constexpr int kChunks = kHeadDim / 32;
  static constexpr bool kIs16Bit = KvTraits<T, kFormat>::kIs16Bit;
  Pack8 stored[kIs16Bit ? 2 * kChunks : kChunks];

  __device__ __forceinline__ void load(const uint8_t* page, int group, int quarter) {
    if constexpr (kIs16Bit) {
      const T* row = reinterpret_cast<const T*>(page) + (4 * (group / 2) + group % 2) * kHeadDim + 8 * quarter;
#pragma unroll
      for (int j = 0; j < kChunks; ++j) {
        stored[2 * j] = load_shared_operand(row + 32 * j);
        stored[2 * j + 1] = load_shared_operand(row + 2 * kHeadDim + 32 * j);
      }
    } else {
#pragma unroll
      for (int j = 0; j < kChunks; ++j) {
        stored[j] = load_shared_operand(page + ((group * kChunks + j) * 4 + quarter) * 16);
      }
    }
  }
  // Puts `row` (kHeadDim), as it is stored, in the place of the page's `token`.
  __device__ __forceinline__ void put(int token, const typename KvTraits<T, kFormat>::Stored* row, int group,
                                      int quarter) {
    const int t = token - (4 * (group / 2) + group % 2);
    if (t != 0 && t != 2) return;
#pragma unroll
    for (int j = 0; j < kChunks; ++j) {
      const auto* words = reinterpret_cast<const uint32_t*>(row + 32 * j + 8 * quarter);
      if constexpr (kIs16Bit) {
        const Pack8 pack{words[0], words[1], words[2], words[3]};
        if (t == 0) stored[2 * j] = pack;
        if (t == 2) stored[2 * j + 1] = pack;
      } else {
        if (t == 0) stored[j] = {words[0], words[1], stored[j].word[2], stored[j].word[3]};
        if (t == 2) stored[j] = {stored[j].word[0], stored[j].word[1], words[0], words[1]};
      }
    }
  }
  __device__ __forceinline__ void operands(int j, Pack8& low, Pack8& high) const {
    if constexpr (kIs16Bit) {
      low = stored[2 * j];
      high = stored[2 * j + 1];
    } else {
      expand16<kFormat>(stored[j], low, high);
    }
  }
};

// A lane's share of a page's V: tokens 4 quarter + 0..3 of the rows 8 i + group.
template <class T, KvFormat kFormat, int kHeadDim>
struct ValueShare {
  static_assert(kHeadDim % 32 == 0);
  static constexpr int kTiles = kHeadDim / 8;
  static constexpr bool kIs16Bit = KvTraits<T, kFormat>::kIs16Bit;
  uint32_t stored[kIs16Bit ? 2 * kTiles : kTiles];

  // `values`: a page's V.
  __device__ __forceinline__ void load(const uint8_t* values, int group, int quarter) {
    if constexpr (kIs16Bit) {
      const T* row = reinterpret_cast<const T*>(values) + group * kPage + 4 * quarter;
#pragma unroll
      for (int i = 0; i < kTiles; ++i) {
        const uint2 words = load_shared_operand8(row + 8 * i * kPage);
        stored[2 * i] = words.x;
        stored[2 * i + 1] = words.y;
      }
    } else {
#pragma unroll
      for (int i = 0; i < kTiles / 4; ++i) {
        const Pack8 bytes = load_shared_operand(values + ((i * 8 + group) * 4 + quarter) * 16);
#pragma unroll
        for (int j = 0; j < 4; ++j) stored[4 * i + j] = bytes.word[j];
      }
    }
  }
  // Zeroes all but the first n of the four tokens (n may be negative, or above 4): stale memory may hold infinities,
  // which a probability of 0 does not silence.
  __device__ __forceinline__ void keep(int n) {
    if constexpr (kIs16Bit) {
      uint2 mask{~0u, ~0u};
      keep_halves(mask, n);
#pragma unroll
      for (int i = 0; i < kTiles; ++i) {
        stored[2 * i] &= mask.x;
        stored[2 * i + 1] &= mask.y;
      }
    } else {
      const uint32_t mask = n <= 0 ? 0 : n >= 4 ? ~0u : (1u << 8 * n) - 1;
#pragma unroll
      for (int i = 0; i < kTiles; ++i) stored[i] &= mask;
    }
  }
  // Puts `row` (kHeadDim), as it is stored, in the place of the page's `token`.
  __device__ __forceinline__ void put(int token, const typename KvTraits<T, kFormat>::Stored* row, int group,
                                      int quarter) {
    if (token / 4 != quarter) return;
    const int place = token % 4;
    const uint32_t byte = 0x3210 + (4 - place) * (1u << 4 * place);  // byte 4 is the value's
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      if constexpr (kIs16Bit) {
        uint2 words{stored[2 * i], stored[2 * i + 1]};
        put_half(words, place, *reinterpret_cast<const uint16_t*>(row + 8 * i + group));
        stored[2 * i] = words.x;
        stored[2 * i + 1] = words.y;
      } else {
        stored[i] = __byte_perm(stored[i], row[8 * i + group], byte);
      }
    }
  }
  // Tokens 0, 1 and tokens 2, 3 of the four.
  __device__ __forceinline__ uint2 operands(int i) const {
    if constexpr (kIs16Bit) {
      return {stored[2 * i], stored[2 * i + 1]};
    } else {
      return expand4<kFormat>(stored[i]);
    }
  }
};

}  // namespace jsg::cuda
