#include "model/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "backend/dequant.h"
#include "backend/half.h"

namespace jsg {
namespace {

// Elements quantised at a time: few enough to stay in the cache.
constexpr int64_t kPiece = 16 * 1024;
// Codes computed at a time, of which compilers make vector code.
constexpr int64_t kRun = 64;

float to_bf16(float value) { return bf16_to_float(float_to_bf16(value)); }

void store_bf16(uint8_t* p, float value) {
  const uint16_t bits = float_to_bf16(value);
  std::memcpy(p, &bits, 2);
}

// To nearest, ties to even, of |value| < 2^22.
float round_even(float value) {
  constexpr float kShift = 0x1.8p23f;
  return value + kShift - kShift;
}

float clamp(float value, float low, float high) { return std::min(std::max(value, low), high); }

}  // namespace

void quantize_int4(const float* weights, int64_t n, uint8_t* block) {
  float smallest = weights[0], largest = weights[0];
  for (int64_t i = 1; i < n; ++i) {
    smallest = std::min(smallest, weights[i]);
    largest = std::max(largest, weights[i]);
  }
  const float scale = std::max(to_bf16(to_bf16(largest - smallest) / 15.0f), to_bf16(1e-6f));
  const float zero = to_bf16(smallest + 8 * scale);
  const float bottom = to_bf16(zero - 8 * scale);
  store_bf16(block, scale);
  store_bf16(block + 2, zero);
  uint8_t* codes = block + 4;
  for (int64_t at = 0; at < n; at += kRun) {
    uint8_t run[kRun];
    const int64_t count = std::min(kRun, n - at);
    for (int64_t i = 0; i < count; ++i) {
      const float code = to_bf16(to_bf16(weights[at + i] - bottom) / scale);
      run[i] = static_cast<uint8_t>(static_cast<int32_t>(round_even(clamp(code, 0.0f, 15.0f))));
    }
    for (int64_t i = 0; i < count / 2; ++i) {
      codes[at / 2 + i] = static_cast<uint8_t>(run[2 * i] | (run[2 * i + 1] << 4));
    }
  }
}

void quantize_int8(const float* weights, int64_t n, uint8_t* block) {
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(weights[i]));
  const float scale = std::max(to_bf16(largest / 127.5f), 0x1p-23f);
  const float inverse = to_bf16(1.0f / scale);
  store_bf16(block, scale);
  for (int64_t i = 0; i < n; ++i) {
    const float q = clamp(to_bf16(weights[i] * inverse), -128.0f, 127.0f);
    block[2 + i] = static_cast<uint8_t>(static_cast<int32_t>(round_even(q)));
  }
}

void QuantizingSource::read(uint64_t begin, std::span<uint8_t> to) const {
  const WeightType type = how_.type();
  const int64_t size = type.block_elems(), block_bytes = type.block_bytes(), source_block = stored_type_.block_elems();
  const int64_t first = static_cast<int64_t>(begin) / block_bytes * size;
  const int64_t end = first + static_cast<int64_t>(to.size()) / block_bytes * size;
  const int64_t piece = std::max<int64_t>(1, kPiece / size) * size;
  std::vector<uint8_t> stored, narrow;
  std::vector<float> weights;
  uint8_t* out = to.data();
  for (int64_t at = first; at < end; at += piece) {
    const int64_t n = std::min(piece, end - at);
    // A block of the source may begin before the piece and end after it.
    const int64_t from = at / source_block * source_block;
    const int64_t until = (at + n + source_block - 1) / source_block * source_block;
    stored.resize(stored_type_.bytes(until - from));
    narrow.resize(static_cast<size_t>(until - from) * 2);
    stored_.read(stored_type_.bytes(from), stored);
    convert(stored_type_, stored.data(), until - from, DType::kBF16, narrow.data());
    if (how_.bits == 16) {
      std::memcpy(out, narrow.data() + 2 * (at - from), static_cast<size_t>(n) * 2);
      out += 2 * n;
      continue;
    }
    weights.resize(static_cast<size_t>(until - from));
    dequantize_row(DType::kBF16, narrow.data(), until - from, weights.data());
    for (int64_t i = at - from; i < at - from + n; i += size, out += block_bytes) {
      (how_.bits == 4 ? quantize_int4 : quantize_int8)(weights.data() + i, size, out);
    }
  }
}

}  // namespace jsg
