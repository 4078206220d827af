#include "backend/cuda/int8_products.h"

#include "backend/cuda/kernels/gemm_int8.cuh"

namespace jsg::cuda {

template <class T>
int Int8Products<T>::group_columns(const CodesView& codes) {
  if (codes.bits == 4 && codes.group_shift == 6) return 64;
  return codes.group_shift >= 7 ? 128 : 32;
}

template <class T>
void Int8Products<T>::run(Epilogue epilogue, const ProductArgs<T>& args) {
  const int group = group_columns(args.codes);
  if (args.codes.bits == 8) return group == 128 ? launch<8, 128>(epilogue, args) : launch<8, 32>(epilogue, args);
  if (group == 128) return launch<4, 128>(epilogue, args);
  if (group == 64) return launch<4, 64>(epilogue, args);
  launch<4, 32>(epilogue, args);
}

template <class T>
template <int kBits, int kGroup>
void Int8Products<T>::launch(Epilogue epilogue, const ProductArgs<T>& args) {
  using Shape = GemmInt8Shape<kBits, kGroup>;
  auto* kernel = gemm_int8_kernel<T, kBits, kGroup>;
  static const cudaError_t allowed =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, Shape::kSharedBytes);
  check(allowed, "reserving shared memory");
  auto rounded = [](int n, int to) { return (n + to - 1) / to * to; };
  const int stride = rounded(args.in_features, kInt8Columns), n_rows = rounded(args.n, kInt8TileRows);
  codes_.grow(static_cast<size_t>(n_rows) * stride);
  scales_.grow(static_cast<size_t>(n_rows) * (stride / kGroup));
  const Int8Rows x{codes_.get(), scales_.get(), stride, n_rows};
  launch_(quantize_rows_kernel < T, kGroup, kBits == 4 >, dim3(args.n), kQuantizeThreads, 0, args.x, args.in_features,
          x);
  const bool is_paired = epilogue == Epilogue::kSilu;
  const int tile_out = is_paired ? kInt8Features / 2 : kInt8Features;
  const int n_out = is_paired ? args.out_features / 2 : args.out_features;
  launch_(kernel, dim3((n_out + tile_out - 1) / tile_out * (n_rows / kInt8TileRows)), kInt8Threads, Shape::kSharedBytes,
          Int8ProductArgs<T>{epilogue, args.codes, x, args.bias, args.out, args.residual, args.n, args.in_features,
                             args.out_features});
}

template class Int8Products<__half>;
template class Int8Products<__nv_bfloat16>;

}  // namespace jsg::cuda
