// Turns a plan into the flat arrays the model reads.
#pragma once
#include "model/model.h"
#include "runtime/scheduler.h"

namespace jsg {

// Fills `batch` (its memory is reused). Logits are asked for the last row of a sequence whose tokens are then all
// computed and that wants another one, and, where the prompt is scored, for every row that predicts an unscored prompt
// token: row p of the sequence predicts its token p + 1.
void build_batch(const StepPlan& plan, Batch& batch);

// First position of the scheduled rows whose logits score a prompt token, and one past the last: [first, last).
struct ScoredRows {
  int first;
  int last;
};
ScoredRows scored_rows(const ScheduledSequence& item);
// The step computes the newest token, and its last row picks the next one.
bool picks_token(const ScheduledSequence& item);

}  // namespace jsg
