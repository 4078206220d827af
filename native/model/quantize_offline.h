// Weights quantised for a checkpoint that others load too: integer zero points, as compressed-tensors stores them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"

namespace jsg {

struct OfflineScheme {
  int bits;        // 4: asymmetric, w = scale * (code - zero), codes and zeros 0..15; 8: symmetric, codes -127..127
  int group_size;  // columns that share scale and zero; divides the row
  bool hqq;        // of 4 bits: scales and zeros with the least sum of |w| error^2; otherwise round to nearest
  bool biased;     // 8 bits are stored as code + 128 (pack-quantized); otherwise signed (int-quantized)
};

struct QuantizedMatrix {
  std::vector<uint8_t> codes;    // (rows, cols * bits / 8), the first column in the low bits
  std::vector<uint16_t> scales;  // (rows, groups) bf16
  std::vector<uint32_t>
      zeros;                 // (ceil(rows / 8), groups), eight rows in one word, the first in the low bits; of 4 bits
  double squared_error = 0;  // sum over all weights
  double squared_norm = 0;
};

// A matrix (rows, cols) of a plain type at `offset` of a file. All arithmetic is fp32; the same bytes come out however
// many threads there are (0: one a core). Throws E_IO_FAILED, E_MODEL_INVALID (the file is too short, groups don't
// fit).
QuantizedMatrix quantize_matrix(const std::string& path, DType dtype, uint64_t offset, int64_t rows, int64_t cols,
                                const OfflineScheme& scheme, int n_threads);

}  // namespace jsg
