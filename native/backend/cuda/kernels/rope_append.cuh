// What decode attention does for itself, for rows of prompts: rotation and cache append.
#pragma once
#include "backend/cuda/kernels/kv.cuh"

namespace jsg::cuda {

inline constexpr int kRopeThreads = 256;

// Normalises and rotates q and k of each row in place and appends k and v to the cache. A warp a head.
template <class T>
struct RopeAppendArgs {
  T* qkv;  // (n, (n_heads + 2 n_kv_heads) * head_dim)
  KvCache<T> cache;
  StepView step;
  AttentionDims dims;
  const float* q_norm;  // (head_dim) or null
  const float* k_norm;
  int first_row;  // rows before it are appended by decode attention
};

template <class T>
__global__ void rope_append_kernel(const RopeAppendArgs<T> args) {
  const AttentionDims& dims = args.dims;
  const int n = args.first_row + blockIdx.x, warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp,
            n_warps = blockDim.x / kWarp;
  launch_dependents();
  wait_for_previous();
  const int position = args.step.positions[n];
  if (position < 0) return;
  const int32_t* table = args.step.block_table(args.step.sequences[n]);
  const int block = table[position / kPage], slot = position % kPage;
  const int head_dim = dims.head_dim, half = head_dim / 2;
  const float2* rotation = args.step.rotations + static_cast<size_t>(n) * half;
  T* row = args.qkv + static_cast<size_t>(n) * (dims.n_heads + 2 * dims.n_kv_heads) * head_dim;
  for (int head = warp; head < dims.n_heads + 2 * dims.n_kv_heads; head += n_warps) {
    T* x = row + head * head_dim;
    const int kv_head = head - dims.n_heads;
    if (kv_head >= dims.n_kv_heads) {
      T* v = args.cache.v(block, kv_head - dims.n_kv_heads) + slot;
      for (int i = lane; i < head_dim; i += kWarp) v[i * kPage] = x[i];
      continue;
    }
    const float* norm = kv_head < 0 ? args.q_norm : args.k_norm;
    float factor = 1.0f;
    if (norm) {
      float squares = 0;
      for (int i = lane; i < head_dim; i += kWarp) squares += to_float(x[i]) * to_float(x[i]);
      factor = rsqrtf(warp_sum(squares) / static_cast<float>(head_dim) + dims.eps);
    }
    T* k = kv_head < 0 ? nullptr : args.cache.k(block, kv_head) + slot * head_dim;
    for (int i = lane; i < half; i += kWarp) {
      const int at = dims.interleaved ? 2 * i : i, partner = dims.interleaved ? at + 1 : i + half;
      const float a = to_float(x[at]) * (norm ? factor * norm[at] : 1.0f);
      const float b = to_float(x[partner]) * (norm ? factor * norm[partner] : 1.0f);
      const float2 r = rotation[i];
      x[at] = from_float<T>(a * r.x - b * r.y);
      x[partner] = from_float<T>(a * r.y + b * r.x);
      if (k) {
        k[at] = x[at];
        k[partner] = x[partner];
      }
    }
  }
}

}  // namespace jsg::cuda
