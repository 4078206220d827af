// Weights quantised while they are loaded, to the codes, scales and zeros that TorchAO 0.9 makes of the same weight in
// bf16.
#pragma once
#include <memory>

#include "backend/backend.h"
#include "model/config.h"

namespace jsg {

// One block of QuantizeOnLoad::type() from `n` weights, each exact in bf16. All arithmetic is bf16, rounded after every
// operation, as torch does it:
//   int4  scale = max((largest - smallest) / 15, 1e-6), zero = smallest + 8 scale, code = (w - (zero - 8 scale)) /
//   scale int8  scale = max(largest magnitude / 127.5, 2^-23), q = w * (1 / scale)
// https://github.com/pytorch/ao/blob/v0.9.0/torchao/quantization/quant_primitives.py
void quantize_int4(const float* weights, int64_t n, uint8_t* block);
void quantize_int8(const float* weights, int64_t n, uint8_t* block);

// A tensor of any type as what QuantizeOnLoad makes of it (rounded to bf16 first), made where it is read.
class QuantizingSource final : public ByteSource {
 public:
  // `stored` must stay; rows of the tensor hold whole blocks of both types.
  QuantizingSource(const ByteSource& stored, const WeightType& stored_type, const QuantizeOnLoad& how)
      : stored_(stored), stored_type_(stored_type), how_(how) {}
  void read(uint64_t begin, std::span<uint8_t> to) const override;

 private:
  const ByteSource& stored_;
  const WeightType stored_type_;
  const QuantizeOnLoad how_;
};

}  // namespace jsg
