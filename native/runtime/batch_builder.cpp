#include "runtime/batch_builder.h"

#include <algorithm>

#include "runtime/row_sampling.h"

namespace jsg {
namespace {

ScoredRows scored_rows(const ScheduledSequence& item) {
  const Sequence& sequence = *item.sequence;
  if (!sequence.scores_prompt()) return {0, 0};
  const int first = std::max(sequence.n_computed(), sequence.n_scored() - 1);
  const int last = std::min(sequence.n_computed() + item.n_tokens, sequence.n_prompt() - 1);
  return {first, std::max(first, last)};
}

void append_rows(const ScheduledSequence& item, Batch& batch) {
  const Sequence& sequence = *item.sequence;
  const auto known = sequence.tokens();
  const auto drafts = sequence.drafts().first(item.n_drafts);
  const int first = sequence.n_computed(), last = first + item.n_tokens;
  const int last_known = std::min(last, static_cast<int>(known.size()));
  batch.slices.push_back(
      {static_cast<int>(batch.token_ids.size()), item.n_rows(), first + item.n_rows(), sequence.block_table().data()});
  batch.token_ids.insert(batch.token_ids.end(), known.begin() + first, known.begin() + last_known);
  if (last_known < last) batch.token_ids.push_back(sampled_before(sequence.in_flight_row()));
  batch.token_ids.insert(batch.token_ids.end(), drafts.begin(), drafts.end());
  for (int row = 0; row < item.n_rows(); ++row) batch.positions.push_back(first + row);
}

}  // namespace

void build_batch(const StepPlan& plan, int max_top_logprobs, Batch& batch, std::vector<StepItem>& items) {
  batch.token_ids.clear();
  batch.positions.clear();
  batch.slices.clear();
  batch.logit_rows.clear();
  batch.sampling.clear();
  batch.samples_later = false;
  items.clear();
  bool by_model = max_top_logprobs >= 0, is_constrained = false;
  for (const ScheduledSequence& scheduled : plan.items) {
    Sequence& sequence = *scheduled.sequence;
    append_rows(scheduled, batch);
    const SequenceSlice& slice = batch.slices.back();
    const bool completes = scheduled.n_tokens == sequence.n_pending();
    const bool picks = completes && sequence.wants_token();
    const ScoredRows scored = scored_rows(scheduled);
    for (int position = scored.first; position < scored.last; ++position) {
      batch.logit_rows.push_back(slice.first_row + position - sequence.n_computed());
    }
    const int n_picked = picks ? 1 + scheduled.n_drafts : 0;
    for (int row = slice.n_rows - n_picked; row < slice.n_rows; ++row) {
      batch.logit_rows.push_back(slice.first_row + row);
    }
    items.push_back({&sequence, scored, scored.last - scored.first + n_picked, scheduled.n_drafts,
                     sequence.extends_answer(), picks, completes && !sequence.wants_token()});
    is_constrained |= picks && sequence.matcher() != nullptr;
    by_model = by_model && !sequence.scores_prompt() && sequence.sampling().top_logprobs <= max_top_logprobs;
  }
  if (!by_model) return;
  batch.samples_later = is_constrained;
  if (is_constrained) return;
  for (const StepItem& item : items) {
    if (!item.picks) continue;
    const int n_ahead = item.sequence->n_in_flight();
    for (int i = 0; i <= item.n_drafts; ++i) batch.sampling.push_back(row_sampling(*item.sequence, n_ahead + i));
  }
}

}  // namespace jsg
