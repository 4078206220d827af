// What surrounds the passes over the logits: rows of plain greedy tokens, the way of the parameters to the device,
// adjustments, log-probabilities.
#pragma once
#include "backend/cuda/kernels/sampling_select.cuh"

namespace jsg::cuda {

// Tokens from what the lm_head kernel has found: 12 bytes a row.
__global__ void __launch_bounds__(kSamplingThreads) greedy_kernel(const SamplingView view) {
  launch_dependents();
  wait_for_previous();
  const int row = blockIdx.x * kSamplingThreads + threadIdx.x;
  if (row < view.n_rows) view.emit(row, packed_token(view.best[row]));
}

// Copies n units from pinned host memory. Reads nothing that earlier kernels write, so it does not wait for them; but
// it ends after them, as whatever comes next relies on.
__global__ void __launch_bounds__(kSamplingThreads) fetch_kernel(const uint4* from, uint4* to, int n) {
  launch_dependents();
  for (int i = blockIdx.x * kSamplingThreads + threadIdx.x; i < n; i += gridDim.x * kSamplingThreads) to[i] = from[i];
  wait_for_previous();
}

// --- adjustments ---

__device__ __forceinline__ float penalize(float x, const SamplingRow& sampling, int n_generated) {
  x = x > 0 ? __fdiv_rn(x, sampling.repetition_penalty) : __fmul_rn(x, sampling.repetition_penalty);
  if (n_generated == 0) return x;
  const float frequency = __fmul_rn(sampling.frequency_penalty, static_cast<float>(n_generated));
  return __fsub_rn(x, __fadd_rn(frequency, sampling.presence_penalty));
}

// Applies a row's bias, penalties and masks to its logits, after saving what it changes if log-probabilities are
// wanted. A block a row.
__global__ void __launch_bounds__(kSamplingThreads) adjust_kernel(const SamplingView view) {
  launch_dependents();
  wait_for_previous();
  const int row = blockIdx.x;
  const SamplingRow sampling = view.rows[row];
  if (!sampling.adjusts()) return;
  float* const logits = view.logits + static_cast<size_t>(row) * view.vocab;
  const SamplingEntry* const bias = view.entries + sampling.first_entry;
  const SamplingEntry* const seen = bias + sampling.n_bias;
  const SamplingEntry* const masked = seen + sampling.n_seen;
  const int n_entries = sampling.n_bias + sampling.n_seen + sampling.n_masked;
  const auto is_token = [&](int32_t token) { return token >= 0 && token < view.vocab; };
  const int32_t unseen = sampling.unseen_row >= 0 ? view.tokens[sampling.unseen_row] : -1;

  if (sampling.top_logprobs >= 0) {
    for (int i = threadIdx.x; i < n_entries; i += kSamplingThreads) {
      if (is_token(bias[i].token)) view.saved[sampling.first_entry + i] = logits[bias[i].token];
    }
    if (threadIdx.x == 0) view.unseen[row] = {unseen, is_token(unseen) ? logits[unseen] : 0.0f};
    __syncthreads();
  }
  for (int i = threadIdx.x; i < sampling.n_bias; i += kSamplingThreads) {
    const int32_t token = bias[i].token;
    if (!is_token(token) || (i > 0 && bias[i - 1].token == token)) continue;
    // A token may repeat; one thread adds all of it, in order.
    float x = logits[token];
    for (int j = i; j < sampling.n_bias && bias[j].token == token; ++j) x = __fadd_rn(x, bias[j].value);
    logits[token] = x;
  }
  __syncthreads();
  bool has_unseen = false;
  for (int i = threadIdx.x; i < sampling.n_seen; i += kSamplingThreads) {
    const int32_t token = seen[i].token;
    if (!is_token(token)) continue;
    has_unseen |= token == unseen;
    logits[token] = penalize(logits[token], sampling, seen[i].n_generated + (token == unseen ? 1 : 0));
  }
  has_unseen = __syncthreads_or(has_unseen);
  if (threadIdx.x == 0 && is_token(unseen) && !has_unseen) logits[unseen] = penalize(logits[unseen], sampling, 1);
  __syncthreads();
  for (int i = threadIdx.x; i < sampling.n_masked; i += kSamplingThreads) {
    if (is_token(masked[i].token)) logits[masked[i].token] = kMaskedLogit;
  }
}

// Masks the logits of tokens that a row's grammar does not allow, after keeping them if log-probabilities are wanted.
// Reads and writes a tile a block, and its 512 bytes of mask. Grid (n_tiles, n_rows).
__global__ void __launch_bounds__(kSamplingThreads) mask_kernel(const SamplingView view) {
  launch_dependents();
  wait_for_previous();
  const int row = blockIdx.y;
  const SamplingRow sampling = view.rows[row];
  if (sampling.first_mask < 0) return;
  const auto* const words = reinterpret_cast<const uint32_t*>(view.masks + sampling.first_mask);
  float* const logits = view.logits + static_cast<size_t>(row) * view.vocab;
  float* const kept = sampling.top_logprobs < 0 ? nullptr : view.unmasked + static_cast<size_t>(row) * view.vocab;
  const int first = blockIdx.x * kTile, last = min(first + kTile, view.vocab);
  for (int id = first + static_cast<int>(threadIdx.x); id < last; id += kSamplingThreads) {
    const float x = logits[id];
    if (kept != nullptr) kept[id] = x;
    if ((words[id / 32] >> (id % 32) & 1) == 0) logits[id] = kMaskedLogit;
  }
}

// Takes the masks off again, for the log-probabilities. Grid (n_tiles, n_rows).
__global__ void __launch_bounds__(kSamplingThreads) unmask_kernel(const SamplingView view) {
  launch_dependents();
  wait_for_previous();
  const int row = blockIdx.y;
  const SamplingRow sampling = view.rows[row];
  if (sampling.first_mask < 0 || sampling.top_logprobs < 0) return;
  float* const logits = view.logits + static_cast<size_t>(row) * view.vocab;
  const float* const kept = view.unmasked + static_cast<size_t>(row) * view.vocab;
  const int first = blockIdx.x * kTile, last = min(first + kTile, view.vocab);
  for (int id = first + static_cast<int>(threadIdx.x); id < last; id += kSamplingThreads) logits[id] = kept[id];
}

// Puts the saved logits back, for the log-probabilities. A block a row.
__global__ void __launch_bounds__(kSamplingThreads) restore_kernel(const SamplingView view) {
  launch_dependents();
  wait_for_previous();
  const int row = blockIdx.x;
  const SamplingRow sampling = view.rows[row];
  if (!sampling.adjusts() || sampling.top_logprobs < 0) return;
  float* const logits = view.logits + static_cast<size_t>(row) * view.vocab;
  const int n_entries = sampling.n_bias + sampling.n_seen + sampling.n_masked;
  for (int i = threadIdx.x; i < n_entries; i += kSamplingThreads) {
    const int32_t token = view.entries[sampling.first_entry + i].token;
    if (token >= 0 && token < view.vocab) logits[token] = view.saved[sampling.first_entry + i];
  }
  const UnseenToken unseen = view.unseen[row];
  if (threadIdx.x == 0 && unseen.token >= 0) logits[unseen.token] = unseen.logit;
}

// --- log-probabilities ---

// The first in rank of a tile that comes after `bound`.
__device__ __forceinline__ Packed best_after(const SamplingView& view, int row, int tile, Packed bound) {
  float x[kPerThread];
  load_tile(view.row(row), view.vocab, tile, x);
  Packed best = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const int id = id_of(tile, i);
    const Packed packed = pack(x[i], id);
    if (id < view.vocab && packed < bound) best = max(best, packed);
  }
  return block_reduce<Maximum>(best);
}

// The log-probability of each row's token, and the likeliest tokens with theirs: one after the other, the best of the
// tiles' bests, whose tile is then asked for its next. Grid (n_tiles, n_rows).
__global__ void __launch_bounds__(kSamplingThreads) score_kernel(const SamplingView view) {
  __shared__ Packed next[kMaxTiles];
  launch_dependents();
  wait_for_previous();
  const int row = blockIdx.y, tile = blockIdx.x;
  const int n_top = view.rows[row].top_logprobs;
  if (n_top < 0) return;
  float x[kPerThread];
  load_tile(view.row(row), view.vocab, tile, x);
  Packed best = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const int id = id_of(tile, i);
    if (id < view.vocab) best = max(best, x[i] != x[i] ? kPackedNaN : pack(x[i], id));
  }
  TileSummary summary{};
  summary.best = block_reduce<Maximum>(best);
  const float reference = packed_value(summary.best);
  float mass = 0;
  if (isfinite(reference)) {
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) mass += weight(x[i], reference, 1.0f);
  }
  summary.mass = block_reduce<Plus>(static_cast<double>(mass));
  TileSummary* const summaries = view.tiles + static_cast<size_t>(row) * view.n_tiles;
  if (threadIdx.x == 0) summaries[tile] = summary;
  if (!arrives_last(view.states[row])) return;

  summary = {};
  if (static_cast<int>(threadIdx.x) < view.n_tiles) summary = load_summary(summaries + threadIdx.x);
  if (threadIdx.x < kMaxTiles) next[threadIdx.x] = summary.best;
  best = block_reduce<Maximum>(summary.best);
  if (packed_token(best) < 0) {
    if (threadIdx.x == 0) view.emit(row, -1);
    return;
  }
  const double max = packed_value(best);
  const double factor = summary.mass == 0 ? 0.0 : exp(packed_value(summary.best) - max);
  const double log_sum = max + log(block_reduce<Plus>(factor * summary.mass));
  const int32_t token = view.tokens[row];
  if (threadIdx.x == 0 && token >= 0) {
    view.results->logprobs[row] = static_cast<float>(view.row(row)[token] - log_sum);
  }
  for (int i = 0; i < min(n_top, view.vocab); ++i) {
    best = block_reduce<Maximum>(threadIdx.x < kMaxTiles ? next[threadIdx.x] : Packed{0});
    const int32_t id = packed_id(best);
    if (threadIdx.x == 0) view.results->top[row][i] = {id, static_cast<float>(packed_value(best) - log_sum)};
    const Packed following = best_after(view, row, id / kTile, best);
    if (threadIdx.x == 0) next[id / kTile] = following;
    __syncthreads();
  }
}

}  // namespace jsg::cuda
