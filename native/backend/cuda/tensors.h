// Weights on the device.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <memory>
#include <type_traits>

#include "backend/backend.h"
#include "backend/cuda/code_tiles.h"
#include "backend/cuda/device_memory.h"

namespace jsg::cuda {

template <class T>
constexpr DType storage_type() {
  return std::is_same_v<T, __half> ? DType::kF16 : DType::kBF16;
}

template <class T>
struct DeviceTable final : Table {
  std::shared_ptr<Memory<T>> data;  // (rows, cols)
  Memory<float> values;             // of a single row, as fp32
};

template <class T>
struct DeviceLinear final : Linear {
  std::shared_ptr<Memory<T>> data;  // (out_features, in_features), or none:
  Memory<uint8_t> codes;            // (tiles, codes_view.tile_bytes)
  CodesView codes_view{};
  Memory<float> bias;  // (out_features), or empty
};

}  // namespace jsg::cuda
