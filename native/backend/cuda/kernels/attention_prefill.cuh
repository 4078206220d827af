// Prefill attention: many query rows a sequence, causal, over its paged cache, which already holds their own k and v
// (FlashAttention-2's order: rows stay, the context streams past, softmax is kept up as it goes).
//
// 4 * rows * context * head_dim operations a head, half of them above the diagonal and skipped; bound by the tensor
// cores, and by shared memory where a warp has few rows. A block takes neighbouring rows of one head, a warp 16 or 32
// of them. Pages of K and V come by cp.async into shared memory, 16-byte chunks swizzled against bank conflicts: V
// while the scores of the same tile are computed, the next K while its sum is. A page of V is stored transposed,
// (head_dim, 16), which is the operand of p V as it lies. Formats of 8 bits are copied as they are stored and become
// 16-bit tiles in shared memory.
#pragma once
#include "backend/cuda/kernels/kv.cuh"
#include "backend/cuda/kernels/shared_memory.cuh"

namespace jsg::cuda {

template <class T>
struct PrefillAttentionArgs {
  const T* qkv;  // (n_rows, (n_heads + 2 n_kv_heads) * head_dim), q rotated
  T* out;        // (n_rows, n_heads * head_dim)
  KvCache<T> cache;
  StepView step;
  AttentionDims dims;
  int first_slice;  // slices before it are decoded elsewhere
  int n_rows;       // of the step
};

// What a block computes at a time: kWarps * kRowTiles * 16 rows against kPages * 16 tokens.
template <class T, KvFormat kFormatOf, int kHeadDimOf, int kWarpsOf, int kRowTilesOf, int kPagesOf>
struct PrefillTile {
  using Element = T;
  using Traits = KvTraits<T, kFormatOf>;
  using Operand = typename Traits::Operand;
  static constexpr KvFormat kFormat = kFormatOf;
  static constexpr int kHeadDim = kHeadDimOf, kWarps = kWarpsOf, kRowTiles = kRowTilesOf, kPages = kPagesOf;
  static_assert(kHeadDim % 32 == 0);
  static constexpr int kThreads = kWarps * kWarp, kRows = kWarps * kRowTiles * 16, kTokens = kPages * kPage;
  static constexpr int kChunks = kHeadDim / 8;                     // of 16 bytes, a row of q or K
  static constexpr int kPitch = (2 * kHeadDim + 127) / 128 * 128;  // bytes from a row of q or K to the next
  static constexpr int kValuePage = kHeadDim * kPage * 2;          // bytes of a page of V
  static constexpr int kQueryBytes = kRows * kPitch, kKeyBytes = kTokens * kPitch, kValueBytes = kPages * kValuePage;
  // Formats of 8 bits: pages as they are stored, and the scales of the tokens in use.
  static constexpr int kStoredPage = Traits::kIs16Bit ? 0 : 2 * kPage * kHeadDim + (Traits::kHasScales ? 4 * kPage : 0);
  static constexpr int kStoredBytes = kPages * kStoredPage, kScaleBytes = Traits::kHasScales ? 2 * kTokens * 4 : 0;
  static constexpr int kSharedBytes = kQueryBytes + kKeyBytes + kValueBytes + kStoredBytes + kScaleBytes;

  // Offset of a 16-byte chunk of a row of q or K, and of a page's V.
  __device__ static __forceinline__ uint32_t row_chunk(int row, int chunk) {
    return static_cast<uint32_t>(row * kPitch + ((chunk ^ (row & 7)) * 16));
  }
  __device__ static __forceinline__ uint32_t value_chunk(int row, int chunk) {
    return static_cast<uint32_t>(row * 32 + ((chunk ^ (row >> 2 & 1)) * 16));
  }
};

// Pages [first, first + kPages) of a sequence, those before `n_pages`, into shared memory. All threads of the block
// call its members together.
template <class Tile>
struct PageCopies {
  using T = typename Tile::Element;
  const KvCache<T>& cache;
  const int32_t* table;
  int kv_head, n_pages;

  __device__ __forceinline__ const uint8_t* page(int index) const {
    return cache.page(table[min(index, n_pages - 1)], kv_head);
  }
  __device__ __forceinline__ void keys(int first, uint32_t to) const {
    static_assert(Tile::kTokens * Tile::kChunks % Tile::kThreads == 0);
#pragma unroll
    for (int i = 0; i < Tile::kTokens * Tile::kChunks / Tile::kThreads; ++i) {
      const int at = threadIdx.x + i * Tile::kThreads, token = at / Tile::kChunks, index = first + token / kPage;
      copy_async(to + Tile::row_chunk(token, at % Tile::kChunks), page(index) + at % (kPage * Tile::kChunks) * 16,
                 index < n_pages);
    }
  }
  __device__ __forceinline__ void values(int first, uint32_t to) const {
    constexpr int kPageChunks = 2 * Tile::kHeadDim;
    static_assert(Tile::kPages * kPageChunks % Tile::kThreads == 0);
#pragma unroll
    for (int i = 0; i < Tile::kPages * kPageChunks / Tile::kThreads; ++i) {
      const int at = threadIdx.x + i * Tile::kThreads, in_page = at % kPageChunks, index = first + at / kPageChunks;
      copy_async(to + at / kPageChunks * Tile::kValuePage + Tile::value_chunk(in_page / 2, in_page % 2),
                 page(index) + cache.value_offset + in_page * 16, index < n_pages);
    }
  }
  // Whole pages, as they are stored.
  __device__ __forceinline__ void stored(int first, uint32_t to) const {
    constexpr int kPageChunks = Tile::kStoredPage / 16;
    for (int at = threadIdx.x; at < Tile::kPages * kPageChunks; at += Tile::kThreads) {
      const int index = first + at / kPageChunks;
      copy_async(to + at * 16, page(index) + at % kPageChunks * 16, index < n_pages);
    }
  }
  // Those become tiles of 16 bits; `scales` (2, kTokens) of K, then of V, 0 from token n_tokens on.
  __device__ static __forceinline__ void expand(uint32_t stored, uint32_t keys, uint32_t values, float* scales,
                                                const unsigned char* stored_pages, int n_tokens) {
    constexpr int kUnits = kPage * Tile::kHeadDim / 16;  // of 16 bytes, a page's K or V
    constexpr int kRowChunks = Tile::kHeadDim / 32;
    for (int at = threadIdx.x; at < Tile::kPages * kUnits; at += Tile::kThreads) {
      const int in_page = at % kUnits, p = at / kUnits, quarter = in_page % 4;
      const uint32_t from = stored + p * Tile::kStoredPage + in_page * 16;
      Pack8 low, high;
      expand16<Tile::kFormat>(load_shared(from), low, high);
      const int group = in_page / (4 * kRowChunks), chunk = in_page / 4 % kRowChunks * 4 + quarter;
      const int token = p * kPage + 4 * (group / 2) + group % 2;
      store_shared(keys + Tile::row_chunk(token, chunk), low);
      store_shared(keys + Tile::row_chunk(token + 2, chunk), high);

      expand16<Tile::kFormat>(load_shared(from + kPage * Tile::kHeadDim), low, high);
      const int row = in_page / 32 * 32 + in_page / 4 % 8;
      const uint2 parts[4] = {{low.word[0], low.word[1]},
                              {low.word[2], low.word[3]},
                              {high.word[0], high.word[1]},
                              {high.word[2], high.word[3]}};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        store_shared(values + p * Tile::kValuePage + Tile::value_chunk(row + 8 * i, quarter / 2) + quarter % 2 * 8,
                     parts[i]);
      }
    }
    if constexpr (Tile::Traits::kHasScales) {
      for (int at = threadIdx.x; at < 2 * Tile::kTokens; at += Tile::kThreads) {
        const int token = at % Tile::kTokens;
        const auto* of_page = reinterpret_cast<const __half*>(stored_pages + token / kPage * Tile::kStoredPage +
                                                              2 * kPage * Tile::kHeadDim);
        scales[at] = token < n_tokens ? __half2float(of_page[at / Tile::kTokens * kPage + token % kPage]) : 0.0f;
      }
    }
  }
};

// Grid: head, slice, tile of rows. Heads that share K and V run side by side, and the last rows of every sequence,
// which have the longest context, start first.
template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads)
    attention_prefill_kernel(const PrefillAttentionArgs<typename Tile::Element> args) {
  using T = typename Tile::Element;
  using Operand = typename Tile::Operand;
  using Traits = typename Tile::Traits;
  constexpr int kHeadDim = Tile::kHeadDim, kRowTiles = Tile::kRowTiles, kPages = Tile::kPages;
  constexpr int kTokenTiles = Tile::kTokens / 8, kTiles = kHeadDim / 8;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int group = lane / 4, quarter = lane % 4;
  const AttentionDims& dims = args.dims;
  const int head = blockIdx.x, slice = args.first_slice + blockIdx.y, window = dims.sliding_window;
  const int first = static_cast<int>(gridDim.z - 1 - blockIdx.z) * Tile::kRows;

  extern __shared__ __align__(128) unsigned char shared[];
  const uint32_t queries = shared_address(shared), keys = queries + Tile::kQueryBytes;
  const uint32_t values = keys + Tile::kKeyBytes, stored = values + Tile::kValueBytes;
  constexpr int kStoredAt = Tile::kQueryBytes + Tile::kKeyBytes + Tile::kValueBytes;
  float* scales = reinterpret_cast<float*>(shared + kStoredAt + Tile::kStoredBytes);

  launch_dependents();
  wait_for_previous();
  const int2 rows = args.step.slices[slice];
  if (first >= rows.y) return;
  const int position0 = args.step.positions[rows.x];
  const int end = position0 + min(first + Tile::kRows, rows.y);  // tokens
  const int first_page = window > 0 ? max(0, position0 + first - window + 1) / kPage : 0;
  const PageCopies<Tile> copies{args.cache, args.step.block_table(slice), head / (dims.n_heads / dims.n_kv_heads),
                                (end + kPage - 1) / kPage};

  // q, zeros past the last row.
  const size_t stride = static_cast<size_t>(dims.n_heads + 2 * dims.n_kv_heads) * kHeadDim;
  for (int at = threadIdx.x; at < Tile::kRows * Tile::kChunks; at += Tile::kThreads) {
    const int row = at / Tile::kChunks, chunk = at % Tile::kChunks;
    const T* source = args.qkv + (rows.x + min(first + row, rows.y - 1)) * stride + head * kHeadDim + chunk * 8;
    if constexpr (std::is_same_v<T, Operand>) {
      copy_async(queries + Tile::row_chunk(row, chunk), source, first + row < rows.y);
    } else {
      float x[8];
      unpack8<T>(load_shared_operand(source), x);
      store_shared(queries + Tile::row_chunk(row, chunk), pack8<Operand>(x));
    }
  }
  if constexpr (Traits::kIs16Bit) {
    copies.keys(first_page, keys);
  } else {
    copies.stored(first_page, stored);
  }
  commit_copies();

  // This warp's rows: of the block, and the positions of the first and the last.
  const int warp_row = warp * kRowTiles * 16;
  const int warp_first = position0 + first + warp_row, warp_last = min(warp_first + kRowTiles * 16, end) - 1;
  // Where this lane's rows of the operands begin.
  const int query_row = warp_row + lane % 16, query_chunk = lane / 16;
  const int key_row = lane / 16 * 8 + lane % 8, value_row = key_row, half_chunk = lane / 8 % 2;
  const float scale = rsqrtf(static_cast<float>(kHeadDim)) * 1.44269504f * Traits::kKeyFactor;

  float acc[kRowTiles][kTiles][4] = {};
  float top[kRowTiles][2], total[kRowTiles][2] = {};
#pragma unroll
  for (int m = 0; m < kRowTiles; ++m) top[m][0] = top[m][1] = -INFINITY;

  for (int page = first_page; page < copies.n_pages; page += kPages) {
    const int first_token = page * kPage;
    // Stale memory past the last token may hold infinities: probability 0 does not silence them.
    const bool is_last = first_token + Tile::kTokens > end;
    wait_for_copies<0>();
    __syncthreads();
    if constexpr (Traits::kIs16Bit) {
      copies.values(page, values);
    } else {
      copies.expand(stored, keys, values, scales, shared + kStoredAt, end - first_token);
      __syncthreads();
      copies.stored(page + kPages, stored);
    }
    commit_copies();

    const bool is_seen =
        first_token <= warp_last && (window == 0 || first_token + Tile::kTokens > warp_first - window + 1);
    float scores[kRowTiles][kTokenTiles][4] = {};
    if (is_seen) {
#pragma unroll
      for (int j = 0; j < kHeadDim / 16; ++j) {
        uint32_t a[kRowTiles][4];
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) {
          load_matrices(a[m], queries + Tile::row_chunk(query_row + 16 * m, 2 * j + query_chunk));
        }
#pragma unroll
        for (int p = 0; p < kPages; ++p) {
          uint32_t b[4];
          load_matrices(b, keys + Tile::row_chunk(key_row + 16 * p, 2 * j + half_chunk));
#pragma unroll
          for (int m = 0; m < kRowTiles; ++m) {
            mma_16816<Operand>(scores[m][2 * p], a[m][0], a[m][1], a[m][2], a[m][3], b[0], b[1]);
            mma_16816<Operand>(scores[m][2 * p + 1], a[m][0], a[m][1], a[m][2], a[m][3], b[2], b[3]);
          }
        }
      }
    }
    if constexpr (Traits::kIs16Bit) {
      wait_for_copies<0>();
      __syncthreads();
      copies.keys(page + kPages, keys);
      commit_copies();
    }
    if (is_last) {
      for (int row = threadIdx.x; row < kHeadDim * kPages; row += Tile::kThreads) {
        const int p = row / kHeadDim, left = end - first_token - p * kPage;
        for (int token = max(left, 0); token < kPage; ++token) {
          const uint32_t at = Tile::value_chunk(row % kHeadDim, token / 8) + token % 8 * 2;
          reinterpret_cast<uint16_t*>(shared + Tile::kQueryBytes + Tile::kKeyBytes)[(p * Tile::kValuePage + at) / 2] =
              0;
        }
      }
      __syncthreads();
    }
    if (!is_seen) continue;

    // scores[m][t][2 * half + i]: row 16 m + group + 8 half of the warp, token 8 t + 2 quarter + i of the tile.
    if constexpr (Traits::kHasScales) {
#pragma unroll
      for (int t = 0; t < kTokenTiles; ++t) {
        const float2 factor = *reinterpret_cast<const float2*>(scales + 8 * t + 2 * quarter);
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
          for (int i = 0; i < 4; ++i) scores[m][t][i] *= i % 2 ? factor.y : factor.x;
        }
      }
    }
    if (first_token + Tile::kTokens - 1 > warp_first || (window > 0 && first_token < warp_last - window + 1)) {
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int position = min(warp_first + 16 * m + group + 8 * half, end - 1);
          const int oldest = window > 0 ? position - window + 1 : 0;
#pragma unroll
          for (int t = 0; t < kTokenTiles; ++t) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
              const int token = first_token + 8 * t + 2 * quarter + i;
              if (token > position || token < oldest) scores[m][t][2 * half + i] = -INFINITY;
            }
          }
        }
      }
    }

    uint32_t p[kRowTiles][kTokenTiles][2];  // probabilities, packed by two: of row group, and of row group + 8
    float correction[kRowTiles][2];
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float largest = scores[m][0][2 * half];
#pragma unroll
        for (int t = 0; t < kTokenTiles; ++t) {
          largest = fmaxf(largest, fmaxf(scores[m][t][2 * half], scores[m][t][2 * half + 1]));
        }
        largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, 1));
        largest = fmaxf(fmaxf(largest, __shfl_xor_sync(~0u, largest, 2)), top[m][half]);
        const float reference = largest == -INFINITY ? 0.0f : largest * scale;
        correction[m][half] = exp2_fast(top[m][half] * scale - reference);
        top[m][half] = largest;
        float sum = 0;
#pragma unroll
        for (int t = 0; t < kTokenTiles; ++t) {
          float x = exp2_fast(scores[m][t][2 * half] * scale - reference);
          float y = exp2_fast(scores[m][t][2 * half + 1] * scale - reference);
          sum += x + y;
          if constexpr (Traits::kHasScales) {
            const float2 factor = *reinterpret_cast<const float2*>(scales + Tile::kTokens + 8 * t + 2 * quarter);
            x *= factor.x * Traits::kProbabilityFactor;
            y *= factor.y * Traits::kProbabilityFactor;
          }
          p[m][t][half] = pack2<Operand>(x, y);
        }
        total[m][half] = total[m][half] * correction[m][half] + sum;
      }
    }
    bool moved = false;
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) moved |= correction[m][0] != 1.0f || correction[m][1] != 1.0f;
    if (__any_sync(~0u, moved)) {
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
        for (int i = 0; i < kTiles; ++i) {
#pragma unroll
          for (int c = 0; c < 4; ++c) acc[m][i][c] *= correction[m][c / 2];
        }
      }
    }
#pragma unroll
    for (int j = 0; j < kPages; ++j) {
#pragma unroll
      for (int i = 0; i < kTiles; i += 2) {
        uint32_t b[4];
        load_matrices(b, values + j * Tile::kValuePage + Tile::value_chunk(value_row + 8 * i, half_chunk));
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) {
          const auto& low = p[m][2 * j];
          const auto& high = p[m][2 * j + 1];
          mma_16816<Operand>(acc[m][i], low[0], low[1], high[0], high[1], b[0], b[1]);
          mma_16816<Operand>(acc[m][i + 1], low[0], low[1], high[0], high[1], b[2], b[3]);
        }
      }
    }
  }
  wait_for_copies<0>();

  // Out through this warp's rows of q, so that whole sectors are written.
#pragma unroll
  for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = total[m][half];
      sum += __shfl_xor_sync(~0u, sum, 1);
      sum += __shfl_xor_sync(~0u, sum, 2);
      const float inverse = Traits::kValueFactor / sum;
      const int row = warp_row + 16 * m + group + 8 * half;
#pragma unroll
      for (int i = 0; i < kTiles; ++i) {
        store_shared(queries + Tile::row_chunk(row, i) + 4 * quarter,
                     pack2<T>(acc[m][i][2 * half] * inverse, acc[m][i][2 * half + 1] * inverse));
      }
    }
  }
  __syncwarp();
#pragma unroll 4
  for (int at = lane; at < kRowTiles * 16 * Tile::kChunks; at += kWarp) {
    const int row = warp_row + at / Tile::kChunks, chunk = at % Tile::kChunks;
    if (first + row >= rows.y) break;
    *reinterpret_cast<Pack8*>(args.out + (static_cast<size_t>(rows.x + first + row) * dims.n_heads + head) * kHeadDim +
                              chunk * 8) = load_shared(queries + Tile::row_chunk(row, chunk));
  }
}

}  // namespace jsg::cuda
