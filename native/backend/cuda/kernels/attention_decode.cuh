// Decode attention: one query row a sequence, over its paged cache (flash-decoding).
//
// Moves K and V of the context once: 2 * context * head_dim * 2 bytes a KV head. A block takes one KV head of one
// sequence and one span of its context, with up to 8 query heads of that KV head together; it normalises and rotates q
// (and, in the last span, k, which it appends with v). A warp takes a page of 16 tokens: scores = q K^T and out = p V
// are tensor-core products whose operands are loaded straight from the cache; columns and tokens are permuted so that
// each lane's share is contiguous. Warps are merged through shared memory, spans by the block that finishes last.
#pragma once
#include "backend/cuda/kernels/kv.cuh"

namespace jsg::cuda {

inline constexpr int kDecodeWarps = 8;
inline constexpr int kShortestSpan = 256;  // tokens: below it, merging costs more than it gains
inline constexpr int kMaxGroup = 8;        // query heads a block takes

template <class T>
struct DecodeAttentionArgs {
  const T* qkv;  // (n, (n_heads + 2 n_kv_heads) * head_dim)
  T* out;        // (n, n_heads * head_dim)
  KvCache<T> cache;
  StepView step;
  AttentionDims dims;
  const float* q_norm;  // (head_dim) or null
  const float* k_norm;
  float* partial;      // (n, n_kv_heads, spans, group, head_dim + 2): acc, max, sum
  uint32_t* finished;  // (n, n_kv_heads), 0 between steps
};

// A lane's elements of one head: chunk j holds columns 32 j + 8 quarter + 0..7.
template <class T, int kHeadDim>
struct HeadShare {
  static constexpr int kChunks = kHeadDim / 32;
  float x[kChunks][8];

  __device__ __forceinline__ void load(const T* head, int quarter) {
#pragma unroll
    for (int j = 0; j < kChunks; ++j) unpack8<T>(load_shared_operand(head + 32 * j + 8 * quarter), x[j]);
  }
  // RMS norm where there is a weight, then the rotation. The four lanes of a head call it together.
  __device__ __forceinline__ void norm_rotate(const float* norm, const float2* rotation, bool interleaved, float eps,
                                              int quarter) {
    if (norm) {
      float squares = 0;
#pragma unroll
      for (int j = 0; j < kChunks; ++j) {
#pragma unroll
        for (int i = 0; i < 8; ++i) squares += x[j][i] * x[j][i];
      }
      squares += __shfl_xor_sync(~0u, squares, 1);
      squares += __shfl_xor_sync(~0u, squares, 2);
      const float factor = rsqrtf(squares / kHeadDim + eps);
#pragma unroll
      for (int j = 0; j < kChunks; ++j) {
#pragma unroll
        for (int i = 0; i < 8; ++i) x[j][i] *= factor * norm[32 * j + 8 * quarter + i];
      }
    }
    if (interleaved) {
#pragma unroll
      for (int j = 0; j < kChunks; ++j) {
#pragma unroll
        for (int i = 0; i < 8; i += 2) rotate(x[j][i], x[j][i + 1], rotation[(32 * j + 8 * quarter + i) / 2]);
      }
    } else {
      // The partner, half a head away, is in the same lane.
#pragma unroll
      for (int j = 0; j < kChunks / 2; ++j) {
#pragma unroll
        for (int i = 0; i < 8; ++i) rotate(x[j][i], x[j + kChunks / 2][i], rotation[32 * j + 8 * quarter + i]);
      }
    }
  }
  __device__ __forceinline__ static void rotate(float& a, float& b, float2 r) {
    const float rotated = a * r.x - b * r.y;
    b = a * r.y + b * r.x;
    a = rotated;
  }
};

template <class T, int kHeadDim>
__global__ void __launch_bounds__(kDecodeWarps* kWarp) attention_decode_kernel(const DecodeAttentionArgs<T> args) {
  constexpr int kChunks = kHeadDim / 32;  // 16-byte loads of a lane from a row of K
  constexpr int kTiles = kHeadDim / 8;    // products of a page with V
  const int span = blockIdx.x, kv_head = blockIdx.y, n = blockIdx.z;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int group = lane / 4, quarter = lane % 4;
  const AttentionDims& dims = args.dims;
  const int n_group = dims.n_heads / dims.n_kv_heads;

  // Everything but q and this token's k and v was written by earlier steps: it is fetched while the product that makes
  // them still runs.
  const int position = args.step.positions[n];
  if (position < 0) return;
  const int first = dims.sliding_window > 0 ? max(0, position - dims.sliding_window + 1) : 0;
  const int first_page = first / kPage, n_pages = position / kPage + 1 - first_page;
  const int even = (n_pages + gridDim.x - 1) / gridDim.x;
  const int span_pages = max(kShortestSpan / kPage, even);
  const int n_spans = (n_pages + span_pages - 1) / span_pages;
  const int begin = first_page + span * span_pages, end = min(first_page + n_pages, begin + span_pages);
  const int32_t* table = args.step.block_table(args.step.sequences[n]);
  const float2* rotation = args.step.rotations + static_cast<size_t>(n) * (kHeadDim / 2);
  const T* qkv = args.qkv + static_cast<size_t>(n) * (dims.n_heads + 2 * dims.n_kv_heads) * kHeadDim;

  // Scores come in two tiles of 8 tokens; column g of tile t is token 4 (g / 2) + g % 2 + 2 t of the page, so that lane
  // quarter q ends up with the probabilities of tokens 4 q .. 4 q + 3, which are 8 contiguous bytes of a row of V.
  const int token_of_lane = 4 * (group / 2) + group % 2;
  Pack8 ks[2][kChunks];
  uint2 vs[kTiles];
  auto load_page = [&](int page) {
    const int block = table[page];
    const T* k = args.cache.k(block, kv_head) + token_of_lane * kHeadDim + 8 * quarter;
    const T* v = args.cache.v(block, kv_head) + group * kPage + 4 * quarter;
#pragma unroll
    for (int t = 0; t < 2; ++t) {
#pragma unroll
      for (int j = 0; j < kChunks; ++j) ks[t][j] = load_shared_operand(k + 2 * t * kHeadDim + 32 * j);
    }
#pragma unroll
    for (int i = 0; i < kTiles; ++i) vs[i] = load_shared_operand8(v + 8 * i * kPage);
  };
  if (begin + warp < end) load_page(begin + warp);
  for (int page = begin + warp + kDecodeWarps; page < min(end, begin + kShortestSpan / kPage); page += kDecodeWarps) {
    const T* base = args.cache.k(table[page], kv_head);
    for (int i = lane * 64; i < 2 * kPage * kHeadDim; i += kWarp * 64) prefetch_l2(base + i);
  }

  wait_for_previous();
  launch_dependents();  // only now: kernels that start early may then rely on all that came before this one
  if (span >= n_spans) return;

  // The span that ends with this token appends it.
  if (end == first_page + n_pages) {
    if (warp == 0) {
      const T* head = qkv + (dims.n_heads + kv_head) * kHeadDim;
      HeadShare<T, kHeadDim> k;
      k.load(head, quarter);
      k.norm_rotate(args.k_norm, rotation, dims.interleaved, dims.eps, quarter);
      const int block = table[position / kPage], slot = position % kPage;
      if (group == 0) {
#pragma unroll
        for (int j = 0; j < kChunks; ++j) {
          *reinterpret_cast<Pack8*>(args.cache.k(block, kv_head) + slot * kHeadDim + 32 * j + 8 * quarter) =
              pack8<T>(k.x[j]);
        }
      }
      const T* v = head + static_cast<size_t>(dims.n_kv_heads) * kHeadDim;
      for (int i = lane; i < kHeadDim; i += kWarp) args.cache.v(block, kv_head)[i * kPage + slot] = v[i];
    }
    __syncthreads();
    // What was fetched early lacks this token.
    if (begin + warp == end - 1) load_page(begin + warp);
  }

  // q as the first operand: row g is query head g of the group, in base 2 (the scores' scale times log2(e)).
  uint32_t q[kChunks][4];
  {
    HeadShare<T, kHeadDim> share;
    share.load(qkv + (kv_head * n_group + min(group, n_group - 1)) * kHeadDim, quarter);
    share.norm_rotate(args.q_norm, rotation, dims.interleaved, dims.eps, quarter);
    const float scale = rsqrtf(static_cast<float>(kHeadDim)) * 1.44269504f;
#pragma unroll
    for (int j = 0; j < kChunks; ++j) {
#pragma unroll
      for (int i = 0; i < 8; ++i) share.x[j][i] *= scale;
      const Pack8 packed = pack8<T>(share.x[j]);
#pragma unroll
      for (int i = 0; i < 4; ++i) q[j][i] = packed.word[i];
    }
  }

  float acc[kTiles][4] = {};  // rows: heads group (0, 1) and group + 8 (2, 3, unused); columns 8 i + 2 quarter + 0..1
  float top = -INFINITY, total = 0;
  for (int page = begin + warp; page < end; page += kDecodeWarps) {
    if (page != begin + warp) load_page(page);
    float scores[2][4] = {};
#pragma unroll
    for (int t = 0; t < 2; ++t) {
#pragma unroll
      for (int j = 0; j < kChunks; ++j) {
        mma_16816<T>(scores[t], q[j][0], 0, q[j][1], 0, ks[t][j].word[0], ks[t][j].word[1]);
        mma_16816<T>(scores[t], q[j][2], 0, q[j][3], 0, ks[t][j].word[2], ks[t][j].word[3]);
      }
    }
    // scores[t][i] is token 4 quarter + 2 t + i of the page.
    const int token = page * kPage + 4 * quarter;
    if (page == end - 1 || page * kPage < first) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if (token + i > position || token + i < first) scores[i / 2][i % 2] = -INFINITY;
      }
      // Stale memory may hold infinities: probability 0 does not silence them.
      const uint32_t low = (token <= position ? 0xffffu : 0) | (token + 1 <= position ? 0xffff0000u : 0);
      const uint32_t high = (token + 2 <= position ? 0xffffu : 0) | (token + 3 <= position ? 0xffff0000u : 0);
#pragma unroll
      for (int i = 0; i < kTiles; ++i) {
        vs[i].x &= low;
        vs[i].y &= high;
      }
    }
    float new_top = fmaxf(fmaxf(scores[0][0], scores[0][1]), fmaxf(scores[1][0], scores[1][1]));
    new_top = fmaxf(new_top, __shfl_xor_sync(~0u, new_top, 1));
    new_top = fmaxf(fmaxf(new_top, __shfl_xor_sync(~0u, new_top, 2)), top);
    const float reference = new_top == -INFINITY ? 0.0f : new_top;
    const float correction = exp2f(top - reference);
    top = new_top;
    float p[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) p[i] = exp2f(scores[i / 2][i % 2] - reference);
    total = total * correction + (p[0] + p[1]) + (p[2] + p[3]);
    const uint32_t p_low = pack2<T>(p[0], p[1]), p_high = pack2<T>(p[2], p[3]);
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      acc[i][0] *= correction;
      acc[i][1] *= correction;
      mma_16816<T>(acc[i], p_low, 0, p_high, 0, vs[i].x, vs[i].y);
    }
  }
  total += __shfl_xor_sync(~0u, total, 1);
  total += __shfl_xor_sync(~0u, total, 2);

  __shared__ float shared_acc[kDecodeWarps][kMaxGroup][kHeadDim];
  __shared__ float shared_top[kDecodeWarps][kMaxGroup], shared_total[kDecodeWarps][kMaxGroup];
#pragma unroll
  for (int i = 0; i < kTiles; ++i) {
    *reinterpret_cast<float2*>(&shared_acc[warp][group][8 * i + 2 * quarter]) = make_float2(acc[i][0], acc[i][1]);
  }
  if (quarter == 0) {
    shared_top[warp][group] = top;
    shared_total[warp][group] = total;
  }
  __syncthreads();
  T* out = args.out + (static_cast<size_t>(n) * dims.n_heads + static_cast<size_t>(kv_head) * n_group) * kHeadDim;
  const size_t unit = static_cast<size_t>(n) * dims.n_kv_heads + kv_head;
  float* partial = args.partial + unit * gridDim.x * n_group * (kHeadDim + 2);
  for (int i = threadIdx.x; i < n_group * kHeadDim; i += blockDim.x) {
    const int g = i / kHeadDim, d = i % kHeadDim;
    float block_top = -INFINITY, sum = 0, value = 0;
#pragma unroll
    for (int s = 0; s < kDecodeWarps; ++s) block_top = fmaxf(block_top, shared_top[s][g]);
#pragma unroll
    for (int s = 0; s < kDecodeWarps; ++s) {
      const float weight = exp2f(shared_top[s][g] - block_top);
      sum += weight * shared_total[s][g];
      value += weight * shared_acc[s][g][d];
    }
    if (n_spans == 1) {
      out[i] = from_float<T>(value / sum);
    } else {
      float* mine = partial + (span * n_group + g) * (kHeadDim + 2);
      mine[d] = value;
      if (d == 0) {
        mine[kHeadDim] = block_top;
        mine[kHeadDim + 1] = sum;
      }
    }
  }
  if (n_spans == 1) return;

  // The block that finishes last merges the spans.
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
  for (int i = threadIdx.x; i < n_group * kHeadDim; i += blockDim.x) {
    const int g = i / kHeadDim, d = i % kHeadDim;
    float all_top = -INFINITY, sum = 0, value = 0;
    for (int s = 0; s < n_spans; ++s)
      all_top = fmaxf(all_top, __ldcg(partial + (s * n_group + g) * (kHeadDim + 2) + kHeadDim));
    for (int s = 0; s < n_spans; ++s) {
      const float* theirs = partial + (s * n_group + g) * (kHeadDim + 2);
      const float weight = exp2f(__ldcg(theirs + kHeadDim) - all_top);
      sum += weight * __ldcg(theirs + kHeadDim + 1);
      value += weight * __ldcg(theirs + d);
    }
    out[i] = from_float<T>(value / sum);
  }
}

}  // namespace jsg::cuda
