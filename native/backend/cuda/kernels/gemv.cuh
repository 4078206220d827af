// Products of a plain weight (out_features, in_features) with up to 8 rows of activations: decode.
//
// Moves the weight once: out * in * 2 bytes. Each block takes kTileRows rows (two such tiles, gate and up, for SiLU);
// its warps share the columns, 64 at a time. A thread loads 16 bytes of a row straight into the operands of two
// tensor-core products: the sum over columns may run in any order, so weight and activation columns are permuted alike
// and nothing passes through shared memory. The batch is the product's other dimension, 8 wide whether used or not.
#pragma once
#include "backend/cuda/kernels/product.cuh"

namespace jsg::cuda {

inline constexpr int kTileRows = 16;
inline constexpr int kMaxGemvRows = 8;

template <class T, Epilogue kEpilogue, int kWarps, int kStages>
__global__ void __launch_bounds__(kWarps* kWarp) gemv_kernel(const ProductArgs<T> args) {
  constexpr int kTiles = kEpilogue == Epilogue::kSilu ? 2 : 1;
  constexpr int kChunk = 64;  // columns of one warp and stage: 128 bytes of each row
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int group = lane / 4, quarter = lane % 4;
  const int k = args.in_features;
  const int half_out = args.out_features / kTiles;
  const int n_tiles = (half_out + kTileRows - 1) / kTileRows;
  const int n_rounds = (k + kChunk * kWarps * kStages - 1) / (kChunk * kWarps * kStages);

  launch_dependents();

  Pack8 w[kStages][kTiles][2][2];  // stage, tile, row half, column half
  // Rows past the end are read as the last one and not written; columns past the end count as 0.
  auto load_weights = [&](int stage, int tile, int round) {
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      const int column = ((round * kStages + stage) * kWarps + warp) * kChunk + part * 32 + quarter * 8;
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int row = min(tile * kTileRows + half * 8 + group, half_out - 1) + t * half_out;
          w[stage][t][half][part] =
              column < k ? load_streaming(args.weight + static_cast<size_t>(row) * k + column) : Pack8{};
        }
      }
    }
  };

  // The first weights are on their way before the previous kernel has ended.
#pragma unroll
  for (int stage = 0; stage < kStages; ++stage) {
    if (blockIdx.x < n_tiles) load_weights(stage, blockIdx.x, 0);
  }
  wait_for_previous();

  __shared__ float partial[2][kWarps][kTiles][kTileRows][kMaxGemvRows];
  __shared__ float factor[kMaxGemvRows];
  // 1 / rms of each row, a warp each.
  for (int row = warp; row < args.n; row += kWarps) {
    float total = 0;
    if (args.squares) {
      for (int i = lane; i < args.n_squares; i += kWarp) total += args.squares[row * args.n_squares + i];
#pragma unroll
      for (int offset = kWarp / 2; offset > 0; offset /= 2) total += __shfl_xor_sync(~0u, total, offset);
    }
    if (lane == 0) factor[row] = args.squares ? rsqrtf(total / static_cast<float>(k) + args.eps) : 1.0f;
  }

  uint64_t best = 0;  // of this thread's row and features
  const bool has_row = group < args.n;
  const T* x = args.x + static_cast<size_t>(has_row ? group : 0) * k;
  int buffer = 0;
  for (int tile = blockIdx.x; tile < n_tiles; tile += gridDim.x, buffer ^= 1) {
    float sums[kTiles][4] = {};
    for (int round = 0; round < n_rounds; ++round) {
      const bool last = round + 1 == n_rounds;
      const int next_tile = last ? tile + gridDim.x : tile, next_round = last ? 0 : round + 1;
#pragma unroll
      for (int stage = 0; stage < kStages; ++stage) {
#pragma unroll
        for (int part = 0; part < 2; ++part) {
          const int column = ((round * kStages + stage) * kWarps + warp) * kChunk + part * 32 + quarter * 8;
          const Pack8 xs = has_row && column < k ? load_shared_operand(x + column) : Pack8{};
#pragma unroll
          for (int t = 0; t < kTiles; ++t) {
            const Pack8& low = w[stage][t][0][part];
            const Pack8& high = w[stage][t][1][part];
            mma_16816<T>(sums[t], low.word[0], high.word[0], low.word[1], high.word[1], xs.word[0], xs.word[1]);
            mma_16816<T>(sums[t], low.word[2], high.word[2], low.word[3], high.word[3], xs.word[2], xs.word[3]);
          }
        }
        if (next_tile < n_tiles) load_weights(stage, next_tile, next_round);
      }
    }

    // Add up the warps' shares: sums[.][2 * half + j] is row group + 8 * half, batch row 2 * quarter + j.
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
#pragma unroll
      for (int i = 0; i < 4; ++i) partial[buffer][warp][t][group + 8 * (i / 2)][2 * quarter + i % 2] = sums[t][i];
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
