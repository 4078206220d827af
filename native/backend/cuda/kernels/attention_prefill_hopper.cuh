// Prefill attention on Hopper, for a cache in 16 bits: as attention_prefill.cuh, with products of whole warpgroups.
//
// Bound by the tensor cores. A block takes 128 rows of one head at a time, 64 a warpgroup, against 128 tokens; blocks
// stay for many such units. A producing warp brings q and pages by TMA: K by halves of a row, V, stored transposed,
// just as it lies. The scores of a tile are computed while the softmax of the one before has become its sum.
//
// Memory past a sequence's last token must be finite in the page that holds it (rope_append_pages.cuh sees to that):
// probability 0 does not silence infinities.
#pragma once
#include "backend/cuda/kernels/attention_prefill.cuh"
#include "backend/cuda/kernels/hopper.cuh"

namespace jsg::cuda {

template <int kHeadDimOf>
struct HopperTile {
  static constexpr int kHeadDim = kHeadDimOf, kConsumers = 2, kRows = 64 * kConsumers, kPages = 8;
  static_assert(kHeadDim == 64 || kHeadDim == 128);
  static constexpr int kTokens = kPages * kPage, kThreads = (kConsumers + 1) * 128, kStages = 2;
  static constexpr int kHalves = kHeadDim / 64;                             // of a row of q or K: 128 bytes
  static constexpr int kQueryHalf = kRows * 128, kKeyHalf = kTokens * 128;  // bytes
  static constexpr int kValuePage = kHeadDim * kPage * 2;
  static constexpr int kQueryBytes = kHalves * kQueryHalf, kKeyBytes = kHalves * kKeyHalf;
  static constexpr int kValueBytes = kPages * kValuePage;
  static constexpr int kAlignment = 1024;
  static constexpr int kBarriers = 2 + 4 * kStages;
  static constexpr int kSharedBytes = kAlignment + kQueryBytes + kStages * (kKeyBytes + kValueBytes) + kBarriers * 8;
};

// Rows of one head and the tokens they see.
struct HopperUnit {
  int head, kv_head, slice;
  int first, first_row, n_rows;  // of the slice; of the step; rows of the slice
  int position0, end;            // of the slice's first row; tokens, 0: nothing to do
  int first_page, n_pages;

  template <class Tile, class T>
  __device__ __forceinline__ static HopperUnit at(int unit, int n_slices, int n_tiles,
                                                  const PrefillAttentionArgs<T>& args) {
    const AttentionDims& dims = args.dims;
    HopperUnit u;
    u.head = unit % dims.n_heads;
    u.kv_head = u.head / (dims.n_heads / dims.n_kv_heads);
    u.slice = args.first_slice + unit / dims.n_heads % n_slices;
    // The last rows of every sequence, which have the longest context, come first.
    u.first = (n_tiles - 1 - unit / dims.n_heads / n_slices) * Tile::kRows;
    const int2 rows = args.step.slices[u.slice];
    u.first_row = rows.x;
    u.n_rows = rows.y;
    u.position0 = args.step.positions[rows.x];
    u.end = u.first < rows.y ? u.position0 + min(u.first + Tile::kRows, rows.y) : 0;
    u.first_page = dims.sliding_window > 0 ? max(0, u.position0 + u.first - dims.sliding_window + 1) / kPage : 0;
    u.n_pages = (u.end + kPage - 1) / kPage;
    return u;
  }
};

// `queries`: q k v (rows, columns) in boxes of (128, 64); `keys` and `values`: the pages of a layer, in boxes of
// (1, 16, 64) and (1, head_dim, 16).
template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    attention_prefill_hopper_kernel(const __grid_constant__ CUtensorMap queries,
                                    const __grid_constant__ CUtensorMap keys,
                                    const __grid_constant__ CUtensorMap values, const PrefillAttentionArgs<T> args,
                                    int n_slices, int n_tiles) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  constexpr int kHeadDim = Tile::kHeadDim, kConsumerWarps = Tile::kConsumers * 4;
  constexpr int kTokenTiles = Tile::kTokens / 8;
  extern __shared__ unsigned char shared[];
  const uint32_t q_at = (shared_address(shared) + Tile::kAlignment - 1) / Tile::kAlignment * Tile::kAlignment;
  const uint32_t k_at = q_at + Tile::kQueryBytes, v_at = k_at + Tile::kStages * Tile::kKeyBytes;
  const uint32_t q_full = v_at + Tile::kStages * Tile::kValueBytes, q_empty = q_full + 8;
  const uint32_t k_full = q_empty + 8, k_empty = k_full + 8 * Tile::kStages;
  const uint32_t v_full = k_empty + 8 * Tile::kStages, v_empty = v_full + 8 * Tile::kStages;
  if (threadIdx.x == 0) {
    barrier_init(q_full, 1);
    barrier_init(q_empty, kConsumerWarps);
    for (int s = 0; s < Tile::kStages; ++s) {
      barrier_init(k_full + 8 * s, 1);
      barrier_init(k_empty + 8 * s, kConsumerWarps);
      barrier_init(v_full + 8 * s, 1);
      barrier_init(v_empty + 8 * s, kConsumerWarps);
    }
    barrier_init_done();
  }
  __syncthreads();
  launch_dependents();
  wait_for_previous();

  const AttentionDims& dims = args.dims;
  const int n_units = dims.n_heads * n_slices * n_tiles;
  const int warpgroup = static_cast<int>(threadIdx.x) / 128 - 1, lane = threadIdx.x % kWarp;
  int stage = 0;
  uint32_t phase = 0, q_phase = 0;
  auto advance = [&] {
    if (++stage == Tile::kStages) {
      stage = 0;
      phase ^= 1;
    }
  };

  if (warpgroup < 0) {
    give_registers<40>();
    if (threadIdx.x >= kWarp) return;
    for (int unit = blockIdx.x; unit < n_units; unit += gridDim.x) {
      const HopperUnit u = HopperUnit::at<Tile>(unit, n_slices, n_tiles, args);
      if (u.end == 0) continue;
      barrier_wait(q_empty, q_phase ^ 1);
      q_phase ^= 1;
      if (lane == 0) {
        barrier_expect(q_full, Tile::kQueryBytes);
        for (int half = 0; half < Tile::kHalves; ++half) {
          copy_box(q_at + half * Tile::kQueryHalf, &queries, u.head * kHeadDim + 64 * half, u.first_row + u.first,
                   q_full);
        }
      }
      const int32_t* table = args.step.block_table(u.slice);
      for (int page = u.first_page; page < u.n_pages; page += Tile::kPages) {
        // A page a lane; zeros where there is none.
        const bool has_page = page + lane < u.n_pages;
        const int index = has_page && lane < Tile::kPages ? table[page + lane] * dims.n_kv_heads + u.kv_head : -1;
        barrier_wait(k_empty + 8 * stage, phase ^ 1);
        if (lane == 0) barrier_expect(k_full + 8 * stage, Tile::kKeyBytes);
        __syncwarp();
        if (lane < Tile::kPages) {
          for (int half = 0; half < Tile::kHalves; ++half) {
            copy_box(k_at + stage * Tile::kKeyBytes + half * Tile::kKeyHalf + lane * kPage * 128, &keys, 64 * half, 0,
                     index, k_full + 8 * stage);
          }
        }
        barrier_wait(v_empty + 8 * stage, phase ^ 1);
        if (lane == 0) barrier_expect(v_full + 8 * stage, Tile::kValueBytes);
        __syncwarp();
        if (lane < Tile::kPages) {
          copy_box(v_at + stage * Tile::kValueBytes + lane * Tile::kValuePage, &values, 0, 0, index,
                   v_full + 8 * stage);
        }
        advance();
      }
    }
    return;
  }

  take_registers<232>();
  const int group = lane / 4, quarter = lane % 4, window = dims.sliding_window;
  const int warp_row = warpgroup * 64 + static_cast<int>(threadIdx.x) % 128 / kWarp * 16;
  const float scale = rsqrtf(static_cast<float>(kHeadDim)) * 1.44269504f;
  auto release = [&](uint32_t barrier) {
    if (lane == 0) barrier_arrive(barrier);
  };
  for (int unit = blockIdx.x; unit < n_units; unit += gridDim.x) {
    const HopperUnit u = HopperUnit::at<Tile>(unit, n_slices, n_tiles, args);
    if (u.end == 0) continue;
    const int warp_first = u.position0 + u.first + warp_row, warp_last = min(warp_first + 16, u.end) - 1;

    float acc[kHeadDim / 2] = {};
    uint32_t p[Tile::kPages][4];  // probabilities of a tile, as operands
    float top[2] = {-INFINITY, -INFINITY}, total[2] = {};
    barrier_wait(q_full, q_phase);
    q_phase ^= 1;

    // scores[4 t + 2 half + i]: row group + 8 half of the warp, token 8 t + 2 quarter + i of the tile.
    auto multiply_keys = [&](float(&scores)[Tile::kTokens / 2]) {
      barrier_wait(k_full + 8 * stage, phase);
      wgmma_begin();
#pragma unroll
      for (int half = 0; half < Tile::kHalves; ++half) {
        const uint64_t a = operand(q_at + half * Tile::kQueryHalf + warpgroup * 64 * 128);
        const uint64_t b = operand(k_at + stage * Tile::kKeyBytes + half * Tile::kKeyHalf);
#pragma unroll
        for (int i = 0; i < 4; ++i) wgmma<T, Tile::kTokens>(scores, a + 2 * i, b + 2 * i, half > 0 || i > 0);
      }
      wgmma_commit();
    };
    auto add_values = [&](int of_stage, uint32_t of_phase) {
      barrier_wait(v_full + 8 * of_stage, of_phase);
      wgmma_begin();
#pragma unroll
      for (int j = 0; j < Tile::kPages; ++j) {
        wgmma<T, kHeadDim>(acc, p[j], operand<32>(v_at + of_stage * Tile::kValueBytes + j * Tile::kValuePage));
      }
      wgmma_commit();
    };
    // Scores become probabilities relative to the highest score so far; `correction` is what earlier ones must be
    // multiplied by.
    auto softmax = [&](float(&scores)[Tile::kTokens / 2], int page, float(&correction)[2]) {
      const int first_token = page * kPage;
      if (first_token + Tile::kTokens - 1 > warp_first || (window > 0 && first_token < warp_last - window + 1)) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int position = min(warp_first + group + 8 * half, u.end - 1);
          const int oldest = window > 0 ? position - window + 1 : 0;
#pragma unroll
          for (int t = 0; t < kTokenTiles; ++t) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
              const int token = first_token + 8 * t + 2 * quarter + i;
              if (token > position || token < oldest) scores[4 * t + 2 * half + i] = -INFINITY;
            }
          }
        }
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float largest = scores[2 * half];
#pragma unroll
        for (int t = 0; t < kTokenTiles; ++t) {
          largest = fmaxf(largest, fmaxf(scores[4 * t + 2 * half], scores[4 * t + 2 * half + 1]));
        }
        largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, 1));
        largest = fmaxf(fmaxf(largest, __shfl_xor_sync(~0u, largest, 2)), top[half]);
        const float reference = largest == -INFINITY ? 0.0f : largest * scale;
        correction[half] = exp2_fast(top[half] * scale - reference);
        top[half] = largest;
        float sum = 0;
#pragma unroll
        for (int t = 0; t < kTokenTiles; ++t) {
#pragma unroll
          for (int i = 0; i < 2; ++i) {
            float& x = scores[4 * t + 2 * half + i];
            x = exp2_fast(x * scale - reference);
            sum += x;
          }
        }
        total[half] = total[half] * correction[half] + sum;
      }
    };
    auto pack = [&](const float(&scores)[Tile::kTokens / 2]) {
#pragma unroll
      for (int j = 0; j < Tile::kPages; ++j) {
#pragma unroll
        for (int i = 0; i < 4; ++i) p[j][i] = pack2<T>(scores[8 * j + 2 * i], scores[8 * j + 2 * i + 1]);
      }
    };

    float correction[2];
    {
      float scores[Tile::kTokens / 2];
      multiply_keys(scores);
      wgmma_wait<0>();
      wgmma_result(scores);
      release(k_empty + 8 * stage);
      softmax(scores, u.first_page, correction);
      pack(scores);
    }
    int previous = stage;
    uint32_t previous_phase = phase;
    advance();
    for (int page = u.first_page + Tile::kPages; page < u.n_pages; page += Tile::kPages) {
      float scores[Tile::kTokens / 2];
      multiply_keys(scores);
      add_values(previous, previous_phase);
      wgmma_wait<1>();
      wgmma_result(scores);
      release(k_empty + 8 * stage);
      softmax(scores, page, correction);
      wgmma_wait<0>();
      wgmma_result(acc);
      release(v_empty + 8 * previous);
#pragma unroll
      for (int i = 0; i < kHeadDim / 2; ++i) acc[i] *= correction[i / 2 % 2];
      pack(scores);
      previous = stage;
      previous_phase = phase;
      advance();
    }
    release(q_empty);
    add_values(previous, previous_phase);
    wgmma_wait<0>();
    wgmma_result(acc);
    release(v_empty + 8 * previous);

#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = total[half];
      sum += __shfl_xor_sync(~0u, sum, 1);
      sum += __shfl_xor_sync(~0u, sum, 2);
      const float inverse = 1.0f / sum;
      const int row = u.first + warp_row + group + 8 * half;
      T* out = args.out + (static_cast<size_t>(u.first_row + row) * dims.n_heads + u.head) * kHeadDim;
#pragma unroll
      for (int t = 0; t < kHeadDim / 8; t += 4) {
        uint32_t words[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          words[i] = pack2<T>(acc[4 * (t + i) + 2 * half] * inverse, acc[4 * (t + i) + 2 * half + 1] * inverse);
        }
        const Pack8 gathered = gather_columns(words, quarter);
        if (row < u.n_rows) *reinterpret_cast<Pack8*>(out + 8 * (t + quarter)) = gathered;
      }
    }
  }
#endif
}

}  // namespace jsg::cuda
