#include "model/dummy_weights.h"

#include <algorithm>
#include <cmath>

#include "backend/dequant.h"

namespace jsg {
namespace {

// FNV-1a, odd.
uint32_t seed_of(const std::string& name) {
  uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return hash | 1;
}

// The finaliser of MurmurHash3: every input bit changes every output bit with even odds.
uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

// The sum of four uniform bytes is near enough to a normal distribution: mean 510, deviation 147.8.
float bell(uint32_t random) {
  const uint32_t pairs = (random & 0x00ff00ff) + ((random >> 8) & 0x00ff00ff);
  return static_cast<float>(static_cast<int32_t>((pairs & 0xffff) + (pairs >> 16)) - 510) / 147.8f;
}

}  // namespace

DummySource::DummySource(const TensorInfo& tensor)
    : dtype_(tensor.dtype),
      is_norm_(tensor.shape.size() == 1 && tensor.name.find("norm") != std::string::npos),
      seed_(seed_of(tensor.name)),
      scale_(1.0f / std::sqrt(static_cast<float>(tensor.shape.back()))) {}

void DummySource::read(uint64_t begin, std::span<uint8_t> to) const {
  constexpr size_t kPiece = 1024;  // stays in the first-level cache
  float values[kPiece];
  std::fill(values, values + kPiece, 1.0f);
  const size_t elem_bytes = dtype_traits(dtype_).block_bytes, n = to.size() / elem_bytes;
  // Indices wrap after 2^32 elements: the numbers repeat, which does no harm.
  const uint32_t first = static_cast<uint32_t>(begin / elem_bytes), seed = seed_;
  const float scale = scale_;
  for (size_t at = 0; at < n; at += kPiece) {
    const size_t count = std::min(kPiece, n - at);
    if (!is_norm_) {
      for (uint32_t i = 0; i < count; ++i) {
        // Times the seed: tensors don't become shifted copies of each other.
        values[i] = scale * bell(mix((first + static_cast<uint32_t>(at) + i) * seed));
      }
    }
    convert(DType::kF32, reinterpret_cast<const uint8_t*>(values), static_cast<int64_t>(count), dtype_,
            to.data() + at * elem_bytes);
  }
}

}  // namespace jsg
