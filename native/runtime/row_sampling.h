// How a sequence's next token is sampled, as the model and the host's sampler take it.
#pragma once
#include "model/model.h"
#include "runtime/sequence.h"

namespace jsg {

// Of the token that follows sequence.tokens() and `n_ahead` tokens more: one that the model has been asked for and the
// host does not know yet, or drafts that the same step checks, whose sequence has no penalties then. The spans point
// into the sequence.
RowSampling row_sampling(const Sequence& sequence, int n_ahead);

}  // namespace jsg
