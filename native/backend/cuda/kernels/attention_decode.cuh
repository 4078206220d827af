// Decode attention: one query row a sequence, over its paged cache (flash-decoding).
//
// Moves K and V of the context once. A block takes one KV head of one sequence and one span of its context, with all
// query heads of that KV head together. On the way of a token through a layer nothing else is as short as this kernel,
// so it is written for latency: whatever earlier steps have written (pages, tables, angles) is in registers or on its
// way to level-2 cache before the product that makes q, k and v has ended. Then q, k and v are prepared, a warp a head,
// and each warp attends to its pages; k and v of the row itself are put in their place, and appended to the cache, by
// the warp that has the last page.
//
// How spans and warps share the context, and how they are merged: attention_spans.cuh.
#pragma once
#include "backend/cuda/kernels/attention_spans.cuh"

namespace jsg::cuda {

inline constexpr int kMaxDecodeGroup = 16;  // query heads of a KV head

template <class T>
struct DecodeAttentionArgs {
  const T* qkv;  // (n, (n_heads + 2 n_kv_heads) * head_dim)
  T* out;        // (n, n_heads * head_dim)
  KvCache<T> cache;
  StepView step;
  AttentionDims dims;
  const float* q_norm;  // (head_dim) or null
  const float* k_norm;
  int least_pages;      // of a span
  SpanScratch scratch;  // units: (n, n_kv_heads)
};

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
  SpanShared<kHeadDim, kHeads> spans;
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

template <class T, KvFormat kFormat, int kHeadDim, int kHeadTiles>
__global__ void __launch_bounds__(kDecodeThreads, decode_blocks_per_sm(kFormat, kHeadDim, kHeadTiles))
    attention_decode_kernel(const DecodeAttentionArgs<T> args) {
  using Shared = DecodeShared<T, kFormat, kHeadDim, kHeadTiles>;
  constexpr int kHalfDim = kHeadDim / 2;
  extern __shared__ __align__(16) uint8_t shared_bytes[];
  auto& shared = *reinterpret_cast<Shared*>(shared_bytes);
  const int kv_head = blockIdx.y, n = blockIdx.z, warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int group = lane / 4, quarter = lane % 4;
  const AttentionDims& dims = args.dims;
  const int n_group = dims.n_heads / dims.n_kv_heads;

  const int position = args.step.positions[n];
  if (position < 0) return;
  const int first = dims.sliding_window > 0 ? max(0, position - dims.sliding_window + 1) : 0;
  const Span<kHeadDim, Shared::kHeads> span(first, position, args.least_pages, n_group, !args.scratch.partial);
  if (span.is_idle()) return;
  span.open(shared.spans);

  // Everything but q and this token's k and v was written by earlier steps: it is fetched while the product that makes
  // them still runs.
  const int32_t* table = args.step.block_table(n);
  PageWalk<T, kFormat, kHeadDim, kHeadTiles> walk(args.cache, table, kv_head, span.begin, span.end, warp, lane);
  walk.load();
  walk.prefetch();
  DecodeHeads<T, kFormat, kHeadDim, kHeadTiles> heads;
  heads.load_angles(args.step.rotations + static_cast<size_t>(n) * kHalfDim, lane);
  if (kHeadTiles == 1) {  // the second eight of the heads are zero
    for (int i = threadIdx.x; i < 8 * shared.queries.kRowWords; i += kDecodeThreads) shared.queries.words[0][i] = 0;
    __syncthreads();
  }

  wait_for_previous();
  launch_dependents();  // only now: kernels that start early may then rely on all that came before this one

  if (span.is_active) {
    const int n_heads = n_group + (span.is_last() ? 2 : 0);
    heads.load(args.qkv + static_cast<size_t>(n) * (dims.n_heads + 2 * dims.n_kv_heads) * kHeadDim, dims, kv_head,
               n_group, n_heads, warp, lane);
    heads.prepare(args, n_group, n_heads, warp, lane, shared);
    __syncthreads();

    DecodeState<T, kFormat, kHeadDim, kHeadTiles> state;
    auto holds_own = [&](int token) { return token + kPage > position; };
    walk.run(
        state, shared.queries,
        [&](auto& page, int token) {
          if (holds_own(token)) page.put_key(shared.own, position - token, group, quarter);
        },
        [&](auto& page, int token) {
          if (holds_own(token)) page.put_value(shared.own, position - token, group, quarter);
        },
        [&](auto& scores, int token) {
          if (token >= first && !holds_own(token)) return;
#pragma unroll
          for (int i = 0; i < 4 * kHeadTiles; ++i) {
            const int at = token + 4 * quarter + i % 4;
            if (at < first || at > position) scores[i / 4][i % 4] = -INFINITY;
          }
        });
    state.store(shared.spans.stats[warp], shared.spans.acc[warp], group, quarter);
    __syncthreads();
  }

  // Outputs, two columns at a time.
  const int unit = n * dims.n_kv_heads + kv_head;
  auto* out = reinterpret_cast<uint32_t*>(args.out + static_cast<size_t>(unit) * n_group * kHeadDim);
  span.merge_all(
      shared.spans, args.scratch, unit,
      [&](int i, float2 value, float sum) {
        const float factor = __fdividef(KvTraits<T, kFormat>::kValueFactor, sum);
        out[i] = pack2<T>(value.x * factor, value.y * factor);
      },
      // Only now: nothing waits for it but the next step.
      [&] {
        if (!span.is_last()) return;
        uint8_t* last = args.cache.page(table[position / kPage], kv_head);
        shared.own.append(last, args.cache.value_offset, position % kPage, threadIdx.x, kDecodeThreads);
      });
}

}  // namespace jsg::cuda
