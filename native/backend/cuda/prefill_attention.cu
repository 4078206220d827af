#include "backend/cuda/prefill_attention.h"

#include "backend/cuda/kernels/rope_append_pages.cuh"

namespace jsg::cuda {
namespace {

template <class Tile, class T>
void launch_tile(const Launcher& launch, const PrefillAttentionArgs<T>& args, int n_slices, int max_slice_rows) {
  auto* kernel = attention_prefill_kernel<Tile>;
  constexpr int kBytes = Tile::kSharedBytes;
  static const cudaError_t allowed = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  check(allowed, "reserving shared memory");
  const dim3 grid(args.dims.n_heads, n_slices, (max_slice_rows + Tile::kRows - 1) / Tile::kRows);
  launch(kernel, grid, Tile::kThreads, kBytes, args);
}

template <KvFormat kFormat, class T>
void launch_format(const Launcher& launch, const PrefillAttentionArgs<T>& args, int n_slices, int max_slice_rows) {
  constexpr int kWarps = 4, kRowTiles = 1, kPages = 4;
  if (args.dims.head_dim == 64) {
    launch_tile<PrefillTile<T, kFormat, 64, kWarps, kRowTiles, kPages>>(launch, args, n_slices, max_slice_rows);
  } else {
    launch_tile<PrefillTile<T, kFormat, 128, kWarps, kRowTiles, kPages>>(launch, args, n_slices, max_slice_rows);
  }
}

}  // namespace

template <class T>
void prefill_append(const Launcher& launch, const RopeAppendArgs<T>& args, int n_slices, int n_rows,
                    int max_slice_rows) {
  const AttentionDims& dims = args.dims;
  if (args.cache.format != KvFormat::k16Bit || !has_prefill_attention(dims.head_dim)) {
    launch(rope_append_kernel<T>, dim3(n_rows), kRopeThreads, 0, args);
    return;
  }
  const int n_pages = (max_slice_rows + kPage - 1) / kPage + 1;  // one more where the first row is not a page's first
  const int n_groups = (dims.n_heads + dims.n_kv_heads + kAppendHeads - 1) / kAppendHeads +
                       (dims.n_kv_heads + kAppendValues - 1) / kAppendValues;
  auto* kernel = dims.head_dim == 64 ? rope_append_pages_kernel<T, 64> : rope_append_pages_kernel<T, 128>;
  launch(kernel, dim3(n_pages, n_slices, n_groups), kAppendThreads, 0, args);
}

template <class T>
void prefill_attention(const Launcher& launch, const PrefillAttentionArgs<T>& args, int n_slices, int max_slice_rows) {
  switch (args.cache.format) {
    case KvFormat::k16Bit:
      return launch_format<KvFormat::k16Bit>(launch, args, n_slices, max_slice_rows);
    case KvFormat::kE4M3:
      return launch_format<KvFormat::kE4M3>(launch, args, n_slices, max_slice_rows);
    case KvFormat::kE5M2:
      return launch_format<KvFormat::kE5M2>(launch, args, n_slices, max_slice_rows);
    case KvFormat::kInt8:
      return launch_format<KvFormat::kInt8>(launch, args, n_slices, max_slice_rows);
  }
}

template void prefill_append(const Launcher&, const RopeAppendArgs<__half>&, int, int, int);
template void prefill_append(const Launcher&, const RopeAppendArgs<__nv_bfloat16>&, int, int, int);
template void prefill_attention(const Launcher&, const PrefillAttentionArgs<__half>&, int, int);
template void prefill_attention(const Launcher&, const PrefillAttentionArgs<__nv_bfloat16>&, int, int);

}  // namespace jsg::cuda
