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

// kResidual: a tile's part of the residual stream comes through a ring of its own, 32 columns at a time.
struct ResidualRing {
  static constexpr int kColumns = 32;  // 128 bytes of a row
  static constexpr int kSlots = 2;
  static constexpr int kBytes = kPrefillRows * kColumns * 4;  // of a slot
  static constexpr int kSharedBytes = kSlots * (kBytes + 2 * 8);
  uint32_t slots, full, empty;  // addresses in shared memory; of barriers

  // A tile has an even number of pieces for each slot, so that their phases are the same for every tile.
  static __device__ __forceinline__ int slot(int piece) { return piece % kSlots; }
  static __device__ __forceinline__ uint32_t phase(int piece) { return piece / kSlots % 2; }

  __device__ __forceinline__ void open(int n_readers) const {
    for (int s = 0; s < kSlots; ++s) {
      barrier_init(full + 8 * s, 1);
      barrier_init(empty + 8 * s, n_readers);
    }
  }
  // By one thread.
  __device__ __forceinline__ void copy(const CUtensorMap* residual, int first_column, int row, int piece) const {
    barrier_wait(empty + 8 * slot(piece), phase(piece) ^ 1);
    barrier_expect(full + 8 * slot(piece), kBytes);
    copy_box(slots + slot(piece) * kBytes, residual, first_column + piece * kColumns, row, full + 8 * slot(piece));
  }
  __device__ __forceinline__ void wait(int piece) const { barrier_wait(full + 8 * slot(piece), phase(piece)); }
  // Columns 2 at, 2 at + 1 of a piece.
  __device__ __forceinline__ float2 read(int piece, int row_in_tile, int at) const {
    const int chunk = (at / 2) ^ (row_in_tile & 7);
    return load_shared_floats(slots + slot(piece) * kBytes + row_in_tile * 128 + chunk * 16 + at % 2 * 8);
  }
  // By each warp.
  __device__ __forceinline__ void release(int piece, int lane) const {
    __syncwarp();
    if (lane == 0) barrier_arrive(empty + 8 * slot(piece));
  }
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

// The results of a tile on their way out. They are scaled, rounded to T and kept in half the registers of their sums,
// which the next tile takes, and are written in pieces while its products run. A thread holds those of rows `row` and
// `row` + 8, columns 8 j + 2 quarter + 0..1 of the tile.
template <class T, Epilogue kEpilogue, int kFeatures>
struct FinishedTile {
  static constexpr bool kPaired = kEpilogue == Epilogue::kSilu;
  static constexpr int kOut = kPaired ? kFeatures / 2 : kFeatures;  // features written
  static constexpr int kPieces = kFeatures / 32;  // of 32 columns; for SiLU of one half of the rows' 32 columns
  uint32_t words[kFeatures / 4];                  // words[2 j + half]; for SiLU gate, then up
  float squares[2];                               // kResidual: of the new residual stream, so far
  int row, tile;

  __device__ __forceinline__ void take(const ProductArgs<T>& args, const float (&sums)[kFeatures / 2],
                                       const float (&factor)[2], int of_row, int of_tile, int quarter) {
    row = of_row;
    tile = of_tile;
    squares[0] = squares[1] = 0;
    const int n_out = kPaired ? args.out_features / 2 : args.out_features;
#pragma unroll
    for (int j = 0; j < kFeatures / 8; ++j) {
      float2 bias{};
      if (args.bias) {
        const int column = tile * kOut + 8 * (j % (kOut / 8));
        const float* from = args.bias + column + j / (kOut / 8) * n_out + 2 * quarter;
        if (column < n_out) bias = {from[0], from[1]};
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        words[2 * j + half] = pack2<T>(sums[4 * j + 2 * half] * factor[half] + bias.x,
                                       sums[4 * j + 2 * half + 1] * factor[half] + bias.y);
      }
    }
  }

  // kPieces of them, each with a constant `piece`.
  __device__ __forceinline__ void write(const ProductArgs<T>& args, const ResidualRing& ring, int piece, int lane) {
    const int quarter = lane % 4;
    if constexpr (kPaired) write_activated(args, piece / 2, piece % 2, quarter);
    if constexpr (kEpilogue == Epilogue::kStore) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        uint32_t four[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) four[i] = words[2 * (4 * piece + i) + half];
        store(args.out, four, piece, half, args.n, args.out_features, quarter);
      }
    }
    if constexpr (kEpilogue == Epilogue::kResidual) {
      ring.wait(piece);
#pragma unroll
      for (int half = 0; half < 2; ++half) write_residual(args, ring, piece, half, quarter);
      ring.release(piece, lane);
      if (piece == kPieces - 1) write_squares(args, quarter);
    }
  }

 private:
  static __device__ __forceinline__ float2 unpack(uint32_t word) {
    const T* elems = reinterpret_cast<const T*>(&word);
    return {to_float(elems[0]), to_float(elems[1])};
  }
  // 32 columns of a row, a lane two of every eight.
  __device__ __forceinline__ void store(T* out, uint32_t (&four)[4], int columns, int half, int n, int n_out,
                                        int quarter) const {
    const Pack8 gathered = gather_columns(four, quarter);
    const int column = tile * kOut + 32 * columns + 8 * quarter;
    if (row + 8 * half < n && column < n_out) {
      *reinterpret_cast<Pack8*>(out + static_cast<size_t>(row + 8 * half) * n_out + column) = gathered;
    }
  }
  __device__ __forceinline__ void write_activated(const ProductArgs<T>& args, int columns, int half,
                                                  int quarter) const {
    uint32_t four[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int j = 4 * columns + i;
      const float2 gate = unpack(words[2 * j + half]), up = unpack(words[2 * (j + kOut / 8) + half]);
      four[i] = pack2<T>(silu(gate.x) * up.x, silu(gate.y) * up.y);
    }
    store(args.out, four, columns, half, args.n, args.out_features / 2, quarter);
  }
  __device__ __forceinline__ void write_residual(const ProductArgs<T>& args, const ResidualRing& ring, int piece,
                                                 int half, int quarter) {
    const int n_out = args.out_features, first = tile * kOut + 32 * piece;
    float* residual = args.residual + static_cast<size_t>(row + 8 * half) * n_out + first + 2 * quarter;
    uint32_t four[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const bool is_column = first + 8 * i < n_out;
      float2 x = ring.read(piece, row % kPrefillRows + 8 * half, 4 * i + quarter);
      const float2 y = unpack(words[2 * (4 * piece + i) + half]);
      x.x += y.x;
      x.y += y.y;
      squares[half] += x.x * x.x + x.y * x.y;
      if (row + 8 * half < args.n && is_column) *reinterpret_cast<float2*>(residual + 8 * i) = x;
      const T* norm = args.next_norm + (is_column ? first + 8 * i + 2 * quarter : 0);
      four[i] = pack2<T>(x.x * to_float(norm[0]), x.y * to_float(norm[1]));
    }
    store(args.next_x, four, piece, half, args.n, n_out, quarter);
  }
  __device__ __forceinline__ void write_squares(const ProductArgs<T>& args, int quarter) {
    const int n_tiles = (args.out_features + kOut - 1) / kOut;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      squares[half] += __shfl_xor_sync(~0u, squares[half], 1);
      squares[half] += __shfl_xor_sync(~0u, squares[half], 2);
      if (quarter == 0 && row + 8 * half < args.n) {
        args.next_squares[static_cast<size_t>(row + 8 * half) * n_tiles + tile] = squares[half];
      }
    }
  }
};

// The tensors of args: `x` in boxes of (kPrefillRows, 64), `weight` of (kFeatures / 2, 64), and, for kResidual,
// `residual` of (kPrefillRows, 32).
template <class T, Epilogue kEpilogue, int kFeatures>
__global__ void __launch_bounds__(kPrefillThreads, 1)
    gemm_prefill_kernel(const __grid_constant__ CUtensorMap x, const __grid_constant__ CUtensorMap weight,
                        const __grid_constant__ CUtensorMap residual, const ProductArgs<T> args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  using Stage = PrefillStage<kFeatures>;
  constexpr bool kPaired = kEpilogue == Epilogue::kSilu;
  constexpr int kOut = kPaired ? kFeatures / 2 : kFeatures;
  using Finished = FinishedTile<T, kEpilogue, kFeatures>;
  constexpr int kConsumerWarps = kPrefillConsumers * kWarpgroup / kWarp;
  const int n_out = kPaired ? args.out_features / 2 : args.out_features;
  const PrefillUnits units{(args.n + kPrefillCluster * kPrefillRows - 1) / (kPrefillCluster * kPrefillRows),
                           (n_out + kOut - 1) / kOut};
  // Columns past the end are copied as zeros.
  const int n_steps = max((args.in_features + kPrefillColumns - 1) / kPrefillColumns, Finished::kPieces);
  const int rank = cluster_rank(), first_unit = blockIdx.x / kPrefillCluster, n_clusters = gridDim.x / kPrefillCluster;

  extern __shared__ unsigned char shared[];
  const uint32_t stages = (shared_address(shared) + Stage::kAlignment - 1) / Stage::kAlignment * Stage::kAlignment;
  constexpr bool kHasRing = kEpilogue == Epilogue::kResidual;
  const uint32_t slots = stages + Stage::kCount * Stage::kBytes;
  const uint32_t full = slots + (kHasRing ? ResidualRing::kSlots * ResidualRing::kBytes : 0);
  const uint32_t empty = full + Stage::kCount * 8, slot_barriers = empty + Stage::kCount * 8;
  const ResidualRing ring{slots, slot_barriers, slot_barriers + ResidualRing::kSlots * 8};
  if (threadIdx.x == 0) {
    if (kHasRing) ring.open(kConsumerWarps);
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
      int finished_row = 0, finished_column = -1;  // of the tile before
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
          if (kHasRing) {
            if (step < Finished::kPieces && finished_column >= 0) {
              ring.copy(&residual, finished_column, finished_row, step);
            }
            if (step == n_steps / 2) {  // the last tile's end has nothing to hide the way to memory behind
              for (int piece = 0; piece < Finished::kPieces; ++piece) {
                prefetch_box(&residual, at.y * kOut + piece * ResidualRing::kColumns, row);
              }
            }
          }
        }
        finished_row = row;
        finished_column = at.y * kOut;
      }
      if (kHasRing && finished_column >= 0) {
        for (int piece = 0; piece < Finished::kPieces; ++piece) {
          ring.copy(&residual, finished_column, finished_row, piece);
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
    float sums[kFeatures / 2], factor[2];
    int previous = -1;
    auto multiply = [&](int step) {
      barrier_wait(full + 8 * stage, phase);
      const uint32_t xs = stages + stage * Stage::kBytes + warpgroup * (Stage::kXBytes / kPrefillConsumers);
      const uint64_t a = operand(xs), b = operand(stages + stage * Stage::kBytes + Stage::kXBytes);
      wgmma_begin();
#pragma unroll
      for (int i = 0; i < kPrefillColumns / 16; ++i) wgmma<T, kFeatures>(sums, a + 2 * i, b + 2 * i, step > 0 || i > 0);
      wgmma_commit();
    };
    // Until no products but those of the last step are running.
    auto settle = [&] {
      wgmma_wait<1>();
      if (previous >= 0) release(previous);
      previous = stage;
      advance();
    };
    Finished finished;
    for (int unit = first_unit; unit < units.count(); unit += n_clusters) {
      const int2 at = units.at(unit);
      const int row = (at.x * kPrefillCluster + rank) * kPrefillRows + row_in_tile;
#pragma unroll
      for (int piece = 0; piece < Finished::kPieces; ++piece) {
        multiply(piece);
        if (unit != first_unit) finished.write(args, ring, piece, lane);
        if (piece == Finished::kPieces - 1) row_factors(args, row, quarter, factor);
        settle();
      }
      for (int step = Finished::kPieces; step < n_steps; ++step) {
        multiply(step);
        settle();
      }
      wgmma_wait<0>();
      wgmma_result(sums);
      release(previous);
      previous = -1;
      finished.take(args, sums, factor, row, at.y, quarter);
    }
    if (first_unit < units.count()) {
#pragma unroll
      for (int piece = 0; piece < Finished::kPieces; ++piece) finished.write(args, ring, piece, lane);
    }
  }
  // No block may end while the other still writes into it.
  __syncwarp();
  cluster_sync();
#endif
}

}  // namespace jsg::cuda
