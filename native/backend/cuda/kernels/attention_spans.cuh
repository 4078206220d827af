// Spans of a context: which pages a block and its warps take, how a warp walks over its own, and how what all of them
// found becomes one output (flash-decoding).
//
// A block answers for some heads of queries over one span of one context, with one KV head. Its warps take the span's
// pages in turn and are merged through shared memory. Spans are merged through the shared memory of a cluster of blocks
// (sm >= 90), or through global memory by the block that finishes last.
#pragma once
#include "backend/cuda/kernels/cluster.cuh"
#include "backend/cuda/kernels/decode_page.cuh"

namespace jsg::cuda {

inline constexpr int kDecodeWarps = 4;
inline constexpr int kDecodeThreads = kDecodeWarps * kWarp;
inline constexpr int kPagesAhead = 1;  // of a warp, on their way to level-2 cache

// Of one span, for the merge: pairs of columns of the output not yet divided, then top and sum of each head.
__host__ __device__ constexpr int partial_size(int n_heads, int head_dim) { return n_heads * (head_dim / 2 + 1); }

// Where spans that are not a cluster are merged.
struct SpanScratch {
  float2* partial;     // null: the spans are a cluster. (units, spans, partial_size()) where a unit is what spans share
  uint32_t* finished;  // (units), 0 between steps; unless null as well
};

template <int kHeadDim, int kHeads>
struct SpanShared {
  float2 stats[kDecodeWarps][kHeads];                         // of each warp: top (in base 2) and sum
  alignas(16) float acc[kDecodeWarps][kHeads][kHeadDim + 4];  // padded, so that lanes meet different banks
  // In a cluster: each span's part of the outputs that this block merges.
  Mailbox mailbox;
  float2 part_values[kHeads * kHeadDim / 2 + kMaxCluster];
  float2 part_stats[kMaxCluster][kHeads];
};

// Merges parts of a softmax: stats_of(i) is the top and the sum of part i, value_of(i) two columns of its output,
// relative to that top and not yet divided by any sum.
template <class Stats, class Value>
__device__ __forceinline__ float2 merge(int n_parts, Stats stats_of, Value value_of, float2* stats) {
  float top = -INFINITY, sum = 0;
  for (int i = 0; i < n_parts; ++i) top = fmaxf(top, stats_of(i).x);
  float2 merged{};
  for (int i = 0; i < n_parts; ++i) {
    const float2 part = stats_of(i), value = value_of(i);
    const float weight = exp2_fast(part.x - top);
    sum += weight * part.y;
    merged.x += weight * value.x;
    merged.y += weight * value.y;
  }
  *stats = {top, sum};
  return merged;
}

// This block's span, blockIdx.x of gridDim.x, of tokens [first, last].
template <int kHeadDim, int kHeads>
struct Span {
  using Shared = SpanShared<kHeadDim, kHeads>;
  static constexpr int kHalfDim = kHeadDim / 2;
  int begin, end;  // pages
  int n_heads;     // of queries that are wanted
  int index, n_blocks, n_spans;
  bool is_active;     // has pages
  bool in_cluster;    // takes part in a merge of a cluster, where even a block without pages has a share
  int share, n_mine;  // in a cluster, this block merges outputs index * share + 0..n_mine, of pairs of columns

  __device__ __forceinline__ Span(int first, int last, int least_pages, int heads, bool are_clusters)
      : n_heads(heads), index(blockIdx.x), n_blocks(gridDim.x) {
    const int first_page = first / kPage, n_pages = last / kPage + 1 - first_page;
    const int span_pages = max(least_pages, (n_pages + n_blocks - 1) / n_blocks);
    n_spans = (n_pages + span_pages - 1) / span_pages;
    begin = first_page + index * span_pages;
    end = min(first_page + n_pages, begin + span_pages);
    is_active = index < n_spans;
    in_cluster = are_clusters && n_spans > 1;
    share = (n_pairs() + n_blocks - 1) >> log_blocks();
    n_mine = max(0, min(share, n_pairs() - index * share));
  }
  __device__ __forceinline__ int n_pairs() const { return n_heads * kHalfDim; }
  __device__ __forceinline__ int log_blocks() const { return 31 - __clz(n_blocks); }
  __device__ __forceinline__ bool is_idle() const { return !is_active && !in_cluster; }
  __device__ __forceinline__ bool is_last() const { return index == n_spans - 1; }

  // Before anything is sent to this block.
  __device__ __forceinline__ void open(Shared& shared) const {
    if (!in_cluster) return;
    if (threadIdx.x == 0) {
      // What the others will send: the outputs, and the stats of each head among them.
      const int heads = n_mine > 0 ? (index * share + n_mine - 1) / kHalfDim - index * share / kHalfDim + 1 : 0;
      shared.mailbox.open(n_spans * (n_mine + heads) * sizeof(float2));
    }
    __syncwarp();
    cluster_arrive();
  }

  // Of all warps and all spans. finish(i, value, sum): takes the outputs 2 i and 2 i + 1 of the heads, one after the
  // other, which have to be divided by the sum; once for each. before_wait(): what may be done while others finish.
  template <class Finish, class BeforeWait>
  __device__ __forceinline__ void merge_all(Shared& shared, const SpanScratch& scratch, int unit, Finish finish,
                                            BeforeWait before_wait) const {
    auto merge_warps = [&](int i, float2* stats) {
      const int g = i / kHalfDim, column = 2 * (i % kHalfDim);
      return merge(
          kDecodeWarps, [&](int w) { return shared.stats[w][g]; },
          [&](int w) { return *reinterpret_cast<const float2*>(&shared.acc[w][g][column]); }, stats);
    };
    float2 stats;
    if (n_spans == 1) {
      for (int i = threadIdx.x; i < n_pairs(); i += kDecodeThreads) {
        const float2 value = merge_warps(i, &stats);
        finish(i, value, stats.y);
      }
      before_wait();
      return;
    }

    if (in_cluster) {
      // Each block merges a share of the outputs; so many threads of each other send it theirs.
      const int n_senders = kDecodeThreads >> log_blocks(), to = threadIdx.x * n_blocks / kDecodeThreads;
      cluster_wait();
      if (is_active) {
        for (int j = threadIdx.x & (n_senders - 1); j < share && to * share + j < n_pairs(); j += n_senders) {
          const int i = to * share + j;
          const float2 value = merge_warps(i, &stats);
          shared.mailbox.send(to, &shared.part_values[index * share + j], value);
          if (j == 0 || i % kHalfDim == 0) shared.mailbox.send(to, &shared.part_stats[index][i / kHalfDim], stats);
        }
      }
      before_wait();
      shared.mailbox.wait();
      for (int j = threadIdx.x; j < n_mine; j += kDecodeThreads) {
        const int i = index * share + j;
        const float2 value = merge(
            n_spans, [&](int s) { return shared.part_stats[s][i / kHalfDim]; },
            [&](int s) { return shared.part_values[s * share + j]; }, &stats);
        finish(i, value, stats.y);
      }
      return;
    }

    // The block that finishes last merges all.
    before_wait();
    const int size = partial_size(n_heads, kHeadDim);
    float2* partial = scratch.partial + static_cast<size_t>(unit) * n_blocks * size;
    for (int i = threadIdx.x; i < n_pairs(); i += kDecodeThreads) {
      partial[index * size + i] = merge_warps(i, &stats);
      if (i % kHalfDim == 0) partial[index * size + n_pairs() + i / kHalfDim] = stats;
    }
    __shared__ bool finishes;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
      finishes = atomicAdd(&scratch.finished[unit], 1u) == static_cast<uint32_t>(n_spans - 1);
      if (finishes) scratch.finished[unit] = 0;
    }
    __syncthreads();
    if (!finishes) return;
    __threadfence();
    for (int i = threadIdx.x; i < n_pairs(); i += kDecodeThreads) {
      const float2 value = merge(
          n_spans, [&](int s) { return __ldcg(partial + s * size + n_pairs() + i / kHalfDim); },
          [&](int s) { return __ldcg(partial + s * size + i); }, &stats);
      finish(i, value, stats.y);
    }
  }
};

// A warp's pages of a span, every kDecodeWarps-th of them: the next one is on its way while one is attended to.
template <class T, KvFormat kFormat, int kHeadDim, int kHeadTiles>
struct PageWalk {
  using State = DecodeState<T, kFormat, kHeadDim, kHeadTiles>;
  using Page = DecodePage<T, kFormat, kHeadDim>;
  const KvCache<T>& cache;
  const int32_t* table;
  int kv_head, lane, at, end;
  const uint8_t *current = nullptr, *next = nullptr;
  Page page;

  __device__ __forceinline__ PageWalk(const KvCache<T>& cache, const int32_t* table, int kv_head, int begin, int end,
                                      int warp, int lane)
      : cache(cache), table(table), kv_head(kv_head), lane(lane), at(begin + warp), end(end) {}

  __device__ __forceinline__ bool is_over() const { return at >= end; }
  // The first page.
  __device__ __forceinline__ void load() {
    if (is_over()) return;
    current = cache.page(table[at], kv_head);
    page.load_keys(current, cache.value_offset, lane / 4, lane % 4);
    page.load_values(current, cache.value_offset, lane / 4, lane % 4);
  }
  __device__ __forceinline__ void prefetch() {
    if (is_over()) return;
#pragma unroll
    for (int i = kPagesAhead; i > 0; --i) {
      if (at + i * kDecodeWarps >= end) continue;
      next = cache.page(table[at + i * kDecodeWarps], kv_head);
      prefetch_page(next, cache.page_bytes, lane);
    }
  }

  // on_keys(page, token), on_values(page, token): before K and V of the page that begins with the token are used;
  // mask(scores, token): before its scores are.
  template <class OnKeys, class OnValues, class Mask>
  __device__ __forceinline__ void run(State& state, const Queries<T, kFormat, kHeadDim>& queries, OnKeys on_keys,
                                      OnValues on_values, Mask mask) {
    const int group = lane / 4, quarter = lane % 4;
    while (!is_over()) {
      const int token = at * kPage;
      on_keys(page, token);
      float sums[2][2][4] = {}, scores[kHeadTiles][4];
      State::multiply(page, queries, group, quarter, sums);
      on_values(page, token);
      State::score(page, sums, scores);
      at += kDecodeWarps;
      current = next;
      if (!is_over()) page.load_keys(current, cache.value_offset, group, quarter);
      mask(scores, token);
      state.add(page, scores, quarter);
      if (is_over()) break;
      page.load_values(current, cache.value_offset, group, quarter);
      if (at + kDecodeWarps < end) next = cache.page(table[at + kDecodeWarps], kv_head);
      if (at + kPagesAhead * kDecodeWarps < end) {
        prefetch_page(cache.page(table[at + kPagesAhead * kDecodeWarps], kv_head), cache.page_bytes, lane);
      }
    }
  }
};

}  // namespace jsg::cuda
