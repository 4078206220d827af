// Products of a plain weight (out_features, in_features) with 9 to 64 rows of activations: decode of larger batches,
// and short prompts.
//
// Still bound by the weight, which moves once: out * in * 2 bytes. The work is cut into tiles of 64 features (for SiLU
// 32 of gate and the same 32 of up) by 64 columns; every block takes an equal run of them, so that all SMs stream the
// same bytes whatever the shape (stream-K). Weights and activations come through a ring of stages in shared memory by
// cp.async, columns swizzled against bank conflicts. A tile whose columns are shared by several blocks is put together,
// in their order, by the one that finishes last.
#pragma once
#include "backend/cuda/kernels/product.cuh"

namespace jsg::cuda {

inline constexpr int kMaxGemmRows = 64;
inline constexpr int kGemmFeatures = 64;  // of a tile
inline constexpr int kGemmColumns = 64;   // of a stage: 128 bytes of a row
inline constexpr int kGemmWarps = 4;
inline constexpr int kGemmThreads = kGemmWarps * kWarp;

template <int kN>
struct GemmShape {
  static constexpr int kStages = kN <= 32 ? 6 : 4;
  static constexpr int kWeightBytes = kGemmFeatures * kGemmColumns * 2;
  static constexpr int kStageBytes = kWeightBytes + kN * kGemmColumns * 2;
  static constexpr int kResultStride = kGemmFeatures + 4;  // floats
  static constexpr int kResultBytes = kN * kResultStride * 4;
  static constexpr int kSharedBytes = kStages * kStageBytes + kResultBytes + kN * 4;
};

__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
// 16 bytes from global to shared memory, or zeros.
__device__ __forceinline__ void copy_async(uint32_t to, const void* from, bool valid) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}
__device__ __forceinline__ void load_matrices(uint32_t (&m)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(address));
}

// Where block b of n begins among `total` units of work, and whose a unit is.
__device__ __forceinline__ int share_begin(int block, int n_blocks, int total) {
  return static_cast<int>(static_cast<int64_t>(total) * block / n_blocks);
}
__device__ __forceinline__ int share_of(int unit, int n_blocks, int total) {
  return static_cast<int>((static_cast<int64_t>(unit + 1) * n_blocks - 1) / total);
}

template <class T, Epilogue kEpilogue, int kN>
__global__ void __launch_bounds__(kGemmThreads) gemm_kernel(const ProductArgs<T> args) {
  using Shape = GemmShape<kN>;
  constexpr int kStages = Shape::kStages, kTiles = kN / 8;
  constexpr bool kPaired = kEpilogue == Epilogue::kSilu;
  constexpr int kTileOut = kPaired ? kGemmFeatures / 2 : kGemmFeatures;  // features that a tile writes
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int group = lane / 4, quarter = lane % 4;
  const int k = args.in_features, n_out = kPaired ? args.out_features / 2 : args.out_features;
  const int n_tiles = (n_out + kTileOut - 1) / kTileOut, n_steps = (k + kGemmColumns - 1) / kGemmColumns;
  const int total = n_tiles * n_steps;
  const int begin = share_begin(blockIdx.x, gridDim.x, total), end = share_begin(blockIdx.x + 1, gridDim.x, total);

  extern __shared__ __align__(128) unsigned char shared[];
  const uint32_t stages = shared_address(shared);
  float* result = reinterpret_cast<float*>(shared + kStages * Shape::kStageBytes);  // (kN, kResultStride)
  float* factor = result + kN * Shape::kResultStride;                               // (kN)

  launch_dependents();

  // A thread's 16-byte chunk of each row it copies: chunk c of row r lies at c ^ (r % 8).
  const int chunk = threadIdx.x % 8, first_row = threadIdx.x / 8;
  const uint32_t chunk_at = static_cast<uint32_t>(first_row * 128 + ((chunk ^ (first_row % 8)) * 16));
  constexpr int kRowsAtOnce = kGemmThreads / 8;
  auto copy_weights = [&](int tile, int step, int stage) {
    const int column = step * kGemmColumns + chunk * 8;
#pragma unroll
    for (int i = 0; i < kGemmFeatures / kRowsAtOnce; ++i) {
      const int r = first_row + i * kRowsAtOnce;
      // Rows past the end are read as the last one and not written.
      const int row = kPaired ? min(tile * kTileOut + r % kTileOut, n_out - 1) + r / kTileOut * n_out
                              : min(tile * kTileOut + r, n_out - 1);
      copy_async(stages + stage * Shape::kStageBytes + chunk_at + i * kRowsAtOnce * 128,
                 args.weight + static_cast<size_t>(row) * k + min(column, k - 8), column < k);
    }
  };
  auto copy_x = [&](int step, int stage) {
    const int column = step * kGemmColumns + chunk * 8;
#pragma unroll
    for (int i = 0; i < kN / kRowsAtOnce; ++i) {
      const int r = first_row + i * kRowsAtOnce;
      copy_async(stages + stage * Shape::kStageBytes + Shape::kWeightBytes + chunk_at + i * kRowsAtOnce * 128,
                 args.x + static_cast<size_t>(min(r, args.n - 1)) * k + min(column, k - 8), column < k && r < args.n);
    }
  };

  // The first weights are on their way before the previous kernel has ended.
  int tile = begin / n_steps, step = begin - tile * n_steps, first_step = step;
  int copied_tile = tile, copied_step = step;
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) {
    if (begin + s < end) copy_weights(copied_tile, copied_step, s);
    if (++copied_step == n_steps) copied_step = 0, ++copied_tile;
  }
  wait_for_previous();
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) {
    if (begin + s < end) copy_x((step + s) % n_steps, s);
    commit_copies();
  }
  // 1 / rms of each row.
  for (int row = warp; row < args.n; row += kGemmWarps) {
    float sum = 0;
    if (args.squares) {
      for (int i = lane; i < args.n_squares; i += kWarp) sum += args.squares[row * args.n_squares + i];
      sum = warp_sum(sum);
    }
    if (lane == 0) factor[row] = args.squares ? rsqrtf(sum / static_cast<float>(k) + args.eps) : 1.0f;
  }

  // Where this lane's rows of the operands begin: row r of chunk c is at r * 128 + ((c ^ (r % 8)) * 16).
  const int weight_row = warp * 16 + lane % 16, x_row = lane / 16 * 8 + lane % 8;
  const uint32_t weight_at = static_cast<uint32_t>(weight_row * 128), x_at = static_cast<uint32_t>(x_row * 128);
  const int weight_chunk = lane / 16, x_chunk = lane / 8 % 2, swizzle = lane % 8;

  float sums[kTiles][4] = {};
  int stage = 0;
  for (int unit = begin; unit < end; ++unit) {
    wait_for_copies<kStages - 2>();
    __syncthreads();
    const uint32_t weights = stages + stage * Shape::kStageBytes, xs = weights + Shape::kWeightBytes;
#pragma unroll
    for (int j = 0; j < kGemmColumns / 16; ++j) {
      uint32_t a[4];
      load_matrices(a, weights + weight_at + ((2 * j + weight_chunk) ^ swizzle) * 16);
#pragma unroll
      for (int t = 0; t < kTiles; t += 2) {
        uint32_t b[4];
        load_matrices(b, xs + x_at + t * 8 * 128 + ((2 * j + x_chunk) ^ swizzle) * 16);
        mma_16816<T>(sums[t], a[0], a[1], a[2], a[3], b[0], b[1]);
        mma_16816<T>(sums[t + 1], a[0], a[1], a[2], a[3], b[2], b[3]);
      }
    }
    {
      // The stage that all warps had finished at the barrier.
      const int next = unit + kStages - 1, next_stage = stage == 0 ? kStages - 1 : stage - 1;
      if (next < end) {
        copy_weights(copied_tile, copied_step, next_stage);
        copy_x(copied_step, next_stage);
        if (++copied_step == n_steps) copied_step = 0, ++copied_tile;
      }
      commit_copies();
      stage = stage + 1 == kStages ? 0 : stage + 1;
    }
    if (++step < n_steps && unit + 1 < end) continue;

    // The tile's end, or this block's.
    bool complete = first_step == 0 && step == n_steps;
    if (!complete) {
      const int first = share_of(tile * n_steps, gridDim.x, total);
      const int last = share_of(tile * n_steps + n_steps - 1, gridDim.x, total);
      // Each block has at most two unfinished tiles: one that began before its share, and one it begins.
      auto partial_of = [&](int block, bool begins) {
        return reinterpret_cast<float4*>(args.partial) +
               static_cast<size_t>(block * 2 + begins) * kTiles * kGemmThreads + threadIdx.x;
      };
      float4* mine = partial_of(blockIdx.x, first_step == 0);
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
        __stcg(mine + t * kGemmThreads, make_float4(sums[t][0], sums[t][1], sums[t][2], sums[t][3]));
      }
      __shared__ bool is_last;
      __threadfence();
      __syncthreads();
      if (threadIdx.x == 0) {
        is_last = atomicAdd(&args.finished[tile], 1u) == static_cast<uint32_t>(last - first);
        if (is_last) args.finished[tile] = 0;
      }
      __syncthreads();
      complete = is_last;
      if (complete) {
        __threadfence();
#pragma unroll
        for (int t = 0; t < kTiles; ++t) {
#pragma unroll
          for (int i = 0; i < 4; ++i) sums[t][i] = 0;
        }
        for (int block = first; block <= last; ++block) {
          const float4* theirs = partial_of(block, block == first);
#pragma unroll
          for (int t = 0; t < kTiles; ++t) {
            const float4 v = __ldcg(theirs + t * kGemmThreads);
            sums[t][0] += v.x;
            sums[t][1] += v.y;
            sums[t][2] += v.z;
            sums[t][3] += v.w;
          }
        }
      }
    }
    if (complete) {
      // sums[t][2 * half + j]: feature 16 warp + group + 8 half, row 8 t + 2 quarter + j.
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          result[(8 * t + 2 * quarter + i % 2) * Shape::kResultStride + 16 * warp + group + 8 * (i / 2)] = sums[t][i];
        }
      }
      __syncthreads();
      // A warp a row, a lane two neighbouring features (one pair of gate and up).
      constexpr int kEach = kTileOut / kWarp;
      const int feature = lane * kEach, row = tile * kTileOut + feature;
      for (int n = warp; n < args.n; n += kGemmWarps) {
        const float* y_of = result + n * Shape::kResultStride;
        const size_t at = static_cast<size_t>(n) * n_out + row;
        float squares = 0;
        uint64_t best = 0;
        if (row < n_out) {
          float y[2];
          y[0] = y_of[feature] * factor[n];
          y[1] = y_of[kPaired ? feature + kTileOut : feature + 1] * factor[n];
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
        if constexpr (kEpilogue == Epilogue::kResidual) {
          squares = warp_sum(squares);
          if (lane == 0) args.next_squares[n * n_tiles + tile] = squares;
        }
        if constexpr (kEpilogue == Epilogue::kLogits) {
#pragma unroll
          for (int offset = kWarp / 2; offset > 0; offset /= 2) best = max(best, __shfl_xor_sync(~0u, best, offset));
          if (lane == 0) atomicMax(reinterpret_cast<unsigned long long*>(args.best + n), best);
        }
      }
    }
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[t][i] = 0;
    }
    ++tile;
    step = first_step = 0;
  }
}

}  // namespace jsg::cuda
