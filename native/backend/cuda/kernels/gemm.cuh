// Products of a plain weight (out_features, in_features) with 9 to 64 rows of activations: decode of larger batches,
// and short prompts.
//
// Still bound by the weight, which moves once: out * in * 2 bytes. A block takes tiles of kFeatures features (for SiLU
// half of gate and the same half of up) over all columns; a step of a tile is 64 columns for each of its kColumnWarps
// warps that share them. Weights and activations come through a ring of stages in shared memory by cp.async, chunks of
// 16 bytes swizzled against bank conflicts; the ring runs on from one tile into the next.
#pragma once
#include "backend/cuda/kernels/product.cuh"
#include "backend/cuda/kernels/shared_memory.cuh"

namespace jsg::cuda {

inline constexpr int kMaxGemmRows = 64;

// Two sizes of block: one fills an SM with 227 KB of shared memory for a block (sm_90, 100, 110), one fits where a
// block may have 99 KB (sm_86, 89, 120, 121), and twice into an SM of sm_87. A kernel of the other size is empty.
enum class GemmSize { kLarge, kSmall };

#ifdef __CUDA_ARCH__
inline constexpr GemmSize kArchGemmSize =
    __CUDA_ARCH__ >= 900 && __CUDA_ARCH__ < 1200 ? GemmSize::kLarge : GemmSize::kSmall;
#endif

template <GemmSize kSize, int kN, int kFeatures>
struct GemmShape {
  static constexpr int kColumnWarps = kSize == GemmSize::kLarge ? 4 : 2;
  static constexpr int kStages = kSize == GemmSize::kLarge ? (kN == 64   ? 4
                                                              : kN == 32 ? 5
                                                                         : 6) -
                                                                 kFeatures / 64
                                                           : (kN == 64   ? 3
                                                              : kN == 32 ? 5
                                                                         : 6) -
                                                                 kFeatures / 64 * (kN == 64 ? 1 : 2);
  static constexpr int kFeatureWarps = kFeatures / 16;
  static constexpr int kThreads = kFeatureWarps * kColumnWarps * kWarp;
  static constexpr int kColumns = 64 * kColumnWarps;             // of a stage
  static constexpr int kPanelBytes = (kFeatures + kN) * 64 * 2;  // weights, then activations of 64 columns
  static constexpr int kStageBytes = kColumnWarps * kPanelBytes;
  static constexpr int kResultStride = kFeatures + 4;  // floats
  static constexpr int kResultFloats = kN * kResultStride;
  static constexpr int kSharedBytes = kStages * kStageBytes + (kResultFloats + kN) * 4;
};

// Writes a tile: the warps that share its columns add up their sums in `result`, (kN, Shape::kResultStride) floats of
// shared memory. sums[t][2 * half + j]: feature 16 (warp % kFeatureWarps) + lane / 4 + 8 half, row 8 t + 2 (lane % 4) +
// j. `factor` (kN): what each row is scaled by.
template <class T, Epilogue kEpilogue, class Shape, int kN, int kFeatures>
__device__ __forceinline__ void write_tile(const ProductArgs<T>& args, const float (&sums)[kN / 8][4], int tile,
                                           float* result, const float* factor) {
  constexpr int kTiles = kN / 8;
  constexpr bool kPaired = kEpilogue == Epilogue::kSilu;
  constexpr int kTileOut = kPaired ? kFeatures / 2 : kFeatures;  // features that a tile writes
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int feature_warp = warp % Shape::kFeatureWarps, column_warp = warp / Shape::kFeatureWarps;
  const int group = lane / 4, quarter = lane % 4;
  const int n_out = kPaired ? args.out_features / 2 : args.out_features;
  const int n_tiles = (n_out + kTileOut - 1) / kTileOut;

  float* mine = result + feature_warp * 16 + group;
#pragma unroll
  for (int turn = 0; turn < Shape::kColumnWarps; ++turn) {
    if (column_warp == turn) {
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          float& at = mine[(8 * t + 2 * quarter + i % 2) * Shape::kResultStride + 8 * (i / 2)];
          at = turn == 0 ? sums[t][i] : at + sums[t][i];
        }
      }
    }
    __syncthreads();
  }
  // kTileOut / 2 lanes a row, a lane two features (one pair of gate and up).
  constexpr int kEach = kPaired ? 1 : 2, kLanes = kFeatures / 2, kAtOnce = Shape::kThreads / kLanes;
  const int feature = threadIdx.x % kLanes * kEach, row = tile * kTileOut + feature;
  for (int n = threadIdx.x / kLanes; n < args.n; n += kAtOnce) {
    const size_t at = static_cast<size_t>(n) * n_out + row;
    float squares = 0;
    uint64_t best = 0;
    if (row < n_out) {
      const float* from = result + n * Shape::kResultStride;
      float y[2] = {from[feature] * factor[n], from[kPaired ? feature + kTileOut : feature + 1] * factor[n]};
      if (args.bias) {
        y[0] += args.bias[row];
        y[1] += args.bias[kPaired ? row + n_out : row + 1];
      }
      if constexpr (kEpilogue == Epilogue::kSilu) args.out[at] = from_float<T>(silu(y[0]) * y[1]);
      if constexpr (kEpilogue == Epilogue::kStore) {
        *reinterpret_cast<uint32_t*>(args.out + at) = pack2<T>(y[0], y[1]);
      }
      if constexpr (kEpilogue == Epilogue::kLogits) {
        args.logits[at] = y[0];
        best = pack_best(y[0], row);
        if (row + 1 < n_out) {  // a vocabulary's size may be odd; other sizes are multiples of 8
          args.logits[at + 1] = y[1];
          best = max(best, pack_best(y[1], row + 1));
        }
      }
      if constexpr (kEpilogue == Epilogue::kResidual) {
        float2 x = *reinterpret_cast<const float2*>(args.residual + at);
        x.x += y[0];
        x.y += y[1];
        *reinterpret_cast<float2*>(args.residual + at) = x;
        *reinterpret_cast<uint32_t*>(args.next_x + at) =
            pack2<T>(x.x * to_float(args.next_norm[row]), x.y * to_float(args.next_norm[row + 1]));
        squares = x.x * x.x + x.y * x.y;
      }
    }
    if constexpr (kEpilogue == Epilogue::kResidual || kEpilogue == Epilogue::kLogits) {
      const uint32_t lanes = __activemask();
#pragma unroll
      for (int offset = kLanes / 2; offset > 0; offset /= 2) {
        if constexpr (kEpilogue == Epilogue::kResidual) squares += __shfl_xor_sync(lanes, squares, offset);
        if constexpr (kEpilogue == Epilogue::kLogits) best = max(best, __shfl_xor_sync(lanes, best, offset));
      }
      if (threadIdx.x % kLanes == 0) {
        if constexpr (kEpilogue == Epilogue::kResidual) args.next_squares[n * n_tiles + tile] = squares;
        if constexpr (kEpilogue == Epilogue::kLogits) {
          atomicMax(reinterpret_cast<unsigned long long*>(args.best + n), best);
        }
      }
    }
  }
}

template <class T, Epilogue kEpilogue, class Shape, int kN, int kFeatures>
__device__ __forceinline__ void gemm(const ProductArgs<T>& args) {
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

  // Each warp-wide part of a copy is 4 rows of one panel: 8 threads a row. Chunk c of row r lies at c ^ (r % 8).
  const int chunk = threadIdx.x % 8, panel = threadIdx.x / 8 % kColumnWarps, first_row = threadIdx.x / 8 / kColumnWarps;
  constexpr int kRowsAtOnce = Shape::kThreads / 8 / kColumnWarps;
  static_assert(kRowsAtOnce % 8 == 0 && kFeatures % kRowsAtOnce == 0 && kN % kRowsAtOnce == 0);
  const uint32_t chunk_at =
      static_cast<uint32_t>(panel * Shape::kPanelBytes + first_row * 128 + ((chunk ^ (first_row % 8)) * 16));
  auto copy_weights = [&](int tile, int step, int stage) {
    const int column = step * Shape::kColumns + panel * 64 + chunk * 8;
#pragma unroll
    for (int i = 0; i < kFeatures / kRowsAtOnce; ++i) {
      const int r = first_row + i * kRowsAtOnce;
      // Rows past the end are read as the last one and not written.
      const int row = kPaired ? min(tile * kTileOut + r % kTileOut, n_out - 1) + r / kTileOut * n_out
                              : min(tile * kTileOut + r, n_out - 1);
      copy_async(stages + stage * Shape::kStageBytes + chunk_at + i * kRowsAtOnce * 128,
                 args.weight + static_cast<size_t>(row) * k + min(column, k - 8), column < k);
    }
  };
  auto copy_x = [&](int step, int stage) {
    const int column = step * Shape::kColumns + panel * 64 + chunk * 8;
#pragma unroll
    for (int i = 0; i < kN / kRowsAtOnce; ++i) {
      const int r = first_row + i * kRowsAtOnce;
      copy_async(stages + stage * Shape::kStageBytes + kFeatures * 128 + chunk_at + i * kRowsAtOnce * 128,
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

  // Where this lane's rows of the operands begin: row r of chunk c is at r * 128 + ((c ^ (r % 8)) * 16).
  const uint32_t weight_at =
      static_cast<uint32_t>(column_warp * Shape::kPanelBytes + (feature_warp * 16 + lane % 16) * 128);
  const uint32_t x_at =
      static_cast<uint32_t>(column_warp * Shape::kPanelBytes + kFeatures * 128 + (lane / 16 * 8 + lane % 8) * 128);
  const int weight_chunk = lane / 16, x_chunk = lane / 8 % 2, swizzle = lane % 8;

  int stage = 0;
  for (int tile = blockIdx.x; tile < n_tiles; tile += gridDim.x) {
    float sums[kTiles][4] = {};
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
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        uint32_t a[4];
        load_matrices(a, base + weight_at + ((2 * j + weight_chunk) ^ swizzle) * 16);
#pragma unroll
        for (int t = 0; t < kTiles; t += 2) {
          uint32_t b[4];
          load_matrices(b, base + x_at + t * 8 * 128 + ((2 * j + x_chunk) ^ swizzle) * 16);
          mma_16816<T>(sums[t], a[0], a[1], a[2], a[3], b[0], b[1]);
          mma_16816<T>(sums[t + 1], a[0], a[1], a[2], a[3], b[2], b[3]);
        }
      }
      stage = stage + 1 == kStages ? 0 : stage + 1;
    }

    write_tile<T, kEpilogue, Shape, kN, kFeatures>(args, sums, tile, result, factor);
  }
}

template <class T, Epilogue kEpilogue, GemmSize kSize, int kN, int kFeatures>
__global__ void __launch_bounds__(GemmShape<kSize, kN, kFeatures>::kThreads, 1) gemm_kernel(const ProductArgs<T> args) {
#ifdef __CUDA_ARCH__
  if constexpr (kSize == kArchGemmSize) {
    gemm<T, kEpilogue, GemmShape<kSize, kN, kFeatures>, kN, kFeatures>(args);
  } else {
    __trap();  // the host asked for the wrong size
  }
#endif
}

}  // namespace jsg::cuda
