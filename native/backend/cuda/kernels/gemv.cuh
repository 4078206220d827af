// Products of a weight (out_features, in_features), plain or quantised, with up to 8 or 16 rows of activations: decode.
//
// Moves the weight once. Each block takes kTileRows rows (two such tiles, gate and up, for SiLU); its warps share the
// columns, W::kColumns at a time. A thread loads 16 bytes at a time straight into the operands of tensor-core products
// (kernels/weights.cuh). The batch is the product's other dimension, kRows wide whether used or not.
#pragma once
#include "backend/cuda/kernels/weights.cuh"

namespace jsg::cuda {

inline constexpr int kMaxGemvRows = 8;
inline constexpr int kMaxCodeGemvRows = 16;

template <class T, class W, Epilogue kEpilogue, int kWarps, int kStages, int kBlocks, int kRows = kMaxGemvRows>
__global__ void __launch_bounds__(kWarps* kWarp, kBlocks) gemv_kernel(const ProductArgs<T> args) {
  constexpr int kTiles = kEpilogue == Epilogue::kSilu ? 2 : 1, kEights = kRows / 8;
  static_assert(kTileRows * kRows <= kWarps * kWarp);
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int group = lane / 4, quarter = lane % 4;
  const int k = args.in_features;
  const int half_out = args.out_features / kTiles;
  const int n_tiles = (half_out + kTileRows - 1) / kTileRows;
  constexpr int kRound = W::kColumns * kWarps * kStages;
  const int n_rounds = (k + kRound - 1) / kRound;

  launch_dependents();

  typename W::Stage w[kStages][kTiles];
  auto column_of = [&](int round, int stage) { return ((round * kStages + stage) * kWarps + warp) * W::kColumns; };
  auto load_weights = [&](int stage, int tile, int round) {
#pragma unroll
    for (int t = 0; t < kTiles; ++t) W::load(w[stage][t], args, tile, t, kTiles, column_of(round, stage), lane);
  };

  // The first weights are on their way before the previous kernel has ended.
#pragma unroll
  for (int stage = 0; stage < kStages; ++stage) {
    if (blockIdx.x < n_tiles) load_weights(stage, blockIdx.x, 0);
  }
  wait_for_previous();

  __shared__ float partial[2][kWarps][kTiles][kTileRows][kRows];
  __shared__ float factor[kRows];
  put_row_factors<kWarps>(args, factor, warp, lane);

  uint64_t best = 0;  // of this thread's row and features
  // Rows that are not there are read as the first and not written.
  const T* x[kEights];
#pragma unroll
  for (int i = 0; i < kEights; ++i) {
    const int row = group + 8 * i;
    x[i] = args.x + static_cast<size_t>(row < args.n ? row : 0) * k + quarter * 8;
  }
  int buffer = 0;
  for (int tile = blockIdx.x; tile < n_tiles; tile += gridDim.x, buffer ^= 1) {
    TileSums sums[kTiles][kEights] = {};
    for (int round = 0; round < n_rounds; ++round) {
      const bool last = round + 1 == n_rounds;
      const int next_tile = last ? tile + gridDim.x : tile, next_round = last ? 0 : round + 1;
#pragma unroll
      for (int stage = 0; stage < kStages; ++stage) {
        const int column = column_of(round, stage);
        if (column < k) {
          auto x_of = [&](int part, int i) {
            const int at = column + part * 32;
            const bool is_inside = W::kWholeStages || at + quarter * 8 < k;
            return is_inside ? load_shared_operand(x[i] + at) : Pack8{};
          };
          W::multiply(sums, w[stage], x_of, args);
        }
        if (next_tile < n_tiles) load_weights(stage, next_tile, next_round);
      }
    }

    // Add up the warps' shares: sums[.][i][2 * half + j] is row group + 8 * half, batch row 8 * i + 2 * quarter + j.
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
#pragma unroll
      for (int i = 0; i < 4 * kEights; ++i) {
        partial[buffer][warp][t][group + 8 * (i % 4 / 2)][8 * (i / 4) + 2 * quarter + i % 2] = sums[t][i / 4][i % 4];
      }
    }
    __syncthreads();

    // A thread an output: consecutive threads write consecutive features of one row.
    const int feature = threadIdx.x % kTileRows, n = threadIdx.x / kTileRows;
    const int row = tile * kTileRows + feature;
    if (n >= args.n) continue;
    float squares = 0;
    if (row < half_out) {
      float y[kTiles];
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
        y[t] = 0;
#pragma unroll
        for (int i = 0; i < kWarps; ++i) y[t] += partial[buffer][i][t][feature][n];
        y[t] *= factor[n];
        if (args.bias) y[t] += args.bias[row + t * half_out];
      }
      const size_t at = static_cast<size_t>(n) * half_out + row;
      if constexpr (kEpilogue == Epilogue::kStore) args.out[at] = from_float<T>(y[0]);
      if constexpr (kEpilogue == Epilogue::kLogits) {
        args.logits[at] = y[0];
        best = max(best, pack_best(y[0], row));
      }
      if constexpr (kEpilogue == Epilogue::kSilu) {
        args.out[at] = from_float<T>(silu(y[0]) * y[kTiles - 1]);
      }
      if constexpr (kEpilogue == Epilogue::kResidual) {
        const float value = args.residual[at] + y[0];
        args.residual[at] = value;
        args.next_x[at] = from_float<T>(value * to_float(args.next_norm[row]));
        squares = value * value;
      }
    }
    if constexpr (kEpilogue == Epilogue::kResidual) {
      const uint32_t lanes = __activemask();
#pragma unroll
      for (int offset = kTileRows / 2; offset > 0; offset /= 2) squares += __shfl_xor_sync(lanes, squares, offset);
      if (feature == 0) args.next_squares[n * n_tiles + tile] = squares;
    }
  }
  if constexpr (kEpilogue == Epilogue::kLogits) {
    if (threadIdx.x / kTileRows >= args.n) return;
    const uint32_t lanes = __activemask();
#pragma unroll
    for (int offset = kTileRows / 2; offset > 0; offset /= 2) best = max(best, __shfl_xor_sync(lanes, best, offset));
    if (threadIdx.x % kTileRows == 0)
      atomicMax(reinterpret_cast<unsigned long long*>(args.best + threadIdx.x / kTileRows), best);
  }
}

}  // namespace jsg::cuda
