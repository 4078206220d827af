// Types of numbers that libraries and descriptors are told of.
#pragma once
#include <cstddef>

namespace jsg::cuda {

enum class ElementType { kF16, kBF16, kF32 };

constexpr size_t bytes_of(ElementType type) { return type == ElementType::kF32 ? 4 : 2; }

}  // namespace jsg::cuda
