// The first and the last of a step's rows: looked up at its beginning, gathered before its logits.
#pragma once
#include "backend/cuda/kernels/common.cuh"

namespace jsg::cuda {

inline constexpr int kEmbedThreads = 256;

template <class T>
struct EmbedArgs {
  const T* table;         // (vocab, hidden)
  const int32_t* ids;     // (n_rows); -1 - i: the token sampled for logit row i of the step before
  const int32_t* tokens;  // those
  const T* norm;          // (hidden)
  int hidden;
  int n_squares;  // > 0: h = x * norm, and (n_rows, n_squares) sums of squares; 0: h = x / rms(x) * norm
  float eps;
  float* x;        // (n_rows, hidden)
  T* h;            // (n_rows, hidden)
  float* squares;  // (n_rows, n_squares)
  uint64_t* best;  // (n_best) set to 0
  int n_best;
};

// A block a row.
template <class T>
__global__ void __launch_bounds__(kEmbedThreads) embed_kernel(const EmbedArgs<T> args) {
  const int row = blockIdx.x;
  launch_dependents();
  wait_for_previous();
  const int32_t given = args.ids[row];
  // A step whose logits were NaN sampled -1; the host will hear of it.
  const int32_t id = given >= 0 ? given : max(0, args.tokens[-1 - given]);
  const T* source = args.table + static_cast<size_t>(id) * args.hidden;
  const size_t base = static_cast<size_t>(row) * args.hidden;
  float squares = 0;
  for (int i = threadIdx.x; i < args.hidden; i += kEmbedThreads) {
    const float value = to_float(source[i]);
    args.x[base + i] = value;
    squares += value * value;
  }
  __shared__ float warps[kEmbedThreads / kWarp];
  squares = warp_sum(squares);
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = squares;
  __syncthreads();
  float total = 0;
#pragma unroll
  for (int i = 0; i < kEmbedThreads / kWarp; ++i) total += warps[i];
  const float factor = args.n_squares > 0 ? 1.0f : rsqrtf(total / static_cast<float>(args.hidden) + args.eps);
  for (int i = threadIdx.x; i < args.hidden; i += kEmbedThreads) {
    args.h[base + i] = from_float<T>(to_float(source[i]) * factor * to_float(args.norm[i]));
  }
  for (int i = threadIdx.x; i < args.n_squares; i += kEmbedThreads) {
    args.squares[row * args.n_squares + i] = i == 0 ? total : 0.0f;
  }
  if (threadIdx.x == 0 && row < args.n_best) args.best[row] = 0;
}

// to (n, hidden) = from[rows], and likewise their sums of squares (n, n_squares). A block a row.
template <class T>
__global__ void __launch_bounds__(kEmbedThreads)
    gather_rows_kernel(const int32_t* rows, const T* from, int hidden, T* to, const float* squares, int n_squares,
                       float* squares_to) {
  launch_dependents();
  wait_for_previous();
  const size_t row = rows[blockIdx.x], target = blockIdx.x;
  for (int i = threadIdx.x; i < hidden; i += kEmbedThreads) to[target * hidden + i] = from[row * hidden + i];
  for (int i = threadIdx.x; i < n_squares; i += kEmbedThreads) {
    squares_to[target * n_squares + i] = squares[row * n_squares + i];
  }
}

}  // namespace jsg::cuda
