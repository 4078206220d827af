// Products of many rows with all that is fused into them, where the device is a Hopper.
#pragma once
#include "backend/cuda/kernels/product.cuh"
#include "backend/cuda/launch.h"

namespace jsg::cuda {

template <class T>
class PrefillProducts {
 public:
  PrefillProducts(const cudaDeviceProp& device, const Launcher& launch);

  // Whether products of so many rows run here; otherwise, and for logits, they are somebody else's.
  bool can_run(int n_rows) const;
  static constexpr int kLeastSquaresTile = 128;
  // Features behind each sum of squares that a kResidual product of n rows and so many features leaves.
  int squares_tile(int n_rows, int features) const { return tile_features(n_rows, features); }
  // Any epilogue but kLogits. in_features and out_features are multiples of 8, weight and x aligned to 16 bytes.
  void run(Epilogue epilogue, const ProductArgs<T>& args) const;

 private:
  int tile_features(int n_rows, int features) const;
  template <Epilogue kEpilogue>
  void launch_tile(const ProductArgs<T>& args) const;
  template <Epilogue kEpilogue, int kFeatures>
  void launch(const ProductArgs<T>& args) const;

  const Launcher& launch_;
  const int n_blocks_;  // that run at a time, whole clusters
  const bool is_hopper_;
};

extern template class PrefillProducts<__half>;
extern template class PrefillProducts<__nv_bfloat16>;

}  // namespace jsg::cuda
