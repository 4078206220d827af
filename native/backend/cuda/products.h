// Products of a weight with a batch, with all that is fused into them, for up to kMaxFusedRows rows; and the plain
// product of any size, by cuBLAS.
#pragma once
#include "backend/cuda/code_products.h"
#include "backend/cuda/device_memory.h"
#include "backend/cuda/kernels/gemm.cuh"
#include "backend/cuda/kernels/product.cuh"
#include "backend/cuda/launch.h"

namespace jsg::cuda {

inline constexpr int kMaxFusedRows = 64;

template <class T>
class FusedProducts {
 public:
  FusedProducts(const cudaDeviceProp& device, const Launcher& launch);

  // Features behind each sum of squares that a kResidual product leaves, which the next products read as their columns.
  int squares_tile(const ProductArgs<T>& args) const;
  // 1 <= args.n <= kMaxFusedRows.
  void run(Epilogue epilogue, const ProductArgs<T>& args) const;
  const CodeProducts<T>& of_codes() const { return code_products_; }

 private:
  template <Epilogue kEpilogue>
  void launch(const ProductArgs<T>& args) const;
  template <Epilogue kEpilogue, GemmSize kSize>
  void launch_gemm(const ProductArgs<T>& args) const;
  template <Epilogue kEpilogue, GemmSize kSize, int kN, int kFeatures>
  void launch_gemm(const ProductArgs<T>& args) const;
  bool uses_gemv(int n_rows, int hidden) const;  // of the model: what all products but kResidual read
  int gemm_features(int n_rows, int tiles_of_32) const;

  const int n_sms_;
  const bool large_;  // which size of gemm this device runs
  const Launcher& launch_;
  const CodeProducts<T> code_products_;
};

extern template class FusedProducts<__half>;
extern template class FusedProducts<__nv_bfloat16>;

}  // namespace jsg::cuda
