// fp16 and bf16 on the host, as their bits. Narrowing rounds to nearest, ties to even, as the hardware does; every
// function is free of branches, so that loops over it become vector code.
#pragma once
#include <bit>
#include <cstdint>

namespace jsg {

namespace half_detail {
// A mask rather than `?:`, of which compilers make branches that keep loops from becoming vector code.
inline uint32_t select(bool condition, uint32_t yes, uint32_t no) {
  const uint32_t mask = 0u - static_cast<uint32_t>(condition);
  return (yes & mask) | (no & ~mask);
}
}  // namespace half_detail

inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7fff;
  const uint32_t normal = (magnitude << 13) + (112u << 23);
  const uint32_t special = (magnitude << 13) | 0x7f800000;  // infinity, NaN
  const uint32_t subnormal = std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  const uint32_t bits =
      half_detail::select(magnitude < 0x0400, subnormal, half_detail::select(magnitude < 0x7c00, normal, special));
  return std::bit_cast<float>(bits | sign);
}

// Too large becomes infinity, NaN stays NaN.
inline uint16_t float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value), magnitude = bits & 0x7fffffff;
  // Up by just less than half of the last place kept, and by exactly half where that place is odd.
  const uint32_t normal = (magnitude - (112u << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  // 0.5 has 2^-24, the smallest fp16, as its last place: the addition rounds.
  const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - (126u << 23);
  const uint32_t special = half_detail::select(magnitude > 0x7f800000, 0x7e00, 0x7c00);
  const uint32_t half = half_detail::select(magnitude < 0x38800000, subnormal,
                                            half_detail::select(magnitude < 0x47800000, normal, special));
  return static_cast<uint16_t>(half | ((bits >> 16) & 0x8000));
}

inline float bf16_to_float(uint16_t bf16) { return std::bit_cast<float>(static_cast<uint32_t>(bf16) << 16); }

inline uint16_t float_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const uint32_t nan = (bits >> 16) | 0x40;  // the cut mantissa must not be 0
  return static_cast<uint16_t>(half_detail::select((bits & 0x7fffffff) > 0x7f800000, nan, rounded));
}

}  // namespace jsg
