// What decode attention does for itself, for rows of prompts: rotation and cache append.
#pragma once
#include "backend/cuda/kernels/kv.cuh"

namespace jsg::cuda {

inline constexpr int kRopeThreads = 256;

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

// RMS norm of one head where there is a weight, then its rotation, in place. By one warp.
template <class T>
__device__ __forceinline__ void norm_rotate(T* x, const float* norm, const float2* rotation, const AttentionDims& dims,
                                            int lane) {
  const int half = dims.head_dim / 2;
  float factor = 1.0f;
  if (norm) {
    float squares = 0;
    for (int i = lane; i < dims.head_dim; i += kWarp) squares += to_float(x[i]) * to_float(x[i]);
    factor = rsqrtf(warp_sum(squares) / static_cast<float>(dims.head_dim) + dims.eps);
  }
  for (int i = lane; i < half; i += kWarp) {
    const int at = dims.interleaved ? 2 * i : i, partner = dims.interleaved ? at + 1 : i + half;
    const float a = to_float(x[at]) * (norm ? factor * norm[at] : 1.0f);
    const float b = to_float(x[partner]) * (norm ? factor * norm[partner] : 1.0f);
    const float2 r = rotation[i];
    x[at] = from_float<T>(a * r.x - b * r.y);
    x[partner] = from_float<T>(a * r.y + b * r.x);
  }
}

// Normalises and rotates q and k of each row in place and appends k and v to the cache. A warp a head: blockIdx.y is a
// share of the heads.
template <class T>
__global__ void rope_append_kernel(const RopeAppendArgs<T> args) {
  const AttentionDims& dims = args.dims;
  const int n = args.first_row + blockIdx.x, lane = threadIdx.x % kWarp;
  const int warp = (blockIdx.y * kRopeThreads + threadIdx.x) / kWarp, n_warps = gridDim.y * kRopeThreads / kWarp;
  launch_dependents();
  wait_for_previous();
  const int position = args.step.positions[n];
  if (position < 0) return;
  const int32_t* table = args.step.block_table(args.step.sequences[n]);
  const int block = table[position / kPage], slot = position % kPage;
  const int head_dim = dims.head_dim, half = head_dim / 2;
  const float2* rotation = args.step.rotations + static_cast<size_t>(n) * half;
  T* row = args.qkv + static_cast<size_t>(n) * (dims.n_heads + 2 * dims.n_kv_heads) * head_dim;
  // The scale of a head of K or V that is stored as int8; x is what this lane wrote, and others.
  auto store_scale = [&](const T* x, __half* to) {
    __syncwarp();
    float largest = 0;
    for (int i = lane; i < head_dim; i += kWarp) largest = fmaxf(largest, fabsf(to_float(x[i])));
    const __half scale = int8_scale(warp_max(largest));
    if (lane == 0) *to = scale;
    return inverse_of(scale);
  };
  for (int head = warp; head < dims.n_heads + 2 * dims.n_kv_heads; head += n_warps) {
    T* x = row + head * head_dim;
    const bool is_q = head < dims.n_heads, is_v = head >= dims.n_heads + dims.n_kv_heads;
    if (!is_v) norm_rotate(x, is_q ? args.q_norm : args.k_norm, rotation, dims, lane);
    if (is_q) continue;
    const int kv_head = (head - dims.n_heads) % dims.n_kv_heads;
    float inverse_scale = 0;
    if (args.cache.has_scales()) {
      inverse_scale = store_scale(x, args.cache.scales(block, kv_head) + (is_v ? kPage : 0) + slot);
    }
    __syncwarp();
    for (int i = lane; i < head_dim; i += kWarp) {
      if (is_v) {
        args.cache.store_value(block, kv_head, slot, i, x[i], inverse_scale);
      } else {
        args.cache.store_key(block, kv_head, slot, i, x[i], inverse_scale);
      }
    }
  }
}

}  // namespace jsg::cuda
