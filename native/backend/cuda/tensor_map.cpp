#include "backend/cuda/tensor_map.h"

#include <cuda_runtime.h>

#include <string>

#include "error.h"

namespace jsg::cuda {
namespace {

// Not linked: the library must load where there is no driver.
decltype(&cuTensorMapEncodeTiled) encoder() {
  static const auto function = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result;
    const cudaError_t status =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result);
    const bool is_there = status == cudaSuccess && result == cudaDriverEntryPointSuccess;
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(is_there ? found : nullptr);
  }();
  return function;
}

CUtensorMapDataType data_type(ElementType type) {
  switch (type) {
    case ElementType::kF16:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    case ElementType::kBF16:
      return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    default:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
  }
}

}  // namespace

bool has_tensor_maps() { return encoder() != nullptr; }

CUtensorMap make_tensor_map(const void* data, ElementType type, std::span<const uint64_t> sizes,
                            std::span<const uint64_t> strides, std::span<const uint32_t> box) {
  constexpr uint32_t kSteps[] = {1, 1, 1};
  CUtensorMap map;
  const auto status = encoder()(&map, data_type(type), static_cast<cuuint32_t>(sizes.size()), const_cast<void*>(data),
                                sizes.data(), strides.data(), box.data(), kSteps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                                box[0] * bytes_of(type) == 32 ? CU_TENSOR_MAP_SWIZZLE_32B : CU_TENSOR_MAP_SWIZZLE_128B,
                                CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) {
    throw Error("E_RUNTIME_FAILED", "CUDA: describing a tensor failed with status " + std::to_string(status));
  }
  return map;
}

}  // namespace jsg::cuda
