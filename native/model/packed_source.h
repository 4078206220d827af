// Matrices that others quantised, as canonical blocks, to the bit: compressed-tensors, AWQ, GPTQ.
#pragma once
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "model/config.h"
#include "model/mapped_file.h"

namespace jsg {

// Source of the bytes of `tensor.packing->type()`. `files` must stay. Throws E_MODEL_INVALID where a part has another
// size than the shape asks for, or lies outside its file; reading throws E_MODEL_INVALID for scales that 16 bits can't
// hold.
std::unique_ptr<ByteSource> make_packed_source(const TensorInfo& tensor,
                                               const std::vector<std::unique_ptr<MappedFile>>& files);

}  // namespace jsg
