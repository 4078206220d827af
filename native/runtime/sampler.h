// From a row of logits to the next token, on the host. The oracle of every backend that samples where its logits are.
//
// Order of operations: logit_bias is added; repetition penalty (over prompt and answer, as in Hugging Face and SGLang:
// positive logits are divided, others multiplied); frequency and presence penalties (over the answer alone, as OpenAI
// defines them); masked tokens, and those that a grammar does
// not allow, become kMaskedLogit. Then either the greatest logit (temperature 0; of equals the lowest
// id), or a draw: temperature, top_k, top_p, min_p, each on the probabilities that the one before has left and
// renormalised, and of what is left the token that u falls on, ids ascending. Log-probabilities are those of the model
// itself, from the logits before all of this, as OpenAI's are.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "model/model.h"
#include "runtime/logits.h"

namespace jsg {

class Sampler {
 public:
  explicit Sampler(int vocab_size);

  // Changes `logits` (vocab_size) in place. `row.seen` is complete: a host that has the logits knows every token before
  // them. Throws E_RUNTIME_FAILED when a logit is NaN. The spans of what is returned are valid until the next call.
  SampledToken sample(std::span<float> logits, const RowSampling& row);
  // The log-probability of a token that is already there, and the n_top likeliest beside it.
  SampledToken score(std::span<const float> logits, int32_t token, int n_top);

 private:
  int32_t draw(std::span<const float> logits, const RowSampling& row);
  int32_t draw_from_all(std::span<const float> logits, float max, float scale, double u);
  int32_t draw_from_candidates(double u) const;
  void gather_candidates(std::span<const float> logits, float max, const RowSampling& row);
  void keep_nucleus(double mass);

  std::vector<Candidate> candidates_;  // ids ascending
  std::vector<Candidate> selection_;   // the same, in the order that selecting leaves
  std::vector<float> raw_logits_;      // (vocab_size)
  std::vector<float> weights_;         // (vocab_size)
  std::vector<double> chunk_sums_;     // (ceil(vocab_size / kChunk))
  std::vector<TopLogprob> top_;
};

}  // namespace jsg
