// Products of weights of codes (code_tiles.h) with a batch, with all that is fused into them: what FusedProducts is for
// plain ones. For more rows, such a weight as a plain one.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "backend/cuda/launch.h"
#include "backend/cuda/product.h"

namespace jsg::cuda {

template <class T>
class CodeProducts {
 public:
  CodeProducts(const cudaDeviceProp& device, const Launcher& launch);

  // Whether run_gemv() takes so many rows, and is the faster way; it leaves sums of squares of kTileRows features.
  bool uses_gemv(const ProductArgs<T>& args) const;
  // A row of the weight in whole columns of 32.
  void run_gemv(Epilogue epilogue, const ProductArgs<T>& args) const;
  // 1 <= args.n <= 64, in tiles of `features` (32 or 64) where kResidual leaves sums of squares.
  void run_gemm(Epilogue epilogue, const ProductArgs<T>& args, int features) const;
  // out (out_features, in_features)
  void expand(const CodesView& codes, int out_features, int in_features, T* out) const;

 private:
  const int n_sms_;
  const bool large_;  // which size of gemm this device runs
  const Launcher& launch_;
};

extern template class CodeProducts<__half>;
extern template class CodeProducts<__nv_bfloat16>;

}  // namespace jsg::cuda
