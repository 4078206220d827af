// What decode's products read of a weight, warp by warp: plain rows, or tiles of int4 or int8 codes.
//
// A warp multiplies kTileRows rows by kColumns columns at a time, 32 columns (a part) by two tensor-core products. In
// each part lane l holds columns 8 (l % 4) to + 8 of rows l / 4 and l / 4 + 8: the sum over columns may run in any
// order, so weight and activation columns are permuted alike, and nothing passes through shared memory.
//
// Codes are stored in that order (code_tiles.h), a lane's 16 bytes together.
// The product with codes is exact: they become small whole numbers, which are scaled, a group at a time, in fp32.
#pragma once
#include "backend/cuda/kernels/product.cuh"

namespace jsg::cuda {

// What a lane adds to, of 8 rows of the batch: [2 * half + j] is row lane / 4 + 8 * half, batch row 2 * (lane % 4) + j.
using TileSums = float[4];

// sums += 8 columns of two rows, times x.
template <class T>
__device__ __forceinline__ void multiply_part(TileSums& sums, const Pack8& low, const Pack8& high, const Pack8& x) {
  mma_16816<T>(sums, low.word[0], high.word[0], low.word[1], high.word[1], x.word[0], x.word[1]);
  mma_16816<T>(sums, low.word[2], high.word[2], low.word[3], high.word[3], x.word[2], x.word[3]);
}

// Sums over columns of x alone, as TileSums (the same for all rows).
template <class T>
__device__ __forceinline__ void sum_part(TileSums& sums, const Pack8& x) {
  const uint32_t one = pack2<T>(1.0f, 1.0f);
  mma_16816<T>(sums, one, one, one, one, x.word[0], x.word[1]);
  mma_16816<T>(sums, one, one, one, one, x.word[2], x.word[3]);
}

// Two numbers of a word as fp32.
template <class T>
__device__ __forceinline__ float2 unpack2(uint32_t word) {
  const T* elems = reinterpret_cast<const T*>(&word);
  return {to_float(elems[0]), to_float(elems[1])};
}

// Rows of 16-bit numbers.
template <class T>
struct PlainWeight {
  static constexpr int kColumns = 64, kParts = kColumns / 32;
  static constexpr bool kWholeStages = false;  // a row may end in the middle of kColumns
  struct Stage {
    Pack8 rows[2][kParts];  // half, part
  };

  // `tile` of the rows of part t of `n_parts` stacked ones. Rows past the end are read as the last one and not written;
  // columns past the end count as 0.
  static __device__ __forceinline__ void load(Stage& stage, const ProductArgs<T>& args, int tile, int t, int n_parts,
                                              int column, int lane) {
    const int n_rows = args.out_features / n_parts;
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      const int at = column + part * 32 + lane % 4 * 8;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = min(tile * kTileRows + half * 8 + lane / 4, n_rows - 1) + t * n_rows;
        stage.rows[half][part] = at < args.in_features
                                     ? load_streaming(args.weight + static_cast<size_t>(row) * args.in_features + at)
                                     : Pack8{};
      }
    }
  }

  // Adds the products of a stage of each of kTiles tiles with kEights times 8 rows of the batch; x_of(part, i) loads the
  // columns of the i-th.
  template <int kTiles, int kEights, class XOf>
  static __device__ __forceinline__ void multiply(TileSums (&sums)[kTiles][kEights], const Stage (&stages)[kTiles],
                                                  const XOf& x_of, const ProductArgs<T>&) {
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
#pragma unroll
      for (int i = 0; i < kEights; ++i) {
        const Pack8 x = x_of(part, i);
#pragma unroll
        for (int t = 0; t < kTiles; ++t) {
          multiply_part<T>(sums[t][i], stages[t].rows[0][part], stages[t].rows[1][part], x);
        }
      }
    }
  }
};

// (word & mask) | bits, and (~word & mask) | bits, in one instruction each: of two constants compilers make two.
__device__ __forceinline__ uint32_t and_or(uint32_t word, uint32_t mask, uint32_t bits) {
  uint32_t out;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(out) : "r"(word), "r"(mask), "r"(bits));
  return out;
}
__device__ __forceinline__ uint32_t not_and_or(uint32_t word, uint32_t mask, uint32_t bits) {
  uint32_t out;
  asm("lop3.b32 %0, %1, %2, %3, 0xae;" : "=r"(out) : "r"(word), "r"(mask), "r"(bits));
  return out;
}

// 8 codes of int4 as numbers kBase + code: both types hold them exactly.
template <class T>
struct Int4Codes;
template <>
struct Int4Codes<__half> {
  static constexpr float kBase = 64;
  static __device__ __forceinline__ Pack8 widen(uint32_t w) {
    constexpr uint32_t kMask = 0x00f000f0, kExponent = 0x54005400;  // the last place of 64 is 1/16: bits 4 to 7 count
    return {{and_or(w << 4, kMask, kExponent), and_or(w, kMask, kExponent), and_or(w >> 4, kMask, kExponent),
             and_or(w >> 8, kMask, kExponent)}};
  }
};
template <>
struct Int4Codes<__nv_bfloat16> {
  static constexpr float kBase = 128;
  static __device__ __forceinline__ Pack8 widen(uint32_t w) {
    constexpr uint32_t kMask = 0x000f000f, kExponent = 0x43004300;
    return {{and_or(w, kMask, kExponent), and_or(w >> 4, kMask, kExponent), and_or(w >> 8, kMask, kExponent),
             and_or(w >> 12, kMask, kExponent)}};
  }
};

template <class T>
using Pair = std::conditional_t<std::is_same_v<T, __half>, __half2, __nv_bfloat162>;
template <class T>
__device__ __forceinline__ Pair<T>& pair(uint32_t& word) {
  return reinterpret_cast<Pair<T>&>(word);
}
template <class T>
__device__ __forceinline__ Pair<T> both(float x) {
  return {from_float<T>(x), from_float<T>(x)};
}

// 8 weights of int4, rounded to T once, from codes and scale and zero of their group.
template <class T>
__device__ __forceinline__ Pack8 dequantize_int4(uint32_t word, uint32_t scale_zero, const CodesView& codes) {
  const float2 values = unpack2<T>(scale_zero);
  const float base = Int4Codes<T>::kBase + static_cast<float>(codes.middle);
  const Pair<T> scale = both<T>(values.x), point = both<T>(codes.zero_is_point ? base + values.y : base),
                offset = both<T>(codes.zero_is_point ? 0.0f : values.y);
  Pack8 weights = Int4Codes<T>::widen(word);
#pragma unroll
  for (uint32_t& w : weights.word) pair<T>(w) = __hfma2(__hsub2(pair<T>(w), point), scale, offset);
  return weights;
}

// 8 codes of int8 as numbers q.
__device__ __forceinline__ void widen_int8(uint32_t w, __half2 (&out)[2]) {
  const __half2 offset = __float2half2_rn(1024 + 128);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const uint32_t bits = __byte_perm(w, 0x64646464u, i == 0 ? 0x4140 : 0x4342);  // 1024 + code
    out[i] = __hsub2(reinterpret_cast<const __half2&>(bits), offset);
  }
}
// bf16 holds 7 bits after the leading one: 128 + the low 7 bits, less 256 where the code is below 128, or else 128.
__device__ __forceinline__ void widen_int8(uint32_t w, __nv_bfloat162 (&out)[2]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const uint32_t pair = __byte_perm(w, 0, i == 0 ? 0x4140 : 0x4342);
    const uint32_t low = and_or(pair, 0x007f007f, 0x43004300), offset = not_and_or(pair, 0x00800080, 0x43004300);
    out[i] = __hsub2(reinterpret_cast<const __nv_bfloat162&>(low), reinterpret_cast<const __nv_bfloat162&>(offset));
  }
}
template <class T>
__device__ __forceinline__ Pack8 widen_int8(uint32_t first, uint32_t second) {
  Pack8 pack;
  widen_int8(first, reinterpret_cast<Pair<T>(&)[2]>(pack.word[0]));
  widen_int8(second, reinterpret_cast<Pair<T>(&)[2]>(pack.word[2]));
  return pack;
}
template <class T>
__device__ __forceinline__ Pack8 scale_all(Pack8 pack, T scale) {
#pragma unroll
  for (uint32_t& w : pack.word) pair<T>(w) = __hmul2(pair<T>(w), Pair<T>{scale, scale});
  return pack;
}

__device__ __forceinline__ uint2 load_scales8(const void* p) {
  uint2 v;
  asm volatile("ld.global.nc.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p));
  return v;
}
__device__ __forceinline__ uint32_t load_scales4(const void* p) {
  uint32_t v;
  asm volatile("ld.global.nc.u32 %0, [%1];" : "=r"(v) : "l"(p));
  return v;
}

// Where a tile of codes begins, in 32 bits for the registers' sake.
template <class T>
__device__ __forceinline__ uint32_t tile_at(const ProductArgs<T>& args, int tile, int t, int n_parts) {
  const int n_tiles = (args.out_features + kTileRows - 1) / kTileRows;
  return static_cast<uint32_t>(tile + t * (n_tiles / n_parts)) * static_cast<uint32_t>(args.codes.tile_bytes);
}

// Codes of 4 bits in groups of at least kGroupColumns columns; from 64 on, rows are whole groups.
template <class T, int kGroupColumns>
struct Int4Weight {
  static constexpr int kColumns = kGroupColumns < 64 ? 64 : kGroupColumns, kParts = kColumns / 32;
  static constexpr bool kWholeStages = kGroupColumns >= 64;
  static constexpr int kGroups = kColumns / kGroupColumns, kGroupParts = kParts / kGroups;
  struct Stage {
    Pack8 codes[kParts / 2];
    uint2 scales[kGroups];
  };

  static __device__ __forceinline__ void load(Stage& stage, const ProductArgs<T>& args, int tile, int t, int n_parts,
                                              int column, int lane) {
    if (column >= args.in_features) return;
    const uint32_t first = tile_at(args, tile, t, n_parts);
#pragma unroll
    for (int i = 0; i < kParts / 2; ++i) {
      stage.codes[i] = load_streaming(args.codes.data + (first + (column / 64 + i) * kChunkBytes + lane * 16));
    }
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      const int group = (column + i * kGroupColumns) >> args.codes.group_shift;
      stage.scales[i] = load_scales8(args.codes.data + (first + args.codes.scales_at + (group * 8 + lane / 4) * 8));
    }
  }

  template <int kTiles, int kEights, class XOf>
  static __device__ __forceinline__ void multiply(TileSums (&sums)[kTiles][kEights], const Stage (&stages)[kTiles],
                                                  const XOf& x_of, const ProductArgs<T>& args) {
    Pack8 next[kEights];  // on their way while their predecessors are used
#pragma unroll
    for (int i = 0; i < kEights; ++i) next[i] = x_of(0, i);
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      TileSums products[kTiles][kEights] = {}, column_sums[kEights] = {};
#pragma unroll
      for (int part = g * kGroupParts; part < (g + 1) * kGroupParts; ++part) {
        Pack8 x[kEights];
#pragma unroll
        for (int i = 0; i < kEights; ++i) {
          x[i] = next[i];
          if (part + 1 < kParts) next[i] = x_of(part + 1, i);
          sum_part<T>(column_sums[i], x[i]);
        }
#pragma unroll
        for (int t = 0; t < kTiles; ++t) {
          const uint32_t* words = stages[t].codes[part / 2].word + part % 2 * 2;
          const Pack8 low = Int4Codes<T>::widen(words[0]), high = Int4Codes<T>::widen(words[1]);
#pragma unroll
          for (int i = 0; i < kEights; ++i) multiply_part<T>(products[t][i], low, high, x[i]);
        }
      }
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
#pragma unroll
        for (int i = 0; i < kEights; ++i) {
          add_group(sums[t][i], products[t][i], column_sums[i], stages[t].scales[g], args.codes);
        }
      }
    }
  }

 private:
  // sums += scale * (kBase + code) x, with what that has too much taken off by the sums of x.
  static __device__ __forceinline__ void add_group(TileSums& sums, const TileSums& products,
                                                   const TileSums& column_sums, uint2 scales, const CodesView& codes) {
    const float base = -(Int4Codes<T>::kBase + static_cast<float>(codes.middle));
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float2 scale_zero = unpack2<T>(half == 0 ? scales.x : scales.y);
      const float scale = scale_zero.x, zero = scale_zero.y;
      const float offset = codes.zero_is_point ? scale * (base - zero) : fmaf(scale, base, zero);
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        float& sum = sums[2 * half + j];
        sum = fmaf(scale, products[2 * half + j], fmaf(offset, column_sums[j], sum));
      }
    }
  }
};

// Codes of 8 bits, with a scale for each group of columns, or (kRowScale) for each row.
template <class T, bool kRowScale>
struct Int8Weight {
  static constexpr int kColumns = 64, kParts = kColumns / 32;
  static constexpr bool kWholeStages = false;
  static constexpr int kScales = kRowScale ? 1 : kParts;
  struct Stage {
    Pack8 codes[kParts];
    uint32_t scales[kScales];
  };

  static __device__ __forceinline__ void load(Stage& stage, const ProductArgs<T>& args, int tile, int t, int n_parts,
                                              int column, int lane) {
    if (column >= args.in_features) return;
    const uint32_t first = tile_at(args, tile, t, n_parts);
#pragma unroll
    for (int i = 0; i < kParts; ++i) {
      stage.codes[i] = load_streaming(args.codes.data + (first + (column / 32 + i) * kChunkBytes + lane * 16));
    }
#pragma unroll
    for (int i = 0; i < kScales; ++i) {
      const int group = kRowScale ? 0 : (column + i * 32) >> args.codes.group_shift;
      stage.scales[i] = load_scales4(args.codes.data + (first + args.codes.scales_at + (group * 8 + lane / 4) * 4));
    }
  }

  template <int kTiles, int kEights, class XOf>
  static __device__ __forceinline__ void multiply(TileSums (&sums)[kTiles][kEights], const Stage (&stages)[kTiles],
                                                  const XOf& x_of, const ProductArgs<T>&) {
    Pack8 x[kParts][kEights];
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
#pragma unroll
      for (int i = 0; i < kEights; ++i) x[part][i] = x_of(part, i);
    }
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
#pragma unroll
      for (int g = 0; g < kScales; ++g) {
        TileSums products[kEights] = {};
#pragma unroll
        for (int part = g; part < (kRowScale ? kParts : g + 1); ++part) {
          const Pack8& codes = stages[t].codes[part];
          const Pack8 low = widen_int8<T>(codes.word[0], codes.word[1]),
                      high = widen_int8<T>(codes.word[2], codes.word[3]);
#pragma unroll
          for (int i = 0; i < kEights; ++i) multiply_part<T>(products[i], low, high, x[part][i]);
        }
        const float2 scales = unpack2<T>(stages[t].scales[g]);
#pragma unroll
        for (int i = 0; i < kEights; ++i) {
#pragma unroll
          for (int j = 0; j < 4; ++j) sums[t][i][j] = fmaf(j < 2 ? scales.x : scales.y, products[i][j], sums[t][i][j]);
        }
      }
    }
  }
};

}  // namespace jsg::cuda
