#include "backend/cuda/extend_attention.h"

namespace jsg::cuda {
namespace {

template <class T, KvFormat kFormat, int kHeadDim>
void launch_kernel(const Launcher& launch, const ExtendAttentionArgs<T>& args, int n_tiles, int spans) {
  auto* kernel = attention_extend_kernel<T, kFormat, kHeadDim>;
  constexpr int kBytes = sizeof(ExtendShared<T, kFormat, kHeadDim>);
  static const cudaError_t allowed = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  check(allowed, "reserving shared memory");
  Launcher clustered = launch;
  if (!args.scratch.partial) clustered.cluster = spans;
  clustered(kernel, dim3(spans, args.dims.n_kv_heads, n_tiles), kDecodeThreads, kBytes, args);
}

template <class T, KvFormat kFormat>
void launch_format(const Launcher& launch, const ExtendAttentionArgs<T>& args, int n_tiles, int spans) {
  auto* launch_it = args.dims.head_dim == 64 ? launch_kernel<T, kFormat, 64> : launch_kernel<T, kFormat, 128>;
  launch_it(launch, args, n_tiles, spans);
}

}  // namespace

template <class T>
void extend_attention(const Launcher& launch, const ExtendAttentionArgs<T>& args, int n_tiles, int spans) {
  switch (args.cache.format) {
    case KvFormat::k16Bit:
      return launch_format<T, KvFormat::k16Bit>(launch, args, n_tiles, spans);
    case KvFormat::kE4M3:
      return launch_format<T, KvFormat::kE4M3>(launch, args, n_tiles, spans);
    case KvFormat::kE5M2:
      return launch_format<T, KvFormat::kE5M2>(launch, args, n_tiles, spans);
    case KvFormat::kInt8:
      return launch_format<T, KvFormat::kInt8>(launch, args, n_tiles, spans);
  }
}

template void extend_attention(const Launcher&, const ExtendAttentionArgs<__half>&, int, int);
template void extend_attention(const Launcher&, const ExtendAttentionArgs<__nv_bfloat16>&, int, int);

}  // namespace jsg::cuda
