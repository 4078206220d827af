#include "backend/dequant.h"

#include <algorithm>
#include <cstring>

#include "backend/half.h"

namespace jsg {
namespace {

uint16_t read_u16(const uint8_t* p) {
  uint16_t value;
  std::memcpy(&value, p, 2);
  return value;
}

float read_half(const uint8_t* p) { return half_to_float(read_u16(p)); }

// Low nibbles are elements 0..15, high nibbles 16..31.
void split_nibbles(const uint8_t* qs, uint8_t* codes) {
  for (int i = 0; i < 16; ++i) {
    codes[i] = qs[i] & 15;
    codes[16 + i] = qs[i] >> 4;
  }
}

void add_fifth_bit(const uint8_t* qh, uint8_t* codes) {
  uint32_t bits;
  std::memcpy(&bits, qh, 4);
  for (int i = 0; i < 32; ++i) codes[i] |= static_cast<uint8_t>(((bits >> i) & 1) << 4);
}

// 6-bit scale and min of sub-block j of a Q4_K or Q5_K block: the first four in bits 0..5, the last four split.
void scale_min_k(const uint8_t* s, int j, int& scale, int& min) {
  if (j < 4) {
    scale = s[j] & 63;
    min = s[j + 4] & 63;
  } else {
    scale = (s[j + 4] & 15) | ((s[j - 4] >> 6) << 4);
    min = (s[j + 4] >> 4) | ((s[j] >> 6) << 4);
  }
}

// Sub-block j (32 elements) of a Q4_K or Q5_K block; `qh` is null for Q4_K.
void unpack_k(const uint8_t* block, int j, const uint8_t* qh, const uint8_t* qs, QuantGroup& out) {
  int scale, min;
  scale_min_k(block + 4, j, scale, min);
  out.scale[0] = out.scale[1] = read_half(block) * static_cast<float>(scale);
  out.min = -(read_half(block + 2) * static_cast<float>(min));
  for (int i = 0; i < 32; ++i) {
    const uint8_t byte = qs[32 * (j / 2) + i];
    out.codes[i] = j % 2 == 0 ? byte & 15 : byte >> 4;
    if (qh) out.codes[i] |= static_cast<uint8_t>(((qh[i] >> j) & 1) << 4);
  }
}

// 32 elements of a Q6_K block: quarter `j % 4` of half `j / 4`.
void unpack_q6_k(const uint8_t* block, int j, QuantGroup& out) {
  const int half = j / 4, quarter = j % 4;
  const uint8_t* ql = block + 64 * half + 32 * (quarter % 2);
  const uint8_t* qh = block + 128 + 32 * half;
  const uint8_t* scales = block + 192 + 8 * half + 2 * quarter;
  const float d = read_half(block + 208);
  for (int i = 0; i < 32; ++i) {
    const uint8_t low = quarter < 2 ? ql[i] & 15 : ql[i] >> 4;
    out.codes[i] = static_cast<uint8_t>(low | (((qh[i] >> (2 * quarter)) & 3) << 4));
  }
  out.scale[0] = d * static_cast<float>(static_cast<int8_t>(scales[0]));
  out.scale[1] = d * static_cast<float>(static_cast<int8_t>(scales[1]));
  out.min = 0;
}

// Elements converted at a time: they stay in the first-level cache. A multiple of every block.
constexpr int64_t kPiece = 1024;

// At most kPiece values. By way of arrays that alias nothing, for which the compiler makes vector code.
void narrow(const float* values, int64_t n, DType to, uint8_t* out) {
  if (to == DType::kF32) {
    std::memcpy(out, values, static_cast<size_t>(n) * 4);
    return;
  }
  uint16_t narrowed[kPiece];
  if (to == DType::kF16) {
    for (int64_t i = 0; i < n; ++i) narrowed[i] = float_to_half(values[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) narrowed[i] = float_to_bf16(values[i]);
  }
  std::memcpy(out, narrowed, static_cast<size_t>(n) * 2);
}

// Codes of columns [first, first + n) of a kInt4 or kInt8 block, without their sign: less 8 or 128 they are q.
void group_codes(const WeightType& type, const uint8_t* block, int64_t first, int64_t n, uint8_t* codes) {
  const uint8_t* stored = block + type.header_bytes();
  if (type.dtype == DType::kInt8) {
    for (int64_t i = 0; i < n; ++i) codes[i] = stored[first + i] ^ 128;
    return;
  }
  for (int64_t i = 0; i < n / 2; ++i) {
    codes[2 * i] = stored[first / 2 + i] & 15;
    codes[2 * i + 1] = stored[first / 2 + i] >> 4;
  }
}

// Columns [first, first + n) of a kInt4 or kInt8 block, at most kPiece, both even.
void dequantize_columns(const WeightType& type, const uint8_t* block, int64_t first, int64_t n, float* out) {
  uint8_t codes[kPiece];
  group_codes(type, block, first, n, codes);
  const auto [scale, zero] = group_header(type.group, block);
  const int middle = type.dtype == DType::kInt4 ? 8 : 128;
  if (type.group.zero == GroupZero::kPoint) {
    for (int64_t i = 0; i < n; ++i) out[i] = scale * (static_cast<float>(codes[i] - middle) - zero);
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = scale * static_cast<float>(codes[i] - middle) + zero;
  }
}

// Elements [begin, begin + n) of consecutive blocks, both even.
void dequantize_groups(const WeightType& type, const uint8_t* data, int64_t begin, int64_t n, float* out) {
  const int64_t size = type.group.size;
  for (int64_t done = 0; done < n;) {
    const int64_t at = begin + done, count = std::min({kPiece, size - at % size, n - done});
    dequantize_columns(type, data + type.bytes(at), at % size, count, out + done);
    done += count;
  }
}

}  // namespace

bool is_quantized(const WeightType& type) { return type.block_elems() > 1; }

GroupHeader group_header(const GroupFormat& format, const uint8_t* block) {
  const auto number = [&](const uint8_t* p) { return format.f16 ? read_half(p) : bf16_to_float(read_u16(p)); };
  return {number(block), format.zero == GroupZero::kNone ? 0.0f : number(block + 2)};
}

QuantFormat quant_format(const WeightType& type) {
  switch (type.dtype) {
    case DType::kQ4_0:
      return {4, 8, false, false, DType::kF16, 32};
    case DType::kQ4_1:
      return {4, 0, true, false, DType::kF16, 32};
    case DType::kQ5_0:
      return {8, 16, false, false, DType::kF16, 32};
    case DType::kQ5_1:
      return {8, 0, true, false, DType::kF16, 32};
    case DType::kQ8_0:
      return {8, 128, false, false, DType::kF16, 32};
    case DType::kQ4_K:
      return {4, 0, true, false, DType::kF32, 32};
    case DType::kQ5_K:
      return {8, 0, true, false, DType::kF32, 32};
    case DType::kQ6_K:
      return {8, 32, false, true, DType::kF32, 32};
    default:
      break;
  }
  const GroupFormat& group = type.group;
  const bool is_int4 = type.dtype == DType::kInt4;
  // A zero point becomes a min, scale * -zero, which 16 bits can't hold.
  const DType scale_type = group.zero == GroupZero::kPoint ? DType::kF32 : group.f16 ? DType::kF16 : DType::kBF16;
  return {is_int4 ? 4 : 8, is_int4 ? 8 : 128, group.zero != GroupZero::kNone, false, scale_type, group.size};
}

void unpack_group(const WeightType& type, const uint8_t* row, int64_t index, QuantGroup& out) {
  const DType dtype = type.dtype;
  if (type.is_grouped()) {
    const int64_t first = index * 32;
    const uint8_t* block = row + first / type.group.size * type.block_bytes();
    group_codes(type, block, first % type.group.size, 32, out.codes);
    const auto [scale, zero] = group_header(type.group, block);
    out.scale[0] = out.scale[1] = scale;
    out.min = type.group.zero == GroupZero::kPoint ? -(scale * zero) : zero;
    return;
  }
  const DTypeTraits& traits = dtype_traits(dtype);
  const int64_t groups_per_block = traits.block_elems / 32;
  const uint8_t* block = row + index / groups_per_block * traits.block_bytes;
  const int j = static_cast<int>(index % groups_per_block);
  switch (dtype) {
    case DType::kQ4_K:
      return unpack_k(block, j, nullptr, block + 16, out);
    case DType::kQ5_K:
      return unpack_k(block, j, block + 16, block + 48, out);
    case DType::kQ6_K:
      return unpack_q6_k(block, j, out);
    default:
      break;
  }
  out.scale[0] = out.scale[1] = read_half(block);
  out.min = 0;
  switch (dtype) {
    case DType::kQ4_0:
      return split_nibbles(block + 2, out.codes);
    case DType::kQ4_1:
      out.min = read_half(block + 2);
      return split_nibbles(block + 4, out.codes);
    case DType::kQ5_0:
      split_nibbles(block + 6, out.codes);
      return add_fifth_bit(block + 2, out.codes);
    case DType::kQ5_1:
      out.min = read_half(block + 2);
      split_nibbles(block + 8, out.codes);
      return add_fifth_bit(block + 4, out.codes);
    default:  // Q8_0: signed bytes
      for (int i = 0; i < 32; ++i) out.codes[i] = static_cast<uint8_t>(block[2 + i] ^ 128);
  }
}

void dequantize_row(const WeightType& type, const uint8_t* row, int64_t cols, float* out) {
  switch (type.dtype) {
    case DType::kF32:
      std::memcpy(out, row, static_cast<size_t>(cols) * 4);
      return;
    case DType::kF16:
      for (int64_t i = 0; i < cols; ++i) out[i] = read_half(row + 2 * i);
      return;
    case DType::kBF16:
      for (int64_t i = 0; i < cols; ++i) out[i] = bf16_to_float(read_u16(row + 2 * i));
      return;
    default:
      break;
  }
  if (type.is_grouped()) {
    dequantize_groups(type, row, 0, cols, out);
    return;
  }
  const int zero = quant_format(type).zero;
  QuantGroup group;
  for (int64_t g = 0; g < cols / 32; ++g) {
    unpack_group(type, row, g, group);
    for (int i = 0; i < 32; ++i) {
      out[32 * g + i] = group.scale[i / 16] * static_cast<float>(group.codes[i] - zero) + group.min;
    }
  }
}

void convert(const WeightType& from, const uint8_t* data, int64_t n, DType to, uint8_t* out) {
  const int out_bytes = dtype_traits(to).block_bytes;
  if (from.dtype == to) {
    std::memcpy(out, data, static_cast<size_t>(n) * out_bytes);
    return;
  }
  float values[kPiece];
  for (int64_t at = 0; at < n; at += kPiece) {
    const int64_t count = std::min(kPiece, n - at);
    if (from.is_grouped()) {
      dequantize_groups(from, data, at, count, values);
    } else {
      dequantize_row(from, data + from.bytes(at), count, values);
    }
    narrow(values, count, to, out + at * out_bytes);
  }
}

}  // namespace jsg
