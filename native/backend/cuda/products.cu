#include "backend/cuda/products.h"

#include <algorithm>

#include "backend/cuda/kernels/gemm.cuh"
#include "backend/cuda/kernels/gemv.cuh"

namespace jsg::cuda {
namespace {

constexpr int kGemvWarps = 16;
constexpr int kGemvStages = 2;
constexpr int kBlocksPerSm = 2;
// Fewer units than this a block, and starting it costs more than it shares.
constexpr int kLeastUnits = 4;

}  // namespace

template <class T>
FusedProducts<T>::FusedProducts(int n_sms, int max_out_features, const Launcher& launch)
    : n_sms_(n_sms), launch_(launch) {
  partial_.grow(static_cast<size_t>(n_sms) * kBlocksPerSm * 2 * kMaxGemmRows * kGemmFeatures);
  finished_.grow((max_out_features + kGemmFeatures / 2 - 1) / (kGemmFeatures / 2));
  check(cudaMemset(finished_.get(), 0, finished_.bytes()), "clearing counters");
}

template <class T>
int FusedProducts<T>::squares_tile(int n_rows) {
  return n_rows <= kMaxGemvRows ? kTileRows : kGemmFeatures;
}

template <class T>
void FusedProducts<T>::run(Epilogue epilogue, ProductArgs<T> args) const {
  args.partial = partial_.get();
  args.finished = finished_.get();
  switch (epilogue) {
    case Epilogue::kStore:
      return launch<Epilogue::kStore>(args);
    case Epilogue::kResidual:
      return launch<Epilogue::kResidual>(args);
    case Epilogue::kSilu:
      return launch<Epilogue::kSilu>(args);
    case Epilogue::kLogits:
      return launch<Epilogue::kLogits>(args);
  }
}

template <class T>
template <Epilogue kEpilogue>
void FusedProducts<T>::launch(const ProductArgs<T>& args) const {
  if (args.n > 48) return launch_gemm<kEpilogue, 64>(args);
  if (args.n > 32) return launch_gemm<kEpilogue, 48>(args);
  if (args.n > 16) return launch_gemm<kEpilogue, 32>(args);
  if (args.n > kMaxGemvRows) return launch_gemm<kEpilogue, 16>(args);
  const int features = kEpilogue == Epilogue::kSilu ? args.out_features / 2 : args.out_features;
  const int tiles = (features + kTileRows - 1) / kTileRows;
  launch_(gemv_kernel<T, kEpilogue, kGemvWarps, kGemvStages>, dim3(std::min(tiles, kBlocksPerSm * n_sms_)),
          kGemvWarps * kWarp, 0, args);
}

template <class T>
template <Epilogue kEpilogue, int kN>
void FusedProducts<T>::launch_gemm(const ProductArgs<T>& args) const {
  auto* kernel = gemm_kernel<T, kEpilogue, kN>;
  constexpr int kBytes = GemmShape<kN>::kSharedBytes;
  static const cudaError_t allowed = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  check(allowed, "reserving shared memory");
  constexpr int kTileOut = kEpilogue == Epilogue::kSilu ? kGemmFeatures / 2 : kGemmFeatures;
  const int n_out = kEpilogue == Epilogue::kSilu ? args.out_features / 2 : args.out_features;
  const int units = (n_out + kTileOut - 1) / kTileOut * ((args.in_features + kGemmColumns - 1) / kGemmColumns);
  const int blocks = std::clamp(units / kLeastUnits, 1, kBlocksPerSm * n_sms_);
  launch_(kernel, dim3(blocks), kGemmThreads, kBytes, args);
}

template class FusedProducts<__half>;
template class FusedProducts<__nv_bfloat16>;

}  // namespace jsg::cuda
