// How a sequence's next token is sampled, as the model and the host's sampler take it.
#pragma once
#include "model/model.h"
#include "runtime/sequence.h"

namespace jsg {

// Of the token that follows sequence.tokens() and `n_in_flight` tokens more (0 or 1) that the model has been asked for
// and the host does not know yet. The spans point into the sequence.
RowSampling row_sampling(const Sequence& sequence, int n_in_flight);

}  // namespace jsg
