// What weights are stored as (plain types, GGUF's block formats, groups of int4 and int8), decoded on the host: the
// reference of every format, used for embeddings, for packing, for conversion on the way to a GPU and by the tests.
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
  bool sub_group;      // scale[0] != scale[1]
  DType scale_type;    // plain, in which scale and min are exact
  int64_t scale_cols;  // columns that share scale and min: a multiple of 32
};

bool is_quantized(const WeightType& type);
QuantFormat quant_format(const WeightType& type);
// Group `index` (of 32 columns) of a row stored at `row`.
void unpack_group(const WeightType& type, const uint8_t* row, int64_t index, QuantGroup& out);
// A whole row of `cols` elements as fp32. Of kInt4 and kInt8 the rule of GroupZero, each operation rounded once.
void dequantize_row(const WeightType& type, const uint8_t* row, int64_t cols, float* out);
// `n` consecutive elements, a multiple of the block's, as `to`: a plain type. Narrowing rounds to nearest even.
void convert(const WeightType& from, const uint8_t* data, int64_t n, DType to, uint8_t* out);

// Scale and zero of a kInt4 or kInt8 block (zero: 0 where none is stored).
struct GroupHeader {
  float scale;
  float zero;
};
GroupHeader group_header(const GroupFormat& format, const uint8_t* block);

}  // namespace jsg
