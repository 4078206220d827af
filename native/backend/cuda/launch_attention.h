// What launches of attention have in common: a kernel for each way to store KV, and the spans that share a context.
#pragma once
#include "backend/cuda/kernels/attention_spans.cuh"
#include "backend/cuda/launch.h"

namespace jsg::cuda {

// Calls f.template operator()<kFormat>().
template <class F>
void with_format(KvFormat format, F f) {
  switch (format) {
    case KvFormat::k16Bit:
      return f.template operator()<KvFormat::k16Bit>();
    case KvFormat::kE4M3:
      return f.template operator()<KvFormat::kE4M3>();
    case KvFormat::kE5M2:
      return f.template operator()<KvFormat::kE5M2>();
    case KvFormat::kInt8:
      return f.template operator()<KvFormat::kInt8>();
  }
}

// `spans` blocks for each KV head of each of `n` rows or tiles, as a cluster where the arguments have no scratch.
// Shared: their dynamic shared memory.
template <auto kKernel, class Shared, class Args>
void launch_spans(const Launcher& launch, const Args& args, int n, int spans) {
  constexpr int kBytes = sizeof(Shared);
  static const cudaError_t allowed = cudaFuncSetAttribute(kKernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  check(allowed, "reserving shared memory");
  Launcher clustered = launch;
  if (!args.scratch.partial) clustered.cluster = spans;
  clustered(kKernel, dim3(spans, args.dims.n_kv_heads, n), kDecodeThreads, kBytes, args);
}

}  // namespace jsg::cuda
