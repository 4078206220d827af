// Products of int4 or int8 codes with many rows of int8 activations (quantize_rows.cuh): prompts where int8 is the
// fastest that a device multiplies.
//
// Sums of a group of columns are exact in the tensor cores' 32 bits, then scaled by both scales and added up in fp32;
// what a zero adds is the zero times the sum of the group's activations. A block takes 128 features of 128 rows, a warp
// 64 of 32; codes and activations come through a ring of stages of 128 columns by cp.async, activations in chunks of 16
// bytes swizzled against bank conflicts.
#pragma once
#include "backend/cuda/kernels/quantize_rows.cuh"
#include "backend/cuda/kernels/shared_memory.cuh"
#include "backend/cuda/kernels/weights.cuh"

namespace jsg::cuda {

inline constexpr int kInt8Features = 128, kInt8TileRows = 128;  // of a block's tile
inline constexpr int kInt8Threads = 256;
// Tiles of rows that are taken together, feature tile by feature tile: their activations stay in the level-2 cache.
inline constexpr int kInt8Band = 8;

template <class T>
struct Int8ProductArgs {
  Epilogue epilogue;  // any but kLogits; of kResidual only the residual stream is written
  CodesView codes;
  Int8Rows x;
  const float* bias;  // (out_features) or null
  T* out;             // (n, out_features), for kSilu (n, out_features / 2)
  float* residual;    // (n, out_features)
  int n, in_features, out_features;
};

// d (16, 8) = a (16, 32) b (32, 8) + c, of signed bytes.
__device__ __forceinline__ void mma_16832(int (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                                          const int (&c)[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"
      : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));
}

template <int kBits, int kGroup>
struct Int8Stage {
  static constexpr int kGroups = kInt8Columns / kGroup;
  static constexpr int kTiles = kInt8Features / kTileRows;
  static constexpr int kCodeBytes = kTileRows * kInt8Columns * kBits / 8;  // of a tile of codes
  static constexpr int kScaleBytes = kTileRows * (kBits == 4 ? 4 : 2);     // of a tile and group
  // Offsets in a stage.
  static constexpr int kScalesAt = kTiles * kCodeBytes, kXAt = kScalesAt + kTiles * kGroups * kScaleBytes;
  static constexpr int kXScalesAt = kXAt + kInt8TileRows * kInt8Columns;
  static constexpr int kBytes = kXScalesAt + kGroups * kInt8TileRows * 8;
  static constexpr int kCount = kBits == 4 ? 3 : 2;  // so that they fit into 99 KB
};

template <int kBits, int kGroup>
struct GemmInt8Shape {
  static constexpr int kThreads = kInt8Threads;
  static constexpr int kResultStride = kInt8Features + 4;  // floats
  static constexpr int kStages = Int8Stage<kBits, kGroup>::kCount * Int8Stage<kBits, kGroup>::kBytes;
  static constexpr int kResult = kInt8TileRows * kResultStride * 4;  // takes the stages' place at the end
  static constexpr int kSharedBytes = kStages > kResult ? kStages : kResult;
};

// The part of two rows (lane / 4, and 8 further down) in a product with 32 columns.
template <int kBits>
__device__ __forceinline__ void code_operand(uint32_t (&a)[4], const Pack8& codes, int part) {
  if constexpr (kBits == 4) {
    const uint32_t low = codes.word[2 * part], high = codes.word[2 * part + 1];
    a[0] = low & 0x0f0f0f0fu;
    a[1] = high & 0x0f0f0f0fu;
    a[2] = low >> 4 & 0x0f0f0f0fu;
    a[3] = high >> 4 & 0x0f0f0f0fu;
  } else {
    a[0] = codes.word[0] ^ 0x80808080u;
    a[1] = codes.word[2] ^ 0x80808080u;
    a[2] = codes.word[1] ^ 0x80808080u;
    a[3] = codes.word[3] ^ 0x80808080u;
  }
}

// What a tile of 16 features scales by: w = scale * code + offset, of rows lane / 4 and 8 further down.
template <class T, int kBits>
struct FeatureScales {
  float scale[2], offset[2];

  __device__ __forceinline__ void load(uint32_t from, int lane, const CodesView& codes) {
    if constexpr (kBits == 4) {
      const uint2 pairs = load_shared8(from + lane / 4 * 8);
      const float middle = static_cast<float>(codes.middle);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float2 values = unpack2<T>(half == 0 ? pairs.x : pairs.y);
        scale[half] = values.x;
        offset[half] = codes.zero_is_point ? -values.x * (values.y + middle) : values.y - values.x * middle;
      }
    } else {
      const float2 values = unpack2<T>(load_shared4(from + lane / 4 * 4));
      scale[0] = values.x;
      scale[1] = values.y;
    }
  }
};

// Copies of a block: which tiles of codes and rows of activations its tile is of.
template <class T, int kBits, int kGroup>
struct Int8Loads {
  using Stage = Int8Stage<kBits, kGroup>;
  const Int8ProductArgs<T>& args;
  int first_row, first_code_tile, second_code_tile, n_code_tiles;  // the second half of a tile's codes may be up's

  __device__ __forceinline__ const uint8_t* code_tile(int i) const {
    constexpr int kHalf = Stage::kTiles / 2;
    // Those past the end are read as the last one and not written.
    const int index = i < kHalf ? first_code_tile + i : second_code_tile + i - kHalf;
    return args.codes.data + static_cast<size_t>(min(index, n_code_tiles - 1)) * args.codes.tile_bytes;
  }

  __device__ __forceinline__ void copy(int step, uint32_t to) const {
    const int thread = static_cast<int>(threadIdx.x), column = step * kInt8Columns;
    constexpr int kChunks = Stage::kCodeBytes / 16;  // of a tile of codes
#pragma unroll
    for (int i = thread; i < Stage::kTiles * kChunks; i += kInt8Threads) {
      const int at = column * kTileRows * kBits / 8 + i % kChunks * 16;
      const bool valid = at < args.codes.scales_at;
      copy_async(to + i * 16, code_tile(i / kChunks) + (valid ? at : 0), valid);
    }
    constexpr int kScaleChunks = Stage::kScaleBytes / 16;
#pragma unroll
    for (int i = thread; i < Stage::kTiles * Stage::kGroups * kScaleChunks; i += kInt8Threads) {
      const int at = column + i / kScaleChunks % Stage::kGroups * kGroup;
      const bool valid = at < args.in_features;
      const int group = valid ? at >> args.codes.group_shift : 0;
      copy_async(to + Stage::kScalesAt + i * 16,
                 code_tile(i / kScaleChunks / Stage::kGroups) + args.codes.scales_at + group * Stage::kScaleBytes +
                     i % kScaleChunks * 16,
                 valid);
    }
    // Rows past the end are memory that nothing has been written to; nor is what they give.
    constexpr int kChunksOfRow = kInt8Columns / 16, kRowsAtOnce = kInt8Threads / kChunksOfRow;
    static_assert(kRowsAtOnce % 8 == 0);  // so that they are swizzled alike
    const int row = thread / kChunksOfRow, chunk = thread % kChunksOfRow;
    const int8_t* from = args.x.codes + static_cast<size_t>(first_row + row) * args.x.stride + column + chunk * 16;
    const uint32_t row_to = to + Stage::kXAt + row * kInt8Columns + ((chunk ^ swizzle(row)) * 16);
#pragma unroll
    for (int i = 0; i < kInt8TileRows / kRowsAtOnce; ++i) {
      copy_async(row_to + i * kRowsAtOnce * kInt8Columns, from + i * kRowsAtOnce * args.x.stride, true);
    }
#pragma unroll
    for (int i = thread; i < Stage::kGroups * kInt8TileRows / 2; i += kInt8Threads) {
      const int group = column / kGroup + i / (kInt8TileRows / 2), pair = i % (kInt8TileRows / 2);
      copy_async(to + Stage::kXScalesAt + i * 16,
                 args.x.scales + static_cast<size_t>(group) * args.x.scale_stride + first_row + pair * 2, true);
    }
  }

  static __device__ __forceinline__ int swizzle(int row) { return row % 2 * 4 + row / 2 % 4; }
};

// Adds the products of a stage: sums[m][n][2 * half + j] is of feature 16 m + lane / 4 + 8 half and row 8 n +
// 2 (lane % 4) + j of the warp.
template <class T, int kBits, int kGroup>
__device__ __forceinline__ void multiply_int8(float (&sums)[4][4][4], uint32_t stage, int feature_warp, int row_warp,
                                              int lane, const CodesView& codes) {
  using Stage = Int8Stage<kBits, kGroup>;
  constexpr int kParts = kGroup / 32;
  // The float 1.5 * 2^23, to which an integer below 2^22 can be added as an integer.
  constexpr float kShift = 12582912.0f;
  const int shift = __float_as_int(kShift), start[4] = {shift, shift, shift, shift};
#pragma unroll
  for (int g = 0; g < Stage::kGroups; ++g) {
    uint32_t a[4][kParts][4];
    FeatureScales<T, kBits> scales[4];
#pragma unroll
    for (int m = 0; m < 4; ++m) {
      const int tile = feature_warp * 4 + m;
      scales[m].load(stage + Stage::kScalesAt + (tile * Stage::kGroups + g) * Stage::kScaleBytes, lane, codes);
      constexpr int kPackParts = kBits == 4 ? 2 : 1;  // parts of 32 columns in 16 bytes of a lane
      Pack8 pack;
#pragma unroll
      for (int p = 0; p < kParts; ++p) {
        const int part = g * kParts + p;
        if (p % kPackParts == 0) {
          pack = load_shared(stage + tile * Stage::kCodeBytes + part / kPackParts * kChunkBytes + lane * 16);
        }
        code_operand<kBits>(a[m][p], pack, kBits == 4 ? part % 2 : 0);
      }
    }
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      const int row = row_warp * 32 + n * 8 + lane / 4;
      const uint32_t x_row = stage + Stage::kXAt + row * kInt8Columns;
      const int swizzle = Int8Loads<T, kBits, kGroup>::swizzle(row);
      uint32_t b[kParts][2];
      if constexpr (kParts == 1) {
        const uint2 words = load_shared8(x_row + ((g / 2 * 4 + lane % 4) ^ swizzle) * 16 + g % 2 * 8);
        b[0][0] = words.x;
        b[0][1] = words.y;
      } else {
#pragma unroll
        for (int p = 0; p < kParts; p += 2) {
          const Pack8 words = load_shared(x_row + (((g * kParts + p) / 2 * 4 + lane % 4) ^ swizzle) * 16);
#pragma unroll
          for (int i = 0; i < 4; ++i) b[p + i / 2][i % 2] = words.word[i];
        }
      }
      const Pack8 of_rows =
          load_shared(stage + Stage::kXScalesAt + (g * kInt8TileRows + row_warp * 32 + n * 8 + lane % 4 * 2) * 8);
      const float scale[2] = {__uint_as_float(of_rows.word[0]), __uint_as_float(of_rows.word[2])};
      const float sum[2] = {__uint_as_float(of_rows.word[1]), __uint_as_float(of_rows.word[3])};
      const float less[2] = {-kShift * scale[0], -kShift * scale[1]};  // exact
#pragma unroll
      for (int m = 0; m < 4; ++m) {
        int products[4];
        mma_16832(products, a[m][0], b[0][0], b[0][1], start);
#pragma unroll
        for (int p = 1; p < kParts; ++p) mma_16832(products, a[m][p], b[p][0], b[p][1], products);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float scaled = fmaf(__int_as_float(products[i]), scale[i % 2], less[i % 2]);
          float& total = sums[m][n][i];
          if constexpr (kBits == 4) total = fmaf(scales[m].offset[i / 2], sum[i % 2], total);
          total = fmaf(scales[m].scale[i / 2], scaled, total);
        }
      }
    }
  }
}

__device__ __forceinline__ float4 add(float4 a, float4 b) { return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w}; }
template <class T>
__device__ __forceinline__ void store4(T* to, float4 v) {
  *reinterpret_cast<uint2*>(to) = {pack2<T>(v.x, v.y), pack2<T>(v.z, v.w)};
}

// A tile out of `result`, (kInt8TileRows, stride) floats of shared memory. `first`: feature written first.
template <class T>
__device__ __forceinline__ void write_int8_tile(const Int8ProductArgs<T>& args, const float* result, int stride,
                                                int first_row, int first) {
  const bool is_paired = args.epilogue == Epilogue::kSilu;
  const int n_out = is_paired ? args.out_features / 2 : args.out_features;
  const int per_row = (is_paired ? kInt8Features / 2 : kInt8Features) / 4;  // threads
  const int feature = static_cast<int>(threadIdx.x) % per_row * 4, at = first + feature;
  if (at >= n_out) return;
  auto bias_of = [&](int i) { return args.bias ? *reinterpret_cast<const float4*>(args.bias + i) : float4{}; };
  const float4 bias = bias_of(at), second_bias = is_paired ? bias_of(n_out + at) : float4{};
  for (int row = static_cast<int>(threadIdx.x) / per_row; row < kInt8TileRows; row += kInt8Threads / per_row) {
    if (first_row + row >= args.n) return;
    const float* from = result + row * stride + feature;
    float4 y = add(*reinterpret_cast<const float4*>(from), bias);
    const size_t to = static_cast<size_t>(first_row + row) * n_out + at;
    if (args.epilogue == Epilogue::kResidual) {
      float4* x = reinterpret_cast<float4*>(args.residual + to);
      *x = add(*x, y);
      continue;
    }
    if (is_paired) {
      const float4 up = add(*reinterpret_cast<const float4*>(from + kInt8Features / 2), second_bias);
      y = {silu(y.x) * up.x, silu(y.y) * up.y, silu(y.z) * up.z, silu(y.w) * up.w};
    }
    store4(args.out + to, y);
  }
}

// kGroup: columns that share a scale of the activations; as many or more share one of the weight. Grid: tiles of
// features times tiles of rows. in_features is a multiple of 8, out_features (for kSilu half of it) of 16.
template <class T, int kBits, int kGroup>
__global__ void __launch_bounds__(kInt8Threads, 1) gemm_int8_kernel(const Int8ProductArgs<T> args) {
  using Shape = GemmInt8Shape<kBits, kGroup>;
  using Stage = Int8Stage<kBits, kGroup>;
  const bool is_paired = args.epilogue == Epilogue::kSilu;
  const int n_out = is_paired ? args.out_features / 2 : args.out_features;
  const int tile_out = is_paired ? kInt8Features / 2 : kInt8Features;
  const int n_tiles = (n_out + tile_out - 1) / tile_out, n_row_tiles = (args.n + kInt8TileRows - 1) / kInt8TileRows;
  const int band = static_cast<int>(blockIdx.x) / (kInt8Band * n_tiles), first_of_band = band * kInt8Band;
  const int width = min(kInt8Band, n_row_tiles - first_of_band);
  const int within = static_cast<int>(blockIdx.x) - first_of_band * n_tiles;
  const int first_row = (first_of_band + within % width) * kInt8TileRows, first = within / width * tile_out;
  const int first_tile = first / kTileRows;
  const Int8Loads<T, kBits, kGroup> loads{args, first_row, first_tile,
                                          is_paired ? first_tile + n_out / kTileRows : first_tile + Stage::kTiles / 2,
                                          (args.out_features + kTileRows - 1) / kTileRows};
  const int n_steps = (args.in_features + kInt8Columns - 1) / kInt8Columns;
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  const int feature_warp = warp % 2, row_warp = warp / 2;

  extern __shared__ __align__(128) unsigned char shared[];
  const uint32_t stages = shared_address(shared);
  launch_dependents();
  wait_for_previous();
#pragma unroll
  for (int s = 0; s < Stage::kCount - 1; ++s) {
    if (s < n_steps) loads.copy(s, stages + s * Stage::kBytes);
    commit_copies();
  }
  float sums[4][4][4] = {};
  int stage = 0;
  for (int step = 0; step < n_steps; ++step) {
    wait_for_copies<Stage::kCount - 2>();
    __syncthreads();
    // Into the stage that all warps had finished at the barrier.
    const int next = step + Stage::kCount - 1;
    if (next < n_steps) loads.copy(next, stages + (stage == 0 ? Stage::kCount - 1 : stage - 1) * Stage::kBytes);
    commit_copies();
    multiply_int8<T, kBits, kGroup>(sums, stages + stage * Stage::kBytes, feature_warp, row_warp, lane, args.codes);
    stage = stage + 1 == Stage::kCount ? 0 : stage + 1;
  }
  wait_for_copies<0>();
  __syncthreads();
  float* result = reinterpret_cast<float*>(shared);
#pragma unroll
  for (int m = 0; m < 4; ++m) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        result[(row_warp * 32 + n * 8 + lane % 4 * 2 + i % 2) * Shape::kResultStride + feature_warp * 64 + m * 16 +
               lane / 4 + i / 2 * 8] = sums[m][n][i];
      }
    }
  }
  __syncthreads();
  write_int8_tile(args, result, Shape::kResultStride, first_row, first);
}

}  // namespace jsg::cuda
