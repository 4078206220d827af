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
// Radix selection by one block, among the n values with order_key in [low, high]: a pass of 256 bins for each 8 bits of
// the range. With fewer passes the key is a lower bound.
template <class AmountOf>
__device__ __forceinline__ Selection select(const float* values, int n, uint32_t low, uint32_t high, Amount target,
                                            AmountOf amount_of, int max_passes = 4) {
  __shared__ Histogram histogram;
  Amount above = 0;
  for (int pass = 0; pass < max_passes && low < high; ++pass) {
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

// The weight that top_p keeps at least, of `total`; some in any case.
__device__ __forceinline__ Amount mass_target(const SamplingRow& sampling, double total) {
  return max(Amount{1}, __double2ull_ru(fmax(0.0, static_cast<double>(sampling.top_p)) * total));
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
  const float scale2 = sampling.scale * kLog2E;
  histogram.clear();
  float x[kPerThread];
  load_tile(view.row(row), view.vocab, blockIdx.x, x);
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    if (x[i] >= low) histogram.add(bin_of(x[i], low, step), to_amount(exp2_fast((x[i] - greatest) * scale2)));
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

// Few enough logits for each thread to hold one of them and compare it with all.
struct Listed {
  float logit[kSamplingThreads];
  int32_t id[kSamplingThreads];
  Amount mass[kSamplingThreads];
};

// From at most kSamplingThreads listed logits: the cut; or, since with top_k they are all that can be kept, the token.
__device__ __forceinline__ void settle_listed(const SamplingView& view, int row, const SamplingRow& sampling, int n) {
  __shared__ Listed listed;
  RowState& state = view.states[row];
  const int self = threadIdx.x;
  const bool is_listed = self < n;
  const size_t at = static_cast<size_t>(row) * kMaxListed + self;
  const float x = is_listed ? __ldcg(view.list + at) : -INFINITY;
  const int32_t id = is_listed ? __ldcg(view.list_ids + at) : 0x7fffffff;
  const float w = weight(x, packed_value(state.best), sampling.scale);
  const Amount mass = is_listed ? to_amount(w) : 0;
  listed.logit[self] = x, listed.id[self] = id, listed.mass[self] = mass;
  __syncthreads();
  uint32_t n_above = 0;
  Amount mass_above = 0;
  for (int i = 0; i < n; ++i) {
    const float other = listed.logit[i];
    const bool is_above = other > x || (other == x && listed.id[i] < id);
    n_above += is_above;
    mass_above += is_above ? listed.mass[i] : 0;
  }
  if (sampling.top_k == 0) {
    const bool is_kept = is_listed && mass_above < max(state.target, Amount{1});
    const float value = block_reduce<Minimum>(is_kept ? x : INFINITY);
    const uint32_t n_ties = block_reduce<Plus>(is_kept && x == value ? 1u : 0u);
    if (self == 0 && value > state.cut.value) state.cut = {value, n_ties};
    return;
  }
  bool is_kept = is_listed && n_above < state.target;
  if (sampling.top_p < 1) {
    const Amount total = block_reduce<Plus>(is_kept ? mass : 0);
    is_kept &= n_above == 0 || mass_above < mass_target(sampling, static_cast<double>(total));
  }
  is_kept &= w >= sampling.min_p;
  __syncthreads();
  listed.mass[self] = is_kept ? mass : 0;
  const Amount total = block_reduce<Plus>(is_kept ? mass : 0);
  Amount before = 0;
  for (int i = 0; i < n; ++i) before += listed.id[i] < id ? listed.mass[i] : 0;
  const Amount target = min(static_cast<Amount>(sampling.u * static_cast<double>(total)), total - 1);
  if (!is_kept || target < before || target >= before + mass) return;
  view.emit(row, id);
  state.open = 0;
}

// Ties that are kept: as many as it takes to reach the target.
__device__ __forceinline__ uint32_t count_ties(Amount missing, Amount each) {
  return each == 0 ? 0xffffffffu : static_cast<uint32_t>(min((missing + each - 1) / each, Amount{0xffffffffu}));
}

// The cut among n_listed logits: from the list, or where it is too short for them from the row itself.
__device__ __forceinline__ Cut find_cut(const SamplingView& view, int row, const SamplingRow& sampling,
                                        uint32_t n_listed) {
  const RowState& state = view.states[row];
  uint32_t low = __ldcg(&state.min_key);
  const uint32_t high = __ldcg(&state.max_key);
  const float greatest = packed_value(state.best);
  const float* values = n_listed <= kMaxListed ? view.list + static_cast<size_t>(row) * kMaxListed : view.row(row);
  const int n = n_listed <= kMaxListed ? static_cast<int>(n_listed) : view.vocab;
  const auto mass_of = [&](float x) { return to_amount(weight(x, greatest, sampling.scale)); };
  Amount target = max(state.target, Amount{1});
  Cut kept{-INFINITY, 0};  // by top_k
  if (sampling.top_k > 0) {
    target = min(target, static_cast<Amount>(n_listed));
    const Selection kth = select(values, n, low, high, target, [](float) { return Amount{1}; });
    kept = {key_value(kth.key), static_cast<uint32_t>(target - kth.above)};
    if (sampling.top_p >= 1) return kept;
    Amount mass = 0;
    for_each(values, n, [&](float x) { mass += x > kept.value ? mass_of(x) : 0; });
    mass = block_reduce<Plus>(mass) + kept.n_ties * mass_of(kept.value);
    target = mass_target(sampling, static_cast<double>(mass));
    low = kth.key;
  }
  const Selection end = select(values, n, low, high, target, mass_of);
  const float value = key_value(end.key);
  const uint32_t n_ties = count_ties(target - end.above, mass_of(value));
  return {value, value == kept.value ? min(n_ties, kept.n_ties) : n_ties};
}

// Rows with top_k or top_p: lists the logits among which the cut is, and finds it. Grid (n_tiles, n_rows).
__global__ void __launch_bounds__(kSamplingThreads, 3) cut_kernel(const SamplingView view) {
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
  uint32_t found = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    if (x[i] >= low && bin_of(x[i], low, step) == bin) found |= 1u << i;
  }
  const uint32_t n_found = __popc(found);
  const Scan<uint32_t> scan = block_scan(n_found);
  if (scan.total > 0) {
    uint32_t min_key = ~0u, max_key = 0;
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      if (!(found >> i & 1)) continue;
      min_key = min(min_key, order_key(x[i]));
      max_key = max(max_key, order_key(x[i]));
    }
    min_key = block_reduce<Minimum>(min_key);
    max_key = block_reduce<Maximum>(max_key);
    if (threadIdx.x == 0) {
      first = atomicAdd(&state.n_listed, scan.total);
      atomicMin(&state.min_key, min_key);
      atomicMax(&state.max_key, max_key);
    }
    __syncthreads();
    uint32_t place = first + scan.upto - n_found;
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      if (!(found >> i & 1)) continue;
      if (place < kMaxListed) {
        const size_t at = static_cast<size_t>(row) * kMaxListed + place;
        view.list[at] = x[i];
        view.list_ids[at] = id_of(blockIdx.x, i);
      }
      ++place;
    }
  }
  if (!arrives_last(state)) return;
  const uint32_t n_listed = __ldcg(&state.n_listed);
  if (n_listed <= kSamplingThreads) {
    settle_listed(view, row, sampling, static_cast<int>(n_listed));
    return;
  }
  const Cut cut = find_cut(view, row, sampling, n_listed);
  if (threadIdx.x == 0 && cut.value > state.cut.value) state.cut = cut;
}

}  // namespace jsg::cuda
