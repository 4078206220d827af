// Where the kept tokens end: narrow finds the bin, cut the value.
#pragma once
#include "backend/cuda/kernels/sampling.cuh"

namespace jsg::cuda {

// Calls visit(x) for each of the values: the threads of the block share them.
template <class Visit>
__device__ __forceinline__ void for_each(const float* values, int n, Visit visit) {
  for (int tile = 0; tile * kTile < n; ++tile) {
    float x[kPerThread];
    load_tile(values, n, tile, x);
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      if (id_of(tile, i) < n) visit(x[i]);
    }
  }
}

struct Selection {
  uint32_t key;  // of the value at which the sum over the values, greatest first, reaches the target
  Amount above;  // the sum over greater values
};
// Radix selection by one block, among the n values with order_key in [low, high]: at most four passes of 256 bins.
template <class AmountOf>
__device__ __forceinline__ Selection select(const float* values, int n, uint32_t low, uint32_t high, Amount target,
                                            AmountOf amount_of) {
  __shared__ Histogram histogram;
  Amount above = 0;
  while (low < high) {
    const int shift = max(0, 24 - __clz(high - low));
    histogram.clear();
    __syncthreads();
    for_each(values, n, [&](float x) {
      const uint32_t key = order_key(x);
      if (key >= low && key <= high) histogram.add((key - low) >> shift, amount_of(x));
    });
    __syncthreads();
    const Crossing crossing = find_crossing(histogram.at(kBins - 1 - threadIdx.x), target - above);
    above += crossing.above;
    low += static_cast<uint32_t>(crossing.bin) << shift;
    high = min(high, low + ((1u << shift) - 1));
  }
  return {low, above};
}

// --- narrow ---

// The bin of a logit x >= low. The same expression wherever it is asked, so that the bins are disjoint.
__device__ __forceinline__ int bin_of(float x, float low, float step) {
  return min(kBins - 1, static_cast<int>(__fmul_rn(__fsub_rn(x, low), step)));
}

// Rows with top_p and without top_k: the bin in which the nucleus ends. Grid (n_tiles, n_rows).
__global__ void __launch_bounds__(kSamplingThreads) narrow_kernel(const SamplingView view) {
  __shared__ Histogram histogram;
  launch_dependents();
  wait_for_previous();
  const int row = blockIdx.y;
  const SamplingRow sampling = view.rows[row];
  RowState& state = view.states[row];
  if (sampling.top_k > 0 || sampling.top_p >= 1 || !state.open) return;
  const float low = state.low, step = state.step, greatest = packed_value(state.best);
  histogram.clear();
  float x[kPerThread];
  load_tile(view.row(row), view.vocab, blockIdx.x, x);
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    if (x[i] >= low) histogram.add(bin_of(x[i], low, step), to_amount(weight(x[i], greatest, sampling.scale)));
  }
  __syncthreads();
  Amount* const row_histogram = view.histogram + static_cast<size_t>(row) * kBins;
  const Amount amount = histogram.at(threadIdx.x);
  if (amount != 0) atomicAdd(row_histogram + threadIdx.x, amount);
  if (!arrives_last(state)) return;
  const int bin = kBins - 1 - threadIdx.x;
  const Crossing crossing = find_crossing(__ldcg(row_histogram + bin), state.target);
  row_histogram[bin] = 0;
  if (threadIdx.x != 0) return;
  state.bin = crossing.bin;
  state.target -= min(state.target, crossing.above);
}

// --- cut ---

// Ties that are kept: as many as it takes to reach the target.
__device__ __forceinline__ uint32_t count_ties(Amount missing, Amount each) {
  return each == 0 ? 0xffffffffu : static_cast<uint32_t>(min((missing + each - 1) / each, Amount{0xffffffffu}));
}

// From the listed logits, or where they are too many from the row itself, the exact cut. By the row's last block.
__device__ __forceinline__ Cut find_cut(const SamplingView& view, int row, const SamplingRow& sampling) {
  const RowState& state = view.states[row];
  const uint32_t n_listed = __ldcg(&state.n_listed);
  const uint32_t low = __ldcg(&state.min_key), high = __ldcg(&state.max_key);
  const float greatest = packed_value(state.best);
  const float* values = n_listed <= kMaxListed ? view.list + static_cast<size_t>(row) * kMaxListed : view.row(row);
  const int n = n_listed <= kMaxListed ? static_cast<int>(n_listed) : view.vocab;
  const auto mass_of = [&](float x) { return to_amount(weight(x, greatest, sampling.scale)); };
  if (sampling.top_k == 0) {
    const Amount target = max(state.target, Amount{1});
    const Selection end = select(values, n, low, high, target, mass_of);
    const float value = key_value(end.key);
    return {value, count_ties(target - end.above, mass_of(value))};
  }
  const Amount k = min(state.target, static_cast<Amount>(n_listed));
  const Selection kth = select(values, n, low, high, k, [](float) { return Amount{1}; });
  Cut cut{key_value(kth.key), static_cast<uint32_t>(k - kth.above)};
  if (sampling.top_p >= 1) return cut;
  Amount mass = 0;
  for_each(values, n, [&](float x) {
    if (x > cut.value) mass += mass_of(x);
  });
  mass = block_reduce<Plus>(mass) + cut.n_ties * mass_of(cut.value);
  const double p = fmax(0.0, static_cast<double>(sampling.top_p));
  const Amount target = max(Amount{1}, __double2ull_ru(p * static_cast<double>(mass)));
  const Selection end = select(values, n, kth.key, high, target, mass_of);
  const float value = key_value(end.key);
  const uint32_t n_ties = count_ties(target - end.above, mass_of(value));
  return {value, value == cut.value ? min(n_ties, cut.n_ties) : n_ties};
}

// Rows with top_k or top_p: lists the logits among which the cut is, and finds it. Grid (n_tiles, n_rows).
__global__ void __launch_bounds__(kSamplingThreads) cut_kernel(const SamplingView view) {
  __shared__ uint32_t first;
  launch_dependents();
  wait_for_previous();
  const int row = blockIdx.y;
  const SamplingRow sampling = view.rows[row];
  RowState& state = view.states[row];
  if (!sampling.limits() || !state.open) return;
  const float low = state.low, step = state.step;
  const int bin = state.bin;
  float x[kPerThread];
  load_tile(view.row(row), view.vocab, blockIdx.x, x);
  uint32_t found = 0, min_key = ~0u, max_key = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    if (!(x[i] >= low && bin_of(x[i], low, step) == bin)) continue;
    found |= 1u << i;
    min_key = min(min_key, order_key(x[i]));
    max_key = max(max_key, order_key(x[i]));
  }
  const uint32_t n_found = __popc(found);
  const Scan<uint32_t> scan = block_scan(n_found);
  if (scan.total > 0) {
    min_key = block_reduce<Minimum>(min_key);
    max_key = block_reduce<Maximum>(max_key);
    if (threadIdx.x == 0) {
      first = atomicAdd(&state.n_listed, scan.total);
      atomicMin(&state.min_key, min_key);
      atomicMax(&state.max_key, max_key);
    }
    __syncthreads();
    float* const list = view.list + static_cast<size_t>(row) * kMaxListed;
    uint32_t at = first + scan.upto - n_found;
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      if (!(found >> i & 1)) continue;
      if (at < kMaxListed) list[at] = x[i];
      ++at;
    }
  }
  if (!arrives_last(state)) return;
  const Cut cut = find_cut(view, row, sampling);
  if (threadIdx.x == 0) state.cut = cut;
}

}  // namespace jsg::cuda
