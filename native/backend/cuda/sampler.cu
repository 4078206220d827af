#include "backend/cuda/sampler.h"
#include "backend/cuda/kernels/common.cuh"
namespace jsg::cuda {
__global__ void pick(const uint64_t* best, const float* logits, int vocab, int32_t* tokens, int32_t* host) {
  launch_dependents();
  wait_for_previous();
  int r = blockIdx.x;
  __shared__ float bv[256];
  __shared__ int bi[256];
  if (best) {
    if (threadIdx.x == 0) {
      int t = best[r] == ~0ull ? -1 : (int)(0xffffffffu - (uint32_t)best[r]);
      tokens[r] = t;
      host[r] = t;
    }
    return;
  }
  float b = -INFINITY;
  int id = 0;
  for (int i = threadIdx.x; i < vocab; i += 256) {
    float v = logits[(size_t)r * vocab + i];
    if (v > b) {
      b = v;
      id = i;
    }
  }
  bv[threadIdx.x] = b;
  bi[threadIdx.x] = id;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < 256; i++)
      if (bv[i] > b || (bv[i] == b && bi[i] < id)) {
        b = bv[i];
        id = bi[i];
      }
    tokens[r] = id;
    host[r] = id;
  }
}
DeviceSampler::DeviceSampler(int v, bool d) : vocab(v), dep(d) {
  cudaMalloc(&tok, 4096);
  for (int i = 0; i < 2; i++) cudaMallocHost(&host[i], 4096);
}
void DeviceSampler::launch(cudaStream_t s, float* l, const uint64_t* b, std::span<const RowSampling> rows, int slot) {
  n[slot] = rows.size();
  cudaLaunchConfig_t c{};
  c.gridDim = dim3(rows.size());
  c.blockDim = dim3(256);
  c.stream = s;
  cudaLaunchKernelEx(&c, pick, b, (const float*)l, vocab, tok, host[slot]);
}
std::span<const SampledToken> DeviceSampler::result(int slot) {
  out.clear();
  for (int i = 0; i < n[slot]; i++) out.push_back({host[slot][i], 0, {}});
  return out;
}
}  // namespace jsg::cuda
