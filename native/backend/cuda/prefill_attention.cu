#include "backend/cuda/prefill_attention.h"

#include <algorithm>

#include "backend/cuda/kernels/attention_prefill_hopper.cuh"
#include "backend/cuda/kernels/rope_append_pages.cuh"
#include "backend/cuda/launch_attention.h"
#include "backend/cuda/tensor_map.h"

namespace jsg::cuda {
namespace {

int device_attribute(cudaDeviceAttr attribute) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device), "reading the device's properties");
  check(cudaDeviceGetAttribute(&value, attribute, device), "reading the device's properties");
  return value;
}

template <class Tile, class T>
void launch_tile(const Launcher& launch, const PrefillAttentionArgs<T>& args, int n_slices, int max_slice_rows) {
  auto* kernel = attention_prefill_kernel<Tile>;
  constexpr int kBytes = Tile::kSharedBytes;
  static const cudaError_t allowed = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  check(allowed, "reserving shared memory");
  const dim3 grid(args.dims.n_heads, n_slices, (max_slice_rows + Tile::kRows - 1) / Tile::kRows);
  launch(kernel, grid, Tile::kThreads, kBytes, args);
}

// 32 rows a warp read K and V half as often as 16, but 16 make twice as many blocks.
template <KvFormat kFormat, int kHeadDim, class T>
void launch_head(const Launcher& launch, const PrefillAttentionArgs<T>& args, int n_slices, int max_slice_rows) {
  using Wide = PrefillTile<T, kFormat, kHeadDim, 4, 2, kHeadDim == 64 ? 4 : 2>;
  using Narrow = PrefillTile<T, kFormat, kHeadDim, 4, 1, 4>;
  static const int n_sms = device_attribute(cudaDevAttrMultiProcessorCount);
  const int n_wide = args.dims.n_heads * n_slices * ((max_slice_rows + Wide::kRows - 1) / Wide::kRows);
  if (max_slice_rows > Narrow::kRows && n_wide >= 2 * n_sms) {
    launch_tile<Wide>(launch, args, n_slices, max_slice_rows);
  } else {
    launch_tile<Narrow>(launch, args, n_slices, max_slice_rows);
  }
}

// Rows of a slice from which on whole warpgroups of rows are worth it.
constexpr int kLeastHopperRows = 128;

bool is_hopper() {
  static const bool value = device_attribute(cudaDevAttrComputeCapabilityMajor) == 9 && has_tensor_maps();
  return value;
}

template <int kHeadDim, class T>
void launch_hopper(const Launcher& launch, const PrefillAttentionArgs<T>& args, int n_slices, int max_slice_rows) {
  using Tile = HopperTile<kHeadDim>;
  auto* kernel = attention_prefill_hopper_kernel<T, Tile>;
  constexpr int kBytes = Tile::kSharedBytes;
  static const cudaError_t allowed = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  check(allowed, "reserving shared memory");
  static const int n_sms = device_attribute(cudaDevAttrMultiProcessorCount);
  constexpr auto kType = std::is_same_v<T, __half> ? ElementType::kF16 : ElementType::kBF16;
  constexpr uint64_t kManyPages = uint64_t{1} << 31;  // tables hold none that is not there
  const auto width = static_cast<uint64_t>(args.dims.n_heads + 2 * args.dims.n_kv_heads) * kHeadDim;
  const auto page_bytes = static_cast<uint64_t>(args.cache.page_bytes);
  const uint64_t row_sizes[] = {width, static_cast<uint64_t>(args.n_rows)}, row_strides[] = {width * sizeof(T)};
  const uint64_t key_sizes[] = {kHeadDim, kPage, kManyPages}, key_strides[] = {kHeadDim * sizeof(T), page_bytes};
  const uint64_t value_sizes[] = {kPage, kHeadDim, kManyPages}, value_strides[] = {kPage * sizeof(T), page_bytes};
  const uint32_t row_box[] = {64, Tile::kRows}, key_box[] = {64, kPage, 1}, value_box[] = {kPage, kHeadDim, 1};
  const int n_tiles = (max_slice_rows + Tile::kRows - 1) / Tile::kRows;
  launch(kernel, dim3(std::min(n_sms, args.dims.n_heads * n_slices * n_tiles)), Tile::kThreads, kBytes,
         make_tensor_map(args.qkv, kType, row_sizes, row_strides, row_box),
         make_tensor_map(args.cache.data, kType, key_sizes, key_strides, key_box),
         make_tensor_map(args.cache.data + args.cache.value_offset, kType, value_sizes, value_strides, value_box), args,
         n_slices, n_tiles);
}

template <KvFormat kFormat, class T>
void launch_format(const Launcher& launch, const PrefillAttentionArgs<T>& args, int n_slices, int max_slice_rows) {
  if constexpr (kFormat == KvFormat::k16Bit) {
    if (max_slice_rows >= kLeastHopperRows && is_hopper()) {
      auto* launch_it = args.dims.head_dim == 64 ? launch_hopper<64, T> : launch_hopper<128, T>;
      return launch_it(launch, args, n_slices, max_slice_rows);
    }
  }
  if (args.dims.head_dim == 64) {
    launch_head<kFormat, 64>(launch, args, n_slices, max_slice_rows);
  } else {
    launch_head<kFormat, 128>(launch, args, n_slices, max_slice_rows);
  }
}

}  // namespace

template <class T>
void append_rows(const Launcher& launch, const RopeAppendArgs<T>& args, int n_rows) {
  constexpr int kWarps = kRopeThreads / kWarp;
  const int n_heads = args.dims.n_heads + 2 * args.dims.n_kv_heads;
  launch(rope_append_kernel<T>, dim3(n_rows, (n_heads + kWarps - 1) / kWarps), kRopeThreads, 0, args);
}

template <class T>
void prefill_append(const Launcher& launch, const RopeAppendArgs<T>& args, int n_slices, int n_rows,
                    int max_slice_rows) {
  const AttentionDims& dims = args.dims;
  if (args.cache.format != KvFormat::k16Bit || !has_prefill_attention(dims.head_dim)) {
    append_rows(launch, args, n_rows);
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
  with_format(args.cache.format,
              [&]<KvFormat kFormat>() { launch_format<kFormat>(launch, args, n_slices, max_slice_rows); });
}

template void append_rows(const Launcher&, const RopeAppendArgs<__half>&, int);
template void append_rows(const Launcher&, const RopeAppendArgs<__nv_bfloat16>&, int);
template void prefill_append(const Launcher&, const RopeAppendArgs<__half>&, int, int, int);
template void prefill_append(const Launcher&, const RopeAppendArgs<__nv_bfloat16>&, int, int, int);
template void prefill_attention(const Launcher&, const PrefillAttentionArgs<__half>&, int, int);
template void prefill_attention(const Launcher&, const PrefillAttentionArgs<__nv_bfloat16>&, int, int);

}  // namespace jsg::cuda
