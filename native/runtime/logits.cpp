#include "runtime/logits.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "error.h"
#include "model/model.h"

// The hot passes are compiled for each width of SIMD, and the dynamic linker picks one. None of the clones fuses
// multiply and add, so all give the same bits. (Sanitizers are not ready when the linker asks.)
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define JSG_SIMD_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define JSG_SIMD_CLONES
#endif

namespace jsg {
namespace {

// Independent accumulators: enough for two AVX-512 or eight SSE registers, and their sums need no reassociation by the
// compiler (which -O3 alone does not allow itself).
constexpr size_t kLanes = 32;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// exp(x) = 2^n * e^r with n = round(x / ln 2), |r| <= ln(2) / 2, as in Cephes' expf: a polynomial of degree 6 for e^r,
// and n written into the exponent. Adding 1.5 * 2^23 rounds to an integer in the low mantissa bits. What underflows is
// masked by integer arithmetic: a branch or a compare of floats (which may trap) keeps gcc from making SIMD of the loop
// around it.
inline float exp_lane(float x) {
  constexpr float kRound = 12582912.0f;
  constexpr int32_t kLowest = std::bit_cast<int32_t>(-87.0f);
  constexpr int32_t kMagnitude = 0x7fffffff;
  const int32_t bits = std::bit_cast<int32_t>(x);
  const int32_t underflows = -static_cast<int32_t>((bits & kMagnitude) > (kLowest & kMagnitude));  // 0 or ~0
  const float clamped = std::bit_cast<float>((bits & ~underflows) | (kLowest & underflows));
  const float shifted = clamped * 1.44269504f + kRound;
  const float n = shifted - kRound;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t exponent = std::bit_cast<int32_t>(shifted) << 23;
  return std::bit_cast<float>((std::bit_cast<int32_t>(p) + exponent) & ~underflows);
}

JSG_SIMD_CLONES float max_of(const float* x, size_t n, bool& has_nan) {
  float lanes[kLanes];
  int32_t nan_lanes[kLanes] = {};
  std::fill_n(lanes, kLanes, kMinusInfinity);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float value = x[i + lane];
      lanes[lane] = value > lanes[lane] ? value : lanes[lane];
      nan_lanes[lane] |= value != value ? 1 : 0;
    }
  }
  for (; i < n; ++i) {
    lanes[0] = std::max(lanes[0], x[i]);
    nan_lanes[0] |= x[i] != x[i] ? 1 : 0;
  }
  for (const int32_t lane : nan_lanes) has_nan |= lane != 0;
  return *std::max_element(lanes, lanes + kLanes);
}

// Whether any of n values is >= threshold.
JSG_SIMD_CLONES bool any_from(const float* x, size_t n, float threshold) {
  int32_t found[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) found[lane] |= x[i + lane] >= threshold ? 1 : 0;
  }
  for (; i < n; ++i) found[0] |= x[i] >= threshold ? 1 : 0;
  int32_t any = 0;
  for (const int32_t lane : found) any |= lane;
  return any != 0;
}

// Few logits pass a threshold: whole groups are skipped with one vector compare.
constexpr size_t kGroup = 4 * kLanes;
template <typename Visit>
void for_each_from(std::span<const float> logits, const float& threshold, Visit visit) {
  for (size_t begin = 0; begin < logits.size(); begin += kGroup) {
    const size_t n = std::min(kGroup, logits.size() - begin);
    if (!any_from(&logits[begin], n, threshold)) continue;
    for (size_t i = begin; i < begin + n; ++i) {
      if (logits[i] >= threshold) visit(Candidate{logits[i], static_cast<int32_t>(i)});
    }
  }
}

// weights[i] = exp((x[i] - max) * scale); returns their sum. n <= kChunk, so that the second pass reads from L1.
JSG_SIMD_CLONES double exp_pass(const float* x, size_t n, float max, float scale, float* weights) {
  for (size_t i = 0; i < n; ++i) weights[i] = exp_lane((x[i] - max) * scale);
  float lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += weights[i + lane];
  }
  double sum = 0;
  for (; i < n; ++i) sum += weights[i];
  for (const float lane : lanes) sum += lane;
  return sum;
}

}  // namespace

float exp_negative(float x) { return exp_lane(x); }

Candidate find_best(std::span<const float> logits) {
  bool has_nan = false;
  float best = kMinusInfinity;
  size_t best_begin = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kChunk) {
    const float chunk_max = max_of(&logits[begin], std::min(kChunk, logits.size() - begin), has_nan);
    if (chunk_max > best) {
      best = chunk_max;
      best_begin = begin;
    }
  }
  if (has_nan) throw Error("E_RUNTIME_FAILED", "the model produced NaN");
  if (!std::isfinite(best)) throw Error("E_RUNTIME_FAILED", "the model produced no finite logit");
  const auto at = std::find(logits.begin() + best_begin, logits.end(), best);
  return {best, static_cast<int32_t>(at - logits.begin())};
}

double sum_exp(std::span<const float> logits, float max, float scale) {
  float weights[kChunk];
  double sum = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kChunk) {
    sum += exp_pass(&logits[begin], std::min(kChunk, logits.size() - begin), max, scale, weights);
  }
  return sum;
}

void exp_chunks(std::span<const float> logits, float max, float scale, std::span<float> weights,
                std::span<double> chunk_sums) {
  for (size_t begin = 0; begin < logits.size(); begin += kChunk) {
    chunk_sums[begin / kChunk] =
        exp_pass(&logits[begin], std::min(kChunk, logits.size() - begin), max, scale, &weights[begin]);
  }
}

void mask_disallowed(std::span<float> logits, std::span<const uint32_t> allowed) {
  constexpr size_t kBits = 32;
  for (size_t word = 0; word * kBits < logits.size(); ++word) {
    const uint32_t bits = word < allowed.size() ? allowed[word] : 0;
    float* const first = &logits[word * kBits];
    const size_t n = std::min(kBits, logits.size() - word * kBits);
    if (bits == 0) {
      std::fill_n(first, n, kMaskedLogit);
    } else if (~bits != 0) {
      for (size_t bit = 0; bit < n; ++bit) first[bit] = bits >> bit & 1 ? first[bit] : kMaskedLogit;
    }
  }
}

void gather_from(std::span<const float> logits, float threshold, std::vector<Candidate>& out) {
  out.clear();
  for_each_from(logits, threshold, [&](const Candidate& candidate) { out.push_back(candidate); });
}

void gather_top(std::span<const float> logits, size_t k, std::vector<Candidate>& out) {
  out.clear();
  // Collect until there are twice as many as wanted (or a few hundred), keep the k first, and let only what could still
  // be among them pass from then on.
  const size_t capacity = std::max<size_t>(2 * k, 256);
  float threshold = kMinusInfinity;
  const auto keep_first_k = [&] {
    std::nth_element(out.begin(), out.begin() + (k - 1), out.end(), ranks_before);
    out.resize(k);
    threshold = out[k - 1].score;
  };
  for_each_from(logits, threshold, [&](const Candidate& candidate) {
    out.push_back(candidate);
    if (out.size() == capacity) keep_first_k();
  });
  if (out.size() > k) keep_first_k();
  std::sort(out.begin(), out.end(), [](const Candidate& a, const Candidate& b) { return a.token < b.token; });
}

}  // namespace jsg
