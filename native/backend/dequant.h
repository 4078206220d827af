// What weights are stored as (plain types and GGUF's block formats), decoded on the host: the reference of every
// format, used for embeddings, for packing, for conversion on the way to a GPU and by the tests.
#pragma once
#include <cstdint>

#include "model/config.h"

namespace jsg {

// One block of 32 codes (16 with sub-groups of two scales): w = scale * (code - zero) + min.
struct QuantGroup {
  uint8_t codes[32];
  float scale[2];  // of each half
  float min;
};

// What is the same for every group of a format.
struct QuantFormat {
  int bits;  // to store a code: 4 or 8
  int zero;
  bool has_min;
  bool sub_group;  // scale[0] != scale[1]
  bool f16_scale;  // scale and min are exact in fp16
};

bool is_quantized(DType dtype);
QuantFormat quant_format(DType dtype);
// Group `index` (of 32 columns) of a row stored at `row`.
void unpack_group(DType dtype, const uint8_t* row, int64_t index, QuantGroup& out);
// A whole row of `cols` elements as fp32.
void dequantize_row(DType dtype, const uint8_t* row, int64_t cols, float* out);
// `n` consecutive elements, a multiple of the block's, as `to`: a plain type. Narrowing rounds to nearest even.
void convert(DType from, const uint8_t* data, int64_t n, DType to, uint8_t* out);

}  // namespace jsg
