// Sampling on the device: what its kernels share. Each row of logits is cut into tiles, a block a tile, and the last
// block of a row to arrive puts the row together; so one row keeps many processors busy, and many rows keep all.
//
//   scan    the greatest logit and the sum of weights: greedy rows and rows without filters are done   (1 pass)
//   narrow  top_p: a histogram of weights finds the bin in which the nucleus ends                       (1 pass)
//   cut     top_k, top_p: the exact value at which the kept tokens end, from the few logits of that bin; with a small
//           top_k they are all that is kept, and the token is drawn at once                           (1 pass)
//   draw    the token that u falls on among the tokens above the cut, ids ascending                     (1 pass)
//
// A pass reads rows * vocab * 4 bytes, which the lm_head has just left in the level-2 cache. Weights are
// exp((logit - max) / temperature), so the greatest is 1. Where sums decide what is kept they are integers (weights in
// units of 2^-40), which makes them independent of the order in which blocks and threads arrive.
#pragma once
#include <cfloat>

#include "backend/cuda/kernels/common.cuh"
#include "model/model.h"

namespace jsg::cuda {

inline constexpr int kSamplingThreads = 256;
inline constexpr int kSamplingWarps = kSamplingThreads / kWarp;
inline constexpr int kPerThread = 16;
inline constexpr int kTile = kSamplingThreads * kPerThread;
inline constexpr int kMaxTiles = 64;   // a vocabulary of 262,144
inline constexpr int kGroupLanes = 4;  // lanes whose logits of a tile form a group
inline constexpr int kGroupsPerTile = kSamplingThreads / kGroupLanes;
inline constexpr int kMaxListed = kTile;        // logits in which the end of the kept tokens is looked for at once
inline constexpr int kBins = kSamplingThreads;  // a thread a bin

using Packed = unsigned long long;  // a logit in order-preserving bits << 32 | ~id: the maximum is the first in rank
using Amount = unsigned long long;  // a number of tokens, or a sum of weights in units of 2^-40
inline constexpr Packed kPackedNaN = ~Packed{0};

// One adjustment of one logit.
struct SamplingEntry {
  int32_t token;
  union {
    float value;          // of a bias
    int32_t n_generated;  // of a token seen
  };
};

// RowSampling as it travels; its entries are those of the bias (ascending), then the tokens seen, then the masked.
struct SamplingRow {
  double u;
  float scale;  // 1 / temperature; 0: greedy
  float top_p, min_p;
  int32_t top_k;  // 0: off
  float repetition_penalty, frequency_penalty, presence_penalty;
  int32_t unseen_row;
  int16_t top_logprobs;
  int16_t plain;       // greedy and nothing else: `best` will do
  int32_t first_mask;  // of its mask's words, in units of 16 bytes; -1: any token may be sampled
  int32_t n_bias, n_seen, n_masked;
  uint32_t first_entry;

  __host__ __device__ bool limits() const { return top_k > 0 || top_p < 1; }
  __host__ __device__ bool filters() const { return limits() || min_p > 0; }
  __host__ __device__ bool adjusts() const { return n_bias > 0 || n_seen > 0 || n_masked > 0 || unseen_row >= 0; }
};
static_assert(sizeof(SamplingRow) == 64);

// What scan and draw leave of a tile. Weights are relative to the tile's own maximum in scan, to the row's in draw.
struct TileSummary {
  Packed best;
  double mass;           // sum of weights (in draw: above the cut)
  double first, second;  // sums of weight * d and weight * d^2, d = (max - logit) / temperature
  uint32_t ties;         // logits at the cut
};

// The kept tokens: those above `value`, and of those equal to it the `n_ties` with the lowest ids.
struct Cut {
  float value;
  uint32_t n_ties;
};

// A row on its way through the kernels. Zero at first; `arrived` returns to zero by itself.
struct RowState {
  uint32_t arrived;
  uint32_t open;  // whether the token is still to be drawn
  Packed best;
  Cut cut;
  // The cut is one of the logits x >= low with bin_of(x) == bin.
  float low, step;
  int32_t bin;
  uint32_t n_listed;          // such logits; the first kMaxListed of them, in no order, are in the list
  uint32_t min_key, max_key;  // of them
  Amount target;              // tokens or weight to be kept, less what is above the bin
};

struct UnseenToken {
  int32_t token;
  float logit;
};

struct SamplingResults {  // in pinned host memory
  static constexpr int kMaxRows = 512;
  static constexpr int kMaxTop = 32;
  int32_t tokens[kMaxRows];
  float logprobs[kMaxRows];
  TopLogprob top[kMaxRows][kMaxTop];
};

struct SamplingView {
  float* logits;                 // (n_rows, vocab)
  const Packed* best;            // (n_rows) or null
  const SamplingRow* rows;       // (n_rows)
  const SamplingEntry* entries;  // of all rows
  const uint4* masks;            // words of tokens that rows allow: bit i % 32 of word i / 32 is token i
  float* unmasked;               // (n_rows, vocab) logits before masks, of rows with masks and log-probabilities
  float* saved;                  // logits of the entries, before they were adjusted
  UnseenToken* unseen;           // (n_rows)
  RowState* states;              // (n_rows)
  TileSummary* tiles;            // (n_rows, n_tiles)
  float* group_max;              // (n_rows, n_tiles * kGroupsPerTile)
  float* list;                   // (n_rows, kMaxListed)
  int32_t* list_ids;             // the same
  Amount* histogram;             // (n_rows, kBins), zero between kernels
  int32_t* tokens;               // (n_rows)
  SamplingResults* results;
  int n_rows, vocab, n_tiles;

  __device__ const float* row(int n) const { return logits + static_cast<size_t>(n) * vocab; }
  __device__ void emit(int n, int32_t token) const {
    tokens[n] = token;
    results->tokens[n] = token;
  }
};

// --- order ---

// Bits that compare as the floats do; -0 is 0.
__device__ __forceinline__ uint32_t order_key(float x) {
  const uint32_t bits = __float_as_uint(x + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float key_value(uint32_t key) {
  return __uint_as_float(key & 0x80000000u ? key ^ 0x80000000u : ~key);
}
__device__ __forceinline__ Packed pack(float x, int id) {
  return static_cast<Packed>(order_key(x)) << 32 | (0xffffffffu - static_cast<uint32_t>(id));
}
__device__ __forceinline__ float packed_value(Packed best) { return key_value(static_cast<uint32_t>(best >> 32)); }
__device__ __forceinline__ int32_t packed_id(Packed best) {
  return static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(best));
}
// The token of a greedy row; -1 when a logit is NaN or the greatest is not finite.
__device__ __forceinline__ int32_t packed_token(Packed best) {
  return best != kPackedNaN && isfinite(packed_value(best)) ? packed_id(best) : -1;
}

// --- weights ---

// exp(scaled) for scaled <= 0, in the arithmetic of exp_negative() (runtime/logits.cpp), unfused: host and device agree
// to the bit on what a token weighs, and so on which tokens are kept.
__device__ __forceinline__ float weight(float scaled) {
  constexpr float kRound = 12582912.0f;
  const float a = fmaxf(scaled, -87.0f);
  const float shifted = __fadd_rn(__fmul_rn(a, 1.44269504f), kRound);
  const float n = __fsub_rn(shifted, kRound);
  const float r = __fadd_rn(__fsub_rn(a, __fmul_rn(n, 0.693359375f)), __fmul_rn(n, 2.12194440e-4f));
  float p = 1.9875691500e-4f;
  p = __fadd_rn(__fmul_rn(p, r), 1.3981999507e-3f);
  p = __fadd_rn(__fmul_rn(p, r), 8.3334519073e-3f);
  p = __fadd_rn(__fmul_rn(p, r), 4.1665795894e-2f);
  p = __fadd_rn(__fmul_rn(p, r), 1.6666665459e-1f);
  p = __fadd_rn(__fmul_rn(p, r), 5.0000001201e-1f);
  p = __fadd_rn(__fadd_rn(__fmul_rn(__fmul_rn(p, r), r), r), 1.0f);
  const float result = __int_as_float(__float_as_int(p) + (__float_as_int(shifted) << 23));
  return scaled < -87.0f ? 0.0f : result;
}
__device__ __forceinline__ float weight(float x, float max, float scale) {
  return weight(__fmul_rn(__fsub_rn(x, max), scale));
}
inline constexpr float kLog2E = 1.44269504f;

inline constexpr float kAmountUnits = 0x1p40f;
__device__ __forceinline__ Amount to_amount(float weight) { return __float2ull_rz(weight * kAmountUnits); }

// --- loads ---

// values[id .. id + 3] of n, -inf past the end. Past the level-1 cache: other blocks may have written them just now.
__device__ __forceinline__ void load4(const float* values, int n, int id, float* x) {
  if (id + 4 <= n && reinterpret_cast<uintptr_t>(values + id) % 16 == 0) {
    const float4 four = __ldcg(reinterpret_cast<const float4*>(values + id));
    x[0] = four.x, x[1] = four.y, x[2] = four.z, x[3] = four.w;
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) x[i] = id + i < n ? __ldcg(values + id + i) : -INFINITY;
}

// The id of element `i` of a thread's share of a tile: neighbouring threads hold neighbouring fours.
__device__ __forceinline__ int id_of(int tile, int i) {
  return tile * kTile + i / 4 * (kTile / 4) + static_cast<int>(threadIdx.x) * 4 + i % 4;
}
__device__ __forceinline__ void load_tile(const float* values, int n, int tile, float (&x)[kPerThread]) {
#pragma unroll
  for (int i = 0; i < kPerThread; i += 4) load4(values, n, id_of(tile, i), x + i);
}
// The same tile with kPerThread ids in a row for each thread: in the order of ids.
__device__ __forceinline__ int run_id(int tile) { return tile * kTile + static_cast<int>(threadIdx.x) * kPerThread; }
__device__ __forceinline__ void load_run(const float* values, int n, int tile, float (&x)[kPerThread]) {
#pragma unroll
  for (int i = 0; i < kPerThread; i += 4) load4(values, n, run_id(tile) + i, x + i);
}

__device__ __forceinline__ TileSummary load_summary(const TileSummary* from) {
  return {__ldcg(&from->best), __ldcg(&from->mass), __ldcg(&from->first), __ldcg(&from->second), __ldcg(&from->ties)};
}

// --- a block together ---

struct Maximum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};
struct Minimum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a < b ? a : b;
  }
};
struct Plus {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

// The same in every thread.
template <class Op, class T>
__device__ __forceinline__ T block_reduce(T x) {
  __shared__ T warps[kSamplingWarps];
  const Op op;
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x = op(x, __shfl_xor_sync(~0u, x, offset));
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = x;
  __syncthreads();
  x = warps[0];
#pragma unroll
  for (int i = 1; i < kSamplingWarps; ++i) x = op(x, warps[i]);
  __syncthreads();
  return x;
}

template <class T>
struct Scan {
  T upto;  // sum over this thread and those before it
  T total;
};
template <class T>
__device__ __forceinline__ Scan<T> block_scan(T x) {
  __shared__ T warps[kSamplingWarps];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
#pragma unroll
  for (int offset = 1; offset < kWarp; offset *= 2) {
    const T y = __shfl_up_sync(~0u, x, offset);
    if (lane >= offset) x += y;
  }
  if (lane == kWarp - 1) warps[warp] = x;
  __syncthreads();
  T total = 0;
#pragma unroll
  for (int i = 0; i < kSamplingWarps; ++i) {
    if (i == warp) x += total;
    total += warps[i];
  }
  __syncthreads();
  return {x, total};
}

// Whether this block is the last of its row to arrive. It then sees what the others have written.
__device__ __forceinline__ bool arrives_last(RowState& state) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(&state.arrived, 1u) == gridDim.x - 1;
    if (last) state.arrived = 0;
  }
  __syncthreads();
  if (last) __threadfence();
  return last;
}

// --- histograms ---

// Sums of 64 bits from atomics of 32, which shared memory has.
struct Histogram {
  uint32_t low[kBins], high[kBins];

  __device__ void clear() { low[threadIdx.x] = high[threadIdx.x] = 0; }
  __device__ void add(int bin, Amount amount) {
    const uint32_t low_part = static_cast<uint32_t>(amount);
    const uint32_t before = atomicAdd(&low[bin], low_part);
    const uint32_t high_part = static_cast<uint32_t>(amount >> 32) + (before + low_part < low_part ? 1 : 0);
    if (high_part != 0) atomicAdd(&high[bin], high_part);
  }
  __device__ Amount at(int bin) const { return static_cast<Amount>(high[bin]) << 32 | low[bin]; }
};

struct Crossing {
  int bin;
  Amount above;  // in the bins above it
};
// From the greatest bin down, the one in which the running sum reaches `target`, or the last with anything in it.
// `amount` is that of bin kBins - 1 - threadIdx.x.
__device__ __forceinline__ Crossing find_crossing(Amount amount, Amount target) {
  __shared__ Crossing crossing;
  if (threadIdx.x == 0) crossing = {0, 0};
  const Scan<Amount> scan = block_scan(amount);
  target = min(max(target, Amount{1}), scan.total);
  const Amount above = scan.upto - amount;
  if (above < target && target <= scan.upto) crossing = {kBins - 1 - static_cast<int>(threadIdx.x), above};
  __syncthreads();
  const Crossing result = crossing;
  __syncthreads();
  return result;
}

}  // namespace jsg::cuda
