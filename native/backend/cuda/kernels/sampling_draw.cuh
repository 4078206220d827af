// The passes over all logits that end in a token: scan, for rows without filters, and draw, for rows whose cut is
// known.
#pragma once
#include "backend/cuda/kernels/sampling_select.cuh"

namespace jsg::cuda {

struct Landing {
  int thread;   // -1: there is no mass at all
  double left;  // of the target, after the mass before that thread
};
// The first thread at which the running sum of `mass` passes `target`. Sums are rounded: should none pass, the last
// thread with any mass is it.
__device__ __forceinline__ Landing find_landing(double mass, double upto, double target) {
  __shared__ Landing place;
  if (threadIdx.x == 0) place = {-1, 0};
  constexpr int kNone = 2 * kSamplingThreads;
  const int self = threadIdx.x;
  const int rank = mass <= 0 ? kNone : target < upto ? self : kNone - 1 - self;
  const int first = block_reduce<Minimum>(rank);
  if (rank == first && rank != kNone) place = {self, fmax(0.0, target - (upto - mass))};
  __syncthreads();
  const Landing result = place;
  __syncthreads();
  return result;
}

// Picks the row's token: by the tiles' masses the tile that u falls on, and in that tile, read once more, the token.
// `tile` is that of index threadIdx.x, zero past the last; `max` the row's greatest logit. By the row's last block.
__device__ __forceinline__ void draw_token(const SamplingView& view, int row, const SamplingRow& sampling, Packed best,
                                           Cut cut, const TileSummary& tile) {
  __shared__ struct {
    float reference;
    uint32_t ties_before;
  } chosen;
  const float max = packed_value(best), reference = packed_value(tile.best), scale2 = sampling.scale * kLog2E;
  const bool is_empty = tile.mass == 0 && tile.ties == 0;
  const double factor = is_empty ? 0.0 : exp((static_cast<double>(reference) - max) * sampling.scale);
  const uint32_t ties_before = block_scan(tile.ties).upto - tile.ties;
  const uint32_t kept = min(tile.ties, cut.n_ties - min(ties_before, cut.n_ties));
  const double tied = kept == 0 ? 0.0 : static_cast<double>(kept) * exp2_fast((cut.value - reference) * scale2);
  const double mass = factor * (tile.mass + tied);
  const Scan<double> masses = block_scan(mass);
  const Landing place = find_landing(mass, masses.upto, sampling.u * masses.total);
  if (place.thread < 0) {
    if (threadIdx.x == 0) view.emit(row, packed_id(best));
    return;
  }
  if (static_cast<int>(threadIdx.x) == place.thread) chosen = {reference, ties_before};
  __syncthreads();

  float x[kPerThread];
  load_run(view.row(row), view.vocab, place.thread, x);
  uint32_t n_ties = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) n_ties += x[i] == cut.value;
  uint32_t n_before = chosen.ties_before + block_scan(n_ties).upto - n_ties;
  double run = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const bool is_kept = x[i] > cut.value || (x[i] == cut.value && n_before++ < cut.n_ties);
    x[i] = is_kept ? exp2_fast((x[i] - chosen.reference) * scale2) : 0.0f;  // from here on, the weight
    run += x[i];
  }
  // The factor is that of the chosen tile.
  const double chosen_factor = exp((static_cast<double>(chosen.reference) - max) * sampling.scale);
  const Landing within = find_landing(run, block_scan(run).upto, place.left / chosen_factor);
  if (static_cast<int>(threadIdx.x) != within.thread) return;
  double left = within.left;
  int32_t token = -1;
  bool found = false;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    if (found || x[i] <= 0) continue;
    token = run_id(place.thread) + i;
    found = left < x[i];
    left -= x[i];
  }
  view.emit(row, token);
}

// --- scan ---

// The greatest value that min_p, by the host's arithmetic, does not let pass: 8 bits of it at a time.
__device__ __forceinline__ Cut cut_of_min_p(const SamplingRow& sampling, float max) {
  if (sampling.min_p <= 0) return {-INFINITY, 0};
  uint32_t low = order_key(-FLT_MAX);
  for (int shift = 24; shift >= 0; shift -= 8) {
    const uint32_t key = low + (threadIdx.x << shift);
    const bool fails =
        key >= low && key < order_key(max) && weight(key_value(key), max, sampling.scale) < sampling.min_p;
    low += static_cast<uint32_t>(::max(__syncthreads_count(fails), 1) - 1) << shift;
  }
  return {key_value(low), 0};
}

// The lowest value at which tokens can be kept, and the width of the bins above it.
__device__ __forceinline__ void open_bracket(const SamplingView& view, int row, const SamplingRow& sampling,
                                             Packed best, const TileSummary& tile, double factor) {
  RowState& state = view.states[row];
  const float max = packed_value(best);
  float low = -FLT_MAX, step = 0;
  Amount target = sampling.top_k;
  if (sampling.top_k > 0) {
    // At least k logits are no less than the k-th greatest of the groups' maxima, and seldom many more.
    const int n_groups = view.n_tiles * kGroupsPerTile;
    if (sampling.top_k <= n_groups / 2) {
      const float* groups = view.group_max + static_cast<size_t>(row) * n_groups;
      const Selection kth = select(
          groups, n_groups, 0, order_key(max), target, [](float) { return Amount{1}; }, 2);
      low = fmaxf(low, key_value(kth.key));
    }
  } else if (sampling.top_p < 1) {
    const double distance = (static_cast<double>(max) - packed_value(tile.best)) * sampling.scale;
    const bool is_empty = tile.mass == 0;
    const double total = block_reduce<Plus>(factor * tile.mass);
    const double first = block_reduce<Plus>(is_empty ? 0.0 : factor * (tile.first + distance * tile.mass));
    const double second = block_reduce<Plus>(
        is_empty ? 0.0 : factor * (tile.second + 2 * distance * tile.first + distance * distance * tile.mass));
    // Cantelli's inequality: with d = (max - logit) / temperature, at most 1 - top_p of the mass lies beyond
    // mean(d) + deviation(d) * sqrt(top_p / (1 - top_p)).
    const double mean = first / total, variance = fmax(0.0, second / total - mean * mean);
    const double p = fmax(0.0, static_cast<double>(sampling.top_p));
    const double by_moments = mean + sqrt(variance * p / (1 - p));
    // And tokens each less likely than (1 - top_p) / vocab add up to less than 1 - top_p.
    const double by_count = log(view.vocab / ((1 - p) * total));
    const double reach = fmax(0.0, fmin(by_moments, by_count)) * 1.001 / sampling.scale;
    low = fmaxf(low, __double2float_rd(max - reach));
    if (low < max) step = (kBins - 0.5f) / (max - low);
    target = mass_target(sampling, total * kAmountUnits);
  }
  const Cut cut = cut_of_min_p(sampling, max);
  if (threadIdx.x != 0) return;
  state.best = best;
  state.cut = cut;
  state.low = low;
  state.step = step;
  state.bin = 0;
  state.n_listed = 0;
  state.min_key = ~0u;
  state.max_key = 0;
  state.target = target;
}

// Sums over a tile, relative to its own maximum.
__device__ __forceinline__ void weigh(const float (&x)[kPerThread], float reference, const SamplingRow& sampling,
                                      TileSummary& summary) {
  if (!isfinite(reference)) return;  // nothing but -inf; or NaN, and the row is lost
  const float scale2 = sampling.scale * kLog2E;
  float mass = 0, first = 0, second = 0;
  if (sampling.top_p < 1 && sampling.top_k == 0) {
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      const float d = fmaxf((x[i] - reference) * scale2, -126.0f);
      const float w = exp2_fast(d);
      mass += w;
      first += w * d;
      second += w * d * d;
    }
    constexpr double kLn2 = 0.6931471805599453;
    summary.first = -kLn2 * block_reduce<Plus>(static_cast<double>(first));
    summary.second = kLn2 * kLn2 * block_reduce<Plus>(static_cast<double>(second));
  } else {
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) mass += exp2_fast((x[i] - reference) * scale2);
  }
  summary.mass = block_reduce<Plus>(static_cast<double>(mass));
}

// The greatest logit of each row, and unless all are greedy the sum of its weights. Rows without filters get their
// token; for the others the state is prepared. Grid (n_tiles, n_rows).
template <bool kAllGreedy>
__global__ void __launch_bounds__(kSamplingThreads) scan_kernel(const SamplingView view) {
  launch_dependents();
  wait_for_previous();
  const int row = blockIdx.y, tile = blockIdx.x;
  SamplingRow sampling{};
  if constexpr (!kAllGreedy) {
    sampling = view.rows[row];
    if (sampling.plain && view.best) {
      if (tile == 0 && threadIdx.x == 0) view.emit(row, packed_token(view.best[row]));
      return;
    }
  }
  float x[kPerThread];
  load_tile(view.row(row), view.vocab, tile, x);
  float greatest = -INFINITY;
  int place = 0;
  bool has_nan = false;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    has_nan |= x[i] != x[i];
    if (x[i] > greatest) {
      greatest = x[i];
      place = i;
    }
  }
  TileSummary* const summaries = view.tiles + static_cast<size_t>(row) * view.n_tiles;
  TileSummary summary{};
  summary.best = block_reduce<Maximum>(has_nan ? kPackedNaN : pack(greatest, id_of(tile, place)));
  if (!kAllGreedy && sampling.scale > 0) {
    if (sampling.top_k > 0) {
      float group = greatest;
#pragma unroll
      for (int offset = 1; offset < kGroupLanes; offset *= 2) group = fmaxf(group, __shfl_xor_sync(~0u, group, offset));
      const size_t at = (static_cast<size_t>(row) * view.n_tiles + tile) * kGroupsPerTile + threadIdx.x / kGroupLanes;
      if (threadIdx.x % kGroupLanes == 0) view.group_max[at] = group;
    }
    weigh(x, packed_value(summary.best), sampling, summary);
  }
  if (threadIdx.x == 0) summaries[tile] = summary;
  if (!arrives_last(view.states[row])) return;

  const bool has_tile = static_cast<int>(threadIdx.x) < view.n_tiles;
  summary = {};
  if (has_tile) summary = load_summary(summaries + threadIdx.x);
  const Packed best = block_reduce<Maximum>(summary.best);
  const int32_t greedy = packed_token(best);
  if (kAllGreedy || sampling.scale == 0 || greedy < 0) {
    if (threadIdx.x == 0) {
      view.emit(row, greedy);
      view.states[row].open = 0;
    }
    return;
  }
  if (!sampling.filters()) {
    draw_token(view, row, sampling, best, {-INFINITY, 0}, summary);
    return;
  }
  const double distance = static_cast<double>(packed_value(summary.best)) - packed_value(best);
  open_bracket(view, row, sampling, best, summary, summary.mass == 0 ? 0.0 : exp(distance * sampling.scale));
  if (threadIdx.x == 0) view.states[row].open = 1;
}

// --- draw ---

// The token of each row with filters, once its cut is known. Grid (n_tiles, n_rows).
__global__ void __launch_bounds__(kSamplingThreads, 3) draw_kernel(const SamplingView view) {
  launch_dependents();
  wait_for_previous();
  const int row = blockIdx.y, tile = blockIdx.x;
  const SamplingRow sampling = view.rows[row];
  RowState& state = view.states[row];
  if (!sampling.filters() || !state.open) return;
  const Packed best = state.best;
  const Cut cut = state.cut;
  float x[kPerThread];
  load_tile(view.row(row), view.vocab, tile, x);
  const float greatest = packed_value(best), scale2 = sampling.scale * kLog2E;
  float mass = 0;
  uint32_t ties = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    mass += x[i] > cut.value ? exp2_fast((x[i] - greatest) * scale2) : 0.0f;
    ties += x[i] == cut.value;
  }
  TileSummary* const summaries = view.tiles + static_cast<size_t>(row) * view.n_tiles;
  const double total_mass = block_reduce<Plus>(static_cast<double>(mass));
  ties = block_reduce<Plus>(ties);
  if (threadIdx.x == 0) summaries[tile] = {best, total_mass, 0, 0, ties};
  if (!arrives_last(state)) return;
  TileSummary summary{};
  if (static_cast<int>(threadIdx.x) < view.n_tiles) summary = load_summary(summaries + threadIdx.x);
  draw_token(view, row, sampling, best, cut, summary);
}

}  // namespace jsg::cuda
