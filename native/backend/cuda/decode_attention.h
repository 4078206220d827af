// Launches of decode attention: which kernel, with how much shared memory.
#pragma once
#include "backend/cuda/kernels/attention_decode.cuh"
#include "backend/cuda/launch.h"

namespace jsg::cuda {

// Whether there is a kernel for heads of this size, `group` query heads to a KV head.
constexpr bool has_decode_attention(int head_dim, int group) {
  return (head_dim == 64 || head_dim == 128) && group <= kMaxDecodeGroup;
}

// out = attention of `n_rows` rows, one a sequence, over the cache, to which their k and v are appended. `spans` blocks
// share a sequence's context, as a cluster where args.scratch.partial is null: a power of two, in a cluster at most
// kMaxCluster.
template <class T>
void decode_attention(const Launcher& launch, const DecodeAttentionArgs<T>& args, int n_rows, int spans);

extern template void decode_attention(const Launcher&, const DecodeAttentionArgs<__half>&, int, int);
extern template void decode_attention(const Launcher&, const DecodeAttentionArgs<__nv_bfloat16>&, int, int);

}  // namespace jsg::cuda
