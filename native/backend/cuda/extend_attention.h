// Launches of extend attention: which kernel, with how much shared memory.
#pragma once
#include "backend/cuda/kernels/attention_extend.cuh"
#include "backend/cuda/launch.h"

namespace jsg::cuda {

// out = causal attention of q over the cache, for the rows of `n_tiles` tiles, for heads that decode attention has
// kernels for. `spans` as in decode_attention().
template <class T>
void extend_attention(const Launcher& launch, const ExtendAttentionArgs<T>& args, int n_tiles, int spans);

extern template void extend_attention(const Launcher&, const ExtendAttentionArgs<__half>&, int, int);
extern template void extend_attention(const Launcher&, const ExtendAttentionArgs<__nv_bfloat16>&, int, int);

}  // namespace jsg::cuda
