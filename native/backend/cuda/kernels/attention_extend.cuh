// Extend attention: a few query rows a sequence over its paged cache, which already holds their own k and v: drafts to
// be verified, tokens that a grammar forces, the last rows of a prompt whose beginning was found in the cache.
//
// As decode attention moves K and V of a context once for all query heads of a KV head, this one does for all heads of
// a tile of neighbouring rows: 16 queries at most, which is what the tensor cores take at a time. The context is shared
// out to spans and warps in the same way, so that a few rows behind a long context keep a whole GPU busy, and the
// launch depends on nothing but numbers of rows and tiles, so that it can be recorded.
#pragma once
#include "backend/cuda/kernels/attention_spans.cuh"

namespace jsg::cuda {

inline constexpr int kExtendQueries = 16;  // heads of rows that a block takes together
inline constexpr float kUnseen = -1e30f;   // score of a token behind a row, or out of its window

// Rows of a tile, where a KV head has so many query heads.
constexpr int extend_rows(int group) { return group >= kExtendQueries ? 1 : kExtendQueries / group; }

template <class T>
struct ExtendAttentionArgs {
  const T* qkv;  // (n_rows, (n_heads + 2 n_kv_heads) * head_dim), q rotated
  T* out;        // (n_rows, n_heads * head_dim)
  KvCache<T> cache;
  StepView step;
  AttentionDims dims;
  int least_pages;      // of a span
  SpanScratch scratch;  // units: (n_tiles, n_kv_heads)
};

constexpr int extend_blocks_per_sm(int head_dim) { return head_dim > 64 ? 2 : 3; }

template <class T, KvFormat kFormat, int kHeadDim>
struct ExtendShared {
  Queries<T, kFormat, kHeadDim> queries;
  SpanShared<kHeadDim, kExtendQueries> spans;
};

// Query i is head i % n_group of row i / n_group.
template <class T, KvFormat kFormat, int kHeadDim>
__device__ __forceinline__ void load_queries(const ExtendAttentionArgs<T>& args, int first_row, int n_queries,
                                             int n_group, int kv_head, Queries<T, kFormat, kHeadDim>& queries) {
  constexpr int kChunks = kHeadDim / 8;
  const int width = (args.dims.n_heads + 2 * args.dims.n_kv_heads) * kHeadDim;
#pragma unroll
  for (int i = threadIdx.x; i < kExtendQueries * kChunks; i += kDecodeThreads) {
    const int query = i / kChunks, column = i % kChunks * 8;
    float values[8] = {};
    if (query < n_queries) {
      const T* row = args.qkv + static_cast<size_t>(first_row + query / n_group) * width;
      unpack8<T>(load_shared_operand(row + (kv_head * n_group + query % n_group) * kHeadDim + column), values);
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) queries.put(query, column + j, values[j]);
  }
}

template <class T, KvFormat kFormat, int kHeadDim>
__global__ void __launch_bounds__(kDecodeThreads, extend_blocks_per_sm(kHeadDim))
    attention_extend_kernel(const ExtendAttentionArgs<T> args) {
  constexpr int kHalfDim = kHeadDim / 2, kHeadTiles = kExtendQueries / 8;
  using Shared = ExtendShared<T, kFormat, kHeadDim>;
  extern __shared__ __align__(16) uint8_t shared_bytes[];
  auto& shared = *reinterpret_cast<Shared*>(shared_bytes);
  const int kv_head = blockIdx.y, warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int group = lane / 4, quarter = lane % 4;
  const AttentionDims& dims = args.dims;
  const int n_group = dims.n_heads / dims.n_kv_heads;

  const int2 rows = args.step.tiles[blockIdx.z];
  if (rows.y == 0) return;
  const int slice = args.step.sequences[rows.x], position = args.step.positions[rows.x], last = position + rows.y - 1;
  const int window = dims.sliding_window > 0 ? dims.sliding_window : last + 1;
  const int n_queries = rows.y * n_group;
  const Span<kHeadDim, kExtendQueries> span(max(0, position - window + 1), last, args.least_pages, n_queries,
                                            !args.scratch.partial);
  if (span.is_idle()) return;
  span.open(shared.spans);

  // Pages before those of this step's rows were written by earlier steps: fetched while q is still made.
  const int32_t* table = args.step.block_table(slice);
  PageWalk<T, kFormat, kHeadDim, kHeadTiles> walk(args.cache, table, kv_head, span.begin, span.end, warp, lane);
  const int first_own = position - (rows.x - args.step.slices[slice].x);
  const bool is_early = (walk.at + 1) * kPage <= first_own;
  if (is_early) walk.load();
  walk.prefetch();

  wait_for_previous();
  launch_dependents();  // only now, as decode attention

  if (span.is_active) {
    if (!is_early) walk.load();
    load_queries(args, rows.x, n_queries, n_group, kv_head, shared.queries);
    __syncthreads();

    // Of the rows of the queries group and group + 8.
    int positions[kHeadTiles];
#pragma unroll
    for (int h = 0; h < kHeadTiles; ++h) positions[h] = min(position + (group + 8 * h) / n_group, last);
    DecodeState<T, kFormat, kHeadDim, kHeadTiles> state;
    walk.run(
        state, shared.queries, [](auto&, int) {},
        [&](auto& page, int token) {
          if (token + kPage > last) page.keep_values(last + 1 - token, quarter);
        },
        [&](auto& scores, int token) {
          if (token + kPage <= position + 1 && token > last - window) return;
#pragma unroll
          for (int i = 0; i < 4 * kHeadTiles; ++i) {
            const int at = token + 4 * quarter + i % 4, own = positions[i / 4];
            // Not infinite: a row may see nothing of what a warp has.
            if (at > own || at <= own - window) scores[i / 4][i % 4] = kUnseen;
          }
        });
    state.store(shared.spans.stats[warp], shared.spans.acc[warp], group, quarter);
    __syncthreads();
  }

  T* out = args.out + (static_cast<size_t>(rows.x) * dims.n_heads + kv_head * n_group) * kHeadDim;
  span.merge_all(
      shared.spans, args.scratch, static_cast<int>(blockIdx.z) * dims.n_kv_heads + kv_head,
      [&](int i, float2 value, float sum) {
        const float factor = __fdividef(KvTraits<T, kFormat>::kValueFactor, sum);
        const int query = i / kHalfDim;
        T* head = out + (static_cast<size_t>(query / n_group) * dims.n_heads + query % n_group) * kHeadDim;
        reinterpret_cast<uint32_t*>(head)[i % kHalfDim] = pack2<T>(value.x * factor, value.y * factor);
      },
      [] {});
}

}  // namespace jsg::cuda
