// Packs quantised rows into the layout of PackedWeight (kernels.h).
#pragma once
#include "backend/backend.h"
#include "backend/cpu/kernels.h"

namespace jsg::cpu {

// Shape and format of the packed form of `view`; `data` is left null.
PackedWeight packed_shape(const WeightView& view);
// Packs row blocks [begin, end) of `view` into `data` (packed.row_block_bytes() each). Rows past the end are zero.
void pack_blocks(const WeightView& view, const PackedWeight& packed, int64_t begin, int64_t end, uint8_t* data);

}  // namespace jsg::cpu
