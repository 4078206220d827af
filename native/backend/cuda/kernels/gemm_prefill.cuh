// Products of many rows of activations on Hopper, with what comes after them fused in (see product.cuh).
//
// Bound by the tensor cores: 2 * n * in * out operations. A block of two consuming warpgroups computes 128 rows by
// kFeatures features (for SiLU half of gate and the same half of up) over all columns; a producing warp keeps a ring of
// stages of 64 columns filled by TMA. Two blocks of a cluster take the same features of neighbouring rows, and each
// fetches half of the weights for both. Blocks stay for many tiles, and the ring runs on while results are written.
#pragma once
#include "backend/cuda/kernels/hopper.cuh"
#include "backend/cuda/kernels/product.cuh"

namespace jsg::cuda {

inline constexpr int kPrefillConsumers = 2;  // warpgroups
inline constexpr int kWarpgroup = 128;
inline constexpr int kPrefillThreads = (kPrefillConsumers + 1) * kWarpgroup;
inline constexpr int kPrefillRows = kPrefillConsumers * 64;  // of a block's tile
inline constexpr int kPrefillCluster = 2;
inline constexpr int kPrefillColumns = 64;  // of a stage: 128 bytes of a row
// Tiles of rows, in pairs, that are computed one after the other for the same weights: their activations stay in the
// level-2 cache.
inline constexpr int kPrefillBand = 8;

template <int kFeatures>
struct PrefillStage {
  static constexpr int kXBytes = kPrefillRows * kPrefillColumns * 2;
  static constexpr int kWeightBytes = kFeatures * kPrefillColumns * 2;
  static constexpr int kBytes = kXBytes + kWeightBytes;
  static constexpr int kCount = 196608 / kBytes;
  static constexpr int kAlignment = 1024;  // of the swizzle
  static constexpr int kSharedBytes = kCount * kBytes + kAlignment + 2 * kCount * 8;
};

// Which features and which pair of row tiles a unit of work is.
struct PrefillUnits {
  int n_pairs, n_tiles;  // of rows; of features

  __device__ __forceinline__ int count() const { return n_pairs * n_tiles; }
  // Pair of row tiles, tile of features.
  __device__ __forceinline__ int2 at(int unit) const {
    const int band = unit / (kPrefillBand * n_tiles), first = band * kPrefillBand;
    const int width = min(kPrefillBand, n_pairs - first), within = unit - first * n_tiles;
    return {first + within % width, within / width};
  }
};

// 1 / rms of rows `row` and `row` + 8, where there is a norm to finish. The lanes of a quad call it together.
template <class T>
__device__ __forceinline__ void row_factors(const ProductArgs<T>& args, int row, int quarter, float (&factor)[2]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    factor[half] = 1.0f;
    if (!args.squares) continue;
    float total = 0;
    const float* squares = args.squares + static_cast<size_t>(min(row + 8 * half, args.n - 1)) * args.n_squares;
    for (int i = quarter; i < args.n_squares; i += 4) total += squares[i];
    total += __shfl_xor_sync(~0u, total, 1);
    total += __shfl_xor_sync(~0u, total, 2);
    factor[half] = rsqrtf(total / static_cast<float>(args.in_features) + args.eps);
  }
}

// What becomes of a tile: a thread's sums are of rows `row` and `row` + 8, columns 8 j + 2 quarter + 0..1 of the tile.
// kStore and kSilu.
template <class T, Epilogue kEpilogue, int kFeatures>
__device__ __forceinline__ void write_tile(const ProductArgs<T>& args, float (&sums)[kFeatures / 2], int row, int tile,
                                           int quarter) {
  constexpr bool kPaired = kEpilogue == Epilogue::kSilu;
  constexpr int kOut = kPaired ? kFeatures / 2 : kFeatures;  // features written
  constexpr int kTiles = kOut / 8, kUp = kFeatures / 4;      // sums[kUp + ...]: up, where sums[...] is gate
  const int n_out = kPaired ? args.out_features / 2 : args.out_features, first = tile * kOut;
  float factor[2];
  row_factors(args, row, quarter, factor);
  if (args.bias) {
#pragma unroll
    for (int j = 0; j < kFeatures / 8; ++j) {
      const int column = first + 8 * (j % kTiles), feature = column + j / kTiles * n_out + 2 * quarter;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float bias = column < n_out ? args.bias[feature + i % 2] : 0.0f;
        sums[4 * j + i] = sums[4 * j + i] * factor[i / 2] + bias;
      }
    }
    factor[0] = factor[1] = 1.0f;
  }
#pragma unroll
  for (int j = 0; j < kTiles; j += 4) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t words[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int at = 4 * (j + i) + 2 * half;
        float low = sums[at] * factor[half], high = sums[at + 1] * factor[half];
        if constexpr (kPaired) {
          low = silu(low) * (sums[kUp + at] * factor[half]);
          high = silu(high) * (sums[kUp + at + 1] * factor[half]);
        }
        words[i] = pack2<T>(low, high);
      }
      const Pack8 gathered = gather_columns(words, quarter);
      const int column = first + 8 * (j + quarter);
      if (row + 8 * half < args.n && column < n_out) {
        *reinterpret_cast<Pack8*>(args.out + static_cast<size_t>(row + 8 * half) * n_out + column) = gathered;
      }
    }
  }
}

// The same of kResidual, for columns [64 part, 64 part + 64) of the tile. `residual`: those of the residual stream in
// shared memory, in two boxes of 32 columns; `squares` of rows `row` and `row` + 8 grow.
template <class T, int kFeatures>
__device__ __forceinline__ void write_residual(const ProductArgs<T>& args, const float (&sums)[kFeatures / 2], int part,
                                               uint32_t residual, int row, int row_in_tile, int tile, int quarter,
                                               float (&squares)[2]) {
  const int n_out = args.out_features;
#pragma unroll
  for (int box = 0; box < 2; ++box) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const bool is_row = row + 8 * half < args.n;
      const size_t base = static_cast<size_t>(row + 8 * half) * n_out;
      const int first = tile * kFeatures + part * 64 + box * 32;
      uint32_t words[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int chunk = (2 * i + quarter / 2) ^ (row_in_tile & 7), at = 4 * (part * 8 + box * 4 + i) + 2 * half;
        float2 x = load_shared_floats(residual + box * (kPrefillRows * 128) + (row_in_tile + 8 * half) * 128 +
                                      chunk * 16 + quarter % 2 * 8);
        x.x += sums[at];
        x.y += sums[at + 1];
        squares[half] += x.x * x.x + x.y * x.y;
        const int column = first + 8 * i + 2 * quarter;
        const bool is_column = first + 8 * i < n_out;
        if (is_row && is_column) *reinterpret_cast<float2*>(args.residual + base + column) = x;
        const T* norm = args.next_norm + (is_column ? column : 0);
        words[i] = pack2<T>(x.x * to_float(norm[0]), x.y * to_float(norm[1]));
      }
      const Pack8 gathered = gather_columns(words, quarter);
      const int column = first + 8 * quarter;
      if (is_row && column < n_out) *reinterpret_cast<Pack8*>(args.next_x + base + column) = gathered;
    }
  }
}

// The tensors of args: `x` in boxes of (kPrefillRows, 64), `weight` of (kFeatures / 2, 64), and, for kResidual,
// `residual` of (kPrefillRows, 32), which comes through the ring as well, behind the columns of a tile.
template <class T, Epilogue kEpilogue, int kFeatures>
__global__ void __launch_bounds__(kPrefillThreads, 1)
    gemm_prefill_kernel(const __grid_constant__ CUtensorMap x, const __grid_constant__ CUtensorMap weight,
                        const __grid_constant__ CUtensorMap residual, const ProductArgs<T> args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  using Stage = PrefillStage<kFeatures>;
  constexpr bool kPaired = kEpilogue == Epilogue::kSilu;
  constexpr int kOut = kPaired ? kFeatures / 2 : kFeatures;
  constexpr int kParts = kEpilogue == Epilogue::kResidual ? kFeatures / 64 : 0;  // of the residual stream's tile
  constexpr int kConsumerWarps = kPrefillConsumers * kWarpgroup / kWarp;
  const int n_out = kPaired ? args.out_features / 2 : args.out_features;
  const PrefillUnits units{(args.n + kPrefillCluster * kPrefillRows - 1) / (kPrefillCluster * kPrefillRows),
                           (n_out + kOut - 1) / kOut};
  const int n_steps = (args.in_features + kPrefillColumns - 1) / kPrefillColumns;
  const int rank = cluster_rank(), first_unit = blockIdx.x / kPrefillCluster, n_clusters = gridDim.x / kPrefillCluster;

  extern __shared__ unsigned char shared[];
  const uint32_t stages = (shared_address(shared) + Stage::kAlignment - 1) / Stage::kAlignment * Stage::kAlignment;
  const uint32_t full = stages + Stage::kCount * Stage::kBytes, empty = full + Stage::kCount * 8;
  if (threadIdx.x == 0) {
    for (int s = 0; s < Stage::kCount; ++s) {
      barrier_init(full + 8 * s, 1);
      barrier_init(empty + 8 * s, kPrefillCluster * kConsumerWarps);
    }
    barrier_init_done();
  }
  __syncthreads();
  cluster_sync();
  launch_dependents();
  wait_for_previous();

  int stage = 0;
  uint32_t phase = 0;
  auto advance = [&] {
    if (++stage == Stage::kCount) {
      stage = 0;
      phase ^= 1;
    }
  };
  const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroup - 1;
  if (warpgroup < 0) {
    give_registers<40>();
    if (threadIdx.x == 0) {
      for (int unit = first_unit; unit < units.count(); unit += n_clusters) {
        const int2 at = units.at(unit);
        const int row = (at.x * kPrefillCluster + rank) * kPrefillRows;
        const int feature = at.y * kOut + rank * (kPaired ? n_out : kFeatures / 2);
        for (int step = 0; step < n_steps; ++step) {
          const uint32_t to = stages + stage * Stage::kBytes, barrier = full + 8 * stage;
          barrier_wait(empty + 8 * stage, phase ^ 1);
          barrier_expect(barrier, Stage::kBytes);
          copy_box(to, &x, step * kPrefillColumns, row, barrier);
          copy_box_to((1 << kPrefillCluster) - 1, to + Stage::kXBytes + rank * (Stage::kWeightBytes / 2), &weight,
                      step * kPrefillColumns, feature, barrier);
          advance();
        }
        for (int part = 0; part < kParts; ++part) {
          const uint32_t to = stages + stage * Stage::kBytes, barrier = full + 8 * stage;
          barrier_wait(empty + 8 * stage, phase ^ 1);
          barrier_expect(barrier, 2 * kPrefillRows * 128);
          for (int box = 0; box < 2; ++box) {
            copy_box(to + box * (kPrefillRows * 128), &residual, at.y * kOut + part * 64 + box * 32, row, barrier);
          }
          advance();
        }
      }
    }
  } else {
    take_registers<232>();
    const int lane = threadIdx.x % kWarp, quarter = lane % 4;
    const int row_in_tile = warpgroup * 64 + static_cast<int>(threadIdx.x) % kWarpgroup / kWarp * 16 + lane / 4;
    auto release = [&](int of_stage) {
      if (lane < kPrefillCluster) barrier_arrive(empty + 8 * of_stage, lane);
    };
    for (int unit = first_unit; unit < units.count(); unit += n_clusters) {
      float sums[kFeatures / 2];
      int previous = -1;
      for (int step = 0; step < n_steps; ++step) {
        barrier_wait(full + 8 * stage, phase);
        const uint32_t xs = stages + stage * Stage::kBytes + warpgroup * (Stage::kXBytes / kPrefillConsumers);
        const uint64_t a = operand(xs), b = operand(stages + stage * Stage::kBytes + Stage::kXBytes);
        wgmma_begin();
#pragma unroll
        for (int i = 0; i < kPrefillColumns / 16; ++i)
          wgmma<T, kFeatures>(sums, a + 2 * i, b + 2 * i, step > 0 || i > 0);
        wgmma_commit();
        wgmma_wait<1>();
        if (previous >= 0) release(previous);
        previous = stage;
        advance();
      }
      wgmma_wait<0>();
      wgmma_result(sums);
      release(previous);
      const int2 at = units.at(unit);
      const int row = (at.x * kPrefillCluster + rank) * kPrefillRows + row_in_tile;
      if constexpr (kEpilogue == Epilogue::kResidual) {
        float squares[2] = {};
#pragma unroll
        for (int part = 0; part < kParts; ++part) {
          barrier_wait(full + 8 * stage, phase);
          write_residual<T, kFeatures>(args, sums, part, stages + stage * Stage::kBytes, row, row_in_tile, at.y,
                                       quarter, squares);
          __syncwarp();
          release(stage);
          advance();
        }
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          squares[half] += __shfl_xor_sync(~0u, squares[half], 1);
          squares[half] += __shfl_xor_sync(~0u, squares[half], 2);
          if (quarter == 0 && row + 8 * half < args.n) {
            args.next_squares[static_cast<size_t>(row + 8 * half) * units.n_tiles + at.y] = squares[half];
          }
        }
      } else {
        write_tile<T, kEpilogue, kFeatures>(args, sums, row, at.y, quarter);
      }
    }
  }
  // No block may end while the other still writes into it.
  __syncwarp();
  cluster_sync();
#endif
}

}  // namespace jsg::cuda
