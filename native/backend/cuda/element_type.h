// Types of numbers that libraries and descriptors are told of.
#pragma once
#include <cuda_fp16.h>

#include <cstddef>
#include <type_traits>

namespace jsg::cuda {

enum class ElementType { kF16, kBF16, kF32 };

// Of __half, __nv_bfloat16 and float.
template <class T>
constexpr ElementType element_type() {
  if constexpr (std::is_same_v<T, float>) return ElementType::kF32;
  return std::is_same_v<T, __half> ? ElementType::kF16 : ElementType::kBF16;
}

constexpr size_t bytes_of(ElementType type) { return type == ElementType::kF32 ? 4 : 2; }

}  // namespace jsg::cuda
