// Random weights for `--load-format dummy`: as good as real ones for timing, and made where they are read.
#pragma once
#include "backend/backend.h"
#include "model/config.h"

namespace jsg {

// Bell-shaped random numbers with a standard deviation of 1 / sqrt(columns), so that activations keep their scale; ones
// for norms. An element is a function of the tensor's name and its index alone, whoever reads how much at a time.
class DummySource final : public ByteSource {
 public:
  // `tensor` has a plain type.
  explicit DummySource(const TensorInfo& tensor);
  void read(uint64_t begin, std::span<uint8_t> to) const override;

 private:
  const DType dtype_;
  const bool is_norm_;
  const uint32_t seed_;
  const float scale_;
};

}  // namespace jsg
