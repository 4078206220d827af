#include "backend/cuda/products.h"

#include <algorithm>

#include "backend/cuda/kernels/gemm.cuh"
#include "backend/cuda/kernels/gemv.cuh"

namespace jsg::cuda {
namespace {

constexpr int kGemvWarps = 16;
constexpr int kGemvStages = 2;
// Gate and up take twice the registers. With rows of up to so many columns it pays to keep one stage instead of two:
// two blocks then fit into an SM, and the next kernel's weights are on their way while this one ends.
constexpr int kShortRow = 2048;
constexpr int kGemvBlocksPerSm = 2;
// What a row of activations, which comes from the level-2 cache, costs beside a row of weights.
constexpr float kRowCost = 0.2f;
// On large devices gemm wins from so many rows on: gemv reads all activations again for each tile of weights. Not where
// the hidden state is short: there is too little of a row for gemm's ring.
constexpr int kLargeGemvRows = 2;

}  // namespace

template <class T>
FusedProducts<T>::FusedProducts(const cudaDeviceProp& device, const Launcher& launch)
    : n_sms_(device.multiProcessorCount),
      large_(device.major >= 9 && device.major < 12),
      launch_(launch),
      code_products_(device, launch) {}

// Blocks take whole tiles in waves: smaller tiles waste less in the last one, and read the activations more often.
template <class T>
int FusedProducts<T>::gemm_features(int n_rows, int tiles_of_32) const {
  auto cost = [&](int features, int tiles) {
    const int waves = (tiles + n_sms_ - 1) / n_sms_;
    return static_cast<float>(waves) * (static_cast<float>(features) + kRowCost * static_cast<float>(n_rows));
  };
  return cost(32, tiles_of_32) < cost(64, (tiles_of_32 + 1) / 2) ? 32 : 64;
}

template <class T>
bool FusedProducts<T>::uses_gemv(int n_rows, int hidden) const {
  return n_rows <= (large_ && hidden > kShortRow ? kLargeGemvRows : kMaxGemvRows);
}

template <class T>
int FusedProducts<T>::squares_tile(const ProductArgs<T>& args) const {
  const bool gemv = args.codes.bits > 0 ? code_products_.uses_gemv(args) : uses_gemv(args.n, args.out_features);
  return gemv ? kTileRows : gemm_features(args.n, (args.out_features + 31) / 32);
}

template <class T>
void FusedProducts<T>::run(Epilogue epilogue, const ProductArgs<T>& args) const {
  if (args.codes.bits > 0 && code_products_.uses_gemv(args)) return code_products_.run_gemv(epilogue, args);
  if (args.codes.bits > 0) {
    return code_products_.run_gemm(epilogue, args, gemm_features(args.n, (args.out_features + 31) / 32));
  }
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
  const int features = kEpilogue == Epilogue::kSilu ? args.out_features / 2 : args.out_features;
  const int hidden = kEpilogue == Epilogue::kResidual ? args.out_features : args.in_features;
  if (uses_gemv(args.n, hidden)) {
    const int tiles = (features + kTileRows - 1) / kTileRows;
    constexpr int kResident = kEpilogue == Epilogue::kSilu ? 1 : kGemvBlocksPerSm;
    auto* kernel = gemv_kernel<T, PlainWeight<T>, kEpilogue, kGemvWarps, kGemvStages, kResident>;
    if constexpr (kEpilogue == Epilogue::kSilu) {
      if (args.in_features <= kShortRow) {
        kernel = gemv_kernel<T, PlainWeight<T>, kEpilogue, kGemvWarps, 1, kGemvBlocksPerSm>;
      }
    }
    launch_(kernel, dim3(std::min(tiles, kGemvBlocksPerSm * n_sms_)), kGemvWarps * kWarp, 0, args);
  } else if (large_) {
    launch_gemm<kEpilogue, GemmSize::kLarge>(args);
  } else {
    launch_gemm<kEpilogue, GemmSize::kSmall>(args);
  }
}

template <class T>
template <Epilogue kEpilogue, GemmSize kSize>
void FusedProducts<T>::launch_gemm(const ProductArgs<T>& args) const {
  const bool wide = gemm_features(args.n, (args.out_features + 31) / 32) == 64;
  if (args.n > 32)
    return wide ? launch_gemm<kEpilogue, kSize, 64, 64>(args) : launch_gemm<kEpilogue, kSize, 64, 32>(args);
  if (args.n > 16)
    return wide ? launch_gemm<kEpilogue, kSize, 32, 64>(args) : launch_gemm<kEpilogue, kSize, 32, 32>(args);
  return wide ? launch_gemm<kEpilogue, kSize, 16, 64>(args) : launch_gemm<kEpilogue, kSize, 16, 32>(args);
}

template <class T>
template <Epilogue kEpilogue, GemmSize kSize, int kN, int kFeatures>
void FusedProducts<T>::launch_gemm(const ProductArgs<T>& args) const {
  using Shape = GemmShape<kSize, kN, kFeatures>;
  const int tiles = (args.out_features + kFeatures - 1) / kFeatures;
  launch_resident<gemm_kernel<T, kEpilogue, kSize, kN, kFeatures>, Shape>(launch_, tiles, n_sms_, args);
}

template class FusedProducts<__half>;
template class FusedProducts<__nv_bfloat16>;

}  // namespace jsg::cuda
