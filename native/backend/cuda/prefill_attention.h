// Launches of prefill attention and of what comes before it: which kernel, with how much shared memory.
#pragma once
#include "backend/cuda/kernels/attention_prefill.cuh"
#include "backend/cuda/kernels/rope_append.cuh"
#include "backend/cuda/launch.h"

namespace jsg::cuda {

// Whether there is a kernel for heads of this size.
constexpr bool has_prefill_attention(int head_dim) { return head_dim == 64 || head_dim == 128; }

// Normalises and rotates q and k in place and appends k and v to the cache, for `n_rows` rows from args.first_row on,
// whatever their sequences. Depends on nothing but their number.
template <class T>
void append_rows(const Launcher& launch, const RopeAppendArgs<T>& args, int n_rows);

// Normalises and rotates q in place and appends k and v to the cache, for `n_slices` slices from args.first_row on
// (every slice before is one row), `n_rows` rows in all and at most `max_slice_rows` each. k may be changed in place.
template <class T>
void prefill_append(const Launcher& launch, const RopeAppendArgs<T>& args, int n_slices, int n_rows,
                    int max_slice_rows);

// out = causal attention of q over the cache, for `n_slices` slices from args.first_slice on, of at most
// `max_slice_rows` rows each. Values past a slice's last token, in its last page, must be finite: prefill_append leaves
// zeros there.
template <class T>
void prefill_attention(const Launcher& launch, const PrefillAttentionArgs<T>& args, int n_slices, int max_slice_rows);

extern template void append_rows(const Launcher&, const RopeAppendArgs<__half>&, int);
extern template void append_rows(const Launcher&, const RopeAppendArgs<__nv_bfloat16>&, int);
extern template void prefill_append(const Launcher&, const RopeAppendArgs<__half>&, int, int, int);
extern template void prefill_append(const Launcher&, const RopeAppendArgs<__nv_bfloat16>&, int, int, int);
extern template void prefill_attention(const Launcher&, const PrefillAttentionArgs<__half>&, int, int);
extern template void prefill_attention(const Launcher&, const PrefillAttentionArgs<__nv_bfloat16>&, int, int);

}  // namespace jsg::cuda
