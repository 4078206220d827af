// Products of int4 or int8 codes (kernels/weights.cuh) with 9 to 64 rows of activations: decode of larger batches, and
// short prompts.
//
// As gemm.cuh, whose tiles and epilogues these are. A warp's codes of a stage are one run of memory, which it copies
// for itself, with their scales, and turns into operands in between the products: code, less its zero point, times
// scale, plus zero, rounded to T. Activations are read back as 16 bytes of a row, the columns that a lane has codes of.
#pragma once
#include "backend/cuda/kernels/gemm.cuh"
#include "backend/cuda/kernels/weights.cuh"

namespace jsg::cuda {

// 16 rows of 64 columns in shared memory, of which a lane gets the two rows and 8 columns of a part.
template <class T>
struct Int4Unit {
  static constexpr int kPartScales = 64;  // bytes
  static constexpr int kBytes = kChunkBytes + 2 * kPartScales;

  // From a tile of codes, at a multiple of 64 columns.
  static __device__ __forceinline__ void copy(uint32_t to, const uint8_t* tile, int column, bool valid, int lane,
                                              const ProductArgs<T>& args) {
    copy_async(to + lane * 16, tile + column / 64 * kChunkBytes + lane * 16, valid);
    if (lane >= 8) return;
    const int group = (column + lane / 4 * 32) >> args.codes.group_shift;
    copy_async(to + kChunkBytes + lane * 16, tile + args.codes.scales_at + group * kPartScales + lane % 4 * 16, valid);
  }

  struct Codes {
    Pack8 pack;
  };
  static __device__ __forceinline__ Codes load(uint32_t unit, int lane) { return {load_shared(unit + lane * 16)}; }
  static __device__ __forceinline__ void expand(const Codes& codes, uint32_t unit, int part, int lane,
                                                const ProductArgs<T>& args, Pack8& low, Pack8& high) {
    const uint2 scales = load_shared8(unit + kChunkBytes + part * kPartScales + lane / 4 * 8);
    low = dequantize_int4<T>(codes.pack.word[2 * part], scales.x, args.codes);
    high = dequantize_int4<T>(codes.pack.word[2 * part + 1], scales.y, args.codes);
  }
};

// The same of int8. With a scale for each row the codes are left as they are: the sums are scaled.
template <class T>
struct Int8Unit {
  static constexpr int kPartScales = 32;
  static constexpr int kBytes = 2 * kChunkBytes + 2 * kPartScales;

  static __device__ __forceinline__ void copy(uint32_t to, const uint8_t* tile, int column, bool valid, int lane,
                                              const ProductArgs<T>& args) {
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      const int at = part * kChunkBytes + lane * 16;
      copy_async(to + at, tile + column / 32 * kChunkBytes + at, valid);
    }
    if (lane >= 4) return;
    const int group = (column + lane / 2 * 32) >> args.codes.group_shift;
    copy_async(to + 2 * kChunkBytes + lane * 16, tile + args.codes.scales_at + group * kPartScales + lane % 2 * 16,
               valid);
  }

  struct Codes {
    Pack8 parts[2];
  };
  static __device__ __forceinline__ Codes load(uint32_t unit, int lane) {
    return {load_shared(unit + lane * 16), load_shared(unit + kChunkBytes + lane * 16)};
  }
  static __device__ __forceinline__ void expand(const Codes& codes, uint32_t unit, int part, int lane,
                                                const ProductArgs<T>& args, Pack8& low, Pack8& high) {
    const Pack8& pack = codes.parts[part];
    low = widen_int8<T>(pack.word[0], pack.word[1]);
    high = widen_int8<T>(pack.word[2], pack.word[3]);
    if (args.codes.scales_rows) return;
    const uint32_t scales = load_shared4(unit + 2 * kChunkBytes + part * kPartScales + lane / 4 * 4);
    const T* elems = reinterpret_cast<const T*>(&scales);
    low = scale_all<T>(low, elems[0]);
    high = scale_all<T>(high, elems[1]);
  }
};

template <class Unit, GemmSize kSize, int kN, int kFeatures>
struct GemmCodesShape {
  // 16 warps in a large block, but for 64 rows of activations, of which shared memory holds fewer columns.
  static constexpr int kColumnWarps = kSize == GemmSize::kSmall ? 2 : kFeatures == 32 && kN < 64 ? 8 : 4;
  static constexpr int kFeatureWarps = kFeatures / 16;
  static constexpr int kThreads = kFeatureWarps * kColumnWarps * kWarp;
  static constexpr int kColumns = 64 * kColumnWarps;  // of a stage
  static constexpr int kPanelBytes = kFeatureWarps * Unit::kBytes + kN * 64 * 2;
  static constexpr int kStageBytes = kColumnWarps * kPanelBytes;
  static constexpr int kResultStride = kFeatures + 4;  // floats
  static constexpr int kResultFloats = kN * kResultStride;
  // A block an SM where it may have 227 KB; two where an SM has 164 KB, and one of 64 rows.
  static constexpr int kMostBytes = (kSize == GemmSize::kLarge ? 224 : kN == 64 ? 98 : 80) * 1024;
  static constexpr int kRoom = (kMostBytes - (kResultFloats + kN) * 4) / kStageBytes;
  static constexpr int kStages = kRoom < 8 ? kRoom : 8;
  static constexpr int kSharedBytes = kStages * kStageBytes + (kResultFloats + kN) * 4;
};

template <class T, class Unit, Epilogue kEpilogue, class Shape, int kN, int kFeatures>
__device__ __forceinline__ void gemm_codes(const ProductArgs<T>& args) {
  constexpr int kColumnWarps = Shape::kColumnWarps, kStages = Shape::kStages;
  constexpr int kTiles = kN / 8, kWarps = Shape::kThreads / kWarp;
  constexpr bool kPaired = kEpilogue == Epilogue::kSilu;
  constexpr int kTileOut = kPaired ? kFeatures / 2 : kFeatures;  // features that a tile writes
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int feature_warp = warp % Shape::kFeatureWarps, column_warp = warp / Shape::kFeatureWarps;
  const int k = args.in_features, n_out = kPaired ? args.out_features / 2 : args.out_features;
  const int n_tiles = (n_out + kTileOut - 1) / kTileOut, n_steps = (k + Shape::kColumns - 1) / Shape::kColumns;

  extern __shared__ __align__(128) unsigned char shared[];
  const uint32_t stages = shared_address(shared);
  float* result = reinterpret_cast<float*>(shared + kStages * Shape::kStageBytes);  // (kN, kResultStride)
  float* factor = result + Shape::kResultFloats;                                    // (kN)

  launch_dependents();

  // A panel: the units of its feature warps, then 64 columns of the activations.
  constexpr int kUnits = Shape::kFeatureWarps * Unit::kBytes;
  const uint32_t unit_at = static_cast<uint32_t>(column_warp * Shape::kPanelBytes + feature_warp * Unit::kBytes);
  // This warp's rows of a tile; rows past the end are read as the last ones and not written.
  constexpr int kHalfWarps = kPaired ? Shape::kFeatureWarps / 2 : Shape::kFeatureWarps;
  const int n_code_tiles = (n_out + kTileRows - 1) / kTileRows;
  auto code_tile = [&](int tile) {
    const int index =
        min(tile * kHalfWarps + feature_warp % kHalfWarps, n_code_tiles - 1) + feature_warp / kHalfWarps * n_code_tiles;
    return args.codes.data + static_cast<size_t>(index) * args.codes.tile_bytes;
  };
  auto copy_weights = [&](int tile, int step, int stage) {
    const int column = step * Shape::kColumns + column_warp * 64;
    Unit::copy(stages + stage * Shape::kStageBytes + unit_at, code_tile(tile), min(column, (k - 1) / 64 * 64),
               column < k, lane, args);
  };
  // Chunk c of row r lies at c ^ swizzle(r): what 8 lanes of a copy, and of a load (4 chunks of two rows), touch at a
  // time lies in different banks.
  auto swizzle = [](int r) { return r % 2 * 4 + r / 2 % 4; };
  const int chunk = threadIdx.x % 8, panel = threadIdx.x / 8 % kColumnWarps, first_row = threadIdx.x / 8 / kColumnWarps;
  constexpr int kRowsAtOnce = Shape::kThreads / 8 / kColumnWarps;
  static_assert(kRowsAtOnce % 8 == 0 && kN % kRowsAtOnce == 0);
  const uint32_t chunk_at = static_cast<uint32_t>(panel * Shape::kPanelBytes + kUnits + first_row * 128 +
                                                  ((chunk ^ swizzle(first_row)) * 16));
  auto copy_x = [&](int step, int stage) {
    const int column = step * Shape::kColumns + panel * 64 + chunk * 8;
#pragma unroll
    for (int i = 0; i < kN / kRowsAtOnce; ++i) {
      const int r = first_row + i * kRowsAtOnce;
      copy_async(stages + stage * Shape::kStageBytes + chunk_at + i * kRowsAtOnce * 128,
                 args.x + static_cast<size_t>(min(r, args.n - 1)) * k + min(column, k - 8), column < k && r < args.n);
    }
  };

  // The first weights are on their way before the previous kernel has ended.
  int copied_tile = blockIdx.x, copied_step = 0;
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) {
    if (copied_tile < n_tiles) copy_weights(copied_tile, copied_step, s);
    if (++copied_step == n_steps) copied_step = 0, copied_tile += gridDim.x;
  }
  wait_for_previous();
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) {
    copy_x(s % n_steps, s);
    commit_copies();
  }
  put_row_factors<kWarps>(args, factor, warp, lane);

  const uint32_t x_at = static_cast<uint32_t>(column_warp * Shape::kPanelBytes + kUnits + lane / 4 * 128);
  const int x_swizzle = swizzle(lane / 4);

  int stage = 0;
  for (int tile = blockIdx.x; tile < n_tiles; tile += gridDim.x) {
    TileSums sums[kTiles] = {};
    for (int step = 0; step < n_steps; ++step) {
      wait_for_copies<kStages - 2>();
      __syncthreads();
      // Into the stage that all warps had finished at the barrier.
      const int next_stage = stage == 0 ? kStages - 1 : stage - 1;
      if (copied_tile < n_tiles) {
        copy_weights(copied_tile, copied_step, next_stage);
        copy_x(copied_step, next_stage);
        if (++copied_step == n_steps) copied_step = 0, copied_tile += gridDim.x;
      }
      commit_copies();
      const uint32_t base = stages + stage * Shape::kStageBytes;
      const auto codes = Unit::load(base + unit_at, lane);
#pragma unroll
      for (int part = 0; part < 2; ++part) {
        Pack8 low, high;
        Unit::expand(codes, base + unit_at, part, lane, args, low, high);
        const uint32_t from = base + x_at + ((part * 4 + lane % 4) ^ x_swizzle) * 16;
#pragma unroll
        for (int t = 0; t < kTiles; ++t) multiply_part<T>(sums[t], low, high, load_shared(from + t * 8 * 128));
      }
      stage = stage + 1 == kStages ? 0 : stage + 1;
    }
    if (args.codes.scales_rows) {
      const uint32_t scales = load_scales4(code_tile(tile) + args.codes.scales_at + lane / 4 * 4);
      const float2 factors = unpack2<T>(scales);
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[t][i] *= i < 2 ? factors.x : factors.y;
      }
    }
    write_tile<T, kEpilogue, Shape, kN, kFeatures>(args, sums, tile, result, factor);
  }
}

template <class T, template <class> class Unit, Epilogue kEpilogue, GemmSize kSize, int kN, int kFeatures>
__global__ void __launch_bounds__(GemmCodesShape<Unit<T>, kSize, kN, kFeatures>::kThreads, 1)
    gemm_codes_kernel(const ProductArgs<T> args) {
#ifdef __CUDA_ARCH__
  if constexpr (kSize == kArchGemmSize) {
    gemm_codes<T, Unit<T>, kEpilogue, GemmCodesShape<Unit<T>, kSize, kN, kFeatures>, kN, kFeatures>(args);
  } else {
    __trap();  // the host asked for the wrong size
  }
#endif
}

}  // namespace jsg::cuda
