// The small kernels: embedding, and, where products go through cuBLAS (prefill, large batches), what the decode kernels
// fuse: residual, norm, SiLU, rotation and cache append.
#pragma once
#include "backend/cuda/kernels/kv.cuh"

namespace jsg::cuda {

inline constexpr int kRowThreads = 256;

// Sum over the block, the same in every thread.
__device__ __forceinline__ float block_sum(float x) {
  __shared__ float warps[kRowThreads / kWarp];
  x = warp_sum(x);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = x;
  __syncthreads();
  float total = 0;
#pragma unroll
  for (int i = 0; i < kRowThreads / kWarp; ++i) total += warps[i];
  return total;
}

// x (n, hidden) += delta (or, without delta, x as it is); out = x / rms(x) * norm. `hidden` is a multiple of 8.
template <class T>
__global__ void __launch_bounds__(kRowThreads)
    add_norm_kernel(float* x, const T* delta, const T* norm, int hidden, float eps, T* out) {
  // 8 elements at a time; so many of them stay in registers, the rest of a very long row is read again.
  constexpr int kHeld = 4;
  const size_t base = static_cast<size_t>(blockIdx.x) * hidden;
  const int n_chunks = hidden / 8;
  launch_dependents();
  wait_for_previous();
  auto load = [&](int chunk, float(&value)[8]) {
    const float4* from = reinterpret_cast<const float4*>(x + base) + 2 * chunk;
    const float4 low = from[0], high = from[1];
    const float values[] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
    for (int j = 0; j < 8; ++j) value[j] = values[j];
  };
  float squares = 0;
  auto add = [&](int chunk, float(&value)[8]) {
    if (delta) {
      float more[8];
      unpack8<T>(load_shared_operand(delta + base + 8 * chunk), more);
#pragma unroll
      for (int j = 0; j < 8; ++j) value[j] += more[j];
      float4* to = reinterpret_cast<float4*>(x + base) + 2 * chunk;
      to[0] = {value[0], value[1], value[2], value[3]};
      to[1] = {value[4], value[5], value[6], value[7]};
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) squares += value[j] * value[j];
  };
  float held[kHeld][8];
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    const int chunk = threadIdx.x + i * kRowThreads;
    if (chunk < n_chunks) load(chunk, held[i]);
  }
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    const int chunk = threadIdx.x + i * kRowThreads;
    if (chunk < n_chunks) add(chunk, held[i]);
  }
  for (int chunk = threadIdx.x + kHeld * kRowThreads; chunk < n_chunks; chunk += kRowThreads) {
    float value[8];
    load(chunk, value);
    add(chunk, value);
  }
  const float factor = rsqrtf(block_sum(squares) / static_cast<float>(hidden) + eps);
  auto write = [&](int chunk, float(&value)[8]) {
    float weights[8];
    unpack8<T>(load_shared_operand(norm + 8 * chunk), weights);
#pragma unroll
    for (int j = 0; j < 8; ++j) value[j] *= factor * weights[j];
    *reinterpret_cast<Pack8*>(out + base + 8 * chunk) = pack8<T>(value);
  };
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    const int chunk = threadIdx.x + i * kRowThreads;
    if (chunk < n_chunks) write(chunk, held[i]);
  }
  for (int chunk = threadIdx.x + kHeld * kRowThreads; chunk < n_chunks; chunk += kRowThreads) {
    float value[8];
    load(chunk, value);
    write(chunk, value);
  }
}

// out (n, dim) += bias. `dim` is a multiple of 8.
template <class T>
__global__ void __launch_bounds__(kRowThreads) add_bias_kernel(T* out, const float* bias, int dim) {
  launch_dependents();
  wait_for_previous();
  T* row = out + static_cast<size_t>(blockIdx.x) * dim;
  for (int i = threadIdx.x * 8; i < dim; i += kRowThreads * 8) {
    float value[8];
    unpack8<T>(load_shared_operand(row + i), value);
#pragma unroll
    for (int j = 0; j < 8; ++j) value[j] += bias[i + j];
    *reinterpret_cast<Pack8*>(row + i) = pack8<T>(value);
  }
}

// out (n, dim) = silu(gate_up[:, :dim]) * gate_up[:, dim:]
template <class T>
__global__ void __launch_bounds__(kRowThreads) silu_mul_kernel(const T* gate_up, int dim, T* out) {
  launch_dependents();
  wait_for_previous();
  const T* gate = gate_up + static_cast<size_t>(blockIdx.y) * 2 * dim;
  const int i = (blockIdx.x * kRowThreads + threadIdx.x) * 8;
  if (i >= dim) return;
  float g[8], u[8];
  unpack8<T>(load_shared_operand(gate + i), g);
  unpack8<T>(load_shared_operand(gate + dim + i), u);
#pragma unroll
  for (int j = 0; j < 8; ++j) g[j] = g[j] / (1.0f + __expf(-g[j])) * u[j];
  *reinterpret_cast<Pack8*>(out + static_cast<size_t>(blockIdx.y) * dim + i) = pack8<T>(g);
}

}  // namespace jsg::cuda
