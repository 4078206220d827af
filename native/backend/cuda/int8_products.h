// Products of weights of codes (code_tiles.h) with rows of activations that are quantised to int8 first, a scale for
// each row and group of columns: faster than products of 16 bits where tensor cores do twice as many of int8, and less
// exact.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "backend/cuda/device_memory.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/product.h"

namespace jsg::cuda {

template <class T>
class Int8Products {
 public:
  explicit Int8Products(const Launcher& launch) : launch_(launch) {}

  // args.codes hold the weight, in_features and out_features are multiples of 8. Of kStore and kSilu what product.h
  // says, with the bias but no norm; of kResidual the residual stream alone. Not kLogits.
  void run(Epilogue epilogue, const ProductArgs<T>& args);

  // Columns that share a scale of the activations, in products with a weight.
  static int group_columns(const CodesView& codes);

 private:
  template <int kBits, int kGroup>
  void launch(Epilogue epilogue, const ProductArgs<T>& args);

  const Launcher& launch_;
  Memory<int8_t> codes_;
  Memory<float2> scales_;
};

extern template class Int8Products<__half>;
extern template class Int8Products<__nv_bfloat16>;

}  // namespace jsg::cuda
