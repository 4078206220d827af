#include "runtime/batch_builder.h"

#include <algorithm>

namespace jsg {

ScoredRows scored_rows(const ScheduledSequence& item) {
  const Sequence& sequence = *item.sequence;
  if (!sequence.scores_prompt()) return {0, 0};
  const int first = std::max(sequence.n_computed(), sequence.n_scored() - 1);
  const int last = std::min(sequence.n_computed() + item.n_tokens, sequence.n_prompt() - 1);
  return {first, std::max(first, last)};
}

bool picks_token(const ScheduledSequence& item) {
  return item.sequence->wants_token() && item.n_tokens == item.sequence->n_pending();
}

void build_batch(const StepPlan& plan, Batch& batch) {
  batch.token_ids.clear();
  batch.positions.clear();
  batch.slices.clear();
  batch.logit_rows.clear();
  batch.sampling.clear();
  for (const ScheduledSequence& item : plan.items) {
    const Sequence& sequence = *item.sequence;
    const int first_row = static_cast<int>(batch.token_ids.size());
    const int first = sequence.n_computed();
    for (int position = first; position < first + item.n_tokens; ++position) {
      batch.token_ids.push_back(sequence.tokens()[position]);
      batch.positions.push_back(position);
    }
    const int context_len = first + item.n_tokens;
    batch.slices.push_back({first_row, item.n_tokens, context_len, sequence.block_table().data()});

    const ScoredRows scored = scored_rows(item);
    for (int position = scored.first; position < scored.last; ++position) {
      batch.logit_rows.push_back(first_row + position - first);
    }
    if (picks_token(item)) batch.logit_rows.push_back(first_row + item.n_tokens - 1);
  }
}

}  // namespace jsg
