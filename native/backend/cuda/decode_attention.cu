#include "backend/cuda/decode_attention.h"

#include "backend/cuda/launch_attention.h"

namespace jsg::cuda {
namespace {

template <class T, KvFormat kFormat, int kHeadDim, int kHeadTiles>
void launch_kernel(const Launcher& launch, const DecodeAttentionArgs<T>& args, int n_rows, int spans) {
  launch_spans<attention_decode_kernel<T, kFormat, kHeadDim, kHeadTiles>,
               DecodeShared<T, kFormat, kHeadDim, kHeadTiles>>(launch, args, n_rows, spans);
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
  with_format(args.cache.format, [&]<KvFormat kFormat>() { launch_format<T, kFormat>(launch, args, n_rows, spans); });
}

template void decode_attention(const Launcher&, const DecodeAttentionArgs<__half>&, int, int);
template void decode_attention(const Launcher&, const DecodeAttentionArgs<__nv_bfloat16>&, int, int);

}  // namespace jsg::cuda
