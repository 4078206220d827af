#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace jsg {
namespace {

constexpr size_t kPositionsAtOnce = 256;

// Llama 3.1: wavelengths longer than the original context are stretched by `factor`, short ones are kept, those between
// are blended.
double llama3_scaled(double frequency, const ModelConfig& config) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  const double context = config.rope_original_context;
  if (wavelength < context / config.rope_high_freq_factor) return frequency;
  if (wavelength > context / config.rope_low_freq_factor) return frequency / config.rope_factor;
  const double blend = (context / wavelength - config.rope_low_freq_factor) /
                       (config.rope_high_freq_factor - config.rope_low_freq_factor);
  return (1 - blend) * frequency / config.rope_factor + blend * frequency;
}

}  // namespace

Rope::Rope(const ModelConfig& config, std::span<const float> divisors) {
  const int half = config.head_dim / 2;
  for (int i = 0; i < half; ++i) {
    double frequency = std::pow(config.rope_theta, -2.0 * i / config.head_dim);
    if (!divisors.empty()) {
      frequency /= divisors[i];
    } else if (config.rope_scaling == RopeScaling::kLlama3) {
      frequency = llama3_scaled(frequency, config);
    } else if (config.rope_scaling == RopeScaling::kLinear) {
      frequency /= config.rope_factor;
    }
    frequencies_.push_back(static_cast<float>(frequency));
  }
}

void Rope::fill(std::span<const int32_t> positions, std::vector<float>& cos, std::vector<float>& sin) {
  const size_t half = frequencies_.size();
  const size_t n_known = cos_.size() / half;
  size_t n_needed = 0;
  for (const int32_t position : positions) n_needed = std::max(n_needed, static_cast<size_t>(position) + 1);
  if (n_needed > n_known) {
    n_needed = (n_needed + kPositionsAtOnce - 1) / kPositionsAtOnce * kPositionsAtOnce;
    cos_.resize(n_needed * half);
    sin_.resize(n_needed * half);
    for (size_t position = n_known; position < n_needed; ++position) {
      for (size_t i = 0; i < half; ++i) {
        const float angle = static_cast<float>(position) * frequencies_[i];
        cos_[position * half + i] = std::cos(angle);
        sin_[position * half + i] = std::sin(angle);
      }
    }
  }
  cos.resize(positions.size() * half);
  sin.resize(positions.size() * half);
  for (size_t row = 0; row < positions.size(); ++row) {
    const size_t from = static_cast<size_t>(positions[row]) * half;
    std::copy_n(cos_.begin() + from, half, cos.begin() + row * half);
    std::copy_n(sin_.begin() + from, half, sin.begin() + row * half);
  }
}

}  // namespace jsg
