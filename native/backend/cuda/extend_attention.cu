#include "backend/cuda/extend_attention.h"

#include "backend/cuda/launch_attention.h"

namespace jsg::cuda {
namespace {

template <class T, KvFormat kFormat, int kHeadDim>
void launch_kernel(const Launcher& launch, const ExtendAttentionArgs<T>& args, int n_tiles, int spans) {
  launch_spans<attention_extend_kernel<T, kFormat, kHeadDim>, ExtendShared<T, kFormat, kHeadDim>>(launch, args, n_tiles,
                                                                                                  spans);
}

template <class T, KvFormat kFormat>
void launch_format(const Launcher& launch, const ExtendAttentionArgs<T>& args, int n_tiles, int spans) {
  auto* launch_it = args.dims.head_dim == 64 ? launch_kernel<T, kFormat, 64> : launch_kernel<T, kFormat, 128>;
  launch_it(launch, args, n_tiles, spans);
}

}  // namespace

template <class T>
void extend_attention(const Launcher& launch, const ExtendAttentionArgs<T>& args, int n_tiles, int spans) {
  with_format(args.cache.format, [&]<KvFormat kFormat>() { launch_format<T, kFormat>(launch, args, n_tiles, spans); });
}

template void extend_attention(const Launcher&, const ExtendAttentionArgs<__half>&, int, int);
template void extend_attention(const Launcher&, const ExtendAttentionArgs<__nv_bfloat16>&, int, int);

}  // namespace jsg::cuda
