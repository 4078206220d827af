#include "backend/cuda/decode_attention.h"

namespace jsg::cuda {
namespace {

template <class T, KvFormat kFormat, int kHeadDim, int kHeadTiles>
void launch_kernel(const Launcher& launch, const DecodeAttentionArgs<T>& args, int n_rows, int spans) {
  auto* kernel = attention_decode_kernel<T, kFormat, kHeadDim, kHeadTiles>;
  constexpr int kBytes = sizeof(DecodeShared<T, kFormat, kHeadDim, kHeadTiles>);
  static const cudaError_t allowed = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  check(allowed, "reserving shared memory");
  Launcher clustered = launch;
  if (!args.scratch.partial) clustered.cluster = spans;
  clustered(kernel, dim3(spans, args.dims.n_kv_heads, n_rows), kDecodeThreads, kBytes, args);
}

template <class T, KvFormat kFormat>
void launch_format(const Launcher& launch, const DecodeAttentionArgs<T>& args, int n_rows, int spans) {
  const bool one_tile = args.dims.n_heads / args.dims.n_kv_heads <= 8;
  if (args.dims.head_dim == 64) {
    one_tile ? launch_kernel<T, kFormat, 64, 1>(launch, args, n_rows, spans)
             : launch_kernel<T, kFormat, 64, 2>(launch, args, n_rows, spans);
  } else {
    one_tile ? launch_kernel<T, kFormat, 128, 1>(launch, args, n_rows, spans)
             : launch_kernel<T, kFormat, 128, 2>(launch, args, n_rows, spans);
  }
}

}  // namespace

template <class T>
void decode_attention(const Launcher& launch, const DecodeAttentionArgs<T>& args, int n_rows, int spans) {
  switch (args.cache.format) {
    case KvFormat::k16Bit:
      return launch_format<T, KvFormat::k16Bit>(launch, args, n_rows, spans);
    case KvFormat::kE4M3:
      return launch_format<T, KvFormat::kE4M3>(launch, args, n_rows, spans);
    case KvFormat::kE5M2:
      return launch_format<T, KvFormat::kE5M2>(launch, args, n_rows, spans);
    case KvFormat::kInt8:
      return launch_format<T, KvFormat::kInt8>(launch, args, n_rows, spans);
  }
}

template void decode_attention(const Launcher&, const DecodeAttentionArgs<__half>&, int, int);
template void decode_attention(const Launcher&, const DecodeAttentionArgs<__nv_bfloat16>&, int, int);

}  // namespace jsg::cuda
