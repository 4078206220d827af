// Rotary position embedding: frequencies with the scalings of Llama 3 and "linear".
#pragma once
#include <span>
#include <vector>

#include "model/config.h"

namespace jsg {

class Rope {
 public:
  // `divisors` (head_dim / 2), from a GGUF's rope_freqs, replaces the configured scaling; empty: none.
  Rope(const ModelConfig& config, std::span<const float> divisors);
  // cos and sin of the angles of each position: (n, head_dim / 2) each. Angles are computed when a position is first
  // met.
  void fill(std::span<const int32_t> positions, std::vector<float>& cos, std::vector<float>& sin);
  std::span<const float> frequencies() const { return frequencies_; }

 private:
  std::vector<float> frequencies_;  // (head_dim / 2), radians a token
  std::vector<float> cos_, sin_;    // (positions met so far, head_dim / 2)
};

}  // namespace jsg
