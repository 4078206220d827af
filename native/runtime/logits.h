// Passes over the logits of one token (vocab_size floats, 50k to 150k): all linear, all written so that the compiler
// makes SIMD of them. Nothing here allocates.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace jsg {

struct Candidate {
  float score;  // a logit, or the weight exp((logit - max) / temperature), which keeps the order
  int32_t token;
};
// Greatest score first; of equals the lowest id. Every filter of the sampler keeps a prefix of this order.
inline bool ranks_before(const Candidate& a, const Candidate& b) {
  return a.score > b.score || (a.score == b.score && a.token < b.token);
}

// The first in rank. Throws E_RUNTIME_FAILED when a logit is NaN or the greatest is not finite.
Candidate find_best(std::span<const float> logits);

// Sum of exp((logit - max) * scale) over all.
double sum_exp(std::span<const float> logits, float max, float scale);

// Elements of a chunk of exp_chunks().
inline constexpr size_t kChunk = 512;
// weights[i] = exp((logits[i] - max) * scale); chunk_sums gets the sum of each kChunk of them, (ceil(n / kChunk)).
void exp_chunks(std::span<const float> logits, float max, float scale, std::span<float> weights,
                std::span<double> chunk_sums);

// exp(x) for x <= 0 within 2 ulp of float; 0 below about -87. The same arithmetic as the passes above.
float exp_negative(float x);

// Sets the logits of tokens whose bit (i % 32 of word i / 32) is not set to kMaskedLogit.
void mask_disallowed(std::span<float> logits, std::span<const uint32_t> allowed);

// All with logit >= threshold, ids ascending; `out` is cleared first.
void gather_from(std::span<const float> logits, float threshold, std::vector<Candidate>& out);

// The k first in rank, ids ascending. 1 <= k <= logits.size(). `out` is cleared first.
void gather_top(std::span<const float> logits, size_t k, std::vector<Candidate>& out);

}  // namespace jsg
