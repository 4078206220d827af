// Steps run before the first request, so that it finds all that a step needs: buffers of their final size, kernels
// loaded, decode steps recorded.
#pragma once
#include "model/decoder.h"

namespace jsg {

struct WarmUp {
  int n_graphs = 0;    // decode steps that were recorded
  double seconds = 0;  // that it all took
};

// Runs prompts of `max_rows` rows and of fewer, then decode steps of the sizes that the backend records, up to
// `max_running`; nothing with a backend that records none. Their KV goes into the first of `n_blocks` blocks, which
// must hold nothing yet and have room for `max_rows` tokens.
WarmUp warm_up(Decoder& decoder, int n_blocks, int max_rows, int max_running);

}  // namespace jsg
