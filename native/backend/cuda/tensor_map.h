// Descriptions of tensors for the copies of boxes (TMA) that sm_90 and later have.
#pragma once
#include <cuda.h>

#include <cstdint>
#include <span>

#include "backend/cuda/element_type.h"

namespace jsg::cuda {

// Whether the driver can make them.
bool has_tensor_maps();

// A tensor, `sizes` with the innermost dimension first, `strides` in bytes of all dimensions but
// that; copied in boxes of `box` elements, zeros outside. The box's innermost bytes, 32 or 128, are those of the
// swizzle. Throws E_RUNTIME_FAILED.
CUtensorMap make_tensor_map(const void* data, ElementType type, std::span<const uint64_t> sizes,
                            std::span<const uint64_t> strides, std::span<const uint32_t> box);

}  // namespace jsg::cuda
