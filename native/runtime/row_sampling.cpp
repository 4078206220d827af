#include "runtime/row_sampling.h"

#include "runtime/rng.h"

namespace jsg {

RowSampling row_sampling(const Sequence& sequence, int n_ahead) {
  const SamplingParams& sampling = sequence.sampling();
  const int n_generated = static_cast<int>(sequence.tokens().size()) - sequence.n_prompt() + n_ahead;
  RowSampling row;
  row.temperature = sampling.temperature;
  row.top_k = sampling.top_k;
  row.top_p = sampling.top_p;
  row.min_p = sampling.min_p;
  if (sampling.temperature >= kMinTemperature) row.u = uniform(sampling.seed, n_generated);
  row.repetition_penalty = sampling.repetition_penalty;
  row.frequency_penalty = sampling.frequency_penalty;
  row.presence_penalty = sampling.presence_penalty;
  row.top_logprobs = sampling.top_logprobs;
  row.seen = sequence.counts().entries();
  if (n_ahead > 0 && sampling.has_penalties()) row.unseen_row = sequence.in_flight_row();
  row.logit_bias = sampling.logit_bias;
  if (n_generated < sequence.request().min_new_tokens) row.masked = sequence.request().stop_ids;
  return row;
}

}  // namespace jsg
