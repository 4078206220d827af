// Attention as the formula has it: all scores, their softmax, the weighted sum. Any head_dim, any group; slow. The
// oracle on the device for the fast kernels, and the path for head sizes they do not have.
#pragma once
#include "backend/cuda/kernels/attention_prefill.cuh"

namespace jsg::cuda {

inline constexpr int kReferenceThreads = 128;

// One block a (row, head). `scores` (n_rows, n_heads, max_context) fp32 is scratch.
template <class T>
__global__ void __launch_bounds__(kReferenceThreads)
    attention_reference_kernel(const PrefillAttentionArgs<T> args, float* scores, int max_context) {
  const AttentionDims& dims = args.dims;
  const int row = blockIdx.x, head = blockIdx.y, head_dim = dims.head_dim;
  const int kv_head = head / (dims.n_heads / dims.n_kv_heads);
  launch_dependents();
  wait_for_previous();
  const int position = args.step.positions[row];
  if (position < 0) return;
  const int first = dims.sliding_window > 0 ? max(0, position - dims.sliding_window + 1) : 0;
  const int32_t* table = args.step.block_table(args.step.sequences[row]);
  const T* q = args.qkv + static_cast<size_t>(row) * (dims.n_heads + 2 * dims.n_kv_heads) * head_dim + head * head_dim;
  float* mine = scores + (static_cast<size_t>(row) * dims.n_heads + head) * max_context;
  __shared__ float shared[kReferenceThreads];
  const float scale = rsqrtf(static_cast<float>(head_dim));

  float top = -INFINITY;
  for (int token = first + threadIdx.x; token <= position; token += kReferenceThreads) {
    float score = 0;
    for (int d = 0; d < head_dim; ++d) {
      score += to_float(q[d]) * args.cache.key(table[token / kPage], kv_head, token % kPage, d);
    }
    mine[token] = score * scale;
    top = fmaxf(top, score * scale);
  }
  auto reduce = [&](float value, auto combine) {
    shared[threadIdx.x] = value;
    __syncthreads();
    for (int half = kReferenceThreads / 2; half > 0; half /= 2) {
      if (threadIdx.x < half) shared[threadIdx.x] = combine(shared[threadIdx.x], shared[threadIdx.x + half]);
      __syncthreads();
    }
    const float result = shared[0];
    __syncthreads();
    return result;
  };
  top = reduce(top, [](float a, float b) { return fmaxf(a, b); });
  float sum = 0;
  for (int token = first + threadIdx.x; token <= position; token += kReferenceThreads) {
    mine[token] = expf(mine[token] - top);
    sum += mine[token];
  }
  sum = reduce(sum, [](float a, float b) { return a + b; });
  T* out = args.out + (static_cast<size_t>(row) * dims.n_heads + head) * head_dim;
  for (int d = threadIdx.x; d < head_dim; d += kReferenceThreads) {
    float value = 0;
    for (int token = first; token <= position; ++token) {
      value += mine[token] * args.cache.value(table[token / kPage], kv_head, token % kPage, d);
    }
    out[d] = from_float<T>(value / sum);
  }
}

}  // namespace jsg::cuda
