#include "model/config.h"

#include "error.h"

namespace jsg {
namespace {

// Block layouts as GGUF defines them; index is the DType.
constexpr DTypeTraits kTraits[] = {
    {"F32", 1, 4},      {"F16", 1, 2},    {"BF16", 1, 2},   {"Q4_0", 32, 18},   {"Q4_1", 32, 20},
    {"Q5_0", 32, 22},   {"Q5_1", 32, 24}, {"Q8_0", 32, 34}, {"Q4_K", 256, 144}, {"Q5_K", 256, 176},
    {"Q6_K", 256, 210}, {"INT4", 32, 18}, {"INT8", 32, 34},
};

}  // namespace

const DTypeTraits& dtype_traits(DType dtype) { return kTraits[static_cast<size_t>(dtype)]; }

DType dtype_from_name(std::string_view name) {
  for (size_t i = 0; i < static_cast<size_t>(DType::kInt4); ++i) {
    if (kTraits[i].name == name) return static_cast<DType>(i);
  }
  throw Error("E_MODEL_UNSUPPORTED", "unknown dtype '" + std::string(name) + "'");
}

}  // namespace jsg
