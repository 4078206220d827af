#include "backend/cuda/prefill_products.h"

#include <algorithm>

#include "backend/cuda/kernels/gemm_prefill.cuh"
#include "backend/cuda/tensor_map.h"

namespace jsg::cuda {
namespace {

// Below, too few tiles for the SMs: cuBLAS splits columns.
constexpr int kLeastRows = 1024;
// Features that a tile of 128 computes in the time that one of 256 computes 256: it reads more for each.
constexpr double kNarrowCost = 0.56;

// A row-major (rows, columns) tensor, in boxes of 128 bytes of box_rows.
template <class T>
CUtensorMap matrix_map(const T* data, int rows, int columns, int box_rows) {
  const uint64_t sizes[] = {static_cast<uint64_t>(columns), static_cast<uint64_t>(rows)};
  const uint64_t strides[] = {static_cast<uint64_t>(columns) * sizeof(T)};
  const uint32_t box[] = {128 / sizeof(T), static_cast<uint32_t>(box_rows)};
  return make_tensor_map(data, element_type<T>(), sizes, strides, box);
}

}  // namespace

template <class T>
PrefillProducts<T>::PrefillProducts(const cudaDeviceProp& device, const Launcher& launch)
    : launch_(launch),
      n_blocks_(device.multiProcessorCount / kPrefillCluster * kPrefillCluster),
      is_hopper_(device.major == 9 && has_tensor_maps()) {}

template <class T>
bool PrefillProducts<T>::can_run(int n_rows) const {
  return is_hopper_ && n_rows >= kLeastRows;
}

// The width of tiles that keeps all SMs busy with the least waste.
template <class T>
int PrefillProducts<T>::tile_features(int n_rows, int features) const {
  const int row_tiles = (n_rows + kPrefillRows * kPrefillCluster - 1) / (kPrefillRows * kPrefillCluster) * 2;
  auto waves = [&](int width) { return (row_tiles * ((features + width - 1) / width) + n_blocks_ - 1) / n_blocks_; };
  return kNarrowCost * waves(128) < waves(256) ? 128 : 256;
}

template <class T>
void PrefillProducts<T>::run(Epilogue epilogue, const ProductArgs<T>& args) const {
  switch (epilogue) {
    case Epilogue::kStore:
      return launch_tile<Epilogue::kStore>(args);
    case Epilogue::kResidual:
      return launch_tile<Epilogue::kResidual>(args);
    case Epilogue::kSilu:
      return launch_tile<Epilogue::kSilu>(args);
    case Epilogue::kLogits:
      throw Error("E_RUNTIME_FAILED", "CUDA: logits are not made by products of many rows");
  }
}

template <class T>
template <Epilogue kEpilogue>
void PrefillProducts<T>::launch_tile(const ProductArgs<T>& args) const {
  if (tile_features(args.n, args.out_features) == 128) return launch<kEpilogue, 128>(args);
  launch<kEpilogue, 256>(args);
}

template <class T>
template <Epilogue kEpilogue, int kFeatures>
void PrefillProducts<T>::launch(const ProductArgs<T>& args) const {
  auto* kernel = gemm_prefill_kernel<T, kEpilogue, kFeatures>;
  constexpr int kBytes =
      PrefillStage<kFeatures>::kSharedBytes + (kEpilogue == Epilogue::kResidual ? ResidualRing::kSharedBytes : 0);
  static const cudaError_t allowed = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  check(allowed, "reserving shared memory");
  constexpr int kOut = kEpilogue == Epilogue::kSilu ? kFeatures / 2 : kFeatures;
  constexpr int kPairRows = kPrefillRows * kPrefillCluster;
  const int n_out = kEpilogue == Epilogue::kSilu ? args.out_features / 2 : args.out_features;
  const int units = (args.n + kPairRows - 1) / kPairRows * ((n_out + kOut - 1) / kOut);
  const CUtensorMap x = matrix_map(args.x, args.n, args.in_features, kPrefillRows);
  const CUtensorMap weight = matrix_map(args.weight, args.out_features, args.in_features, kFeatures / 2);
  const CUtensorMap residual =
      kEpilogue == Epilogue::kResidual ? matrix_map<float>(args.residual, args.n, args.out_features, kPrefillRows) : x;
  Launcher launch = launch_;
  launch.cluster = kPrefillCluster;
  launch(kernel, dim3(std::min(units * kPrefillCluster, n_blocks_)), kPrefillThreads, kBytes, x, weight, residual,
         args);
}

template class PrefillProducts<__half>;
template class PrefillProducts<__nv_bfloat16>;

}  // namespace jsg::cuda
