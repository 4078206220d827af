// Decode attention: one query row a sequence, over its paged cache (flash-decoding).
//
// Moves K and V of the context once. A block takes one KV head of one sequence and one span of its context, with all
// query heads of that KV head together. On the way of a token through a layer nothing else is as short as this kernel,
// so it is written for latency: whatever earlier steps have written (pages, tables, angles) is in registers or on its
// way to level-2 cache before the product that makes q, k and v has ended. Then q, k and v are prepared, a warp a head,
// and each warp attends to its pages; k and v of the row itself are put in their place, and appended to the cache, by
// the warp that has the last page.
//
// Warps are merged through shared memory. Spans are merged through the shared memory of a cluster of blocks (sm >= 90),
// or through global memory by the block that finishes last.
#pragma once
#include "backend/cuda/kernels/cluster.cuh"
#include "backend/cuda/kernels/decode_page.cuh"

namespace jsg::cuda {

inline constexpr int kMaxDecodeGroup = 16;  // query heads of a KV head
inline constexpr int kDecodeWarps = 4;
inline constexpr int kDecodeThreads = kDecodeWarps * kWarp;
inline constexpr int kPagesAhead = 1;  // of a warp, on their way to level-2 cache

template <class T>
struct DecodeAttentionArgs {
  const T* qkv;  // (n, (n_heads + 2 n_kv_heads) * head_dim)
  T* out;        // (n, n_heads * head_dim)
  KvCache<T> cache;
  StepView step;
  AttentionDims dims;
  const float* q_norm;  // (head_dim) or null
  const float* k_norm;
  int least_pages;     // of a span
  float2* partial;     // null: the spans are a cluster. (n, n_kv_heads, spans, partial_size())
  uint32_t* finished;  // (n, n_kv_heads), 0 between steps; unless null as well
};

// Of one span, for the merge: pairs of columns of the output not yet divided, then top and sum of each head.
__host__ __device__ constexpr int partial_size(int n_group, int head_dim) { return n_group * (head_dim / 2 + 1); }

// As many blocks on an SM as registers allow: a lane holds 1/32 of a page, and of the output.
constexpr int decode_blocks_per_sm(KvFormat format, int head_dim, int head_tiles) {
  if (head_tiles == 2) return head_dim > 64 ? 2 : 3;
  return format == KvFormat::k16Bit && head_dim > 64 ? 3 : 4;
}

// kHeadTiles: 1 for up to 8 query heads of a KV head, 2 for up to 16.
template <class T, KvFormat kFormat, int kHeadDim, int kHeadTiles>
struct DecodeShared {
  static constexpr int kHeads = 8 * kHeadTiles;
  Queries<T, kFormat, kHeadDim> queries;
  OwnToken<T, kFormat, kHeadDim> own;
  float2 stats[kDecodeWarps][kHeads];                         // of each warp: top (in base 2) and sum
  alignas(16) float acc[kDecodeWarps][kHeads][kHeadDim + 4];  // padded, so that lanes meet different banks
  // In a cluster: each span's part of the outputs that this block merges.
  Mailbox mailbox;
  float2 part_values[kHeads * kHeadDim / 2 + kMaxCluster];
  float2 part_stats[kMaxCluster][kHeads];
};

// q of a KV head, and k and v, loaded together, then normalised, rotated and left in shared memory. Head i is q of
// query head i; the last two, if they are wanted, are k and v. A warp takes heads warp, warp + 4, ...; a lane of it
// rotary pairs lane, lane + 32, ...
template <class T, KvFormat kFormat, int kHeadDim, int kHeadTiles>
struct DecodeHeads {
  using Shared = DecodeShared<T, kFormat, kHeadDim, kHeadTiles>;
  static constexpr int kRounds = (Shared::kHeads + 2 + kDecodeWarps - 1) / kDecodeWarps;
  static constexpr int kPairs = kHeadDim / 2 / kWarp;
  float2 angles[kPairs];
  T a[kRounds][kPairs], b[kRounds][kPairs];

  static __device__ __forceinline__ int column_a(int pair, bool interleaved) { return interleaved ? 2 * pair : pair; }
  static __device__ __forceinline__ int column_b(int pair, bool interleaved) {
    return interleaved ? 2 * pair + 1 : pair + kHeadDim / 2;
  }

  __device__ __forceinline__ void load_angles(const float2* rotations, int lane) {
#pragma unroll
    for (int p = 0; p < kPairs; ++p) angles[p] = rotations[lane + p * kWarp];
  }
  __device__ __forceinline__ void load(const T* row, const AttentionDims& dims, int kv_head, int n_group, int n_heads,
                                       int warp, int lane) {
#pragma unroll
    for (int round = 0; round < kRounds; ++round) {
      const int head = warp + round * kDecodeWarps;
      if (head >= n_heads) break;
      const int source =
          head < n_group ? kv_head * n_group + head : dims.n_heads + (head - n_group) * dims.n_kv_heads + kv_head;
#pragma unroll
      for (int p = 0; p < kPairs; ++p) {
        a[round][p] = row[source * kHeadDim + column_a(lane + p * kWarp, dims.interleaved)];
        b[round][p] = row[source * kHeadDim + column_b(lane + p * kWarp, dims.interleaved)];
      }
    }
  }
  __device__ __forceinline__ void prepare(const DecodeAttentionArgs<T>& args, int n_group, int n_heads, int warp,
                                          int lane, Shared& shared) const {
    const bool interleaved = args.dims.interleaved;
#pragma unroll
    for (int round = 0; round < kRounds; ++round) {
      const int head = warp + round * kDecodeWarps;
      if (head >= n_heads) break;
      float x[kPairs], y[kPairs];
#pragma unroll
      for (int p = 0; p < kPairs; ++p) {
        x[p] = to_float(a[round][p]);
        y[p] = to_float(b[round][p]);
      }
      const bool is_v = head == n_group + 1;
      if (!is_v) norm_rotate(head < n_group ? args.q_norm : args.k_norm, args.dims, lane, x, y);
      float inverse_scale = 0;
      if (KvTraits<T, kFormat>::kHasScales && head >= n_group) {
        float largest = 0;
#pragma unroll
        for (int p = 0; p < kPairs; ++p) {
          largest = fmaxf(largest, fmaxf(fabsf(to_float(from_float<T>(x[p]))), fabsf(to_float(from_float<T>(y[p])))));
        }
        const __half scale = int8_scale(warp_max(largest));
        inverse_scale = inverse_of(scale);
        if (lane == 0) shared.own.scales[is_v] = scale;
      }
#pragma unroll
      for (int p = 0; p < kPairs; ++p) {
        const int column_x = column_a(lane + p * kWarp, interleaved),
                  column_y = column_b(lane + p * kWarp, interleaved);
        if (head < n_group) {
          shared.queries.put(head, column_x, x[p]);
          shared.queries.put(head, column_y, y[p]);
        } else {
          auto* target = is_v ? shared.own.v : shared.own.k;
          target[column_x] = shared.own.stored(x[p], inverse_scale);
          target[column_y] = shared.own.stored(y[p], inverse_scale);
        }
      }
    }
  }

 private:
  __device__ __forceinline__ void norm_rotate(const float* norm, const AttentionDims& dims, int lane,
                                              float (&x)[kPairs], float (&y)[kPairs]) const {
    float factor = 1;
    if (norm) {
      float squares = 0;
#pragma unroll
      for (int p = 0; p < kPairs; ++p) squares += x[p] * x[p] + y[p] * y[p];
      factor = rsqrtf(warp_sum(squares) / kHeadDim + dims.eps);
    }
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
      if (norm) {
        x[p] *= factor * norm[column_a(lane + p * kWarp, dims.interleaved)];
        y[p] *= factor * norm[column_b(lane + p * kWarp, dims.interleaved)];
      }
      const float turned = x[p] * angles[p].x - y[p] * angles[p].y;
      y[p] = x[p] * angles[p].y + y[p] * angles[p].x;
      x[p] = turned;
    }
  }
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
    const float weight = exp2_approx(part.x - top);
    sum += weight * part.y;
    merged.x += weight * value.x;
    merged.y += weight * value.y;
  }
  *stats = {top, sum};
  return merged;
}

template <class T, KvFormat kFormat, int kHeadDim, int kHeadTiles>
__global__ void __launch_bounds__(kDecodeThreads, decode_blocks_per_sm(kFormat, kHeadDim, kHeadTiles))
    attention_decode_kernel(const DecodeAttentionArgs<T> args) {
  using Shared = DecodeShared<T, kFormat, kHeadDim, kHeadTiles>;
  constexpr int kHalfDim = kHeadDim / 2;
  extern __shared__ __align__(16) uint8_t shared_bytes[];
  auto& shared = *reinterpret_cast<Shared*>(shared_bytes);
  const int span = blockIdx.x, n_blocks = gridDim.x, kv_head = blockIdx.y, n = blockIdx.z;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int group = lane / 4, quarter = lane % 4;
  const AttentionDims& dims = args.dims;
  const int n_group = dims.n_heads / dims.n_kv_heads;

  const int position = args.step.positions[n];
  if (position < 0) return;
  const int first = dims.sliding_window > 0 ? max(0, position - dims.sliding_window + 1) : 0;
  const int first_page = first / kPage, n_pages = position / kPage + 1 - first_page;
  const int span_pages = max(args.least_pages, (n_pages + n_blocks - 1) / n_blocks);
  const int n_spans = (n_pages + span_pages - 1) / span_pages;
  const int begin = first_page + span * span_pages, end = min(first_page + n_pages, begin + span_pages);
  const bool is_active = span < n_spans, in_cluster = args.partial == nullptr && n_spans > 1;
  if (!is_active && !in_cluster) return;
  // In a cluster, this block merges outputs span * share + 0..n_mine, of pairs of columns.
  const int log_blocks = 31 - __clz(n_blocks), share = (n_group * kHalfDim + n_blocks - 1) >> log_blocks;
  const int n_mine = max(0, min(share, n_group * kHalfDim - span * share));
  if (in_cluster) {
    if (threadIdx.x == 0) {
      // What the senders below send: the outputs, and the stats of each head among them.
      const int n_heads = n_mine > 0 ? (span * share + n_mine - 1) / kHalfDim - span * share / kHalfDim + 1 : 0;
      shared.mailbox.open(n_spans * (n_mine + n_heads) * sizeof(float2));
    }
    __syncwarp();
    cluster_arrive();
  }

  // Everything but q and this token's k and v was written by earlier steps: it is fetched while the product that makes
  // them still runs.
  const int32_t* table = args.step.block_table(n);
  DecodePage<T, kFormat, kHeadDim> page;
  int at = begin + warp;
  const uint8_t *current = nullptr, *next = nullptr;
  if (at < end) {
    current = args.cache.page(table[at], kv_head);
    page.load_keys(current, args.cache.value_offset, group, quarter);
    page.load_values(current, args.cache.value_offset, group, quarter);
#pragma unroll
    for (int i = kPagesAhead; i > 0; --i) {
      if (at + i * kDecodeWarps >= end) continue;
      next = args.cache.page(table[at + i * kDecodeWarps], kv_head);
      prefetch_page(next, args.cache.page_bytes, lane);
    }
  }
  DecodeHeads<T, kFormat, kHeadDim, kHeadTiles> heads;
  heads.load_angles(args.step.rotations + static_cast<size_t>(n) * kHalfDim, lane);
  if (kHeadTiles == 1) {  // the second eight of the heads are zero
    for (int i = threadIdx.x; i < 8 * shared.queries.kRowWords; i += kDecodeThreads) shared.queries.words[0][i] = 0;
    __syncthreads();
  }

  wait_for_previous();
  launch_dependents();  // only now: kernels that start early may then rely on all that came before this one

  if (is_active) {
    const int n_heads = n_group + (span == n_spans - 1 ? 2 : 0);
    heads.load(args.qkv + static_cast<size_t>(n) * (dims.n_heads + 2 * dims.n_kv_heads) * kHeadDim, dims, kv_head,
               n_group, n_heads, warp, lane);
    heads.prepare(args, n_group, n_heads, warp, lane, shared);
    __syncthreads();

    using State = DecodeState<T, kFormat, kHeadDim, kHeadTiles>;
    State state;
    while (at < end) {
      const int token = at * kPage, mine = token + 4 * quarter;  // the lane's first token
      const bool is_last = token + kPage > position;
      if (is_last) page.put_key(shared.own, position - token, group, quarter);
      float sums[2][2][4] = {}, scores[kHeadTiles][4];
      State::multiply(page, shared.queries, group, quarter, sums);
      if (is_last) page.put_value(shared.own, position - token, group, quarter);
      State::score(page, sums, scores);
      at += kDecodeWarps;
      current = next;
      if (at < end) {
        page.load_keys(current, args.cache.value_offset, group, quarter);
      }
      if (token < first || is_last) {
#pragma unroll
        for (int i = 0; i < 4 * kHeadTiles; ++i) {
          if (mine + i % 4 < first || mine + i % 4 > position) scores[i / 4][i % 4] = -INFINITY;
        }
      }
      state.add(page, scores, quarter);
      if (at < end) {
        page.load_values(current, args.cache.value_offset, group, quarter);
        if (at + kDecodeWarps < end) next = args.cache.page(table[at + kDecodeWarps], kv_head);
        if (at + kPagesAhead * kDecodeWarps < end) {
          prefetch_page(args.cache.page(table[at + kPagesAhead * kDecodeWarps], kv_head), args.cache.page_bytes, lane);
        }
      }
    }
    state.store(shared.stats[warp], shared.acc[warp], group, quarter);
    __syncthreads();
  }

  // Outputs, two columns at a time.
  const int n_pairs = n_group * kHalfDim;
  const size_t unit = static_cast<size_t>(n) * dims.n_kv_heads + kv_head;
  T* out = args.out + unit * n_group * kHeadDim;
  auto finish = [&](int i, float2 value, float sum) {
    const float factor = __fdividef(KvTraits<T, kFormat>::kValueFactor, sum);
    reinterpret_cast<uint32_t*>(out)[i] = pack2<T>(value.x * factor, value.y * factor);
  };
  // Only now: nothing waits for it but the next step.
  auto append = [&] {
    if (span != n_spans - 1) return;
    uint8_t* last = args.cache.page(table[position / kPage], kv_head);
    shared.own.append(last, args.cache.value_offset, position % kPage, threadIdx.x, kDecodeThreads);
  };
  auto merge_warps = [&](int i, float2* stats) {
    const int g = i / kHalfDim, column = 2 * (i % kHalfDim);
    return merge(
        kDecodeWarps, [&](int w) { return shared.stats[w][g]; },
        [&](int w) { return *reinterpret_cast<const float2*>(&shared.acc[w][g][column]); }, stats);
  };
  float2 stats;
  if (n_spans == 1) {
    for (int i = threadIdx.x; i < n_pairs; i += kDecodeThreads) {
      const float2 value = merge_warps(i, &stats);
      finish(i, value, stats.y);
    }
    append();
    return;
  }

  if (in_cluster) {
    // Each block merges a share of the outputs; so many threads of each other send it theirs.
    const int n_senders = kDecodeThreads >> log_blocks, to = threadIdx.x * n_blocks / kDecodeThreads;
    cluster_wait();
    if (is_active) {
      for (int j = threadIdx.x & (n_senders - 1); j < share && to * share + j < n_pairs; j += n_senders) {
        const int i = to * share + j;
        const float2 value = merge_warps(i, &stats);
        shared.mailbox.send(to, &shared.part_values[span * share + j], value);
        if (j == 0 || i % kHalfDim == 0) shared.mailbox.send(to, &shared.part_stats[span][i / kHalfDim], stats);
      }
    }
    append();
    shared.mailbox.wait();
    for (int j = threadIdx.x; j < n_mine; j += kDecodeThreads) {
      const int i = span * share + j;
      const float2 value = merge(
          n_spans, [&](int s) { return shared.part_stats[s][i / kHalfDim]; },
          [&](int s) { return shared.part_values[s * share + j]; }, &stats);
      finish(i, value, stats.y);
    }
    return;
  }

  // The block that finishes last merges all.
  append();
  const int size = partial_size(n_group, kHeadDim);
  float2* partial = args.partial + unit * n_blocks * size;
  for (int i = threadIdx.x; i < n_pairs; i += kDecodeThreads) {
    partial[span * size + i] = merge_warps(i, &stats);
    if (i % kHalfDim == 0) partial[span * size + n_pairs + i / kHalfDim] = stats;
  }
  __shared__ bool is_last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    is_last = atomicAdd(&args.finished[unit], 1u) == static_cast<uint32_t>(n_spans - 1);
    if (is_last) args.finished[unit] = 0;
  }
  __syncthreads();
  if (!is_last) return;
  __threadfence();
  for (int i = threadIdx.x; i < n_pairs; i += kDecodeThreads) {
    const float2 value = merge(
        n_spans, [&](int s) { return __ldcg(partial + s * size + n_pairs + i / kHalfDim); },
        [&](int s) { return __ldcg(partial + s * size + i); }, &stats);
    finish(i, value, stats.y);
  }
}

}  // namespace jsg::cuda
