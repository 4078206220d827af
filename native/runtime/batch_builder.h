// Turns a plan into the flat arrays the model reads, and remembers whose row is whose.
#pragma once
#include <vector>

#include "model/model.h"
#include "runtime/scheduler.h"

namespace jsg {

// Positions of prompt rows whose logits score the token after them: [first, last).
struct ScoredRows {
  int first;
  int last;
};

// What the result of a step holds for one sequence.
struct StepItem {
  Sequence* sequence;  // null once it has ended: its rows are then nobody's
  ScoredRows scored;
  int n_logit_rows;  // those that score its prompt, then the one that picks its next token, then those of its drafts
  int n_drafts;
  bool decodes;
  bool picks;  // its last pending row picks a token; no longer once a grammar has named that token before it was picked
  bool ends;   // it asked for no token, and this is the last of its prompt
};

// Fills `batch` and `items` (their memory is reused). Logits are asked for the last row of a sequence whose tokens are
// then all computed and that wants another one, and, where the prompt is scored, for every row that predicts an
// unscored prompt token: row p of the sequence predicts its token p + 1. The batch asks for sampling where the model
// can do all of it, with up to `max_top_logprobs` (-1: it cannot); later, where a grammar has a say in it.
void build_batch(const StepPlan& plan, int max_top_logprobs, Batch& batch, std::vector<StepItem>& items);

}  // namespace jsg
