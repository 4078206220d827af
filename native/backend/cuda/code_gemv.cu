#include <algorithm>

#include "backend/cuda/code_products.h"
#include "backend/cuda/kernels/expand_codes.cuh"
#include "backend/cuda/kernels/gemv.cuh"

namespace jsg::cuda {
namespace {

template <class T, class W, Epilogue kEpilogue, int kWarps, int kStages, int kBlocks, int kRows = kMaxGemvRows>
void launch_gemv(const ProductArgs<T>& args, int n_sms, const Launcher& launch) {
  const int features = kEpilogue == Epilogue::kSilu ? args.out_features / 2 : args.out_features;
  const int tiles = (features + kTileRows - 1) / kTileRows;
  launch(gemv_kernel<T, W, kEpilogue, kWarps, kStages, kBlocks, kRows>, dim3(std::min(tiles, kBlocks * n_sms)),
         kWarps * kWarp, 0, args);
}

template <class T>
bool has_wide_groups(const ProductArgs<T>& args) {
  return args.codes.group_shift >= 7 && args.in_features % 128 == 0;
}

// Warps, stages and blocks an SM: the fastest of those tried on an H100 in the shapes of an 8B model.
template <class T, Epilogue kEpilogue>
void launch_codes(const ProductArgs<T>& args, int n_sms, const Launcher& launch) {
  constexpr bool kPaired = kEpilogue == Epilogue::kSilu;
  const CodesView& codes = args.codes;
  if (codes.bits == 8) {
    if (!codes.scales_rows) {
      return launch_gemv<T, Int8Weight<T, false>, kEpilogue, 16, kPaired ? 1 : 2, 2>(args, n_sms, launch);
    }
    return launch_gemv<T, Int8Weight<T, true>, kEpilogue, 16, 1, kPaired ? 2 : 3>(args, n_sms, launch);
  }
  if (has_wide_groups(args)) {
    using W = Int4Weight<T, 128>;
    if (args.n > kMaxGemvRows) return launch_gemv<T, W, kEpilogue, 8, kPaired ? 1 : 2, 2, 16>(args, n_sms, launch);
    if constexpr (kPaired) {
      return launch_gemv<T, W, kEpilogue, 16, 2, 1>(args, n_sms, launch);
    } else if constexpr (kEpilogue == Epilogue::kStore) {
      return launch_gemv<T, W, kEpilogue, 8, 2, 3>(args, n_sms, launch);
    } else {
      return launch_gemv<T, W, kEpilogue, 16, 1, 2>(args, n_sms, launch);
    }
  }
  if (codes.group_shift >= 6 && args.in_features % 64 == 0) {
    return launch_gemv<T, Int4Weight<T, 64>, kEpilogue, 16, 2, kPaired ? 1 : 2>(args, n_sms, launch);
  }
  launch_gemv<T, Int4Weight<T, 32>, kEpilogue, 16, 2, kPaired ? 1 : 2>(args, n_sms, launch);
}

}  // namespace

template <class T>
CodeProducts<T>::CodeProducts(const cudaDeviceProp& device, const Launcher& launch)
    : n_sms_(device.multiProcessorCount), large_(device.major >= 9 && device.major < 12), launch_(launch) {}

// 16 rows are read as often as there are tiles: only where level-2 cache is as fast as Hopper's. Sums are scaled a
// group at a time, of twice as many rows: where groups are smaller, or codes wider, gemm is as fast.
template <class T>
bool CodeProducts<T>::uses_gemv(const ProductArgs<T>& args) const {
  return args.n <= (large_ && args.codes.bits == 4 && has_wide_groups(args) ? kMaxCodeGemvRows : kMaxGemvRows);
}

template <class T>
void CodeProducts<T>::run_gemv(Epilogue epilogue, const ProductArgs<T>& args) const {
  switch (epilogue) {
    case Epilogue::kStore:
      return launch_codes<T, Epilogue::kStore>(args, n_sms_, launch_);
    case Epilogue::kResidual:
      return launch_codes<T, Epilogue::kResidual>(args, n_sms_, launch_);
    case Epilogue::kSilu:
      return launch_codes<T, Epilogue::kSilu>(args, n_sms_, launch_);
    case Epilogue::kLogits:
      return launch_codes<T, Epilogue::kLogits>(args, n_sms_, launch_);
  }
}

template <class T>
void CodeProducts<T>::expand(const CodesView& codes, int out_features, int in_features, T* out) const {
  constexpr int kUnits = kExpandThreads / kWarp;
  const int n_units = (in_features + kUnitColumns - 1) / kUnitColumns;
  launch_(expand_codes_kernel<T>, dim3((n_units + kUnits - 1) / kUnits, (out_features + kTileRows - 1) / kTileRows),
          kExpandThreads, 0, codes, out_features, in_features, out);
}

template class CodeProducts<__half>;
template class CodeProducts<__nv_bfloat16>;

}  // namespace jsg::cuda
