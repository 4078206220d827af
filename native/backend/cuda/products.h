// Products of a weight with a batch, with all that is fused into them, for up to kMaxFusedRows rows; and the plain
// product of any size, by cuBLAS.
#pragma once
#include "backend/cuda/device_memory.h"
#include "backend/cuda/kernels/product.cuh"
#include "backend/cuda/launch.h"

namespace jsg::cuda {

inline constexpr int kMaxFusedRows = 64;

template <class T>
class FusedProducts {
 public:
  // `max_out_features`: of any weight.
  FusedProducts(int n_sms, int max_out_features, const Launcher& launch);

  // Features behind each sum of squares that a kResidual product of n rows leaves.
  static int squares_tile(int n_rows);
  // 1 <= args.n <= kMaxFusedRows.
  void run(Epilogue epilogue, ProductArgs<T> args) const;

 private:
  template <Epilogue kEpilogue>
  void launch(const ProductArgs<T>& args) const;
  template <Epilogue kEpilogue, int kN>
  void launch_gemm(const ProductArgs<T>& args) const;

  const int n_sms_;
  const Launcher& launch_;
  Memory<float> partial_;
  Memory<uint32_t> finished_;
};

extern template class FusedProducts<__half>;
extern template class FusedProducts<__nv_bfloat16>;

}  // namespace jsg::cuda
