// Conversion between the plain types, against the compiler's own fp16 arithmetic; block formats are tested with the
// kernels that read them.
#include "backend/dequant.h"

#include <bit>
#include <limits>
#include <random>
#include <vector>

#include "backend/half.h"
#include "check.h"

using namespace jsg;

namespace {

// Rounded by searching: the fp16 nearest to `value`, the even one of two.
uint16_t nearest_half(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(static_cast<double>(value));
  auto exact = [](uint32_t half) {  // fp16 with an unbounded exponent range above
    const int exponent = static_cast<int>(half >> 10);
    const double mantissa = half & 1023;
    return exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  };
  uint32_t low = 0, high = 0x7c00;  // exact(low) <= magnitude; 0x7c00 stands for 65536 here, and means infinity
  if (magnitude >= exact(high)) return static_cast<uint16_t>(sign | 0x7c00);
  while (high - low > 1) {
    const uint32_t middle = (low + high) / 2;
    (exact(middle) <= magnitude ? low : high) = middle;
  }
  const double below = magnitude - exact(low), above = exact(high) - magnitude;
  return static_cast<uint16_t>(sign | (below < above || (below == above && low % 2 == 0) ? low : high));
}

template <class T>
std::vector<uint8_t> bytes_of(const std::vector<T>& values) {
  const auto* data = reinterpret_cast<const uint8_t*>(values.data());
  return {data, data + values.size() * sizeof(T)};
}

}  // namespace

TEST(every_half_survives_the_way_to_float_and_back) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const float value = half_to_float(static_cast<uint16_t>(half));
    const bool is_nan = (half & 0x7c00) == 0x7c00 && (half & 0x3ff) != 0;
    if (is_nan) {
      CHECK(std::isnan(value));
      CHECK((float_to_half(value) & 0x7c00) == 0x7c00 && (float_to_half(value) & 0x3ff) != 0);
    } else {
      CHECK(float_to_half(value) == half);
    }
  }
  CHECK(half_to_float(0x3c00) == 1.0f);
  CHECK(half_to_float(0x0001) == 0x1p-24f);
  CHECK(half_to_float(0xfbff) == -65504.0f);
}

TEST(float_to_half_rounds_to_nearest_even) {
  std::mt19937 generator(1);
  for (int i = 0; i < 300000; ++i) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(generator()));
    if (!std::isnan(value)) CHECK(float_to_half(value) == nearest_half(value));
  }
  for (uint32_t half = 0; half < 0x7c00; ++half) {  // halfway to the next one, and just beside
    const float low = half_to_float(static_cast<uint16_t>(half));
    const float high = half == 0x7bff ? 65536.0f : half_to_float(static_cast<uint16_t>(half + 1));
    const float middle = low + (high - low) / 2;
    for (const float value : {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, 1e30f)}) {
      CHECK(float_to_half(value) == nearest_half(value));
      CHECK(float_to_half(-value) == nearest_half(-value));
    }
  }
}

TEST(float_to_bf16_rounds_to_nearest_even) {
  CHECK(float_to_bf16(1.0f) == 0x3f80);
  CHECK(float_to_bf16(std::bit_cast<float>(0x3f808000u)) == 0x3f80);  // a tie: down to even
  CHECK(float_to_bf16(std::bit_cast<float>(0x3f818000u)) == 0x3f82);  // a tie: up to even
  CHECK(float_to_bf16(std::bit_cast<float>(0x3f808001u)) == 0x3f81);
  CHECK(float_to_bf16(std::numeric_limits<float>::max()) == 0x7f80);
  CHECK(float_to_bf16(-std::numeric_limits<float>::infinity()) == 0xff80);
  CHECK(std::isnan(bf16_to_float(float_to_bf16(std::bit_cast<float>(0x7f800001u)))));
}

TEST(convert_takes_every_plain_type_to_every_other) {
  std::mt19937 generator(2);
  std::normal_distribution<float> normal;
  std::vector<float> values(3000);
  std::vector<uint16_t> halves, brains;
  for (float& value : values) {
    value = normal(generator);
    halves.push_back(float_to_half(value));
    brains.push_back(float_to_bf16(value));
  }
  const struct {
    DType dtype;
    std::vector<uint8_t> data;
  } stored[] = {{DType::kF32, bytes_of(values)}, {DType::kF16, bytes_of(halves)}, {DType::kBF16, bytes_of(brains)}};
  const auto n = static_cast<int64_t>(values.size());
  for (const auto& from : stored) {
    std::vector<float> exact(values.size());
    dequantize_row(from.dtype, from.data.data(), n, exact.data());
    for (const auto& to : stored) {
      std::vector<uint8_t> out(to.data.size());
      convert(from.dtype, from.data.data(), n, to.dtype, out.data());
      std::vector<float> seen(values.size());
      dequantize_row(to.dtype, out.data(), n, seen.data());
      for (size_t i = 0; i < seen.size(); ++i) {
        const float expected = to.dtype == DType::kF16    ? half_to_float(float_to_half(exact[i]))
                               : to.dtype == DType::kBF16 ? bf16_to_float(float_to_bf16(exact[i]))
                                                          : exact[i];
        CHECK(seen[i] == expected);
      }
    }
  }
}

TEST(convert_decodes_blocks) {
  std::vector<uint8_t> blocks(18 * 96);  // Q4_0: 96 blocks of 32
  std::mt19937 generator(3);
  for (uint8_t& byte : blocks) byte = static_cast<uint8_t>(generator());
  for (size_t at = 0; at < blocks.size(); at += 18) blocks[at + 1] = 0x2c;  // scales near 1/16
  const int64_t n = 96 * 32;
  std::vector<float> exact(n);
  dequantize_row(DType::kQ4_0, blocks.data(), n, exact.data());
  std::vector<uint16_t> out(n);
  convert(DType::kQ4_0, blocks.data(), n, DType::kF16, reinterpret_cast<uint8_t*>(out.data()));
  for (int64_t i = 0; i < n; ++i) CHECK(out[i] == float_to_half(exact[i]));
}

TEST_MAIN()
